// An echo on libevent, in the way that its users know to be fast.
//   - An event_base for each core, with a listener of its own (floor.h sets SO_REUSEPORT and
//     TCP_NODELAY); no locks, since none is shared.
//   - Plain events with recv and send: a bufferevent would copy bytes twice and allocate chains.
//   - A persistent read event for each connection; it is taken out only while a full socket has
//     refused a part, which is copied. EPOLL_USE_CHANGELIST spares the epoll_ctl of what is added
//     and taken out within one turn.
//   - Level-triggered, 16 KiB per receive: one recv for each event, none that fails with EAGAIN.

#include <event2/event.h>
#include <event2/event_struct.h>

#include "../floor/floor.h"

struct connection {
  struct event readable;
  struct event writable;
  char* rest;  // what the socket refused; NULL if nothing
  size_t rest_sent;
  size_t rest_bytes;
  struct frame frame;
};

static struct options opt = {
    .name = "echo_event", .host = "127.0.0.1", .cores = 1, .buffer_bytes = 16384, .stats = true};
static _Thread_local struct counters count;
static _Thread_local struct event_base* base;
static _Thread_local struct event listener;
static _Thread_local char* buffer;

static void end_connection(int fd, struct connection* c) {
  event_del(&c->readable);
  event_del(&c->writable);
  free(c->rest);
  free(c);
  close(fd);
}

/// Returns the bytes sent, 0 if the socket is full, or -1 if the connection is broken.
static ssize_t send_some(int fd, const char* data, size_t bytes) {
  const ssize_t n = send(fd, data, bytes, MSG_NOSIGNAL);
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static void on_writable(int fd, short events, void* argument) {
  (void)events;
  struct connection* c = argument;
  const ssize_t n = send_some(fd, c->rest + c->rest_sent, c->rest_bytes - c->rest_sent);
  if (n < 0) return end_connection(fd, c);
  c->rest_sent += (size_t)n;
  if (c->rest_sent < c->rest_bytes) return;
  free(c->rest);
  c->rest = NULL;
  event_del(&c->writable);
  event_add(&c->readable, NULL);
}

static bool keep_rest(struct connection* c, const char* data, size_t bytes) {
  c->rest = malloc(bytes);
  if (!c->rest) return false;
  memcpy(c->rest, data, bytes);
  c->rest_sent = 0;
  c->rest_bytes = bytes;
  event_del(&c->readable);
  event_add(&c->writable, NULL);
  return true;
}

static void on_readable(int fd, short events, void* argument) {
  (void)events;
  struct connection* c = argument;
  const ssize_t bytes = recv(fd, buffer, opt.buffer_bytes, 0);
  if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (bytes <= 0) return end_connection(fd, c);
  ++count.requests;
  size_t taken = 0, sent = 0;
  while (taken < (size_t)bytes) {
    taken += take_message(&opt, &c->frame, buffer + taken, (size_t)bytes - taken);
    const ssize_t n = send_some(fd, buffer + sent, taken - sent);
    if (n < 0) return end_connection(fd, c);
    sent += (size_t)n;
  }
  if (sent < taken && !keep_rest(c, buffer + sent, taken - sent)) end_connection(fd, c);
}

static void accept_later(int fd, short events, void* argument) {
  (void)fd, (void)events, (void)argument;
  event_add(&listener, NULL);
}

static void on_connection(int fd, short events, void* argument) {
  (void)events, (void)argument;
  for (;;) {
    const int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) return;
      event_del(&listener);  // out of descriptors
      event_base_once(base, -1, EV_TIMEOUT, accept_later, NULL,
                      &(struct timeval){.tv_usec = 10000});
      return;
    }
    struct connection* c = calloc(1, sizeof *c);
    if (!c) die(&opt, unexpected, "allocating");
    event_assign(&c->readable, base, peer, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->writable, base, peer, EV_WRITE | EV_PERSIST, on_writable, c);
    event_add(&c->readable, NULL);
    ++count.connections;
  }
}

static void on_signal(int fd, short events, void* argument) {
  (void)fd, (void)events, (void)argument;
  event_base_loopbreak(base);
}

static void serve_core(struct core* c) {
  struct event_config* config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
  base = event_base_new_with_config(config);
  buffer = malloc(opt.buffer_bytes);
  if (!base || !buffer) die(&opt, unexpected, "event_base_new");
  struct event signals;
  event_assign(&signals, base, c->signals, EV_READ | EV_PERSIST, on_signal, NULL);
  event_add(&signals, NULL);
  event_assign(&listener, base, c->listener, EV_READ | EV_PERSIST, on_connection, NULL);
  event_add(&listener, NULL);
  say_listening(c);
  event_base_dispatch(base);
  c->count = count;
}

int main(int argc, char** argv) {
  parse_options(&opt, argc, argv);
  raise_descriptor_limit(&opt);
  return run_server(&opt, "event", serve_core);
}

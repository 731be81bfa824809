#pragma once
// The floor for servers on epoll: the fastest that we know how to write with it by hand, on threads
// that share nothing. Others are measured against it, so it takes part in no abstraction. A server
// includes this file once and says what it answers: opt, room_for() and answer().
//
// Method
//   - Edge-triggered, both directions registered once at accept: no epoll_ctl afterwards.
//   - One receive buffer for all connections of a core, which therefore stays in the cache. Bytes
//     are sent from it at once; only what a full socket refuses is copied to the connection.
//   - A receive that does not fill the buffer has emptied the socket: the call that would return
//     EAGAIN is left out. What arrives later raises a further edge; an end that came together with
//     the bytes raises none, so EPOLLRDHUP in the event makes the loop read on.
//   - A connection whose peer does not read is not read either, until the rest has been sent.
// A peer that sends without a pause keeps the loop until its socket is empty.

#include <sys/epoll.h>

#include "floor.h"

enum { max_events = 512 };

struct connection {
  char* rest;  // bytes of answers that the socket refused; NULL if none
  uint32_t rest_sent;
  uint32_t rest_bytes;
  struct frame frame;
  uint32_t line_bytes;  // hello.h: of the line whose end has not come
};

static struct options opt;  // the server's, with its defaults
static _Thread_local struct counters count;
static _Thread_local struct connection* connections;  // by descriptor
static _Thread_local char* buffer;
static _Thread_local int epoll_fd;
static _Thread_local int listener;
static _Thread_local bool accept_again;  // out of descriptors; tried again each turn

/// How long the answer to so many bytes may be.
static size_t room_for(size_t bytes);

/// Puts the answer into the place of what was received and returns its length; 0: none yet. Counts
/// the requests.
static uint32_t answer(struct connection* c, char* data, uint32_t bytes);

static void end_connection(int fd) {
  free(connections[fd].rest);
  connections[fd] = (struct connection){0};
  add(&count.syscalls, 1);
  close(fd);
}

static void accept_all(void) {
  for (;;) {
    add(&count.syscalls, 1);
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      const bool out_of_descriptors = errno != EAGAIN;
      if (out_of_descriptors && !accept_again) say_out_of_descriptors(&opt);
      accept_again = out_of_descriptors;
      return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    add(&count.syscalls, 1);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
      end_connection(fd);
      continue;
    }
    add(&count.connections, 1);
  }
}

/// Sends without waiting. Returns the bytes sent, which are fewer than asked for if the socket is
/// full, or -1 if the connection is broken.
static ssize_t send_some(int fd, const char* data, size_t bytes) {
  size_t sent = 0;
  while (sent < bytes) {
    add(&count.syscalls, 1);
    const ssize_t n = send(fd, data + sent, bytes - sent, MSG_NOSIGNAL);
    if (n >= 0) {
      sent += (size_t)n;
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return (ssize_t)sent;
}

/// Sends the buffer; with --framed each message when it has been computed. Returns as send_some().
static ssize_t send_buffer(int fd, struct frame* f, size_t bytes) {
  size_t taken = 0, sent = 0;
  while (taken < bytes) {
    taken += take_message(&opt, f, buffer + taken, bytes - taken);
    const ssize_t n = send_some(fd, buffer + sent, taken - sent);
    if (n < 0) return -1;
    sent += (size_t)n;
  }
  return (ssize_t)sent;
}

/// Keeps what the socket refused. Returns false if there is no memory for it.
static bool keep_rest(struct connection* c, const char* data, size_t bytes) {
  c->rest = malloc(bytes);
  if (!c->rest) return false;
  memcpy(c->rest, data, bytes);
  c->rest_sent = 0;
  c->rest_bytes = (uint32_t)bytes;
  return true;
}

/// Sends what was kept. Returns 1 if nothing is left, 0 if the socket is full, -1 if it is broken.
static int send_rest(int fd, struct connection* c) {
  const ssize_t n = send_some(fd, c->rest + c->rest_sent, c->rest_bytes - c->rest_sent);
  if (n < 0) return -1;
  c->rest_sent += (uint32_t)n;
  if (c->rest_sent < c->rest_bytes) return 0;
  free(c->rest);
  c->rest = NULL;
  return 1;
}

/// Returns false if the connection is to be closed.
static bool serve(int fd, uint32_t events) {
  const bool ending = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  struct connection* c = &connections[fd];
  if (c->rest) {
    const int state = send_rest(fd, c);
    if (state <= 0) return state == 0;
  }
  for (;;) {
    add(&count.syscalls, 1);
    const ssize_t n = recv(fd, buffer, opt.buffer_bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;  // the peer has sent all, and all has been sent back
    const size_t bytes = answer(c, buffer, (uint32_t)n);
    const ssize_t sent = send_buffer(fd, &c->frame, bytes);
    if (sent < 0) return false;
    if ((size_t)sent < bytes) return keep_rest(c, buffer + sent, bytes - (size_t)sent);
    if ((size_t)n < opt.buffer_bytes && !ending) return true;
  }
}

static void serve_core(struct core* c) {
  connections = calloc(raise_descriptor_limit(&opt), sizeof *connections);
  buffer = aligned_alloc(4096, (room_for(opt.buffer_bytes) + 4095) & ~(size_t)4095);
  if (!connections || !buffer) die(&opt, "ask for a smaller --buffer-size", "allocating");
  listener = c->listener;
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) die(&opt, unexpected, "epoll_create1");
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->signals,
            &(struct epoll_event){.events = EPOLLIN, .data.fd = c->signals});
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener,
            &(struct epoll_event){.events = EPOLLIN | EPOLLET, .data.fd = listener});
  c->live = &count;
  say_listening(c);

  struct epoll_event events[max_events];
  for (bool stop = false; !stop;) {
    add(&count.syscalls, 1);
    const int n = epoll_wait(epoll_fd, events, max_events, -1);
    if (n < 0 && errno != EINTR) die(&opt, unexpected, "epoll_wait");
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        accept_all();
      } else if (fd == c->signals) {
        stop = true;
      } else if (connections[fd].rest ||  // EPOLLOUT alone: a socket's first edge
                 events[i].events & ~(uint32_t)EPOLLOUT) {
        if (!serve(fd, events[i].events)) end_connection(fd);
      }
    }
    if (accept_again) accept_all();
  }
  c->count = count;
}

static int run_epoll_server(int argc, char** argv) {
  parse_options(&opt, argc, argv);
  return run_server(&opt, "epoll", serve_core);
}

// An echo on libuv, in the way that its users know to be fast.
//   - A loop for each core, with a listener of its own (floor.h sets SO_REUSEPORT and TCP_NODELAY):
//     handing connections from loop to loop costs a pipe, and a loop is for one thread only.
//   - uv_try_write first: it needs no request, no memory and no further turn of the loop. Only what
//     a full socket refuses is copied for uv_write; reading pauses until it has been sent.
//   - 64 KiB to read into, what libuv suggests; one buffer per loop, since nothing stays in it.
//   - Where descriptors have run out, libuv itself closes what it cannot accept.

#include <uv.h>

#include "../floor/floor.h"

struct connection {
  uv_tcp_t socket;
  struct frame frame;
};

struct rest {
  uv_write_t write;
  char data[];
};

static struct options opt = {
    .name = "echo_uv", .host = "127.0.0.1", .cores = 1, .buffer_bytes = 65536, .stats = true};
static _Thread_local struct counters count;
static _Thread_local char* buffer;

static void on_read(uv_stream_t* stream, ssize_t bytes, const uv_buf_t* from);

static void free_connection(uv_handle_t* handle) { free(handle->data); }

static void end_connection(uv_stream_t* stream) {
  if (!uv_is_closing((uv_handle_t*)stream)) uv_close((uv_handle_t*)stream, free_connection);
}

static void give_buffer(uv_handle_t* handle, size_t suggested, uv_buf_t* to) {
  (void)handle, (void)suggested;
  *to = uv_buf_init(buffer, opt.buffer_bytes);
}

static void on_rest_written(uv_write_t* write, int status) {
  uv_stream_t* stream = write->handle;
  free(write->data);
  if (status < 0 || uv_read_start(stream, give_buffer, on_read) < 0) end_connection(stream);
}

static void write_rest(uv_stream_t* stream, const char* data, size_t bytes) {
  struct rest* rest = malloc(sizeof *rest + bytes);
  if (!rest) return end_connection(stream);
  memcpy(rest->data, data, bytes);
  rest->write.data = rest;
  const uv_buf_t part = uv_buf_init(rest->data, (unsigned)bytes);
  uv_read_stop(stream);
  if (uv_write(&rest->write, stream, &part, 1, on_rest_written) == 0) return;
  free(rest);
  end_connection(stream);
}

static void on_read(uv_stream_t* stream, ssize_t bytes, const uv_buf_t* from) {
  if (bytes == 0) return;
  if (bytes < 0) return end_connection(stream);
  ++count.requests;
  struct connection* c = stream->data;
  size_t taken = 0, sent = 0;
  while (taken < (size_t)bytes) {
    taken += take_message(&opt, &c->frame, from->base + taken, (size_t)bytes - taken);
    const uv_buf_t part = uv_buf_init(from->base + sent, (unsigned)(taken - sent));
    const int n = uv_try_write(stream, &part, 1);
    if (n < 0 && n != UV_EAGAIN) return end_connection(stream);
    if (n > 0) sent += (size_t)n;
  }
  if (sent < taken) write_rest(stream, from->base + sent, taken - sent);
}

static void on_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  struct connection* c = calloc(1, sizeof *c);
  if (!c || uv_tcp_init(listener->loop, &c->socket) < 0) die(&opt, unexpected, "allocating");
  c->socket.data = c;
  uv_stream_t* stream = (uv_stream_t*)&c->socket;
  if (uv_accept(listener, stream) < 0 || uv_read_start(stream, give_buffer, on_read) < 0)
    return end_connection(stream);
  ++count.connections;
}

static void on_signal(uv_poll_t* signals, int status, int events) {
  (void)status, (void)events;
  uv_stop(signals->loop);
}

static void serve_core(struct core* c) {
  uv_loop_t loop;
  uv_tcp_t listener;
  uv_poll_t signals;
  buffer = malloc(opt.buffer_bytes);
  errno = -uv_loop_init(&loop);
  if (errno || !buffer) die(&opt, unexpected, "uv_loop_init");
  uv_poll_init(&loop, &signals, c->signals);
  uv_poll_start(&signals, UV_READABLE, on_signal);
  uv_tcp_init(&loop, &listener);
  uv_tcp_open(&listener, c->listener);
  errno = -uv_listen((uv_stream_t*)&listener, 4096, on_connection);
  if (errno) die(&opt, unexpected, "uv_listen");
  say_listening(c);
  uv_run(&loop, UV_RUN_DEFAULT);
  c->count = count;
}

int main(int argc, char** argv) {
  parse_options(&opt, argc, argv);
  raise_descriptor_limit(&opt);
  return run_server(&opt, "uv", serve_core);
}

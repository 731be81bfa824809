// An echo on epoll, written by hand: epoll.h is all of it.

#define _GNU_SOURCE 1
#include "epoll.h"

static struct options opt = {
    .name = "epoll_echo", .host = "127.0.0.1", .cores = 1, .buffers = 1, .buffer_bytes = 65536};

static size_t room_for(size_t bytes) { return bytes; }

static uint32_t answer(struct connection* c, char* data, uint32_t bytes) {
  (void)c, (void)data;
  add(&count.requests, 1);
  return bytes;
}

int main(int argc, char** argv) { return run_epoll_server(argc, argv); }

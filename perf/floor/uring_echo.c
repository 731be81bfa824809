// An echo on io_uring, written by hand: uring.h is all of it.

#define _GNU_SOURCE 1
#include "uring.h"

static struct options opt = {
    .name = "uring_echo", .host = "127.0.0.1", .cores = 1, .buffers = 256, .buffer_bytes = 65536};

static size_t room_for(size_t bytes) { return bytes; }

static uint32_t answer(struct connection* c, char* data, uint32_t bytes) {
  (void)c, (void)data;
  add(&count.requests, 1);
  return bytes;
}

int main(int argc, char** argv) { return run_uring_server(argc, argv); }

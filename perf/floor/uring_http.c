// Hello over HTTP on io_uring, written by hand: uring.h, and hello.h.

#define _GNU_SOURCE 1
#include "uring.h"

#include "hello.h"

static struct options opt = {
    .name = "uring_http", .host = "127.0.0.1", .cores = 1, .buffers = 256, .buffer_bytes = 1024};

int main(int argc, char** argv) { return run_uring_server(argc, argv); }

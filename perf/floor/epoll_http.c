// Hello over HTTP on epoll, written by hand: epoll.h, and hello.h.

#define _GNU_SOURCE 1
#include "epoll.h"

#include "hello.h"

static struct options opt = {
    .name = "epoll_http", .host = "127.0.0.1", .cores = 1, .buffers = 1, .buffer_bytes = 4096};

int main(int argc, char** argv) { return run_epoll_server(argc, argv); }

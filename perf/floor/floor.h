#pragma once
// What both floor servers share: the command line, the listener, the signal descriptor and the
// line of figures at the end. Header only, so that each server stays one translation unit.

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct options {
  const char* name;  // for messages
  const char* host;
  unsigned port;
  int cpu;  // -1: not pinned
  unsigned buffers;
  unsigned buffer_bytes;
  bool stats;
};

struct counters {
  uint64_t requests;  // receives that returned bytes; equals messages where nothing is pipelined
  uint64_t connections;  // accepted
  uint64_t syscalls;  // made by the loop, set-up not included
};

/// What to do about an error that no option can mend.
static const char unexpected[] = "run it under strace to see the call and its arguments";

__attribute__((noreturn, format(printf, 3, 4))) static inline void die(const struct options* o,
                                                                       const char* now,
                                                                       const char* what, ...) {
  const int error = errno;
  va_list args;
  va_start(args, what);
  fprintf(stderr, "%s: ", o->name);
  vfprintf(stderr, what, args);
  va_end(args);
  fprintf(stderr, ": %s (%s)\n  now: %s\n", strerrorname_np(error), strerror(error), now);
  exit(1);
}

static inline void print_help(const struct options* o, FILE* to) {
  fprintf(to,
          "usage: %s [options]\n"
          "Echoes every byte of every TCP connection on one thread, until SIGTERM or SIGINT.\n"
          "  --host ADDRESS     where to listen (%s)\n"
          "  --port N           0 takes a free one (%u)\n"
          "  --cpu N            pin the thread to this CPU\n"
          "  --buffers N        receive buffers; io_uring only; a power of two (%u)\n"
          "  --buffer-size N    bytes per receive buffer (%u)\n"
          "  --stats            one line of JSON at the end\n",
          o->name, o->host, o->port, o->buffers, o->buffer_bytes);
}

static inline unsigned parse_number(const struct options* o, const char* option, const char* text,
                                    unsigned least, unsigned most) {
  char* end;
  errno = 0;
  const unsigned long value = strtoul(text, &end, 10);
  if (errno || end == text || *end || text[0] == '-' || value < least || value > most) {
    fprintf(stderr, "%s: --%s takes a number from %u to %u, not '%s'\n", o->name, option, least,
            most, text);
    exit(1);
  }
  return (unsigned)value;
}

/// Fills `o`, which holds the defaults.
static inline void parse_options(struct options* o, int argc, char** argv) {
  static const struct option known[] = {
      {"host", required_argument, NULL, 'h'},    {"port", required_argument, NULL, 'p'},
      {"cpu", required_argument, NULL, 'c'},     {"buffer-size", required_argument, NULL, 's'},
      {"buffers", required_argument, NULL, 'b'}, {"stats", no_argument, NULL, 'S'},
      {"help", no_argument, NULL, '?'},          {NULL, 0, NULL, 0}};
  int at = 0;
  for (int c; (c = getopt_long(argc, argv, "", known, &at)) != -1;) {
    switch (c) {
      case 'h': o->host = optarg; break;
      case 'p': o->port = parse_number(o, known[at].name, optarg, 0, 65535); break;
      case 'c': o->cpu = (int)parse_number(o, known[at].name, optarg, 0, CPU_SETSIZE - 1); break;
      case 's': o->buffer_bytes = parse_number(o, known[at].name, optarg, 1, 1u << 26); break;
      case 'b':
        o->buffers = parse_number(o, known[at].name, optarg, 1, 32768);
        if (o->buffers & (o->buffers - 1)) {
          fprintf(stderr, "%s: --buffers takes a power of two, not %u\n", o->name, o->buffers);
          exit(1);
        }
        break;
      case 'S': o->stats = true; break;
      default: {
        const bool asked = strcmp(argv[optind - 1], "--help") == 0;
        print_help(o, asked ? stdout : stderr);
        exit(asked ? 0 : 1);
      }
    }
  }
  if (optind < argc) {
    fprintf(stderr, "%s: '%s' is not an option\n", o->name, argv[optind]);
    exit(1);
  }
}

/// Raises the number of descriptors to the hard limit and returns it.
static inline unsigned raise_descriptor_limit(const struct options* o) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) die(o, unexpected, "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) die(o, unexpected, "setrlimit");
  return limit.rlim_cur > INT_MAX ? INT_MAX : (unsigned)limit.rlim_cur;
}

static inline void pin(const struct options* o) {
  if (o->cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((unsigned)o->cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) < 0)
    die(o, "leave --cpu out, or name a CPU that this process may use", "pinning to CPU %d", o->cpu);
}

/// `flags`: SOCK_NONBLOCK or 0. TCP_NODELAY is set here since accepted sockets inherit it: no call
/// per connection.
static inline int open_listener(const struct options* o, int flags) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
  if (inet_pton(AF_INET, o->host, &address.sin_addr) != 1) {
    fprintf(stderr, "%s: --host takes an IPv4 address, not '%s'\n", o->name, o->host);
    exit(1);
  }
  const int one = 1;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) die(o, unexpected, "socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (bind(fd, (const struct sockaddr*)&address, sizeof address) < 0 || listen(fd, 4096) < 0)
    die(o, "take another --port; 0 takes a free one", "listening on %s:%u", o->host, o->port);
  return fd;
}

/// The first line of output; a parent that reads it knows that connections are accepted.
static inline void print_listening(const struct options* o, int listener, const char* driver) {
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  if (getsockname(listener, (struct sockaddr*)&address, &size) < 0)
    die(o, unexpected, "getsockname");
  printf("listening on %s:%u (%s, 1 core)\n", o->host, ntohs(address.sin_port), driver);
  fflush(stdout);
}

static inline void say_out_of_descriptors(const struct options* o) {
  fprintf(stderr,
          "%s: out of descriptors (RLIMIT_NOFILE)\n  now: accepting again when a connection ends\n",
          o->name);
}

/// A descriptor that becomes readable at SIGTERM or SIGINT: it wakes the loop like any other
/// event, where a handler that sets a flag could run just before the loop blocks.
static inline int open_stop_signals(const struct options* o) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, NULL);
  const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) die(o, unexpected, "signalfd");
  return fd;
}

static inline void print_stats(const struct options* o, const struct counters* n,
                               const char* driver) {
  if (!o->stats) return;
  printf("{\"requests\":%llu,\"connections\":%llu,\"syscalls\":%llu,\"driver\":\"%s\"}\n",
         (unsigned long long)n->requests, (unsigned long long)n->connections,
         (unsigned long long)n->syscalls, driver);
  fflush(stdout);
}

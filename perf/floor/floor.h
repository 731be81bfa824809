#pragma once
// What the servers written on system calls or on a C interface share: the command line, a thread
// and a listener for each core, the signal descriptor, the line of figures at the end. Header only,
// so that each server stays one translation unit; C++ can include it, too.

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
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
#include <time.h>
#include <unistd.h>

#include "compute.h"

struct options {
  const char* name;  // for messages
  const char* host;
  unsigned port;
  unsigned cores;
  unsigned buffers;
  unsigned buffer_bytes;
  unsigned framed_bytes;  // of a message that asks for computing; 0: plain echo
  bool stats;
};

struct counters {
  uint64_t requests;  // of an echo: receives that returned bytes, one each if nothing is pipelined
  uint64_t connections;  // accepted
  uint64_t syscalls;  // made by the loop, set-up not included; 0: not counted
};

/// By the thread that owns the counter; another one may read it meanwhile.
static inline void add(uint64_t* counter, uint64_t more) {
  __atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/// A thread of the server. Connections stay with the core whose listener accepted them.
struct core {
  const struct options* options;
  const char* driver;  // for the first and the last line
  void (*serve)(struct core*);
  pthread_barrier_t* all_listen;
  pthread_t thread;
  unsigned index;
  int listener;
  int signals;  // readable at the end
  struct counters count;  // filled by serve() when it ends
  const struct counters* live;  // the same while it runs; NULL: not to be had
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
          "Answers on every TCP connection, until SIGTERM or SIGINT.\n"
          "  --host ADDRESS     where to listen (%s)\n"
          "  --port N           0 takes a free one (%u)\n"
          "  --cores N          threads, each pinned to a CPU and with a listener of its own (%u)\n"
          "  --buffers N        receive buffers; io_uring only; a power of two (%u)\n"
          "  --buffer-size N    bytes per receive buffer (%u)\n"
          "  --framed N         messages of N bytes; each begins with the microseconds to compute\n"
          "                     before it is sent back, a little-endian number of 4 bytes\n"
          "  --stats            one line of JSON at the end, and at SIGUSR1\n",
          o->name, o->host, o->port, o->cores, o->buffers, o->buffer_bytes);
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
  static const struct option known[] = {{"host", required_argument, NULL, 'h'},
                                        {"port", required_argument, NULL, 'p'},
                                        {"cores", required_argument, NULL, 'c'},
                                        {"buffer-size", required_argument, NULL, 's'},
                                        {"buffers", required_argument, NULL, 'b'},
                                        {"framed", required_argument, NULL, 'f'},
                                        {"stats", no_argument, NULL, 'S'},
                                        {"help", no_argument, NULL, '?'},
                                        {NULL, 0, NULL, 0}};
  int at = 0;
  for (int c; (c = getopt_long(argc, argv, "", known, &at)) != -1;) {
    switch (c) {
      case 'h': o->host = optarg; break;
      case 'p': o->port = parse_number(o, known[at].name, optarg, 0, 65535); break;
      case 'c': o->cores = parse_number(o, known[at].name, optarg, 1, CPU_SETSIZE); break;
      case 'f': o->framed_bytes = parse_number(o, known[at].name, optarg, 4, 1u << 26); break;
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

/// Pins the calling thread to one of the CPUs that it may use.
static inline void pin(const struct options* o, unsigned index) {
  cpu_set_t allowed, own;
  if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) die(o, unexpected, "sched_getaffinity");
  unsigned others = index % (unsigned)CPU_COUNT(&allowed), cpu = 0;
  while (!CPU_ISSET(cpu, &allowed) || others-- > 0) ++cpu;
  CPU_ZERO(&own);
  CPU_SET(cpu, &own);
  if (sched_setaffinity(0, sizeof own, &own) < 0) die(o, unexpected, "pinning to CPU %u", cpu);
}

/// Replaces port 0 by the one found. TCP_NODELAY is set here since accepted sockets inherit it: no
/// call per connection. Several cores share the port; one core has it alone, so that a second
/// server on it fails.
static inline int open_listener(struct options* o) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
  if (inet_pton(AF_INET, o->host, &address.sin_addr) != 1) {
    fprintf(stderr, "%s: --host takes an IPv4 address, not '%s'\n", o->name, o->host);
    exit(1);
  }
  const int one = 1;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) die(o, unexpected, "socket");
  setsockopt(fd, SOL_SOCKET, o->cores > 1 ? SO_REUSEPORT : SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  socklen_t size = sizeof address;
  if (bind(fd, (struct sockaddr*)&address, size) < 0 || listen(fd, 4096) < 0 ||
      getsockname(fd, (struct sockaddr*)&address, &size) < 0)
    die(o, "take another --port; 0 takes a free one", "listening on %s:%u", o->host, o->port);
  o->port = ntohs(address.sin_port);
  return fd;
}

/// serve() calls it when the core accepts connections. Once all do, the first line of output tells.
static inline void say_listening(const struct core* c) {
  pthread_barrier_wait(c->all_listen);
  if (c->index > 0) return;
  const struct options* o = c->options;
  printf("listening on %s:%u (%s, %u cores)\n", o->host, o->port, c->driver, o->cores);
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

static inline void print_stats(const struct counters* n, const char* driver) {
  printf("{\"requests\":%llu,\"connections\":%llu", (unsigned long long)n->requests,
         (unsigned long long)n->connections);
  if (n->syscalls > 0)
    printf(",\"syscalls\":%llu,\"driver\":\"%s\"", (unsigned long long)n->syscalls, driver);
  printf("}\n");
  fflush(stdout);
}

/// What the owner writes meanwhile is read whole, but not all at the same moment.
static inline void add_counters(struct counters* sum, const struct counters* more) {
  sum->requests += __atomic_load_n(&more->requests, __ATOMIC_RELAXED);
  sum->connections += __atomic_load_n(&more->connections, __ATOMIC_RELAXED);
  sum->syscalls += __atomic_load_n(&more->syscalls, __ATOMIC_RELAXED);
}

static inline sigset_t only_sigusr1(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  return set;
}

/// A thread of its own, so that no core is disturbed. Until it is cancelled.
static inline void* print_stats_at_signals(void* all_cores) {
  const struct core* cores = (const struct core*)all_cores;
  const sigset_t set = only_sigusr1();
  for (int signal; sigwait(&set, &signal) == 0;) {
    if (!cores->live) continue;
    struct counters sum = {0, 0, 0};
    for (unsigned i = 0; i < cores->options->cores; ++i) add_counters(&sum, cores[i].live);
    print_stats(&sum, cores->driver);
  }
  return NULL;
}

static inline void* run_core(void* argument) {
  struct core* c = (struct core*)argument;
  pin(c->options, c->index);
  c->serve(c);
  return NULL;
}

/// Runs `serve` on a thread for each core, the first of which is the caller's. Returns the status
/// for main().
static inline int run_server(struct options* o, const char* driver, void (*serve)(struct core*)) {
  pthread_barrier_t all_listen;
  pthread_t at_signals;
  const int signals = open_stop_signals(o);
  const sigset_t sigusr1 = only_sigusr1();
  if (o->stats) sigprocmask(SIG_BLOCK, &sigusr1, NULL);
  struct core* cores = (struct core*)calloc(o->cores, sizeof *cores);
  if (!cores || pthread_barrier_init(&all_listen, NULL, o->cores)) die(o, unexpected, "allocating");
  for (unsigned i = 0; i < o->cores; ++i) {
    struct core* c = &cores[i];
    c->options = o;
    c->driver = driver;
    c->serve = serve;
    c->all_listen = &all_listen;
    c->index = i;
    c->listener = open_listener(o);
    c->signals = signals;
  }
  for (unsigned i = 1; i < o->cores; ++i) {
    errno = pthread_create(&cores[i].thread, NULL, run_core, &cores[i]);
    if (errno) die(o, "ask for fewer --cores", "starting thread %u", i);
  }
  if (o->stats) {
    errno = pthread_create(&at_signals, NULL, print_stats_at_signals, cores);
    if (errno) die(o, "do without --stats", "starting its thread");
  }
  run_core(&cores[0]);  // only now: threads inherit to which CPUs their creator is pinned
  if (o->stats) {
    pthread_cancel(at_signals);
    pthread_join(at_signals, NULL);
  }
  struct counters sum = cores[0].count;
  for (unsigned i = 1; i < o->cores; ++i) {
    pthread_join(cores[i].thread, NULL);
    add_counters(&sum, &cores[i].count);
  }
  free(cores);
  if (o->stats) print_stats(&sum, driver);
  return 0;
}

/// How far the stream of a connection has come under --framed.
struct frame {
  uint32_t at;  // bytes of this message that were taken
  unsigned char head[4];
};

/// Takes the bytes of one message at most, and computes once its head is complete. Returns how many
/// were taken: they are sent back before the next message is looked at. Without --framed it takes
/// all.
static inline size_t take_message(const struct options* o, struct frame* f, const char* data,
                                  size_t bytes) {
  if (o->framed_bytes == 0) return bytes;
  size_t taken = 0;
  while (f->at < sizeof f->head && taken < bytes) {
    f->head[f->at++] = (unsigned char)data[taken++];
    if (f->at < sizeof f->head) continue;
    uint32_t us;
    memcpy(&us, f->head, sizeof us);
    if (us > 0) compute(us);
  }
  const size_t left = o->framed_bytes - f->at;
  const size_t more = left < bytes - taken ? left : bytes - taken;
  f->at = (uint32_t)((f->at + more) % o->framed_bytes);
  return taken + more;
}

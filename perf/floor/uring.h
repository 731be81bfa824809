#pragma once
// The floor for servers on io_uring: the fastest that we know how to write with it by hand, on
// threads that share nothing. Others are measured against it, so it takes part in no abstraction. A
// server includes this file once and says what it answers: opt, room_for() and answer().
//
// Method
//   - SINGLE_ISSUER and DEFER_TASKRUN; the ring's own descriptor is registered. One io_uring_enter
//     per turn submits what the turn queued, and waits; not as one waits for a disk, where the
//     kernel knows the difference.
//   - Multishot accept. Multishot receive into one buffer ring: an idle connection holds no buffer.
//   - Bytes are answered in the buffers they arrived in, all that a turn received on a connection
//     by one send; with MSG_WAITALL, so that the kernel finishes a short send by itself. Sent
//     buffers go back to the ring, all of a turn with one store.
//   - Buffers start one cache line further than their size says: else all heads would compete for
//     the same few sets of the cache.
//
// A connection is a small state machine; settle() looks at its state after each completion and
// queues the operation that is due:
//   - At most one send is in flight; buffers received meanwhile wait in order. It starts at the end
//     of the turn, when all of the turn's bytes are there.
//   - A connection with max_queued buffers unsent is not read further (its peer does not read).
//   - A receive that ends with ENOBUFS is armed again when a buffer has come back.
//   - After the peer's end everything is still sent; then, with nothing in flight, close.

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>

#include "floor.h"

enum { sq_entries = 1024, cq_entries = 8192, max_queued = 16, buffer_group = 0, none = -1 };

// Linux 6.15; younger than liburing 2.3.
enum { enter_no_iowait = 1 << 7, feature_no_iowait = 1 << 17 };

enum op { op_accept, op_receive, op_send, op_signal, op_ignored };

struct connection {
  uint16_t first, last;  // received buffers, unsent or being sent
  uint16_t queued;  // how many
  bool sending;
  bool due;  // listed in `due`: a send starts at the end of the turn
  bool receiving;  // a multishot receive is armed
  bool pausing;  // its cancellation has been asked for
  bool starved;  // waits for a buffer; linked through next_starved
  bool ended;  // nothing more will be received
  bool broken;  // and nothing more can be sent
  uint32_t sent;  // bytes of the queue; less than the first buffer holds, but in on_send()
  uint32_t line_bytes;  // hello.h: of the line whose end has not come
  int next_starved;  // a descriptor
};

/// The arguments of a gathering send. The kernel has read them when io_uring_enter returns
/// (IORING_FEAT_SUBMIT_STABLE), so there is one for each place in the submission queue.
struct gather {
  struct msghdr message;
  struct iovec parts[max_queued];
};

struct buffer {
  uint32_t bytes;
  uint16_t next;
};

static struct options opt;  // the server's, with its defaults
static _Thread_local struct counters count;
static _Thread_local struct io_uring ring;
static _Thread_local unsigned enter_flags;
static _Thread_local struct connection* connections;  // by descriptor
static _Thread_local struct buffer* buffers;  // by buffer id
static _Thread_local struct io_uring_buf_ring* buffer_ring;
static _Thread_local struct gather* gathers;  // sq_entries
static _Thread_local int* due;  // descriptors; at most one entry each
static _Thread_local unsigned due_count;
static _Thread_local char* memory;
static _Thread_local size_t stride;
static _Thread_local unsigned returned;  // buffers added to the ring but not yet published
static _Thread_local unsigned held;  // buffers that connections hold
static _Thread_local int starved_first = none, starved_last = none;
static _Thread_local int listener;
static _Thread_local bool accepting;  // false: out of descriptors, until a connection ends

/// How long the answer to so many bytes may be.
static size_t room_for(size_t bytes);

/// Puts the answer into the place of what was received and returns its length; 0: none yet. Counts
/// the requests.
static uint32_t answer(struct connection* c, char* data, uint32_t bytes);

/// Submits what is queued, and waits for so many completions.
static int enter(unsigned wait) {
  add(&count.syscalls, 1);
  io_uring_smp_store_release(ring.sq.ktail, ring.sq.sqe_tail);
  const unsigned queued = ring.sq.sqe_tail - IO_URING_READ_ONCE(*ring.sq.khead);
  return io_uring_enter2((unsigned)ring.enter_ring_fd, queued, wait,
                         enter_flags | (wait ? IORING_ENTER_GETEVENTS : 0), NULL, _NSIG / 8);
}

static struct io_uring_sqe* next_sqe(enum op op, int fd) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  if (!sqe) {
    enter(0);
    sqe = io_uring_get_sqe(&ring);
    if (!sqe) die(&opt, unexpected, "the submission queue stays full");
  }
  sqe->user_data = (uint64_t)(unsigned)fd << 8 | op;
  return sqe;
}

static char* buffer_at(unsigned id) { return memory + stride * id; }

static void give_back(unsigned id) {
  io_uring_buf_ring_add(buffer_ring, buffer_at(id), opt.buffer_bytes, (unsigned short)id,
                        io_uring_buf_ring_mask(opt.buffers), (int)returned++);
  --held;
}

static void arm_accept(void) {
  io_uring_prep_multishot_accept(next_sqe(op_accept, listener), listener, NULL, NULL, SOCK_CLOEXEC);
  accepting = true;
}

static void arm_receive(int fd, struct connection* c) {
  struct io_uring_sqe* sqe = next_sqe(op_receive, fd);
  io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = buffer_group;
  c->receiving = true;
}

static void pause_receive(int fd, struct connection* c) {
  io_uring_prep_cancel64(next_sqe(op_ignored, fd), (uint64_t)(unsigned)fd << 8 | op_receive, 0);
  c->pausing = true;
}

/// Sends all that is queued, or the first max_queued buffers of it.
static void start_send(int fd, struct connection* c) {
  struct io_uring_sqe* sqe = next_sqe(op_send, fd);
  const int flags = MSG_WAITALL | MSG_NOSIGNAL;
  c->sending = true;
  if (c->queued == 1) {
    io_uring_prep_send(sqe, fd, buffer_at(c->first) + c->sent, buffers[c->first].bytes - c->sent,
                       flags);
    return;
  }
  struct gather* g = &gathers[sqe - ring.sq.sqes];
  unsigned n = 0;
  for (uint16_t id = c->first; n < c->queued && n < max_queued; id = buffers[id].next, ++n)
    g->parts[n] = (struct iovec){.iov_base = buffer_at(id), .iov_len = buffers[id].bytes};
  g->parts[0].iov_base = (char*)g->parts[0].iov_base + c->sent;
  g->parts[0].iov_len -= c->sent;
  g->message = (struct msghdr){.msg_iov = g->parts, .msg_iovlen = n};
  io_uring_prep_sendmsg(sqe, fd, &g->message, (unsigned)flags);
}

static void start_due_sends(void) {
  for (unsigned i = 0; i < due_count; ++i) {
    struct connection* c = &connections[due[i]];
    c->due = false;
    start_send(due[i], c);
  }
  due_count = 0;
}

static void end_connection(int fd, struct connection* c) {
  struct io_uring_sqe* sqe = next_sqe(op_ignored, fd);
  io_uring_prep_close(sqe, fd);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  *c = (struct connection){0};  // the number may come back with the next accept
  if (!accepting) arm_accept();
}

static void push(struct connection* c, uint16_t id, uint32_t bytes) {
  buffers[id].bytes = bytes;
  if (c->queued++ == 0) {
    c->first = id;
  } else {
    buffers[c->last].next = id;
  }
  c->last = id;
}

static void pop(struct connection* c) {
  const uint16_t id = c->first;
  c->first = buffers[id].next;
  --c->queued;
  give_back(id);
}

static void starve(int fd, struct connection* c) {
  c->starved = true;
  c->next_starved = none;
  if (starved_first == none) {
    starved_first = fd;
  } else {
    connections[starved_last].next_starved = fd;
  }
  starved_last = fd;
}

/// Queues the operation that the state of the connection makes due.
static void settle(int fd, struct connection* c) {
  if (c->queued > 0 && !c->sending && !c->due) {
    due[due_count++] = fd;
    c->due = true;
  }
  if (c->receiving) {
    if (c->queued >= max_queued && !c->pausing) pause_receive(fd, c);
  } else if (c->ended) {
    if (c->queued == 0 && !c->starved) end_connection(fd, c);  // a starved one is in the list
  } else if (c->queued < max_queued / 2 && !c->starved) {
    arm_receive(fd, c);
  }
}

/// Lets as many connections go on as there are buffers. Others' bytes may take them first; then the
/// receive ends with ENOBUFS once more.
static void feed_starved(void) {
  for (unsigned free = opt.buffers - held; free > 0 && starved_first != none; --free) {
    const int fd = starved_first;
    struct connection* c = &connections[fd];
    starved_first = c->next_starved;
    c->starved = false;
    settle(fd, c);
  }
}

static void on_accept(int result, bool more) {
  if (result >= 0) {
    add(&count.connections, 1);
    arm_receive(result, &connections[result]);
  }
  if (more) return;
  accepting = false;
  if (result == -EMFILE || result == -ENFILE) {
    say_out_of_descriptors(&opt);
  } else {
    arm_accept();
  }
}

static void on_receive(int fd, int result, uint32_t flags) {
  struct connection* c = &connections[fd];
  if (!(flags & IORING_CQE_F_MORE)) c->receiving = c->pausing = false;
  if (flags & IORING_CQE_F_BUFFER) {
    const uint16_t id = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
    ++held;
    const uint32_t bytes =
        result > 0 && !c->broken ? answer(c, buffer_at(id), (uint32_t)result) : 0;
    if (bytes > 0) {
      push(c, id, bytes);
    } else {
      give_back(id);
    }
  }
  if (result == -ENOBUFS) {
    starve(fd, c);
  } else if (result <= 0 && result != -ECANCELED) {
    c->ended = true;
  }
  settle(fd, c);
}

static void on_send(int fd, int result) {
  struct connection* c = &connections[fd];
  c->sending = false;
  if (result < 0) {
    c->ended = c->broken = true;
    while (c->queued > 0) pop(c);
    if (c->receiving) {
      add(&count.syscalls, 1);
      shutdown(fd, SHUT_RDWR);  // ends the receive
    }
  } else {
    c->sent += (uint32_t)result;
    for (uint32_t bytes; c->queued > 0 && c->sent >= (bytes = buffers[c->first].bytes); pop(c))
      c->sent -= bytes;
  }
  settle(fd, c);
}

static void open_ring(void) {
  struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                            IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                                            IORING_SETUP_CQSIZE,
                                   .cq_entries = cq_entries};
  const char* now =
      "this floor needs Linux 6.1 or later, and io_uring allowed; epoll_echo does not";
  errno = -io_uring_queue_init_params(sq_entries, &ring, &params);
  if (errno) die(&opt, now, "io_uring_setup");
  for (unsigned i = 0; i < ring.sq.ring_entries; ++i) ring.sq.array[i] = i;  // for enter()
  if (io_uring_register_ring_fd(&ring) == 1) enter_flags = IORING_ENTER_REGISTERED_RING;
  if (ring.features & feature_no_iowait) enter_flags |= enter_no_iowait;

  stride = (room_for(opt.buffer_bytes) + 127) & ~(size_t)63;
  const size_t bytes = stride * opt.buffers;
  memory = aligned_alloc(1 << 21, (bytes + (1 << 21) - 1) & ~(size_t)((1 << 21) - 1));
  const size_t ring_bytes = opt.buffers * sizeof(struct io_uring_buf);
  buffer_ring = aligned_alloc(4096, (ring_bytes + 4095) & ~(size_t)4095);
  buffers = calloc(opt.buffers, sizeof *buffers);
  if (!memory || !buffer_ring || !buffers) die(&opt, "ask for fewer --buffers", "allocating");
  madvise(memory, bytes, MADV_HUGEPAGE);
  memset(memory, 0, bytes);  // its page faults come before the first request

  struct io_uring_buf_reg reg = {
      .ring_addr = (uintptr_t)buffer_ring, .ring_entries = opt.buffers, .bgid = buffer_group};
  errno = -io_uring_register_buf_ring(&ring, &reg, 0);
  if (errno) die(&opt, now, "registering the buffer ring");
  io_uring_buf_ring_init(buffer_ring);
  held = opt.buffers;
  for (unsigned id = 0; id < opt.buffers; ++id) give_back(id);
}

static void serve_core(struct core* c) {
  const unsigned descriptors = raise_descriptor_limit(&opt);
  connections = calloc(descriptors, sizeof *connections);
  due = calloc(descriptors, sizeof *due);
  gathers = calloc(sq_entries, sizeof *gathers);
  if (!connections || !due || !gathers) die(&opt, unexpected, "allocating");
  listener = c->listener;
  fcntl(listener, F_SETFL, 0);  // or an accept that must wait would fail with EAGAIN
  open_ring();
  io_uring_prep_poll_add(next_sqe(op_signal, c->signals), c->signals, POLLIN);
  arm_accept();
  c->live = &count;
  say_listening(c);

  for (bool stop = false; !stop;) {
    start_due_sends();
    if (returned) {
      io_uring_buf_ring_advance(buffer_ring, (int)returned);
      returned = 0;
    }
    if (starved_first != none) feed_starved();
    const int result = enter(1);
    if (result < 0 && result != -EINTR) {
      errno = -result;
      die(&opt, unexpected, "io_uring_enter");
    }
    struct io_uring_cqe* cqe;
    unsigned head, seen = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
      const int fd = (int)(cqe->user_data >> 8);
      switch ((enum op)(cqe->user_data & 255)) {
        case op_receive: on_receive(fd, cqe->res, cqe->flags); break;
        case op_send: on_send(fd, cqe->res); break;
        case op_accept: on_accept(cqe->res, cqe->flags & IORING_CQE_F_MORE); break;
        case op_signal: stop = true; break;
        case op_ignored: break;
      }
      ++seen;
    }
    io_uring_cq_advance(&ring, seen);
  }
  c->count = count;
}

static int run_uring_server(int argc, char** argv) {
  parse_options(&opt, argc, argv);
  if (opt.framed_bytes > 0) {
    fprintf(stderr, "%s: --framed is not supported\n  now: epoll_echo has it\n", opt.name);
    return 1;
  }
  return run_server(&opt, "uring", serve_core);
}

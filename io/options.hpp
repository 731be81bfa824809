#pragma once
// What a core waits with, and how much memory it keeps for that.

namespace corespun {

enum class backend { automatic, uring, epoll };

struct io_options {
  io_options() {}

  /// automatic: io_uring where this process may use it, else epoll. The environment variable
  /// CORESPUN_DRIVER (uring, epoll or auto) overrides this.
  backend driver = backend::automatic;

  /// Submission slots of a ring, a power of two; the completion side has four times as many. More
  /// operations than this may be in flight: the ring bounds what is handed over in one loop turn.
  unsigned ring_entries = 1024;

  /// Buffers per core from which recv() leases. Small ones serve messages, large ones are used by
  /// streams whose messages fill the small ones: as many as such streams may have data in one turn
  /// of the loop. Counts are powers of two, at most 32768. Memory is touched only when used.
  unsigned small_buffers = 1024;
  unsigned small_buffer_bytes = 4096;
  unsigned large_buffers = 256;
  unsigned large_buffer_bytes = 65536;

  /// Slots per core for accepted connections that are no descriptors of the process (io_uring
  /// only), at most RLIMIT_NOFILE; 0: ordinary descriptors. Such streams have no native_handle()
  /// and no socket options.
  unsigned direct_descriptors = 0;

  /// Each core has a file table of its own (unshare(2), CLONE_FILES), and so as many descriptors as
  /// RLIMIT_NOFILE allows. Descriptors then stay with the core that opened them: connections do not
  /// move, other threads do not know their numbers, and there is one listener on a Unix path, on
  /// one core. What the process had open when the runtime started stays open in the tables until it
  /// ends, whoever closes it. On epoll, no regular files. For a process that is a server and
  /// nothing else: adopt only what this core has opened, and let tasks wake no I/O runtime that was
  /// started later, whose descriptors have other numbers here. Errors: EPERM where a container's
  /// filter refuses it; the runtime does not start.
  bool file_table_per_core = false;
};

}  // namespace corespun

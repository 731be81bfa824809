#pragma once
// Memory for coroutine frames and spawned tasks: free lists by size class, one set per core, filled
// from mimalloc.
//
// A frame may be released on another core than it came from; it then joins that core's list. Lists
// are bounded and give their surplus back, so a pipeline that allocates here and frees there does
// not grow. Under sanitizers all of it is malloc, so that a use after free is seen.
//
// Threads: any. Outside of a core there is no list, only the allocator below it.

#include <cstddef>

namespace corespun::detail {

/// Throws std::bad_alloc.
[[nodiscard]] void* allocate_frame(std::size_t bytes);
void release_frame(void* memory, std::size_t bytes) noexcept;

/// How many blocks this thread has taken from the allocator below the free lists since it started.
[[nodiscard]] std::size_t frames_from_below() noexcept;

/// For tests: while set, the lists keep nothing, and a block for which `refuses` is true is
/// std::bad_alloc; nullptr: as usual. Only while no core runs.
void refuse_frames(bool (*refuses)() noexcept) noexcept;

/// Whether this thread keeps what it releases: it is a core's.
void keep_free_frames(bool keep) noexcept;

/// Gives all lists of this thread back, and keeps no more; a core does it when its thread ends.
void release_free_frames() noexcept;

}  // namespace corespun::detail

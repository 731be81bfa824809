#pragma once
// liburing, through one door: its header brings macros that break others, and it is older than the
// kernels we run on.

#include <liburing.h>

#undef BLOCK_SIZE  // from <linux/fs.h>

namespace corespun::detail {

// Younger than liburing 2.3; each is probed before it is used.
inline constexpr unsigned enter_no_iowait = 1U << 7;      // IORING_ENTER_NO_IOWAIT, Linux 6.15
inline constexpr unsigned feature_no_iowait = 1U << 17;   // IORING_FEAT_NO_IOWAIT

}  // namespace corespun::detail

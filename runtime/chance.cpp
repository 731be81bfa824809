#include <corespun/runtime/chance.hpp>

#include <algorithm>

namespace corespun::sim {

std::uint32_t seeded::choose(std::uint32_t n, site) noexcept {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return static_cast<std::uint32_t>((z >> 32) * n >> 32);
}

std::uint32_t replayed::choose(std::uint32_t n, site) noexcept {
  return at_ < choices_.size() ? std::min(choices_[at_++], n - 1) : 0;
}

std::uint32_t exhaustive::choose(std::uint32_t n, site where) {
  if (where == site::preemption && preempted_ == bound_) return 0;
  if (depth_ == path_.size()) path_.push_back({0, n});
  const std::uint32_t taken = std::min(path_[depth_++].taken, n - 1);
  if (where == site::preemption && taken != 0) ++preempted_;
  return taken;
}

bool exhaustive::next() {
  depth_ = 0;
  preempted_ = 0;
  while (!path_.empty() && path_.back().taken + 1 == path_.back().of) path_.pop_back();
  if (path_.empty()) return false;
  ++path_.back().taken;
  return true;
}

}  // namespace corespun::sim

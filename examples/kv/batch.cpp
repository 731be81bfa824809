#include "batch.hpp"

#include "text.hpp"

#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

namespace kv {

namespace {

std::size_t distance_of_keys(const command& what) { return what.keys == keys::all ? 1 : 2; }

/// Takes a line off a reply, without its end.
std::string_view take_line(std::string_view& reply) {
  const std::string_view line = reply.substr(0, reply.find('\r'));
  reply.remove_prefix(line.size() + 2);
  return line;
}

/// Takes a bulk string or a null off a reply.
std::string_view take_element(std::string_view& reply) {
  std::string_view rest = reply;
  const auto size = to_integer(take_line(rest).substr(1));
  if (size && *size >= 0) rest.remove_prefix(static_cast<std::size_t>(*size) + 2);
  const std::string_view element = reply.substr(0, reply.size() - rest.size());
  reply = rest;
  return element;
}

void run_share(shard& there, share& mine, unsigned cores) {
  there.begin();
  mine.execute(there.data, cores);
  there.end();
}

corespun::task<> run_on(corespun::sharded<shard>& shards, unsigned core, share& mine) {
  const auto cores = corespun::this_core::count();
  const auto carry_out = [&mine, cores](shard& there) { run_share(there, mine, cores); };
  auto call = shards.on(core, carry_out);
  co_await std::move(call);
}

}  // namespace

void batch::add(const command& what, int protocol, arguments words, const key& first) {
  if (what.keys != keys::first) return add_parts(what, protocol, words);
  shares_[first.core()].add(what, protocol, words, first);
  requests_.push_back({&what, first.core(), 0});
}

void batch::add_parts(const command& what, int protocol, arguments words) {
  const std::size_t step = distance_of_keys(what);
  request r{&what, 0, owners_.size()};
  for (std::size_t i = 1; i < words.size(); i += step) {
    const key k = locate(words[i], static_cast<unsigned>(shares_.size()));
    share& owner = shares_[k.core()];
    const auto others = std::span(owners_).subspan(r.owners);
    if (std::ranges::find(others, k.core()) == others.end()) {
      owner.add(what, protocol, words.first(1), k);
    }
    owner.extend(words.subspan(i, step));
    owners_.push_back(k.core());
    ++r.keys;
  }
  requests_.push_back(r);
}

corespun::task<> batch::execute(corespun::sharded<shard>& shards) {
  const unsigned here = corespun::this_core::index();
  std::vector<corespun::task<>> elsewhere;
  for (unsigned core = 0; core < shares_.size(); ++core) {
    if (core != here && !shares_[core].empty()) {
      elsewhere.push_back(run_on(shards, core, shares_[core]));
    }
  }
  if (!shares_[here].empty()) {
    run_share(shards.local(), shares_[here], static_cast<unsigned>(shares_.size()));
  }
  if (elsewhere.size() == 1) {
    co_await std::move(elsewhere.front());
  } else if (!elsewhere.empty()) {
    auto all = corespun::when_all(std::move(elsewhere));
    co_await std::move(all);
  }
}

void batch::join(std::string& out) {
  for (const request& r : requests_) {
    if (r.keys == 0) {
      out += shares_[r.core].take_reply();
    } else {
      join_parts(r, out);
    }
  }
  for (share& s : shares_) s.clear();
  requests_.clear();
  owners_.clear();
}

std::size_t batch::held_bytes() const {
  std::size_t bytes =
      requests_.capacity() * sizeof(request) + owners_.capacity() * sizeof(unsigned);
  for (const share& s : shares_) bytes += s.held_bytes();
  return bytes;
}

void batch::join_parts(const request& r, std::string& out) {
  const auto owners = std::span(owners_).subspan(r.owners, r.keys);
  parts_.assign(shares_.size(), {});
  std::int64_t sum = 0;
  std::string_view any;
  std::string_view error;
  for (const unsigned core : owners) {
    std::string_view& part = parts_[core];
    if (!part.empty()) continue;
    any = part = shares_[core].take_reply();
    if (part.starts_with('-')) error = part;
    if (r.what->joined == joined::elements) (void)take_line(part);
    if (r.what->joined == joined::sum) {
      std::string_view text = part;
      sum += to_integer(take_line(text).substr(1)).value_or(0);
    }
  }
  constexpr int either = 2;  // arrays and numbers look the same in both
  reply_writer reply(out, either);
  if (!error.empty()) return reply.raw(error);
  switch (r.what->joined) {
    case joined::never: break;
    case joined::any: return reply.raw(any);
    case joined::sum: return reply.integer(sum);
    case joined::elements:
      reply.array(owners.size());
      for (const unsigned core : owners) reply.raw(take_element(parts_[core]));
  }
}

}  // namespace kv

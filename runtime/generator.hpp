#pragma once
// generator<T>: a range whose elements a coroutine makes, one at a time, when they are asked for.
//
//   generator<int> countdown(int from) {
//     while (from > 0) co_yield from--;
//   }
//   for (int n : countdown(3)) …                    // 3 2 1
//   for (int n : countdown(9) | std::views::take(2)) …
//
// The template parameters mean what they mean in std::generator of C++23:
//   generator<int>                  elements are int&&, to be moved from
//   generator<const std::string&>   elements are const std::string&: nothing is copied
//   generator<Ref, Value>           for ranges whose reference is a proxy
//   generator<Ref, Value, Alloc>    its frame from Alloc; given as f(std::allocator_arg, alloc, …),
//                                   or made by its default constructor
//
// Invariants
//   - Lazy: nothing runs before the first element is asked for; a file that the body opens is
//     opened then.
//   - An element lives until the next one is asked for. What is yielded by reference is not copied.
//   - co_yield elements_of(range) yields all elements of a range or of another generator. From
//     nested generators each element costs the same, however deep they are; so does their end, an
//     exception, and their destruction: nothing recurses.
//   - One that was moved from, also into elements_of(), has no elements.
//   - An exception of the body is thrown to who asks for the element; the generator has ended then.
//     In nested ones it goes through the co_yield elements_of() of those around.
//   - Destroyed half way, it destroys its frames from the innermost outwards; destructors run.
//   - It cannot co_await: that is refused by the compiler. async_generator can.
//   - Arguments are those of a coroutine: references must outlive the generator, and so must a
//     lambda that is one.
// A view, so ranges compose; move-only, input only. begin() goes on to the next element, so a
// second loop continues where the first one, or next(), has stopped.
// Cost: that of an iterator written by hand, where clang at -O2 inlines the generator and its
// elements are small values (perf/yields); else a call per element, and one allocation.
// Threads: one at a time.
// The method of elements_of, the innermost resumed directly, is that of recursive_generator
// (Lewis Baker's cppcoro) and of P2502.

#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/detail/inside.hpp>

#include <coroutine>
#include <cstddef>
#include <iterator>
#include <memory>
#include <new>
#include <ranges>
#include <type_traits>
#include <utility>

namespace corespun {

template <typename Ref, typename Value = void, typename Alloc = void>
class generator;

/// co_yield elements_of(range): all its elements.
template <typename Range>
class elements_of {
 public:
  explicit elements_of(Range&& all) noexcept : range(std::forward<Range>(all)) {}
  Range&& range;
};
template <typename Range>
elements_of(Range&&) -> elements_of<Range>;

namespace detail {

/// The memory of frames: from the lists of the cores, or from an allocator.
template <typename Alloc>
class frame_from {
  struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) block {
    std::byte bytes[__STDCPP_DEFAULT_NEW_ALIGNMENT__];
  };
  using allocator = typename std::allocator_traits<Alloc>::template rebind_alloc<block>;
  using traits = std::allocator_traits<allocator>;
  static_assert(std::is_pointer_v<typename traits::pointer>, "Alloc must use plain pointers");
  static_assert(alignof(allocator) <= alignof(block));

  [[nodiscard]] static constexpr std::size_t blocks(std::size_t bytes) noexcept {
    return (bytes + sizeof(block) - 1) / sizeof(block);
  }
  [[nodiscard]] static void* take(allocator from, std::size_t bytes) {
    const std::size_t frame = blocks(bytes);
    block* const memory = traits::allocate(from, frame + blocks(sizeof(allocator)));
    ::new (static_cast<void*>(memory + frame)) allocator(std::move(from));
    return memory;
  }

 public:
  static void* operator new(std::size_t bytes)
    requires std::is_default_constructible_v<allocator>
  {
    return take(allocator(), bytes);
  }
  template <typename... Args>
  static void* operator new(std::size_t bytes, std::allocator_arg_t, const Alloc& from,
                            const Args&...) {
    return take(allocator(from), bytes);
  }
  template <typename This, typename... Args>
  static void* operator new(std::size_t bytes, const This&, std::allocator_arg_t, const Alloc& from,
                            const Args&...) {
    return take(allocator(from), bytes);
  }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    block* const first = static_cast<block*>(memory);
    const std::size_t frame = blocks(bytes);
    allocator* const kept = std::launder(reinterpret_cast<allocator*>(first + frame));
    allocator from(std::move(*kept));
    kept->~allocator();
    traits::deallocate(from, first, frame + blocks(sizeof(allocator)));
  }
};
template <>
class frame_from<void> {
 public:
  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    release_frame(memory, bytes);
  }
};

/// Of the generators that yield the same, and so can be inside of each other. Yielded: a reference.
template <typename Yielded>
struct generator_promise {
  using handle = std::coroutine_handle<generator_promise>;
  handle inner{};
  inside<generator_promise>* within = nullptr;
  passed<Yielded> yielded;

  /// The one that was asked is the outermost.
  [[nodiscard]] auto* last() noexcept {
    return inner ? inner.promise().yielded.get() : yielded.get();
  }
  [[nodiscard]] passed<Yielded>& element() noexcept { return yielded; }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  std::suspend_always final_suspend() const noexcept { return {}; }
  // of a co_yield
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
  void unhandled_exception() { throw_on(); }
  void return_void() const noexcept {}
  void await_transform() = delete;  // a generator cannot co_await: use async_generator
};

}  // namespace detail

template <typename Ref, typename Value, typename Alloc>
class [[nodiscard]] generator : public std::ranges::view_interface<generator<Ref, Value, Alloc>> {
  using value = std::conditional_t<std::is_void_v<Value>, std::remove_cvref_t<Ref>, Value>;
  using reference = std::conditional_t<std::is_void_v<Value>, Ref&&, Ref>;
  static_assert(std::is_object_v<value> && std::is_same_v<std::remove_cv_t<value>, value>,
                "generator<Ref, Value>: Value is an object type without const");

 public:
  /// What co_yield takes, as a reference.
  using yielded = std::conditional_t<std::is_reference_v<reference>, reference, const reference&>;

  class promise_type;
  class iterator;

  generator(generator&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  generator& operator=(generator&& other) noexcept {
    generator old(std::exchange(frame_, std::exchange(other.frame_, nullptr)));
    return *this;
  }
  [[gnu::always_inline]] ~generator() {
    if (frame_) detail::destroy_all(frame_);
  }

  /// The next element, or nullptr at the end. It lives until the next one is asked for.
  [[nodiscard]] std::add_pointer_t<yielded> next() {
    const handle frame = frame_;  // the body may move this object
    if (!frame || frame.done()) return nullptr;
    detail::go_on(frame);
    return frame.done() ? nullptr : frame.promise().last();
  }

  [[nodiscard]] iterator begin() {
    if (frame_ && !frame_.done()) detail::go_on(frame_);
    return iterator(frame_);
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  template <typename R, typename V, typename A>
  friend class generator;
  using handle = typename detail::generator_promise<yielded>::handle;
  explicit generator(handle frame) noexcept : frame_(frame) {}

  handle frame_;
};

template <typename Ref, typename Value, typename Alloc>
class generator<Ref, Value, Alloc>::iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = value;
  using difference_type = std::ptrdiff_t;

  iterator(iterator&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  iterator& operator=(iterator&& other) noexcept {
    frame_ = std::exchange(other.frame_, nullptr);
    return *this;
  }

  [[nodiscard]] reference operator*() const
      noexcept(std::is_reference_v<reference> || std::is_nothrow_copy_constructible_v<reference>) {
    return static_cast<reference>(*frame_.promise().last());
  }
  iterator& operator++() {
    detail::go_on(frame_);
    return *this;
  }
  void operator++(int) { detail::go_on(frame_); }
  friend bool operator==(const iterator& i, std::default_sentinel_t) noexcept {
    return !i.frame_ || i.frame_.done();
  }

 private:
  friend generator;
  explicit iterator(handle frame) noexcept : frame_(frame) {}
  handle frame_;
};

template <typename Ref, typename Value, typename Alloc>
class generator<Ref, Value, Alloc>::promise_type
    : public detail::yields_elements<detail::generator_promise<yielded>, yielded>,
      public detail::frame_from<Alloc> {
  using base = detail::generator_promise<yielded>;
  using inside = detail::inside<base>;

  /// Any range as a generator.
  template <typename Begin, typename End>
  static generator<yielded, value> each(Begin at, End end) {
    for (; at != end; ++at) co_yield *at;
  }

 public:
  generator get_return_object() noexcept { return generator(base::handle::from_promise(*this)); }

  using detail::yields_elements<base, yielded>::yield_value;

  template <typename R, typename V, typename A>
    requires std::is_same_v<typename generator<R, V, A>::yielded, yielded>
  inside yield_value(elements_of<generator<R, V, A>> all) noexcept {
    return inside(std::exchange(all.range.frame_, nullptr));
  }
  template <typename R, typename V, typename A>
    requires std::is_same_v<typename generator<R, V, A>::yielded, yielded>
  inside yield_value(elements_of<generator<R, V, A>&> all) noexcept {
    return inside(std::exchange(all.range.frame_, nullptr));
  }
  template <std::ranges::input_range R>
    requires(std::is_convertible_v<std::ranges::range_reference_t<R>, yielded> ||
             (std::is_rvalue_reference_v<yielded> &&
              std::is_convertible_v<std::ranges::range_reference_t<R>,
                                    const std::remove_cvref_t<yielded>&>))
  inside yield_value(elements_of<R> all) {
    auto inner = each(std::ranges::begin(all.range), std::ranges::end(all.range));
    return inside(std::exchange(inner.frame_, nullptr));
  }
};

}  // namespace corespun

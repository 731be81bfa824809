// in_a_thread: a coroutine that runs in another thread. Who sends to it sends to one that stands
// for it here and puts all into a queue: values, what is thrown in, and the end. What it throws
// over there comes back with the end.

#include <corespun/runtime/coroutine.hpp>

#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <queue>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>

using namespace corespun;

using sink = coroutine<void, std::string>;

struct end {};
using message = std::variant<std::string, std::exception_ptr, end>;

class message_queue {
 public:
  void put(message m) {
    const std::lock_guard hold(lock_);
    messages_.push(std::move(m));
    not_empty_.notify_one();
  }
  message take() {
    std::unique_lock hold(lock_);
    not_empty_.wait(hold, [&] { return !messages_.empty(); });
    message m = std::move(messages_.front());
    messages_.pop();
    return m;
  }

 private:
  std::mutex lock_;
  std::condition_variable not_empty_;
  std::queue<message> messages_;
};

/// The other thread.
void run(sink target, message_queue& from, std::exception_ptr& failed) {
  try {
    target.next();
    while (true) {
      message m = from.take();
      if (auto* text = std::get_if<std::string>(&m)) target.send(std::move(*text));
      if (auto* error = std::get_if<std::exception_ptr>(&m)) target.throw_in(std::move(*error));
      if (std::holds_alternative<end>(m)) return target.close();
    }
  } catch (...) {
    failed = std::current_exception();
  }
}

/// Closed, it waits for the end of the thread; `failed` is set by then.
sink in_a_thread(sink target, std::exception_ptr& failed) {
  message_queue messages;
  const std::jthread thread(run, std::move(target), std::ref(messages), std::ref(failed));
  const auto put_end = [&] { messages.put(end()); };
  const auto guard = co_await on_close(put_end);
  while (true) {
    std::exception_ptr error;
    try {
      std::string text = co_yield {};
      messages.put(std::move(text));
      continue;
    } catch (...) {
      error = std::current_exception();
    }
    messages.put(std::move(error));  // here nobody holds it any more
  }
}

sink print(std::thread::id made_in) {
  const auto say_so = [] { std::printf("closed\n"); };
  const auto guard = co_await on_close(say_so);
  std::printf("%s\n", std::this_thread::get_id() == made_in ? "same thread" : "another thread");
  while (true) {
    try {
      const std::string text = co_yield {};
      if (text.empty()) throw std::runtime_error("an empty text");
      std::printf("printed: %s\n", text.c_str());
    } catch (const std::invalid_argument& e) {
      std::printf("handled: %s\n", e.what());
    }
  }
}

void show(const std::exception_ptr& failed) {
  try {
    if (failed) std::rethrow_exception(failed);
    std::printf("ended well\n");
  } catch (const std::exception& e) {
    std::printf("failed: %s\n", e.what());
  }
}

int main() {
  std::exception_ptr failed;
  auto first = started(in_a_thread(print(std::this_thread::get_id()), failed));
  first.send("one");
  auto error = std::make_exception_ptr(std::invalid_argument("thrown in"));
  first.throw_in(std::move(error));  // it goes to the other thread, all of it
  first.send("two");
  first.close();
  show(failed);

  auto second = started(in_a_thread(print(std::this_thread::get_id()), failed));
  second.send("three");
  second.send("");
  second.close();
  show(failed);
}

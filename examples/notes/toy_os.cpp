// toy_os: how an operating system runs many programs on one processor, rebuilt on coroutine<>. It
// teaches how it works; corespun's tasks, scopes and streams do all of it.
//
// A program is a coroutine. What it yields is a system call; what it is sent is the answer. Nothing
// interrupts it in between. The system keeps in a queue who is ready, and carries out the calls.
//
// Programs call subroutines that make system calls: co_await delegate(subroutine()). Where
// coroutines cannot delegate, the system keeps a stack for each program, pushes what it calls and
// pops what has returned (a trampoline). Here the frames are that stack: the outermost one knows
// the innermost, which goes on directly, and at its end the one around it does.

#include <corespun/runtime/coroutine.hpp>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <system_error>
#include <vector>

using namespace corespun;

class toy_os;
using system_call = std::move_only_function<void(toy_os*, int caller)>;
template <typename Ret>
using routine = coroutine<system_call, int, Ret>;
using program = routine<void>;

class toy_os {
 public:
  int start(program p) {
    programs_.emplace(++last_id_, process(std::move(p)));
    ready_.push_back(last_id_);
    return last_id_;
  }

  /// Until none can go on.
  void run() {
    while (!ready_.empty() || !polled_.empty()) {
      poll_descriptors(ready_.empty() ? -1 : 0);
      for (std::size_t n = ready_.size(); n > 0; --n) {
        const int id = ready_.front();
        ready_.pop_front();
        if (const auto at = programs_.find(id); at != programs_.end()) step(id, at->second);
      }
    }
  }

  // For the system calls.

  void answer(int id, int value) {
    const auto at = programs_.find(id);
    if (at == programs_.end()) return;
    at->second.answer = value;
    ready_.push_back(id);
  }
  bool kill(int id) {
    const bool exists = programs_.erase(id) > 0;  // its frames, and what they hold
    if (exists) wake_who_wait_for(id);
    std::erase_if(polled_, [&](const polled& p) { return p.caller == id; });
    return exists;
  }
  void answer_at_end_of(int id, int caller) {
    if (programs_.contains(id)) {
      waiting_.emplace(id, caller);
    } else {
      answer(caller, false);
    }
  }
  void answer_when(int descriptor, short events, int caller) {
    polled_.push_back({{descriptor, events, 0}, caller});
  }

 private:
  struct process {
    explicit process(program p) : code(std::move(p)) {}
    program code;
    int answer = 0;
  };
  struct polled {
    pollfd descriptor;
    int caller;
  };

  void step(int id, process& p) {
    const bool is_new = p.code.state() == coroutine_state::created;
    system_call* const yielded = is_new ? p.code.next() : p.code.send(p.answer);
    if (yielded == nullptr) {
      programs_.erase(id);
      wake_who_wait_for(id);
    } else {
      system_call call = std::move(*yielded);  // a program may kill itself
      call(this, id);
    }
  }
  void wake_who_wait_for(int id) {
    const auto [first, last] = waiting_.equal_range(id);
    for (auto at = first; at != last; ++at) answer(at->second, true);
    waiting_.erase(first, last);
  }
  void poll_descriptors(int timeout) {
    std::vector<pollfd> all;
    for (const polled& p : polled_) all.push_back(p.descriptor);
    ::poll(all.data(), all.size(), timeout);
    std::vector<polled> before;
    before.swap(polled_);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].revents != 0) {
        answer(before[i].caller, 0);
      } else {
        polled_.push_back(before[i]);
      }
    }
  }

  int last_id_ = 0;
  std::map<int, process> programs_;
  std::deque<int> ready_;
  std::multimap<int, int> waiting_;  // for the end of whom: who
  std::vector<polled> polled_;
};

// --- System calls: const int answer = co_yield call(…) ---

system_call yield_processor() {
  return [](toy_os* os, int caller) { os->answer(caller, 0); };
}
system_call get_id() {
  return [](toy_os* os, int caller) { os->answer(caller, caller); };
}
system_call new_program(program p) {
  return [p = std::move(p)](toy_os* os, int caller) mutable {
    os->answer(caller, os->start(std::move(p)));
  };
}
system_call kill(int id) {
  return [id](toy_os* os, int caller) { os->answer(caller, os->kill(id)); };
}
system_call wait_for(int id) {
  return [id](toy_os* os, int caller) { os->answer_at_end_of(id, caller); };
}
system_call wait_until(int descriptor, short events) {
  return [=](toy_os* os, int caller) { os->answer_when(descriptor, events, caller); };
}

// --- Subroutines that programs call ---

int checked(ssize_t outcome, const char* what) {
  if (outcome < 0) throw std::system_error(errno, std::generic_category(), what);
  return static_cast<int>(outcome);
}

/// Closed with the frame that holds it, so also when a program is killed.
class tcp_socket {
 public:
  explicit tcp_socket(int number) noexcept : number_(number) {}
  tcp_socket() : tcp_socket(checked(::socket(AF_INET, SOCK_STREAM, 0), "socket")) {}
  tcp_socket(tcp_socket&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  ~tcp_socket() {
    if (number_ >= 0) ::close(number_);
  }
  operator int() const noexcept { return number_; }

 private:
  int number_;
};

std::string receive_now(int from) {
  std::array<char, 1024> block;
  const int bytes = checked(::recv(from, block.data(), block.size(), MSG_DONTWAIT), "recv");
  return {block.data(), static_cast<std::size_t>(bytes)};
}

routine<tcp_socket> accept(int listener) {
  co_yield wait_until(listener, POLLIN);
  co_return tcp_socket(checked(::accept(listener, nullptr, nullptr), "accept"));
}
routine<std::string> receive(int from) {
  co_yield wait_until(from, POLLIN);
  co_return receive_now(from);
}
program send(int to, std::string text) {
  while (!text.empty()) {
    co_yield wait_until(to, POLLOUT);
    const ssize_t sent = ::send(to, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    text.erase(0, static_cast<std::size_t>(checked(sent, "send")));
  }
}

tcp_socket listen_on_loopback(sockaddr_in& at) {
  tcp_socket s;
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const address = reinterpret_cast<sockaddr*>(&at);
  socklen_t size = sizeof at;
  checked(::bind(s, address, size), "bind");
  checked(::getsockname(s, address, &size), "getsockname");
  checked(::listen(s, 5), "listen");
  return s;
}
tcp_socket connect_to(const sockaddr_in& server) {
  tcp_socket s;
  checked(::connect(s, reinterpret_cast<const sockaddr*>(&server), sizeof server), "connect");
  return s;
}

// --- Programs ---

program count(std::string name, int times) {
  const int id = co_yield get_id();
  for (int i = 1; i <= times; ++i) {
    std::printf("program %d, %s: %d\n", id, name.c_str(), i);
    co_yield yield_processor();
  }
}

program count_for_ever(long& turns) {
  for (;; ++turns) co_yield yield_processor();
}

program echo(tcp_socket client) {
  while (true) {
    std::string text = co_await delegate(receive(client));
    if (text.empty()) break;
    co_await delegate(send(client, std::move(text)));
  }
}

program echo_server(tcp_socket listener) {
  while (true) {
    tcp_socket client = co_await delegate(accept(listener));
    co_yield new_program(echo(std::move(client)));
  }
}

program silent_client(sockaddr_in server) {
  const tcp_socket s = connect_to(server);
  (void)co_await delegate(receive(s));  // for ever
}

program client(sockaddr_in server, std::string text) {
  const tcp_socket s = connect_to(server);
  co_await delegate(send(s, text));
  std::string echoed;
  while (echoed.size() < text.size()) {
    echoed += co_await delegate(receive(s));
  }
  std::printf("echoed: %s\n", echoed.c_str());
}

program first_program() {
  const int three = co_yield new_program(count("three", 3));
  const int two = co_yield new_program(count("two", 2));
  const int two_was = co_yield wait_for(two);
  const int three_was = co_yield wait_for(three);
  const int nobody_was = co_yield wait_for(99);
  std::printf("waited: %d %d %d\n", two_was, three_was, nobody_was);

  long turns = 0;
  const int counter = co_yield new_program(count_for_ever(turns));
  sockaddr_in at{};
  tcp_socket listener = listen_on_loopback(at);
  const int server = co_yield new_program(echo_server(std::move(listener)));
  const int silent = co_yield new_program(silent_client(at));
  const int first = co_yield new_program(client(at, "hello"));
  co_yield wait_for(first);
  const int second = co_yield new_program(client(at, "hello again"));
  co_yield wait_for(second);
  const int first_killed = co_yield kill(first);
  const int silent_killed = co_yield kill(silent);
  const int server_killed = co_yield kill(server);
  const int counter_killed = co_yield kill(counter);
  std::printf("killed: %d %d %d %d\n", first_killed, silent_killed, server_killed, counter_killed);
  std::printf("%s\n", turns > 0 ? "others ran meanwhile" : "others had to wait");
}

int main() {
  toy_os os;
  os.start(first_program());
  os.run();
  std::printf("all programs have ended\n");
}

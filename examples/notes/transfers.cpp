// transfers: a server of files, as ftp, and its clients, which upload and download several files at
// the same time, show how far they are, go on where a transfer has broken off, and compare
// checksums in the end. Both run in this program, over loopback, between two folders.
//
// The client says one of:         The server answers:
//   SIZE name                       how many bytes it has; 0 if there is no such file
//   SUM name                        their checksum
//   GET name offset                 go, and the bytes from there on
//   PUT name offset bytes           go; when it has got them: done

#include <corespun/corespun.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

using namespace corespun;

template <typename T>
T need(result<T> r, const char* what) {
  if (!r) throw std::system_error(r.error(), what);
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}

// --- Files ---

std::size_t size_of(const std::string& path) {
  std::error_code none;
  const auto size = std::filesystem::file_size(path, none);
  return none ? 0 : size;
}

int open_now(const std::string& path, int flags, std::size_t offset) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (file < 0) throw std::system_error(errno, std::system_category(), path);
  (void)::lseek(file, static_cast<off_t>(offset), SEEK_SET);
  return file;
}

/// Opening may take long, so it is done by a helper thread.
task<fd> open_file(std::string path, int flags, std::size_t offset) {
  const int native = co_await offload(open_now, path, flags, offset);
  result<fd> file = fd::adopt(native);
  if (!file) ::close(native);
  co_return need(std::move(file), "open");
}

/// Method: FNV-1a.
class checksum {
 public:
  void add(std::span<const std::byte> bytes) {
    for (const std::byte b : bytes)
      hash_ = (hash_ ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3U;
  }
  [[nodiscard]] std::string text() const { return std::to_string(hash_); }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

std::span<std::byte> first_of(std::vector<std::byte>& block, std::size_t bytes) {
  return std::span(block).first(std::min(block.size(), bytes));
}

task<std::string> checksum_of(std::string path) {
  if (size_of(path) == 0) co_return checksum().text();
  fd file = co_await open_file(path, O_RDONLY, 0);
  std::vector<std::byte> block(65536);
  checksum sum;
  while (true) {
    const result<std::size_t> bytes = co_await file.read_some(block);
    const std::size_t got = need(bytes, "read");
    if (got == 0) co_return sum.text();
    sum.add(first_of(block, got));
  }
}

// --- What both sides use ---

/// Lines, and bytes in between.
class connection {
 public:
  explicit connection(tcp_stream s) : stream_(std::move(s)) {}

  /// Empty: the other side has ended or is gone.
  task<std::string> line() {
    while (!received_.contains('\n')) {
      const bool more = co_await receive();
      if (!more || received_.size() > 65536) co_return "";  // or a line without end
    }
    const std::size_t end = received_.find('\n');
    std::string text = received_.substr(0, end);
    received_.erase(0, end + 1);
    co_return text;
  }
  /// At most so many bytes; none: as above.
  task<std::string> some(std::size_t bytes) {
    if (received_.empty()) (void)co_await receive();
    std::string text = received_.substr(0, bytes);
    received_.erase(0, bytes);
    co_return text;
  }
  /// False: the other side is gone.
  task<bool> say(std::string line) {
    line += '\n';
    const result<> sent = co_await stream_.write_all(line);
    co_return sent.has_value();
  }
  task<bool> write(std::span<const std::byte> bytes) {
    const result<> sent = co_await stream_.write_all(bytes);
    co_return sent.has_value();
  }
  task<std::string> ask(std::string line) {
    (void)co_await say(std::move(line));
    co_return co_await this->line();
  }
  task<> end_writing() { (void)co_await stream_.shutdown_write(); }

 private:
  task<bool> receive() {
    const result<lease> data = co_await stream_.recv();
    if (!data || data->empty()) co_return false;
    received_ += data->text();
    co_return true;
  }

  tcp_stream stream_;
  std::string received_;
};

/// How far a transfer is, of which one side keeps a record.
struct progress {
  std::size_t bytes = 0;
  std::size_t done = 0;
  std::string record;

  void add(std::size_t more) {
    const std::size_t before = 4 * done / bytes;
    done += more;
    for (std::size_t quarter = before + 1; quarter <= 4 * done / bytes; ++quarter)
      record += " " + std::to_string(25 * quarter) + "%";
  }
};

/// False: the other side is gone.
task<bool> send_bytes(fd& from, connection& to, std::size_t until, progress& p) {
  std::vector<std::byte> block(65536);
  while (p.done < until) {
    const result<std::size_t> bytes = co_await from.read_some(first_of(block, until - p.done));
    const std::size_t got = need(bytes, "read");
    if (got == 0) co_return false;  // the file has become shorter
    const bool written = co_await to.write(first_of(block, got));
    if (!written) co_return false;
    p.add(got);
  }
  co_return true;
}

task<bool> receive_bytes(connection& from, fd& to, std::size_t until, progress& p) {
  while (p.done < until) {
    const std::string bytes = co_await from.some(until - p.done);
    if (bytes.empty()) co_return false;
    const result<> written = co_await to.write_all(std::as_bytes(std::span(bytes)));
    need(written, "write");
    p.add(bytes.size());
  }
  co_return true;
}

// --- The server ---

struct request {
  std::string verb;
  std::string name;
  std::size_t offset = 0;
  std::size_t bytes = 0;
};

request parsed(const std::string& line) {
  request r;
  std::istringstream words(line);
  words >> r.verb >> r.name >> r.offset >> r.bytes;
  return r;
}

bool allowed(const request& r) {
  return !r.name.empty() && !r.name.starts_with('.') && !r.name.contains('/');
}

/// False: the client is gone.
task<bool> get(connection& client, const std::string& path, std::size_t offset) {
  progress p;
  p.bytes = size_of(path);
  p.done = offset;
  if (offset >= p.bytes) co_return co_await client.say("there is no more");
  fd file = co_await open_file(path, O_RDONLY, offset);
  (void)co_await client.say("go");
  co_return co_await send_bytes(file, client, p.bytes, p);
}

task<bool> put(connection& client, const std::string& path, const request& r) {
  if (r.offset > size_of(path) || r.bytes == 0) co_return co_await client.say("there is a gap");
  progress p;
  p.done = r.offset;
  p.bytes = r.offset + r.bytes;
  fd file = co_await open_file(path, O_WRONLY | O_CREAT, r.offset);
  (void)co_await client.say("go");
  const bool whole = co_await receive_bytes(client, file, p.bytes, p);
  if (!whole) co_return false;  // what has come stays
  co_return co_await client.say("done");
}

task<> serve_files(tcp_stream stream, const std::string& folder) {
  connection client(std::move(stream));
  bool there = true;
  while (there) {
    const std::string line = co_await client.line();
    if (line.empty()) co_return;
    const request r = parsed(line);
    const std::string path = folder + "/" + r.name;
    if (!allowed(r)) {
      there = co_await client.say("no such name");
    } else if (r.verb == "SIZE") {
      there = co_await client.say(std::to_string(size_of(path)));
    } else if (r.verb == "SUM") {
      std::string sum = co_await checksum_of(path);
      there = co_await client.say(std::move(sum));
    } else if (r.verb == "GET") {
      there = co_await get(client, path, r.offset);
    } else if (r.verb == "PUT") {
      there = co_await put(client, path, r);
    } else {
      there = co_await client.say("what?");
    }
  }
}

task<> serve_folder(tcp_listener listener, const std::string& folder) {
  auto handler = [&folder](tcp_stream client) { return serve_files(std::move(client), folder); };
  const result<> served = co_await serve(std::move(listener), handler);
  need(served, "serve");
}

// --- The clients ---

struct transfer {
  transfer(bool up, bool breaks, std::string n, const std::string& folder)
      : upload(up), breaks_off(breaks), name(std::move(n)), path(folder + "/" + name) {}
  bool upload;
  bool breaks_off;
  std::string name;
  std::string path;
  progress seen;
  bool right = false;
};

task<connection> connected_to(address server) {
  result<tcp_stream> stream = co_await connect(server);
  co_return connection(need(std::move(stream), "connect"));
}

void must_be(const char* expected, const std::string& answer) {
  if (answer != expected) throw std::runtime_error("the server says: " + answer);
}

task<> upload(connection& server, transfer& t, bool half, latch& all_begun) {
  const std::string there = co_await server.ask("SIZE " + t.name);
  t.seen.bytes = size_of(t.path);
  t.seen.done = std::stoul(there);
  const std::string what = t.name + " " + there + " ";
  const std::string answer =
      co_await server.ask("PUT " + what + std::to_string(t.seen.bytes - t.seen.done));
  must_be("go", answer);
  all_begun.count_down();
  co_await all_begun.wait();
  fd file = co_await open_file(t.path, O_RDONLY, t.seen.done);
  (void)co_await send_bytes(file, server, half ? t.seen.bytes / 2 : t.seen.bytes, t.seen);
  if (half) co_await server.end_writing();
  const std::string last = co_await server.line();  // then it has written what we have sent
  must_be(half ? "" : "done", last);
}

task<> download(connection& server, transfer& t, bool half, latch& all_begun) {
  const std::string there = co_await server.ask("SIZE " + t.name);
  t.seen.bytes = std::stoul(there);
  t.seen.done = size_of(t.path);
  const std::string answer =
      co_await server.ask("GET " + t.name + " " + std::to_string(t.seen.done));
  must_be("go", answer);
  all_begun.count_down();
  co_await all_begun.wait();
  fd file = co_await open_file(t.path, O_WRONLY | O_CREAT, t.seen.done);
  const std::size_t until = half ? t.seen.bytes / 2 : t.seen.bytes;
  const bool whole = co_await receive_bytes(server, file, until, t.seen);
  must_be("whole", whole ? "whole" : "cut off");
}

task<> attempt(address at, transfer& t, bool half, latch& all_begun) {
  connection server = co_await connected_to(at);
  auto transferring =
      t.upload ? upload(server, t, half, all_begun) : download(server, t, half, all_begun);
  co_await std::move(transferring);
}

task<> carry_out(address at, transfer& t, latch& all_begun) {
  co_await attempt(at, t, t.breaks_off, all_begun);
  if (t.breaks_off) {
    t.seen.record += " broken off,";
    latch alone(1);
    co_await attempt(at, t, false, alone);
  }
  connection server = co_await connected_to(at);
  const std::string here = co_await checksum_of(t.path);
  const std::string there = co_await server.ask("SUM " + t.name);
  t.right = here == there;
}

/// None goes on before all have begun.
task<> carry_out_all(address at, std::vector<transfer>& transfers) {
  latch all_begun(transfers.size());
  std::vector<task<>> all;
  for (transfer& t : transfers) all.push_back(carry_out(at, t, all_begun));
  co_await when_all(std::move(all));
}

// --- Both ---

class temporary_folder {
 public:
  temporary_folder() : path_(std::filesystem::temp_directory_path() / "transfers.XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr)
      throw std::system_error(errno, std::system_category(), "mkdtemp");
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void write_file(const std::string& path, unsigned seed) {
  std::string text;
  for (unsigned x = seed; text.size() < 1'000'000; x = x * 1664525U + 1013904223U)
    text += std::to_string(x);
  text.resize(1'000'000);
  std::ofstream(path) << text;
}

std::vector<transfer> prepared(const std::string& here, const std::string& there) {
  std::vector<transfer> all;
  all.emplace_back(false, false, "song", here);
  all.emplace_back(false, true, "film", here);
  all.emplace_back(false, false, "book", here);
  all.emplace_back(true, false, "letter", here);
  all.emplace_back(true, true, "picture", here);
  unsigned seed = 0;
  for (const transfer& t : all) write_file((t.upload ? here : there) + "/" + t.name, ++seed);
  return all;
}

task<> start(const std::string& served, std::vector<transfer>& transfers) {
  auto body = [&](scope& s) -> task<> {
    result<tcp_listener> bound = tcp_listener::bind(address::loopback(0));
    tcp_listener listener = need(std::move(bound), "bind");
    const address at = listener.local_address();
    (void)s.spawn(serve_folder, std::move(listener), std::cref(served));
    co_await carry_out_all(at, transfers);
    s.cancel();
  };
  co_await with_scope(body);
  for (const transfer& t : transfers) {
    std::printf("%s %s:%s, checksums %s\n", t.upload ? "upload" : "download", t.name.c_str(),
                t.seen.record.c_str(), t.right ? "agree" : "differ");
  }
}

int main() {
  const temporary_folder here;
  const temporary_folder there;
  std::vector<transfer> transfers = prepared(here.path(), there.path());
  return run([&] { return start(there.path(), transfers); });
}

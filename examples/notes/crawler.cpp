// crawler: visits all pages of a site, which this program serves itself on loopback: three hosts,
// HTTP/1.1 as far as it is needed. It asks for many pages at once, but not for more than so many,
// and of each host for fewer; what fails for a while is asked for again, later each time.
//
// Each page is a task of one scope, which ends when all have. They are bound to one core, so what
// they share needs no lock; the site runs on all.

#include <corespun/corespun.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <compare>
#include <cstdio>
#include <expected>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using namespace corespun;
using namespace std::chrono_literals;

// --- The site ---

struct host {
  static constexpr int page_count = 25;
  static constexpr int broken_page = 24;

  std::string name;
  std::string neighbour;
  std::array<std::atomic<int>, page_count> asked{};  // how often; by tasks of all cores
};

std::string link_to(const std::string& target) { return "<a href=\"" + target + "\">more</a>\n"; }

std::string html(const host& h, int page) {
  std::string text = "page " + std::to_string(page) + "\n" + link_to("/0");
  for (int child : {2 * page + 1, 2 * page + 2}) {
    if (child < host::page_count) text += link_to("/" + std::to_string(child));
  }
  if (page % 5 == 0) text += link_to("http://" + h.neighbour + "/" + std::to_string(page));
  if (page == 7) text += link_to("/missing");
  return text;
}

std::string response(const char* status, const std::string& body) {
  return std::string("HTTP/1.1 ") + status +
         "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

std::string answer(host& h, std::string_view request) {
  constexpr std::string_view get = "GET /";
  const char* const end = request.data() + request.size();
  int page = -1;
  if (request.starts_with(get)) (void)std::from_chars(request.data() + get.size(), end, page);
  if (page < 0 || page >= host::page_count) return response("404 Not Found", "");
  const bool first = h.asked[static_cast<std::size_t>(page)].fetch_add(1) == 0;
  if (page == host::broken_page || (page % 6 == 2 && first))
    return response("503 Service Unavailable", "");
  return response("200 OK", html(h, page));
}

task<> serve_page(tcp_stream client, host& h) {
  std::string request;
  while (!request.contains("\r\n\r\n")) {
    result<lease> data = co_await client.recv();
    if (!data || data->empty()) co_return;
    request += data->text();
  }
  co_await sleep_for(1ms);
  const std::string response = answer(h, request);
  (void)co_await client.write_all(response);
}

task<> serve_host(tcp_listener listener, host& h) {
  auto handler = [&h](tcp_stream client) { return serve_page(std::move(client), h); };
  const result<> served = co_await serve(std::move(listener), handler);
  if (!served) throw std::system_error(served.error(), "serve");
}

// --- The crawler ---

struct url {
  std::string host;
  std::string path;

  auto operator<=>(const url&) const = default;
  [[nodiscard]] std::string text() const { return "http://" + host + path; }
};

url target_of(const std::string& link, const url& from) {
  constexpr std::string_view scheme = "http://";
  if (!link.starts_with(scheme)) return {from.host, link};
  const std::size_t path = link.find('/', scheme.size());
  return {link.substr(scheme.size(), path - scheme.size()), link.substr(path)};
}

std::vector<url> links_of(const std::string& html, const url& from) {
  constexpr std::string_view before = "href=\"";
  std::vector<url> links;
  for (std::size_t at = 0; (at = html.find(before, at)) != html.npos;) {
    at += before.size();
    links.push_back(target_of(html.substr(at, html.find('"', at) - at), from));
  }
  return links;
}

struct page {
  int status = 0;
  std::string body;
};

result<page> parsed(const std::string& response) {
  const std::size_t head = response.find("\r\n\r\n");
  if (head == response.npos) return std::unexpected(make_error_code(errc::end_of_stream));
  page p;
  const std::size_t status = response.find(' ') + 1;
  (void)std::from_chars(response.data() + status, response.data() + response.size(), p.status);
  p.body = response.substr(head + 4);
  return p;
}

task<result<page>> download(address from, url at) {
  result<tcp_stream> server = co_await connect(from);
  if (!server) co_return std::unexpected(server.error());
  const std::string request = "GET " + at.path + " HTTP/1.1\r\nHost: " + at.host + "\r\n\r\n";
  const result<> sent = co_await server->write_all(request);
  if (!sent) co_return std::unexpected(sent.error());
  std::string response;
  while (true) {
    result<lease> data = co_await server->recv();
    if (!data) co_return std::unexpected(data.error());
    if (data->empty()) co_return parsed(response);
    response += data->text();
  }
}

/// So many at once; counts how many there were.
class limit {
 public:
  class permit {
   public:
    explicit permit(limit& of) : of_(of) { of_.most_ = std::max(of_.most_, ++of_.present_); }
    permit(const permit&) = delete;
    permit& operator=(const permit&) = delete;
    ~permit() {
      --of_.present_;
      of_.permits_.release();
    }

   private:
    limit& of_;
  };

  explicit limit(std::size_t at_once) : permits_(at_once) {}
  /// Then a permit is to be made at once.
  [[nodiscard]] auto acquire() { return permits_.acquire(); }
  [[nodiscard]] int most() const { return most_; }

 private:
  semaphore permits_;
  int present_ = 0;
  int most_ = 0;
};

class crawler {
 public:
  static constexpr std::size_t pages_at_once = 8;
  static constexpr std::size_t pages_of_a_host_at_once = 3;
  static constexpr int tries = 4;

  explicit crawler(const std::map<std::string, address>& names) {
    for (const auto& [name, at] : names) {
      hosts_.try_emplace(name, at);
    }
  }

  /// Visits that page and all that it leads to, in tasks of the scope; each once, on hosts that it
  /// knows.
  void visit(scope& all, const url& at) {
    if (!hosts_.contains(at.host) || !seen_.insert(at).second) return;
    (void)all.spawn(&crawler::crawl, this, std::ref(all), at);
  }

  void report() const {
    std::printf("%zu pages on %zu hosts, %d asked for again\n", found_.size(), hosts_.size(),
                retries_);
    for (const auto& [at, why] : failed_) std::printf("%s: %s\n", at.text().c_str(), why.c_str());
    int most = 0;
    for (const auto& [name, h] : hosts_) most = std::max(most, h.pages.most());
    std::printf("at most at once: %d, of one host: %d\n", pages_.most(), most);
  }

 private:
  struct known_host {
    explicit known_host(const address& a) : at(a) {}
    address at;
    limit pages{pages_of_a_host_at_once};
  };

  task<> crawl(scope& all, url at) {
    clock::duration pause = 2ms;
    for (int n = 1;; ++n) {
      const result<page> got = co_await ask(hosts_.at(at.host), at);
      if (got && got->status == 200) {
        found_.insert(at);
        for (const url& link : links_of(got->body, at)) visit(all, link);
        co_return;
      }
      const bool passes = !got || got->status == 503;
      if (!passes || n == tries) {
        failed_[at] = got ? std::to_string(got->status) : got.error().message();
        co_return;
      }
      ++retries_;
      co_await sleep_for(pause);  // without a permit
      pause *= 2;
    }
  }

  /// That of the host comes first, so who waits for a slow host takes nothing from the others.
  task<result<page>> ask(known_host& h, url at) {
    co_await h.pages.acquire();
    const limit::permit of_host(h.pages);
    co_await pages_.acquire();
    const limit::permit of_all(pages_);
    auto limited = with_timeout(30s, download(h.at, std::move(at)));
    co_return co_await std::move(limited);
  }

  limit pages_{pages_at_once};
  std::map<std::string, known_host> hosts_;
  std::set<url> seen_;
  std::set<url> found_;
  std::map<url, std::string> failed_;
  int retries_ = 0;
};

url front_page() { return {"host0", "/0"}; }

task<> crawl_all(crawler& c, url first) {
  auto body = [&](scope& all) -> task<> {
    c.visit(all, first);
    co_return;
  };
  co_await with_scope(body);  // until there is nothing left to visit
}

tcp_listener listen_on_loopback() {
  result<tcp_listener> listener = tcp_listener::bind(address::loopback(0));
  if (!listener) throw std::system_error(listener.error(), "bind");
  return std::move(*listener);
}

task<> start() {
  std::vector<host> hosts(3);
  std::map<std::string, address> names;
  auto body = [&](scope& servers) -> task<> {
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      hosts[i].name = "host" + std::to_string(i);
      hosts[i].neighbour = "host" + std::to_string((i + 1) % hosts.size());
      tcp_listener listener = listen_on_loopback();
      names[hosts[i].name] = listener.local_address();
      (void)servers.spawn(serve_host, std::move(listener), std::ref(hosts[i]));
    }
    crawler c(names);
    auto crawling = crawl_all(c, front_page());
    co_await std::move(crawling);
    c.report();
    servers.cancel();
  };
  co_await with_scope(body);
}

int main() {
  options o;
  o.affinity = affinity::core;
  return run(start, o);
}

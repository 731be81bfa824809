// game: players in rooms. The rooms are spread over the cores, and only its core touches a room, so
// it needs no lock. A player is a task, which lives on the core of its room: it asks the next room
// for a place, by message to that room's core, moves there itself, and hears what the room says at
// each tick. The argument is the number of players; 100000 is the default.

#include <corespun/corespun.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>

using namespace corespun;
using namespace std::chrono_literals;

struct rules {
  int players = 100'000;
  int rooms = 64;
  int places = 0;  // in each room
  int visits = 4;  // a player's, to one room after the other
  int ticks_each = 3;  // that it stays for
};

struct tick {
  int number;
  int players;
};

struct totals {
  int inside = 0;
  int most_inside = 0;  // of one room
  long visits = 0;
  long heard = 0;
};

/// Touched by its core only.
class room {
 public:
  /// False: it is full. True: there is a place, which leave() gives back.
  bool admit(int places) {
    if (count_.inside == places) return false;
    count_.most_inside = std::max(count_.most_inside, ++count_.inside);
    ++count_.visits;
    return true;
  }
  void leave() { --count_.inside; }

  void next_tick() { (void)says_.try_send(tick(++ticks_, count_.inside)); }
  [[nodiscard]] auto listen() { return says_.subscribe(); }
  void was_heard() { ++count_.heard; }

  [[nodiscard]] const totals& count() const { return count_; }

 private:
  broadcast<tick> says_{8, when_behind::skip};  // who is slow misses some, and holds up nobody
  int ticks_ = 0;
  totals count_;
};

/// Those of one core; made when they are first asked for.
class rooms {
 public:
  explicit rooms(const rules& r) : rules_(r) {}

  room& at(int number) { return rooms_[number]; }
  bool admit(int number) { return at(number).admit(rules_.places); }

  /// A task of this core.
  task<> tick_for_ever() {
    interval every(5ms);
    while (true) {
      co_await every.next();
      for (auto& [number, r] : rooms_) {
        r.next_tick();
        if (this_core::need_yield()) co_await yield();
      }
    }
  }

  [[nodiscard]] totals count() const {
    totals sum;
    for (const auto& [number, r] : rooms_) sum = added(sum, r.count());
    return sum;
  }
  static totals added(const totals& a, const totals& b) {
    return {a.inside + b.inside, std::max(a.most_inside, b.most_inside), a.visits + b.visits,
            a.heard + b.heard};
  }

 private:
  rules rules_;
  std::map<int, room> rooms_;
};

/// A place in a room, given back however the player ends.
class place {
 public:
  explicit place(room& in) : in_(in) {}
  place(const place&) = delete;
  place& operator=(const place&) = delete;
  ~place() { in_.leave(); }

 private:
  room& in_;
};

task<> stay(room& here, int ticks) {
  const place mine(here);
  auto said = here.listen();
  for (int n = 0; n < ticks; ++n) {
    const result<tick> heard = co_await said.recv();
    if (!heard) co_return;
    here.was_heard();
  }
}

task<> play(sharded<rooms>& all, const rules& r, int id) {
  int number = id % r.rooms;
  for (int visit = 0; visit < r.visits; ++visit) {
    while (true) {
      auto asking = all.on_owner(number, &rooms::admit, number);
      const bool admitted = co_await std::move(asking);
      if (admitted) break;
      number = (number + 1) % r.rooms;
    }
    co_await resume_on(all.owner_of(number));
    co_await stay(all.local().at(number), r.ticks_each);
    number = (number + 5) % r.rooms;
  }
}

task<> tick_here(sharded<rooms>& all) { co_await all.local().tick_for_ever(); }

/// Those that begin in the rooms of this core.
task<> start_players(sharded<rooms>& all, const rules& r, scope& players) {
  for (int id = 0; id < r.players; ++id) {
    if (all.owner_of(id % r.rooms) != this_core::index()) continue;
    (void)players.spawn(play, std::ref(all), std::cref(r), id);
    if (this_core::need_yield()) co_await yield();
  }
}

task<> all_players(sharded<rooms>& all, const rules& r) {
  auto body = [&](scope& players) -> task<> {
    for (unsigned core = 0; core < this_core::count(); ++core)
      (void)players.spawn_on(core, start_players, std::ref(all), std::cref(r), std::ref(players));
    co_return;
  };
  co_await with_scope(body);
}

/// Until the last player has left.
task<> run_game(sharded<rooms>& all, const rules& r) {
  auto body = [&](scope& tickers) -> task<> {
    for (unsigned core = 0; core < this_core::count(); ++core)
      (void)tickers.spawn_on(core, tick_here, std::ref(all));
    co_await all_players(all, r);
    tickers.cancel();
  };
  co_await with_scope(body);
}

task<> report(sharded<rooms>& all, const rules& r) {
  auto counting = all.map_reduce(&rooms::count, totals(), rooms::added);
  const totals sum = co_await std::move(counting);
  std::printf("%d players made %ld visits and heard %ld ticks\n", r.players, sum.visits, sum.heard);
  std::printf("%d are left; %s\n", sum.inside,
              sum.most_inside <= r.places ? "no room was overfull" : "a room was overfull");
}

task<> start(rules r) {
  sharded<rooms> all;
  auto body = [&](scope& s) -> task<> {
    auto starting = all.start(r);
    co_await std::move(starting);
    s.on_exit([&all]() -> task<> { return all.stop(); });  // after SIGINT, too
    co_await run_game(all, r);
    co_await report(all, r);
  };
  co_await with_scope(body);
}

int main(int argc, char** argv) {
  rules r;
  if (argc > 1) r.players = std::max(0, std::atoi(argv[1]));
  r.places = 3 * r.players / (2 * r.rooms) + 1;
  return run([r] { return start(r); });
}

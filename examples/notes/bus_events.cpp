// bus_events: events of a parser become records, one per bus. The coroutine is a state machine
// whose state is the place where it stands: outside of a bus, or inside of one. A filter and a sink
// follow.

#include <corespun/runtime/coroutine.hpp>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

using namespace corespun;

struct event {
  enum { start, text, end } kind;
  std::string value;  // name of the element, or the text
};

using record = std::map<std::string, std::string>;
using event_sink = coroutine<void, const event&>;
using record_sink = coroutine<void, const record&>;

event_sink buses_to_records(record_sink& to) {
  while (true) {
    const event& outside = co_yield {};
    if (outside.kind != event::start || outside.value != "bus") continue;
    record bus;
    std::string text;
    while (true) {
      const event& inside = co_yield {};
      if (inside.kind == event::start) text.clear();
      if (inside.kind == event::text) text += inside.value;
      if (inside.kind == event::end && inside.value == "bus") break;
      if (inside.kind == event::end) bus[inside.value] = text;
    }
    to.send(bus);
  }
}

record_sink only_where(std::string field, std::string value, record_sink& to) {
  while (true) {
    const record& bus = co_yield {};
    const auto at = bus.find(field);
    if (at != bus.end() && at->second == value) to.send(bus);
  }
}

record_sink print() {
  while (true) {
    const record& bus = co_yield {};
    std::printf("bus %s on route %s goes %s\n", bus.at("id").c_str(), bus.at("route").c_str(),
                bus.at("direction").c_str());
  }
}

/// As a parser would make them of a <bus>, the texts in pieces.
void add_bus(std::vector<event>& events, const record& bus) {
  events.push_back({event::start, "bus"});
  for (const auto& [name, value] : bus) {
    events.push_back({event::start, name});
    events.push_back({event::text, value.substr(0, 2)});
    events.push_back({event::text, value.substr(2)});
    events.push_back({event::end, name});
  }
  events.push_back({event::end, "bus"});
}

int main() {
  std::vector<event> events = {{event::start, "buses"}};
  add_bus(events, {{"id", "7574"}, {"route", "147"}, {"direction", "North Bound"}});
  add_bus(events, {{"id", "1755"}, {"route", "22"}, {"direction", "North Bound"}});
  add_bus(events, {{"id", "7560"}, {"route", "22"}, {"direction", "South Bound"}});
  events.push_back({event::end, "buses"});

  auto printer = print();
  auto filter = only_where("route", "22", printer);
  auto records = buses_to_records(filter);
  printer.next();
  filter.next();
  records.next();
  for (const event& e : events) records.send(e);
}

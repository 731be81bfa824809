"""Who takes part in the benchmarks beside corespun, and how each is built and set up. What a record
knows of them, and of those that are not here, the report shows.
"""

import typing

import _common as common

BUILT = common.ROOT / "build" / "peers"

# As perf/peers/build does it.
C = "clang 19, -std=c11 -O3 -DNDEBUG"
CXX = "clang 19, -std=c++23 -O3 -DNDEBUG"
GO = "go build"
RUST = "cargo build --release; codegen-units = 1, lto, panic = abort"
OURS = "./dev build release"


class Peer(typing.NamedTuple):
    file: str  # in build/peers
    packages: str  # of Debian
    build: str
    setup: str
    arguments: tuple = ()


ECHO = {
    "asio": Peer("echo_asio", "libasio-dev", CXX,
                 "coroutines; an io_context without locks, a thread and a listener (SO_REUSEPORT) "
                 "for each core; write_some first; 16 KiB to read into for each connection"),
    "libuv": Peer("echo_uv", "libuv1-dev", C,
                  "a loop, a thread and a listener (SO_REUSEPORT) for each core; uv_try_write "
                  "first; 64 KiB to read into for each loop"),
    "libevent": Peer("echo_event", "libevent-dev", C,
                     "an event_base, a thread and a listener (SO_REUSEPORT) for each core; plain "
                     "events with recv and send, EPOLL_USE_CHANGELIST; 16 KiB to read into for "
                     "each core"),
    "go": Peer("echo_go", "golang-go", GO,
               "GOMAXPROCS = cores; a goroutine with 16 KiB to read into for each connection"),
    "tokio": Peer("echo_tokio", "librust-tokio-dev rustc", RUST,
                  "a runtime of one thread and a listener (SO_REUSEPORT) for each core; a task "
                  "with 16 KiB to read into for each connection"),
    "tokio-multi": Peer("echo_tokio", "librust-tokio-dev rustc", RUST,
                        "the runtime of several threads, a worker for each core; a task with "
                        "16 KiB to read into for each connection", ("--flavor", "multi_thread")),
}
HTTP = {
    "nginx": Peer("nginx_hello", "nginx", "Debian's",
                  "a worker for each core, pinned, with a listener of its own (reuseport); no log; "
                  "connections that stay"),
    "go": Peer("http_go", "golang-go", GO, "net/http; GOMAXPROCS = cores; one handler"),
}
FORKJOIN = {
    "tbb": Peer("forkjoin_tbb", "libtbb-dev", CXX,
                "max_allowed_parallelism = cores; parallel_invoke for two children, task_group for "
                "more, whose last child runs at once"),
    "tokio": Peer("forkjoin_tokio", "librust-tokio-dev rustc", RUST,
                  "the runtime of several threads, a worker for each core, on one core that of one "
                  "thread; a spawned task for each node but the last child"),
    "go": Peer("forkjoin_go", "golang-go", GO,
               "GOMAXPROCS = cores; a goroutine for each node but the last child, awaited by "
               "channel or WaitGroup"),
}
TASKS = {
    "go": Peer("tasks_go", "golang-go", GO, "GOMAXPROCS = cores; channels, sync.Mutex"),
    "tokio": Peer("tasks_tokio", "librust-tokio-dev rustc", RUST,
                  "the runtime of several threads, a worker for each core, on one core that of one "
                  "thread; tokio::sync"),
    "asio": Peer("tasks_asio", "libasio-dev", CXX,
                 "coroutines with the executor in their types; one io_context for as many threads "
                 "as cores, on one core without locks; channel, on two concurrent_channel; there "
                 "is no mutex for coroutines"),
}
# Servers by hand in C, of this project.
FLOORS = {
    "perf/floor/uring_echo": "a thread, a listener and a ring for each core; multishot accept and "
                             "receive into 256 buffers of 64 KiB; one io_uring_enter per turn",
    "perf/floor/uring_http": "as the raw echo on io_uring, with 256 buffers of 1 KiB; looks for "
                             "the ends of heads only",
    "perf/floor/epoll_http": "as the raw echo on epoll; looks for the ends of heads only",
    "perf/floor/epoll_echo": "a thread, a listener and an epoll set for each core; edge-triggered; "
                             "one buffer of 64 KiB for each core",
}


def versions(packages):
    """As dpkg knows them; without it only their names."""
    version = lambda package: common.output(["dpkg-query", "-W", "-f=${Version}", package])
    return ", ".join(f"{package} {version(package)}".strip() for package in packages.split())


def peers(record, table):
    """Those of the table that have been built, {name: file}."""
    for name, peer in table.items():
        if (BUILT / peer.file).is_file():
            record.contestant(name, versions(peer.packages), peer.build, peer.setup)
        else:
            record.skip(name, f"it needs {', '.join(peer.packages.split())}; ./dev bench "
                              "--install-peers installs and builds it")
    return {name: BUILT / peer.file for name, peer in table.items() if name not in record.skipped}


def programs(record, build, servers, table):
    """Those that are here: {name: (program, arguments, driver to force)}. servers: the same with
    paths in the build; table: peers."""
    here = {}
    for name, (path, arguments, driver) in servers.items():
        here[name] = (common.program(build, path), arguments, driver)
        command = " ".join(map(str, [path, *arguments]))
        setup = [command, f"CORESPUN_DRIVER={driver}" if driver else "", FLOORS.get(path, "")]
        record.contestant(name, "", OURS, "; ".join(filter(None, setup)))
    return here | {name: (file, table[name].arguments, None)
                   for name, file in peers(record, table).items()}


def own(record, build, path):
    """A program that is all of corespun's part."""
    record.contestant("corespun", "", OURS, path)
    return common.program(build, path)

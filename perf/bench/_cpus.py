"""Which CPUs a server has, and which the load generator; and whether those were enough for it."""

import os
import pathlib

TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
FULL = 0.9  # of the CPUs that the load generator has for itself
FULL_TOGETHER = 0.95  # of those that it shares with the server


def siblings(cpu):
    """All CPUs of its core, itself among them."""
    try:
        text = pathlib.Path(TOPOLOGY.format(cpu)).read_text(encoding="ascii")
    except OSError:
        return {cpu}
    spans = (part.partition("-") for part in text.strip().split(","))
    return {at for first, _, last in spans for at in range(int(first), int(last or first) + 1)}


def ordered():
    """Those that this process may use; the first of each core before their siblings."""
    here = sorted(os.sched_getaffinity(0))
    first = lambda cpu: cpu == min(siblings(cpu) & set(here))
    return sorted(here, key=lambda cpu: not first(cpu))


class Places:
    """A server on so many cores and its load: each on CPUs of its own, siblings least of all, or,
    where the server takes them all, both on the same."""

    def __init__(self, cores, processes=None):
        """processes: of the load generator; without it as many as suit."""
        cpus = ordered()
        self.server = set(cpus[:cores])
        near = set().union(*map(siblings, self.server))
        left = cpus[cores:]
        free = [cpu for cpu in left if cpu not in near] or left
        self.shared = not free
        self.processes = processes or min(len(free), 2 * cores) or cores
        self.load = free[:self.processes] or sorted(self.server)

    def options(self):
        """Of the load generator."""
        pinned = {} if self.shared else {"cpu": ",".join(map(str, self.load))}
        return {"processes": self.processes, **pinned}

    def reason(self):
        """Why several cores do not serve more than one."""
        return "the load runs on the same CPUs" if self.shared else ""

    def used(self, run):
        """Which part of its CPUs the load took, and which the server; both together where they
        share them."""
        load, server = run["load_cpu"], run["server"]["cpu"]
        if self.shared:
            return [(load + server) / len(self.server)]
        return [load / len(self.load), server / len(self.server)]

    def load_is_the_limit(self, run):
        return self.used(run)[0] > (FULL_TOGETHER if self.shared else FULL)


def warn(record, runs):
    """runs: [(under which conditions, places, run), …]"""
    texts = {False: f"the load generator used more than {100 * FULL:g} % of its CPUs, so that "
                    "requests/s is a lower bound and latency is in part its own",
             True: f"load and server together used more than {100 * FULL_TOGETHER:g} % of the CPUs "
                   "that they share, so that requests/s and latency are those of both"}
    for shared, text in texts.items():
        all_of_them = [(at, places, run) for at, places, run in runs if places.shared == shared]
        limited = [at for at, places, run in all_of_them if places.load_is_the_limit(run)]
        if limited:
            counts = "; ".join(f"{at} ({limited.count(at)})" for at in dict.fromkeys(limited))
            record.warn(f"in {len(limited)} of {len(all_of_them)} runs {text}: {counts}")

#!/usr/bin/env python3
"""Checks the floors: what each folder may include (see ARCHITECTURE.md).

runtime < io < net < corespun.hpp; a floor includes only itself and floors below. The runtime uses
no kernel I/O header. Examples and perf programs see public headers only; tests may see detail/.
Headers do not include each other in a circle.

  tools/floors.py [ROOT]       check the tree
  tools/floors.py --self-test  check this script on small trees
"""

import re
import sys
import tempfile
from pathlib import Path

FLOORS = ["runtime", "io", "net", "corespun.hpp"]
USERS = ["examples", "perf", "tests"]
SEES_DETAIL = ["tests"]
KERNEL_IO = re.compile(
    r"liburing.*|sys/(socket|un|epoll|poll|select|eventfd|timerfd|signalfd|inotify|uio|sendfile)\.h"
    r"|(netinet|arpa|net)/.*|netdb\.h|poll\.h|fcntl\.h|linux/(io_uring|tcp|udp|if|errqueue)\.h"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def includes(path):
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start(2)) + 1, match[1] == '"', match[2]


def target(root, path, quoted, name):
    """The included file inside the tree, relative to root, or None for a header from elsewhere."""
    if name.startswith("corespun/"):
        return Path(name).relative_to("corespun")
    if quoted:
        for base in (path.parent, root):
            if (base / name).is_file():
                return (base / name).resolve().relative_to(root)
    return None


def complaint(source, line_target, name):
    """Why `source` may not include `line_target`; None if it may."""
    here = source.parts[0]
    if line_target is None:
        if here == "runtime" and KERNEL_IO.fullmatch(name):
            return "the runtime does no kernel I/O; put this into io/, behind runtime/driver.hpp"
        return None
    there = line_target.parts[0]
    if here in FLOORS and there not in FLOORS:
        return f"a library must not depend on {there}/"
    if here in FLOORS and FLOORS.index(there) > FLOORS.index(here):
        return f"{here} lies below {there}; move the code up, or hand {there}'s part in from above"
    sees_detail = here in FLOORS + SEES_DETAIL
    if not sees_detail and there in FLOORS and "detail" in line_target.parts:
        return f"{here}/ shows what users can do, so it sees public headers only"
    return None


def cycle(graph):
    """A list of headers that include each other in a circle, or None."""
    done = set()

    def walk(node, way):
        if node in way:
            return way[way.index(node):] + [node]
        if node in done:
            return None
        for following in graph.get(node, ()):
            found = walk(following, way + [node])
            if found:
                return found
        done.add(node)
        return None

    return next((found for node in sorted(graph) if (found := walk(node, []))), None)


def check(root):
    root = root.resolve()
    errors, graph, files = [], {}, 0
    for top in FLOORS + USERS:
        base = root / top
        for path in sorted(base.rglob("*") if base.is_dir() else [base]):
            if path.suffix not in (".hpp", ".cpp", ".h", ".c") or not path.is_file():
                continue
            files += 1
            source = path.relative_to(root)
            for line, quoted, name in includes(path):
                found = target(root, path, quoted, name)
                if found is not None and not (root / found).is_file():
                    errors.append(f"{source}:{line}: {name}: there is no such file")
                elif why := complaint(source, found, name):
                    errors.append(f"{source}:{line}: includes {name}\n  {why}")
                elif found is not None and path.suffix in (".hpp", ".h"):
                    graph.setdefault(source, []).append(found)
    if circle := cycle(graph):
        errors.append("headers include each other in a circle: " + " -> ".join(map(str, circle)))
    return files, errors


def self_test():
    good = {
        "runtime/task.hpp": "#include <vector>\n",
        "runtime/task.cpp": "#include <corespun/runtime/task.hpp>\n",
        "io/ring.hpp": "#include <liburing.h>\n#include <corespun/runtime/task.hpp>\n",
        "net/tcp.hpp": "#include <corespun/io/ring.hpp>\n",
        "corespun.hpp": "#include <corespun/net/tcp.hpp>\n",
        "io/detail/slab.hpp": '#include "../ring.hpp"\n',
        "tests/io/slab_test.cpp": "#include <corespun/io/detail/slab.hpp>\n",
        "examples/echo.cpp": "#include <corespun/corespun.hpp>\n",
    }
    bad = {  # one file more, and a word of the complaint that it must cause
        "runtime/a.cpp": ("#include <corespun/io/ring.hpp>\n", "runtime lies below io"),
        "io/b.hpp": ('#include "../net/tcp.hpp"\n', "io lies below net"),
        "net/c.hpp": ("#  include <corespun/corespun.hpp>\n", "net lies below corespun.hpp"),
        "runtime/d.hpp": ("\n#include <sys/epoll.h>\n", "d.hpp:2"),
        "runtime/detail/e.cpp": ("#include <liburing.h>\n", "no kernel I/O"),
        "examples/f.cpp": ("#include <corespun/io/detail/slab.hpp>\n", "public headers only"),
        "perf/load/g.cpp": ("#include <corespun/io/detail/slab.hpp>\n", "public headers only"),
        "io/ring2.hpp": ('#include "ring2.hpp"\n', "circle"),
        "io/h.cpp": ("#include <corespun/io/missing.hpp>\n", "no such file"),
        "net/i.cpp": ('#include "tests/io/slab_test.cpp"\n', "must not depend on tests"),
    }

    def complaints(files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check(Path(folder))[1]

    wrong = [f"complains about a good tree: {complaint}" for complaint in complaints(good)]
    for name, (text, expected) in bad.items():
        found = complaints(good | {name: text})
        if len(found) != 1 or expected not in found[0]:
            wrong.append(f"{name}: expected one complaint with '{expected}', got {found}")
    print("\n".join(wrong) or f"floors: {len(bad)} bad trees are found, the good one passes")
    return bool(wrong)


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    files, errors = check(root)
    print("\n".join(errors) or f"floors: {files} files, each includes only what it may")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())

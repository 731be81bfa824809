#!/usr/bin/env python3
"""Checks the snippets of the documents: what stands there is what the build compiles.

A ```cpp block of README.md or docs/*.md that begins with a line `// PATH` or `// PATH: …` quotes
that file: its lines stand there in a row; a line `…` leaves some out. Indentation, blank lines and
comments at the end of lines do not count. Other blocks are refused, unless the line above says
`<!-- not compiled: WHY -->`.

  tools/snippets.py [ROOT]       check the tree
  tools/snippets.py --self-test  check this script on small trees
"""

import re
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"^(?P<above>[^\n]*)\n```cpp\n(?P<code>.*?)^```", re.M | re.S)
SOURCE = re.compile(r"// ([\w./-]+\.[ch]pp)(?::.*)?")
EXCUSE = re.compile(r"<!-- not compiled: .+ -->")


def lines(text):
    """What counts of them."""
    for line in text.splitlines():
        if line := re.sub(r"\s+//.*$", "", line).strip():
            yield line


def follows(rows, part, start):
    """Where `part` ends in rows, at or after `start`; None if it is not there."""
    for at in range(start, len(rows) - len(part) + 1):
        if rows[at:at + len(part)] == part:
            return at + len(part)
    return None


def complaint(root, above, code):
    first, _, rest = code.partition("\n")
    source = SOURCE.fullmatch(first)
    if not source:
        if EXCUSE.fullmatch(above):
            return None
        return "it does not begin with `// PATH`, the file that it quotes"
    path = root / source[1]
    if not path.is_file():
        return f"there is no {source[1]}"
    rows, at, part = list(lines(path.read_text())), 0, []
    for line in [*lines(rest), "…"]:
        if line != "…":
            part.append(line)
            continue
        at = follows(rows, part, at)
        if at is None:
            return f"{source[1]} has no such lines: {part[0]}"
        part = []
    return None


def check(root):
    documents = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    blocks = errors = 0
    for document in filter(Path.is_file, documents):
        text = "\n" + document.read_text()
        for block in BLOCK.finditer(text):
            blocks += 1
            if why := complaint(root, block["above"], block["code"]):
                errors += 1
                line = text.count("\n", 0, block.start("code"))
                print(f"{document.relative_to(root)}:{line}: {why}", file=sys.stderr)
    print(f"snippets: {blocks} in {len(documents)} documents, {errors} wrong")
    return errors == 0


def self_test():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "docs").mkdir()
        (root / "a.cpp").write_text("int a() {\n  f();  // calls\n  return 1;\n}\nint b();\n")

        def holds(above, code):
            (root / "docs" / "d.md").write_text(f"{above}\n```cpp\n{code}```\n")
            return check(root)

        assert holds("", "// a.cpp\nf();\nreturn 1;   // one\n")
        assert holds("", "// a.cpp: shortened\nint a() {\n…\n}\n")
        assert holds("<!-- not compiled: wrong on purpose -->", "g();\n")
        assert not holds("", "g();\n")
        assert not holds("", "// a.cpp\nf();\nint b();\n")
        assert not holds("", "// a.cpp\nint b();\n…\nf();\n")
        assert not holds("", "// b.cpp\nf();\n")
    print("snippets: the self-test passed")


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    else:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
        sys.exit(not check(root.resolve()))

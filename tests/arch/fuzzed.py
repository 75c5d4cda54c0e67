#!/usr/bin/env python3
"""fuzzed.py ROOT [--self-check]: tests/fuzz/README.md names every fuzz target and nothing else.

A target is a file tests/fuzz/fuzz_NAME.c that tests/fuzz/meson.build builds; a row of the table is `| what | where | `NAME` |`.
Every folder of seeds must belong to a target, too: bytes that nothing reads prove nothing.
"""
import pathlib
import re
import sys



def rows(text):
    return re.findall(r"^\|[^|\n]+\|[^|\n]+\|\s*((?:`\w+`[, ]*)+)\|$", text, re.M)


def faults(sources, build, table, seeds):
    named = {name for row in rows(table) for name in re.findall(r"`(\w+)`", row)}
    built = set(re.findall(r"^  '(\w+)': \[", build, re.M))
    edges = re.search(r"fuzz_edges = \{(.*?)\n\}", build, re.S)
    of_edges = set(re.findall(r"^  '(\w+)': \[", edges.group(1), re.M)) if edges else set()
    built = (built - of_edges) | {f"edge_{name}" for name in of_edges} | set(re.findall(r"executable\('fuzz_(\w+)',", build))
    algs = re.search(r"fuzz_algs = \[(.*?)\n\]", build, re.S)
    built |= set(re.findall(r"'(\w+)'", algs.group(1))) if algs else set()
    for name in sorted(sources - built):
        yield f"tests/fuzz/fuzz_{name}.c is not built: add it to tests/fuzz/meson.build"
    for name in sorted(built - sources):
        yield f"tests/fuzz/meson.build builds {name}, but there is no tests/fuzz/fuzz_{name}.c"
    for name in sorted(sources - named):
        yield f"tests/fuzz/README.md does not say what {name} reads: add a row"
    for name in sorted(named - sources):
        yield f"tests/fuzz/README.md names {name}, which is no target"
    for name in sorted(seeds - sources):
        yield f"seeds of {name}, which is no target"


def self_check():
    table = "| what | where | target |\n|---|---|---|\n| a | b | `one` |\n| a | b | `gone`, `edge_x` |\n"
    build = "fuzz_algs = [\n  'unmade',\n]\nfuzz_targets = {\n  'one': ['d'],\n  'lost': ['d'],\n}\nfuzz_edges = {\n  'x': [[], ['d']],\n}\n  p += executable('fuzz_more', 'fuzz_more.c')\n"
    found = list(faults({"one", "edge_x", "more", "unbuilt"}, build, table, {"one", "stray"}))
    wanted = ["unbuilt.c is not built", "builds lost", "builds unmade", "what more reads", "what unbuilt reads", "names gone", "seeds of stray"]
    return 0 if len(found) == len(wanted) and all(w in f for w, f in zip(wanted, found)) else print(found) or 1


def main():
    if "--self-check" in sys.argv:
        return self_check()
    root = pathlib.Path(sys.argv[1])
    fuzz = root / "tests/fuzz"
    sources = {p.stem.removeprefix("fuzz_") for p in fuzz.glob("fuzz_*.c")}
    seeds = {p.name for p in (fuzz / "seeds").glob("*/")} if (fuzz / "seeds").is_dir() else set()
    found = list(faults(sources, (fuzz / "meson.build").read_text(), (fuzz / "README.md").read_text(), seeds))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

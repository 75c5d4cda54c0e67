#!/usr/bin/env python3
"""The table of docs/conformance-tcp.md, made of the first line of each script.

    table.py                   prints it
    table.py --check DOCUMENT  fails unless the document holds just this table, and every statement has a script

A first line reads "// S5, T9 RFC 5681 4.2, RFC 2018 4: what is shown".
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
FIRST_LINE = re.compile(r"// (?P<ids>(?:(?:[ST]\d+[a-z]?|Also required)(?:, | |(?=:)))*)(?P<source>[^:]*): (?P<text>.*)")
STATEMENTS = {f"S{n}" for n in range(1, 27) if n != 18}  # there is no S18


def rows():
    for path in sorted(HERE.glob("*.script")):
        found = FIRST_LINE.fullmatch(path.read_text().splitlines()[0])
        if not found:
            sys.exit(f"{path.name}:1: not of the form that {pathlib.Path(__file__).name} wants")
        ids = found["ids"].replace("Also required", "also").strip(" ,")
        yield ids or "-", found["source"] or "-", path.stem, found["text"]


def order(row):
    found = re.match(r"([ST])(\d+)(\w*)", row[0])
    return (found[1], int(found[2]), row[2]) if found else ("a" if row[0] == "also" else "b", 0, row[2])


def table():
    lines = ["| statement | source | script | what it shows |", "|---|---|---|---|"]
    return lines + [f"| {' | '.join(row)} |" for row in sorted(rows(), key=order)]


def main():
    if len(sys.argv) == 1:
        print("\n".join(table()))
        return
    document = pathlib.Path(sys.argv[2]).read_text().splitlines()
    held = [line for line in document if re.match(r"\| (statement|also|-|[ST]\d[^|]*) \|", line)]
    wanted = [line for line in table() if not line.startswith("|---")]
    for line in sorted(set(wanted) ^ set(held)):
        print(f"{'missing' if line in wanted else 'of no script'}: {line}")
    missing = STATEMENTS - {i for row in rows() for i in row[0].split(", ")}
    if missing:
        print("no script for", ", ".join(sorted(missing)))
    sys.exit(held != wanted or bool(missing))


main()

#!/usr/bin/env python3
"""same.py COMMITTED GENERATED: a generated document that is committed must be what the generator says today."""
import difflib
import pathlib
import sys


def main():
    committed, generated = (pathlib.Path(p) for p in sys.argv[1:3])
    before = committed.read_text().splitlines() if committed.exists() else []
    now = generated.read_text().splitlines()
    difference = list(difflib.unified_diff(before, now, str(committed), str(generated), lineterm=""))
    print("\n".join(difference[:60]))
    if difference:
        print(f"{committed} is stale: copy {generated} over it")
    return 1 if difference or not now else 0


if __name__ == "__main__":
    sys.exit(main())

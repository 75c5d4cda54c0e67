#!/usr/bin/python3
"""The policies' texts as C: declared.py OUTPUT FILE.policy... writes `struct declared_text declared_texts[]`."""
import pathlib
import sys

with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write('#include "declared.h"\n\nconst struct declared_text declared_texts[] = {\n')
    for path in map(pathlib.Path, sys.argv[2:]):
        out.write(f'\t{{"{path.stem}",\n')
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            quoted = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            out.write(f'\t\t"{quoted}"\n')
        out.write("\t},\n")
    out.write("\t{0, 0},\n};\n")

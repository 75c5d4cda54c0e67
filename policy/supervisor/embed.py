#!/usr/bin/python3
"""A text file as a C string: embed.py NAME INPUT OUTPUT writes `static const char NAME[]`, one line a line."""
import sys

name, source, target = sys.argv[1:]
with open(source, encoding="utf-8") as text, open(target, "w", encoding="utf-8") as out:
    out.write(f"static const char {name}[] =\n")
    for line in text:
        quoted = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        out.write(f'\t"{quoted}"\n')
    out.write("\t;\n")

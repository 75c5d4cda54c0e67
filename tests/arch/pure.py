#!/usr/bin/env python3
"""Pure cores, proved on the object code: no undefined symbol outside a short list, and no writable data.

    pure.py MANIFEST LIB.a...              checks each library that the manifest names
    pure.py MANIFEST --self-check CC       compiles impure objects and expects to be told of each

A constant table of pointers lies in .data.rel.ro in position-independent code: written once by the loader, never again. Every
other writable section counts.
"""
import fnmatch
import pathlib
import subprocess
import sys
import tempfile

# They touch the memory they are given and nothing else. vsnprintf is here for text into fixed buffers; the formats that
# could allocate (%ls, positional floats) are not used by any core.
MEMORY = set("""memcpy memmove memset memcmp memchr memrchr memmem strlen strnlen strcmp strncmp strcasecmp strncasecmp strchr strrchr
    strspn strcspn strstr strtol strtoul strtoull snprintf vsnprintf qsort bsearch abort
    __stack_chk_fail __assert_fail _GLOBAL_OFFSET_TABLE_ __ctype_b_loc __ctype_tolower_loc __errno_location
    __memcpy_chk __memmove_chk __memset_chk __snprintf_chk __vsnprintf_chk __strcpy_chk __strcat_chk __strncpy_chk
    __explicit_bzero_chk explicit_bzero strcpy strncpy __isoc99_sscanf __popcountdi2""".split())


def manifest(path):
    out = {}
    for line in pathlib.Path(path).read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line:
            name, _, rest = line.partition(":")
            below, _, extra = rest.partition(";")
            out[name] = (below.split(), extra.split())
    return out


def symbols(library):
    """[(object, name, type letter, section)]"""
    text = subprocess.run(["nm", "--format=sysv", str(library)], check=True, capture_output=True, text=True).stdout
    out, member = [], str(library)
    for line in text.splitlines():
        fields = [f.strip() for f in line.split("|")]
        if len(fields) == 7:
            out.append((member, fields[0], fields[2], fields[6]))
        elif line.endswith(":"):
            member = line.split("[")[-1].rstrip("]:")
    return out


def writable(section):
    return section.startswith((".data", ".bss", ".tdata", ".tbss", "*COM*")) and not section.startswith(".data.rel.ro")


def check(library, below, extra):
    """Problems of one library; `below` are the libraries that it stands on."""
    own = symbols(library)
    known = {name for lib in [library] + below for _, name, letter, _ in symbols(lib) if letter not in "Uw"}
    problems = []
    for member, name, letter, section in own:
        foreign = letter in "Uw" and name not in known and name not in MEMORY
        if foreign and not any(fnmatch.fnmatchcase(name, pattern) for pattern in extra):
            problems.append(f"{library.name}: {member} needs {name}")
        if writable(section) and not name.startswith("."):
            problems.append(f"{library.name}: {member} keeps {name} in {section}")
    return problems


def check_all(table, libraries):
    by_name = {lib.name.removeprefix("lib").removesuffix(".a"): lib for lib in libraries}
    problems, checked = [], 0
    for name, (below, extra) in table.items():
        if name not in by_name:
            continue
        missing = [b for b in below if b not in by_name]
        if missing:
            problems.append(f"{name} stands on {', '.join(missing)}, which was not built")
            continue
        problems += check(by_name[name], [by_name[b] for b in below], extra)
        checked += 1
    unknown = sorted(set(by_name) - set(table))
    problems += [f"{name} is not in the manifest" for name in unknown]
    return problems, checked


IMPURE = {
    "a system call": ("#include <unistd.h>\nint f(void);\nint f(void) { return getpid(); }\n", "needs getpid"),
    "a clock": ("#include <time.h>\nlong f(void);\nlong f(void) { return time(0); }\n", "needs time"),
    "the heap": ("#include <stdlib.h>\nvoid *f(int n);\nvoid *f(int n) { return malloc(n); }\n", "needs malloc"),
    "a counter": ("int f(void);\nint f(void) { static int n; return ++n; }\n", ".bss"),
    "initial state": ("extern int n; int n = 4;\n", "keeps n in .data"),
    "per-thread state": ("extern _Thread_local int n; _Thread_local int n = 4;\n", ".tdata"),
}
PURE = """#include <string.h>
static const char *const names[] = {"a", "b"};
const char *f(int i, char *out); const char *f(int i, char *out) { memset(out, 0, 4000); return names[i & 1]; }
"""


def self_check(compiler):
    wrong = []
    cases = {**IMPURE, "nothing": (PURE, None)}
    with tempfile.TemporaryDirectory() as folder:
        for what, (source, expected) in cases.items():
            code, library = pathlib.Path(folder) / "x.c", pathlib.Path(folder) / "libx.a"
            code.write_text(source)
            library.unlink(missing_ok=True)
            subprocess.run(compiler + ["-fPIC", "-O1", "-c", str(code), "-o", f"{folder}/x.o"], check=True)
            subprocess.run(["ar", "rcs", str(library), f"{folder}/x.o"], check=True)
            problems = check(library, [], [])
            if bool(problems) != bool(expected) or (expected and not any(expected in p for p in problems)):
                wrong.append(f"self-check: {what}: said {problems or 'nothing'}")
    print("\n".join(wrong))
    return not wrong


def main():
    if sys.argv[2] == "--self-check":
        return 0 if self_check(sys.argv[3:]) else 1
    problems, checked = check_all(manifest(sys.argv[1]), [pathlib.Path(p) for p in sys.argv[2:]])
    print("\n".join(problems))
    print(f"{checked} cores, {len(problems)} impurities")
    return 1 if problems or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

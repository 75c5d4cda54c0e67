#!/usr/bin/env python3
"""Static analysis: gcc -fanalyzer, clang-tidy and cppcheck over every C file of a build, one file and one tool at a time.

    analyze.py BUILD_FOLDER [--tool gcc|clang-tidy|cppcheck]... [--only PART_OF_A_PATH]... [--again]
    analyze.py --self-check

What each tool looks for: gcc its analyzer's checks, clang-tidy the lists in .clang-tidy (tests/.clang-tidy for tests), cppcheck `SEVERITIES`
below. What was looked at and is no defect stands in known.txt with its reason; a row there that nothing needs any more is a finding too.

An answer is kept below BUILD_FOLDER/analyze under a hash of what it was made from (the file, its headers, its flags, the lists of checks,
the tool's version), so the next run looks only at what changed; --again looks at everything. --self-check has the tools look at
planted.c and expects each to name what is planted for it. Exit 0: nothing found. 1: something was found. 2: it could not look.
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import functools
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
PLANTED = HERE / "planted.c"
KNOWN = HERE / "known.txt"
SEVERITIES = "warning,performance,portability"
PRODUCT = ("broker", "netstack", "natproxy", "dhcpd", "alg", "ipc", "policy")
# Numbers that change on the way, formats that nobody checked, null where the optimizer sees it, a frame that a small stack cannot hold.
MORE_WARNINGS = ("-Wconversion", "-Wsign-conversion", "-Wformat=2", "-Wformat-signedness", "-Wnull-dereference", "-Wlogical-op",
                 "-Wduplicated-cond", "-Wduplicated-branches", "-Walloca", "-Wstack-usage=131072")
PREPROCESSOR = ("-I", "-D", "-U", "-isystem", "-include")
# What a tool reads besides the file and its headers.
LISTS = {
    "gcc": [],
    "clang-tidy": [*sorted(TOP.glob(".clang-tidy")), *sorted(TOP.glob("*/.clang-tidy"))],
    "cppcheck": [HERE / "cppcheck.cfg"],
}
FINDING = re.compile(r"^(/?[^\s:]+):(\d+):(?:\d+:)? (?:fatal )?(?:warning|error): (.*) \[(?:-W)?([^\]]+)\]$")
FUNCTION = re.compile(r"^(?:Test\((\w+), (\w+)|(?:[A-Za-z_].*?)?\b([A-Za-z_]\w*)\()")

Finding = collections.namedtuple("Finding", "tool check file line function text")
Row = collections.namedtuple("Row", "number tool check file function")


class CannotLook(Exception):
    pass


class Unit:
    """A C file as the build compiles it: the first way, if there are several."""

    def __init__(self, path, product, directory, words, headers):
        self.path = path
        self.product = product
        self.directory = directory
        self.command = without_output(words)
        self.preprocessor = preprocessor_flags(words)
        self.headers = headers

    def key(self, tool, command):
        """A hash of everything that the tool's answer depends on."""
        lines = [version(tool), " ".join(map(str, command))]
        lines += [digest(p) for p in [self.path, *LISTS[tool]]]
        lines += [digest(self.directory / h) for h in self.headers]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def without_output(words):
    """The compiler's command without what says where its output goes, and without the file, which is the last word."""
    kept, skip = [], False
    for word in words[:-1]:
        if skip:
            skip = False
        elif word in ("-o", "-MQ", "-MF"):
            skip = True
        elif word not in ("-MD", "-c", "ccache"):
            kept.append(word)
    return kept


def preprocessor_flags(words):
    kept, take = [], False
    for word in words:
        if take or word.startswith(PREPROCESSOR):
            kept.append(word)
            take = word in PREPROCESSOR
    return kept


@functools.cache
def digest(path):
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return "absent"


@functools.cache
def version(tool):
    try:
        return subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise CannotLook(f"{tool} is not here. Install it: apt-get install {tool}") from None


def gcc(unit):
    # As the build compiles it, with all its warnings, and for what is shipped some more, which tests may do without.
    return [*unit.command, *(MORE_WARNINGS if unit.product else []), "-fanalyzer", "-Wno-error", "-fdiagnostics-color=never", "-S", "-o", "/dev/null", unit.path]


def clang_tidy(unit):
    # gcc's flags stay away: clang does not know them all, and warnings are the build's business.
    # Named, because generated files and planted.c do not lie below it.
    lists = [f"--config-file={TOP / '.clang-tidy'}"] if unit.product else []
    return ["clang-tidy", "--quiet", *lists, unit.path, "--", "-std=gnu11", *unit.preprocessor]


def cppcheck(unit):
    # It reads no header of the system (it has its own idea of libc), but the macros of protobuf-c make declarations.
    flags = [f for f in unit.preprocessor if not f.startswith(("-isystem", "-D_FORTIFY", "-U_FORTIFY"))]
    protobuf = [h for h in unit.headers if h.endswith("/protobuf-c.h")][:1]
    return ["cppcheck", "--quiet", "--std=c11", "--library=posix,gnu", f"--library={HERE / 'cppcheck.cfg'}", f"--enable={SEVERITIES}",
            "--template={file}:{line}: warning: {message} [{id}]", "--template-location=    {file}:{line}: {info}",
            "-D__linux__", "-D__x86_64__", *(f"--include={h}" for h in protobuf), *flags, unit.path]


TOOLS = {"gcc": gcc, "clang-tidy": clang_tidy, "cppcheck": cppcheck}


def looks_at(tool, unit):
    """gcc cannot see that a failed assertion of Criterion does not come back: behind each it would find a path that there is not."""
    return tool != "gcc" or not any(h.endswith("/criterion/criterion.h") for h in unit.headers)


def function_at(path, line):
    """The function around a line, by the house's layout: what begins in the first column. "-" where there is none."""
    try:
        lines = path.read_text().splitlines()[:line]
    except (OSError, UnicodeDecodeError):
        return "-"
    for text in reversed(lines):
        found = FUNCTION.match(text)
        if found:
            return found.group(3) or f"{found.group(1)}:{found.group(2)}"
    return "-"


def shown(path, build):
    for root in (build, TOP):  # a build folder may lie in the tree
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.as_posix()


def findings_of(tool, output, unit, build):
    """A finding is a line with file, line and [check], and what follows it up to the next."""
    found = []
    for line in output.splitlines():
        match = FINDING.match(line)
        if match:
            path = (unit.directory / match.group(1)).resolve()
            check = re.sub(r".*\[-W", "", match.group(4))
            number = int(match.group(2))
            found.append([tool, check, shown(path, build), number, function_at(path, number), line])
        elif found:
            found[-1][-1] += "\n" + line
    return [Finding(*f) for f in found]


def look(tool, unit, build, again):
    """What the tool finds in the file, and whether it had to look or knew it."""
    command = TOOLS[tool](unit)
    kept = build / "analyze" / tool / unit.key(tool, command)
    if unit.headers and kept.exists() and not again:
        kept.touch()
        return [Finding(*f) for f in json.loads(kept.read_text())], False
    done = subprocess.run(command, cwd=unit.directory, capture_output=True, text=True)
    output = done.stdout + done.stderr
    found = findings_of(tool, output, unit, build)
    if done.returncode != 0 and not found:
        raise CannotLook(f"{shlex.join(map(str, command))}\nended with {done.returncode}:\n{output}")
    if unit.headers:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found))
    return found, True


def read_known(text):
    """Rows "TOOL CHECK FILE FUNCTION: reason"; names may have * in them."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        head, colon, reason = line.partition(": ")
        words = head.split()
        if len(words) != 4 or words[0] not in TOOLS or not colon or len(reason.split()) < 3:
            raise CannotLook(f"{shown(KNOWN, TOP)}:{number}: not TOOL CHECK FILE FUNCTION: reason")
        rows.append(Row(number, *words))
    return rows


def knows(row, finding):
    return (row.tool == finding.tool and row.check in finding.check.split(",") and fnmatch.fnmatchcase(finding.file, row.file)
            and fnmatch.fnmatchcase(finding.function, row.function))


def judge(findings, rows):
    """The findings that no row knows, and the rows that know none."""
    used, new = set(), []
    for finding in findings:
        by = [row for row in rows if knows(row, finding)]
        used.update(by)
        if not by:
            new.append(finding)
    return new, [row for row in rows if row not in used]


def dependencies(build):
    """Object: its headers, as ninja keeps them from the last build."""
    done = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True)
    found, current = {}, None
    for line in done.stdout.splitlines():
        if line.startswith("    "):
            current.append(line.strip())
        elif ":" in line:
            current = found[line.split(":")[0]] = []
    return found


def units(build):
    if not (build / "compile_commands.json").exists():
        raise CannotLook(f"{build} is no build. Make one: meson setup {build} && ninja -C {build}")
    depends, found = dependencies(build), {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        directory = pathlib.Path(entry["directory"])
        path = (directory / entry["file"]).resolve()
        if not path.name.endswith(".pb-c.c"):  # protoc-c's own text
            product = shown(path, build).split("/")[0] in PRODUCT
            found.setdefault(path, Unit(path, product, directory, shlex.split(entry["command"]), depends.get(entry["output"], [])))
    return sorted(found.values(), key=lambda u: u.path)


def ask(tool, chosen, build, again):
    """All that the tool finds, each once, though a header is read with every file that includes it."""
    begin, looked, found = time.monotonic(), 0, {}
    version(tool)
    print(f"{tool}: {len(chosen)} files", file=sys.stderr)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for findings, anew in pool.map(lambda u: look(tool, u, build, again), chosen):
            looked += anew
            for f in findings:
                found.setdefault(f[:4], f)
    return list(found.values()), f"{len(chosen)} files, {looked} looked at in {time.monotonic() - begin:.0f} s"


def run(build, tools, only, again):
    rows = read_known(KNOWN.read_text())
    chosen = [u for u in units(build) if not only or any(part in shown(u.path, build) for part in only)]
    problems = 0
    for tool in tools:
        findings, summary = ask(tool, [u for u in chosen if looks_at(tool, u)], build, again)
        new, stale = judge(findings, [r for r in rows if r.tool == tool])
        for finding in new:
            print(f"{finding.text}\n    known.txt would call it: {finding.tool} {finding.check.split(',')[0]} {finding.file} {finding.function}\n")
        for row in [] if only else stale:
            print(f"{shown(KNOWN, TOP)}:{row.number}: nothing needs this row any more: {' '.join(row[1:])}")
            problems += 1
        problems += len(new)
        print(f"{tool}: {summary}, {len(findings) - len(new)} known findings, {len(new)} new", flush=True)
    return 1 if problems else 0


def self_check():
    """Each line of planted.c that says "planted: TOOL CHECK, ..." must be named by just these, and rows must hide what they say only."""
    unit = Unit(PLANTED, True, HERE, ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", PLANTED.name], [])
    wrong = 0
    for tool in TOOLS:
        findings, _ = ask(tool, [unit], HERE, True)
        expected = {(number, check) for number, line in enumerate(PLANTED.read_text().splitlines(), 1)
                    for check in re.findall(rf"{tool} ([\w.-]+)", line.partition("planted: ")[2])}
        named = {(f.line, c) for f in findings for c in f.check.split(",")}
        for line, check in sorted(expected - named):
            print(f"planted.c:{line}: {tool} does not name {check}")
        row = Row(1, tool, findings[0].check.split(",")[0], findings[0].file, findings[0].function) if findings else None
        new, stale = judge(findings, [row, row._replace(function="elsewhere")]) if row else ([], [])
        hides = row and stale == [row._replace(function="elsewhere")] and len(new) < len(findings)
        wrong += len(expected - named) + (not expected) + (not hides)
        print(f"{tool}: {len(expected & named)} of {len(expected)} planted defects named; known findings {'hidden' if hides else 'WRONG'}")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=pathlib.Path, nargs="?")
    parser.add_argument("--tool", action="append", choices=TOOLS)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--self-check", action="store_true")
    options = parser.parse_args()
    if not options.build and not options.self_check:
        parser.error("a build folder, or --self-check")
    try:
        return self_check() if options.self_check else run(options.build.resolve(), options.tool or list(TOOLS), options.only, options.again)
    except CannotLook as why:
        print(why, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

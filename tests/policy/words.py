#!/usr/bin/env python3
"""Words in code = lines in policy, both ways.

A function that makes a system call says so in its comment: "Syscalls: recvmsg close". For each worker, every such word in
its own directory and in the part of ipc/ that it runs must be a line of its policy, and every line of its policy must be
such a word. The function that a reason names must exist.

    words.py SOURCE_ROOT            checks
    words.py SOURCE_ROOT --self-check   plants violations in a copy and expects to be told of each
"""
import pathlib
import re
import shutil
import sys
import tempfile

# What the C library and libev do on our behalf, named in reasons as if it were ours.
OUTSIDE = re.compile(r"(ev_|epoll_|libev|libc|__|exit$|abort$|raise$|clock_|vdso|printf|malloc|main$)")
# The part of ipc/ that every worker runs behind its filter; ring code runs only where topology.def has a RING edge.
IPC_ALL = ("actor", "chan")
IPC_RING = ("ring",)
# The same for all workers and over before the filter is on: "stage boot". tests/integration/test_policy_use.py compares it with what they do.
IPC_BOOT = ("boot", "confine")


def calls_known(root):
    text = (root / "policy/words.c").read_text()
    return set(re.findall(r'\{"([a-z0-9_]+)",\s*WORDS_', text))


def workers(root):
    text = (root / "ipc/topology.def").read_text()
    names = re.findall(r"^ACTOR\(\w+, (\w+)\)", text, re.M)
    rings = {a.lower() for pair in re.findall(r"^EDGE\((\w+), (\w+), RING\)", text, re.M) for a in pair}
    return [(name, name in rings) for name in names]


def words_in(path, known):
    """[(call, line, of rings only)] of the words in one source file; a word that is no call comes as "?word".

    The list goes on over the lines of its comment and ends with a full stop, a bracket, the word "and", an indented or empty
    line, or the comment. "rings" on the line before the word makes it a list for actors with rings only.
    """
    found = []
    text = path.read_text(errors="replace")
    for match in re.finditer(r"Syscalls:", text):
        end = re.search(r"[.;(]|\band\b|\*/|\n[ \t]*\*?[ \t]*\n|//|\n[ \t]*[^ \t*\n]|\n[ \t]*\*   ", text[match.end():] + "*/")
        rest = re.sub(r"\n[ \t]*\*", " ", text[match.end():match.end() + end.start()])
        line = text.count("\n", 0, match.start()) + 1
        rings = "rings" in text[text.rfind("\n", 0, match.start()) + 1:match.start()]
        found += [(word if word in known else "?" + word, line, rings) for word in rest.replace(",", " ").split()]
    return found


def policy_lines(path):
    """[(line, stage, call, functions)]"""
    stage, out = None, []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        rule, _, comment = text.partition("#")
        words = rule.split()
        if not words or words[0] == "actor":
            continue
        if words[0] in ("stage", "boot", "run", "rare"):
            stage = words[-1]
            continue
        out.append((number, stage, words[0], [f.strip() for f in comment.partition(":")[0].split(",")]))
    return out


def sources(root, folder, stems=None):
    for path in sorted((root / folder).rglob("*.[ch]") if stems is None else (root / folder).glob("*.[ch]")):
        if stems is None or path.stem in stems:
            yield path


def check_worker(root, name, has_ring, known, problems):
    policy = root / "policy" / f"{name}.policy"
    lines = policy_lines(policy)
    allowed = {call for _, _, call, _ in lines}
    behind = list(sources(root, name)) + list(sources(root, "ipc", IPC_ALL + (IPC_RING if has_ring else ())))
    before = list(sources(root, "ipc", IPC_BOOT))
    text = "".join(path.read_text(errors="replace") for path in behind + before)
    needed, spoken = {}, set()
    for path in behind + before:
        for call, line, rings in words_in(path, known):
            where = f"{path.relative_to(root)}:{line}"
            if call.startswith("?"):
                problems.append(f"{where}: '{call[1:]}' after Syscalls: is no call known to policy/words.c")
            elif has_ring or not rings:
                spoken.add(call)
                needed.setdefault(call, where)
    for call, where in sorted(needed.items()):
        if call not in allowed:
            problems.append(f"{where}: {call} has no line in policy/{name}.policy (stage boot if it is made before the lock)")
    check_functions(root, name, text, problems)
    for number, stage, call, _ in lines:
        if call not in spoken:
            problems.append(f"policy/{name}.policy:{number}: no comment of {name}/ or its part of ipc/ says 'Syscalls: {call}'")


# The two that are no workers: where the functions of their reasons live. A new worker's boot counts as the supervisor's.
OTHERS = {
    "supervisor": ["policy", "policy/supervisor", "ipc", "natproxy", "broker"],
    "ctl": ["ipc", "ipc/ctl"],
}


def check_functions(root, name, text, problems):
    for number, _, _, functions in policy_lines(root / "policy" / f"{name}.policy"):
        for function in functions:
            if not OUTSIDE.match(function) and not re.search(rf"\b{re.escape(function)}\(", text):
                problems.append(f"policy/{name}.policy:{number}: there is no function {function}")


def check_others(root, problems):
    for name, folders in OTHERS.items():
        if (root / "policy" / f"{name}.policy").exists() and all((root / f).is_dir() for f in folders):
            paths = [path for folder in folders for path in sorted((root / folder).glob("*.[ch]"))]
            check_functions(root, name, "".join(p.read_text(errors="replace") for p in paths), problems)


def check(root):
    problems, known = [], calls_known(root)
    check_others(root, problems)
    checked = 0
    for name, has_ring in workers(root):
        if (root / name).is_dir() and (root / "policy" / f"{name}.policy").exists():
            check_worker(root, name, has_ring, known, problems)
            checked += 1
    return problems, checked


def self_check(root):
    """Whether what is planted in a copy of the sources is noticed, and was not there before."""
    name = next((n for n, _ in workers(root) if (root / "policy" / f"{n}.policy").exists()), None)
    if name is None:
        print("self-check: no policy of a worker yet")
        return False
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        for part in ["policy", "ipc"] + [name for name, _ in workers(root)]:
            if (root / part).is_dir():
                shutil.copytree(root / part, copy / part)
        before = set(check(copy)[0])
        (copy / name / "planted.h").write_text("/* Reads. Syscalls: getppid */\n")
        (copy / name / "misspelt.h").write_text("/* Syscalls: recvmesg */\n")
        with (copy / f"policy/{name}.policy").open("a") as f:
            f.write("\nsysinfo * # exit: planted\nexit_group * # planted_nowhere: planted\n")
        told = [p for p in check(copy)[0] if p not in before]
    missed = [e for e in ("getppid has no line", "'Syscalls: sysinfo'", "no function planted_nowhere", "'recvmesg'") if not any(e in p for p in told)]
    for expected in missed:
        print(f"self-check: nobody noticed: {expected}")
    return not missed


def main():
    root = pathlib.Path(sys.argv[1])
    if "--self-check" in sys.argv:
        return 0 if self_check(root) else 1
    problems, checked = check(root)
    print("\n".join(problems))
    print(f"{checked} workers, {len(problems)} differences between words in code and lines in policy")
    return 1 if problems or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

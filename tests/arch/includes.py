#!/usr/bin/env python3
"""Who may include whom. An actor sees its own directory and ipc/; ipc/ sees nobody; the trusted base sees itself and ipc/.

    includes.py SOURCE_ROOT                 checks
    includes.py SOURCE_ROOT --self-check    plants violations in a copy and expects to be told of each
"""
import pathlib
import re
import shutil
import sys
import tempfile

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)
GENERATED = re.compile(r"(\w+\.pb-c\.h|(\w+)_dispatch\.h|defaults\.h)$")
OF_FOLDER = {"h323_schema.h": "alg"}  # generated, and one folder's own
# Folder: the folders whose headers it may see besides its own. Files of subfolders that are not named belong to their parent.
MAY_SEE = {
    "ipc": [],
    "ipc/ctl": ["ipc", "policy", "alg/replay"],
    "alg/replay": ["alg", "ipc"],
    "policy": ["ipc"],
    "policy/supervisor": ["policy", "ipc"],
    "policy/audit": ["policy", "ipc"],
}


def actors(root):
    return re.findall(r"^ACTOR\(\w+, (\w+)\)", (root / "ipc/topology.def").read_text(), re.M)


def folder_of(root, path, folders):
    relative = path.relative_to(root).as_posix()
    return max((f for f in folders if relative.startswith(f + "/")), key=len)


def dispatch_allowed(folder, owner):
    """A dispatcher's header belongs to one actor; the supervisor and the tool have theirs too."""
    return owner == folder or (owner in ("super", "operator") and folder in ("policy/supervisor", "ipc/ctl"))


def judge(root, path, name, folder, allowed, folders):
    """None, or what is wrong with this include."""
    if name in OF_FOLDER:
        return None if OF_FOLDER[name] in [folder] + allowed else f"{name} belongs to {OF_FOLDER[name]}"
    generated = GENERATED.search(name)
    if generated and "/" not in name:
        if generated.group(2) and not dispatch_allowed(folder, generated.group(2)):
            return f"{name} is the dispatcher of another process"
        return None
    places = [path.parent] + [root / f for f in [folder] + allowed]
    target = next(((p / name).resolve() for p in places if (p / name).is_file()), None)
    if target is None:
        return f"{name} is in none of {', '.join([folder] + allowed)}"
    try:
        home = folder_of(root.resolve(), target, folders)
    except ValueError:
        return f"{name} lies outside every part"
    return None if home == folder or home in allowed else f"{name} belongs to {home}"


def check(root):
    problems, files = [], 0
    may_see = {**MAY_SEE, **{actor: ["ipc"] for actor in actors(root)}}
    for top in sorted({f.split("/")[0] for f in may_see}):
        for path in sorted((root / top).rglob("*.[ch]")):
            folder = folder_of(root, path, may_see)
            files += 1
            text = path.read_text(errors="replace")
            for match in INCLUDE.finditer(text):
                wrong = judge(root, path, match.group(1), folder, may_see[folder], may_see)
                if wrong:
                    line = text.count("\n", 0, match.start()) + 1
                    problems.append(f"{path.relative_to(root)}:{line}: {folder} may not include this: {wrong}")
    return problems, files


def plant(root, file, include, expected):
    with tempfile.TemporaryDirectory() as name:
        copy = pathlib.Path(name).resolve()
        for part in ["ipc", "policy"] + actors(root):
            if (root / part).is_dir():
                shutil.copytree(root / part, copy / part)
        (copy / "broker").mkdir(exist_ok=True)
        (copy / "broker/planted_header.h").write_text("/* only the broker may see this */\n")
        (copy / "netstack").mkdir(exist_ok=True)
        (copy / file).write_text(f'#include "{include}"\n')
        told = any(p.startswith(file) and expected in p for p in check(copy)[0])
    return told


def self_check(root):
    """(file, include, part of the complaint; None: must be allowed)"""
    cases = [
        ("netstack/planted.c", "../broker/planted_header.h", "belongs to broker"),
        ("netstack/planted.c", "planted_header.h", "is in none of"),
        ("netstack/planted.c", "broker_dispatch.h", "another process"),
        ("netstack/planted.c", "../policy/parse.h", "belongs to policy"),
        ("ipc/planted.h", "../broker/planted_header.h", "belongs to broker"),
        ("netstack/planted.c", "h323_schema.h", "belongs to alg"),
        ("broker/planted.c", "planted_header.h", None),
        ("broker/planted.c", "ring.h", None),
        ("broker/planted.c", "super.pb-c.h", None),
    ]
    wrong = [case for case in cases if plant(root, *case[:2], case[2] or "") != bool(case[2])]
    for file, include, expected in wrong:
        print(f'self-check: #include "{include}" in {file}: ' + ("nobody noticed" if expected else "must be allowed"))
    return not wrong


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    if "--self-check" in sys.argv:
        return 0 if self_check(root) else 1
    problems, files = check(root)
    print("\n".join(problems))
    print(f"{files} files, {len(problems)} includes across a border")
    return 1 if problems or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

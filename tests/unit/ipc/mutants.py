#!/usr/bin/env python3
"""A checker that can't fail proves nothing: takes one element after the other out of a source and expects the checker to notice.

    mutants.py [--run=PROGRAM] TABLE SOURCE_ROOT CHECKER.c[,MORE.c...] CC FLAGS...

TABLE holds `source FILE MACRO` and after it blocks: `name [arguments of the checker]`, `- text` as it stands in the file (once),
`+ text` in its place. The checker includes the file by the macro; with `-` for a macro the file is compiled beside the checker
and comes before the libraries that also have it. What was built runs, or with --run PROGRAM does with the built one's path in
FAKE_ACTOR, and must end with 1 (it found the fault) within two minutes."""
import concurrent.futures, os, pathlib, subprocess, sys, tempfile


def blocks(text):
    source, macro, found = None, None, []
    for line in text.splitlines():
        if line.startswith("source "):
            source, macro = line[7:].split()
        elif line.startswith("- ") or line.startswith("+ "):
            found[-1]["old" if line[0] == "-" else "new"].append(line[2:])
        elif line and not line.startswith("#"):
            name, *arguments = line.split()
            found.append({"name": name, "arguments": arguments, "source": source, "macro": macro, "old": [], "new": []})
    return found


def squeeze(text):
    return " ".join(text.split())


def mutate(text, block):
    """The source with the old words replaced; how they are broken into lines does not matter."""
    old = squeeze(" ".join(block["old"])).split(" ")
    spots, at = [], 0
    while (at := text.find(old[0], at)) >= 0:
        end = at
        for word in old:
            while end < len(text) and text[end].isspace():
                end += 1
            if not text.startswith(word, end):
                break
            end += len(word)
        else:
            spots.append((at, end))
        at += 1
    if len(spots) != 1:
        raise SystemExit(f"{block['name']}: the text to replace occurs {len(spots)} times in {block['source']}")
    (start, end), = spots
    return text[:start] + " ".join(block["new"]) + text[end:]


def words_of(compiler):
    """How many words name the compiler: meson puts ccache in front where it is installed."""
    return 2 if compiler[0].endswith("ccache") else 1


def compiled(checkers, compiler, folder):
    """Checkers that do not include the source, once for all."""
    words = words_of(compiler)
    objects = [folder / f"checker{n}.o" for n in range(len(checkers))]
    for source, made in zip(checkers, objects):
        subprocess.run([*compiler[:words], "-w", "-c", "-o", made, source, *(flag for flag in compiler[words:] if flag.startswith("-") and not flag.startswith("-l"))], check=True)
    return objects


def build_and_run(block, root, checkers, compiler, folder, runner):
    source = folder / f"{block['name']}.c"
    program = folder / block["name"]
    path = root / block["source"]
    source.write_text(f'#line 1 "{path}"\n' + mutate(path.read_text(), block))
    how = [source] if block["macro"] == "-" else [f'-D{block["macro"]}="{source}"']
    words = words_of(compiler)
    build = subprocess.run([*compiler[:words], "-w", "-o", program, *how, *checkers, *compiler[words:]], capture_output=True, text=True)
    if build.returncode:
        return f"{block['name']}: does not build:\n{build.stderr}"
    try:
        run = subprocess.run([runner or program, *block["arguments"]], capture_output=True, text=True, timeout=120,
                             env=dict(os.environ, FAKE_ACTOR=str(program)))
    except subprocess.TimeoutExpired:
        return f"{block['name']}: the checker does not end"
    print(f"{block['name']}: {((run.stdout + run.stderr).strip().splitlines() or ['?'])[-1]}", flush=True)
    return None if run.returncode == 1 else f"{block['name']}: not noticed (exit {run.returncode}) {run.stdout} {run.stderr}"


def main(table, root, checkers, *compiler, runner=None):
    found, checkers = blocks(pathlib.Path(table).read_text()), checkers.split(",")
    with tempfile.TemporaryDirectory(prefix="natlock-mutants-") as name, concurrent.futures.ThreadPoolExecutor(2) as pool:
        folder = pathlib.Path(name)
        if all(b["macro"] == "-" for b in found):
            checkers = compiled(checkers, compiler, folder)
        jobs = [pool.submit(build_and_run, b, pathlib.Path(root), checkers, compiler, folder, runner) for b in found]
        wrong = [w for w in (job.result() for job in jobs) if w]
    print(f"{len(found)} mutants, {len(wrong)} lived")
    print("\n".join(wrong))
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    runners = [a.removeprefix("--run=") for a in sys.argv[1:2] if a.startswith("--run=")]
    sys.exit(main(*sys.argv[1 + len(runners):], runner=runners[0] if runners else None))

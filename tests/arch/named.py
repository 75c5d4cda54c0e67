#!/usr/bin/env python3
"""Every test that a conformance table names must exist: named.py ROOT TABLE..., or --self-check.

A name is `FILE::TEST`, FILE below tests/; a test is `def TEST(` in Python and `Test(SUITE, TEST)` in C.
"""
import pathlib, re, sys, tempfile

NAME = re.compile(r"`([\w./-]+\.(?:py|c))::(\w+)`")


def missing(root, table):
    """(names found, names whose test is not there)"""
    names, bad = NAME.findall(table.read_text()), []
    for file, test in names:
        path = root / "tests" / file
        text = path.read_text() if path.is_file() else ""
        pattern = rf"^def {test}\(" if file.endswith(".py") else rf"^Test\(\w+, {test}[,)]"
        if not re.search(pattern, text, re.M):
            bad.append(f"{table.name}: {file}::{test}")
    return names, bad


def self_check():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "tests/a").mkdir(parents=True)
        (root / "tests/a/t.py").write_text("def test_there(x):\n    pass\n")
        (root / "tests/a/t.c").write_text("Test(s, there)\n{\n}\n")
        table = root / "table.md"
        table.write_text("| `a/t.py::test_there` `a/t.c::there` |")
        assert missing(root, table) == ([("a/t.py", "test_there"), ("a/t.c", "there")], [])
        table.write_text("| `a/t.py::test_ther` `a/t.c::here` `a/u.py::test_there` |")
        assert len(missing(root, table)[1]) == 3
    return 0


def main():
    if sys.argv[1] == "--self-check":
        return self_check()
    bad = []
    for table in sys.argv[2:]:
        names, wrong = missing(pathlib.Path(sys.argv[1]), pathlib.Path(table))
        bad += wrong if names else [f"{table} names no test"]
    print("\n".join(bad))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())

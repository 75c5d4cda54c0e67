"""The tables of docs/conformance-*.md, SECURITY.md, securenat.md and cisco-alg.md, and the tests they name."""
import pathlib, re
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = "tests/integration/"
FILES = {"udp": HERE + "test_conformance_udp.py", "ip": HERE + "test_conformance_ip.py", "dgram": "tests/unit/natproxy/dgram.c", "nat": "tests/unit/natproxy/nat.c", "complain": "tests/unit/natproxy/complain.c",
         "netstack-udp": "tests/unit/netstack/udp.c", **{name: f"tests/unit/netstack/{name}.c" for name in ("frag", "quote", "icmp", "ip4", "tcp_open", "park")},
         "dhcp": HERE + "test_conformance_dhcp.py", **{name: f"tests/unit/dhcpd/{name}.c" for name in ("engine", "engine_changes", "lease", "codec", "rival", "settings")},
         "store": "tests/unit/supervisor/store.c", "steer": "tests/unit/broker/steer.c"}
TABLES = {"ip": ("udp", "ip"), "dhcp": ("dhcp",)}  # docs/conformance-NAME.md, and the files whose tests are all in it


def table(name):
    return (TOP / f"docs/conformance-{name}.md").read_text()


def named(name):
    return re.findall(r"`([\w.-]+)::(\w+)`", table(name))


def defined_in(path):
    return set(re.findall(r"^def (test_\w+)\(|^Test\(\w+, (\w+)", (TOP / path).read_text(), re.M))


@pytest.mark.parametrize("name", TABLES)
def test_every_named_test_exists(name):
    assert len(named(name)) > 60
    for file, test in named(name):
        assert test in {a or b for a, b in defined_in(FILES.get(file, HERE + file))}, (file, test)


@pytest.mark.parametrize("name", TABLES)
def test_every_conformance_test_is_named(name):
    for file in TABLES[name]:
        there = {a for a, _ in defined_in(FILES[file])}
        assert there == {test for where, test in named(name) if where == file}


@pytest.mark.parametrize("name,expected", [("ip", {f"U{n}" for n in range(2, 21)} | {f"I{n}" for n in (*range(1, 4), *range(5, 15))}), ("dhcp", {f"D{n}" for n in range(1, 12)})])
def test_every_row_of_the_issue_is_there(name, expected):
    rows = "".join(line.split("|")[1] for line in table(name).splitlines() if line.startswith("| "))
    assert set(re.findall(r"[UID]\d+", rows)) >= expected


@pytest.mark.parametrize("name", TABLES)
def test_every_key_named_exists(name):
    defaults = (TOP / "policy/supervisor/defaults.yaml").read_text()
    for key in re.findall(r"`(?:nat|limits|dhcp)\.(\w+)`", table(name)):
        assert f"{key}:" in defaults, key


def path_of(file):
    return f"tests/{file}" if "/" in file else HERE + file


# ---- docs/SECURITY.md ----
def test_every_test_named_for_a_hole_exists():
    holes = (TOP / "docs/SECURITY.md").read_text().split("## Holes")[1].split("\n## ")[0]
    rows = [line.split("|")[4] for line in holes.splitlines() if line.startswith("| ") and "| shown by |" not in line]
    assert len(rows) >= 10
    for row in rows:
        tests = re.findall(r"`([\w./-]+)::(\w+)`", row)
        assert tests, row
        for file, name in tests:
            assert name in {a or b for a, b in defined_in(path_of(file))}, (file, name)


# ---- docs/securenat.md, docs/cisco-alg.md: statement by statement ----
SEEDS = {"securenat": 70, "cisco-alg": 45}  # more rows than these


def seed(name):
    return (TOP / f"docs/{name}.md").read_text()


def rows(name):
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip("|\n"))] for line in seed(name).splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("name", SEEDS)
def test_every_row_is_whole_and_has_a_test(name):
    whole = [row for row in rows(name) if row[-1] != "tests"]
    assert len(whole) > SEEDS[name]
    for row in whole:
        assert len(row) == 4 and all(row) and re.fullmatch(r"(`[\w./-]+::\w+` ?)+", row[-1]), row


@pytest.mark.parametrize("name", SEEDS)
def test_every_test_named_for_it_exists(name):
    missing = []
    for file, test in re.findall(r"`([\w./-]+)::(\w+)`", seed(name)):
        there = {a or b for a, b in defined_in(path_of(file))} if (TOP / path_of(file)).exists() else set()
        if test not in there:
            missing.append(f"{file}::{test}")
    assert not missing


def test_every_section_of_securenat_is_there():
    assert re.findall(r"^## (3\.7\.\d)", seed("securenat"), re.M) == [f"3.7.{n}" for n in range(1, 9)]


def test_every_feature_of_cisco_s_table_is_there():
    features = seed("cisco-alg").split("## Features")[1].split("## Commands")[0]
    names = {line.split("|")[1].strip() for line in features.splitlines() if line.startswith("| ")} - {"Cisco's feature"}
    assert len(names) == 23


def test_every_key_that_cisco_s_rows_name_exists():
    defaults = (TOP / "policy/supervisor/defaults.yaml").read_text()
    for row in rows("cisco-alg"):
        for key in re.findall(r"`(?:alg|nat|log)\.(\w+)`", row[2]):
            assert re.search(rf"^ +{key}:", defaults, re.M), key

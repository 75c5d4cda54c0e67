"""Modes of an ALG and what chooses them: off, observe, fix; access lists, ports, strict. FTP stands for all: natproxy treats them alike."""
import json
import pytest
from conftest import SERVER, SERVER2, TOP, wait_for
from operator_client import change

CLIENT, SERVICE = TOP / "tests/integration/ftp_client.py", TOP / "tests/integration/ftp_server.py"
COMMANDS = ["USER anonymous", "PASS x@y", "PORT!", "SITE TRY"]
BEFORE = {"mode": "fix", "strict": "false", "lists": "[]", "ports": "[21]"}


@pytest.fixture(scope="module")
def server(world):
    process = world.internet.start(SERVICE, SERVER2)
    assert process.stdout.readline() == "ready\n"
    yield
    process.kill()
    process.wait()


@pytest.fixture
def ftp(gateway, server):
    """Changes alg.ftp for one test."""

    def switch(**values):
        change(gateway, *[("set", f"alg.ftp.{key}", value) for key, value in values.items()])

    yield switch
    switch(**BEFORE)


def talk(gateway, *lines):
    result = gateway.guest.run(CLIENT, SERVER2, 0, *lines, check=False, timeout=40)
    return json.loads(result.stdout) if result.returncode == 0 else None


def flows(gateway):
    return int([row for row in gateway.table("alg", "stats") if row["alg"] == "ftp"][0]["flows"])


def was_fixed(got):
    return got["arrived"] == "hello from the server" and "198,18,1,2" in got["said"][3]


def was_left_alone(got):
    return got["arrived"] is None and got["own"].replace(".", ",") in got["said"][3]


def test_observing_changes_nothing_and_says_what_it_would(gateway, ftp):
    assert was_fixed(talk(gateway, *COMMANDS))
    before = flows(gateway)
    ftp(mode="observe")
    assert was_left_alone(talk(gateway, *COMMANDS))
    assert flows(gateway) == before + 1, "it looked on"
    assert not gateway.table("alg", "expectations")
    wait_for(lambda: "SecureNAT: The ALG ftp would have changed the TCP session" in gateway.log(), 3, "what it would have changed")


def test_off_does_not_look(gateway, ftp):
    before = flows(gateway)
    ftp(mode="off")
    assert was_left_alone(talk(gateway, *COMMANDS))
    assert flows(gateway) == before


def test_the_first_access_list_that_has_both_decides(gateway, ftp):
    lists = [f"{{number: {number}, permit: [{address}/32]}}" for number, address in ((31, SERVER), (32, SERVER2))]
    change(gateway, *[("add", "nat.access_lists", text) for text in lists])
    try:
        ftp(lists="[{guests: 0, peers: 32, mode: off}, {guests: 0, peers: 0, mode: fix}]")
        assert was_left_alone(talk(gateway, *COMMANDS))
        ftp(mode="off", lists="[{guests: 0, peers: 31, mode: off}, {guests: 0, peers: 32, mode: fix}]")
        assert was_fixed(talk(gateway, *COMMANDS))
    finally:
        ftp(**BEFORE)
        change(gateway, *[("remove", "nat.access_lists", text) for text in lists])


def test_ports_are_those_of_the_list(gateway, ftp):
    before = flows(gateway)
    ftp(ports="[2121]")
    assert was_left_alone(talk(gateway, *COMMANDS))
    assert flows(gateway) == before


def test_strict_ends_what_is_not_the_protocol(gateway, ftp):
    ftp(strict="true")
    assert was_fixed(talk(gateway, *COMMANDS)), "FTP itself goes on"
    assert talk(gateway, "POST / HTTP/1.1", "Host: x") is None
    wait_for(lambda: "not ftp, and alg.ftp.strict is true" in gateway.log(), 3, "why it ended")
    assert sum(int(row["count"]) for row in gateway.table("drops") if row["reason"] == "ALG_STRICT") == 1


def test_the_table_of_sessions_names_the_alg(gateway, ftp):
    hold = gateway.guest.start("/usr/bin/python3", "-c", f"import socket; c = socket.create_connection(('{SERVER2}', 21), 5); print(c.recv(99), flush=True); c.settimeout(None); c.recv(1)")
    assert hold.stdout.readline()
    assert [row["alg"] for row in gateway.table("nat", "table", "alg=ftp")] == ["ftp"]
    ftp(mode="off")
    wait_for(lambda: gateway.control("nat", "table", "alg=ftp", check=False).returncode == 4, 2, "the flow to be left alone")
    assert hold.poll() is None
    hold.kill()
    hold.wait()


@pytest.mark.parametrize("name", ["ftp", "tftp", "dns", "rcmd", "netbios", "rtsp", "ldap", "icmp"])
def test_each_can_be_switched(gateway, name):
    gateway.control("alg", "disable", name)
    assert "enable: false" in gateway.control("config", "diff", f"alg.{name}").stdout
    gateway.control("alg", "enable", name)

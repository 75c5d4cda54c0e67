"""natlockctl's words about ALGs, against a gateway of two shards that may be changed: list, stats, test."""
import json, os, subprocess
import pytest
from conftest import SERVER2, TOP, Gateway, Namespace, lease, program, wait_for

CONFIG = """\
hubs:
  default:
    attach: ["netns:{guest}"]
    shards: 2
    nat: {{access_lists: [{{number: 10, permit: [192.168.30.200/32]}}]}}
    alg:
      ftp: {{ports: [21, 2121], strict: true, lists: [{{guests: 10, mode: observe}}]}}
"""
CAPTURE = TOP / "tests/vectors/captures/ftp/own-vsftpd-curl-epsv-pasv-eprt-port.pcap"
ALGS = ["icmp", "ipsec", "ftp", "tftp", "dns", "rcmd", "netbios", "rtsp", "ldap", "sip", "h323", "skinny"]
INTEGRATION = TOP / "tests/integration"


@pytest.fixture(scope="module")
def own(world):
    guest = Namespace("algs")
    gateway = Gateway(world, "algcontrol", CONFIG.format(guest=guest.name), guest=guest)
    lease(guest)
    server = world.internet.start(INTEGRATION / "ftp_server.py", SERVER2)
    wait_for(lambda: world.internet.run("ss", "-ltn", "sport = :21").stdout.count("LISTEN"), 5, "the server")
    yield gateway
    gateway.end()
    guest.remove()
    server.kill()
    server.wait()


def row(gateway, name, table="list"):
    return next(one for one in gateway.table("alg", table) if one["alg"] == name)


def talk(gateway, *lines):
    said = gateway.guest.run("/usr/bin/python3", INTEGRATION / "ftp_client.py", SERVER2, 0, "USER x", "PASS x", *lines).stdout
    return json.loads(said)


def test_the_list_has_every_alg_once_and_how_it_is_switched(own):
    assert [one["alg"] for one in own.table("alg", "list")] == ALGS, "two shards, one row each"
    ftp = row(own, "ftp")
    assert (ftp["enabled"], ftp["mode"], ftp["ports"], ftp["strict"], ftp["lists"]) == (True, "fix", "21 2121", True, "10 observe")
    assert row(own, "netbios")["ports"] == "137 138 139" and row(own, "icmp")["enabled"]
    lines = own.control("alg", "list").stdout.splitlines()
    assert lines[0].split() == ["ALG", "ENABLED", "MODE", "PORTS", "STRICT", "LISTS", "FLOWS"] and len(lines) == 1 + len(ALGS)
    own.control("hub", "set", "alg.ldap.mode=observe", "alg.ldap.ports=389")
    wait_for(lambda: (row(own, "ldap")["mode"], row(own, "ldap")["ports"]) == ("observe", "389"), 3, "the change")
    for name in ("tftp", "icmp"):
        own.control("alg", "disable", name)
        wait_for(lambda: not row(own, name)["enabled"], 3, "it to be off")
        own.control("alg", "enable", name)
        wait_for(lambda: row(own, name)["enabled"], 3, "it to be on")


def test_statistics_count_what_happens(own):
    before = row(own, "ftp", "stats")
    assert talk(own, "PORT!", "SITE TRY")["arrived"] == "hello from the server"
    wait_for(lambda: row(own, "ftp", "stats")["open"] == 0, 5, "the flow's end")
    after = row(own, "ftp", "stats")
    grown = {key: after[key] - before[key] for key in ("flows", "edits", "granted", "used", "refused", "violations")}
    assert grown == {"flows": 1, "edits": 1, "granted": 1, "used": 1, "refused": 0, "violations": 0}
    assert after["messages"] - before["messages"] >= 9 and after["bytes"] - before["bytes"] > 100
    metrics = own.control("metrics").stdout
    assert f'natlock_alg_edits_total{{hub="default",alg="ftp"}} {after["edits"]}\n' in metrics
    assert metrics.count('natlock_alg_wishes_total{hub="default",alg="ftp",result="granted"} ') == 1


def test_one_by_name_and_in_the_words_of_ios(own):
    assert [one["alg"] for one in own.table("alg", "stats", "netbios")] == ["netbios"]
    ios = own.control("show", "platform", "hardware", "qfp", "active", "feature", "alg", "statistics", "netbios").stdout
    assert ios == own.control("alg", "stats", "netbios").stdout and ios.splitlines()[1].startswith("netbios ")
    wrong = own.control("alg", "stats", "gopher", check=False)
    assert wrong.returncode == 4 and "no gateway gopher" in wrong.stderr


def test_a_capture_is_played_without_a_gateway_by_anybody(tmp_path):
    """In a process that has given up everything: as nobody, and with no socket to be found."""
    shared = tmp_path / "capture"
    shared.write_bytes(CAPTURE.read_bytes())
    with open(shared) as file:
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program("natlockctl"), "alg", "test", "ftp", "/dev/stdin"],
                              stdin=file, capture_output=True, text=True, env={"NATLOCK_API": "/nowhere"})
    assert done.returncode == 0, done.stderr
    assert "10,77,1,10,231,185" in done.stdout and "203,0,113,7,231,185" in done.stdout and "tcp 36781, 30s, latent" in done.stdout


def test_what_plays_a_capture_is_confined(tmp_path):
    """Behind the filter it only takes memory, prints and ends."""
    trace = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-o", trace, program("natlockctl"), "alg", "test", "ftp", CAPTURE], check=True, capture_output=True)
    calls = trace.read_text().splitlines()
    filtered = next(i for i, call in enumerate(calls) if "SECCOMP_SET_MODE_FILTER" in call)
    opened = next(i for i, call in enumerate(calls) if CAPTURE.name in call and "openat" in call)
    behind = {call.split("(")[0].split()[-1] for call in calls[filtered + 1:] if "(" in call}
    assert opened < filtered and behind <= {"brk", "mmap", "munmap", "mremap", "write", "exit_group"}


def test_a_capture_is_not_written_to_a_terminal():
    read, write = os.openpty()
    done = subprocess.run([program("natlockctl"), "alg", "test", "ftp", CAPTURE, "--write"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    os.close(read)
    assert done.returncode == 2 and "a capture is nothing for a terminal" in done.stderr

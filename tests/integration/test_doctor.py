"""natlock doctor: what it finds is what is there, and the remedy it names is one."""
import os
import pytest
from conftest import program, sh

LINES = ["namespaces", "seccomp filters", "memory sealing", "worker files", "veth and packet sockets", "Landlock", "a uid for each worker", "a fence around natproxy", "attach tap:, auto",
         "attach pid:, netns:, veth:", "attach bridge:", "attach qemu:", "real ping", "ESP (alg.ipsec.esp)", "sockets bound to devices", "ports below 1024", "resolvers",
         "192.168.30.0/24 is free", "leases are kept", "security log", "journal", "syslog"]


def doctor(where, *prefix, **environment):
    """{line: (OK?, its text, its remedy)}"""
    result = where.run(*prefix, program("natlock"), "doctor", env=dict(os.environ, **environment))
    found, last = {}, None
    for line in result.stdout.splitlines():
        if line[:27].strip():
            last = line[:27].strip()
            found[last] = [line[28:32].strip() == "OK", line[33:], ""]
        else:
            found[last][2] = line.strip()
    return found


def ordinary(world):
    return doctor(world.gateway, "setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin")


@pytest.fixture
def root(world, tmp_path):
    return lambda: doctor(world.gateway, RUNTIME_DIRECTORY=str(tmp_path / "run"), STATE_DIRECTORY=str(tmp_path / "state"), LOGS_DIRECTORY=str(tmp_path / "log"))


def test_every_line_says_ok_or_the_remedy(root):
    found = root()
    assert list(found) == LINES
    for name, (fine, _, remedy) in found.items():
        assert fine or remedy, name
    for name in LINES[:12] + ["leases are kept", "security log", "sockets bound to devices"]:
        assert found[name][0], (name, found[name])
    assert found["ports below 1024"][0] and found["ESP (alg.ipsec.esp)"][0], "root opens them at the start"


def test_what_is_wrong_is_found(world, root):
    before = root()
    assert before["real ping"][0] and before["192.168.30.0/24 is free"][0] and before["resolvers"][0]
    world.gateway.run("sysctl", "-qw", "net.ipv4.ping_group_range=1 0")
    world.gateway.run("ip", "route", "add", "192.168.0.0/16", "via", "198.18.1.1")
    resolv = world.resolv / "resolv.conf"
    kept = resolv.read_text()
    resolv.write_text("search lab.example\n")
    try:
        found, users = root(), ordinary(world)
    finally:
        resolv.write_text(kept)
        world.gateway.run("ip", "route", "del", "192.168.0.0/16")
        world.gateway.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
    assert found["real ping"][0] and "raw ICMP socket" in found["real ping"][1], "root opens one"
    for name, text, remedy in (("192.168.30.0/24 is free", "overlaps the host's route 192.168.0.0/16 dev w0", "choose host.address, e.g. "),
                               ("resolvers", "no usable nameserver", "dns.upstreams")):
        assert not found[name][0] and text in found[name][1] and remedy in found[name][2], found[name]
    ok, text, remedy = users["real ping"]
    assert not ok and "ping_group_range=1 0" in text and "sysctl -w net.ipv4.ping_group_range" in remedy, users["real ping"]


def test_an_ordinary_user_is_told_what_needs_root(world):
    found = ordinary(world)
    assert not found["attach bridge:"][0] and "sudo natlock attach bridge:NAME" in found["attach bridge:"][2]
    assert not found["ports below 1024"][0] and "ip_unprivileged_port_start" in found["ports below 1024"][2]
    assert not found["a fence around natproxy"][0] and "natlock up --user NAME" in found["a fence around natproxy"][2]
    ok, text, remedy = found["ESP (alg.ipsec.esp)"]
    assert not ok and "Operation not permitted" in text and "start natlock as root with CAP_NET_RAW" in remedy, found["ESP (alg.ipsec.esp)"]
    assert found["namespaces"][0] and found["attach pid:, netns:, veth:"][0]

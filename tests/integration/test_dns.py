"""DNS sent to the gateway: the host's resolvers, which change while natlock runs, are silent, or are none; what is kept; the names of
leased hosts; what a guest may not do."""
import os, random, shutil, socket, struct, time
import pytest
from conftest import HUB, SERVER, SERVER2, TOP, act, lease, wait_for
from operator_client import change

REFUSING, SILENT = SERVER2, "198.18.1.77"


def dig(guest, name="www.example.test", *options):
    return guest.run("dig", "+time=5", "+tries=1", *options, f"@{HUB}", name, check=False).stdout


def resolves(guest):
    return SERVER in dig(guest, "www.example.test", "+short")


class Host:
    """A gateway in a mount namespace of its own, whose /etc this test may write."""

    def __init__(self, spawn, world, name, script):
        self.etc = world.folder / f"etc-{name}"
        self.etc.mkdir()
        for file in ("passwd", "group", "nsswitch.conf"):
            shutil.copy(f"/etc/{file}", self.etc)
        self.file = self.etc / "resolv.conf"
        self.file.write_text(f"nameserver {SERVER}\n")
        self.guest = spawn.guest(name)
        self.gateway = spawn.gateway(name, guest=self.guest, config=f'hubs:\n  default:\n    attach: ["netns:{self.guest.name}"]\n',
                                     prefix=["unshare", "-m", "sh", "-c", f"{script} && exec \"$@\"", self.etc])
        lease(self.guest)


@pytest.fixture(scope="module")
def host(spawn, world):
    return Host(spawn, world, "dns", 'mount --bind "$0" /etc')


@pytest.fixture(scope="module")
def bound(spawn, world):
    """As in a container: resolv.conf alone is a mount."""
    return Host(spawn, world, "dnsb", 'mount --bind "$0/resolv.conf" /etc/resolv.conf')


def replace(host, text):
    new = host.etc / "resolv.conf.new"
    new.write_text(text)
    new.rename(host.file)


def test_none_is_servfail_at_once_until_one_appears(host):
    assert resolves(host.guest)
    replace(host, "# nobody\n")
    wait_for(lambda: "SERVFAIL" in dig(host.guest), 4, "SERVFAIL")
    begin = time.monotonic()
    assert "SERVFAIL" in dig(host.guest) and time.monotonic() - begin < 1
    assert "SERVFAIL" in dig(host.guest, "www.example.test", "+tcp")
    text = "no DNS upstream: resolv.conf has no usable nameserver. Guests' DNS gets SERVFAIL until one appears (watching)."
    assert text in host.gateway.text()
    host.file.write_text(f"nameserver {SERVER}\n")
    wait_for(lambda: resolves(host.guest), 1, "the resolver that came back, within a second")


def test_a_file_that_vanishes_and_comes_back(host):
    host.file.unlink()
    wait_for(lambda: "SERVFAIL" in dig(host.guest), 4, "SERVFAIL")
    replace(host, f"search example.test\nnameserver {SERVER}\n")
    wait_for(lambda: resolves(host.guest), 4, "the resolver that came back")


@pytest.mark.parametrize("dead,longest", [(REFUSING, 1), (SILENT, 4)], ids=["refusing", "silent"])
def test_the_second_resolver_answers_for_the_first(host, dead, longest):
    replace(host, f"nameserver {dead}\nnameserver {SERVER}\n")
    time.sleep(0.8)  # the change settles; while the old file holds, the test would prove nothing
    begin = time.monotonic()
    assert resolves(host.guest)
    assert time.monotonic() - begin < longest
    begin = time.monotonic()
    assert resolves(host.guest) and time.monotonic() - begin < 0.5, "every question waits for the dead one"
    assert SERVER in dig(host.guest, "www.example.test", "+short", "+tcp")
    replace(host, f"nameserver {SERVER}\n")


def test_a_mounted_file_is_watched_too(bound):
    assert resolves(bound.guest)
    bound.file.write_text("# nobody\n")
    wait_for(lambda: "SERVFAIL" in dig(bound.guest), 4, "SERVFAIL")
    bound.file.write_text(f"nameserver {SERVER}\n")
    wait_for(lambda: resolves(bound.guest), 4, "the resolver that came back")


ZONE, ZONE2, HOLE = "198.18.1.53", "198.18.1.54", "198.18.1.99"


class Upstream:
    """dnsmasq with a small zone, and the questions that it heard."""

    def __init__(self, world, address, *options):
        world.internet.run("ip", "addr", "add", f"{address}/32", "dev", "lo", check=False)
        self.file = world.folder / f"dnsmasq-{address}"
        self.process = world.internet.start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--bind-interfaces",
                                            f"--listen-address={address}", "--user=root", "--pid-file=", "--log-queries", f"--log-facility={self.file}",
                                            "--local-ttl=20", "--cache-size=0", *options)
        wait_for(self.file.exists, 5, "dnsmasq")

    def asked(self, name):
        return self.file.read_text().count(f"] {name} from ")

    def close(self):
        self.process.terminate()
        self.process.wait(5)


@pytest.fixture(scope="module")
def zone(world):
    records = ["--address=/www.zone.test/198.18.2.1", "--local=/zone.test/", "--auth-soa=1", "--txt-record=long.zone.test," + ",".join(["x" * 200] * 12),
               "--address=/nowhere.test/"]
    first = Upstream(world, ZONE, *records)
    second = Upstream(world, ZONE2, *records)
    yield first, second
    first.close()
    second.close()


@pytest.fixture(scope="module")
def served(spawn, world, zone):
    """A hub whose questions go to a dead server, then to the two above; its guest's name is laptop."""
    guest = spawn.guest("dnsz")
    gateway = spawn.gateway("dnsz", guest=guest, config=f"""
hubs:
  default:
    attach: ["netns:{guest.name}"]
    dns: {{upstreams: [{HOLE}, {ZONE}, {ZONE2}]}}
    dhcp:
      domain: hub.internal
      reservations: [{{name: nt4, mac: "02:00:00:00:00:77", address: 192.168.30.77}}]
    limits: {{dns_sessions_per_host: 32}}
""")
    assert "domain=hub.internal" in named(guest, "laptop"), "the search domain"
    return gateway


def named(guest, name, *options):
    return guest.run("udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-x", f"hostname:{name}", "-s", TOP / "tests/integration/udhcpc.sh", *options,
                     env=dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin")).stdout


def query(name, kind=1, flags=0x0100, identity=None):
    wire = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"
    return struct.pack("!6H", random.getrandbits(16) if identity is None else identity, flags, 1, 0, 0, 0) + wire + struct.pack("!2H", kind, 1)


ASK = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(float(sys.argv[1]))
for line in sys.argv[2:]:
    s.sendto(bytes.fromhex(line), ("192.168.30.1", 53))
try:
    while True:
        print(s.recv(65535).hex())
except TimeoutError:
    pass
"""


def raw(guest, *messages, wait=0.5):
    """Sends these and returns what comes back."""
    return [bytes.fromhex(line) for line in guest.run("/usr/bin/python3", "-c", ASK, wait, *(m.hex() for m in messages)).stdout.split()]


def reverse(address):
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


def ttl(text):
    return int(text.split("ANSWER SECTION:")[1].split()[1])


def test_the_dead_server_costs_one_question_and_answers_are_kept(served, zone):
    guest = served.guest
    begin = time.monotonic()
    first = dig(guest, "www.zone.test")
    assert "198.18.2.1" in first and time.monotonic() - begin < 2
    begin = time.monotonic()
    assert "198.18.2.1" in dig(guest, "other.www.zone.test") and time.monotonic() - begin < 0.5
    time.sleep(1.1)
    again = dig(guest, "WWW.Zone.Test")
    assert "WWW.Zone.Test." in again and 0 < ttl(again) < ttl(first) == 20
    assert zone[0].asked("www.zone.test") == 1, "the second came from the cache"


def test_that_there_is_nothing_is_told_and_failures_go_to_the_next(served, zone):
    assert "NXDOMAIN" in dig(served.guest, "nobody.zone.test")
    assert "REFUSED" in dig(served.guest, "elsewhere.test")
    assert zone[0].asked("elsewhere.test") == zone[1].asked("elsewhere.test") == 1, "the second is asked what the first refuses"


def test_long_answers_are_cut_by_udp_and_whole_by_tcp(served):
    name = "long.zone.test"
    assert "flags: qr tc" in dig(served.guest, name, "TXT", "+ignore").replace(" aa", "")
    assert dig(served.guest, name, "TXT").count("x" * 200) == 12, "dig asks again by TCP"
    assert dig(served.guest, name, "TXT", "+tcp", "+noedns").count("x" * 200) == 12


def test_questions_in_one_connection(served):
    """Several at once, one of them answered here (RFC 7766)."""
    script = """
import socket, struct, sys
s = socket.create_connection(("192.168.30.1", 53), 5)
messages = [bytes.fromhex(line) for line in sys.argv[1:]]
s.sendall(b"".join(struct.pack("!H", len(m)) + m for m in messages))
data = b""
for _ in messages:
    while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
        data += s.recv(65536)
    n = struct.unpack("!H", data[:2])[0]
    print(data[2:2 + n].hex())
    data = data[2 + n:]
"""
    asked = [query("www.zone.test", identity=1), query("laptop", identity=2), query("long.zone.test", 16, identity=3), query("www.zone.test", 28, identity=4)]
    answers = served.guest.run("/usr/bin/python3", "-c", script, *(m.hex() for m in asked)).stdout.split()
    assert sorted(struct.unpack("!H", bytes.fromhex(a)[:2])[0] for a in answers) == [1, 2, 3, 4]


def test_leased_hosts_are_found_by_name(served, zone):
    guest = served.guest
    mine = guest.run("ip", "-4", "-o", "addr", "show", "eth0").stdout.split()[3].split("/")[0]
    for name in ("laptop", "LAPTOP.hub.internal"):
        assert dig(guest, name, "+short").strip() == mine
    assert dig(guest, "laptop.hub.internal", "+short", "+tcp").strip() == mine
    assert dig(guest, reverse(mine), "PTR", "+short").strip() == "laptop.hub.internal."
    empty = dig(guest, "laptop", "AAAA")
    assert "NOERROR" in empty and "ANSWER: 0" in empty
    assert dig(guest, "gateway", "+short").strip() == HUB
    assert dig(guest, "nt4", "+short").strip() == "192.168.30.77"
    assert "NXDOMAIN" in dig(guest, "nobody.hub.internal")
    assert "NXDOMAIN" in dig(guest, reverse("192.168.30.250"), "PTR")
    assert zone[0].asked("250.30.168.192.in-addr.arpa") == zone[0].asked("nobody.hub.internal") == 0, "it never leaves"


def test_a_name_is_whose_it_was_first(served, spawn):
    thief = spawn.guest("dnst")
    served.attach(f"netns:{thief.name}")
    for name in ("laptop", "nt4", "gateway"):
        before = dig(served.guest, name, "+short")
        address = named(thief, name).split("ip=")[1].split()[0]
        assert dig(served.guest, name, "+short") == before and address not in before, name
    # a change at once after another is acknowledged, and stored with the next renewal (dhcpd/engine.c)
    wait_for(lambda: dig(served.guest, "desk", "+short").strip() == named(thief, "desk").split("ip=")[1].split()[0], 5, "its own name")
    served.control("process", "restart", "natproxy")
    wait_for(lambda: dig(served.guest, "desk", "+short", "+time=1").strip() == address, 8, "the names after a restart")
    assert dig(served.guest, "laptop", "+short").strip() != address


def test_sessions_have_the_name_that_the_guest_asked_for(served):
    assert SERVER in dig(served.guest, "www.zone.test")
    assert act(served.guest, "up", 1000)["ok"]
    line = f'Host "www.zone.test ({SERVER})", Port '
    wait_for(lambda: line in served.log(), 5, line)
    named_rows = [row for row in served.table("nat", "table") if row["destination"].startswith(f"{SERVER}:")]
    assert all(row["host"] == "www.zone.test" for row in named_rows)


def test_what_is_no_question(served, zone):
    guest = served.guest
    assert raw(guest, query("www.zone.test", flags=0x8180), b"\0" * 5, wait=0.3) == []
    assert raw(guest, query("www.zone.test")[:20])[0][3] & 15 == 1, "FORMERR"
    assert raw(guest, query("zone.test", 6, flags=0x2800))[0][3] & 15 == 4, "an update is not forwarded"
    assert zone[0].asked("zone.test") == 0
    drops = {row["reason"]: row["count"] for row in served.table("drops")}
    assert int(drops["DNS_BAD"]) >= 4


def test_a_guest_has_a_share(served):
    """One guest asks two hundred questions at once, each with another name: 32 may wait for their answers, what is beyond is counted."""
    messages = [query(f"flood{i}.zone.test") for i in range(200)]
    served.guest.run("/usr/bin/python3", "-c", ASK, "0.3", *(m.hex() for m in messages))
    drops = {row["reason"]: int(row["count"]) for row in served.table("drops")}
    assert drops["DNS_LIMIT"] > 0
    wait_for(lambda: "198.18.2.1" in dig(served.guest, "after.www.zone.test", "+time=1"), 5, "its next question")


def test_changes_hold_at_once(served, zone):
    """Servers, the domain and what is kept, without a restart."""
    guest, heard = served.guest, zone[1].asked("new.www.zone.test")
    change(served, ("set", "dns.upstreams", f"[{ZONE2}]"), ("set", "dhcp.domain", "lab.internal"), ("set", "dns.cache", "0"))
    wait_for(lambda: guest.run("dig", "+short", "+time=1", "+tries=1", f"@{HUB}", "laptop.lab.internal", check=False).stdout.strip(), 1, "the domain")
    assert "NXDOMAIN" in dig(guest, "nobody.lab.internal")
    for _ in range(2):
        assert "198.18.2.1" in dig(guest, "new.www.zone.test", "+short")
    assert zone[1].asked("new.www.zone.test") == heard + 2 and zone[0].asked("new.www.zone.test") == 0
    change(served, ("set", "dns.local_names", "false"))
    wait_for(lambda: not dig(guest, "gateway", "+short").strip(), 1, "the end of local names")

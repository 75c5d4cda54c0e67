"""Static addresses, devices, access lists, full ports, an uplink that goes away: who sees whom from where.

    guests ~~~ natlock [a0 198.18.10.2 .7, b0 198.18.11.2] ---- [ia 198.18.10.1, ib 198.18.11.1] internet [servers on 198.18.12.1 to .3]
"""
import os, signal, time
import pytest
from conftest import PEER, Gateway, Namespace, act, serve, sh, wait_for
from operator_client import change

A, A_STATIC, B, A_FAR, B_FAR = "198.18.10.2", "198.18.10.7", "198.18.11.2", "198.18.10.1", "198.18.11.1"
SERVER, LISTED, HOLE = "198.18.12.1", "198.18.12.2", "198.18.12.3"
PLAIN, FIXED, FULL, BLUE = "192.168.30.10", "192.168.30.50", "192.168.30.60", "192.168.40.10"
CONFIG = """
hubs:
  default:
    attach: [{ports}]
    limits: {{tcp_sessions_per_host: 20}}
    nat:
      vrfs:
        blue: {{device: b0}}
        gone: {{device: nl-none0}}
      static:
        - {{inside: {fixed}, outside: {static}, ports: [7001, 7008]}}
      publish:
        - {{proto: tcp, listen: "{a}:7101", to: "{plain}:7001"}}
        - {{proto: tcp, listen: "{a}:7102", to: "{full}:7001"}}
        - {{proto: tcp, listen: "0.0.0.0:7103", to: "{plain}:7008", vrf: blue}}
        - {{proto: tcp, listen: "198.18.10.9:7104", to: "{plain}:7001"}}
        - {{proto: tcp, listen: "{a}:7105", to: "{plain}:7001", vrf: gone}}
      access_lists:
        - {{number: 10, permit: [0.0.0.0/0, {listed}/32], deny: [198.18.12.2/31]}}
        - {{number: 20, permit: [192.168.30.0/24], deny: [192.168.30.200/29]}}
      destination_list: 10
      source_list: 20
  blue:
    attach: ["netns:{blue}"]
    host: {{address: 192.168.40.1}}
    dhcp: {{enable: false, range: 192.168.40.10-192.168.40.20, gateway: 192.168.40.1, dns: [192.168.40.1]}}
    nat:
      vrfs:
        blue: {{device: b0}}
      vrf: blue
"""


def addressed(guest, address):
    guest.run("ip", "addr", "flush", "dev", "eth0")
    guest.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
    guest.run("ip", "route", "replace", "default", "via", address.rsplit(".", 1)[0] + ".1")


class Site:
    def __init__(self, world):
        self.host, self.internet = Namespace("rhost"), Namespace("rinet")
        self.guests = {address: Namespace(f"r{n}") for n, address in enumerate((PLAIN, FIXED, FULL, BLUE))}
        for letter, near, far in (("a", A, A_FAR), ("b", B, B_FAR)):
            self.cable(letter, near, far)
        self.host.run("ip", "addr", "add", f"{A_STATIC}/24", "dev", "a0")
        self.host.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647", "net.ipv4.conf.a0.promote_secondaries=1")
        for address in (SERVER, LISTED, HOLE):
            self.internet.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        for n in range(5, 9):
            self.internet.run("ip", "addr", "add", f"198.18.10.{n + 100}/24", "dev", "ia")
        names = ", ".join(f'"netns:{self.guests[address].name}"' for address in (PLAIN, FIXED, FULL))
        config = CONFIG.format(ports=names, fixed=FIXED, static=A_STATIC, a=A, plain=PLAIN, full=FULL, listed=LISTED, blue=self.guests[BLUE].name)
        self.gateway = Gateway(world, "rules", config, guest=self.guests[PLAIN], where=self.host)
        for address, guest in self.guests.items():
            wait_for(lambda guest=guest: "eth0" in guest.run("ip", "-br", "link").stdout, 5, "the guest's interface")
            addressed(guest, address)
        for address in (SERVER, LISTED):
            serve(self.internet, address)
        for address in (PLAIN, FIXED, FULL):
            serve(self.guests[address], address)

    def cable(self, letter, near, far):
        sh("ip", "link", "add", f"{letter}0", "netns", self.host.name, "type", "veth", "peer", "name", f"i{letter}", "netns", self.internet.name)
        for where, device, address in ((self.host, f"{letter}0", near), (self.internet, f"i{letter}", far)):
            where.run("ip", "addr", "add", f"{address}/24", "dev", device)
            where.run("ip", "link", "set", device, "up")
        self.route(letter)

    def route(self, letter):
        far, metric = (A_FAR, 100) if letter == "a" else (B_FAR, 200)
        self.host.run("ip", "route", "replace", "default", "via", far, "dev", f"{letter}0", "metric", metric)

    def act(self, guest, command, *arguments, address=SERVER):
        return act(self.guests[guest], command, *arguments, address=address)

    def sessions(self, hub="default", **wanted):
        return [row for row in self.gateway.table("--hub", hub, "nat", "table") if all(str(row[key]).startswith(value) for key, value in wanted.items())]

    def close(self):
        self.gateway.end()
        for namespace in (*self.guests.values(), self.host, self.internet):
            namespace.remove()


@pytest.fixture(scope="module")
def site(world):
    site = Site(world)
    yield site
    print(site.gateway.text())
    site.close()


def test_a_static_guest_leaves_from_its_own_address_and_port(site):
    answer = site.act(FIXED, "who", 8080)
    assert answer["seen"] == f"{A_STATIC}:8080" and answer["own"] == f"{FIXED}:8080"
    answer = site.act(FIXED, "udp_mapping")
    assert answer["seen"] == [f"{A_STATIC}:{answer['local_port']}"]
    site.guests[FIXED].run("ping", "-c1", "-W2", SERVER)
    rows = site.sessions(source=FIXED)
    assert {row["proto"] for row in rows} >= {"udp", "icmp"} and all(row["outside"].startswith(f"{A_STATIC}:") for row in rows), rows
    assert site.act(PLAIN, "who")["seen"].startswith(f"{A}:")


def test_its_named_ports_lead_to_it_and_the_peer_keeps_its_address(site):
    answer = act(site.internet, "who", 40123, address=A_STATIC)
    assert answer["seen"] == answer["own"] == f"{A_FAR}:40123"
    answer = act(site.internet, "udp_mapping", address=A_STATIC)
    assert answer["seen"] == [f"{A_FAR}:{answer['local_port']}"]
    assert act(site.internet, "refused", 7002, address=A_STATIC)["error"] == "ConnectionRefusedError"


def test_rows_of_tcp_udp_and_icmp_know_the_outside(site):
    site.act(PLAIN, "udp_mapping")
    site.guests[PLAIN].run("ping", "-c1", "-W2", SERVER)
    rows = [row for row in site.sessions(source=PLAIN) if row["proto"] in ("udp", "icmp")]
    assert {row["proto"] for row in rows} == {"udp", "icmp"}
    assert all(row["outside"].startswith(f"{A}:") and row["process"] == "natproxy" for row in rows), rows


def test_a_hub_leaves_by_its_device(site):
    assert site.act(BLUE, "who")["seen"].startswith(f"{B}:")
    assert site.act(BLUE, "udp_mapping")["seen"][0].startswith(f"{B}:")


def test_a_natproxy_that_is_born_again_leaves_by_the_device_too(site):
    """It wears the supervisor's filter below its own: what it asks of a device must pass both."""
    def natproxy():
        return next(row for row in site.gateway.table("--hub", "blue", "process", "list") if row["process"] == "natproxy" and row["hub"] == "blue")

    before = natproxy()
    os.kill(before["pid"], signal.SIGKILL)
    wait_for(lambda: (row := natproxy())["pid"] not in (0, None, before["pid"]) and row["state"] == "ok", 5, "a new natproxy")
    wait_for(lambda: site.act(BLUE, "unreachable", 7001)["errno"] is None, 3, "the way out")
    assert site.act(BLUE, "who")["seen"].startswith(f"{B}:")


def test_a_hubs_own_dns_servers_are_asked_by_its_device(site, world):
    log = world.folder / "rules-dns"
    server = site.internet.start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--bind-interfaces",
                                 f"--listen-address={SERVER}", "--user=root", "--pid-file=", "--log-queries", f"--log-facility={log}", "--address=/www.blue.test/198.18.12.1")
    try:
        wait_for(log.exists, 5, "dnsmasq")
        change(site.gateway, ("set", "dns.upstreams", f"[{SERVER}]"), hub="blue")
        for name, way in (("a.www.blue.test", "+notcp"), ("b.www.blue.test", "+tcp")):
            assert SERVER in site.guests[BLUE].run("dig", "+short", "+time=2", way, "@192.168.40.1", name).stdout
            assert f"{name} from {B}" in log.read_text(), "the host's default route leads elsewhere"
    finally:
        server.terminate()
        server.wait(5)


def test_a_port_on_a_device_is_reached_by_that_device_only(site):
    with_port = "import socket\nc = socket.create_connection(('{}', 7103), 3)\nprint(c.makefile().read())"
    inside = site.internet.run("/usr/bin/python3", "-c", with_port.format(B), check=False)
    assert inside.stdout.startswith(f"{B_FAR}:"), inside.stderr
    assert act(site.internet, "refused", 7103, address=A)["error"] == "ConnectionRefusedError"


def test_a_device_that_goes_lets_nothing_out_and_is_used_again_when_it_is_back(site):
    held = site.guests[BLUE].start(PEER, "hold", SERVER, 20)
    wait_for(lambda: [row for row in site.sessions(hub="blue", proto="tcp", source=BLUE) if row["state"] == "RUNNING"], 3, "the session")
    site.host.run("ip", "link", "del", "b0")
    assert held.wait(3) != 0 or '"ok": false' in held.stdout.read()
    answer = site.act(BLUE, "unreachable", 7001)
    assert answer["errno"] == 101 and answer["seconds"] < 2, answer
    assert "device b0 of vrf blue is not there" in site.gateway.log()
    site.cable("b", B, B_FAR)
    wait_for(lambda: site.act(BLUE, "unreachable", 7001)["errno"] is None, 3, "the way out")
    assert site.act(BLUE, "who")["seen"].startswith(f"{B}:")
    wait_for(lambda: act(site.internet, "refused", 7103, address=B)["error"] == "connected", 4, "the port")


def test_lists_decide_by_the_longest_prefix(site):
    assert site.act(PLAIN, "unreachable", 7001, address=LISTED)["errno"] is None
    assert site.act(PLAIN, "unreachable", 7001, address=HOLE)["errno"] == 113
    assert site.act(PLAIN, "udp_refused", 7001, address=HOLE)["error"] in ("PermissionError", "OSError")
    assert f"was refused: access list 10 (nat.destination_list). Connection source {PLAIN}:" in site.gateway.log()
    addressed(site.guests[PLAIN], "192.168.30.201")
    assert site.act(PLAIN, "unreachable", 7001)["errno"] == 113
    assert "was refused: access list 20 (nat.source_list). Connection source 192.168.30.201:" in site.gateway.log()
    addressed(site.guests[PLAIN], PLAIN)
    assert [row for row in site.gateway.table("drops") if row["reason"] == "DENIED"]


FILL = """
import socket, sys, time
held = []
for _ in range(60):
    c = socket.socket()
    c.bind((sys.argv[1], 0))
    c.settimeout(2)
    try:
        c.connect((sys.argv[2], int(sys.argv[3])))
        c.sendall(b"x")
        if c.recv(1) == b"x":
            held.append(c)
    except OSError:
        pass
print(len(held), flush=True)
time.sleep(30)
"""


def test_who_fills_a_port_shuts_out_neither_others_nor_the_guest(site):
    fillers, held = [], []
    for n in range(5, 9):
        fillers.append(site.internet.start("/usr/bin/python3", "-c", FILL, f"198.18.10.{n + 100}", A, 7102))
        held.append(int(fillers[-1].stdout.readline()))
    assert held[0] == 20 and all(a > b for a, b in zip(held, held[1:])) and held[-1] >= 1, held
    assert act(site.internet, "refused", 7101, address=A)["error"] == "connected"
    assert site.act(FULL, "at_once", 20)["good"] == 20
    for filler in fillers:
        filler.kill()


def test_flows_outlive_three_seconds_without_an_uplink(site):
    held = site.guests[PLAIN].start(PEER, "hold", SERVER, 7)
    wait_for(lambda: [row for row in site.sessions(proto="tcp", source=PLAIN, destination=f"{SERVER}:7001") if row["state"] == "RUNNING"], 3, "the session")
    site.host.run("ip", "link", "set", "a0", "down")
    site.host.run("ip", "link", "set", "b0", "down")
    down = time.monotonic()
    time.sleep(0.2)
    answer = site.act(PLAIN, "unreachable", 7001)
    assert answer["errno"] == 101 and answer["seconds"] < 1, answer
    time.sleep(max(0, down + 3 - time.monotonic()))
    for letter in "ab":
        site.host.run("ip", "link", "set", f"{letter}0", "up")
        site.route(letter)
    assert site.act(PLAIN, "udp", 100)["ok"]
    text = held.communicate(timeout=20)[0]
    assert '"ok": true' in text, text


def test_an_address_that_goes_ends_its_sessions_at_once_and_the_next_one_is_used(site):
    held = site.guests[PLAIN].start(PEER, "hold", SERVER, 30)
    kept = site.guests[FIXED].start(PEER, "hold", SERVER, 4)
    wait_for(lambda: len([row for row in site.sessions(proto="tcp", destination=f"{SERVER}:7001") if row["state"] == "RUNNING"]) >= 2, 3, "the sessions")
    site.host.run("ip", "addr", "del", f"{A}/24", "dev", "a0")
    site.host.run("ip", "addr", "add", "198.18.10.3/24", "dev", "a0")
    site.route("a")
    begin = time.monotonic()
    held.wait(5)
    assert time.monotonic() - begin < 1.5 and "ConnectionResetError" in held.stdout.read()
    assert "ended: its outside address is gone" in site.gateway.log()
    assert site.act(PLAIN, "who")["seen"].split(":")[0] != A
    assert '"ok": true' in kept.communicate(timeout=20)[0], "its address stayed"

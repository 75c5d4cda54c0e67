"""Two shards: each guest is served by one of two netstacks, natproxies and algs; nothing else changes for anybody."""
import json, os, pathlib, signal, subprocess
import pytest
from conftest import HUB, OUTSIDE, PEER, SERVER, SERVER2, TOP, act, leased_address, serve, wait_for

SHARDED = ["netstack", "natproxy", "alg"]
WORKERS = ["broker", "dhcpd"] + [f"{name}.{shard}" for name in SHARDED for shard in (0, 1)]
CANDIDATES = 16  # published ports, each for a guest's address
ECHO = 7001
ECHOED = """
import random, socket, sys
host, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
data = random.Random(port).randbytes(1200)
if kind == "udp":
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.settimeout(5)
    for _ in range(20):
        s.sendto(data, (host, port))
        assert s.recvfrom(2000)[0] == data
else:
    with socket.create_connection((host, port), 5) as s:
        for _ in range(200):
            s.sendall(data)
            back = b""
            while len(back) < len(data):
                back += s.recv(len(data) - len(back))
            assert back == data
print("echoed")
"""


MEETING = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.settimeout(3)
s.sendto(b"who", (sys.argv[1], 7001))
print(s.recv(100).decode(), flush=True)
host, port = sys.stdin.readline().strip().rsplit(":", 1)
s.settimeout(0.1)
for _ in range(30):
    try:
        s.sendto(b"across", (host, int(port)))
        data, peer = s.recvfrom(100)
    except OSError:
        continue
    s.sendto(b"across", (host, int(port)))
    print(data.decode(), "from", "{}:{}".format(*peer), flush=True)
    break
else:
    print("silence", flush=True)
"""


def echoed(where, host, port, kind):
    result = where.run("/usr/bin/python3", "-c", ECHOED, host, port, kind, check=False)
    assert result.stdout == "echoed\n", result.stderr
    return True


def addressed(guest, address):
    """The guest as if it had been configured by hand."""
    guest.run("ip", "addr", "flush", "dev", "eth0")
    guest.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
    guest.run("ip", "route", "replace", "default", "via", HUB)


class Hub:
    """guests[i] is served by shard i: whose address is whose is seen by who listens for it."""

    def __init__(self, world, spawn, name, loopback, first):
        self.world, self.candidates = world, {first + n: f"192.168.30.{201 + n}" for n in range(CANDIDATES)}
        self.guests = [spawn.guest(f"{name[:2]}{i}") for i in (0, 1)]
        publish = "".join(f'        - {{proto: {proto}, listen: "{OUTSIDE}:{port}", to: "{address}:{ECHO}"}}\n' for port, address in self.candidates.items() for proto in ("tcp", "udp"))
        attach = ", ".join(f'"netns:{guest.name}"' for guest in self.guests)
        self.gateway = spawn.gateway(name, config=f"hubs:\n  default:\n    attach: [{attach}]\n    shards: 2\n    nat:\n      host_loopback: {loopback}\n      publish:\n{publish}"
                                     "policy: {restart_backoff_min: 20ms, restart_backoff_max: 100ms}\n")
        self.leased = [leased_address(guest) for guest in self.guests]
        self.owners = self.listeners()
        self.ports = [next(port for port, owner in sorted(self.owners["tcp"].items()) if owner == [f"natproxy.{shard}"]) for shard in (0, 1)]
        self.addresses = [self.candidates[port] for port in self.ports]
        for guest, address in zip(self.guests, self.addresses):
            addressed(guest, address)
            serve(guest, address)

    def pids(self):
        return {name: row["pid"] for name, row in self.gateway.processes().items()}

    def listeners(self):
        """{proto: {port: [processes that have it open]}}, from the kernel."""
        names, found = {pid: name for name, pid in self.pids().items()}, {}
        for proto, words in (("tcp", "-Hltnp"), ("udp", "-Hlunp")):
            found[proto] = {}
            for line in self.world.gateway.run("ss", words).stdout.splitlines():
                port = int(line.split()[3].rsplit(":", 1)[1])
                pids = [int(part.split(",")[0]) for part in line.split("pid=")[1:]]
                if port in self.candidates:
                    found[proto].setdefault(port, []).extend(names.get(pid) for pid in pids)
        return found

    def sessions(self, shard):
        return [row for row in self.gateway.table("nat", "table") if row["source"].split(":")[0] == self.addresses[shard]]

    def healthy(self):
        return all(row["state"] == "ok" for row in self.gateway.table("process", "list"))

    def kill(self, name):
        """Ends a worker and waits for its successor."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.pids()[name] not in (0, None, pid) and self.healthy(), 5, f"a new {name}")


@pytest.fixture(scope="module")
def hub(world, spawn):
    return Hub(world, spawn, "shards", "allow", 7201)


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def test_names_and_the_hubs_row(hub):
    assert sorted(hub.pids()) == sorted(WORKERS + ["supervisor"])
    row = hub.gateway.table("hub", "list")[0]
    assert int(row["shards"]) == 2
    for name in WORKERS[2:]:
        assert pathlib.Path(f"/proc/{hub.pids()[name]}/cmdline").read_bytes() == name.encode() + b"\0"
    for name in ("natproxy.1", "natproxy", "broker"):
        assert "recvmsg" in hub.gateway.control("policy", "show", name).stdout
    refused = hub.gateway.control("process", "restart", "natproxy", check=False)
    assert refused.returncode == 4 and "natproxy.1" in refused.stderr


def test_every_worker_is_confined(hub):
    pids, uids = hub.pids(), set()
    kinds = ["user", "pid", "mnt", "ipc", "uts", "cgroup"]
    for name in WORKERS:
        facts = status(pids[name])
        assert facts["Seccomp"] == "2" and facts["NoNewPrivs"] == "1", name
        assert all(int(facts[kind], 16) == 0 for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), name
        assert os.listdir(f"/proc/{pids[name]}/root/") == []
        uids |= set(facts["Uid"].split())
    assert len(uids) == len(WORKERS) and "0" not in uids
    for kind in kinds:
        assert len({os.readlink(f"/proc/{pids[name]}/ns/{kind}") for name in WORKERS}) == len(WORKERS), kind


def test_descriptors_are_as_declared(hub):
    """A shard's workers hold what the only ones of a hub would; the broker two numbers more a shard, and its ports."""
    pids = hub.pids()
    for name in ("netstack.0", "netstack.1", "alg.0", "alg.1", "dhcpd"):
        held = {int(fd): os.readlink(f"/proc/{pids[name]}/fd/{fd}") for fd in os.listdir(f"/proc/{pids[name]}/fd")}
        assert all(fd < 16 for fd in held), (name, held)
        assert all(link.startswith(("/dev/null", "socket:", "anon_inode:")) for link in held.values()), (name, held)
    held = {int(fd): os.readlink(f"/proc/{pids['broker']}/fd/{fd}") for fd in os.listdir(f"/proc/{pids['broker']}/fd")}
    for fd in range(16, 64):
        kind = "socket:" if fd in (16, 17) else "anon_inode:[eventfd]" if fd in (32, 33) else None
        assert held[fd].startswith(kind) if kind else not held[fd].startswith(("socket:", "anon_inode:")) or 24 <= fd < 32, (fd, held[fd])
    assert len({held[fd] for fd in (16, 17)}) == 2


def test_each_published_port_is_with_its_guests_shard_alone(hub):
    for proto in ("tcp", "udp"):
        owners = hub.owners[proto]
        assert sorted(owners) == sorted(hub.candidates), proto
        assert all(len(names) == 1 for names in owners.values()), owners
    assert hub.owners["tcp"] == hub.owners["udp"]
    assert {names[0] for names in hub.owners["tcp"].values()} == {"natproxy.0", "natproxy.1"}


@pytest.mark.parametrize("shard", [0, 1])
def test_tcp_udp_dns_and_ping(hub, shard):
    guest = hub.guests[shard]
    for command in (["up", 8 << 20], ["down", 8 << 20], ["half", 1 << 20], ["udp", 1, 1400, 9000], ["udp_hash", 300, 900]):
        assert act(guest, *command)["ok"], command
    assert act(guest, "at_once", 200)["good"] == 200
    assert SERVER in guest.run("dig", "+time=5", "+tries=1", "+short", f"@{HUB}", "www.example.test").stdout
    for address in (SERVER, HUB):
        assert " 0% packet loss" in guest.run("ping", "-c2", "-i0.2", "-W2", address).stdout


def test_both_shards_are_used_and_their_rows_are_one_table(hub):
    flows = [guest.start(PEER, "hold", SERVER, 2) for guest in hub.guests]
    wait_for(lambda: all(hub.sessions(shard) for shard in (0, 1)), 3, "a session of each")
    before = hub.gateway.processes()
    assert int(before["natproxy.0"]["fds"]) > 16 and int(before["natproxy.1"]["fds"]) > 16
    row, table = hub.gateway.table("hub", "list")[0], hub.gateway.table("nat", "table")
    assert abs(int(row["tcp"]) - len([r for r in table if r["proto"] == "tcp"])) <= 2
    for flow in flows:
        assert json.loads(flow.communicate(timeout=20)[0])["ok"]
    assert {r["process"] for r in hub.gateway.table("drops")} <= set(WORKERS)


@pytest.mark.parametrize("shard", [0, 1])
def test_ftp_from_the_server_through_the_shards_own_alg(hub, shard):
    server = hub.world.internet.start(TOP / "tests/integration/ftp_server.py", SERVER2)
    try:
        assert server.stdout.readline() == "ready\n"
        client = TOP / "tests/integration/ftp_client.py"
        got = json.loads(hub.guests[shard].run(client, SERVER2, 0, "USER anonymous", "PASS x@y", "PORT!", "SITE TRY", "QUIT").stdout)
        assert got["arrived"] == "hello from the server" and OUTSIDE.replace(".", ",") in got["said"][3], got
    finally:
        server.kill()
        server.wait()
    counted = [int(r["granted"] or 0) for r in hub.gateway.table("alg", "stats") if r["alg"] == "ftp"]
    assert sum(counted) >= shard + 1 and len(counted) == 1, "of both shards"


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("port", [40124, 40125])
def test_one_outside_port_is_one_guests_in_both_shards_together(hub, kind, port):
    """The same local port in guests of different shards, towards different servers: RFC 4787 REQ-1 and REQ-4, RFC 5382 REQ-7."""
    code = ("import socket, sys\ns = socket.socket(type=socket.SOCK_STREAM if sys.argv[1] == 'tcp' else socket.SOCK_DGRAM)\n"
            "s.bind(('', int(sys.argv[2])))\ns.connect((sys.argv[3], 7001))\ns.send(b'x')\nassert s.recv(1) == b'x'\nprint('there', flush=True)\nsys.stdin.read(1)")
    held = [guest.start("/usr/bin/python3", "-c", code, kind, port, server, stdin=subprocess.PIPE) for guest, server in zip(hub.guests, (SERVER, SERVER2))]
    assert [client.stdout.readline() for client in held] == ["there\n"] * 2
    if kind == "tcp":  # of UDP the row does not tell
        outside = [row["outside"] for shard in (0, 1) for row in hub.sessions(shard) if row["source"].endswith(f":{port}")]
    else:
        outside = [line.split()[3] for line in hub.world.gateway.run("ss", "-Hun").stdout.splitlines() + hub.world.gateway.run("ss", "-Huln").stdout.splitlines()]
        outside = [place for place in outside if int(place.rsplit(":", 1)[1]) == port]
    for client in held:
        client.communicate("x", timeout=5)
    if kind == "udp":
        assert len(outside) == 1, outside
        return
    ports = [int(place.rsplit(":", 1)[1]) for place in outside]
    assert len(ports) == 2 and len(set(ports)) == 2 and port in ports and all(p % 2 == port % 2 for p in ports), outside


@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("shard", [0, 1])
def test_published_to_guests_of_both(hub, shard, kind):
    assert echoed(hub.world.internet, OUTSIDE, hub.ports[shard], kind)


@pytest.mark.parametrize("shard", [0, 1])
def test_guests_reach_each_other(hub, shard):
    other = hub.addresses[1 - shard]
    assert act(hub.guests[shard], "up", 1 << 20, address=other)["ok"]
    assert act(hub.guests[shard], "udp", 1, 1400, address=other)["ok"]


@pytest.mark.parametrize("shard", [0, 1])
def test_hairpin_to_the_other_shards_guest(hub, shard):
    assert echoed(hub.guests[shard], OUTSIDE, hub.ports[1 - shard], "tcp")


def meet(hub, *targets):
    """Two guests' UDP sockets, one of each shard; each speaks to what a target makes of the other's mapping. What they heard."""
    sockets = [guest.start("/usr/bin/python3", "-c", MEETING, SERVER, stdin=subprocess.PIPE) for guest in hub.guests]
    seen = [client.stdout.readline().strip() for client in sockets]
    assert all(place.startswith(OUTSIDE) for place in seen), seen
    for client, target, place in zip(sockets, targets, reversed(seen)):
        client.stdin.write(target(place) + "\n")
        client.stdin.flush()
    return seen, [client.communicate(timeout=10)[0].strip() for client in sockets]


def test_udp_mappings_of_two_shards_meet_outside(world, spawn):
    """RFC 4787 REQ-9, although this host's own addresses are closed to guests; a port that is no mapping stays closed."""
    hub = Hub(world, spawn, "closed", "deny", 7301)
    seen, heard = meet(hub, lambda place: place, lambda place: place)
    assert [line.split()[0] for line in heard] == ["across"] * 2, (seen, heard)
    assert all(int(line.rsplit(":", 1)[1]) == int(place.rsplit(":", 1)[1]) for line, place in zip(heard, reversed(seen))), (seen, heard)
    hub.kill("natproxy.1")
    listener = world.gateway.start("/usr/bin/python3", "-c", f"import socket\ns = socket.socket(type=2)\ns.bind(('{OUTSIDE}', {int(seen[1].rsplit(':', 1)[1])}))\n"
                                   "s.settimeout(4)\nprint('ready', flush=True)\ntry: print(s.recv(100), flush=True)\nexcept TimeoutError: print('silence', flush=True)")
    assert listener.stdout.readline() == "ready\n"
    hub.guests[0].run("/usr/bin/python3", "-c", f"import socket\ns = socket.socket(type=2)\nfor n in range(10): s.sendto(b'x', ('{OUTSIDE}', {int(seen[1].rsplit(':', 1)[1])}))")
    assert listener.communicate(timeout=10)[0] == "silence\n", "a port of the host that was a mapping of the dead natproxy"


def test_leases_are_the_hubs(hub):
    assert len(set(hub.leased)) == 2
    assert {row["address"] for row in hub.gateway.table("dhcp", "table")} >= set(hub.leased)


@pytest.mark.parametrize("dead", ["netstack.1", "natproxy.1", "alg.1"])
def test_the_death_of_a_shards_worker_is_not_seen_by_the_other(hub, dead):
    before, flow = hub.pids(), hub.guests[0].start(PEER, "hold", SERVER, 2, 0.01)
    wait_for(lambda: hub.sessions(0), 3, "the other shard's session")
    for _ in range(3):
        hub.kill(dead)
    answer = json.loads(flow.communicate(timeout=20)[0])
    assert answer["ok"] and answer["worst"] < 1, answer
    after = hub.pids()
    assert [name for name in WORKERS if name.endswith(".0") or "." not in name if before[name] != after[name]] == []
    for shard in (0, 1):
        assert act(hub.guests[shard], "up", 1 << 20)["ok"] and act(hub.guests[shard], "down", 1 << 20)["ok"]
        assert echoed(hub.world.internet, OUTSIDE, hub.ports[shard], "tcp")


def test_without_the_broker_both_begin_anew(hub):
    before = hub.pids()
    hub.kill("broker")
    after = hub.pids()
    changed = {name for name in WORKERS if before[name] != after[name]}
    assert changed == {"broker", "netstack.0", "netstack.1", "natproxy.0", "natproxy.1"}
    assert hub.listeners() == hub.owners, "the same guests in the same shards"
    for shard in (0, 1):
        wait_for(lambda: act(hub.guests[shard], "up", 1 << 20)["ok"], 5, "traffic")

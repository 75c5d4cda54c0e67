"""The fence around natproxy: what the kernel does with packets of its uids, whatever natproxy has become.

A hostile natproxy is played by a program with its uid in its network namespace, and by its own socket, copied out of it. What is blocked here
works for the gateway whose fence is off: the same program, the same targets.
"""
import ctypes, json, os, re, signal, socket, subprocess
import pytest
from conftest import OUTSIDE, ROUTER, SERVER, TOP, alive, leased_address, program, sh, wait_for

SERVICE, PUBLISHED, NEAR, FAR_NEAR = 7400, 7401, "169.254.169.254", "169.254.7.7"
PIDFD_GETFD, STRANGER = 438, 64990  # a uid without a name and without a grant in /etc/subuid

# TCP and UDP on every address there is: whoever comes hears "hello".
SERVING = f"""
import selectors, socket, sys
all = selectors.DefaultSelector()
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            s = socket.socket(family, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
            s.bind((address, {SERVICE}))
        except OSError:
            continue
        if kind == socket.SOCK_STREAM:
            s.listen(64)
        all.register(s, selectors.EVENT_READ, kind)
print("ready", flush=True)
while True:
    for key, _ in all.select():
        if key.data == socket.SOCK_STREAM:
            c, _ = key.fileobj.accept()
            c.sendall(b"hello")
            c.close()
        else:
            _, peer = key.fileobj.recvfrom(100)
            key.fileobj.sendto(b"hello", peer)
"""

# {"tcp 127.0.0.1": "hello", "udp 127.0.0.1": "Operation not permitted", ...}: all targets at once, for as long as is given.
TRYING = """
import json, os, select, socket, struct, sys, time
port, seconds, targets = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
waiting, found = {}, {}
for target in targets:
    device, _, address = target.rpartition("%")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in ("tcp", "udp", "ping"):
        name = kind + " " + target
        if kind == "ping" and family == socket.AF_INET6:
            continue
        s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM, socket.IPPROTO_ICMP if kind == "ping" else 0)
        s.setblocking(False)
        try:
            if device:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            if kind != "udp": # which may be answered from another address
                s.connect((address, port))
        except BlockingIOError:
            pass
        except OSError as error:
            found[name] = error.strerror
            continue
        try:
            if kind == "ping":
                s.send(b"\\x08\\0\\0\\0\\0\\0\\0\\0hello")
            if kind == "udp":
                s.sendto(b"anybody", (address, port))
            waiting[s] = name
        except OSError as error:
            found[name] = error.strerror
end = time.monotonic() + seconds
while waiting and time.monotonic() < end:
    for s in select.select(list(waiting), [], [], max(0, end - time.monotonic()))[0]:
        name = waiting.pop(s)
        try:
            found[name] = "hello" if s.recv(100).endswith(b"hello") else "?"
        except OSError as error:
            found[name] = error.strerror
for name in waiting.values():
    found[name] = "silence"
print(json.dumps(found))
"""


def attempts(where, uid, *targets, port=SERVICE, seconds=0.6):
    """What became of each attempt of a program with that uid."""
    return json.loads(where.run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "/usr/bin/python3", "-c", TRYING, port, seconds, *targets).stdout)


def blocked(found):
    return {name for name, what in found.items() if what in ("Operation not permitted", "silence")}


def natproxy_uid(gateway):
    return int(gateway.processes()["natproxy"]["user"])


def fence(gateway):
    return gateway.table("status")[0]["fence"]


def table_name(gateway):
    return fence(gateway).split()[-1]


def rules(gateway):
    """{comment: packets} of the rules that count."""
    text = json.loads(gateway.world.gateway.run("nft", "-j", "list", "table", "inet", table_name(gateway)).stdout)
    counted = {}
    for rule in (entry["rule"] for entry in text["nftables"] if "rule" in entry):
        for expression in rule["expr"]:
            if "counter" in expression:
                counted[rule["comment"]] = expression["counter"]["packets"]
    return counted


def tables(world):
    return {line.split()[-1] for line in world.gateway.run("nft", "list", "tables").stdout.splitlines() if "natlock-" in line}


def config(guest, fence="auto", nat=""):
    return f"""hubs:
  default:
    attach: [{f'"netns:{guest}"' if guest else ''}]
    nat:
      publish: [{{proto: tcp, listen: "0.0.0.0:{PUBLISHED}", to: "192.168.30.10:7"}}, {{proto: udp, listen: "0.0.0.0:{PUBLISHED}", to: "192.168.30.10:7"}}]{nat}
policy: {{fence: {fence}}}
"""


@pytest.fixture(scope="module")
def host(world):
    """Services on this computer and beside it: on all its addresses, one of them link-local, and on one that is not its own."""
    here, there = world.gateway, world.internet
    here.run("sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0")
    here.run("ip", "addr", "add", f"{FAR_NEAR}/32", "dev", "lo")
    there.run("ip", "addr", "add", f"{NEAR}/32", "dev", "lo")
    here.run("ip", "route", "add", NEAR, "via", ROUTER)
    servers = [where.start("/usr/bin/python3", "-c", SERVING) for where in (here, there)]
    for server in servers:
        assert server.stdout.readline() == "ready\n"
    yield here
    for server in servers:
        server.kill()
        server.wait()
    here.run("ip", "route", "del", NEAR)
    there.run("ip", "addr", "del", f"{NEAR}/32", "dev", "lo")
    here.run("ip", "addr", "del", f"{FAR_NEAR}/32", "dev", "lo")
    here.run("sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=1")


@pytest.fixture(scope="module")
def fenced(spawn, host):
    guest = spawn.guest("fence")
    gateway = spawn.gateway("fenced", guest=guest, config=config(guest.name))
    assert leased_address(guest) == "192.168.30.10"
    return gateway


@pytest.fixture(scope="module")
def bare(spawn, host, fenced):
    """The control: the same gateway without the fence."""
    return spawn.gateway("bare", config=config("", fence="off").replace(str(PUBLISHED), str(PUBLISHED + 1)))


LOCAL = ["127.0.0.1", "127.200.3.4", OUTSIDE, "0.0.0.0", "lo%127.0.0.1", NEAR, FAR_NEAR, "::1"]


def test_a_natproxy_that_was_taken_over_stays_outside(world, fenced, bare):
    """Loopback, link-local and the host's own addresses, by TCP, UDP and ping; the Internet goes on"""
    before = rules(fenced)
    control = attempts(world.gateway, natproxy_uid(bare), *LOCAL)
    assert set(control.values()) == {"hello"}, control
    found = attempts(world.gateway, natproxy_uid(fenced), *LOCAL)
    assert blocked(found) == set(found), found
    after = rules(fenced)
    grown = {comment: after[comment] - before[comment] for comment in after}
    assert grown["this computer"] >= 12 and grown["169.254.0.0/16"] >= 6 and grown["IPv6"] >= 2, grown
    assert set(attempts(world.gateway, natproxy_uid(fenced), SERVER).values()) == {"hello"}


def test_multicast_and_broadcast_stay_outside(world, fenced, bare):
    """What is sent to a group or a subnet is heard on this computer too"""
    tried = """
import socket, sys
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(("", 0))
here.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for address in sys.argv[1:]:
    try:
        print(here.sendto(b"x", (address, 9)))
    except OSError as error:
        print(error.strerror)
"""
    targets = ["224.0.0.251", "239.255.255.250", "198.18.1.255", "255.255.255.255", "240.1.2.3"]
    said = [world.gateway.run("setpriv", f"--reuid={natproxy_uid(gateway)}", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", tried, *targets).stdout.split("\n")[:-1]
            for gateway in (bare, fenced)]
    assert said == [["1"] * 5, ["Operation not permitted"] * 5]


def own_socket(gateway, port, kind=socket.SOCK_DGRAM):
    """A copy of natproxy's own socket at that port (raw: of that protocol): what it may send, natproxy may."""
    libc, pid = ctypes.CDLL(None, use_errno=True), gateway.processes()["natproxy"]["pid"]
    pidfd = os.pidfd_open(pid)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            fd = libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)
            if fd < 0 or not os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                continue
            copy = socket.socket(fileno=fd)
            if copy.type == kind and copy.family == socket.AF_INET and copy.getsockname()[1] == port:
                return copy
            copy.close()
    finally:
        os.close(pidfd)
    pytest.fail("natproxy has no such socket")


def test_its_own_sockets_are_held_too(fenced, bare):
    """Not who sends, but whose socket it is decides"""
    with own_socket(bare, PUBLISHED + 1) as free, own_socket(fenced, PUBLISHED) as held:
        for address in ("127.0.0.1", OUTSIDE, NEAR):
            assert free.sendto(b"anybody", (address, SERVICE)) == 7
            with pytest.raises(PermissionError):
                held.sendto(b"anybody", (address, SERVICE))
        assert held.sendto(b"anybody", (SERVER, SERVICE)) == 7


def test_who_sends_from_this_computer_may_be_answered(world, fenced):
    """By UDP, which has no SYN: the very endpoint that sent to that port, nobody else"""
    tried = """
import socket, sys
for address in ("127.0.0.1", "127.0.0.1", sys.argv[1]):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    if address == sys.argv[1]:
        s.bind((address, 0))
    s.sendto(b"asked", (address, int(sys.argv[2])))
    print(s.getsockname()[1], flush=True)
    sys.stdin.readline()
    print(s.recv(100).decode(), flush=True)
"""
    asker = world.gateway.start("/usr/bin/python3", "-c", tried, OUTSIDE, PUBLISHED, stdin=subprocess.PIPE)
    with own_socket(fenced, PUBLISHED) as held:
        for address in ("127.0.0.1", "127.0.0.1", OUTSIDE):
            port = int(asker.stdout.readline())
            with pytest.raises(PermissionError):
                held.sendto(b"x", (address, port + 1 if port < 65535 else 1024))
            assert held.sendto(b"answered", (address, port)) == 8
            asker.stdin.write("\n")
            asker.stdin.flush()
            assert asker.stdout.readline() == "answered\n"
    asker.wait(5)


def echoed(where, address, port):
    """As whom the guest knows one who asks there by TCP and by UDP, several times."""
    tried = """
import socket, sys
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    s = socket.socket(type=kind)
    s.settimeout(5)
    s.connect((sys.argv[1], int(sys.argv[2])))
    for _ in range(3 if kind == socket.SOCK_DGRAM else 1):
        s.send(b"word")
        print(s.recv(100).decode())
"""
    said = where.run("/usr/bin/python3", "-c", tried, address, port, check=False).stdout.splitlines()
    return [line.removeprefix("word of ") for line in said]


@pytest.fixture(scope="module")
def echo(fenced):
    """The guest's own service, published: what it hears, and from whom."""
    tried = """
import select, socket
tcp, udp = socket.create_server(("", 7)), socket.socket(type=socket.SOCK_DGRAM)
udp.bind(("", 7))
print("ready", flush=True)
while True:
    for s in select.select([tcp, udp], [], [])[0]:
        if s is tcp:
            c, peer = tcp.accept()
            c.sendall(c.recv(2000) + b" of " + peer[0].encode())
            c.close()
        else:
            data, peer = udp.recvfrom(2000)
            udp.sendto(data + b" of " + peer[0].encode(), peer)
"""
    server = fenced.guest.start("/usr/bin/python3", "-c", tried)
    assert server.stdout.readline() == "ready\n"


@pytest.mark.parametrize("address, shown", [("127.0.0.1", "192.168.30.1"), (OUTSIDE, OUTSIDE)])
def test_published_ports_answer_this_computer(world, fenced, echo, address, shown):
    """The guest may answer it, by TCP and UDP, though it may not begin"""
    assert echoed(world.gateway, address, PUBLISHED) == [shown] * 4
    assert echoed(world.internet, OUTSIDE, PUBLISHED) == [ROUTER] * 4


def test_resolvers_may_be_on_this_computer(world, fenced, host):
    """And may move there while natlock runs, as resolv.conf changes"""
    resolv, ask = world.resolv / "resolv.conf", ("dig", "+time=2", "+tries=2", "+short", "@192.168.30.1", "local.example.test")
    kept = resolv.read_text()
    server = world.gateway.start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--listen-address=127.0.0.53", f"--listen-address={FAR_NEAR}",
                                 "--bind-interfaces", "--address=/local.example.test/198.18.2.9", "--user=root", "--pid-file=", "--local-ttl=0")
    try:
        for place in ("127.0.0.53", FAR_NEAR):
            resolv.write_text(f"nameserver {place}\n")
            wait_for(lambda: fenced.guest.run(*ask, check=False).stdout == "198.18.2.9\n", 8, place)
            assert fenced.guest.run(*ask, "+tcp").stdout == "198.18.2.9\n"
    finally:
        resolv.write_text(kept)
        server.terminate()
        server.wait(5)


def test_an_address_of_this_computer_is_closed_from_its_first_moment(world, fenced, bare):
    added = "10.77.0.1"
    world.gateway.run("ip", "addr", "add", f"{added}/32", "dev", "w0")
    try:
        found = attempts(world.gateway, natproxy_uid(fenced), added, f"lo%{added}")
        assert blocked(found) == set(found), found
        assert set(attempts(world.gateway, natproxy_uid(bare), added).values()) == {"hello"}
    finally:
        world.gateway.run("ip", "addr", "del", f"{added}/32", "dev", "w0")


def test_nobody_can_take_it_away(world, fenced):
    """Not even root with its tools, while natlock runs"""
    name = table_name(fenced)
    assert world.gateway.run("nft", "delete", "table", "inet", name, check=False).returncode != 0
    assert world.gateway.run("nft", "flush", "chain", "inet", name, "output", check=False).returncode != 0
    world.gateway.run("nft", "flush", "ruleset")
    assert name in tables(world)


def test_the_table_is_what_the_manual_shows(world, fenced):
    block = re.search(r"```nft\n(.*?)```", (TOP / "docs/policy.md").read_text(), re.S).group(1)
    listed = world.gateway.run("nft", "list", "table", "inet", table_name(fenced)).stdout
    for pattern, plain in ((r"packets \d+ bytes \d+ ", ""), (r" # progname.*", ""), (r"\n\t\telements = \{[^}]*\}", ""), (r"natlock-\d+", "natlock-61185"), (r"skuid \d+-\d+", "skuid 61185-61216")):
        listed = re.sub(pattern, plain, listed)
    assert listed.split() == block.split()


def test_what_a_running_natlock_says(world, fenced, bare):
    """Status shows it; what it cannot follow is refused, or waits for a restart"""
    assert fence(fenced) == f"nftables table inet {table_name(fenced)}" and fence(bare) == "none: policy.fence is off"
    assert f"fence nftables table inet {table_name(fenced)}" in fenced.control("status").stdout
    for gateway, told in ((fenced, f"inet {table_name(fenced)}: "), (bare, "none: ")):
        row = next(row for row in json.loads(gateway.control("policy", "audit", "--json").stdout)["items"] if row["check"] == "fence")
        assert row["result"] == "ok" and row["found"].startswith(told), row
    refused = fenced.control("nat", "set", "host_loopback=allow", check=False)
    assert refused.returncode == 5 and "the fence around natproxy" in refused.stderr, refused.stderr
    bare.control("nat", "set", "host_loopback=allow")
    file = fenced.folder / "natlock.yaml"
    kept = file.read_text()
    file.write_text(config(fenced.guest.name, nat="\n      host_loopback: allow"))
    said = fenced.control("reload").stdout
    file.write_text(kept)
    assert "only a restart of natlock changes hubs.default.nat.host_loopback" in said, said


def test_a_hub_may_be_let_through(world, spawn, fenced):
    """nat.host_loopback: allow, of one hub of two; the other's natproxy stays outside"""
    both = ("hubs:\n  open: {attach: [], nat: {host_loopback: allow}}\n"
            "  shut: {attach: [], host: {address: 10.1.0.1}, dhcp: {range: 10.1.0.10-10.1.0.20, gateway: 10.1.0.1, dns: [10.1.0.1]}}\n")
    gateway = spawn.gateway("both", config=both)
    uid = {row["hub"]: int(row["user"]) for row in gateway.table("process", "list") if row["process"] == "natproxy"}
    open_found, shut_found = (attempts(world.gateway, uid[hub], "127.0.0.1", OUTSIDE, NEAR) for hub in ("open", "shut"))
    assert blocked(open_found) == {f"{kind} {NEAR}" for kind in ("tcp", "udp", "ping")}, open_found
    assert blocked(shut_found) == set(shut_found), shut_found


def test_it_goes_with_natlock_however_that_ends(world, spawn, fenced):
    """Two gateways side by side have a table each, of different uids; SIGKILL takes one's away, with its natproxy"""
    other = spawn.gateway("killed", config="hubs:\n  default: {attach: []}\n")
    mine, its = table_name(fenced), table_name(other)
    assert mine != its and {mine, its} <= tables(world) and natproxy_uid(fenced) != natproxy_uid(other)
    rows = other.processes()
    os.kill(rows["supervisor"]["pid"], signal.SIGKILL)
    wait_for(lambda: its not in tables(world) and not alive(rows["natproxy"]["pid"]), 5, "their end")
    assert mine in tables(world)


def test_natlock_run_as_root_has_it_too(world, tmp_path):
    before = tables(world)
    environment = dict(os.environ, RUNTIME_DIRECTORY=str(tmp_path / "run"))
    process = world.gateway.start(program("natlock"), "run", "--subnet", "10.99.0.0/24", "--", "sh", "-c", "echo ready; sleep 60", env=environment)
    assert process.stdout.readline() == "ready\n"
    assert len(tables(world) - before) == 1
    process.terminate()
    process.wait(5)
    wait_for(lambda: tables(world) == before, 2, "its end")


def without(world, folder, wish, *prefix):
    """natlock where the kernel refuses the table: its process, and what it said first."""
    folder = folder / wish
    folder.mkdir()
    os.chown(folder, STRANGER, STRANGER)
    (folder / "natlock.yaml").write_text(f"hubs:\n  default: {{attach: [], dhcp: {{persist: false}}}}\nlog: {{file: none}}\npolicy: {{fence: {wish}}}\n")
    environment = {"PATH": os.environ["PATH"], "RUNTIME_DIRECTORY": str(folder / "natlock"), "STATE_DIRECTORY": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder),
                   "NATLOCK_API": str(folder / "natlock/api")}
    process = world.gateway.start(*prefix, program("natlock"), "up", "-c", folder / "natlock.yaml", env=environment)
    said = ""
    while " up; " not in said and (line := process.stdout.readline()):
        said += line
    return process, said, environment


def test_where_it_cannot_be_had_natlock_says_so(world):
    """Root without power over the network, and an ordinary user"""
    for prefix in (("setpriv", "--bounding-set", "-net_admin"), ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")):
        folder = world.folder / prefix[1][2:9]
        folder.mkdir()
        process, said, environment = without(world, folder, "auto", *prefix)
        assert "natproxy is not fenced in from outside: only root with CAP_NET_ADMIN can have one. See: natlock doctor" in said
        status = json.loads(sh(*prefix, program("natlockctl"), "-o", "json", "status", env=environment).stdout)["items"][0]
        assert status["fence"].startswith("none: only root") and any("not fenced in" in note for note in status["notes"])
        process.terminate()
        process.wait(5)
        process, said, _ = without(world, folder, "required", *prefix)
        assert process.wait(5) == 1 and "natproxy cannot be fenced in: only root with CAP_NET_ADMIN can have one. Either start natlock as root" in said, said

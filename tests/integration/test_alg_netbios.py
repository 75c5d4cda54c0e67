"""NetBIOS through the ALG: Samba's nmbd as WINS server and smbd on port 139, outside and inside; nmbd, nmblookup and smbclient."""
import contextlib, hashlib, os, random, re, signal, socket, subprocess
import pytest
from conftest import OUTSIDE, ROUTER, SERVER, alive, wait_for
from talks import addressed

GUEST = "192.168.30.10"
INSIDE, STATIC, INSIDE2, STATIC2 = "192.168.30.50", "198.18.1.7", "192.168.30.51", "198.18.1.8"
SHARE = 1 << 20
DATAGRAM = 24 + 16 + 14 + 20 + 8  # where the first one begins in a file of tcpdump
NAME = b"\x20" + b"CA" * 16 + b"\0"

# What Samba has not: a server that sends its clients elsewhere (RFC 1002 4.3.5), and a client that goes there.
RETARGET = """
import socket, sys
server = socket.create_server((sys.argv[1], 139))
print("ready", flush=True)
while True:
    client = server.accept()[0]
    client.recv(4096)
    client.sendall(b"\\x84\\0\\0\\6" + socket.inet_aton(sys.argv[2]) + int(sys.argv[3]).to_bytes(2, "big"))
    client.close()
"""
FOLLOW = f"""
import socket, sys
def ask(address, port):
    with socket.create_connection((address, port), 5) as c:
        c.sendall(b"\\x81\\0\\0\\x44" + {NAME} * 2)
        return c.recv(4096)
first = ask(sys.argv[1], 139)
address, port = socket.inet_ntoa(first[4:8]), int.from_bytes(first[8:], "big")
print(address, port, ask(address, port).hex() if port == 139 else "")
"""

# Asks a WINS server from port 137, as nmbd does and nmblookup does not.
LOOK_UP = """
import socket, sys
name = bytes(x for b in sys.argv[2].encode().ljust(15) + b" " for x in (65 + (b >> 4), 65 + (b & 15)))
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.bind(("", 137))
    s.settimeout(5)
    s.sendto(bytes.fromhex("4711 0100 0001 0000 0000 0000") + b"\\x20" + name + bytes.fromhex("00 0020 0001"), (sys.argv[1], 137))
    print(socket.inet_ntoa(s.recv(4096)[-4:]))
"""


class Samba:
    """The programs of one Samba, with all that they keep in a folder of their own."""

    def __init__(self, where, folder, name, address, settings=""):
        self.where, self.folder, self.name, self.address = where, folder / f"samba-{name}", name, address
        kept = {"lock directory": "lock", "state directory": "state", "cache directory": "cache", "pid directory": "pid", "private dir": "private", "ncalrpc dir": "rpc"}
        for sub in (*kept.values(), "share", "log"):
            (self.folder / sub).mkdir(parents=True)
        self.configuration = self.folder / "smb.conf"
        lines = "".join(f"{key} = {self.folder / sub}\n" for key, sub in kept.items())
        self.configuration.write_text(
            f"[global]\nnetbios name = {name}\nworkgroup = NATLOCK\nserver role = standalone server\ninterfaces = {address}/24\nbind interfaces only = yes\n"
            f"smb ports = 139\ndisable spoolss = yes\nload printers = no\nmap to guest = Bad User\nlocal master = no\npreferred master = no\ndomain master = no\n"
            f"log file = {self.folder}/log/log.%m\n{lines}{settings}\n[share]\npath = {self.folder}/share\nguest ok = yes\nforce user = root\n")

    def start(self, *programs):
        self.programs = [self.where.start(program, "-F", "-s", self.configuration, "-l", self.folder / "log") for program in programs]

    def stop(self, number=signal.SIGTERM):
        """What was started last, and what it forked: their ports are the next test's."""
        pids = [pid for process in self.programs for pid in [process.pid, *map(int, self.where.run("pgrep", "-P", process.pid, check=False).stdout.split())]]
        for pid in pids:
            os.kill(pid, number)
        for process in self.programs:
            with contextlib.suppress(subprocess.TimeoutExpired):  # nmbd now and then goes on waiting for a datagram
                process.wait(2)
        for pid in filter(alive, pids):  # a child that outlives it keeps its sockets
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.programs:
            process.wait()

    def look_up(self, name, server):
        """The addresses that a WINS server gives for a name."""
        answer = self.where.run("nmblookup", "-s", self.configuration, "-U", server, "--recursion", name, check=False).stdout
        return re.findall(r"^([\d.]+) ", answer, re.M)

    def status(self, server):
        return self.where.run("nmblookup", "-s", self.configuration, "-A", server, check=False).stdout

    def fetch(self, server, target):
        """Gets a file from the share over NetBIOS; its hash."""
        self.where.run("smbclient", "-s", self.configuration, "-p", 139, "-N", f"//{server}/share", "-c", f"get file {target}")
        return hashlib.sha256(target.read_bytes()).hexdigest()

    def offer(self, seed):
        """A file in the share; its hash."""
        data = random.Random(seed).randbytes(SHARE)
        (self.folder / "share/file").write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    def await_start(self):
        wait_for(lambda: self.where.run("ss", "-ltn", f"src {self.address}:139").stdout.count("LISTEN"), 10, "smbd")
        wait_for(lambda: self.name in self.status(self.address), 10, "nmbd")


@contextlib.contextmanager
def switched_off(gateway, off=True):
    """Sessions that began before a switch stay as they were, so they are ended."""
    if off:
        gateway.control("alg", "disable", "netbios")
        gateway.control("nat", "flush")
    try:
        yield
    finally:
        if off:
            gateway.control("alg", "enable", "netbios")
            gateway.control("nat", "flush")


@pytest.fixture(scope="module")
def outside(world):
    """The WINS server and file server beyond the gateway."""
    samba = Samba(world.internet, world.folder, "NLSRV", ROUTER, "wins support = yes\n")
    samba.start("nmbd", "smbd")
    samba.sha = samba.offer(139)
    samba.await_start()
    yield samba
    samba.stop()


def register(gateway, name):
    """A guest's nmbd that registers this name with the WINS server; ends with the guest or by the test."""
    samba = Samba(gateway.guest, gateway.world.folder, name, GUEST, f"wins server = {ROUTER}\nremote announce = {ROUTER}/NATLOCK\n")
    samba.start("nmbd")
    return samba


@pytest.fixture(scope="module")
def client(gateway, outside):
    """Programs of Samba in the guest."""
    return Samba(gateway.guest, gateway.world.folder, "NLCLI", GUEST)


def test_a_guest_registers_its_outside_address(gateway, outside):
    samba = register(gateway, "NLGUEST")
    try:
        assert wait_for(lambda: outside.look_up("NLGUEST#20", ROUTER), 5, "the name") == [OUTSIDE]
    finally:
        samba.stop()
    wait_for(lambda: not outside.look_up("NLGUEST#20", ROUTER), 5, "the release of the name")


def test_without_the_alg_it_registers_what_nobody_reaches(gateway, outside):
    with switched_off(gateway):
        samba = register(gateway, "NLRAW")
        try:
            assert wait_for(lambda: outside.look_up("NLRAW#20", ROUTER), 5, "the name") == [GUEST]
        finally:
            samba.stop()


def test_queries_node_status_and_files(gateway, outside, client):
    assert client.look_up("NLSRV#20", ROUTER) == [ROUTER]
    assert "NLSRV" in client.status(ROUTER)
    assert client.fetch(ROUTER, gateway.world.folder / "got-netbios") == outside.sha


def test_its_own_name_is_its_own_address_where_it_registered_it(gateway, outside, client):
    """By the port that nmbd talked from; another port's flow knows of no registration, and other guests have that address, too."""
    samba = register(gateway, "NLOWN")
    try:
        assert wait_for(lambda: outside.look_up("NLOWN#20", ROUTER), 5, "the name") == [OUTSIDE]
    finally:
        samba.stop(signal.SIGKILL)  # which releases no name
    from_port_137 = [gateway.guest.run("/usr/bin/python3", "-c", LOOK_UP, ROUTER, name).stdout.strip() for name in ("NLOWN", "NLSRV")]
    assert from_port_137 == [GUEST, ROUTER]
    assert client.look_up("NLOWN#20", ROUTER) == [OUTSIDE]


@pytest.mark.parametrize("on", [True, False], ids=["on", "off"])
def test_datagrams_say_where_they_are_to_be_answered(gateway, outside, world, on):
    """nmbd announces itself to another network by datagrams."""
    capture = world.folder / f"datagram-{on}"
    dump = world.internet.start("tcpdump", "-n", "-i", "i0", "-U", "-c", 1, "-w", capture, f"udp dst port 138 and src host {OUTSIDE}")
    wait_for(lambda: capture.exists() and capture.stat().st_size, 5, "tcpdump")
    with switched_off(gateway, not on):
        samba = register(gateway, f"NLDGM{on:d}")
        try:
            dump.wait(10)
        finally:
            samba.stop()
    data = capture.read_bytes()
    source_port, header = int.from_bytes(data[DATAGRAM - 8 : DATAGRAM - 6], "big"), data[DATAGRAM:]
    assert header[0] in (0x10, 0x11) and b"\\MAILSLOT\\BROWSE" in header
    assert (socket.inet_ntoa(header[4:8]), int.from_bytes(header[8:10], "big")) == ((OUTSIDE, source_port) if on else (GUEST, 138))


@pytest.fixture(scope="module")
def inside(world, spawn, outside):
    """Two guests that are one outside address each; a WINS and file server in the first."""
    for address in (STATIC, STATIC2):
        world.gateway.run("ip", "addr", "add", f"{address}/24", "dev", "w0")
    guests = [spawn.guest("nb1"), spawn.guest("nb2")]
    ports = ", ".join(f"\"netns:{guest.name}\"" for guest in guests)
    gateway = spawn.gateway("netbios", guest=guests[0], config=f"hubs:\n  default:\n    attach: [{ports}]\n    nat:\n      static:\n"
                            f"        - {{inside: {INSIDE}, outside: {STATIC}, ports: [137, 138, 139]}}\n        - {{inside: {INSIDE2}, outside: {STATIC2}, ports: [139]}}\n")
    for guest, address in zip(guests, (INSIDE, INSIDE2)):
        addressed(guest, address)
    gateway.other = guests[1]
    gateway.samba = Samba(guests[0], world.folder, "NLIN", INSIDE, "wins support = yes\n")
    gateway.samba.start("nmbd", "smbd")
    gateway.samba.sha = gateway.samba.offer(137)
    gateway.samba.await_start()
    yield gateway
    for address in (STATIC, STATIC2):
        world.gateway.run("ip", "addr", "del", f"{address}/24", "dev", "w0")


def test_a_server_inside_names_itself_as_it_is_reached(world, inside, outside):
    assert outside.look_up("NLIN#20", STATIC) == [STATIC]
    assert "NLIN" in outside.status(STATIC)
    assert outside.fetch(STATIC, world.folder / "got-inside") == inside.samba.sha
    with switched_off(inside):
        assert outside.look_up("NLIN#20", STATIC) == [INSIDE]


def test_a_client_outside_is_sent_to_a_mapped_server(world, inside):
    server = inside.other.start("/usr/bin/python3", "-c", RETARGET, INSIDE2, INSIDE, 139)
    assert server.stdout.readline() == "ready\n"
    assert world.internet.run("/usr/bin/python3", "-c", FOLLOW, STATIC2).stdout.split() == [STATIC, "139", "82000000"]
    server.terminate()
    server.wait()
    server = inside.other.start("/usr/bin/python3", "-c", RETARGET, INSIDE2, INSIDE2, 1139)
    assert server.stdout.readline() == "ready\n"
    assert world.internet.run("/usr/bin/python3", "-c", FOLLOW, STATIC2).stdout.split() == [STATIC2, "1139"]
    with switched_off(inside):
        assert world.internet.run("/usr/bin/python3", "-c", FOLLOW, STATIC2).stdout.split() == [INSIDE2, "1139"]


def test_a_client_inside_is_sent_to_the_inside_address(world, inside):
    server = world.internet.start("/usr/bin/python3", "-c", RETARGET, SERVER, STATIC, 139)
    assert server.stdout.readline() == "ready\n"
    assert inside.other.run("/usr/bin/python3", "-c", FOLLOW, SERVER).stdout.split() == [INSIDE, "139", "82000000"]


def test_observed_it_says_what_it_would_change(inside, outside):
    file = inside.folder / "natlock.yaml"
    before = file.read_text()
    file.write_text(before + "    alg:\n      netbios: {mode: observe}\n")
    try:
        inside.control("config", "reload")
        inside.control("nat", "flush")
        assert outside.look_up("NLIN#20", STATIC) == [INSIDE]
        wait_for(lambda: re.search("netbios.*would", inside.log()), 3, "the change that was not made, in the log")
    finally:
        file.write_text(before)
        inside.control("config", "reload")
        inside.control("nat", "flush")
    assert outside.look_up("NLIN#20", STATIC) == [STATIC]

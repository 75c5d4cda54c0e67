"""TFTP through the ALG: tftpd-hpa and atftpd, which answer from new ports; tftp-hpa, atftp and curl, outside and inside."""
import hashlib, random
import pytest
from conftest import ROUTER, SERVER, SERVER2, wait_for
from talks import addressed
from debian import unpacked

INSIDE, STATIC = "192.168.30.50", "198.18.1.7"
CLIENTS = {
    "tftp": lambda server, theirs, mine: ["tftp", server, "-m", "binary", "-c", "get", theirs, mine],
    "atftp": lambda server, theirs, mine: ["atftp", "--option", "blksize 1400", "-g", "-r", theirs, "-l", mine, server],
    "curl": lambda server, theirs, mine: ["curl", "-sS", "-m", 10, "--tftp-blksize", 512, f"tftp://{server}/{theirs}", "-o", mine],
}
PUT = {
    "tftp": lambda server, theirs, mine: ["tftp", server, "-m", "binary", "-c", "put", mine, theirs],
    "atftp": lambda server, theirs, mine: ["atftp", "--option", "blksize 1024", "-p", "-r", theirs, "-l", mine, server],
    "curl": lambda server, theirs, mine: ["curl", "-sS", "-m", 10, "-T", mine, f"tftp://{server}/{theirs}"],
}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def listening(where, address):
    return where.run("ss", "-lun", f"src {address}:69").stdout.count("UNCONN")


def serve_hpa(where, address, root):
    where.start("in.tftpd", "-L", "-c", "-s", "-a", f"{address}:69", root)
    wait_for(lambda: listening(where, address), 5, "tftpd-hpa")


def serve_atftpd(where, address, root):
    where.start(unpacked("atftpd") / "usr/sbin/atftpd", "--daemon", "--no-fork", "--user", "root.root", "--bind-address", address, "--port", 69, root)
    wait_for(lambda: listening(where, address), 5, "atftpd")


@pytest.fixture(scope="module")
def files(world):
    """A folder that servers show, and what is in it: 300 blocks of the usual size."""
    root = world.folder / "tftp"
    root.mkdir()
    (root / "file").write_bytes(random.Random(69).randbytes(150001))
    root.chmod(0o777)
    (root / "file").chmod(0o666)
    return root


@pytest.fixture(scope="module")
def servers(world, files):
    serve_hpa(world.internet, SERVER, files)
    serve_atftpd(world.internet, SERVER2, files)
    return {"tftpd-hpa": SERVER, "atftpd": SERVER2}


def fetch(where, folder, client, server, name, check=True):
    """Gets the file; its hash, None where nothing came."""
    target = folder / f"got-{name}"
    target.unlink(missing_ok=True)
    where.run(*CLIENTS[client](server, "file", target), check=check)
    return digest(target)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("server", ["tftpd-hpa", "atftpd"])
def test_file_arrives(gateway, servers, files, server, client):
    assert fetch(gateway.guest, gateway.world.folder, client, servers[server], f"{server}-{client}") == digest(files / "file")


@pytest.mark.parametrize("client", PUT)
@pytest.mark.parametrize("server", ["tftpd-hpa", "atftpd"])
def test_file_leaves(gateway, servers, files, server, client):
    name = f"put-{server}-{client}"
    gateway.guest.run(*PUT[client](servers[server], name, files / "file"))
    wait_for(lambda: digest(files / name) == digest(files / "file"), 3, "the whole file")


def test_many_clients_at_once(gateway, servers, files):
    folder = gateway.world.folder
    clients = [gateway.guest.start(*CLIENTS[("tftp", "atftp", "curl")[n % 3]](servers["tftpd-hpa"], "file", folder / f"many-{n}")) for n in range(12)]
    for n, client in enumerate(clients):
        assert client.wait(20) == 0, client.stdout.read()
        assert digest(folder / f"many-{n}") == digest(files / "file"), n


def test_two_guests_by_the_same_port(gateway, spawn, servers, files):
    """Each is answered at its own outside port."""
    guests = spawn.two_guests("tftp-two", "tftp2").guests
    folder = gateway.world.folder
    clients = [guest.start("tftp", "-R", "50069:50069", SERVER, "-m", "binary", "-c", "get", "file", folder / f"two-{guest.name}") for guest in guests]
    for guest, client in zip(guests, clients):
        assert client.wait(20) == 0, client.stdout.read()
        assert digest(folder / f"two-{guest.name}") == digest(files / "file")


def test_without_the_alg_the_answer_is_kept_out(gateway, servers, files):
    gateway.control("alg", "disable", "tftp")
    try:
        got = gateway.guest.run("curl", "-sS", "-m", 1, f"tftp://{SERVER}/file", check=False)
        assert got.returncode != 0 and not got.stdout
    finally:
        gateway.control("alg", "enable", "tftp")
    assert fetch(gateway.guest, gateway.world.folder, "curl", SERVER, "again") == digest(files / "file")


def test_each_opening_is_in_the_security_log(gateway, servers):
    wait_for(lambda: "tftp" in gateway.log(), 5, "the pinhole of TFTP")


# A server that is in no hurry: others try the same outside port first, then it answers from another port of its own.
STRANGERS = """
import socket, sys
server, stranger = sys.argv[1:]
def bound(address, port=0):
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.bind((address, port))
    return s
s = bound(server, 69)
print("ready", flush=True)
guest = s.recvfrom(4096)[1]
for _ in range(3):
    bound(stranger).sendto(b"\\0\\3\\0\\1stranger", guest)
bound(server).sendto(b"\\0\\3\\0\\1server", guest)
"""
ASK = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"\\0\\1file\\0octet\\0", (sys.argv[1], 69))
print(s.recvfrom(4096))
"""


def test_only_the_server_gets_in(gateway):
    """By the one port that the request came from, and nobody else by it."""
    server = gateway.world.internet.start("/usr/bin/python3", "-c", STRANGERS, ROUTER, SERVER2)
    assert server.stdout.readline() == "ready\n"
    answer = gateway.guest.run("/usr/bin/python3", "-c", ASK, ROUTER).stdout
    assert "server" in answer and ROUTER in answer, answer


@pytest.fixture(scope="module")
def inside(world, spawn, files):
    """A guest that is one outside address, with a server on port 69."""
    world.gateway.run("ip", "addr", "add", f"{STATIC}/24", "dev", "w0")
    guest = spawn.guest("tftp")
    config = f"hubs:\n  default:\n    attach: [\"netns:{guest.name}\"]\n    nat:\n      static:\n        - {{inside: {INSIDE}, outside: {STATIC}, ports: [69]}}\n"
    gateway = spawn.gateway("tftp", guest=guest, config=config)
    addressed(guest, INSIDE)
    serve_hpa(guest, INSIDE, files)
    yield gateway
    world.gateway.run("ip", "addr", "del", f"{STATIC}/24", "dev", "w0")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_inside(world, inside, files, client):
    assert fetch(world.internet, world.folder, client, STATIC, f"inside-{client}") == digest(files / "file")

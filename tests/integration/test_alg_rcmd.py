"""rsh and rexec with their second connection, and rlogin, all from and to reserved ports, as a client inside and as a server inside.

    client .10, servers .50 (nat.static 198.18.1.84) ~~~ natlock ---- internet [netkit's rshd, rlogind and rexecd on 198.18.1.1, clients]

The clients are netkit's and rsh-redone's, and of rexec the one in the C library; the servers stand behind an inetd of ours. What a
command writes to standard output and to standard error is compared by hash: the latter comes by the server's own connection.
"""
import hashlib, os, pathlib, random, shutil, subprocess
import pytest
from conftest import OUTSIDE, ROUTER, TOP, leased_address, unpacked, wait_for

CLIENT, INSIDE, STATIC, THERE, USER = "192.168.30.10", "192.168.30.50", "198.18.1.84", ROUTER, "remote"  # a server connects from the address that its host has on that side
OUT, ERR = random.Random(512).randbytes(400000), random.Random(514).randbytes(300000)
HASHES = [hashlib.sha256(data).hexdigest() for data in (OUT, ERR)]
RSH = {"netkit": ("rsh-client", "usr/bin/netkit-rsh"), "redone": ("rsh-redone-client", "usr/bin/rsh-redone-rsh")}
RSH_KEEPS = {"netkit": 2, "redone": 1}  # the latter loses standard error without a gateway too, though it waits for the connection
REXEC = """
import ctypes, os, sys
libc, host = ctypes.CDLL(None), ctypes.c_char_p(sys.argv[1].encode())
second = ctypes.c_int(-1)
first = libc.rexec(ctypes.byref(host), 0x0002, b"remote", b"secret", sys.argv[2].encode(), ctypes.byref(second))
if first < 0:
    sys.exit(1)
for fd, to in ((first, 1), (second.value, 2)):
    while data := os.read(fd, 65536):
        os.write(to, data)
"""


class Host:
    """Files of /etc as a namespace sees them: a user, and nobody who asks for a password."""

    def __init__(self, namespace, folder):
        self.etc = pathlib.Path("/etc/netns") / namespace.name
        (self.etc / "pam.d").mkdir(parents=True, exist_ok=True)
        home = folder / "home"
        home.mkdir(parents=True)
        (home / "out").write_bytes(OUT)
        (home / "err").write_bytes(ERR)
        (self.etc / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\n{USER}:x:65533:65533::{home}:/bin/sh\n")
        (self.etc / "shadow").write_text(f"root:*:1::::::\n{USER}:*:1::::::\n")
        for service in ("rsh", "rexec", "rlogin", "login"):
            (self.etc / "pam.d" / service).write_text("auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n")
        (self.etc / "hosts").write_text("".join(f"{address} host-{address.replace('.', '-')}\n" for address in (OUTSIDE, ROUTER, STATIC)))  # the servers ask for names
        self.ours = [self.etc / name for name in ("passwd", "shadow", "pam.d", "hosts")]

    def serve(self, namespace, address):
        programs = [word for port, name in ((512, "in.rexecd"), (513, "in.rlogind"), (514, "in.rshd")) for word in (port, f"{unpacked('rsh-server', 'usr/sbin/' + name)}")]
        inetd = namespace.start(TOP / "tests/integration/inetd.py", address, *programs)
        assert inetd.stdout.readline() == "ready\n"

    def remove(self):
        for path in self.ours:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.etc.rmdir()


@pytest.fixture(scope="module")
def rcmd(world, spawn):
    world.gateway.run("ip", "addr", "add", f"{STATIC}/32", "dev", "w0")
    guest = spawn.guest("rcmd")
    gateway = spawn.gateway("rcmd", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    alg: {{rcmd_sockets: 4}}\n    nat:\n      static: [{{inside: {INSIDE}, outside: {STATIC}, ports: [512, 513, 514]}}]\n')
    guest.run("ip", "addr", "add", f"{CLIENT}/24", "dev", "eth0")
    guest.run("ip", "addr", "add", f"{INSIDE}/24", "dev", "eth0")
    guest.run("ip", "link", "set", "eth0", "up")
    guest.run("ip", "route", "add", "default", "via", "192.168.30.1", "src", CLIENT)
    hosts = [Host(world.internet, world.folder / "rcmd-there"), Host(guest, world.folder / "rcmd-inside")]
    hosts[0].serve(world.internet, THERE)
    hosts[1].serve(guest, INSIDE)
    yield gateway
    for host in hosts:
        host.remove()
    world.gateway.run("ip", "addr", "del", f"{STATIC}/32", "dev", "w0")


@pytest.fixture
def inside(rcmd):
    """The guest is the server: what it begins comes from that address."""
    rcmd.guest.run("ip", "route", "replace", "default", "via", "192.168.30.1", "src", INSIDE)
    yield rcmd
    rcmd.guest.run("ip", "route", "replace", "default", "via", "192.168.30.1", "src", CLIENT)


def hashes(where, *command):
    """Of standard output and standard error; else what the failure was."""
    done = subprocess.run(where.wrap(["timeout", 3, *command]), capture_output=True, stdin=subprocess.DEVNULL)
    return [hashlib.sha256(data).hexdigest() for data in (done.stdout, done.stderr)] if done.returncode == 0 else (done.returncode, done.stderr[:300])


def rsh(where, address, client="netkit", command="cat err >&2; cat out"):
    return hashes(where, unpacked(*RSH[client]), "-l", USER, address, command)


def rexec(where, address):
    return hashes(where, "/usr/bin/python3", "-c", REXEC, address, "cat err >&2; cat out")


def rlogin(where):
    """What a terminal shows up to the shell's prompt."""
    client, shown = unpacked("rsh-client", "usr/bin/netkit-rlogin"), ""
    terminal = where.start("timeout", 3, "script", "-qc", f"{client} -l {USER} {THERE}", "/dev/null", stdin=subprocess.PIPE)
    while not shown.endswith("$ ") and (byte := terminal.stdout.read(1)):
        shown += byte
    terminal.kill()
    terminal.wait()
    return shown


@pytest.mark.parametrize("client", RSH)
def test_rsh_of_a_client_inside(rcmd, client):
    assert rsh(rcmd.guest, THERE, client)[: RSH_KEEPS[client]] == HASHES[: RSH_KEEPS[client]]


def test_rexec_of_a_client_inside(rcmd):
    assert rexec(rcmd.guest, THERE) == HASHES


def test_the_second_connection_is_in_the_log(rcmd):
    wait_for(lambda: "Protocol rcmd" in rcmd.log() and " was used by " in rcmd.log(), 3, "the expectation in the security log")


def test_many_in_a_row_with_few_ports(rcmd):
    """Four reserved ports outside, two of them for each; the server ends first, so none of them is in TIME-WAIT here."""
    for _ in range(12):
        assert rsh(rcmd.guest, THERE, command="echo out; echo err >&2") == [hashlib.sha256(text).hexdigest() for text in (b"out\n", b"err\n")]


def test_rlogin_of_a_client_inside(rcmd):
    """The server refuses clients from other ports: Permission denied."""
    assert "$ " in rlogin(rcmd.guest)


@pytest.mark.parametrize("client", RSH)
def test_rsh_to_a_server_inside(world, inside, client):
    """Its second connection leaves by a reserved port of the static address."""
    assert rsh(world.internet, STATIC, client)[: RSH_KEEPS[client]] == HASHES[: RSH_KEEPS[client]]


def test_rexec_to_a_server_inside(world, inside):
    assert rexec(world.internet, STATIC) == HASHES


def test_a_natproxy_that_is_born_again_has_the_ports(rcmd):
    before = rcmd.processes()["natproxy"]["pid"]
    os.kill(before, 9)
    wait_for(lambda: rcmd.processes()["natproxy"]["pid"] not in (before, 0) and rcmd.processes()["natproxy"]["state"] == "ok", 8, "the new natproxy")
    assert [rsh(rcmd.guest, THERE) for _ in range(3)] == [HASHES] * 3


def test_without_the_alg_nothing_of_it_works(world, rcmd):
    rcmd.control("alg", "disable", "rcmd")
    try:
        assert rsh(rcmd.guest, THERE) != HASHES
        assert rsh(world.internet, STATIC) != HASHES
        assert rexec(rcmd.guest, THERE) != HASHES
        assert "$ " not in rlogin(rcmd.guest)
    finally:
        rcmd.control("alg", "enable", "rcmd")
    assert rsh(rcmd.guest, THERE) == HASHES


def test_where_nobody_may_open_reserved_ports_it_is_said_on_first_use(world, spawn):
    guest = spawn.guest("rcmdlow")
    gateway = spawn.gateway("rcmdlow", guest=guest, prefix=("setpriv", "--bounding-set", "-net_bind_service"), config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n')
    leased_address(guest)
    assert "rcmd" not in gateway.text()
    assert rsh(guest, THERE) != HASHES
    text = "there are no reserved ports, so servers will refuse rsh and rlogin (rexec works): only root may open them. Start natlock as root with CAP_NET_BIND_SERVICE"
    wait_for(lambda: text in gateway.text(), 2, "the reason")
    assert rexec(guest, THERE) == HASHES
    assert gateway.text().count("reserved ports") == 1


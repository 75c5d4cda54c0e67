"""`natlock run -- CMD`: no root, no configuration, CMD's exit status; by TAP and where /dev/net/tun may not be opened."""
import json, os, pwd, shutil, stat
import pytest
from conftest import BIN, program, SERVER, HUB, PEER, sh, wait_for

USER = "nltest"


@pytest.fixture(scope="module")
def ordinary_user(world):
    try:
        pwd.getpwnam(USER)
    except KeyError:
        sh("useradd", "--system", "--shell", "/bin/sh", USER)
    home = world.folder / "home"
    home.mkdir()
    sh("chown", USER, home)
    shutil.copytree(BIN.parent, home / "installed")
    sh("install", "-m", "755", PEER, home / "peer.py")
    yield home
    sh("userdel", USER, check=False)


def run(world, home, *command, **options):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    return world.gateway.run("setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", home / "installed/bin/natlock", "run", "--", *command,
                             check=False, env=environment, **options)


def test_the_tun_device_is_closed_to_this_user():
    mode = os.stat("/dev/net/tun").st_mode
    assert not mode & (stat.S_IROTH | stat.S_IWOTH), "this machine lets everybody open /dev/net/tun: the veth path is not tested"


def test_exit_status_is_the_commands(world, ordinary_user):
    assert run(world, ordinary_user, "sh", "-c", "exit 42").returncode == 42
    assert run(world, ordinary_user, "sh", "-c", "kill -TERM $$").returncode == 128 + 15
    assert run(world, ordinary_user, "/nonexistent").returncode == 127


def test_address_route_and_resolver_are_set(world, ordinary_user):
    result = run(world, ordinary_user, "sh", "-c", "ip -4 -o addr; ip route; cat /etc/resolv.conf")
    assert "192.168.30." in result.stdout and f"default via {HUB}" in result.stdout and f"nameserver {HUB}" in result.stdout, result.stderr


@pytest.mark.parametrize("direction", ["up", "down"])
def test_data_by_hash(world, ordinary_user, direction):
    result = run(world, ordinary_user, ordinary_user / "peer.py", direction, SERVER, 64 << 20)
    assert json.loads(result.stdout)["ok"], result.stderr


def test_names_ping_and_datagrams(world, ordinary_user):
    result = run(world, ordinary_user, "sh", "-c", f"dig +short www.example.test && ping -c1 -W2 {HUB} && ping -c1 -W2 {SERVER}")
    assert result.returncode == 0 and result.stdout.startswith(SERVER), result.stdout + result.stderr
    assert json.loads(run(world, ordinary_user, ordinary_user / "peer.py", "udp", SERVER, 1, 1400, 9000).stdout)["ok"]


def test_workers_are_confined_for_an_ordinary_user_too(world, ordinary_user):
    with world.gateway.start("setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", ordinary_user / "installed/bin/natlock", "run", "--", "sleep", "5",
                             env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(ordinary_user)}) as process:
        found = {}
        for _ in range(100):
            for pid in [int(p) for p in os.listdir("/proc") if p.isdigit()]:
                try:
                    text = open(f"/proc/{pid}/status").read()
                    name = text.split("\n", 1)[0].split("\t")[1]
                    if name.startswith("natlock-") and "Seccomp:\t2" in text and f"PPid:\t{process.pid}\n" in text:
                        found[name] = (pid, text, os.listdir(f"/proc/{pid}/root/"))
                except OSError:
                    continue
            if len(found) >= 5:
                break
        process.terminate()
        process.wait(10)
    assert len(found) >= 5, found.keys()
    for pid, text, root in found.values():
        assert "CapEff:\t0000000000000000" in text and "NoNewPrivs:\t1" in text and root == []


def as_user(home):
    return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", f"XDG_RUNTIME_DIR={home}",
            f"XDG_STATE_HOME={home}"]


def test_up_as_an_ordinary_user(world, ordinary_user):
    """`natlock up` with a configuration file and no root: a namespace of the same user is attached and gets a lease."""
    guest = world.gateway.start(*as_user(ordinary_user), "unshare", "-Urn", "sleep", "60")
    wait_for(lambda: os.readlink(f"/proc/{guest.pid}/ns/user") != os.readlink("/proc/self/ns/user") and "sleep" in open(f"/proc/{guest.pid}/comm").read(), 5, "the guest")
    config = ordinary_user / "up.yaml"
    config.write_text(f'hubs:\n  default:\n    attach: ["pid:{guest.pid}"]\n')
    up = world.gateway.start(*as_user(ordinary_user), ordinary_user / "installed/bin/natlock", "up", "-c", config)
    wait_for((ordinary_user / "natlock/api").exists, 10, "the api socket")
    inside = [*as_user(ordinary_user), "nsenter", "-t", guest.pid, "-U", "-n", "--preserve-credentials"]
    udhcpc = ordinary_user / "udhcpc.sh"
    sh("install", "-m", "755", PEER.parent / "udhcpc.sh", udhcpc)
    assert "ip=192.168.30.10" in world.gateway.run(*inside, "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", udhcpc).stdout
    assert json.loads(world.gateway.run(*inside, ordinary_user / "peer.py", "up", SERVER, 1 << 20).stdout)["ok"]
    assert "192.168.30.10" in world.gateway.run(*as_user(ordinary_user), ordinary_user / "installed/bin/natlockctl", "dhcp", "table").stdout
    up.terminate()
    assert up.wait(10) == 0
    guest.kill()
    guest.wait()


def test_as_root_by_tap(world):
    result = world.gateway.run(program("natlock"), "run", "--", "sh", "-c", f"ip -o link show eth0; exec {PEER} up {SERVER} {16 << 20}", check=False)
    assert '"ok": true' in result.stdout, result.stderr

"""A real QEMU network peer: QEMU's own hub forwards between natlock's stream (or dgram) socket and a TAP in a second guest namespace."""
import json, os, subprocess
import pytest
from conftest import Gateway, Namespace, SERVER, PEER, lease, wait_for


@pytest.fixture(scope="module", params=["stream", "dgram"])
def machine(world, request):
    kind, path = request.param, world.folder / f"qemu-{request.param}.sock"
    target = f"qemu:{path}" if kind == "stream" else f"qemu-dgram:{path}"
    os.chmod(world.folder, 0o777)
    gateway = Gateway(world, f"qemu-{kind}", f'hubs:\n  default:\n    attach: ["{target}"]\n')
    wait_for(path.exists, 5, "the socket")
    guest = Namespace(f"q{kind[0]}")
    guest.run("ip", "tuntap", "add", "dev", "eth0", "mode", "tap")
    netdev = (f"stream,id=n0,addr.type=unix,addr.path={path},server=off" if kind == "stream" else
              f"dgram,id=n0,local.type=unix,local.path={path}.peer,remote.type=unix,remote.path={path}")
    guest.start("sh", "-c", "umask 0; exec \"$@\"", "sh", "qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-netdev", netdev,
                "-netdev", "hubport,id=h0,hubid=0,netdev=n0", "-netdev", "tap,id=n1,ifname=eth0,script=no,downscript=no", "-netdev", "hubport,id=h1,hubid=0,netdev=n1")
    guest.run("ip", "link", "set", "eth0", "up")
    wait_for(lambda: "LOWER_UP" in guest.run("ip", "link", "show", "eth0").stdout, 10, "QEMU's TAP")
    yield guest
    guest.remove()
    gateway.stop()


def test_lease_and_hashed_data_both_ways(machine):
    assert "ip=192.168.30.10" in lease(machine)
    for command in (["up", SERVER, 16 << 20], ["down", SERVER, 16 << 20], ["udp", SERVER, 1, 1400, 5000], ["udp_hash", SERVER, 500, 900]):
        answer = json.loads(machine.run(PEER, *command).stdout)
        assert answer["ok"], (command, answer)

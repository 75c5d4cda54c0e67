"""SoftEther VPN Server (Debian's package) as the hub, natlock in SecureNAT's place: its local bridge is a TAP, which is a port of natlock's hub.

    guest [vpn_nic] == VPN (TLS) == vpnserver's hub -- TAP tap_nl -- natlock -- Internet          all but the guest in the gateway's namespace
    wired [tap_wire] ------------------^
"""
import os, pathlib, re, socket
import pytest
from conftest import HUB, OUTSIDE, SERVER, act, lease, program, sh, wait_for

LIBEXEC = pathlib.Path("/usr/libexec/softether")
ACROSS, NEAR = "198.18.9.1", "198.18.9.2"  # the wire that the VPN client comes by


class SoftEther:
    """One program of SoftEther's with folders of its own over /var/lib, /run and /var/log, in its own mount namespace."""

    def __init__(self, where, folder, name):
        self.where, self.folder, self.kind = where, folder, name
        places = []
        for place in ("lib", "run", "log"):
            (folder / place / "softether").mkdir(parents=True)
            places.append(f"mount --bind {folder / place} {'/run' if place == 'run' else '/var/' + place}")
        script = "; ".join(places) + f"; exec {LIBEXEC / name / name} execsvc"
        self.process = where.start("unshare", "-m", "--propagation", "private", "sh", "-c", script, stdout=open(folder / "output", "w"))
        wait_for(self.listens, 20, name)

    def listens(self):
        return f":{443 if self.kind == 'vpnserver' else 9931} " in self.where.run("ss", "-Hltn").stdout

    def tell(self, *words, hub=None):
        to = ["/SERVER", *([f"/HUB:{hub}"] if hub else [])] if self.kind == "vpnserver" else ["/CLIENT"]
        result = self.where.run("/usr/bin/vpncmd", "localhost", *to, "/CSV", "/CMD", *words, check=False, timeout=20)
        assert result.returncode == 0, (words, result.stdout, result.stderr)
        return result.stdout


@pytest.fixture(scope="module")
def softether(world, spawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("softether")
    server = SoftEther(world.gateway, folder / "server", "vpnserver")
    for device in ("nl", "wire"):
        server.tell("BridgeCreate", "DEFAULT", f"/DEVICE:{device}", "/TAP:yes")
    server.tell("UserCreate", "guest", "/GROUP:none", "/REALNAME:none", "/NOTE:none", hub="DEFAULT")
    server.tell("UserAnonymousSet", "guest", hub="DEFAULT")
    wait_for(lambda: "tap_wire" in world.gateway.run("ip", "link").stdout and "tap_nl" in world.gateway.run("ip", "link").stdout, 5, "the TAPs")
    gateway = spawn.gateway("softether", config="hubs:\n  default:\n    attach: [\"veth:tap_nl\"]\n")
    gateway.server = server
    yield gateway
    gateway.stop()
    for pid in world.gateway.pids():
        if pathlib.Path(f"/proc/{pid}/exe").resolve().parent.parent == LIBEXEC:
            os.kill(pid, 9)


def serves(guest, interface):
    """Lease, DNS, and a transfer each way by hash."""
    said = lease(guest, interface)
    assert f"router={HUB}" in said and f"dns={HUB}" in said and "ip=192.168.30." in said, said
    assert guest.run("dig", "+short", "+time=2", f"@{HUB}", "www.example.test").stdout.strip() == SERVER
    for command in (["up", 4 << 20], ["down", 4 << 20], ["udp", 1, 1400, 500]):
        assert act(guest, *command)["ok"], command
    return re.search(r"ip=(192\.168\.30\.\d+)", said).group(1)


def test_a_bridged_guest_of_softether_is_served(world, softether, spawn):
    guest = spawn.guest("sewire")
    world.gateway.run("ip", "link", "set", "tap_wire", "netns", guest.name)
    guest.run("ip", "link", "set", "tap_wire", "up")
    address = serves(guest, "tap_wire")
    assert [row for row in softether.table("dhcp", "table") if row["address"] == address]
    assert [row for row in softether.table("nat", "table") if row["source"].startswith(address)]


def test_a_vpn_client_of_softether_is_served(world, softether, spawn, tmp_path):
    guest = spawn.guest("sevpn")
    sh("ip", "link", "add", "se0", "netns", guest.name, "type", "veth", "peer", "name", "se1", "netns", world.gateway.name)
    for where, device, address in ((guest, "se0", NEAR), (world.gateway, "se1", ACROSS)):
        where.run("ip", "addr", "add", f"{address}/24", "dev", device)
        where.run("ip", "link", "set", device, "up")
    client = SoftEther(guest, tmp_path / "client", "vpnclient")
    client.tell("NicCreate", "nic")
    client.tell("AccountCreate", "lab", f"/SERVER:{ACROSS}:443", "/HUB:DEFAULT", "/USERNAME:guest", "/NICNAME:nic")
    client.tell("AccountConnect", "lab")
    wait_for(lambda: "Connection Completed" in client.tell("AccountStatusGet", "lab"), 20, "the VPN session")
    address = serves(guest, "vpn_nic")
    assert "SID-GUEST" in softether.server.tell("SessionList", hub="DEFAULT")
    assert [row for row in softether.table("dhcp", "table") if row["address"] == address]

"""Tunnels of strongSwan's at both ends, with UDP encapsulation: they ask nothing of a gateway but UDP.

What is sent to the address inside the tunnel would arrive without one too, but not from the guest's own address inside it.
"""
import socket
from concurrent.futures import ThreadPoolExecutor
import pytest, sites
from conftest import OUTSIDE, act, serve, wait_for
from packets import open_socket
from peer import WHO
from strongswan import Strongswan

RESPONDER, FAR, NEAR = "198.18.2.60", "10.99.0.1", ("10.99.1.1", "10.99.1.2")  # inside the tunnels: what is behind the responder, and each guest
BYTES = 2_000_000
CONNECTION = """
	{name} {{
		version = {version}
		{ends}
		proposals = aes128-sha256-modp2048
		local {{
			auth = psk
			id = {id}
		}}
		remote {{
			auth = psk
		}}
		children {{
			{name} {{
				local_ts = {local}
				remote_ts = {remote}
				esp_proposals = aes128-sha256
			}}
		}}
	}}
"""
SECRET = 'secrets {\n\tike {\n\t\tsecret = "of nobody else"\n\t}\n}\n'
VERSIONS = {"any": 0, "ikev1": 1, "ikev2": 2}
KEYS = {"--ike": ("initiator-spi", "responder-spi"), "--child": ("spi-in", "spi-out")}


def connections(*names, **values):
    return "connections {\n" + "".join(CONNECTION.format(name=name, version=VERSIONS[name], **values) for name in names) + "}\n" + SECRET


class Site(sites.Site):
    def __init__(self, world, spawn):
        super().__init__(world)
        self.own(world.internet, "lo", RESPONDER, FAR)
        self.gateway = spawn.two_guests("ipsec", "ipsec")
        self.responder = Strongswan(world.folder / "responder", world.internet, connections("any", ends=f"local_addrs = {RESPONDER}", id="responder", local=f"{FAR}/32", remote="10.99.1.0/24"))
        self.servers.append(self.responder)
        self.guests = []
        for number, guest in enumerate(self.gateway.guests):
            self.own(guest, "lo", NEAR[number])
            self.guests.append(Strongswan(world.folder / f"initiator{number}", guest, connections(
                "ikev1", "ikev2", ends=f"remote_addrs = {RESPONDER}", id=f"guest{number}", local=f"{NEAR[number]}/32", remote=f"{FAR}/32")))
        self.servers += self.guests
        self.behind = serve(world.internet, FAR)

    def close(self):
        self.behind.terminate()
        self.behind.wait(5)
        super().close()


site, _ = sites.fixtures(Site)


@pytest.fixture
def opened(site):
    """Opens a connection of some guests; they are closed afterwards."""
    made = []

    def opened(name, *guests):
        for guest in guests:
            guest.initiate(name)
            made.append((guest, name))

    yield opened
    for guest, name in made:
        guest.terminate(name)
    wait_for(lambda: not site.responder.tunnels("spi-in")[0], 5, "the responder to hear that")


def moves_data(guest, seed):
    """Both ways."""
    moved = [act(guest.where, way, BYTES, seed, address=FAR) for way in ("up", "down")]
    return all(one["ok"] and one["bytes"] == BYTES for one in moved)


def appears_as(guest):
    """The address that what is behind the responder sees."""
    with open_socket(guest.where, socket.SOCK_STREAM, timeout=5) as s:
        s.connect((FAR, WHO))
        return s.recv(100).decode().partition(":")[0]


@pytest.mark.parametrize("version", ["ikev1", "ikev2"])
def test_a_tunnel_comes_up_and_moves_data(site, opened, version):
    guest = site.guests[0]
    assert appears_as(guest) == OUTSIDE, "without a tunnel"
    opened(version, guest)
    assert appears_as(guest) == NEAR[0]
    assert moves_data(guest, 41)
    (host,), (number,), (encapsulated,), (received,), (sent,) = site.responder.tunnels("remote-host", "version", "encap", "bytes-in", "bytes-out")
    assert (host, f"ikev{number}", encapsulated) == (OUTSIDE, version, "yes") and int(received) > BYTES and int(sent) > BYTES


def rekey(what, asked, guests):
    """By those who are asked, for all tunnels that they have. Comes back when the guests have other keys only."""
    before = [guest.tunnels(*KEYS[what]) for guest in guests]
    for one, name in asked:
        one.say("--rekey", what, name)
    for guest, keys in zip(guests, before):
        wait_for(lambda: all(now and now.isdisjoint(was) for was, now in zip(keys, guest.tunnels(*KEYS[what]))), 5, f"other keys: {what}")


def test_two_guests_keep_their_tunnels_apart_through_rekeying(site, opened):
    """To one responder, which tells them apart by natlock's ports only. Either side gives ESP and IKE new keys while data move."""
    guests = site.guests
    opened("ikev2", *guests)
    (ports,) = site.responder.tunnels("remote-port")
    with ThreadPoolExecutor(len(guests)) as pool:
        held = [pool.submit(act, guest.where, "hold", 5, 0.01, address=FAR) for guest in guests]
        for asked in [(guest, "ikev2") for guest in guests], [(site.responder, "any")]:
            for what in KEYS:
                rekey(what, asked, guests)
        assert not any(one.done() for one in held), "data moved all the time"
        assert all(one.result()["ok"] for one in held), held
        assert list(pool.map(moves_data, guests, (51, 52))) == [True, True]
    assert [appears_as(guest) for guest in guests] == list(NEAR)
    assert len(ports) == 2 and site.responder.tunnels("remote-port") == [ports], "the same two, of natlock's"

"""IKE as UDP to a gateway that knows nothing of it, and the protocols beside UDP and TCP that it refuses. Real peers: test_ipsec_strongswan.py."""
import socket, struct
import pytest
from conftest import HUB, OUTSIDE, SERVER2, TOP
from h323_recordings import UDP, packets
from packets import UNREACHABLE, error, open_socket
from stations import clean, natlock, other, station

STATIONS = ("192.168.30.230", "192.168.30.231")
CAPTURES = TOP / "tests/vectors/captures/ipsec"
IKE, NAT_T = 500, 4500
GRE, ESP, AH, SCTP = 47, 50, 51, 132


# ---- recorded IKE ----
@pytest.fixture
def ends(gateway, world):
    """{port: (the guest's socket, the server's)}"""
    made = {port: [open_socket(where, at=(address, port)) for where, address in ((gateway.guest, ""), (world.internet, SERVER2))] for port in (IKE, NAT_T)}
    yield made
    for pair in made.values():
        for s in pair:
            s.close()


def said(capture):
    """(port, whether the initiator says it, data) of each datagram; that one spoke first."""
    initiator = None
    for protocol, source, target, data in packets(CAPTURES / capture):
        initiator = initiator or source[0]
        ports = {source[1], target[1]} & {IKE, NAT_T}
        if protocol == UDP and ports:
            yield ports.pop(), source[0] == initiator, data


@pytest.mark.parametrize("capture, count", [("ISAKMP_sa_setup.pcap", 9), ("isakmp4500.pcap", 27), ("ipsec_isakmp_esp.pcap", 834), ("own-ikev2-raw-esp-userspace.pcap", 4)])
def test_recorded_ike_arrives_byte_for_byte(ends, capture, count):
    """IKEv1 and IKEv2 with what NAT-T has beside it on its port: ESP, and its keepalives of one octet"""
    seen, passed = {}, 0
    for port, by_guest, data in said(capture):
        guest, server = ends[port]
        if by_guest:
            guest.sendto(data, (SERVER2, port))
            arrived, sender = server.recvfrom(65536)
            assert sender[0] == OUTSIDE and seen.setdefault(port, sender) == sender
        else:
            server.sendto(data, seen[port])
            arrived, sender = guest.recvfrom(65536)
            assert sender == (SERVER2, port)
        assert arrived == data
        passed += 1
    assert passed == count


# ---- what is no UDP ----
BODIES = {GRE: struct.pack(">HH", 0, 0x800), ESP: struct.pack(">II", 0xC0FFEE01, 1), AH: struct.pack(">BBHII", 17, 4, 0, 0xC0FFEE01, 1), SCTP: struct.pack(">HHII", 4000, 5000, 0, 0)}


def refused(gateway):
    return sum(int(row["count"]) for row in gateway.table("drops") if row["reason"] == "IP_PROTOCOL")


@pytest.mark.parametrize("protocol", BODIES)
def test_other_protocols_are_refused_and_counted(natlock, world, station, protocol):
    """RFC 1122 3.2.2.1: the guest is told at once, and nobody outside hears of it"""
    outside, beside = (open_socket(where, socket.SOCK_RAW, protocol, timeout=0.3) for where in (world.internet, world.gateway))
    before, body = refused(natlock), BODIES[protocol] + bytes(range(64))
    station.send(SERVER2, protocol, body)
    told = station.wait(error())
    assert told and (told.kind, told.code, told.source) == (UNREACHABLE, 2, HUB)
    assert (told.quote.protocol, told.quote.source, told.quote.target) == (protocol, station.own, SERVER2) and told.quote.body[:8] == body[:8]
    assert refused(natlock) == before + 1
    beside.sendto(body + b"of the host itself", (SERVER2, 0))
    assert outside.recv(2000)[20:] == body + b"of the host itself", "and nothing was before that"
    with pytest.raises(TimeoutError):
        outside.recv(2000)
    for s in (outside, beside):
        s.close()

"""NAT slipstreaming (Kamkar 2020; Seri, Vishnepolsky, Kamkar 2021): what a page in a browser can make its guest send to the ports of ALGs.

First version: an HTTP request, and a datagram in two fragments, that are padded until a segment or the second fragment begins with
another protocol's message. Second version: other guests' addresses in messages that are the protocol's. Of each ALG: no opening, not even
asked for, and not a changed byte. FTP with other guests' addresses is in test_ftp_hostile.py.
"""
import socket, struct
import pytest, sites
from conftest import wait_for
from packets import open_socket
from talks import Talk, addressed, alg_stats, listen, registration

GUEST, MAPPED, STATIC, OTHER, THERE = "192.168.30.10", "192.168.30.50", "198.18.1.86", "192.168.30.77", "198.18.2.33"
TCP = {21: "ftp", 53: "dns", 139: "netbios", 389: "ldap", 512: "rexec", 513: "rlogin", 514: "rsh", 554: "rtsp", 1002: "ldap", 1720: "h323", 2000: "skinny", 5060: "sip", 8554: "rtsp"}
UDP = {53: "dns", 69: "tftp", 137: "netbios", 138: "netbios", 1718: "h323", 1719: "h323", 3478: "turn", 5060: "sip"}
POST = b"POST /t HTTP/1.1\r\nHost: 198.18.2.33\r\nContent-Type: multipart/form-data\r\nContent-Length: 99999\r\n\r\n"
STUN = struct.pack(">HHI", 3, 2900, 0x2112A442) + b"t" * 12 + struct.pack(">HH", 6, 2800)  # an Allocate with a long user name
FRAGMENT = 1480 - 8  # data in the first one


def name(text):
    """NetBIOS, RFC 1001 14.1."""
    return b"\x20" + bytes(65 + nibble for byte in text.ljust(15).encode() + b"\0" for nibble in (byte >> 4, byte & 15)) + b"\0"


def claim(address):
    """NetBIOS: a registration."""
    return struct.pack(">HHHHHH", 7, 0x2900, 1, 0, 0, 1) + name("PAGE") + struct.pack(">HH", 32, 1) + b"\xc0\x0c" + struct.pack(">HHIHH", 32, 1, 300, 6, 0) + socket.inet_aton(address)


def answer(address):
    """DNS: x.test is at this address."""
    return struct.pack(">HHHHHH", 7, 0x8400, 1, 1, 0, 0) + b"\1x\4test\0\0\1\0\1\xc0\x0c" + struct.pack(">HHIH", 1, 1, 300, 4) + socket.inet_aton(address)


def sip(method, address, transport="TCP"):
    """As a phone at this address says it, with media there."""
    body = f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n" if method == "INVITE" else ""
    return (f"{method} sip:{THERE} SIP/2.0\r\nVia: SIP/2.0/{transport} {address}:5060;branch=z9hG4bK1\r\nFrom: <sip:x@{address}>;tag=1\r\nTo: <sip:x@{THERE}>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n"
            f"Contact: <sip:x@{address}:1234>\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


def setup(address):
    return f"SETUP rtsp://{THERE}/t RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;destination={address};client_port=40000-40001\r\n\r\n".encode()


SESSION = b"\x81\0\0\x44" + name("SERVER") + name("PAGE")
SMUGGLED = {
    "PORT": f"PORT {GUEST.replace('.', ',')},156,64\r\n".encode(),
    "login and EPRT": f"USER anonymous\r\nPASS x@y\r\nEPRT |1|{GUEST}|40000|\r\n".encode(),
    "SETUP": setup(GUEST),
    "REGISTER": sip("REGISTER", GUEST),
    "INVITE": sip("INVITE", GUEST),
    "rsh": b"1022\0root\0root\0reboot\0",
    "LDAP": registration(GUEST, 10),
    "NetBIOS name": claim(GUEST),
    "NetBIOS session": SESSION,
    "DNS": answer(STATIC),
    "DNS with its length": struct.pack(">H", len(answer(STATIC))) + answer(STATIC),
    "TFTP": b"\0\1file\0octet\0",
}


class Site(sites.Site):
    def __init__(self, world, spawn):
        super().__init__(world)
        self.guest = spawn.guest("slip")
        self.own(world.gateway, "w0", STATIC)
        self.own(world.internet, "lo", THERE)
        self.gateway = spawn.gateway("slip", guest=self.guest, config=f"""
hubs:
  default:
    attach: ["netns:{self.guest.name}"]
    nat: {{static: [{{inside: {MAPPED}, outside: {STATIC}}}]}}
""")
        addressed(self.guest, GUEST)

    def counted(self):
        return alg_stats(self.gateway)

    def logged(self):
        return self.gateway.log().count("ALG expectation")



site, _ = sites.fixtures(Site)


@pytest.fixture
def nothing_happens(site):
    """No opening, none that was asked for, no edit; the test says how many flows were inspected."""
    before, lines, seen = site.counted(), site.logged(), []
    yield seen.append
    wait_for(lambda: site.counted()["flows"] - before["flows"] >= sum(seen), 2, "alg, which hears of a flow by another way than we of its bytes")
    after = site.counted()
    assert not site.gateway.table("alg", "expectations") and site.logged() == lines
    assert {key: after[key] - before[key] for key in ("flows", "edits", "granted", "refused")} == {"flows": sum(seen), "edits": 0, "granted": 0, "refused": 0}


@pytest.fixture
def server(site, request):
    listening = listen(site.world.internet, THERE, request.node.callspec.params["port"])
    yield listening
    listening.close()


def exchange(site, server, data, piece):
    """The guest sends this in pieces, each a segment; all of it must come, and the answer too, before anybody ends."""
    talk = Talk(site.guest, GUEST, server)
    for at in range(0, len(data), piece):
        talk.say(0, data[at:at + piece])
    assert talk.hear(1, lambda got: len(got) >= len(data)) == data
    reply = b"HTTP/1.1 400 Bad Request\r\n\r\n" + data[-200:]
    talk.say(1, reply)
    assert talk.hear(0, lambda got: len(got) >= len(reply)) == reply
    talk.close()


@pytest.mark.parametrize("port", TCP)
def test_a_segment_of_a_page_s_request(site, server, nothing_happens, port):
    for piece in (536, 1400):
        for smuggled in SMUGGLED.values():
            exchange(site, server, POST + b"A" * (piece * 3 - len(POST)) + smuggled, piece)
    nothing_happens(2 * len(SMUGGLED))


@pytest.mark.parametrize("port", TCP)
def test_where_a_framing_that_took_the_request_for_its_own_would_go_on(site, server, nothing_happens, port):
    """"PO" or "OST" as a length, of two bytes or of three, with the header before it or not."""
    places = {at + header for at in (0x504F, 0x4F53, 0x5354) for header in (0, 2, 4)}
    for at in places:
        exchange(site, server, POST + b"A" * (at - len(POST)) + SMUGGLED["DNS with its length"] + SMUGGLED["NetBIOS session"], 1400)
    nothing_happens(len(places))


@pytest.mark.parametrize("port", UDP)
def test_a_second_fragment_of_a_page_s_datagram(site, nothing_happens, port):
    """Also with a UDP header of its own in front, as of a whole datagram to that port."""
    for n, (smuggled, headed) in enumerate([(text, headed) for text in SMUGGLED.values() for headed in (False, True)]):
        head = struct.pack(">HHHH", 40000, 69 if port == 3478 else port, 8 + len(smuggled), 0) if headed else b""
        data = (STUN + b"t" * (FRAGMENT - len(STUN)) + head + smuggled).ljust(2 * FRAGMENT, b"t")
        ends = [open_socket(site.guest, at=(GUEST, 0)), open_socket(site.world.internet, at=(THERE, port))]
        ends[0].setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT
        ends[0].sendto(data, (THERE, port))
        got, source = ends[1].recvfrom(9000)
        assert got == data
        ends[1].sendto(data[:100], source)
        assert ends[0].recv(9000) == data[:100]
        for end in ends:
            end.close()
    nothing_happens(0 if port == 3478 else 2 * len(SMUGGLED))


IN_CONNECTIONS = {389: registration(OTHER, 10), 554: setup(OTHER), 1002: registration(OTHER, 10), 5060: sip("INVITE", OTHER), 8554: setup(OTHER)}
IN_DATAGRAMS = {53: answer(OTHER), 137: claim(OTHER), 138: b"\x10\2\0\1" + socket.inet_aton(OTHER) + struct.pack(">HHH", 138, 70, 0) + name("PAGE") + name("PAGE"),
                5060: sip("INVITE", OTHER, "UDP")}


@pytest.mark.parametrize("port", IN_CONNECTIONS)
def test_another_guest_s_address_in_a_connection(site, server, nothing_happens, port):
    exchange(site, server, IN_CONNECTIONS[port], 1400)
    nothing_happens(1)


@pytest.mark.parametrize("port", IN_DATAGRAMS)
def test_another_guest_s_address_in_a_datagram(site, nothing_happens, port):
    ends = [open_socket(site.guest, at=(GUEST, 0)), open_socket(site.world.internet, at=(THERE, port))]
    ends[0].sendto(IN_DATAGRAMS[port], (THERE, port))
    assert ends[1].recv(9000) == IN_DATAGRAMS[port]
    for end in ends:
        end.close()
    nothing_happens(1)

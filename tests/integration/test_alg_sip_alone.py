"""What the SIP gateway leaves as it is, what it does not open, and its settings: messages said here, both ends compared byte by byte."""
import os, re, signal
import pytest, sites
from conftest import OUTSIDE, wait_for
from operator_client import change
from packets import open_socket
from talks import Talk, addressed, alg_row, listen

GUEST, PUBLIC, THERE, OTHER, MEDIA = "192.168.30.10", "203.0.113.9", "198.18.2.39", "198.18.2.40", 24000
BOTH = pytest.mark.parametrize("kind", ["UDP", "TCP"])


class Site(sites.Site):
    def __init__(self, world, spawn):
        super().__init__(world)
        self.guest = spawn.guest("alone")
        self.own(world.internet, "lo", THERE, OTHER)
        self.gateway = spawn.gateway("alg-sip-alone", guest=self.guest, config=f"""
hubs: {{default: {{attach: ["netns:{self.guest.name}"]}}}}
policy: {{restart_backoff_min: 20ms, restart_backoff_max: 100ms}}
""")
        addressed(self.guest, GUEST)

    def row(self):
        return {key: int(alg_row(self.gateway, "sip")[key] or 0) for key in ("flows", "messages", "edits", "granted", "violations", "left_alone")}



site, _ = sites.fixtures(Site)


class Datagrams:
    """As talks.Talk, by UDP: one datagram, one message. The guest's port is one that nobody had before."""

    def __init__(self, site):
        self.ends = [open_socket(site.guest, at=(GUEST, 0)), open_socket(site.world.internet, at=(THERE, 5060))]
        self.source = None

    def carry(self, end, data):
        """What comes to the other end of that."""
        self.ends[end].sendto(data, self.source if end else (THERE, 5060))
        got, source = self.ends[1 - end].recvfrom(65536)
        self.source = self.source if end else source
        return got

    def close(self):
        for end in self.ends:
            end.close()


class Stream(Talk):
    def __init__(self, site):
        with listen(site.world.internet, THERE, 5060) as server:
            super().__init__(site.guest, GUEST, server)

    def carry(self, end, data):
        """All that comes, up to the body's end by the length that its header says then."""
        def whole(got):
            head, found, body = got.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\nContent-Length: *(\d+)", head)
            return len(got) >= len(data) if not length else found and len(body) == int(length.group(1))

        self.say(end, data)
        return self.hear(1 - end, whole)


@pytest.fixture
def talk(site, kind):
    talk = Datagrams(site) if kind == "UDP" else Stream(site)
    yield talk
    talk.close()


def sdp(address, port=MEDIA, more=""):
    return f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n{more}"


def message(first, kind, talk, body="", headers="", address=GUEST, content="application/sdp", port=None, cseq="1 INVITE", to="", id="1"):
    """Of the guest, or of whom `address` says."""
    name = f"{address}:{port or talk.ends[0].getsockname()[1]}"
    return (f"{first}\r\nVia: SIP/2.0/{kind} {name};branch=z9hG4bK{id}\r\nFrom: <sip:a@{name}>;tag=1\r\nTo: <sip:b@{THERE}>{to}\r\nCall-ID: {id}\r\nCSeq: {cseq}\r\n"
            f"Contact: <sip:a@{name}>\r\n{headers}Content-Type: {content}\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


INVITE, PRIVATE = f"INVITE sip:b@{THERE} SIP/2.0", re.compile(re.escape(GUEST).encode())


@BOTH
def test_a_phone_that_knows_its_outside_address_is_not_touched(site, talk, kind):
    """It found it out by STUN; ICE's candidates name the inside one all the same."""
    ice = f"a=candidate:1 1 UDP 2130706431 {GUEST} {MEDIA} typ host\r\na=candidate:2 1 UDP 1694498815 {PUBLIC} 6000 typ srflx raddr {GUEST} rport {MEDIA}\r\n"
    before = site.row()
    for method in ("INVITE", "REGISTER", "OPTIONS"):
        sent = message(f"{method} sip:b@{THERE} SIP/2.0", kind, talk, sdp(PUBLIC, 6000, ice), address=PUBLIC, cseq=f"1 {method}", id=method)
        assert talk.carry(0, sent) == sent
        answer = message("SIP/2.0 200 OK", kind, talk, sdp(THERE, 6000, ice), address=PUBLIC, cseq=f"1 {method}", id=method, to=";tag=2")
        assert talk.carry(1, answer) == answer
    wait_for(lambda: site.row()["messages"] - before["messages"] == 6, 2, "alg's own count")
    assert site.row()["edits"] == before["edits"] and site.row()["granted"] == before["granted"]


@BOTH
def test_names_and_ipv6_are_not_touched(site, talk, kind):
    for address in ("phone.example.test", "[2001:db8::7]", "[::ffff:192.168.30.10]"):
        sent = message(INVITE, kind, talk, sdp("phone.example.test"), address=address, id=address)
        assert talk.carry(0, sent) == sent


SIGNED = 'multipart/signed;protocol="application/pkcs7-signature";micalg=sha1;boundary=s'
BODIES = {
    "auth-int": (sdp(GUEST), "application/sdp", f'Authorization: Digest username="u",realm="r",nonce="n",uri="sip:{GUEST}",qop=auth-int,nc=1,cnonce="c",response="0"\r\n'),
    "signed": (f"--s\r\nContent-Type: application/sdp\r\n\r\n{sdp(GUEST)}\r\n--s\r\nContent-Type: application/pkcs7-signature\r\n\r\nxx\r\n--s--\r\n", SIGNED, ""),
    "encrypted": (f"xx{GUEST}xx", "application/pkcs7-mime;smime-type=enveloped-data", ""),
    "compressed": (f"xx{GUEST}xx", "application/sdp", "Content-Encoding: gzip\r\n"),
}


@BOTH
@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_is_signed_or_cannot_be_read_is_left_and_said_so(site, talk, kind, body):
    text, content, headers = BODIES[body]
    before = site.row()
    sent = message(INVITE, kind, talk, text, headers, content=content)
    head, _, got = talk.carry(0, sent).partition(b"\r\n\r\n")
    assert got == text.encode() and headers.encode() in head + b"\r\n"
    assert GUEST.encode() not in head.replace(headers.strip().encode(), b"") and OUTSIDE.encode() in head, "its names are put right"
    wait_for(lambda: site.row()["left_alone"] - before["left_alone"] == 1, 2, "alg's own count")
    assert site.row()["granted"] == before["granted"]


@pytest.mark.parametrize("kind", ["UDP"])
def test_the_operator_reads_what_was_left_alone(site, talk, kind):
    """The same is not said again and again, so another test's line does as well."""
    text, content, headers = BODIES["encrypted"]
    talk.carry(0, message(INVITE, kind, talk, text, headers, content=content))
    wait_for(lambda: re.search(r"alg sip, guest [\d.]+:\d+: left alone: ", site.gateway.text()), 2, "the line that says so")


@BOTH
def test_a_message_goes_on_after_keep_alives(site, talk, kind):
    for n, nothing in enumerate((b"\r\n\r\n", b"\r\n", *([b"\0\0\0\0", b"\0\1\0\0\x21\x12\xa4\x42" + b"i" * 12] if kind == "UDP" else []))):
        sent = message(f"OPTIONS sip:b@{THERE} SIP/2.0", kind, talk, cseq="1 OPTIONS", id=f"{n}")
        assert talk.carry(0, nothing) == nothing
        assert not PRIVATE.search(talk.carry(0, sent)), nothing
        assert talk.carry(1, nothing) == nothing


FOREIGN = {"TLS": b"\x16\3\1\2\0\1\0\1\xfc\3\3" + b"r" * 505, "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "binary": bytes(range(256)), "almost": b"INVITE sip:x SIP/3.0\r\n\r\n"}


@BOTH
@pytest.mark.parametrize("first", FOREIGN)
def test_what_is_no_sip_passes_and_nothing_behind_it_is_read(site, talk, kind, first):
    before = site.row()
    assert talk.carry(0, FOREIGN[first]) == FOREIGN[first]
    sent = message(INVITE, kind, talk, sdp(GUEST))
    assert talk.carry(0, sent) == sent
    wait_for(lambda: site.row()["violations"] - before["violations"] == 1, 2, "alg's own count")
    assert site.row()["edits"] == before["edits"] and site.row()["granted"] == before["granted"]


def told(got):
    """Where the far end is to send media."""
    return re.search(rb"c=IN IP4 ([\d.]+)", got).group(1).decode(), int(re.search(rb"m=audio (\d+)", got).group(1))


def comes_in(site, target, source=THERE):
    """Whether the guest hears what is sent there; it waits at the port that it offered."""
    with open_socket(site.guest, at=(GUEST, MEDIA), timeout=0.2) as inside, open_socket(site.world.internet, at=(source, 0)) as outside:
        outside.sendto(b"media", target)
        try:
            return inside.recv(100) == b"media"
        except TimeoutError:
            return False


def answers(kind, talk, status, id, body="", cseq="1 INVITE"):
    """By the far end; the names in it are those that it was told."""
    return message(f"SIP/2.0 {status} X", kind, talk, body, cseq=cseq, to=";tag=2", id=id).replace(GUEST.encode(), OUTSIDE.encode())


def doors(site):
    return [row["id"] for row in site.gateway.table("alg", "expectations")]


def hang_up(site, kind, talk, id):
    talk.carry(0, message(f"BYE sip:b@{THERE} SIP/2.0", kind, talk, cseq="2 BYE", to=";tag=2", id=id))
    talk.carry(1, answers(kind, talk, 200, id, cseq="2 BYE"))
    wait_for(lambda: not doors(site), 2, "the door to close")


@BOTH
def test_nobody_comes_in_before_the_far_end_agreed(site, talk, kind):
    """Not by the answer to something else, either; then who it named, and nobody else; and nobody after the end."""
    target = told(talk.carry(0, message(INVITE, kind, talk, sdp(GUEST), id="wait")))
    assert target[0] == OUTSIDE and not comes_in(site, target)
    wrong = [answers(kind, talk, 200, "other", sdp(THERE)), answers(kind, talk, 200, "wait", sdp(THERE), cseq="2 INVITE"), answers(kind, talk, 200, "wait", sdp(THERE), cseq="1 OPTIONS"),
             answers(kind, talk, 180, "wait")]
    for answer in wrong:
        talk.carry(1, answer)
        assert not comes_in(site, target), answer
    talk.carry(1, answers(kind, talk, 200, "wait", sdp(THERE)))
    assert comes_in(site, target) and not comes_in(site, target, OTHER)
    hang_up(site, kind, talk, "wait")


@BOTH
def test_media_may_come_from_where_the_answer_said(site, talk, kind):
    target = told(talk.carry(0, message(INVITE, kind, talk, sdp(GUEST), id="there")))
    talk.carry(1, answers(kind, talk, 200, "there", sdp(OTHER)))
    assert comes_in(site, target, OTHER) and not comes_in(site, target, THERE)
    hang_up(site, kind, talk, "there")


@BOTH
def test_phones_that_ring_at_once_may_each_send_media_to_the_same_port(site, talk, kind):
    """The one that does not answer hears no more of it when the call ends."""
    target = told(talk.carry(0, message(INVITE, kind, talk, sdp(GUEST), id="fork")))
    for tag, address in (("2", THERE), ("3", OTHER)):
        talk.carry(1, answers(kind, talk, 183, "fork", sdp(address)).replace(b";tag=2", f";tag={tag}".encode()))
    assert comes_in(site, target) and comes_in(site, target, OTHER)
    talk.carry(1, answers(kind, talk, 200, "fork", sdp(THERE)))
    assert comes_in(site, target)
    hang_up(site, kind, talk, "fork")


@BOTH
def test_a_registration_opens_nothing(site, talk, kind):
    before = site.row(), doors(site)
    talk.carry(0, message(f"REGISTER sip:{THERE} SIP/2.0", kind, talk, sdp(GUEST), cseq="1 REGISTER"))
    talk.carry(1, answers(kind, talk, 200, "1", cseq="1 REGISTER"))
    assert site.row()["granted"] == before[0]["granted"] and doors(site) == before[1]


@pytest.fixture
def setting(site, request):
    """A key of alg with its value for one test, and with the one that it has by default."""
    key, value, default = request.param
    change(site.gateway, ("set", f"alg.{key}", value))
    yield value
    change(site.gateway, ("set", f"alg.{key}", default))


def set_to(*cases):
    return pytest.mark.parametrize("setting", cases, ids=["-".join(case[:2]) for case in cases], indirect=True)


STRICT = set_to(("sip.strict", "true", "false"))


@BOTH
@STRICT
def test_strict_ends_what_is_no_sip(site, setting, talk, kind):
    def dropped():
        return sum(int(row["count"]) for row in site.gateway.table("drops") if row["reason"] == "ALG_STRICT")

    before = dropped()
    if kind == "TCP":
        talk.say(0, FOREIGN["HTTP"])
        for end in talk.ends:
            with pytest.raises(ConnectionResetError):
                end.recv(100)
    else:
        talk.ends[0].sendto(FOREIGN["HTTP"], (THERE, 5060))
    wait_for(lambda: dropped() == before + 1, 2, "the drop to be counted")
    if kind == "UDP":
        assert talk.carry(0, message(f"OPTIONS sip:b@{THERE} SIP/2.0", kind, talk, cseq="1 OPTIONS")).startswith(b"OPTIONS "), "nothing came before it"


@BOTH
@STRICT
def test_strict_lets_calls_be(site, setting, talk, kind):
    target = told(talk.carry(0, message(INVITE, kind, talk, sdp(GUEST), id="strict")))
    talk.carry(1, answers(kind, talk, 200, "strict", sdp(THERE)))
    assert comes_in(site, target)
    hang_up(site, kind, talk, "strict")


@BOTH
@set_to(("sip_latch", "true", "false"), ("sip_latch", "false", "false"))
def test_media_of_whom_nobody_named_come_in_by_a_latch_alone(site, setting, talk, kind):
    """Then who is first is the only one."""
    target = told(talk.carry(0, message(INVITE, kind, talk, sdp(GUEST), id="latch")))
    assert not comes_in(site, target, OTHER), "nobody agreed yet"
    talk.carry(1, answers(kind, talk, 200, "latch", sdp(THERE)))
    assert comes_in(site, target, OTHER) == (setting == "true")
    assert comes_in(site, target, THERE) == (setting == "false")
    hang_up(site, kind, talk, "latch")


@BOTH
@set_to(("sip_multipart", "false", "true"), ("sip_multipart", "true", "true"))
def test_bodies_of_several_parts_are_read_where_they_may_be(site, setting, talk, kind):
    body = f"--one\r\nContent-Type: text/plain\r\n\r\nat {GUEST}\r\n--one\r\nContent-Type: application/sdp\r\n\r\n{sdp(GUEST)}\r\n--one--\r\n"
    before, read = site.row(), setting == "true"
    head, _, came = talk.carry(0, message(INVITE, kind, talk, body, content='multipart/mixed;boundary="one"', id="parts")).partition(b"\r\n\r\n")
    assert not PRIVATE.search(head) and OUTSIDE.encode() in head, "its names are put right"
    assert (came == body.encode()) == (not read)
    talk.carry(1, answers(kind, talk, 200, "parts", sdp(THERE)))
    assert comes_in(site, told(came) if read else (OUTSIDE, MEDIA)) == read
    assert site.row()["granted"] - before["granted"] == len(doors(site)) == read
    hang_up(site, kind, talk, "parts")


def alg(site):
    return next(row for row in site.gateway.table("process", "list") if row["process"] == "alg")


def test_a_phone_is_found_again_when_alg_was_restarted(site):
    """Its conversation never ends, as it registers again and again; what is said while alg is away goes by unread. A call keeps its media."""
    talk, pid = Datagrams(site), alg(site)["pid"]
    registers = message(f"REGISTER sip:{THERE} SIP/2.0", "UDP", talk, cseq="1 REGISTER", id="phone")
    assert not PRIVATE.search(talk.carry(0, registers))
    target = told(talk.carry(0, message(INVITE, "UDP", talk, sdp(GUEST), id="call")))
    talk.carry(1, answers("UDP", talk, 200, "call", sdp(THERE)))
    with open_socket(site.guest, at=(GUEST, MEDIA)) as inside, open_socket(site.world.internet, at=(THERE, 6000)) as outside:
        outside.sendto(b"before", target)
        assert inside.recv(100) == b"before"
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: (row := alg(site))["pid"] not in (0, None, pid) and row["state"] == "ok", 5, "a new alg")
        wait_for(lambda: not PRIVATE.search(talk.carry(0, registers)), 3, "the phone to be inspected")
        assert not doors(site)
        outside.sendto(b"after", target)
        assert inside.recv(100) == b"after"
    moved = told(talk.carry(0, message(INVITE, "UDP", talk, sdp(GUEST, MEDIA + 10), cseq="2 INVITE", to=";tag=2", id="call")))
    assert moved[0] == OUTSIDE
    talk.carry(1, answers("UDP", talk, 200, "call", sdp(THERE), cseq="2 INVITE"))
    hang_up(site, "UDP", talk, "call")
    talk.close()


def test_a_phone_that_is_there_is_inspected_when_sip_is_switched_on(site):
    talk = Datagrams(site)
    registers = message(f"REGISTER sip:{THERE} SIP/2.0", "UDP", talk, cseq="1 REGISTER", id="early")
    for _ in range(5):  # natproxy and alg hear of it in any order
        site.gateway.control("alg", "disable", "sip")
        wait_for(lambda: talk.carry(0, registers) == registers, 3, "the phone to be left alone")
        site.gateway.control("alg", "enable", "sip")
        wait_for(lambda: not PRIVATE.search(talk.carry(0, registers)), 3, "the phone to be inspected")
    talk.close()

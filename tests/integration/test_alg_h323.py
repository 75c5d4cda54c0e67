"""H.323 through the ALG: recorded calls and registrations (h323_site.py), their doors, and what a page would like to be taken for them."""
import socket, struct
import pytest
from conftest import OUTSIDE, SERVER2, sh, wait_for
from h323_peer import Call, Conversation, Registration, Unreachable, split, together, whole
from h323_recordings import A, B, DCF, DRQ, ELSEWHERE, FACILITY, RCF, RRQ, SETUP, UCF, URQ, recordings
from h323_site import ELSEWHERES, FORMS, GUEST, OTHER, SERVER, THERE, WAYS, comes_in, gets_in, noted, site, stage, states  # noqa: F401
from operator_client import change
from packets import TCP, UDP, ip, open_socket, tcp, udp
from talks import Talk, listen


def leave(call):
    """Ends the call at the gatekeeper, which ends the registration."""
    if call.guest == A:
        call.registration.say(DRQ, DCF, identity=call.identity)
    call.registration.say(URQ, UCF)


CASES = [(form, way, cut) for form in FORMS for way, cut in zip(WAYS, (whole, together, split))] + [(form, "out", cut) for form in ("separate", "tunnelled") for cut in (together, split)]


@pytest.mark.parametrize("form,way,cut", CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_call(site, stage, form, way, cut):
    before = set(site.doors())
    call = stage.call(form, way, cut)
    call.play()
    assert call.sides[B].told[call.recording.clients["signal"]] == call.line("signal").source, "sourceCallSignalAddress is where the connection comes from"
    assert set(site.doors()) - before
    assert call.media(call.guest) == (True, True), "media came whole, from and to where the messages said"
    call.finish()
    if call.registration:
        leave(call)
    wait_for(lambda: set(site.doors()) <= before, 3, "the doors to close")


@pytest.fixture
def mode(site, stage, request):
    change(site.gateway, ("set", "alg.h323.mode", request.param))
    stage.there, stage.raw = ELSEWHERES[request.param], True
    yield request.param
    change(site.gateway, ("set", "alg.h323.mode", "fix"))


@pytest.mark.parametrize("mode", ["off", "observe"], indirect=True)
@pytest.mark.parametrize("form", FORMS)
def test_without_the_alg_every_message_is_as_it_was_and_media_do_not_arrive(site, stage, mode, form):
    call = stage.call(form, "out")
    call.play()
    assert call.media(A)[0] is False
    assert mode == "off" or wait_for(lambda: "SecureNAT: The ALG h323 would have changed the TCP session" in site.gateway.log(), 3, "what it would have changed")


@pytest.mark.parametrize("mode", ["off"], indirect=True)
@pytest.mark.parametrize("form,way", [("separate", "static"), ("routed", "static"), ("separate", "registered")])
def test_without_the_alg_nobody_can_connect_to_the_guest(stage, mode, form, way):
    call = stage.call(form, way)
    with pytest.raises(Unreachable, match="192.168.30."):
        call.play()
    assert bool(call.lines) == (way == "static"), "what cannot be made is the connection for H.245, or the first one"


def test_nobody_comes_in_before_the_far_end_agreed_and_then_nobody_else(site, stage):
    before = set(site.doors())
    call = stage.call("fast", "out")
    call.step()
    assert states(site, before) == {"latent"} and not comes_in(call, (A, 5000))
    call.play()
    assert not comes_in(call, (A, 5000), SERVER2) and comes_in(call, (A, 5000))


@pytest.mark.parametrize("form", ["separate", "fast"])
def test_a_call_whose_connection_ends_leaves_no_door(site, stage, form):
    before = set(site.doors())
    call = stage.call(form, "static")
    call.play()
    assert set(site.doors()) - before
    for line in call.lines.values():
        line.close()
    wait_for(lambda: set(site.doors()) <= before, 3, "the doors to close")


def test_only_the_far_end_connects_to_what_was_opened_for_h245(site, stage):
    call = stage.call("separate", "static")
    call.play(lambda message: message.channel == "h245")
    assert not gets_in(site, SERVER2, call.sides[A].told[call.recording.h245])
    call.play()
    assert call.media(B) == (True, True)


def test_a_registration_lives_as_long_as_it_is_renewed_and_takes_call_after_call(site, stage):
    """What renews it are lightweight requests; what confirms them names other gatekeepers, none of which is the guest."""
    before = set(site.doors())
    first = stage.registered("direct")
    (number, row), = ((number, row) for number, row in site.doors().items() if number not in before)
    assert (row["kind"], row["guest"]) == ("tcp-service", "{}:{}".format(*first.sides[A].own[first.called]))
    left = wait_for(lambda: site.left(number) < int(row["expires_in_ms"]) - 20 and site.left(number), 2, "some of its time to pass")
    kept = Registration("kept", first.sides, site.journal, after=first)
    wait_for(lambda: kept.say(RRQ, RCF) or site.left(number) > left, 2, "its time to begin again")
    for _ in range(2):
        call = stage.keep(Call("tunnelled", {A: stage.far(), B: stage.guest()}, site.journal))
        stage.comes_by(call, first)
        call.play()
        assert call.media(B) == (True, True)
        call.finish()
        wait_for(lambda: set(site.doors()) <= {*before, number}, 3, "the call's doors to close")
    assert not gets_in(site, SERVER2, first.sides[B].told[first.called]), "it is the gatekeeper that calls"
    first.say(URQ, UCF)
    wait_for(lambda: set(site.doors()) <= before, 3, "the registration to end")
    assert not gets_in(site, THERE, first.sides[B].told[first.called])


def test_two_calls_at_once_by_one_connection_to_the_gatekeeper(site, stage):
    """Their messages alternate; the end of one leaves the other alone."""
    one = stage.call("routed", "out")
    before = set(site.doors())
    other = stage.keep(Call("routed", {A: stage.guest(), B: stage.far()}, site.journal, by=one))
    other.registration, other.sides[B].own[one.recording.signal] = one.registration, one.sides[B].own[one.recording.signal]
    stage.asks(other)
    one.step()
    for who, side in other.sides.items():  # by which connection it goes
        side.own.update({end: one.sides[who].own[end] for end in (one.recording.signal, one.recording.clients["signal"]) if end[0] == who})
    while any([one.step(), other.step()]):
        pass
    calls = [row for row in site.gateway.table("alg", "calls") if row["alg"] == "h323"]
    assert len(calls) == 2, calls
    assert one.media(A) == other.media(A) == (True, True)
    doors = set(site.doors()) - before
    one.finish()
    wait_for(lambda: len(set(site.doors()) & doors) == len(doors) // 2, 3, "the doors of one to close")
    assert other.media(A) == (True, True)
    other.finish()
    wait_for(lambda: set(site.doors()) <= before, 3, "the doors of the other to close")
    assert not [row for row in site.gateway.table("alg", "calls") if row["alg"] == "h323"]


POST = b"POST / HTTP/1.1\r\nHost: 198.18.2.45\r\nContent-Type: text/plain\r\nContent-Length: 99999\r\n\r\n"


def said_by_page(form, *kinds, host=GUEST):
    """What a page would like to be taken for messages of the guest; host: whom they name as its own."""
    names = {recorded: (host if recorded[0] != B else THERE, recorded[1]) for message in recordings()[form].messages for recorded in message.places.values()}
    conversation = Conversation(form, {}, [])
    return [message.written(names, conversation.identity) for message in conversation.recording.messages if message.channel == "signal" and message.kind in kinds]


@pytest.fixture
def nothing_happens(site):
    """No door, no edit; how the counters moved."""
    before, doors = site.row(), site.doors()
    moved = {}
    yield moved
    wait_for(lambda: site.row()["flows"] > before["flows"], 2, "alg, which hears of a flow by another way than we of its bytes")
    moved.update({key: value - before[key] for key, value in site.row().items()})
    assert moved["edits"] == moved["granted"] == moved["refused"] == 0 and set(site.doors()) <= set(doors), moved


def exchange(site, pieces):
    """Each is a segment; the far end repeats it."""
    with listen(site.world.internet, THERE, 1720) as server:
        talk = Talk(site.guest, GUEST, server)
    for piece in pieces:
        for end in (0, 1):
            talk.say(end, piece)
            assert talk.hear(1 - end, lambda got: len(got) >= len(piece)) == piece
    talk.close()


@pytest.mark.parametrize("form", ["separate", "fast"])
def test_a_page_s_request_opens_nothing_whatever_its_segments_begin_with(site, nothing_happens, form):
    pieces = said_by_page(form, SETUP, FACILITY)
    for beginning in ([POST], [POST + b"".join(pieces)], [POST + b"x" * 1400], [b"\r\n" + POST]):
        exchange(site, beginning + pieces)
    noted(site, lambda: exchange(site, [POST, *pieces]), "not inspected any more")


def request_of(host):
    """A RegistrationRequest with its addresses."""
    conversation = Conversation("direct", {}, [])
    return conversation.recording.ras(RRQ).written({recorded: (host, recorded[1]) for recorded in [(A, 1820), (A, 54850)]}, conversation.identity)


def arrives_as_it_is(site, data, port):
    with open_socket(site.guest, at=(GUEST, 0)) as page, open_socket(site.world.internet, at=(THERE, port)) as server:
        page.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT
        page.sendto(data, (THERE, port))
        assert server.recv(9000) == data


@pytest.mark.parametrize("port", [1718, 1719])
def test_a_page_s_datagram_opens_nothing_whatever_its_second_fragment_begins_with(site, nothing_happens, port):
    arrives_as_it_is(site, (b"\0\3\x0b\x54\x21\x12\xa4\x42" + b"t" * 1464 + request_of(GUEST)).ljust(2800, b"t"), port)


@pytest.mark.parametrize("form", ["separate", "tunnelled", "fast"])
def test_another_guest_s_addresses_in_a_call_open_nothing(site, nothing_happens, form):
    """The second slipstreaming, here and in the next ones: whole messages, that name another host inside. The far end agrees to all."""
    exchange(site, said_by_page(form, SETUP, FACILITY, host=OTHER))


@pytest.mark.parametrize("port", [1718, 1719])
def test_another_guest_s_addresses_in_a_registration_open_nothing(site, nothing_happens, port):
    arrives_as_it_is(site, request_of(OTHER), port)


def forwarded(site, stage, to, kept):
    """A call in the middle of which the guest says that it is to go on elsewhere; how things were before that message, and the call."""
    call = stage.call("forwarded", "out")
    call.sides[A].own[ELSEWHERE, 1720] = to
    call.kept = {(ELSEWHERE, 1720)} if kept else set()
    call.play(lambda message: (ELSEWHERE, 1720) in message.places.values())
    before, row = set(site.doors()), site.row()
    call.step(lambda message: False)
    return call, before, row


def said_again(call):
    call.left = [message for message in call.recording.call() if (ELSEWHERE, 1720) in message.places.values()]
    call.step(lambda message: False)


def noted_of(site, call, words):
    noted(site, lambda: said_again(call), words, call.sides[A].own[call.recording.clients["signal"]])


@pytest.mark.parametrize("to", [(OTHER, 22), (OTHER, 1720), (GUEST, 1720), (GUEST, 22), (GUEST, 40000)])
def test_a_call_is_forwarded_to_no_host_inside(site, stage, to):
    """The message is as it was: another host inside is nobody's to name, and the guest itself only where the operator allows it."""
    with listen(site.guest, *to) as listening:
        call, before, row = forwarded(site, stage, to, kept=True)
        _, sent, came = site.journal[-1]
        assert sent == came and set(site.doors()) <= before
        wait_for(lambda: site.row()["left_alone"] > row["left_alone"], 2, "alg's own count")
        assert site.row()["granted"] == row["granted"]
        noted_of(site, call, "left alone: alternativeAddress")
        assert not any(gets_in(site, THERE, (address, to[1])) for address in (to[0], OUTSIDE))
        listening.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listening.accept()


@pytest.fixture
def forwarding(site):
    change(site.gateway, ("set", "alg.h323_forward", "true"))
    yield
    change(site.gateway, ("set", "alg.h323_forward", "false"))


def test_the_guest_forwards_a_call_to_another_port_of_its_own_where_the_operator_allows_it(site, stage, forwarding):
    """And the call that comes there then is one like any other."""
    callee = stage.guest()
    callee.listen((B, 1720))
    call, *_ = forwarded(site, stage, callee.own[B, 1720], kept=False)
    caller = stage.far()
    caller.told[B, 1720] = call.sides[B].told[ELSEWHERE, 1720]
    next_call = stage.keep(Call("tunnelled", {A: caller, B: callee}, site.journal))
    next_call.play()
    assert next_call.media(B) == (True, True)


@pytest.mark.parametrize("to,why", [((OTHER, 22), "alternativeAddress: another host"), ((OTHER, 1720), "alternativeAddress: another host"), ((GUEST, 22), "a port of the guest below 1024")])
def test_no_other_host_and_no_low_port_is_forwarded_to_even_then(site, stage, forwarding, to, why):
    call, before, row = forwarded(site, stage, to, kept=True)
    _, sent, came = site.journal[-1]
    assert sent == came and set(site.doors()) <= before and site.row()["granted"] == row["granted"]
    noted_of(site, call, f"left alone: {why}")


def test_nor_is_anything_before_the_far_end_has_said_a_word(site, stage, forwarding):
    call = stage.call("forwarded", "out")
    call.sides[A].own[ELSEWHERE, 1720], call.kept = (GUEST, 40000), {(ELSEWHERE, 1720)}
    before, row = set(site.doors()), site.row()
    call.step()
    noted_of(site, call, "left alone: alternativeAddress")
    assert set(site.doors()) <= before and site.row()["granted"] == row["granted"]


NAMED = ("h225.ipV4", "h245.ip4_network")  # fields of addresses
FIELDS = ("_ws.malformed", *NAMED, "h225.ipV4_port", "h245.tsapIdentifier", "frame.protocols")
SEEN_AS = {"ras": 1719, "signal": 1720, "h245": 2720}


def packet(number, channel, data):
    """A message as all that is said in a connection, or session, of its own."""
    ends, ports = (f"100.64.{number >> 8}.{number & 255}", "192.0.2.2"), (50000, SEEN_AS[channel])
    return ip(*ends, UDP, udp(*ends, *ports, data)) if channel == "ras" else ip(*ends, TCP, tcp(*ends, *ports, flags=0x18, data=data))


def test_tshark_reads_what_came_as_well_as_what_was_sent(site, tmp_path):
    """Of all messages of this file's tests, each once with everything it may hold: no mark of something malformed, as many addresses, and of those of the guest none outside."""
    journal = list(dict.fromkeys(site.journal))
    whole_file, raw_ip = tmp_path / "all.pcap", 101
    with open(whole_file, "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, raw_ip))
        for number, (channel, *both) in enumerate(journal):
            for frame in (packet(2 * number + n, channel, data) for n, data in enumerate(both)):
                out.write(struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame)
    words = [word for name in FIELDS for word in ("-e", name)]
    rows = [line.split("\t") for line in sh("tshark", "-r", whole_file, "-d", f"tcp.port=={SEEN_AS['h245']},h245", "-T", "fields", *words).stdout.splitlines()]
    assert len(rows) == 2 * len(journal) > 100
    for (channel, sent, came), before, after in zip(journal, rows[::2], rows[1::2]):
        before, after = dict(zip(FIELDS, before)), dict(zip(FIELDS, after))
        assert before["_ws.malformed"] == after["_ws.malformed"] == "", (channel, sent.hex(), came.hex())
        assert before["frame.protocols"] == after["frame.protocols"] and ("h245" if channel == "h245" else "h225") in after["frame.protocols"]
        for name in FIELDS[1:-1]:
            assert before[name].count(",") == after[name].count(","), (channel, name)
        inside = [{GUEST, SERVER} & set(",".join(row[name] for name in NAMED).split(",")) for row in (before, after)]
        assert sent == came or not all(inside), "an inside address that goes out, or one that was said outside"

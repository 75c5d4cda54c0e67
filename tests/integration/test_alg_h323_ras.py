"""What a gatekeeper asks of calls, and what it is told (RAS: InfoRequest and its response), live.

Nobody recorded such messages: they are made (h323_made.py), and said behind a recorded registration, admission and call. tshark reads
them outside.
"""
import socket
from conftest import OUTSIDE
from h323_made import info_request, info_response
from h323_recordings import A, B
from h323_site import THERE, capture, site, stage  # noqa: F401

ASKED, REPLY = 4180, 2719  # a number of a question; where its answer is to go, if that is not where it comes from


def shown(capture, wanted):
    """What tshark finds of such messages: (who said it, its addresses with their ports)."""
    return [(who, list(zip(addresses, map(int, ports)))) for (who,), addresses, ports in capture.rows(wanted, "ip.src", "h225.ipV4", "h225.ipV4_port")]


def knows(side, more):
    """This side of a registration also has the endpoints of a call's side, and what that was told."""
    side.own.update({where: live for where, live in more.own.items() if where not in side.own})
    side.told.update({where: live for where, live in more.told.items() if where not in side.told})


def test_a_gatekeeper_is_told_where_a_guest_s_call_is_outside(site, stage, capture):
    """perCallInfo says what the call's own messages said, by which its media go; but for the port of the guest's connection, of which RAS does not know what it is outside."""
    call = stage.call("direct", "out")
    call.play()
    assert call.media(A) == (True, True)
    registration, connection = call.registration, call.recording.clients["signal"]
    endpoint, keeper = (registration.sides[who] for who in (A, B))
    knows(endpoint, call.sides[A])
    knows(keeper, call.sides[B])
    del keeper.told[connection]
    registration.identity = call.identity
    registration.carry(info_request(call.recording, B, ASKED, (B, 1719)))
    registration.carry(info_response(call.recording, A, ASKED, registration.ras, registration.called,
                                     (((B, 5000), (A, 5002)), (call.recording.signal, connection))))
    said = [registration.ras, registration.called, (B, 5000), (A, 5002), (B, 5001), (A, 5003), call.recording.signal, connection]
    assert shown(capture, "h225.perCallInfo") == [(OUTSIDE, [{**keeper.told, **keeper.own}[where] for where in said])]
    assert shown(capture, "h225.replyAddress") == [(THERE, [(THERE, 1719)])]


def test_the_answer_comes_to_where_a_guest_s_question_wants_it(site, stage, capture):
    """By another port of its own than it asks by."""
    registration = stage.registered("direct")
    endpoint, keeper, recording = registration.sides[A], registration.sides[B], registration.recording
    hears = endpoint.open((A, REPLY), socket.SOCK_DGRAM, endpoint.ports.pair())
    registration.carry(info_request(recording, A, ASKED, (A, REPLY)))
    answer = registration.written(info_response(recording, B, ASKED, (B, 1719), recording.signal))
    keeper.sockets[B, 1719].sendto(answer, keeper.told[A, REPLY])
    assert hears.recvfrom(65536) == (answer, (THERE, 1719))
    assert shown(capture, "h225.replyAddress") == [(OUTSIDE, [keeper.told[A, REPLY]])]
    assert shown(capture, "h225.infoRequestResponse_element") == [(THERE, [(THERE, 1719), keeper.own[recording.signal]])]

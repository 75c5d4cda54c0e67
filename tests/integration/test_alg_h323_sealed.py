"""Messages of H.323 that are authenticated (H.235) would be broken by any change: they arrive as they were, open nothing, and the operator is told.

They are recorded ones to which cryptoTokens or integrityCheckValue were added (h323_made.py); tshark sees these, and the inside addresses,
at the far end.
"""
import pytest
from conftest import wait_for
from h323_made import sealed, sealed_confirm, sealed_request
from h323_peer import Registration, Unreachable
from h323_recordings import A, B, GCF, GRQ, RCF, RRQ, UCF, URQ
from h323_site import GUEST, SERVER, THERE, capture, noted, site, stage, states  # noqa: F401

CONNECT = 7
WORDS = r"left alone: a message that is authenticated \(H.235\)"
OUTCOMES = ("granted", "refused", "violations")


@pytest.fixture
def opens_nothing(site):
    """No door more than before, and none was asked for; natlockctl counts what was left alone."""
    doors, before = set(site.doors()), site.row()
    yield
    after = wait_for(lambda: site.row()["left_alone"] > before["left_alone"] and site.row(), 2, "alg's own count")
    assert set(site.doors()) <= doors and [after[key] for key in OUTCOMES] == [before[key] for key in OUTCOMES]


def shown(capture, what):
    """What tshark finds of messages with that: (the kind of each token, addresses)."""
    return [(tokens, addresses + control) for tokens, addresses, control in capture.rows(what, "h225.CryptoH323Token", "h225.ipV4", "h225.h245Ip")]


def sealed_now(call):
    """The next message of a call, authenticated, is said, and must arrive so."""
    message, call.raw = sealed(call.recording, call.left[0]), True
    call.left[0] = message
    call.step()
    return message


def said_again(call, message):
    call.left[:0] = [message]
    call.step(lambda next_one: next_one is not message)


@pytest.mark.parametrize("form", ["separate", "tunnelled", "fast"])
def test_a_setup_begins_no_call(site, stage, capture, opens_nothing, form):
    """What follows, which is not authenticated, leads to nothing either."""
    call = stage.call(form, "out")
    message = sealed_now(call)
    assert shown(capture, "h225.cryptoTokens") == [(["0"], [THERE, GUEST])]
    noted(site, lambda: said_again(call, message), WORDS, call.sides[A].own[call.recording.clients["signal"]])
    call.play()
    assert call.media(A)[0] is False


def test_a_guest_s_connect_lets_nobody_in(site, stage, capture, opens_nothing):
    """It names the guest's listener for H.245."""
    call = stage.call("separate", "static")
    call.play(lambda message: message.kind == CONNECT)
    message = sealed_now(call)
    assert shown(capture, "h225.cryptoTokens") == [(["0"], [SERVER])]
    noted(site, lambda: said_again(call, message), WORDS, call.sides[B].own[call.recording.signal])
    with pytest.raises(Unreachable, match=SERVER):
        call.play()


@pytest.mark.parametrize("what,tokens", [("cryptoTokens", ["0"]), ("integrityCheckValue", [])])
def test_a_registration_lets_nobody_in(site, stage, capture, opens_nothing, what, tokens):
    registration = stage.keep(Registration("direct", {A: stage.guest(), B: stage.far()}, site.journal, raw=True))
    request = sealed_request(registration.recording, registration.template(RRQ), what)
    registration.carry(request)
    registration.say(RCF)
    field = {"cryptoTokens": "h225.cryptoTokens", "integrityCheckValue": "h225.integrityCheckValue_element"}[what]
    assert shown(capture, field) == [(tokens, [GUEST, GUEST])]
    noted(site, lambda: registration.carry(request), WORDS, registration.sides[A].own[registration.ras])


def test_a_confirmation_lets_nobody_in(site, stage, capture):
    """The next one, which is not authenticated, does."""
    before = set(site.doors())
    registration = stage.keep(Registration("direct", {A: stage.guest(), B: stage.far()}, site.journal))
    registration.say(GRQ, GCF, RRQ)
    confirm = sealed_confirm(registration.recording, registration.recording.ras(RRQ))
    registration.carry(confirm)
    noted(site, lambda: registration.carry(confirm), WORDS, registration.sides[A].own[registration.ras])
    assert states(site, before) == {"latent"}
    assert {tuple(tokens) for tokens, _ in shown(capture, "h225.cryptoTokens")} == {("0",)}
    registration.say(RCF)
    assert states(site, before) == {"waiting"}
    registration.say(URQ, UCF)
    wait_for(lambda: set(site.doors()) <= before, 3, "the registration to end")

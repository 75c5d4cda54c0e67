"""What H.245 says beside a call's own media: data channels (T.120), a conference's modes, and messages in a Setup with fastStart.

Nobody recorded such messages: they are made (h323_made.py), and said in the middle of recorded calls. tshark reads them at the far end.
"""
import socket
import pytest
from conftest import SERVER2, wait_for
from h323_made import accept_data, control, mode_command, mode_request, mode_response, open_data, refuse, tunnelled, with_parallel
from h323_recordings import A, B
from h323_site import capture, gets_in, site, stage, states  # noqa: F401
from packets import open_socket
from sip_media import arrive, exchanged

CARRIED = {"separate": control, "tunnelled": tunnelled, "fast": tunnelled}
NUMBER, T120 = 2, 1503  # of the channel; where T.120 is at home
SOON = 0.2  # seconds, in which nobody comes


class Ends:
    """Those of a call in which more is said than was recorded. Who: A or B; where: a recorded endpoint."""

    def __init__(self, call, form):
        self.call, self.carried = call, CARRIED[form]
        self.guest, self.far = (A, B) if call.guest == A else (B, A)

    def other(self, who):
        return A if who == B else B

    def side(self, who):
        return self.call.sides[who]

    def told(self, where):
        """As the other side heard it."""
        return self.side(self.other(where[0])).told[where]

    def say(self, who, message):
        self.go_on([self.carried(self.call.recording, who, message)])

    def go_on(self, made):
        """These messages are said now."""
        self.call.left[:0] = made
        self.call.play(lambda message: message not in made)

    def connects(self, who, where):
        side = self.side(who)
        s = open_socket(side.where, socket.SOCK_STREAM, at=(side.address, 0))
        s.connect(self.told(where))
        return s

    def comes(self, where, seconds=2):
        """(who comes to this listener, from where); None: nobody."""
        listening = self.side(where[0]).sockets[where]
        listening.settimeout(seconds)
        try:
            end, source = listening.accept()
        except TimeoutError:
            return None
        end.settimeout(2)
        return end, source

    def meet(self, where, caller):
        """Whether the one who listens there gets this connection of the other, and both all that is said."""
        end, source = self.comes(where)
        with end, caller:
            return source[0] == self.side(self.other(where[0])).known_as and exchanged(end, caller)

    def pair(self, where):
        """The sockets of RTP and RTCP."""
        return [self.side(where[0]).sockets[where[0], where[1] + n] for n in (0, 1)]

    def media(self, here, there):
        """Whether all that is sent between these pairs arrives, whole and from and to where the messages said: (there to here, back)."""
        ends, told = [self.pair(one) for one in (here, there)], [[self.told((who, port + n)) for n in (0, 1)] for who, port in (here, there)]
        return arrive(ends[1], ends[0], told[0], told[1]), arrive(ends[0], ends[1], told[1], told[0])

    def seen(self, where):
        """As tshark should show it: who said so, in which address and port."""
        return [self.side(where[0]).known_as, self.told(where)[0], str(self.told(where)[1])]


@pytest.fixture
def ends(stage, capture, form, way):
    """Of a call whose media are there."""
    call = stage.call(form, way)
    call.play()
    return Ends(call, form)


def shown(capture, wanted):
    """What tshark finds of such messages: (who said it, its addresses, their ports)."""
    return capture.rows(wanted, "ip.src", "h245.ip4_network", "h245.tsapIdentifier")


CALLS = [(form, way) for form in ("separate", "tunnelled") for way in ("out", "static")]


@pytest.mark.parametrize("opener", ["guest", "far"])
@pytest.mark.parametrize("form,way", CALLS)
def test_the_far_end_reaches_a_guest_s_data_channel_when_both_have_agreed(site, capture, ends, opener):
    """Who opens it names its listener, or who accepts it."""
    before, where, opener = set(site.doors()), (ends.guest, T120), getattr(ends, opener)
    ends.side(ends.guest).listen(where)
    caller = None
    ends.say(opener, open_data(NUMBER, where if opener == ends.guest else None))
    if opener == ends.guest:
        assert states(site, before) == {"latent"}
        caller = ends.connects(ends.far, where)
        assert not ends.comes(where, SOON)
    ends.say(ends.other(opener), accept_data(NUMBER, where if opener == ends.far else None))
    assert caller or states(site, before) == {"waiting"} and not gets_in(site, SERVER2, ends.told(where))
    assert ends.meet(where, caller or ends.connects(ends.far, where))
    assert shown(capture, "h245.separateStack_element") == [[[value] for value in ends.seen(where)]]


@pytest.mark.parametrize("opener", ["guest", "far"])
@pytest.mark.parametrize("form,way", CALLS)
def test_a_guest_reaches_the_far_end_s_data_channel(site, capture, ends, opener):
    before, where, opener = set(site.doors()), (ends.far, T120), getattr(ends, opener)
    ends.side(ends.far).listen(where)
    ends.say(opener, open_data(NUMBER, where if opener == ends.far else None))
    ends.say(ends.other(opener), accept_data(NUMBER, where if opener == ends.guest else None))
    assert set(site.doors()) == before
    assert ends.meet(where, ends.connects(ends.guest, where))
    assert shown(capture, "h245.separateStack_element") == [[[value] for value in ends.seen(where)]]


@pytest.mark.parametrize("form,way", CALLS)
def test_nobody_comes_to_a_data_channel_that_the_far_end_refused(site, ends):
    before, where = set(site.doors()), (ends.guest, T120)
    ends.side(ends.guest).listen(where)
    ends.say(ends.guest, open_data(NUMBER, where))
    caller = ends.connects(ends.far, where)
    ends.say(ends.far, refuse(NUMBER))
    wait_for(lambda: set(site.doors()) == before, 2, "the door to close")
    with caller, pytest.raises(ConnectionResetError):
        caller.recv(1)
    assert not ends.comes(where, SOON) and not gets_in(site, ends.side(ends.far).address, ends.told(where))
    assert ends.call.media(ends.guest) == (True, True), "the call goes on"


@pytest.mark.parametrize("asked", [False, True], ids=["command", "response"])
@pytest.mark.parametrize("form,way", CALLS)
def test_a_guest_that_controls_a_conference_says_where_it_hears_it(site, capture, ends, asked):
    before, own, there = set(site.doors()), (ends.guest, 5010), (ends.far, 5000)
    ends.side(ends.guest).open_media(ends.guest, [5010])
    if asked:
        ends.say(ends.far, mode_request())
    ends.say(ends.guest, (mode_response if asked else mode_command)(own))
    assert states(site, before) == {"waiting"}
    assert ends.media(own, there) == (True, True)
    who, address, port = ends.seen(own)
    assert shown(capture, "h245.communicationModeTable") == [[[who], [address] * 2, [port, str(int(port) + 1)]]]


@pytest.mark.parametrize("asked", [False, True], ids=["command", "response"])
@pytest.mark.parametrize("form,way", CALLS)
def test_the_far_end_that_controls_one_names_the_guest_too(site, capture, ends, asked):
    """The guest's by the address that it has outside, which it must read as its own."""
    before, own, there = set(site.doors()), (ends.guest, 5000), (ends.far, 5012)
    ends.side(ends.far).open_media(ends.far, [5012])
    if asked:
        ends.say(ends.guest, mode_request())
    ends.say(ends.far, (mode_response if asked else mode_command)(own, there))
    assert set(site.doors()) == before
    assert ends.media(own, there) == (True, True)
    (who, addresses, ports), = shown(capture, "h245.communicationModeTable")
    assert list(zip(addresses, map(int, ports))) == [ends.told((end, port + n)) for end, port in (own, there) for n in (0, 1)]


@pytest.mark.parametrize("form,way", [("fast", "out"), ("fast", "static")])
def test_h245_in_a_setup_beside_faststart(site, stage, capture, form, way):
    """The caller opens a data channel there; the answerer accepts it in a Facility. A guest that calls names its listener in Setup, one that is called in Facility."""
    call = stage.call(form, way)
    ends = Ends(call, form)
    before, where, calls = set(site.doors()), (ends.guest, T120), ends.guest == A
    ends.side(ends.guest).listen(where)
    call.left[0] = with_parallel(call.recording, open_data(NUMBER, where if calls else None))
    call.step()
    caller = ends.connects(ends.far, where) if calls else None
    call.play()
    assert not ends.comes(where, SOON) and call.media(ends.guest) == (True, True), "fastStart's media are there, and nothing else yet"
    ends.say(B, accept_data(NUMBER, None if calls else where))
    assert ends.meet(where, caller or ends.connects(ends.far, where))
    assert capture.rows("h225.parallelH245Control", "h225.fastStart", "h225.parallelH245Control") == [[["4"], ["1"]]]
    (who, addresses, ports), = shown(capture, "h245.separateStack_element")
    assert [who[0], addresses[-1], ports[-1]] == ends.seen(where), "behind those of fastStart, if it is in Setup"
    call.finish()
    wait_for(lambda: set(site.doors()) <= before, 3, "the doors to close")

"""TCP through the gateway, against the host kernel's TCP on both sides."""
import pytest
from conftest import SERVER, PEER

GIB = 1 << 30


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_gibibyte_arrives_with_equal_hash(peer, direction):
    answer = peer(direction, GIB)
    assert answer["ok"] and answer["bytes"] == GIB


@pytest.mark.parametrize("direction", ["up", "down"])
def test_one_flow_outlives_its_sequence_numbers(peer, direction):
    """Past 2^31 and 2^32 bytes: a mark that nobody moved along would then seem to lie ahead."""
    answer = peer(direction, 9 * GIB // 2)
    assert answer["ok"] and answer["bytes"] == 9 * GIB // 2


def test_refused_port_is_refused_at_once(peer):
    answer = peer("refused", 9)
    assert answer["error"] == "ConnectionRefusedError"
    assert answer["seconds"] < 0.05


def test_guest_closes_first_then_hears_the_answer(peer):
    assert peer("up", 1 << 20)["ok"]


def test_server_closes_first_then_takes_a_mebibyte(peer):
    assert peer("half", 1 << 20)["ok"]


def test_two_hundred_at_once(peer):
    assert peer("at_once", 200)["good"] == 200


def test_three_thousand_in_a_row(peer):
    assert peer("in_a_row", 3000)["good"] == 3000


def test_reset_from_the_server_stays_a_reset(peer):
    assert peer("reset_from_server")["end"] == "reset"


def test_reset_from_the_guest_stays_a_reset(peer):
    assert peer("reset_from_guest")["end"] == "reset"


def test_slow_reader_loses_nothing(peer):
    assert peer("slow", 8 << 20, 1)["ok"]


def test_stuck_flow_does_not_hold_up_another(gateway, peer):
    stuck = gateway.guest.start(PEER, "slow", SERVER, 64 << 20, 3)
    assert peer("hold", 2)["worst"] < 1
    assert '"ok": true' in stuck.communicate(timeout=60)[0]

"""A guest calls through the SIP gateway (sip_calls.py), with the ALG on, off, and looking on."""
import pytest
from conftest import wait_for
from operator_client import change
from sip_calls import ELSEWHERE, GUEST, TRANSPORTS, Call, expect_a_call, lines_that_name, site  # noqa: F401
from sip_scenarios import SCENARIOS


@pytest.mark.parametrize("name,transport", [*((name, "UDP") for name in SCENARIOS), ("basic", "TCP"), ("multipart", "TCP"), ("t38", "TCP")])
def test_a_call(site, name, transport):
    expect_a_call(site, name, "out", transport)


@pytest.fixture
def mode(site, request):
    change(site.gateway, ("set", "alg.sip.mode", request.param))
    yield request.param
    change(site.gateway, ("set", "alg.sip.mode", "fix"))


@pytest.mark.parametrize("mode", ["off"], indirect=True)
@pytest.mark.parametrize("name", SCENARIOS)
def test_without_the_alg_inside_addresses_get_out_and_media_do_not(site, mode, name):
    call = Call(site, name, "out", "UDP", ELSEWHERE["off"]).play()
    assert call.unchanged() and any(lines_that_name(GUEST, came) for _, came in call.pairs("outwards"))
    assert not any(inwards for inwards, _ in call.arrived)


@pytest.mark.parametrize("mode", ["observe"], indirect=True)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_observing_changes_nothing_and_says_what_it_would(site, mode, transport):
    call = Call(site, "basic", "out", transport, ELSEWHERE["observe"]).play()
    assert call.unchanged() and not call.arrived[0][0]
    wait_for(lambda: f"SecureNAT: The ALG sip would have changed the {transport} session" in site.gateway.log(), 3, "what it would have changed")

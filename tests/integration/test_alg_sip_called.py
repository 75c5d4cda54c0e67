"""A guest is called through the SIP gateway (sip_calls.py): where it has registered, or at an outside address of its own."""
import pytest
from sip_calls import expect_a_call, site  # noqa: F401
from sip_scenarios import SCENARIOS

CASES = [(name, *how) for name in SCENARIOS for how in (("registered", "TCP"), ("static", "UDP"))] + [("basic", "registered", "UDP"), ("basic", "static", "TCP"), ("referred", "static", "TCP")]


@pytest.mark.parametrize("name,way,transport", CASES)
def test_a_call(site, name, way, transport):
    expect_a_call(site, name, way, transport)

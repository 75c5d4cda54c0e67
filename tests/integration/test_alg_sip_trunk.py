"""A trunk: many calls of a guest at once over one TCP connection, or from one UDP port, each with media of its own, of which some are sent.

A call is set up by a sipp at each end, which take the ports of media from a file.
"""
import random, re, time
import pytest
from conftest import wait_for
from sip_media import DATAGRAMS
from sip_scenarios import Side, at, began, ended, joined
from sipp import Phone
from packets import open_socket
from talks import addressed, alg_row

GUEST, THERE = "192.168.30.10", "198.18.2.38"
RATE, SAMPLE = 400, 10
FIRST = {GUEST: 30000, THERE: 40000}


@pytest.fixture(scope="module")
def gateway(world, spawn):
    guest = spawn.guest("trunk")
    world.internet.run("ip", "addr", "add", f"{THERE}/32", "dev", "lo")
    gateway = spawn.gateway("alg-sip-trunk", guest=guest)
    addressed(guest, GUEST)
    yield gateway
    world.internet.run("ip", "addr", "del", f"{THERE}/32", "dev", "lo")


def steps():
    a, b = Side("caller"), Side("callee")
    both = joined(began(a, b), at("talking"), ended(a, b))
    return [[re.sub(r"m=audio \d+", "m=audio [field0]", step) for step in side] for side in both]


def ports(folder, address, calls):
    """sipp's file of what stands for [field0], a line a call."""
    file = folder / f"{address}.csv"
    file.write_text("SEQUENTIAL\n" + "".join(f"{FIRST[address] + 2 * n};\n" for n in range(calls)))
    return file


def media(messages):
    """{Call-ID: the port of the description}"""
    found = {}
    for message in messages:
        if port := re.search(rb"m=audio (\d+)", message):
            found[re.search(rb"Call-ID: ([^\r]*)", message).group(1)] = re.search(rb"c=IN IP4 ([\d.]+)", message).group(1).decode(), int(port.group(1))
    return found


def heard_by(where, address, port, sender, to):
    """Whether all that is sent comes to this port."""
    with open_socket(where, at=(address, port), timeout=1) as s:
        data = [random.randbytes(172) for _ in range(DATAGRAMS)]
        for datagram in data:
            sender.sendto(datagram, to)
        return [s.recv(2000) for _ in data] == data


def both_ways(world, gateway, caller, callee, calls):
    """Media of some calls, first to the guest; each call has ports of its own."""
    told = {"guest": media(caller.said("received")), "far": media(callee.said("received"))}
    said = media(caller.said("sent"))
    assert len(told["guest"]) == len(told["far"]) == calls and len(set(told["far"].values())) == calls
    for call in random.Random(7).sample(sorted(said), SAMPLE):
        with open_socket(world.internet, at=told["guest"][call]) as far:
            assert heard_by(gateway.guest, GUEST, said[call][1], far, told["far"][call]), call
    return True


@pytest.mark.parametrize("transport, calls", [("t1", 1000), ("u1", 400)], ids=["tcp", "udp"])
def test_a_thousand_calls_at_once(world, gateway, transport, calls):
    folder = world.folder / f"trunk-{transport}"
    folder.mkdir()
    before = alg_row(gateway, "sip")
    caller_steps, callee_steps = steps()
    callee = Phone(folder, world.internet, THERE, transport, callee_steps, calls=calls + 1, patience_ms=20000, more=["-inf", ports(folder, THERE, calls)])
    began_at = time.monotonic()
    caller = Phone(folder, gateway.guest, GUEST, transport, caller_steps, THERE, tells=True, calls=calls, patience_ms=20000, more=["-inf", ports(folder, GUEST, calls), "-r", RATE, "-l", calls])
    try:
        caller.at(calls)
        print(f"{calls} calls in {time.monotonic() - began_at:.2f} s")
        assert both_ways(world, gateway, caller, callee, calls)
        doors = gateway.table("alg", "expectations")
        assert len(doors) >= calls
        standing = gateway.table("alg", "calls")
        assert len(standing) == calls and {(row["alg"], row["state"]) for row in standing} == {("sip", "answered")}, standing[:3]
        assert {re.match(r"(\d+)-\d+>", row["media"]).group(1) for row in standing} == {str(FIRST[GUEST] + 2 * n) for n in range(calls)}
        caller.goes_on()
        code, errors = caller.result()  # the callee waits for one more: its end would be the end of the connection
        assert code == 0, errors[-2000:]
        assert not callee.process.poll() and len(callee.said("received")) == 3 * calls
    finally:
        for phone in (caller, callee):
            phone.stop()
    wait_for(lambda: not gateway.table("alg", "expectations"), 5, "the doors to close")
    assert not gateway.table("alg", "calls")
    row = {key: int(value or 0) - int(before[key] or 0) for key, value in alg_row(gateway, "sip").items() if key in ("flows", "granted", "refused", "violations", "gave_up")}
    assert row == {"flows": 1, "granted": calls, "refused": 0, "violations": 0, "gave_up": 0}

"""A trunk: a thousand calls of a guest at once over one TCP connection, or hundreds from one UDP port, each with media of its own, of which some are sent.

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


def trunk(world, gateway, transport, calls, caller_steps, callee_steps):
    """The two ends of a trunk, all of whose calls stand."""
    folder = world.folder / f"trunk-{transport}"
    folder.mkdir()
    callee = Phone(folder, world.internet, THERE, transport, callee_steps, calls=calls + 1, patience_ms=20000, more=["-inf", ports(folder, THERE, calls)])
    try:
        began_at = time.monotonic()
        caller = Phone(folder, gateway.guest, GUEST, transport, caller_steps, THERE, tells=True, calls=calls, patience_ms=20000, more=["-inf", ports(folder, GUEST, calls), "-r", RATE, "-l", calls])
        caller.at(calls)
    except BaseException:
        callee.stop()
        raise
    print(f"{calls} calls in {time.monotonic() - began_at:.2f} s")
    return caller, callee


def all_stand(world, gateway, caller, callee, calls):
    assert both_ways(world, gateway, caller, callee, calls)
    assert len(gateway.table("alg", "expectations")) >= calls
    standing = gateway.table("alg", "calls")
    assert len(standing) == calls and {(row["alg"], row["state"]) for row in standing} == {("sip", "answered")}, standing[:3]
    assert {re.match(r"(\d+)-\d+>", row["media"]).group(1) for row in standing} == {str(FIRST[GUEST] + 2 * n) for n in range(calls)}


def counted(gateway, before):
    """What `alg stats` counted since."""
    return {key: int(value or 0) - int(before[key] or 0) for key, value in alg_row(gateway, "sip").items() if key in ("flows", "granted", "refused", "violations", "gave_up")}


def right(calls):
    return {"flows": 1, "granted": calls, "refused": 0, "violations": 0, "gave_up": 0}


def test_a_thousand_calls_at_once(world, gateway):
    before, calls = alg_row(gateway, "sip"), 1000
    caller, callee = trunk(world, gateway, "t1", calls, *steps())
    try:
        all_stand(world, gateway, caller, callee, calls)
        caller.goes_on()
        code, errors = caller.result()  # the callee waits for one more: its end would be the end of the connection
        assert code == 0, errors[-2000:]
        assert not callee.process.poll() and len(callee.said("received")) == 3 * calls
    finally:
        for phone in (caller, callee):
            phone.stop()
    wait_for(lambda: not gateway.table("alg", "expectations"), 5, "the doors to close")
    assert not gateway.table("alg", "calls")
    assert counted(gateway, before) == right(calls)


def test_a_trunk_by_udp(world, gateway):
    """More at a time than alg has read. It is lost by sipp's own socket if by any, so answers are said again; the calls are not ended."""
    before, calls = alg_row(gateway, "sip"), 400
    caller_steps, callee_steps = steps()
    caller_steps = [step.replace('response="180"', 'response="180" optional="true"') for step in caller_steps]
    callee_steps = [step.replace("<send>", '<send retrans="500">') if "SIP/2.0 200" in step and "m=audio" in step else step for step in callee_steps]
    caller, callee = trunk(world, gateway, "u1", calls, caller_steps, callee_steps)
    try:
        all_stand(world, gateway, caller, callee, calls)
    finally:
        for phone in (caller, callee):
            phone.stop()
    assert counted(gateway, before) == right(calls)

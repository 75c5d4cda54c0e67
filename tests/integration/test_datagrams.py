"""Datagrams by the run: what a guest or a server sends with UDP_SEGMENT, and takes with UDP_GRO, arrives datagram by
datagram, whole, in order, with its own TOS, through a TAP and through a veth; and it does travel by the run."""
import json, os, random
import pytest
from conftest import SERVER, TOP, lease, sh

DATAGRAMS = TOP / "tests/integration/datagrams.py"


@pytest.fixture(scope="module")
def far(world):
    process = world.internet.start(DATAGRAMS, "serve", SERVER)
    assert process.stdout.readline() == "ready\n"
    yield SERVER
    process.terminate()
    process.wait(5)


@pytest.fixture(scope="module")
def veth(world, spawn):
    guest = spawn.guest("dveth")
    sh("ip", "link", "add", "nldv", "netns", world.gateway.name, "type", "veth", "peer", "name", "eth0", "netns", guest.name)
    world.gateway.run("ip", "link", "set", "nldv", "up")
    guest.run("ip", "link", "set", "eth0", "up")
    gateway = spawn.gateway("dveth", guest=guest, config="hubs:\n  default:\n    attach: [\"veth:nldv\"]\n")
    lease(guest)
    return gateway


@pytest.fixture(params=["tap", "veth"])
def port(request, gateway, far):
    return gateway if request.param == "tap" else request.getfixturevalue("veth")


def act(where, *arguments):
    result = where.run(DATAGRAMS, *arguments, check=False, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def run(each, count, last=None, tos=0):
    return {"each": each, "bytes": [each] * (count - 1) + [last or each], "tos": tos}


def singles(lengths, tos=0):
    return {"each": 0, "bytes": lengths, "tos": tos}


def mixed():
    dice = random.Random(5)
    windows = [run(1400, 40), run(64, 64), run(8, 60), run(1472, 44, 8), run(1200, 10, 100, tos=2), run(1200, 10, tos=0xB9), run(500, 2, 499)]
    windows += [singles([64] * 60), singles([1400] * 40 + [9]), singles([8, 2000, 2000, 1473, 1472, 65507, 8]), singles([700] * 5, tos=1)]
    windows += [singles([dice.choice([64, 64, 64, 1400, 1400, dice.randrange(8, 3000)]) for _ in range(40)]) for _ in range(20)]
    return windows


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("whole", [0, 1])
def test_mixed_runs_arrive_one_by_one_in_order(port, direction, whole):
    windows = mixed()
    answer = act(port.guest, direction, SERVER, json.dumps({"windows": windows, "whole": whole}))
    assert not answer["error"], answer
    assert answer["datagrams"] == sum(len(w["bytes"]) for w in windows)


def packets(guest):
    statistics = json.loads(guest.run("ip", "-s", "-j", "link", "show", "eth0").stdout)[0]["stats64"]
    return statistics["tx"]["packets"], statistics["rx"]["packets"]


@pytest.mark.skipif(tuple(map(int, os.uname().release.split(".")[:2])) < (6, 2), reason="Linux has super-frames of datagrams on a TAP since 6.2")
@pytest.mark.parametrize("direction", ["up", "down"])
def test_runs_travel_as_super_frames(port, direction):
    windows = [run(1000, 50)] * 20
    before = packets(port.guest)
    answer = act(port.guest, direction, SERVER, json.dumps({"windows": windows, "whole": 1}))
    assert not answer["error"] and answer["datagrams"] == 1000, answer
    frames = [after - old for after, old in zip(packets(port.guest), before)]
    assert max(frames) < 200, f"frames (tx, rx) for 1000 datagrams and 20 requests: {frames}"
    assert answer["messages"] < 200, answer


def test_an_error_in_the_middle_is_told_once(port):
    answer = act(port.guest, "error", SERVER)
    assert answer["errors"] == [7021]
    assert answer["answer"][:2] == ["", 40], answer


def test_after_a_flood_answers_are_fresh(port):
    answer = act(port.guest, "flood", SERVER, 1)
    assert answer["answer_after"] < 1, answer

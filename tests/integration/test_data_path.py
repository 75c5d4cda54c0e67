"""The strict data path: what each worker maps is read from the kernel, while data passes both ways. The shared one is the control."""
import os, pathlib, signal
import pytest
from conftest import PEER, SERVER, act, lease, wait_for

MIB = 1 << 20
ARENAS = {"broker", "netstack", "natproxy"}
MAPS = {"shared": {"broker": ARENAS, "netstack": ARENAS, "natproxy": ARENAS},
        "strict": {"broker": {"broker", "netstack"}, "netstack": ARENAS, "natproxy": {"natproxy", "netstack"}}}


def arenas(pid):
    """Name, inode and rights of each arena that the live process maps."""
    found = set()
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and "natlock arena" in fields[5]:
            found.add((fields[5].removesuffix(" (deleted)").rsplit(" ", 1)[1], int(fields[4]), fields[1]))
    return found


def memory_descriptors(pid):
    links = (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    return [link for link in links if "memfd" in link]


def expect_memory(gateway, path):
    rows = gateway.processes()
    seen = {name: arenas(rows[name]["pid"]) for name in ARENAS}
    owned = {name: next(inode for arena, inode, rights in seen[name] if arena == name and rights == "rw-s") for name in ARENAS}
    assert len(set(owned.values())) == 3
    for name in ARENAS:
        assert {arena for arena, _, _ in seen[name]} == MAPS[path][name], name
        # names are the supervisor's word, inodes the kernel's
        assert {inode for _, inode, _ in seen[name]} == {owned[arena] for arena in MAPS[path][name]}, name
        assert {arena for arena, _, rights in seen[name] if "w" in rights} == {name}
        assert memory_descriptors(rows[name]["pid"]) == [], "nothing is left to map"
    for name in ("dhcpd", "alg"):
        assert arenas(rows[name]["pid"]) == set()


def expect_data(guest):
    for direction in ("up", "down"):
        answer = act(guest, direction, 64 * MIB)
        assert answer["ok"] and answer["bytes"] == 64 * MIB, direction
    assert act(guest, "udp", 0, 1, 1472, 9000)
    assert act(guest, "at_once", 100)["good"] == 100
    assert act(guest, "slow", 4 * MIB, 1)["ok"]
    guest.run("ping", "-c", "2", "-i", "0.2", "-W", "2", SERVER)


@pytest.fixture(scope="module", params=["strict", "shared"])
def paired(spawn, request):
    guest = spawn.guest(request.param)
    gateway = spawn.gateway(request.param, guest=guest,
                            config=f"hubs:\n  default:\n    data_path: {request.param}\n    attach: [\"netns:{guest.name}\"]\n")
    lease(guest)
    return request.param, gateway, guest


def test_each_worker_maps_what_its_data_path_says_while_data_passes(paired):
    path, gateway, guest = paired
    expect_memory(gateway, path)
    busy = guest.start(PEER, "slow", SERVER, 16 * MIB, 1)
    expect_data(guest)
    expect_memory(gateway, path)
    assert '"ok": true' in busy.communicate(timeout=60)[0]


def test_the_operator_sees_it(paired):
    path, gateway, _ = paired
    assert [row["data_path"] for row in gateway.table("hub", "list")] == [path]
    assert f"data path {path}" in gateway.control("status").stdout


@pytest.mark.parametrize("dead,replaced_with_it", [("natproxy", ("netstack", "natproxy")), ("broker", ARENAS)])
def test_workers_that_were_replaced_map_no_more(paired, dead, replaced_with_it):
    path, gateway, guest = paired
    before = gateway.processes()
    os.kill(before[dead]["pid"], signal.SIGKILL)

    def replaced():
        rows = gateway.processes()
        return all(row["state"] == "ok" for row in rows.values()) and all(rows[name]["pid"] not in (0, before[name]["pid"]) for name in replaced_with_it)

    wait_for(replaced, 10, "the new workers")
    expect_memory(gateway, path)
    expect_data(guest)


def test_nobody_accused_anybody(paired):
    _, gateway, _ = paired
    assert "broke " not in gateway.log() and "incident" not in gateway.text().lower()

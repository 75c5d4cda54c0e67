"""Workers die, guests send rubbish: what was promised goes on."""
import json, os, random, signal, subprocess, time
import pytest
from conftest import HUB, SERVER, PEER, lease, wait_for


@pytest.mark.parametrize("worker", ["alg", "dhcpd"])
def test_a_parser_is_replaced_and_flows_go_on(gateway, worker):
    pid = gateway.processes()[worker]["pid"]
    flow = gateway.guest.start(PEER, "hold", SERVER, 4)
    time.sleep(1)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gateway.processes()[worker]["pid"] not in (0, pid), 5, f"a new {worker}")
    assert json.loads(flow.communicate(timeout=30)[0])["ok"]
    assert gateway.processes()[worker]["restarts"] >= 1
    assert "ip=192.168.30." in lease(gateway.guest)


@pytest.mark.parametrize("worker", ["broker", "netstack", "natproxy"])
def test_the_data_path_is_replaced_and_new_flows_work(gateway, peer, worker):
    pid = gateway.processes()[worker]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gateway.processes()[worker]["pid"] not in (0, pid), 5, f"a new {worker}")
    time.sleep(0.5)
    assert peer("up", 1 << 20)["ok"]
    assert "ip=192.168.30." in lease(gateway.guest)


def test_ten_thousand_rubbish_frames_hurt_nobody(gateway):
    pids = {name: row["pid"] for name, row in gateway.processes().items()}
    flow = gateway.guest.start(PEER, "hold", SERVER, 8)
    gateway.guest.run("/usr/bin/python3", __file__.replace("test_faults", "rubbish"), "eth0", 10000, 5, timeout=60)
    answer = json.loads(flow.communicate(timeout=30)[0])
    assert answer["ok"], answer
    assert {name: row["pid"] for name, row in gateway.processes().items()} == pids, "a worker was restarted"
    assert sum(int(row["count"]) for row in gateway.table("drops")) > 1000


def test_lease_survives_the_whole_gateway(gateway):
    address = lease(gateway.guest).split("ip=")[1].split()[0]
    rows = gateway.table("dhcp", "table")
    assert address in str(rows)

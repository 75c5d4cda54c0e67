"""What natlock says of a configuration before anything runs, and of a host it does not fit."""
import os
import pytest
from conftest import HUB, OUTSIDE, Gateway, Namespace, act, program, sh, wait_for

WRONG = {
    "unknown key": ("hubs:\n  default:\n    nat:\n      mtuu: 1400\n", '4:7: unknown key "mtuu" in nat. Did you mean "mtu"?'),
    "unknown section": ("hubs:\n  default:\n    dhpc: {}\n", '3:5: unknown key "dhpc"'),
    "range": ("hubs:\n  default:\n    nat: {mtu: 65521}\n", "3:16: nat.mtu 65521 is out of range: 576 to 65520"),
    "not a number": ("hubs:\n  default:\n    nat: {mtu: many}\n", "3:16: "),
    "pool outside": ("hubs:\n  default:\n    dhcp:\n      range: 192.168.30.10-192.168.31.9\n",
                     "4:14: dhcp.range 192.168.30.10-192.168.31.9 is not inside 192.168.30.0/24 (host.address, default)"),
    "pool backwards": ("hubs:\n  default:\n    dhcp: {range: 192.168.30.99-192.168.30.10}\n", "runs backwards: swap from: and to:"),
    "publish twice": ('hubs:\n  default:\n    nat:\n      publish:\n        - {proto: tcp, listen: "127.0.0.1:80", to: "192.168.30.10:80"}\n'
                      '        - {proto: tcp, listen: "0.0.0.0:80", to: "192.168.30.11:80"}\n', "6:11: nat.publish: 0.0.0.0:80/tcp is already published (line 5)"),
    "boolean": ("hubs:\n  default:\n    nat: {enable: yes}\n", "3:19: "),
    "duration": ("hubs:\n  default:\n    dhcp: {lease: 7200}\n", "3:19: "),
    "multicast mac": ('hubs:\n  default:\n    host: {mac: "01:00:5e:00:00:01"}\n', "host.mac is a multicast address: its first octet must be even"),
    "open quote": ('hubs:\n  default:\n    host: {mac: "00:AC\n', ":"),
    "no hub": ("hubs: {}\n", "hubs is empty: name at least one hub"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_name_the_place_and_the_remedy(world, tmp_path, name):
    text, message = WRONG[name]
    file = tmp_path / "natlock.yaml"
    file.write_text(text)
    for command in ("check", "up"):
        result = world.gateway.run(program("natlock"), command, "-c", file, check=False, timeout=10, env=dict(os.environ, RUNTIME_DIRECTORY=str(tmp_path / "run")))
        assert result.returncode == 6 and message in result.stderr, (command, result.returncode, result.stdout, result.stderr)
        assert f"{file}:" in result.stderr


def test_check_prints_what_differs(tmp_path):
    file = tmp_path / "natlock.yaml"
    file.write_text("hubs:\n  lab:\n    nat: {mtu: 9000}\n")
    result = sh(program("natlock"), "check", "-c", file)
    assert "9000" in result.stdout and "lease" not in result.stdout


def test_a_missing_file_is_named(world):
    result = sh(program("natlock"), "up", "-c", "/nonexistent/natlock.yaml", check=False)
    assert result.returncode == 6 and "/nonexistent/natlock.yaml" in result.stderr


def test_a_subnet_that_the_host_uses_is_refused_with_another(world, tmp_path):
    file = tmp_path / "natlock.yaml"
    file.write_text("hubs:\n  default:\n    host: {address: 198.18.1.9}\n    dhcp: {range: 198.18.1.100-198.18.1.120, gateway: 198.18.1.9}\n")
    result = world.gateway.run(program("natlock"), "up", "-c", file, check=False, timeout=10, env=dict(os.environ, RUNTIME_DIRECTORY=str(tmp_path / "run")))
    assert result.returncode == 6
    assert "subnet 198.18.1.0/24 overlaps the host's route 198.18.1.0/24 dev w0" in result.stderr and "Choose host.address, e.g. 192.168.130.1." in result.stderr


def test_a_second_natlock_says_that_one_runs(gateway):
    result = gateway.world.gateway.run(program("natlock"), "up", "-c", gateway.folder / "natlock.yaml", check=False, timeout=10, env=gateway.environment)
    assert result.returncode == 1 and f"a natlock runs already at {gateway.api}" in result.stderr and "natlockctl shutdown" in result.stderr
    assert gateway.control("status").returncode == 0, "the first one lost its socket"
    assert act(gateway.guest, "up", 100000)["ok"]


def test_loop_guard_refuses_sessions(world, spawn):
    """Seed 3.7.4: this computer's own default gateway is the hub, so what goes out would come in again."""
    host = spawn.guest("loop")
    gateway = spawn.gateway("loop", where=host, guest=host, config='hubs:\n  default:\n    attach: ["tap:eth0"]\n')
    host.run("ip", "addr", "add", "192.168.30.50/24", "dev", "eth0")
    assert " 0% packet loss" in host.run("ping", "-c", 1, "-W", 2, HUB).stdout
    host.run("ip", "route", "add", "default", "via", HUB)
    text = f"loop: this hub's gateway {HUB} is also this host's default gateway (seed 3.7.4). Refusing sessions."
    wait_for(lambda: text in gateway.text(), 5, "the loop guard")
    answer = act(host, "unreachable", 80, address="198.18.2.1")
    assert answer["errno"] is not None and answer["seconds"] < 2, answer
    wait_for(lambda: [r for r in gateway.table("drops") if r["reason"] == "DENIED" and int(r["count"])], 2, "the refusal in natlockctl drops")
    host.run("ip", "route", "del", "default")

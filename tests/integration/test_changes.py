"""What an operator changes while natlock runs: values, whole files, what survives a restart, and what is refused."""
import json, os, signal
import pytest
from conftest import Gateway, Namespace, act, alive, lease, wait_for
from operator_client import Refused, ask, change, config, proto, reload

CONFIG = """\
hubs:
  default:
    attach: ["netns:{guest}"]
    nat: {{mtu: 1400}}
    options: {{no_securenat_enabledhcp: true}}
log: {{style: logfmt}}
"""


@pytest.fixture(scope="module")
def changed(world):
    """A gateway of its own, whose guest asks for no lease: what is told is looked at, not what guests make of it."""
    guest = Namespace("chg")
    gateway = Gateway(world, "changes", CONFIG.format(guest=guest.name), guest=guest)
    yield gateway
    gateway.end()
    guest.remove()


def pids(gateway):
    return {name: row["pid"] for name, row in gateway.processes().items()}


def file_of(gateway):
    return gateway.folder / "natlock.yaml"


def test_a_value_is_changed_at_once_and_all_or_none(changed):
    before = pids(changed)
    assert change(changed, ("set", "nat.tcp_timeout", "100s"), ("set", "dhcp.dns", "[192.168.30.1, 192.168.30.2]")) == \
        "changed nat.tcp_timeout, dhcp.dns"
    assert config(changed, path="nat.tcp_timeout") == "tcp_timeout: 100s\n"
    with pytest.raises(Refused) as refused:
        change(changed, ("set", "nat.udp_timeout", "60s"), ("set", "nat.mtu", "65521"))
    assert refused.value.code == 6 and "nat.mtu 65521 is out of range: 576 to 65520" in refused.value.message
    assert config(changed, hub="default", path="nat.udp_timeout") == "udp_timeout: 600s\n"
    assert change(changed, ("set", "nat.tcp_timeout", "100s")) == "nothing changed"
    assert pids(changed) == before
    assert "configuration was changed: nat.tcp_timeout, dhcp.dns" in changed.log()


def test_elements_of_lists_come_and_go(changed):
    change(changed, ("add", "dhcp.reservations", '{name: nt4, mac: "00:AC:85:40:B5:50", address: 192.168.30.20}'),
           ("add", "nat.publish", '{proto: tcp, listen: "127.0.0.1:8081", to: "192.168.30.10:80"}'))
    assert json.loads(config(changed, path="dhcp.reservations", json=True)) == \
        {"reservations": [{"name": "nt4", "mac": "00:AC:85:40:B5:50", "address": "192.168.30.20"}]}
    for refused_change, code in ((("add", "dhcp.reservations", '{name: nt4, mac: "00:AC:85:40:B5:51", address: 192.168.30.21}'), 6),
                                 (("remove", "nat.publish", "{proto: udp}"), 4), (("remove", "nat.mtu", "1400"), 6),
                                 (("set", "nat.mtuu", "1"), 6), (("set", "nat.publish.0", "1"), 6)):
        with pytest.raises(Refused) as refused:
            change(changed, refused_change)
        assert refused.value.code == code, refused.value
    change(changed, ("remove", "dhcp.reservations", "nt4"), ("remove", "nat.publish", '{listen: "127.0.0.1:8081"}'))
    assert config(changed, path="nat.publish") == "publish: []\n"


def test_what_may_not_be_changed_is_refused(changed):
    for path, value in (("options.no_securenat", "false"), ("shards", "2"), ("data_path", "strict"), ("alg.segment_max", "100"), ("alg", "{segment_max: 100}")):
        with pytest.raises(Refused) as refused:
            change(changed, ("set", path, value))
        assert refused.value.code == 5, path
    change(changed, ("set", "dhcp.enable", "false"))
    with pytest.raises(Refused) as refused:
        change(changed, ("set", "dhcp.enable", "true"))
    assert refused.value.code == 5 and "options.no_securenat_enabledhcp" in refused.value.cause
    with pytest.raises(Refused) as refused:
        change(changed, ("set", "nat.mtu", "1300"), hub="nowhere")
    assert refused.value.code == 4
    assert reload(changed).endswith("changed hubs.default.nat.tcp_timeout, hubs.default.dhcp.enable, hubs.default.dhcp.dns")

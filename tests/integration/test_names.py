"""DHCP by a real client, DNS by a real client against a real server."""
from conftest import HUB, SERVER, lease


def test_lease_carries_the_defaults_of_the_seed(gateway):
    line = lease(gateway.guest)
    for word in ("mask=24", f"router={HUB}", f"dns={HUB}", "lease=7200", f"serverid={HUB}"):
        assert word in line, line
    assert "ip=192.168.30.10 " in line or "ip=192.168.30.1" in line


def test_same_client_same_address(gateway):
    assert lease(gateway.guest).split("ip=")[1].split()[0] == lease(gateway.guest).split("ip=")[1].split()[0]


def test_name_by_udp(gateway):
    assert gateway.guest.run("dig", "+short", "+time=2", f"@{HUB}", "www.example.test").stdout.strip() == SERVER


def test_name_by_tcp(gateway):
    assert gateway.guest.run("dig", "+short", "+tcp", "+time=2", f"@{HUB}", "www.example.test").stdout.strip() == SERVER


def test_truncated_answer_is_asked_again_by_tcp(gateway):
    answer = gateway.guest.run("dig", "+bufsize=512", "+time=2", f"@{HUB}", "long.example.test", "TXT").stdout
    assert answer.count("x" * 200) == 12


def test_unknown_name_says_so(gateway):
    assert "NXDOMAIN" in gateway.guest.run("dig", "+time=2", f"@{HUB}", "nothing.example.invalid").stdout or \
           "REFUSED" in gateway.guest.run("dig", "+time=2", f"@{HUB}", "nothing.example.invalid").stdout

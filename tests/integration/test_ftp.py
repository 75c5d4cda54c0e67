"""FTP through the ALG: vsftpd beyond the gateway; curl and lftp in the guest, active and passive."""
import hashlib, os, random
import pytest
from conftest import SERVER, wait_for


@pytest.fixture(scope="module")
def ftp(world):
    root = world.folder / "ftp"
    root.mkdir()
    data = random.Random(21).randbytes(3 << 20)
    (root / "file").write_bytes(data)
    config = world.folder / "vsftpd.conf"
    config.write_text(f"listen=YES\nlisten_address={SERVER}\nanonymous_enable=YES\nanon_root={root}\nno_anon_password=YES\nport_enable=YES\n"
                      "pasv_enable=YES\nseccomp_sandbox=NO\nconnect_from_port_20=YES\nbackground=NO\nrun_as_launching_user=NO\nsecure_chroot_dir=/var/empty-nl\n")
    os.makedirs("/var/empty-nl", exist_ok=True)
    world.internet.start("vsftpd", config)
    wait_for(lambda: world.internet.run("ss", "-ltn", "sport = :21").stdout.count("LISTEN"), 5, "vsftpd")
    yield hashlib.sha256(data).hexdigest()
    os.rmdir("/var/empty-nl")


MODES = {"EPSV": [], "PASV": ["--disable-epsv"], "EPRT": ["-P", "-"], "PORT": ["-P", "-", "--disable-eprt"]}


@pytest.mark.parametrize("mode", MODES)
def test_file_arrives_by_curl(gateway, ftp, mode):
    target = gateway.world.folder / f"got-{mode}"
    gateway.guest.run("curl", "-sS", "-m", 30, *MODES[mode], f"ftp://{SERVER}/file", "-o", target)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == ftp


@pytest.mark.parametrize("passive", ["on", "off"])
def test_file_arrives_by_lftp(gateway, ftp, passive):
    target = gateway.world.folder / f"got-lftp-{passive}"
    gateway.guest.run("lftp", "-e", f"set ftp:passive-mode {passive}; set net:max-retries 1; set net:timeout 10; get file -o {target}; bye", f"ftp://{SERVER}")
    assert hashlib.sha256(target.read_bytes()).hexdigest() == ftp


def test_active_transfer_is_in_the_security_log(gateway, ftp):
    gateway.guest.run("curl", "-sS", "-m", 30, *MODES["PORT"], f"ftp://{SERVER}/file", "-o", "/dev/null")
    wait_for(lambda: "xpectation" in gateway.log(), 5, "the expectation in the security log")

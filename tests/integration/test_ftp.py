"""FTP through the ALG: vsftpd beyond the gateway; curl and lftp in the guest, active and passive."""
import hashlib, os, random, shutil, signal
import pytest
from conftest import SERVER, wait_for


@pytest.fixture(scope="module")
def ftp(world):
    root = world.folder / "ftp"
    root.mkdir()
    data = random.Random(21).randbytes(3 << 20)
    (root / "file").write_bytes(data)
    (root / "in").mkdir()
    shutil.chown(root / "in", "ftp")
    config = world.folder / "vsftpd.conf"
    config.write_text(f"listen=YES\nwrite_enable=YES\nanon_upload_enable=YES\nanon_umask=022\nlisten_address={SERVER}\nanonymous_enable=YES\nanon_root={root}\nno_anon_password=YES\nport_enable=YES\n"
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


@pytest.mark.parametrize("mode", MODES)
def test_upload_by_curl(gateway, ftp, mode):
    folder = gateway.world.folder
    gateway.guest.run("curl", "-sS", "-m", 30, *MODES[mode], "-T", folder / "ftp/file", f"ftp://{SERVER}/in/{mode}")
    wait_for(lambda: hashlib.sha256((folder / "ftp/in" / mode).read_bytes()).hexdigest() == ftp, 3, "the whole file")


def test_active_transfer_is_in_the_security_log(gateway, ftp):
    gateway.guest.run("curl", "-sS", "-m", 30, *MODES["PORT"], f"ftp://{SERVER}/file", "-o", "/dev/null")
    wait_for(lambda: "xpectation" in gateway.log(), 5, "the expectation in the security log")


def test_the_switch_holds_at_once_and_the_table_says_so(gateway, ftp):
    """Also where the parser was started with it off: it hears that it is wanted."""
    def enabled():
        return [row["enabled"] for row in gateway.table("alg", "list") if row["alg"] == "ftp"]

    def fetch():
        return gateway.guest.run("curl", "-sS", "-m", 3, *MODES["PORT"], f"ftp://{SERVER}/file", "-o", "/dev/null", check=False).returncode

    gateway.control("alg", "disable", "ftp")
    wait_for(lambda: enabled() == [False], 2, "the table to say no")
    assert fetch() != 0, "PORT without a parser reached the guest"
    pid = gateway.processes()["alg"]["pid"]
    gateway.control("process", "restart", "alg")
    wait_for(lambda: gateway.processes()["alg"]["pid"] not in (0, pid) and enabled() == [False], 5, "a new alg")
    gateway.control("alg", "enable", "ftp")
    wait_for(lambda: enabled() == [True], 2, "the table to say yes")
    assert fetch() == 0


def test_a_stuck_alg_holds_nobody_up_and_is_replaced(gateway, ftp):
    """Stopped, not dead: three transfers pass without inspection, then the supervisor puts another one in its place."""
    pid = gateway.processes()["alg"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    target = gateway.world.folder / "got-stuck"
    for _ in range(3):
        gateway.guest.run("curl", "-sS", "-m", 20, *MODES["EPSV"], f"ftp://{SERVER}/file", "-o", target)
        assert hashlib.sha256(target.read_bytes()).hexdigest() == ftp
    wait_for(lambda: gateway.processes()["alg"]["pid"] not in (0, pid), 5, "a new alg")
    assert sum(int(row["count"]) for row in gateway.table("drops") if row["reason"] == "ALG_SILENT") >= 3
    assert "The process alg was ended by signal 9 and will be restarted. Reason: natproxy reports: it does not answer" in gateway.log()
    gateway.guest.run("curl", "-sS", "-m", 20, *MODES["PORT"], f"ftp://{SERVER}/file", "-o", target)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == ftp

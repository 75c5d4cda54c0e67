"""FTP through the ALG with two servers and three clients, as a client inside and as a server inside.

    client .10, servers .50 (nat.static 198.18.1.83) ~~~ natlock ---- internet [vsftpd and pure-ftpd on 198.18.2.21, clients]

Each server has a port of its own; alg.ftp.ports names both. Files are compared by hash.
"""
import hashlib, os, pwd, random
import pytest
import sites
from conftest import unpacked, wait_for
from talks import addressed

CLIENT, INSIDE, STATIC, THERE = "192.168.30.10", "192.168.30.50", "198.18.1.83", "198.18.2.21"
PORTS = {"vsftpd": 21, "pure-ftpd": 2121}
RANGE_PORTS = [2120, 31000]  # of one whose passive port is open to all: both stand in nat.static
PASSIVE_PORTS = 30000, 30999  # of any from 1024 on, one in a thousand would be a port that no door is opened to (natproxy/pinhole_rules.c)
VSFTPD = """
listen=YES
listen_address={address}
listen_port={port}
anonymous_enable=YES
anon_root={root}
no_anon_password=YES
write_enable=YES
anon_upload_enable=YES
anon_umask=022
port_enable=YES
pasv_enable=YES
pasv_min_port={passive[0]}
pasv_max_port={passive[1]}
seccomp_sandbox=NO
connect_from_port_20=YES
background=NO
run_as_launching_user=NO
secure_chroot_dir={empty}
ssl_enable=YES
allow_anon_ssl=YES
force_local_logins_ssl=NO
force_local_data_ssl=NO
require_ssl_reuse=NO
rsa_cert_file={folder}/certificate
rsa_private_key_file={folder}/key
"""
DATA = random.Random(6).randbytes(300000)
HASH = hashlib.sha256(DATA).hexdigest()


class Servers:
    """vsftpd, and pure-ftpd with a user of its own, joe."""

    def __init__(self, where, address, folder):
        self.where, self.address, self.processes = where, address, []
        (folder / "empty").mkdir(parents=True)
        (folder / "root/in").mkdir(parents=True)
        (folder / "root/file").write_bytes(DATA)
        os.chmod(folder / "root/in", 0o777)
        where.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=ftp", "-keyout", folder / "key", "-out", folder / "certificate")
        (folder / "vsftpd.conf").write_text(VSFTPD.format(address=address, port=PORTS["vsftpd"], passive=PASSIVE_PORTS, root=folder / "root", empty=folder / "empty", folder=folder))
        self.processes.append(where.start("vsftpd", folder / "vsftpd.conf"))
        user, hashed = pwd.getpwnam("ftp"), where.run("openssl", "passwd", "-1", "x@y").stdout.strip()  # pure-pw's own takes a second a login
        (folder / "users").write_text(f"joe:{hashed}:{user.pw_uid}:{user.pw_gid}::{folder / 'root'}/./::::::::::::\n")
        where.run(unpacked("pure-ftpd", "usr/bin/pure-pw"), "mkdb", folder / "users.pdb", "-f", folder / "users")
        self.processes.append(where.start(unpacked("pure-ftpd", "usr/sbin/pure-ftpd"), "-S", f"{address},{PORTS['pure-ftpd']}", "-p", "%d:%d" % PASSIVE_PORTS, "-l", f"puredb:{folder / 'users.pdb'}", "-u", "1", "-H", "-4"))
        wait_for(lambda: where.run("ss", "-ltnH", f"( sport = :{PORTS['vsftpd']} or sport = :{PORTS['pure-ftpd']} )").stdout.count("LISTEN") == 2, 5, "the servers")
        self.root = folder / "root"

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait(5)


class Site(sites.Site):
    alg = "ftp"

    def __init__(self, world, spawn):
        super().__init__(world)
        self.client, self.server = spawn.guest("fc"), spawn.guest("fs")
        self.own(world.gateway, "w0", STATIC)
        self.own(world.internet, "lo", THERE)
        self.gateway = spawn.gateway("alg-ftp", guest=self.client, config=f"""
hubs:
  default:
    attach: ["netns:{self.client.name}", "netns:{self.server.name}"]
    nat:
      static:
        - {{inside: {INSIDE}, outside: {STATIC}, ports: {list(PORTS.values()) + RANGE_PORTS}}}
    alg:
      ftp: {{ports: {list(PORTS.values()) + RANGE_PORTS[:1]}}}
""")
        for guest, address in ((self.client, CLIENT), (self.server, INSIDE)):
            addressed(guest, address)
        self.there = Servers(world.internet, THERE, world.folder / "ftp-there")
        self.here = Servers(self.server, INSIDE, world.folder / "ftp-here")
        self.servers = [self.there, self.here]

    def granted(self):
        return self.stats()["granted"]


site, switched_off = sites.fixtures(Site)


@pytest.fixture(scope="module")
def open_range(site):
    """A third server, whose only passive port nat.static has open."""
    folder = site.world.folder / "ftp-range"
    (folder / "empty").mkdir(parents=True)
    (folder / "vsftpd.conf").write_text(VSFTPD.format(address=INSIDE, port=RANGE_PORTS[0], passive=RANGE_PORTS[1:] * 2, root=site.here.root, empty=folder / "empty", folder=site.world.folder / "ftp-here"))
    server = site.server.start("vsftpd", folder / "vsftpd.conf")
    wait_for(lambda: "LISTEN" in site.server.run("ss", "-ltnH", f"( sport = :{RANGE_PORTS[0]} )").stdout, 5, "the server")
    yield
    server.terminate()
    server.wait(5)


CURL = {"EPSV": [], "PASV": ["--disable-epsv"], "EPRT": ["-P", "-"], "PORT": ["-P", "-", "--disable-eprt"]}


def curl(mode):
    return lambda url, target: ["curl", "-sS", "-m", 10, *CURL[mode], url, "-o", target]


def lftp(passive):
    words = f"set ftp:passive-mode {passive}; set net:max-retries 1; set net:timeout 5; set xfer:clobber on; get file -o "
    return lambda url, target: ["lftp", "-e", f"{words}{target}; bye", url.removesuffix("/file")]


def tnftp(option):
    return lambda url, target: ["tnftp", "-n", option, "-V", "-o", target, url]


CLIENTS = {"curl EPSV": curl("EPSV"), "curl PASV": curl("PASV"), "curl EPRT": curl("EPRT"), "curl PORT": curl("PORT"),
           "lftp passive": lftp("on"), "lftp active": lftp("off"), "tnftp passive": tnftp("-p"), "tnftp active": tnftp("-A")}
ACTIVE = ["curl EPRT", "curl PORT", "lftp active", "tnftp active"]
PASSIVE = [client for client in CLIENTS if client not in ACTIVE]
each_server = pytest.mark.parametrize("server", PORTS)


def fetch(site, where, address, server, client):
    """True where the file came whole."""
    target = site.world.folder / "ftp-got"
    target.unlink(missing_ok=True)
    user = "joe:x%40y@" if server == "pure-ftpd" else ""
    result = where.run(*CLIENTS[client](f"ftp://{user}{address}:{PORTS[server]}/file", target), check=False, timeout=30, stdin=-3)
    got = hashlib.sha256(target.read_bytes()).hexdigest() if target.exists() else None
    return got == HASH, result.stdout + result.stderr


@each_server
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_inside(site, server, client):
    before = site.granted()
    good, said = fetch(site, site.client, THERE, server, client)
    assert good, said
    assert site.granted() - before == (client in ACTIVE), "active modes are opened for, passive ones need nothing"


@each_server
@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_inside(site, server, client):
    before = site.granted()
    good, said = fetch(site, site.world.internet, STATIC, server, client)
    assert good, said
    assert site.granted() - before == (client in PASSIVE), "passive modes are opened for, active ones need nothing"


@each_server
@pytest.mark.parametrize("client", ["curl PORT", "curl EPRT", "tnftp active"])
def test_a_client_inside_fails_without(site, switched_off, server, client):
    assert not fetch(site, site.client, THERE, server, client)[0]


@each_server
@pytest.mark.parametrize("client", ["curl PASV", "curl EPSV", "tnftp passive"])
def test_a_server_inside_fails_without(site, switched_off, server, client):
    assert not fetch(site, site.world.internet, STATIC, server, client)[0]


@pytest.mark.parametrize("mode", CURL)
def test_a_passive_port_that_is_open_to_all_needs_no_expectation(site, open_range, mode):
    target, before = site.world.folder / "ftp-got-range", site.gateway.log().count("ALG expectation")
    site.world.internet.run("curl", "-sS", "-m", 10, *CURL[mode], f"ftp://{STATIC}:{RANGE_PORTS[0]}/file", "-o", target)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == HASH
    assert site.gateway.log().count("ALG expectation") == before


@pytest.mark.parametrize("mode", CURL)
def test_an_upload_to_a_server_inside(site, mode):
    site.world.internet.run("curl", "-sS", "-m", 10, *CURL[mode], "-T", site.here.root / "file", f"ftp://{STATIC}:{PORTS['vsftpd']}/in/{mode}")
    wait_for(lambda: hashlib.sha256((site.here.root / "in" / mode).read_bytes()).hexdigest() == HASH, 3, "the whole file")


def test_tls_is_left_alone(site):
    """AUTH TLS: passive modes need nothing, and what would have to be read for an active one is encrypted."""
    before, target = site.stats(), site.world.folder / "ftp-got-tls"
    command = ["curl", "-sS", "-k", "-m", 10, "--ssl-reqd", f"ftp://{THERE}:{PORTS['vsftpd']}/file", "-o", target]
    site.client.run(*command)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == HASH
    site.client.run(*command, *CURL["PORT"], check=False)
    after = site.stats()
    assert after == {**before, "gave_up": before["gave_up"] + 2}

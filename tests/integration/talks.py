"""Both ends of a conversation through a gateway, in one process: what one says and what of it reaches the other is known byte by byte."""
import hashlib, socket
from conftest import wait_for
from packets import inside, open_socket


def listen(where, address, port):
    with inside(where):
        server = socket.create_server((address, port))
    server.settimeout(5)
    return server


def arrives(where, source, at):
    """Whether somebody there gets a connection to an outside endpoint."""
    s = open_socket(where, socket.SOCK_STREAM, at=(source, 0), timeout=1)
    try:
        s.connect(at)
        return True
    except OSError:
        return False
    finally:
        s.close()


class Talk:
    """A TCP connection from a guest's address to a server beyond the gateway. Ends: 0 the guest, 1 the server."""

    def __init__(self, guest, source, server, at=None):
        """server: a listening socket, see listen(). at: what to connect to, where that is not what it listens to."""
        self.source = source
        client = open_socket(guest, socket.SOCK_STREAM, at=(source, 0), timeout=5)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connect(at or server.getsockname())
        self.ends = [client, server.accept()[0]]
        self.ends[1].settimeout(5)
        self.sent, self.got = [b"", b""], [b"", b""]

    def say(self, end, data):
        self.ends[end].sendall(data)
        self.sent[end] += data

    def hear(self, end, enough):
        """Reads on until enough(what has come since) is true; that."""
        data = b""
        while not enough(data):
            data += (piece := self.ends[end].recv(65536))
            self.got[end] += piece
            assert piece, (end, data)
        return data

    def line(self, end, text):
        """One end says a line; what the other one reads."""
        self.say(end, text.encode() + b"\r\n")
        return self.hear(1 - end, lambda data: data.endswith(b"\r\n")).decode().strip()

    def hashes(self, end):
        """Of what this end sent and of what of it came to the other one."""
        return [hashlib.sha256(data).hexdigest() for data in (self.sent[end], self.got[1 - end])]

    def rest(self, end):
        """What comes up to the other end's FIN."""
        data = b""
        while piece := self.ends[end].recv(65536):
            data += piece
            self.got[end] += piece
        return data

    def close(self):
        for end in self.ends:
            end.close()


class Ftp(Talk):
    """A control connection whose user has logged in."""

    def __init__(self, guest, source, server):
        super().__init__(guest, source, server)
        self.line(1, "220 ready")
        for command, reply in (("USER anonymous", "331 password"), ("PASS x@y", "230 in")):
            self.line(0, command)
            self.line(1, reply)

    def port(self, number=40000):
        """The guest waits at this port: what the server reads of that, and the endpoint in it."""
        text = self.line(0, f"PORT {self.source.replace('.', ',')},{number >> 8},{number & 255}")
        numbers = text.removeprefix("PORT ").split(",")
        return text, (".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5]))

    def is_fixed(self):
        return not self.port()[0].startswith(f"PORT {self.source.replace('.', ',')},")

    def goes_on(self):
        return self.line(0, "NOOP") == "NOOP" and self.line(1, "200 so it is") == "200 so it is"


def alg_row(gateway, name, hub="default"):
    return next(row for row in gateway.table("--hub", hub, "alg", "stats") if row["alg"] == name)


def alg_stats(gateway, hub="default"):
    """Of all ALGs of a hub, added: nothing but numbers."""
    keys = ("flows", "messages", "edits", "granted", "refused", "gave_up", "violations", "bytes")
    rows = gateway.table("--hub", hub, "alg", "stats")
    return {key: sum(int(row[key] or 0) for row in rows) for key in keys}


def addressed(guest, *addresses):
    wait_for(lambda: "eth0" in guest.run("ip", "-br", "link").stdout, 5, "the guest's interface")
    for address in addresses:
        guest.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
    guest.run("ip", "link", "set", "eth0", "up")
    guest.run("ip", "route", "replace", "default", "via", "192.168.30.1")


def ber(tag, *parts):
    body = b"".join(parts)
    return bytes([tag, 0x83]) + len(body).to_bytes(3, "big") + body


def registration(address, filling, answer=False):
    """LDAP: an AddRequest, or the SearchResultEntry that answers for it, with an address behind a value of so many bytes."""
    attributes = [ber(0x30, ber(4, name), ber(0x31, ber(4, value))) for name, value in ((b"comment", b"x" * filling), (b"ipAddress", address.encode()))]
    return ber(0x30, ber(2, b"\1"), ber(0x64 if answer else 0x68, ber(4, b"cn=x"), ber(0x30, *attributes)))


VSFTPD = """
listen=YES
listen_address={address}
anonymous_enable=YES
anon_root={root}
no_anon_password=YES
port_enable=YES
pasv_enable=YES
seccomp_sandbox=NO
background=NO
run_as_launching_user=NO
secure_chroot_dir={empty}
"""


def vsftpd(where, address, folder, data):
    """Serves one file, `file`."""
    (folder / "empty").mkdir(parents=True)
    (folder / "root").mkdir()
    (folder / "root/file").write_bytes(data)
    (folder / "vsftpd.conf").write_text(VSFTPD.format(address=address, root=folder / "root", empty=folder / "empty"))
    process = where.start("vsftpd", folder / "vsftpd.conf")
    wait_for(lambda: where.run("ss", "-ltnH", f"src {address}:21").stdout, 5, "vsftpd")
    return process

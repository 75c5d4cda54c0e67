"""sipp at both ends of a gateway, and every message that each of them sent and got, byte by byte."""
import pathlib, re, subprocess
from conftest import wait_for
from sip_scenarios import xml
from talks import listen

PORT, TWIN = 5060, 6060
TRACED = re.compile(rb"-{30,} [^\n]*\n(?:UDP|TCP) message (sent|received) [\[(](\d+)[^\n]*\n\n")


class Phone:
    """One sipp that plays one scenario, once unless `calls` says otherwise. to: whom it talks to first; None: it waits."""

    def __init__(self, folder, where, address, transport, steps, to=None, tells=False, calls=1, patience_ms=3000, more=()):
        self.folder, self.where, self.name = folder, where, f"{address}-{'b' if to is None else 'a'}"
        self.messages, self.errors = folder / f"{self.name}.messages", folder / f"{self.name}.errors"
        for file in (self.messages, self.errors):
            file.unlink(missing_ok=True)
        (folder / f"{self.name}.xml").write_text(xml(steps))
        self.output, self.twin, self.told = folder / f"{self.name}.output", None, None
        words = ["-3pcc", f"127.0.0.1:{TWIN}"] if tells else []
        if tells:
            listening = listen(where, "127.0.0.1", TWIN)
        self.process = where.start("sipp", *([f"{to}:{PORT}"] if to else []), "-sf", folder / f"{self.name}.xml", "-i", address, "-p", PORT, "-t", transport, "-m", calls, "-nostdin",
                                   "-recv_timeout", patience_ms, "-watchdog_interval", 3600000, "-trace_msg", "-message_file", self.messages, "-trace_err", "-error_file", self.errors, *words, *more,
                                   cwd=folder, stdout=self.output.open("w"))
        try:
            if tells:
                with listening:
                    self.twin = listening.accept()[0]
                self.twin.settimeout(5)
            if to is None:
                table = pathlib.Path(f"/proc/{self.process.pid}/net/{'udp' if transport == 'u1' else 'tcp'}")
                wait_for(lambda: f":{PORT:04X} 00000000:0000 {'07' if transport == 'u1' else '0A'}" in table.read_text(), 3, "sipp")
        except BaseException:
            self.stop()
            raise AssertionError(self.output.read_text())

    def at(self, calls=1):
        """Where they are in the scenario; None: they have come to its end."""
        self.told = b""
        while self.told.count(b"\x1b") < calls:
            piece = self.twin.recv(65536)
            if not piece:
                return None
            self.told += piece
        named = re.search(rb"At: (.*)\r\n", self.told)  # else it gave its call up
        return named and named.group(1).decode()

    def goes_on(self):
        self.twin.sendall(self.told)

    def talk(self):
        """[("sent" or "received", message)], from the beginning."""
        text, found, at = self.messages.read_bytes() if self.messages.exists() else b"", [], 0
        while header := TRACED.search(text, at):
            at = header.end() + int(header.group(2))
            found.append((header.group(1).decode(), text[header.end():at]))
        return found

    def said(self, way):
        return [message for how, message in self.talk() if how == way]

    def description(self, way):
        """The last one that it sent or received."""
        return [message for message in self.said(way) if b"\r\nm=" in message][-1].partition(b"v=0")[2]

    def stop(self):
        if self.twin:
            self.twin.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5)

    def result(self):
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.stop()
        return self.process.returncode, self.errors.read_text() if self.errors.exists() else ""


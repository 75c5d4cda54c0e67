"""What passes an interface while a test runs, as tshark reads it."""
import socket, struct
from conftest import sh
from packets import inside

EVERY, FORCED_BUFFER, ETHERNET = 3, 33, 1  # ETH_P_ALL, SO_RCVBUFFORCE, LINKTYPE_ETHERNET


class Capture:
    """The kernel keeps the frames until somebody asks."""

    def __init__(self, where, interface, file):
        with inside(where):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY))
            self.socket.bind((interface, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, FORCED_BUFFER, 1 << 23)
        self.socket.setblocking(False)
        self.file, self.count = file, 0
        file.write_bytes(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, ETHERNET))

    def take(self):
        with open(self.file, "ab") as out:
            while True:
                try:
                    frame = self.socket.recv(1 << 18)
                except BlockingIOError:
                    return
                out.write(struct.pack("<IIII", self.count, 0, len(frame), len(frame)) + frame)
                self.count += 1

    def rows(self, wanted, *names):
        """Of each frame up to now that this filter of tshark's takes, the values of these fields, each a list. None is malformed."""
        self.take()
        words = [word for name in ("_ws.malformed", *names) for word in ("-e", name)]
        lines = sh("tshark", "-r", self.file, "-Y", wanted, "-T", "fields", *words).stdout.splitlines()
        rows = [[value.split(",") if value else [] for value in line.split("\t")] for line in lines]
        assert not any(malformed for malformed, *_ in rows), lines
        return [values for _, *values in rows]

    def close(self):
        self.socket.close()

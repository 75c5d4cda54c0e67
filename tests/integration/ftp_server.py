#!/usr/bin/python3
"""An FTP server that tells the client what arrived: ftp_server.py ADDRESS [PORT]. "200 LINE" repeats each line as it came in.

SITE TRY connects to what the last PORT or EPRT said and says how that went; SITE STRANGER does so from another address. PASS nothing-at-all is refused. AUTH is answered as its argument asks.
"""
import socket, socketserver, sys


class Handler(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write((text + "\r\n").encode("latin-1"))

    def connect_back(self, target, source):
        try:
            with socket.create_connection(target, 2, (source, 0)) as c:
                c.sendall(b"hello from the server")
            return "200 connected"
        except (OSError, TypeError) as e:
            return f"425 {type(e).__name__}"

    def handle(self):
        target = None
        self.say("220 ready")
        while line := self.rfile.readline(9000):
            line = line.decode("latin-1").rstrip("\r\n")
            verb, _, rest = line.partition(" ")
            if verb == "PORT":
                numbers = rest.split(",")
                target = (".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5]))
            if verb == "EPRT":
                target = (rest.split("|")[2], int(rest.split("|")[3]))
            if verb == "USER":
                self.say("331 password")
            elif verb == "PASS":
                self.say("530 no" if rest == "wrong" else "230 in")
            elif line == "AUTH TLS":
                self.say("502 not here")
            elif line == "AUTH SSL":
                self.say("234 go ahead")
            elif line == "SITE TRY":
                self.say(self.connect_back(target, self.connection.getsockname()[0]))
            elif line == "SITE STRANGER":
                self.say(self.connect_back(target, "198.18.1.1"))
            else:
                self.say("200 " + line)


socketserver.ThreadingTCPServer.allow_reuse_address = True
server = socketserver.ThreadingTCPServer((sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 21), Handler)
server.daemon_threads = True
print("ready", flush=True)
server.serve_forever()

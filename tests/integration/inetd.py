#!/usr/bin/python3
"""inetd.py ADDRESS {PORT PROGRAM}...: accepts, and gives each connection to a new process as its standard input, output and error."""
import select, socket, subprocess, sys

programs = {}
for port, program in zip(sys.argv[2::2], sys.argv[3::2]):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((sys.argv[1], int(port)))
    listener.listen(32)
    programs[listener] = program.split()
print("ready", flush=True)
running = []
while True:
    for listener in select.select(list(programs), [], [])[0]:
        connection, _ = listener.accept()
        running = [p for p in running if p.poll() is None]
        running.append(subprocess.Popen(programs[listener], stdin=connection, stdout=connection, stderr=connection))
        connection.close()

"""Whose processes are whose, what they have used, and how they are ended: by pid, through handles that cannot hit another."""
import contextlib, os, pathlib, select, signal, time

PROC = pathlib.Path("/proc")


def network_of(pid):
    """The network namespace of a process as a number; 0 when it is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return 0


def family(roots, network=0):
    """The pids of `roots`, of all who descend from them, and of whoever lives in `network`. A worker in namespaces of its own is
    still somebody's child, and a daemon without parents still lives in its gateway's namespace."""
    parent = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parent[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found = {pid for pid in parent if pid in roots or network and network_of(pid) == network}
    while more := {pid for pid, above in parent.items() if above in found} - found:
        found |= more
    return found


def used(pids):
    """(CPU seconds, context switches) of all threads so far. A schedstat line: ns on a CPU, ns waiting, times put on a CPU."""
    ns = switches = 0
    for pid in pids:
        for file in PROC.glob(f"{pid}/task/*/schedstat"):
            with contextlib.suppress(OSError):
                fields = file.read_text().split()
                ns, switches = ns + int(fields[0]), switches + int(fields[2])
    return ns / 1e9, switches


def machine_busy():
    """CPU seconds of the whole machine that were not idle."""
    user, nice, system, _, _, interrupt, soft = map(int, (PROC / "stat").read_text().split()[1:8])
    return (user + nice + system + interrupt + soft) / os.sysconf("SC_CLK_TCK")


def memory_mib(pids):
    """Memory with shared pages counted once (PSS)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += next(int(line.split()[1]) for line in (PROC / f"{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    return total / 1024


def pin(pids, cpus):
    """Puts all threads on these CPUs; a gateway that refuses is an error, since its figure would be of another kind."""
    for pid in pids:
        for task in PROC.glob(f"{pid}/task/*"):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), cpus)


def handles(pids):
    found = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            found.append(os.pidfd_open(pid))
    return found


def tell(found, order, patience=3):
    """Sends a signal; returns the handles of who has not ended after `patience` seconds, the others are closed."""
    for handle in found:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, order)
    deadline = time.monotonic() + patience
    while found and (left := deadline - time.monotonic()) > 0:
        ended = select.select(found, [], [], left)[0]
        found = [handle for handle in found if handle not in ended]
        for handle in ended:
            os.close(handle)
    return found


def end(roots, others=()):
    """Asks the roots to end, then whoever is left, and kills who does not. Handles first: a number may soon be another's."""
    first, rest = handles(roots), handles(set(others) - set(roots))
    left = tell(tell(first, signal.SIGTERM) + rest, signal.SIGTERM)
    for handle in tell(left, signal.SIGKILL):
        os.close(handle)

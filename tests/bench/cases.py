"""What is measured. A case takes a topology with a running gateway and returns its metrics (table.SECTIONS says what they are); `startup` and
`memory` start gateways themselves."""
import json, os, time
import processes
from topology import SERVER, TAP, Failed

CPU = min(os.sched_getaffinity(0))


def retransmitted(space):
    """TCP segments that this namespace's kernel sent again."""
    names, values = [line.split() for line in space.table("snmp").splitlines() if line.startswith("Tcp:")]
    return int(values[names.index("RetransSegs")])


def bulk(t, name, streams, seconds, congestion, *options):
    pids = t.gateway.pids()
    before, busy, again = processes.used(pids), processes.machine_busy(), retransmitted(t.guest)
    result = t.guest.run("iperf3", "-J", "-C", congestion, "-c", SERVER, "-t", seconds, "-P", streams, *options, check=False, timeout=seconds + 15)
    after, busy = processes.used(pids), processes.machine_busy() - busy
    answer = json.loads(result.stdout)
    if "error" in answer:
        raise Failed(f"iperf3: {answer['error']}")
    end = answer["end"]
    if {end.get("sender_tcp_congestion"), end.get("receiver_tcp_congestion")} - {congestion, None}:
        raise Failed(f"iperf3 did not use {congestion}")
    gigabytes = end["sum_received"]["bytes"] / 1e9
    if not gigabytes:
        raise Failed(f"iperf3 {name}: nothing arrived")
    found = {name: end["sum_received"]["bits_per_second"] / 1e9, f"{name}_machine": busy / gigabytes}
    if pids:
        found |= {f"{name}_cpu": (after[0] - before[0]) / gigabytes, f"{name}_switches": (after[1] - before[1]) / gigabytes}
    if not options:
        found[f"{name}_retransmitted"] = retransmitted(t.guest) - again
    return found


def tcp(t, peer, options, prefix="tcp"):
    t.internet.start("iperf3", "-s", "-B", SERVER)
    t.wait_port("tcp", 5201)
    found = {}
    for streams in (1, 8):
        for way, more in (("up", ()), ("down", ("-R",))):
            found |= bulk(t, f"{prefix}_{way}_{streams}", streams, options.seconds, options.endpoints, *more)
    return found


def tcp_big(t, peer, options):
    return tcp(t, peer, options, "tcp_big")


def udp(t, peer, options):
    found = {}
    for size in (64, 1400):
        for way in ("up", "down"):
            port = t.new_port()
            flood = (SERVER, port, size, options.short)
            far = t.start_load(t.internet, *(("receive", SERVER, port, options.short + 6) if way == "up" else ("send-back", *flood)))
            t.wait_port("udp", port)
            near = t.load(t.guest, *(("send", *flood) if way == "up" else ("fetch", SERVER, port, options.short + 6)))
            sent, got = (near, t.answer(far)) if way == "up" else (t.answer(far), near)
            name = f"udp{size}_{way}"
            found |= {name: got["received"] / max(got["seconds"], sent["seconds"]), f"{name}_lost": 1 - got["received"] / sent["sent"],
                      f"{name}_disordered": got["late"] + got["repeated"]}
    return found


def timed(name, answer):
    return {name: answer["rate"], f"{name}_p50": answer["p50_us"], f"{name}_p99": answer["p99_us"], f"{name}_failed": answer["failed"]}


def rr(t, peer, options):
    """Twice: on the CPUs that the scheduler chooses, and with everything on one, which shows the length of the path alone."""
    found = {}
    for place, cpu in (("", None), ("_1cpu", CPU)):
        if cpu is not None:
            processes.pin(t.guest.pids() | t.gateway.pids() | t.internet.pids(), {cpu})
        for protocol in ("tcp", "udp"):
            found |= timed(f"{protocol}_rr{place}", t.load(t.guest, f"rr-{protocol}", SERVER, options.short, cpu=cpu))
    processes.pin(t.guest.pids() | t.gateway.pids() | t.internet.pids(), os.sched_getaffinity(0))
    return found


def crr(t, peer, options):
    return timed("crr_1", t.load(t.guest, "crr", SERVER, 1, options.short)) | timed("crr_64", t.load(t.guest, "crr", SERVER, 64, options.short))


def dns(t, peer, options):
    if not peer.dns:
        return {}
    return timed("dns", t.load(t.guest, "names", peer.dns, 32, 0, options.short)) | timed("dns_known", t.load(t.guest, "names", peer.dns, 32, 100, options.short))


def dhcp(t, peer, options):
    if not peer.dhcp:
        return {}
    answer = t.load(t.guest, "dhcp", TAP, peer.dhcp, 8, 5)
    return timed("dhcp", answer) | {"dhcp_missing": peer.dhcp - answer["count"]}


SIP_CALLS = 400  # natlock opens so many ports for a guest without a pause, which is what follows (natproxy/pinhole_rules.c)


def calls(t, name, protocol, at_once):
    """Figures of a run in which a call failed would be those of other calls: it has none but how many did."""
    try:
        found = timed(name, t.load(t.guest, f"sip-{protocol}", SERVER, at_once, SIP_CALLS))
    except Failed:
        return {f"{name}_failed": SIP_CALLS}
    return {f"{name}_failed": found[f"{name}_failed"]} if found[f"{name}_failed"] else found


def sip(t, peer, options):
    """Calls, each with a description that the gateway has to rewrite and to open a port for; those for which it does not have failed."""
    if not peer.reads_sip(t):
        return {}
    found, pids = {}, t.gateway.pids() if peer.user_space else ()
    for protocol in ("udp", "tcp"):
        for name, at_once in ((f"sip_{protocol}_one", 1), (f"sip_{protocol}", 32)):
            before = processes.used(pids)[0]
            found |= calls(t, name, protocol, at_once)
            time.sleep(1)
            if pids:
                found[f"{name}_cpu"] = (processes.used(pids)[0] - before) * 1e6 / SIP_CALLS
        straight = t.load(t.internet, f"sip-{protocol}", SERVER, 1, SIP_CALLS)
        if f"sip_{protocol}_one_p50" in found:
            found[f"sip_{protocol}_added"] = found[f"sip_{protocol}_one_p50"] - straight["p50_us"]
    return found


def memory(start, peer, options):
    """Flows that stand and do nothing, in a gateway that has done nothing else."""
    found = {}
    for count in options.flows:
        with start() as t:
            time.sleep(0.5)
            if peer.user_space:
                found.setdefault("memory_idle", processes.memory_mib(t.gateway.pids()))
            flows = t.start_load(t.guest, "hold", SERVER, count, 20)
            found[f"flows_{count}_established"] = t.answer(flows)["established"]
            time.sleep(1)
            if peer.user_space:
                found[f"memory_{count}"] = processes.memory_mib(t.gateway.pids())
            flows.stdin.write("check\n")
            flows.stdin.flush()
            found[f"flows_{count}_alive"] = t.answer(flows)["alive"]
    return found


def startup(world, peer, options):
    """From just before the gateway is started to the first byte that a server echoed."""
    with world() as t:
        peer.prepare(t)
        first = t.start_load(t.guest, "first", SERVER, 15)
        time.sleep(0.1)
        begin_ns = time.monotonic_ns()
        peer.start(t, 1500)
        return {"startup": (t.answer(first)["at_ns"] - begin_ns) / 1e6}


COMMON = {"tcp": tcp, "udp": udp, "rr": rr, "crr": crr, "dns": dns, "dhcp": dhcp, "sip": sip}  # one after the other through one gateway
CASES = ["startup", *COMMON, "tcp_big", "memory"]

#!/usr/bin/python3
"""Cells of a run (a TSV) and the table made of them: medians, ratios to kernel NAT and to the best other user-space gateway, targets.

    tests/bench/table.py cells.tsv      prints the table again
"""
import collections, pathlib, statistics, sys

REFERENCE, OURS = "kernel", "natlock"
MORE, LESS = 1, -1  # is better
WAYS = ["up_1", "down_1", "up_8", "down_8"]
FLOWS = ["1000", "10000", "20000"]
SIP = ["sip_udp", "sip_tcp"]
LATENCY = ["tcp_rr", "udp_rr", "tcp_rr_1cpu", "udp_rr_1cpu"]
# Title, unit, which way is better, metrics. The ratio of a metric in LIKE is to another one of the reference.
SECTIONS = [
    ("TCP bulk, guest MTU 1500, at the receiver", "Gbit/s", MORE, [f"tcp_{w}" for w in WAYS]),
    ("TCP bulk, the largest MTU that the gateway takes (ratio to kernel NAT at 1500)", "Gbit/s", MORE, [f"tcp_big_{w}" for w in WAYS]),
    ("CPU time of all processes of the gateway", "s/GB", LESS, [f"tcp_{b}{w}_cpu" for b in ("", "big_") for w in WAYS]),
    ("Context switches of all processes of the gateway", "1/GB", LESS, [f"tcp_{b}{w}_switches" for b in ("", "big_") for w in WAYS]),
    ("CPU time of the whole machine, both ends and whatever else ran included", "s/GB", LESS, [f"tcp_{b}{w}_machine" for b in ("", "big_") for w in WAYS]),
    ("TCP segments that the guest sent again in one run", "segments", LESS, [f"tcp_{b}up_{n}_retransmitted" for b in ("", "big_") for n in (1, 8)]),
    ("UDP, one flow, sender flat out: delivered", "datagrams/s", MORE, [f"udp{s}_{w}" for s in (64, 1400) for w in ("up", "down")]),
    ("UDP: share that was lost", "", LESS, [f"udp{s}_{w}_lost" for s in (64, 1400) for w in ("up", "down")]),
    ("UDP: late or repeated", "datagrams", LESS, [f"udp{s}_{w}_disordered" for s in (64, 1400) for w in ("up", "down")]),
    ("One byte there and back", "us", LESS, [f"{m}_{p}" for m in LATENCY for p in ("p50", "p99")]),
    ("One byte there and back: how often", "1/s", MORE, LATENCY),
    ("Connect, one byte there and back, close: 1 and 64 at once", "1/s", MORE, ["crr_1", "crr_64"]),
    ("Connect, one byte there and back, close", "us", LESS, [f"crr_{n}_{p}" for n in (1, 64) for p in ("p50", "p99")]),
    ("Idle flows", "flows", MORE, [f"flows_{n}_{w}" for n in FLOWS for w in ("established", "alive")]),
    ("Memory of all processes of the gateway (PSS)", "MiB", LESS, ["memory_idle", *(f"memory_{n}" for n in FLOWS)]),
    ("Start to the first byte echoed", "ms", LESS, ["startup"]),
    ("DNS through the gateway's forwarder, 32 outstanding (known: out of 100 names)", "1/s", MORE, ["dns", "dns_known"]),
    ("DNS", "us", LESS, ["dns_p50", "dns_p99", "dns_known_p50", "dns_known_p99"]),
    ("DHCP, DISCOVER to ACK, 8 outstanding", "leases/s", MORE, ["dhcp"]),
    ("DHCP", "us", LESS, ["dhcp_p50", "dhcp_p99"]),
    ("DHCP: without a lease after 5 s", "clients", LESS, ["dhcp_missing"]),
    ("SIP calls with a description each (INVITE, 200, ACK, BYE, 200) from one socket: 32 and one at once", "1/s", MORE, [*SIP, *(f"{m}_one" for m in SIP)]),
    ("SIP, INVITE to its answer; added: to the same without a gateway, one at once", "us", LESS, [f"{m}_{p}" for m in SIP for p in ("p50", "p99", "one_p50", "one_p99", "added")]),
    ("SIP: CPU time of all processes of the gateway, a call", "us", LESS, [f"{m}{n}_cpu" for m in SIP for n in ("", "_one")]),
    ("Questions without an answer, connections and calls that failed", "", LESS,
     [f"{m}_failed" for m in [*LATENCY, "crr_1", "crr_64", "dns", "dns_known", "dhcp", *SIP, *(f"{m}_one" for m in SIP)]]),
    ("What natlock says of itself", "", LESS, ["fallback_wakes", "worker_restarts"]),
]
UNIT = {metric: unit for _, unit, _, metrics in SECTIONS for metric in metrics}
BETTER = {metric: better for _, _, better, metrics in SECTIONS for metric in metrics}
LIKE = {f"tcp_big_{w}": f"tcp_{w}" for w in WAYS}


class Cells:
    """values[peer, metric][round]; facts[peer][name] in the order of the run."""

    def __init__(self):
        self.values, self.facts, self.failed = collections.defaultdict(dict), collections.defaultdict(dict), []

    @staticmethod
    def read(path):
        cells = Cells()
        for line in pathlib.Path(path).read_text().splitlines()[1:]:
            turn, peer, metric, value, _ = line.split("\t")
            if metric == "failed":
                cells.failed.append(f"round {turn}, {peer}: {value}")
            elif turn == "0":
                cells.facts[peer][metric] = value
            else:
                cells.values[peer, metric][int(turn)] = float(value)
        return cells

    def peers(self):
        return [p for p in self.facts if p != "run"]

    def median(self, peer, metric):
        found = self.values.get((peer, metric))
        return statistics.median(found.values()) if found else None

    def ratio(self, peer, metric, to=REFERENCE):
        """The median of the ratios of each round."""
        other = self.values.get((to, LIKE.get(metric, metric)), {})
        pairs = [value / other[turn] for turn, value in self.values.get((peer, metric), {}).items() if other.get(turn)]
        return statistics.median(pairs) if pairs else None

    def best_peer(self, metric):
        """(name, median) of the best gateway in user space that is not natlock."""
        found = [(self.median(p, metric), p) for p in self.peers() if p != REFERENCE and not p.startswith(OURS) and (p, metric) in self.values]
        value, peer = (max if BETTER[metric] == MORE else min)(found, default=(None, None))
        return peer, value


def number(value):
    if value is None:
        return "-"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.4f}"


def read_targets(path):
    rows = [line.split("\t") for line in pathlib.Path(path).read_text().splitlines() if line and not line.startswith("#")]
    found = collections.defaultdict(list)
    for metric, reference, factor in rows[1:]:
        assert metric in UNIT, f"{path}: no metric {metric}"
        found[metric].append((reference, float(factor)))
    return found


def judge(cells, metric, reference, factor):
    """One target of natlock: met, missed by so much, or not comparable in this run."""
    value = cells.median(OURS, metric)
    if reference == "value":
        wanted, text = factor, f"{number(factor)} {UNIT[metric]}".strip()
    elif reference == "best":
        peer, best = cells.best_peer(metric)
        wanted, text = best and best * factor, f"{factor:g} x best"
    else:
        value, wanted, text = cells.ratio(OURS, metric, reference), factor, f"{factor:g} x {reference}"
    if value is None or wanted is None:
        return f"{text}: -"
    if value * BETTER[metric] >= wanted * BETTER[metric]:
        return f"{text}: met"
    low, high = sorted((value, wanted))
    return f"{text}: missed by {high / low:.3f}" if low else f"{text}: missed, {number(value)}"


def rows(cells, metrics, peers, targets):
    for metric in metrics:
        if not any((p, metric) in cells.values for p in peers):
            continue
        line = [f"`{metric}`"]
        for peer in peers:
            ratio = cells.ratio(peer, metric) if peer != REFERENCE else None
            line.append(number(cells.median(peer, metric)) + (f" ({ratio:.2f})" if ratio is not None else ""))
        best, value = cells.best_peer(metric)
        ours = cells.median(OURS, metric)
        line.append(f"{ours / value:.2f} ({best})" if ours is not None and value else "-")
        line.append("; ".join(judge(cells, metric, *target) for target in targets.get(metric, [])))
        yield line


def markdown(cells, targets):
    run, peers = cells.facts["run"], cells.peers()
    yield "# natlock beside other gateways\n"
    yield f"Medians of {run['rounds']} interleaved rounds; in brackets the ratio to kernel NAT, the median of the rounds' own ratios. `up`: from the guest."
    yield "Targets: tests/bench/targets.tsv; best: the best gateway in user space of this run that is not natlock.\n"
    yield from (f"- {name}: {value}" for name, value in run.items())
    yield "\n| gateway | what | version |\n|---|---|---|"
    yield from (f"| {p} | {cells.facts[p].get('what', '')} | {cells.facts[p].get('version', '')} |" for p in peers)
    for title, unit, _, metrics in SECTIONS:
        lines = list(rows(cells, metrics, peers, targets))
        if lines:
            yield f"\n## {title}{', ' + unit if unit else ''}\n"
            yield f"| | {' | '.join(peers)} | natlock / best | target |\n|---{'|---' * (len(peers) + 2)}|"
            yield from (f"| {' | '.join(line)} |" for line in lines)
    if cells.failed:
        yield "\n## What failed\n"
        yield from (f"- {line}" for line in cells.failed)


def render(path):
    return "\n".join(markdown(Cells.read(path), read_targets(pathlib.Path(__file__).with_name("targets.tsv")))) + "\n"


if __name__ == "__main__":
    print(render(sys.argv[1]), end="")

"""tests/bench/run: what it measures is in the table, and it leaves nothing behind; what the table says follows from the cells."""
import os, pathlib, re, signal, subprocess, sys
import pytest
from conftest import BIN, PREFIX, TOP, sh, wait_for

sys.path.insert(0, str(TOP / "tests/bench"))
import processes, table

RUN = [TOP / "tests/bench/run", "--rounds", "1", "--short", "0.2", "--cases", "rr", "--prefix", f"{PREFIX}b-"]
ENVIRONMENT = dict(os.environ, NATLOCK_BIN=str(BIN))


def left_behind():
    return [name for name in os.listdir("/run/netns") if name.startswith(f"{PREFIX}b-")] + list(pathlib.Path("/etc/netns").glob(f"{PREFIX}b-*"))


def test_table_has_the_cells(tmp_path):
    sh(*RUN, "--peers", "kernel,natlock", "--out", tmp_path, env=ENVIRONMENT, timeout=60)
    cells = table.Cells.read(tmp_path / "cells.tsv")
    assert not cells.failed and cells.peers() == ["kernel", "natlock"]
    for peer in cells.peers():
        assert all(cells.median(peer, f"{p}_rr{place}") > 0 for p in ("tcp", "udp") for place in ("", "_1cpu"))
    assert cells.median("natlock", "fallback_wakes") == 0 and cells.median("natlock", "worker_restarts") == 0
    text = (tmp_path / "table.md").read_text()
    assert re.search(r"congestion control: guest \w+, gw \w+, inet \w+", text) and re.search(r"\| `tcp_rr_1cpu_p50` \| [\d.,]+ \| [\d.,]+ \([\d.]+\) \|", text)
    assert not left_behind()


def test_an_interrupted_run_leaves_nothing(tmp_path):
    with subprocess.Popen([*map(str, RUN), "--peers", "natlock", "--out", str(tmp_path)], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as run:
        for line in run.stderr:
            if line.endswith("natlock\n"):
                break
        wait_for(lambda: os.path.exists(f"/run/netns/{PREFIX}b-inet"), 5, "the namespaces")
        family = processes.family({run.pid})
        run.send_signal(signal.SIGTERM)
    assert run.returncode == 128 + signal.SIGTERM and not left_behind()
    assert not [pid for pid in family if os.path.exists(f"/proc/{pid}")]


CELLS = """round peer metric value unit
0 kernel what - text
0 natlock what - text
0 pasta what - text
0 slirp4netns what - text
1 kernel tcp_up_1 10 x
2 kernel tcp_up_1 20 x
3 kernel tcp_up_1 40 x
1 natlock tcp_up_1 5 x
2 natlock tcp_up_1 12 x
3 natlock tcp_up_1 36 x
1 pasta tcp_up_1 1 x
1 slirp4netns tcp_up_1 3 x
1 natlock startup 45 ms
1 pasta tcp_rr_1cpu_p50 30 us
1 slirp4netns tcp_rr_1cpu_p50 28 us
1 natlock tcp_rr_1cpu_p50 42 us
1 natlock fallback_wakes 1 -
"""


@pytest.mark.parametrize("metric, reference, factor, verdict", [
    ("tcp_up_1", "kernel", 0.6, "0.6 x kernel: met"),             # the median of 0.5, 0.6, 0.9
    ("tcp_up_1", "kernel", 0.9, "0.9 x kernel: missed by 1.500"),
    ("tcp_up_1", "best", 4, "4 x best: met"),                     # 12 of slirp4netns's 3
    ("tcp_up_1", "best", 5, "5 x best: missed by 1.250"),
    ("tcp_up_1", "qemu", 1, "1 x qemu: -"),
    ("tcp_rr_1cpu_p50", "best", 1.5, "1.5 x best: met"),          # less is better: best is 28
    ("tcp_rr_1cpu_p50", "best", 1.2, "1.2 x best: missed by 1.250"),
    ("startup", "value", 30, "30 ms: missed by 1.500"),
    ("fallback_wakes", "value", 0, "0: missed, 1"),
    ("udp64_up", "best", 0.9, "0.9 x best: -"),
])
def test_targets_are_judged(tmp_path, metric, reference, factor, verdict):
    file = tmp_path / "cells.tsv"
    file.write_text(CELLS.replace(" ", "\t"))
    assert table.judge(table.Cells.read(file), metric, reference, factor) == verdict


def test_every_target_has_a_metric():
    assert table.read_targets(TOP / "tests/bench/targets.tsv")

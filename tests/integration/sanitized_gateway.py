"""That a gateway under sanitizers is one, and that a fault in a locked worker is seen. Only for tests/check live, which names this
file: it needs the plugin, NATLOCK_BUILD (sanitized) and NATLOCK_PLAIN (a build
folder that is not)."""
import json, os, pathlib, shutil
import pytest
import sanitized
from conftest import BIN, Gateway, program, wait_for

WORKERS = ["broker", "netstack", "natproxy", "dhcpd", "alg"]
FAULTS = {"heap": "heap-buffer-overflow", "static": "global-buffer-overflow", "undefined": "shift exponent 64 is too large"}


class Faulty(Gateway):
    """With a fault in its alg, so it need not come up."""

    def start(self):
        self.process = self.where.start(program("natlock"), "up", "-c", self.folder / "natlock.yaml", env=self.environment, stdout=self.output)

    def stop(self):
        self.end()


@pytest.fixture
def faulty(world, spawn, request):
    fault = request.param
    libexec = world.folder / f"libexec-{fault}"
    shutil.copytree(BIN.parent / "libexec/natlock", libexec)
    shutil.copy(pathlib.Path(os.environ["NATLOCK_BUILD"]) / f"tests/sanitize/natlock-alg-{fault}", libexec / "natlock-alg")
    gateway = Faulty(world, f"faulty-{fault}", guest=spawn.guest(fault), environment={"NATLOCK_LIBEXEC": str(libexec)})
    yield fault, gateway
    gateway.stop()
    sanitized.reports.take(world.folder)  # they were asked for


@pytest.mark.parametrize("faulty", FAULTS, indirect=True)
def test_a_fault_in_a_locked_worker_is_seen(world, faulty):
    fault, gateway = faulty
    text = ""

    def whole():
        nonlocal text
        text += sanitized.reports.take(world.folder)
        return "_start at" in sanitized.with_names(text)

    wait_for(whole, 20, "a report")
    named = sanitized.with_names(text)
    assert FAULTS[fault] in text and sanitized.REPORT.search(text)
    assert "commit at" in named and "planted.c" in named and "actor.c" in named, named
    wait_for(lambda: "the process alg ended with status 99" in gateway.text(), 5, "its end")


def test_every_process_is_sanitized(gateway):
    for name, row in gateway.processes().items():
        assert "libasan" in pathlib.Path(f"/proc/{row['pid']}/maps").read_text(), name


def test_nothing_else_is_different(gateway):
    """The audit compares with the product and finds what tests/sanitize says that it does, no more."""
    result = gateway.control("-o", "json", "policy", "audit", check=False)
    assert result.returncode == 7, result.stderr
    different = {process: set() for process in gateway.processes()}
    for row in json.loads(result.stdout)["items"]:
        if row["result"] != "ok":
            different[row["process"]].add(row["check"])
    for worker in WORKERS:
        assert different[worker] == {"filter", "root", "files in its root", "executable memory", "descriptor 2", "descriptors"}, worker
        mounts = [line.split()[5].split(",") for line in pathlib.Path(f"/proc/{gateway.processes()[worker]['pid']}/mountinfo").read_text().splitlines()]
        assert len(mounts) == 5 and all({"ro", "nosuid", "nodev"} <= set(options) for options in mounts), mounts
    assert different["supervisor"] == {"filter", "descriptor 200", "descriptors"}


def test_the_products_filters_are_the_same():
    """Those that a sanitized build links are, byte for byte, what any other build makes."""
    here, plain = (pathlib.Path(os.environ[b]) / "policy/policy_filters.c" for b in ("NATLOCK_BUILD", "NATLOCK_PLAIN"))
    assert here.read_bytes() == plain.read_bytes() and b"insns_alg" in here.read_bytes()

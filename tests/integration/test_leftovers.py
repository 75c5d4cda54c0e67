"""A run of these tests that was killed leaves nothing for ever: the next one clears it, and touches nobody else's."""
import os, pathlib, subprocess
import pytest
from conftest import PREFIX, alive, clear_leftovers, sh


@pytest.fixture
def namespace():
    """Makes one with a process and a resolv.conf, as a world has; both are taken away whoever is gone."""
    made = []

    def make(name):
        sh("ip", "netns", "add", name)
        folder = pathlib.Path("/etc/netns") / name
        folder.mkdir(parents=True)
        (folder / "resolv.conf").touch()
        made.append((name, folder, subprocess.Popen(["ip", "netns", "exec", name, "sleep", "600"])))
        return made[-1]

    yield make
    for name, folder, process in made:
        process.kill()
        process.wait()
        sh("ip", "netns", "del", name, check=False)
        sh("rm", "-rf", folder)


def test_only_what_a_dead_run_left_is_cleared(namespace):
    dead = subprocess.Popen(["true"])
    dead.wait()
    theirs, ours, others = (namespace(name) for name in (f"nl-p{dead.pid}-gw", f"{PREFIX}left", f"nl-{dead.pid}-gw"))
    clear_leftovers()
    for name, folder, process in (ours, others):
        assert os.path.exists(f"/run/netns/{name}") and folder.is_dir() and alive(process.pid), name
    assert not os.path.exists(f"/run/netns/{theirs[0]}") and not theirs[1].exists() and not alive(theirs[2].pid)

"""Every rule of stage run is used, those of stage rare that a test can bring about, and stage boot is what happens before the filter: tests of this suite, watched by ptrace.

natlock and natlockctl are replaced by scripts that start the real ones under tests/policy/trace.c, which writes down what they and all
their descendants ask of the kernel; tests/policy/use.c compares that with policy/*.policy. Where a rule is reported as unused: remove it,
or move it to 'stage rare' with what leads there, or name a test below that needs it.
"""
import os, pathlib, re, signal, subprocess, sys, tempfile
import pytest
from conftest import BIN, TOP

NAMES = ("broker", "netstack", "natproxy", "dhcpd", "alg", "supervisor", "ctl")
POLICIES = [TOP / f"policy/{name}.policy" for name in NAMES]
# Side by side, so that the machine does not wait for one. Together they need every rule; each is a test elsewhere, too.
RUNS = (
    ("test_faults.py::test_the_data_path_is_replaced_and_new_flows_work",
     "test_tcp.py::test_reset_from_the_guest_stays_a_reset", "test_tcp.py::test_guest_closes_first_then_hears_the_answer",
     "test_udp_icmp.py::test_mapping_is_endpoint_independent", "test_udp_icmp.py::test_ping_beyond_the_gateway_is_real",
     "test_udp_icmp.py::test_port_unreachable_reaches_the_guest", "test_conformance_ip.py::test_i6_a_connection_with_few_hops_left_stands",
     "test_control.py::test_nat_table_shows_a_live_session", "test_control.py::test_every_table_has_json", "test_control.py::test_who_may_do_what",
     "test_ftp.py::test_file_arrives_by_curl[PORT]", "test_ftp.py::test_file_arrives_by_curl[EPSV]", "test_alg_rcmd.py::test_many_in_a_row_with_few_ports", "test_alg_rcmd.py::test_a_natproxy_that_is_born_again_has_the_ports",
     "test_natlockctl.py::test_a_file_is_tested_with_the_rights_of_who_typed_it",
     "test_dns.py::test_long_answers_are_cut_by_udp_and_whole_by_tcp", "test_publish.py"),
    ("test_attach.py::test_netns_by_name_while_running", "test_attach.py::test_tap_of_the_host", "test_attach.py::test_veth",
     "test_attach.py::test_fd_of_a_stream_socket", "test_attach.py::test_a_port_whose_guest_left_is_forgotten", "test_attach.py::test_fd_of_a_datagram_socket",
     "test_log.py::test_the_journal_gets_fields", "test_log.py::test_a_day_begins_behind_the_supervisors_filter",
     "test_changes.py::test_a_value_is_changed_at_once_and_all_or_none", "test_changes.py::test_a_hub_is_added_by_reload_and_served",
     "test_log.py::test_a_log_that_was_deleted_is_made_again", "test_dns.py::test_a_file_that_vanishes_and_comes_back",
     "test_faults.py::test_a_parser_is_replaced_and_flows_go_on", "test_grant.py::test_a_port_comes_and_goes_while_natlock_runs",
     "test_nat_rules.py::test_a_natproxy_that_is_born_again_leaves_by_the_device_too",
     "test_nat_rules.py::test_a_device_that_goes_lets_nothing_out_and_is_used_again_when_it_is_back"),
)


def built(name):
    folders = [*([pathlib.Path(os.environ["NATLOCK_BUILD"])] if "NATLOCK_BUILD" in os.environ else []), *BIN.parents, TOP / "build"]
    found = [folder / "tests/policy" / name for folder in folders if os.access(folder / "tests/policy" / name, os.X_OK)]
    assert found, f"{name} is missing: set NATLOCK_BUILD to the build folder"
    return found[0]


def watched_programs(folder, calls):
    """A folder that can be NATLOCK_BIN. Clients of other users write to the same file."""
    folder.mkdir()
    calls.touch()
    calls.chmod(0o666)
    for name in ("natlock", "natlockctl"):
        command = [built("policy-trace"), calls, *POLICIES, "--", BIN / name]
        (folder / name).write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in command) + ' "$@"\n')
        (folder / name).chmod(0o755)


def watched(folder, tests):
    return subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], cwd=pathlib.Path(__file__).parent, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "NATLOCK_BIN": str(folder / "bin")})


@pytest.fixture(scope="module")
def calls():
    """What was asked of the kernel, and what pytest said of the tests that asked."""
    with tempfile.TemporaryDirectory(prefix="natlock-use-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # other users run natlockctl, too; pytest's own folders are closed to them
        watched_programs(folder / "bin", folder / "calls")
        running = [watched(folder, tests) for tests in RUNS]
        try:
            said = [process.communicate(timeout=300)[0] for process in running]
        finally:
            for process in running:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)  # pytest takes down what its fixtures made
                    process.wait(60)
        print("\n".join(said))
        yield folder / "calls", "\n".join(line for text in said for line in text.splitlines() if line.startswith(("FAILED", "ERROR")) or " passed" in line)


def judge(calls, policies=POLICIES):
    return subprocess.run([built("policy-use"), *policies, "--", calls], text=True, capture_output=True)


def spoilt(tmp_path, name, old, new):
    """The policies, one of them changed."""
    policy = tmp_path / f"{name}.policy"
    text = (TOP / f"policy/{name}.policy").read_text()
    assert len(re.findall(old, text, re.M)) >= 1, old
    policy.write_text(re.sub(old, new, text, count=1, flags=re.M))
    return [policy if path.name == policy.name else path for path in POLICIES]


def test_every_rule_is_used_and_boot_is_as_written(calls):
    answer = judge(calls[0])
    print(answer.stdout)
    assert answer.returncode == 0, f"{answer.stdout}{answer.stderr}\nThe tests that were watched:\n{calls[1]}"


# What was written down is the same for each; only the policy differs.
UNUSED = {
    "a call that nobody makes": ("alg", "^stage run$", "stage run\ngetppid * # chan_recv: planted", r"alg\.policy:\d+: nobody makes this call: getppid"),
    "a value of a list": ("natproxy", "SO_REUSEADDR, SO_LINGER", "SO_REUSEADDR, SO_LINGER, SO_KEEPALIVE", r"natproxy\.policy:\d+: nobody uses of setsockopt: optname SO_KEEPALIVE"),
    "a bit of a set": ("supervisor", r"prot in READ\|WRITE, flags = PRIVATE", "prot in READ|WRITE|0x1000000, flags = PRIVATE", r"nobody uses of mmap: prot 0x1000000"),
    "a descriptor": ("dhcpd", "^recvmsg    fd in CH_SUPER,", "recvmsg fd in EPOLL, CH_SUPER,", r"dhcpd\.policy:\d+: nobody uses of recvmsg: fd EPOLL"),
    "what nobody does before the filter": ("broker", "^stage boot$", "stage boot\nunlink * # broker_boot: planted", r"broker\.policy:\d+: nobody makes this call: unlink"),
}


@pytest.mark.parametrize("what", UNUSED)
def test_what_nobody_uses_is_named(calls, tmp_path, what):
    name, old, new, told = UNUSED[what]
    answer = judge(calls[0], spoilt(tmp_path, name, old, new))
    assert answer.returncode == 1 and re.search(told, answer.stdout), answer.stdout


UNLISTED = {
    "before the filter": ("netstack", r"^landlock_restrict_self .*\n", "", "netstack made landlock_restrict_self() before its filter, which no line of 'stage boot' tells"),
    "with another argument": ("natproxy", "^arch_prctl .*ARCH_SET_FS", "arch_prctl option = ARCH_CET_STATUS", "natproxy made arch_prctl(option 0x1002) before its filter"),
    "behind the filter": ("dhcpd", r"^sendmsg    fd in CH_SUPER, CH_BROKER", "sendmsg fd = CH_SUPER", "dhcpd made sendmsg(fd 0x4) behind its filter, which does not allow it"),
}


@pytest.mark.parametrize("when", UNLISTED)
def test_what_no_line_tells_is_named(calls, tmp_path, when):
    name, old, new, told = UNLISTED[when]
    answer = judge(calls[0], spoilt(tmp_path, name, old, new))
    assert answer.returncode == 1 and told in answer.stdout, answer.stdout


def test_a_process_that_was_not_seen_is_named(calls, tmp_path):
    """A trace of nothing proves nothing."""
    without = tmp_path / "calls"
    without.write_text("".join(line for line in open(calls[0]) if not line.startswith("alg run")))
    answer = judge(without)
    assert answer.returncode == 1 and "alg.policy: alg was never seen behind its filter" in answer.stdout

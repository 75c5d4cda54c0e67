/* The launcher as its user sees it, with fake workers: exit codes, signals, leftovers, restarts. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"

enum { ORDINARY_UID = 64999 };

/* Runs a shell line as an ordinary user with a runtime folder of its own; its exit status. */
static int shell_as(uid_t uid, const char *line)
{
	char folder[] = "/tmp/natlock-test-XXXXXX", command[64];
	int status;
	pid_t pid;

	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chmod(folder, 0700) | chown(folder, uid, uid), 0);
	pid = fork();
	if (pid == 0) {
		setenv("NATLOCK_LIBEXEC", FAKE_WORKERS, 1);
		setenv("XDG_RUNTIME_DIR", folder, 1);
		setenv("XDG_STATE_HOME", folder, 1);
		setenv("N", NATLOCK_BINARY, 1);
		close_range(3, ~0U, 0); /* those of the test runner */
		if (setgid(uid) < 0 || setuid(uid) < 0)
			_exit(99);
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(98);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int shell(const char *line)
{
	return shell_as(geteuid() == 0 ? ORDINARY_UID : geteuid(), line);
}

Test(natlock, the_programs_status_is_ours)
{
	cr_assert_eq(shell("$N run -- true"), 0);
	cr_assert_eq(shell("$N run -- sh -c 'exit 7'"), 7);
	cr_assert_eq(shell("$N run -- sh -c 'kill -TERM $$'"), 128 + SIGTERM);
	cr_assert_eq(shell("$N run -- /nowhere/at/all 2>/dev/null"), 127);
	cr_assert_eq(shell("$N run -- /etc/passwd 2>/dev/null"), 126);
	cr_assert_eq(shell("$N run --mtu 1 -- true 2>/dev/null"), 125);
	cr_assert_eq(shell("NATLOCK_LIBEXEC=/nowhere $N run -- true 2>/dev/null"), 125);
}

Test(natlock, the_guest_is_set_up)
{
	cr_assert_eq(shell("$N run -- sh -c 'ip -4 -o addr show eth0 | grep -q 192.168.30.10/24 && "
			   "ip route | grep -q \"default via 192.168.30.1\" && "
			   "grep -qx \"nameserver 192.168.30.1\" /etc/resolv.conf && ip link show "
			   "lo | grep -q LOWER_UP'"),
		0);
	cr_assert_eq(
		shell("$N run --subnet 10.66.0.0/16 --mtu 9000 -- sh -c 'ip -4 -o addr show eth0 | "
		      "grep -q 10.66.0.10/16 && ip link show eth0 | grep -q \"mtu 9000\"'"),
		0);
}

Test(natlock, the_program_keeps_its_descriptors_and_signals)
{
	cr_assert_eq(shell("echo in | $N run -- sh -c 'read x; test $x = in'"), 0);
	cr_assert_eq(shell("$N run -- sh -c 'test \"$(grep SigBlk /proc/self/status | cut -f2)\" = "
			   "0000000000000000'"),
		0);
	cr_assert_eq(shell("$N run -- sh -c 'ls /proc/self/fd | wc -l | grep -qx 4'"), 0,
		"0, 1, 2 and the folder itself");
}

Test(natlock, signals_are_passed_on)
{
	cr_assert_eq(shell("$N run -- sh -c 'trap \"exit 9\" USR1; sleep 5 & wait' & sleep 0.5; "
			   "kill -USR1 $!; wait $!"),
		9);
	cr_assert_eq(shell("$N run -- sleep 5 & sleep 0.5; kill -TERM $!; wait $!"), 128 + SIGTERM);
}

Test(natlock, ready_is_told)
{
	cr_assert_eq(shell("mkfifo $XDG_RUNTIME_DIR/r; $N run --ready-fd 9 -- sleep 0.2 "
			   "9>$XDG_RUNTIME_DIR/r & read x <$XDG_RUNTIME_DIR/r; test $x = ready && "
			   "wait $!"),
		0);
}

Test(natlock, nothing_is_left)
{
	cr_assert_eq(shell("$N run -- true; test -z \"$(ls $XDG_RUNTIME_DIR/natlock)\""), 0);
	cr_assert_eq(shell("$N run -- sleep 60 & sleep 0.5; kids=$(ps -o pid= --ppid $!); kill "
			   "-KILL $!; sleep 0.5; "
			   "for p in $kids; do case $(ps -o stat= -p $p) in ''|Z*) ;; *) exit 1;; "
			   "esac; done; "
			   "test -n \"$kids\""),
		0, "after kill -9");
}

Test(natlock, a_dead_worker_is_replaced)
{
	cr_assert_eq(shell("$N run -- sleep 60 & sleep 0.5; one=$(ps -o pid= --ppid $! | sort); "
			   "for p in $one; do "
			   "case $(tr -d '\\0' </proc/$p/cmdline) in netstack|alg) kill -KILL $p;; "
			   "esac; done; sleep 1; "
			   "two=$(ps -o pid= --ppid $! | sort); kill -TERM $!; wait $!; "
			   "test $(echo \"$one\" | wc -l) = $(echo \"$two\" | wc -l) && test "
			   "\"$one\" != \"$two\""),
		0);
}

Test(natlock, a_worker_behind_another_filter_is_not_started)
{
	cr_assert_eq(
		shell("d=$XDG_RUNTIME_DIR/liars; mkdir $d && cp $NATLOCK_LIBEXEC/natlock-* $d && "
		      "cp "
		      "$NATLOCK_LIBEXEC/fake_liar $d/natlock-alg && NATLOCK_LIBEXEC=$d $N run -- "
		      "touch "
		      "$XDG_RUNTIME_DIR/ran 2>$XDG_RUNTIME_DIR/err; test $? = 125 && test ! -e "
		      "$XDG_RUNTIME_DIR/ran && grep -q 'alg was ended by signal 9 before it was "
		      "ready: it is "
		      "not behind the filter' $XDG_RUNTIME_DIR/err"),
		0);
}

Test(natlock, what_a_killed_one_left_is_cleared_by_the_next)
{
	cr_assert_eq(shell("d=$XDG_RUNTIME_DIR/natlock; $N run -- sleep 60 & sleep 0.5; kill -KILL "
			   "$!; wait $! "
			   "2>/dev/null; sleep 0.3; test -S $d/run-$! && test -S $d/admin-run-$! "
			   "&& test -f "
			   "$d/resolv-$! && $N run -- true && test -z \"$(ls $d)\""),
		0);
}

Test(natlock, up_serves_and_drains)
{
	cr_assert_eq(shell("$N up 2>$XDG_RUNTIME_DIR/err & sleep 0.7; test -S "
			   "$XDG_RUNTIME_DIR/natlock/api && $N up 2>&1 | grep -q 'runs already' && "
			   "kill -TERM $! && wait $! && test ! -e $XDG_RUNTIME_DIR/natlock/api && "
			   "ls $XDG_RUNTIME_DIR/natlock/leases-default"),
		0);
	cr_assert_eq(shell("$N up --hub nope 2>/dev/null"), 6);
	cr_assert_eq(shell("$N attach fd:0 2>/dev/null"), 3);
}

Test(natlock, a_qemu_socket_is_attached)
{
	cr_assert_eq(
		shell("$N up 2>/dev/null & sleep 0.7; $N attach qemu:$XDG_RUNTIME_DIR/q | grep -q "
		      "waiting && test -S $XDG_RUNTIME_DIR/q; r=$?; kill $!; wait $!; exit $r"),
		0);
	cr_assert_eq(shell("$N up 2>/dev/null & sleep 0.7; $N attach fd:0 </dev/null 2>&1 | grep "
			   "-q 'cannot be a port'; r=$?; kill $!; wait $!; exit $r"),
		0);
}

Test(natlock, run_as_root_gives_up_root)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(shell_as(0, "$N run -- sleep 60 & sleep 0.7; ok=0; for p in $! $(ps -o pid= "
				 "--ppid $!); do "
				 "n=$(tr -d '\\0' </proc/$p/cmdline); u=$(awk '/^Uid/ {print $2}' "
				 "/proc/$p/status); "
				 "case $n in *run--sleep60) test $p != $! || test $u != 0 || "
				 "ok=1;; *) test $u != 0 || ok=1;; esac; done; "
				 "kill -TERM $!; wait $!; test $? = 143 && exit $ok"),
		0);
}

/* policy/audit/look.c, descriptors.c, layers.c, stop.c: at this process and its children, where we know what must be found. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "layers.h"
#include "look.h"
#include "stop.h"

static struct found f;

Test(look, ourselves)
{
	struct look_programs none = {.fd = {-1, -1, -1, -1, -1, -1}};
	unsigned int i;

	setenv("SOMETHING", "is here", 1);
	f = (struct found){.pid = getpid(), .kind = FOUND_SUPERVISOR};
	look_at(&f, &none);
	cr_expect_eq(f.status_error, 0);
	cr_expect_eq(f.status.parent, getppid());
	for (i = 0; i < FOUND_NAMESPACES; i++)
		cr_expect(f.namespace_error[i] == 0 && f.namespace_inode[i] != 0);
	cr_expect(f.root_error == 0 && f.root.mounts > 0 && f.root_listed_error == 0 &&
		  !f.root_is_empty);
	cr_expect(f.environment_error == 0 && f.environment_bytes > 0);
	cr_expect(f.limits_error == 0 && f.limit[FOUND_NOFILE].known &&
		  f.limit[FOUND_NOFILE].hard > 0);
	cr_expect(f.maps_error == 0 && f.mappings > 0);
	cr_expect(f.dumpable_error == 0 && (f.is_dumpable || geteuid() == 0));
	cr_expect(f.fds_error == 0 && f.fds >= 3);
	cr_expect_not(f.is_installed_file);
	cr_expect_not(f.gone);
	look_free(&f);
}

Test(look, nobody)
{
	struct look_programs none = {.fd = {-1, -1, -1, -1, -1, -1}};

	f = (struct found){.pid = 0x3ffffff0};
	look_at(&f, &none);
	cr_expect_eq(f.status_error, ENOENT);
}

/* Ended, but nobody has asked yet: its descriptors are gone, which is no drift. */
Test(look, a_zombie)
{
	struct look_programs none = {.fd = {-1, -1, -1, -1, -1, -1}};
	pid_t pid = fork();
	siginfo_t info;

	if (pid == 0)
		_exit(0);
	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	f = (struct found){.pid = pid, .kind = FOUND_SUPERVISOR};
	look_at(&f, &none);
	cr_expect(f.gone);
	look_free(&f);
	waitpid(pid, NULL, 0);
}

static enum found_kind kind_at(int number)
{
	unsigned int i;

	for (i = 0; i < f.fds; i++)
		if (f.fd[i].number == number)
			return f.fd[i].kind;
	return FOUND_KINDS;
}

Test(look, kinds_of_descriptors)
{
	int pair[2], seqpacket[2];

	cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 &&
		  socketpair(AF_UNIX, SOCK_SEQPACKET, 0, seqpacket) == 0);
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY),
	    folder = open("/", O_RDONLY | O_DIRECTORY), file = open("/proc/self/exe", O_RDONLY);
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0),
	    tcp6 = socket(AF_INET6, SOCK_STREAM, 0),
	    route = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
	    filter = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	int epoll = epoll_create1(0), event = eventfd(0, 0), memfd = memfd_create("x", 0),
	    pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	f = (struct found){.pid = getpid(), .kind = FOUND_SUPERVISOR};
	f.status.fd_slots = 128;
	descriptors_look(&f);
	cr_assert_eq(f.fds_error, 0);
	cr_expect_eq(kind_at(pair[0]), FOUND_STREAM);
	cr_expect_eq(kind_at(seqpacket[1]), FOUND_CHANNEL);
	cr_expect_eq(kind_at(null), FOUND_NULL);
	cr_expect_eq(kind_at(zero), FOUND_OTHER);
	cr_expect_eq(kind_at(folder), FOUND_FOLDER);
	cr_expect_eq(kind_at(file), FOUND_FILE);
	cr_expect_eq(kind_at(tcp), FOUND_TCP);
	cr_expect_eq(kind_at(udp), FOUND_UDP);
	cr_expect_eq(kind_at(route), FOUND_NETLINK);
	cr_expect_eq(kind_at(filter), FOUND_NETFILTER);
	cr_expect(tcp6 < 0 || kind_at(tcp6) == FOUND_OTHER);
	cr_expect_eq(kind_at(epoll), FOUND_EPOLL);
	cr_expect_eq(kind_at(event), FOUND_EVENT);
	cr_expect_eq(kind_at(memfd), FOUND_MEMFD);
	cr_expect_eq(kind_at(pidfd), FOUND_ANONYMOUS);
	cr_expect_eq(kind_at(100), FOUND_KINDS);
	cr_expect_eq(eventfd(0, 0), pidfd + 1, "no copy is left behind");
	look_free(&f);
}

/* A raw socket behind this filter: what it is to the auditor. */
static enum found_kind raw_kind_of(
	int protocol, struct sock_filter *insns, unsigned short count, int lock)
{
	const struct sock_fprog program = {count, insns};
	const int fd = socket(AF_INET, SOCK_RAW, protocol);
	enum found_kind kind;

	if (fd < 0)
		cr_skip_test("no raw sockets here");
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &lock, sizeof(lock)), 0);
	f = (struct found){.pid = getpid(), .kind = FOUND_SUPERVISOR};
	f.status.fd_slots = 128;
	descriptors_look(&f);
	kind = kind_at(fd);
	look_free(&f);
	close(fd);
	return kind;
}

static enum found_kind raw_kind(struct sock_filter *insns, unsigned short count, int lock)
{
	return raw_kind_of(IPPROTO_ICMP, insns, count, lock);
}

/* The socket of supervisor/grant_echo.c, as tests/integration/test_grant.py finds it, and what is not it. */
Test(look, raw_sockets_go_by_their_filter)
{
	struct sock_filter echo[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x45, 0, 7),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 24),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 1024, 0, 3),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1535, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_RET | BPF_A, 0),
		BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 65535)};

	cr_expect_eq(raw_kind(echo, 10, 1), FOUND_RAW_ECHO);
	cr_expect_eq(raw_kind(echo, 10, 0), FOUND_OTHER, "it could be taken off");
	cr_expect_eq(raw_kind(all, 1, 1), FOUND_OTHER);
	echo[6].k = 65535;
	cr_expect_eq(raw_kind(echo, 10, 1), FOUND_OTHER, "others' identifiers");
	echo[6].k = 1535;
	echo[9].k = 1;
	cr_expect_eq(raw_kind(echo, 10, 1), FOUND_OTHER, "other messages");
	echo[9].k = 0;
	cr_expect_eq(raw_kind_of(IPPROTO_ESP, echo, 10, 1), FOUND_OTHER, "of another protocol");
}

/* The socket of supervisor/grant_ipsec.c, and what is not it. */
Test(look, raw_esp_goes_by_its_filter)
{
	struct sock_filter esp[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x45, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 24), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0), BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_RET | BPF_A, 0), BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 65535)};
	struct sock_filter long_one[32];

	for (unsigned int i = 0; i < 32; i++)
		long_one[i] = all[0];
	cr_expect_eq(raw_kind_of(IPPROTO_ESP, esp, 8, 1), FOUND_RAW_ESP);
	cr_expect_eq(raw_kind_of(IPPROTO_ESP, esp, 8, 0), FOUND_OTHER, "it could be taken off");
	cr_expect_eq(raw_kind_of(IPPROTO_ESP, esp, 9, 1), FOUND_OTHER, "an instruction more");
	cr_expect_eq(raw_kind_of(IPPROTO_ESP, all, 1, 1), FOUND_OTHER);
	cr_expect_eq(raw_kind_of(IPPROTO_ESP, long_one, 32, 1), FOUND_OTHER, "more than fits");
	cr_expect_eq(raw_kind_of(IPPROTO_ICMP, esp, 8, 1), FOUND_OTHER, "of another protocol");
	cr_expect_eq(raw_kind_of(51, esp, 8, 1), FOUND_OTHER, "AH");
	esp[1].k = 0x46;
	cr_expect_eq(raw_kind_of(IPPROTO_ESP, esp, 8, 1), FOUND_OTHER, "IP options");
	esp[1].k = 0x45;
	esp[7].k = 1;
	cr_expect_eq(raw_kind_of(IPPROTO_ESP, esp, 8, 1), FOUND_OTHER, "the rest of a packet");
}

static void add_filter(uint32_t answer)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, answer), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {4, insns};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		_exit(1);
}

/* A child that waits for ever in epoll_wait, behind `filters` filters. */
static pid_t waiting_child(unsigned int filters)
{
	struct epoll_event event;
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (filters > 0)
			add_filter(SECCOMP_RET_ERRNO | 71);
		if (filters > 1)
			add_filter(SECCOMP_RET_ERRNO | 72);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			epoll_wait(epoll_create1(0), &event, 1, -1);
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	return pid;
}

static char state_of(pid_t pid)
{
	char text[1024];

	return look_text(pid, "stat", text, sizeof(text)) > 0 ? strrchr(text, ')')[2] : '?';
}

static bool has_answer(uint32_t data)
{
	unsigned int i;

	for (i = 0; i < f.layers; i++)
		if (f.layer[i].count == 4 && f.layer[i].insns[2].k == (SECCOMP_RET_ERRNO | data))
			return true;
	return false;
}

static void look_at_layers(pid_t pid)
{
	struct found self;

	f = (struct found){.pid = pid};
	look_at_self(&self);
	if (layers_allowed(&self.status))
		cr_skip_test("needs root without a filter of its own");
	layers_look(&f);
}

Test(layers, none_one_two)
{
	unsigned int n;

	for (n = 0; n < 3; n++) {
		pid_t pid = waiting_child(n);

		look_at_layers(pid);
		cr_expect_eq(f.layers_error, 0);
		cr_expect_eq(f.layers, n);
		cr_expect(n < 1 || has_answer(71));
		cr_expect(n < 2 || has_answer(72));
		cr_expect(f.stopped_ns > 0 && f.stopped_ns < 1000000000);
		cr_expect_neq(state_of(pid), 't', "it goes on");
		look_free(&f);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

/* A worker may close what is not fixed for life, so it stands still while that is copied. */
Test(descriptors, of_a_worker_that_may_close_them)
{
	int event = eventfd(0, 0), copy;
	pid_t pid;

	cr_assert_geq(fcntl(event, F_DUPFD, 5000), 5000);
	pid = waiting_child(0);
	f = (struct found){.pid = pid, .kind = ACTOR_ALG};
	f.status.fd_slots = 8192;
	descriptors_look(&f);
	cr_assert_eq(f.fds_error, 0);
	cr_expect_eq(kind_at(event), FOUND_EVENT);
	cr_expect_eq(kind_at(5000), FOUND_EVENT);
	cr_expect(f.stopped_ns > 0 && f.stopped_ns < 1000000000);
	cr_expect_neq(state_of(pid), 't', "it goes on");
	copy = eventfd(0, 0);
	cr_expect_lt(copy, 100, "no copy is left behind");
	look_free(&f);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(stop, nobody_and_somebody)
{
	struct stop s;
	pid_t pid = waiting_child(0);

	cr_expect_eq(stop_begin(&s, 0x3ffffff0), ESRCH);
	cr_assert_eq(stop_begin(&s, pid), 0);
	cr_expect_eq(state_of(pid), 't');
	cr_expect_gt(stop_end(&s), 0);
	cr_expect_neq(state_of(pid), 't');
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect_eq(stop_begin(&s, pid), ESRCH);
}

/* Our death lets it go on. */
Test(stop, is_over_when_we_are)
{
	struct stop s;
	pid_t pid = waiting_child(0), auditor = fork();

	if (auditor == 0) {
		(void)!stop_begin(&s, pid);
		kill(getpid(), SIGKILL);
	}
	waitpid(auditor, NULL, 0);
	/* it runs for a moment before it sleeps again; who was left stopped never does */
	for (int i = 0; i < 1000 && state_of(pid) != 'S'; i++)
		usleep(1000);
	cr_expect_eq(state_of(pid), 'S');
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(layers, of_nobody)
{
	look_at_layers(0x3ffffff0);
	cr_expect_eq(f.layers_error, ESRCH);
}

Test(layers, who_may)
{
	struct found_status s = {.capabilities = {[FOUND_EFFECTIVE] = UINT64_C(1) << 21}};

	cr_expect_eq(layers_allowed(&s), 0);
	s.seccomp = 2;
	cr_expect_eq(layers_allowed(&s), EBUSY);
	s.capabilities[FOUND_EFFECTIVE] = 0;
	cr_expect_eq(layers_allowed(&s), EPERM);
}

/*
 * Theory of operation.
 *
 *   we                      victim (clone3: every namespace but that of users, because root's
 *                           power is part of the control)
 *                             /tmp becomes an empty tmpfs; loopback comes up
 *                             descriptors take their numbers
 *                             forks the bystander, pid 2
 *     ready ◀──────────────── one byte
 *     seize it                waits in epoll_wait, as a worker does
 *
 * What it has lies in its namespaces and ends with it.
 */
#include "victim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOW_PAGE = 0x10000, PAGE = 4096, SPARE = 100 };

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "inject: the control's place: %s: %s\n", what, strerror(errno));
	_exit(EXIT_FAILURE);
}

static int must(int result, const char *what)
{
	if (result < 0)
		fail(what);
	return result;
}

/* Moves a descriptor to its number, by way of one that none of them has. */
static void place(int fd, enum victim_fd number)
{
	if (fd == (int)number)
		return;
	must(dup2(fd, (int)number), "dup2");
	close(fd);
}

static void spare(int fd[2])
{
	for (int i = 0; i < 2; i++) {
		int high = must(fcntl(fd[i], F_DUPFD, SPARE), "fcntl");

		close(fd[i]);
		fd[i] = high;
	}
}

static void write_text(const char *path, const char *text)
{
	int fd = must(open(path, O_WRONLY | O_CREAT, 0600), path);

	must((int)write(fd, text, strlen(text)), path);
	close(fd);
}

static void prepare_files(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
	must(mount("none", "/tmp", "tmpfs", 0, NULL), "tmpfs");
	must(mkdir(VICTIM_TMP, 0700), VICTIM_TMP);
	must(mkdir(VICTIM_TMP "folder", 0700), "folder");
	must(mkdir(VICTIM_TMP "root", 0700), "root");
	must(mount("none", VICTIM_TMP "root", "tmpfs", 0, NULL), "tmpfs");
	must(mkdir(VICTIM_TMP "root/old", 0700), "old");
	must(symlink("file", VICTIM_TMP "link"), "link");
	write_text(VICTIM_TMP "file", "something");
	place(must(open(VICTIM_TMP "file", O_RDWR), "file"), VICTIM_FILE);
	place(must(open("/", O_RDONLY | O_DIRECTORY), "/"), VICTIM_FOLDER);
}

static void pair_at(int type, enum victim_fd number, const char *record)
{
	int pair[2];

	must(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, pair), "socketpair");
	spare(pair);
	place(pair[0], number);
	must((int)write(pair[1], record, strlen(record)), "write");
}

static void prepare_tcp(void)
{
	const struct sockaddr_in here = {.sin_family = AF_INET,
		.sin_port = htons(VICTIM_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd[2];

	for (int i = 0; i < 2; i++)
		fd[i] = must(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), "socket");
	spare(fd);
	place(must(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP), "socket"), VICTIM_UDP);
	must(bind(fd[0], (const struct sockaddr *)&here, sizeof(here)), "bind");
	must(listen(fd[0], 1), "listen");
	must(connect(fd[1], (const struct sockaddr *)&here, sizeof(here)), "connect");
	place(fd[0], VICTIM_LISTENER);
	place(fd[1], VICTIM_TCP);
}

/* A listener whose name is not in the file system. */
static void prepare_abstract(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "\0natlock-escape"};
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");

	must(bind(fd, (struct sockaddr *)&at, sizeof(at)), "bind");
	must(listen(fd, 1), "listen");
	must(fcntl(fd, F_DUPFD, SPARE), "fcntl");
	close(fd);
	place(must(socket(AF_UNIX, SOCK_STREAM, 0), "socket"), VICTIM_UNIX);
}

static void prepare_network(void)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	struct ifreq tap = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");

	must(ioctl(fd, SIOCSIFFLAGS, &loopback), "loopback");
	close(fd);
	write_text("/proc/sys/net/ipv4/ping_group_range", "0 0");
	place(must(open("/dev/net/tun", O_RDWR), "/dev/net/tun"), VICTIM_TUN);
	place(must(open("/dev/net/tun", O_RDWR), "/dev/net/tun"), VICTIM_TAP);
	must(ioctl(VICTIM_TAP, TUNSETIFF, &tap), "TAP");
	place(must(open("/proc/self/ns/net", O_RDONLY), "network namespace"), VICTIM_NETWORK);
	prepare_tcp();
	prepare_abstract();
}

static void prepare_terminal(void)
{
	int fd[2] = {must(posix_openpt(O_RDWR | O_NOCTTY), "terminal"), -1};

	must(unlockpt(fd[0]), "terminal");
	fd[1] = must(ioctl(fd[0], TIOCGPTPEER, O_RDWR | O_NOCTTY), "terminal");
	spare(fd);
	place(fd[1], VICTIM_TERMINAL);
}

static void prepare_others(void)
{
	const struct landlock_ruleset_attr rules = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE};
	int pipes[2];

	must(pipe(pipes), "pipe");
	spare(pipes);
	place(pipes[0], VICTIM_PIPE_OUT);
	place(pipes[1], VICTIM_PIPE_IN);
	must((int)write(VICTIM_PIPE_IN, "bytes", 5), "write");
	place(must(epoll_create1(0), "epoll"), VICTIM_EPOLL);
	place(must(epoll_create1(0), "epoll"), VICTIM_EPOLL_2);
	place(must((int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0), "Landlock"),
		VICTIM_RULESET);
	if (mmap((void *)(uintptr_t)LOW_PAGE, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		fail("a page at a low address");
}

static void prepare_bystander(void)
{
	pid_t pid = must(fork(), "fork");

	if (pid == 0)
		for (;;)
			pause();
	place(must((int)syscall(SYS_pidfd_open, pid, 0), "pidfd_open"), VICTIM_PIDFD);
}

static void __attribute__((noreturn)) live(int ready)
{
	struct epoll_event event;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	must(dup2(ready, SPARE - 1), "dup2");
	close_range(3, SPARE - 2, 0);
	write_text("/proc/self/oom_score_adj", "1000");
	/* The kernel's words about its own names are in the host's /proc still: pids differ there. */
	prepare_files();
	prepare_network();
	prepare_terminal();
	prepare_others();
	pair_at(SOCK_SEQPACKET, VICTIM_CHANNEL, "record");
	pair_at(SOCK_STREAM, VICTIM_PLACEHOLDER, "bytes");
	prepare_bystander();
	must((int)write(SPARE - 1, "r", 1), "ready");
	for (;;)
		epoll_wait(VICTIM_EPOLL, &event, 1, -1);
}

pid_t victim_begin(void)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC |
			 CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
	};
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		live(ready[1]);
	int error = errno;
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1) {
		victim_end(pid);
		pid = -1, error = ECANCELED;
	}
	close(ready[0]);
	return pid < 0 ? -error : pid;
}

void victim_end(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

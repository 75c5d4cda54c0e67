/*
 * Theory of operation.
 *
 *   supervisor                      keeper                                  program
 *     clone3(user, net, mnt)
 *     writes the maps
 *     "m" ────────────────────────▶ binds resolv.conf
 *     ◀──────────────────────── "r" waits for orders
 *     … the interface is made, workers are started …
 *     0 ──────────────────────────▶ fork ─────────────────────────────────▶ exec
 *     signal number ──────────────▶ kill ─────────────────────────────────▶
 *     ◀───────────────── ends with the program's status ◀───────────────── ends
 *     (end of file: the supervisor is gone) ─▶ SIGKILL ───────────────────▶
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "guest.h"
#include "spawn.h"

size_t guest_identity_map(const char *own, char *out, size_t cap)
{
	unsigned long inside, outside, count;
	size_t n = 0;
	int used;

	out[0] = '\0';
	while (sscanf(own, "%lu %lu %lu%n", &inside, &outside, &count, &used) == 3) {
		int line = snprintf(out + n, cap - n, "%lu %lu %lu\n", inside, inside, count);

		if (line < 0 || (size_t)line >= cap - n)
			return 0;
		n += (size_t)line;
		own += used;
	}
	return n;
}

static void program(const struct guest_order *order)
{
	int number;

	for (number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, order->signals, NULL);
	execvp(order->argv[0], order->argv);
	say("%s: %s", order->argv[0], strerror(errno));
	_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

/* Orders while the program runs; returns its status. */
static int keep(int orders, int pid, int pidfd)
{
	struct pollfd wait[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = orders, .events = POLLIN}};

	while (poll(wait, 2, -1) < 0 || !wait[0].revents) {
		uint8_t order;

		if (!wait[1].revents)
			continue;
		if (read(orders, &order, 1) == 1) {
			kill(pid, order);
			continue;
		}
		kill(pid, SIGKILL);
		wait[1].fd = -1;
	}
	return spawn_wait(pidfd);
}

/* The guest's resolver is the gateway. Without an /etc/resolv.conf to cover there is nothing to do.
 */
static void bind_resolv_conf(const char *file)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 || !file)
		return;
	if (mount(file, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
		say("cannot give the guest its /etc/resolv.conf: %s", strerror(errno));
}

static void keeper(int orders, const struct guest_order *order)
{
	uint8_t go = 1;
	int pidfd = -1;
	pid_t pid;

	prctl(PR_SET_NAME, "natlock-keeper");
	if (order->ready_fd >= 0)
		close(order->ready_fd);
	if (read(orders, &go, 1) != 1)
		_exit(EXIT_GATEWAY);
	bind_resolv_conf(order->resolv_conf);
	if (write(orders, "r", 1) != 1)
		_exit(EXIT_GATEWAY);
	/* Signals before the beginning end the wait; there is nobody to pass them to. */
	if (read(orders, &go, 1) != 1 || go != 0)
		_exit(go > 0 && go < NSIG ? 128 + go : EXIT_GATEWAY);
	pid = spawn_clone(0, &pidfd);
	if (pid == 0)
		program(order);
	_exit(pid < 0 ? EXIT_GATEWAY : keep(orders, pid, pidfd));
}

static int write_map(pid_t pid, const char *file, const char *own_file, unsigned int own_id)
{
	char path[64], own[FILES_TEXT], map[FILES_TEXT];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	if (geteuid() == 0 && files_read(own_file, own, sizeof(own)) > 0 &&
		guest_identity_map(own, map, sizeof(map)) > 0 && files_write(path, map) == 0)
		return 0;
	snprintf(map, sizeof(map), "0 %u 1\n", own_id);
	return files_write(path, map);
}

static int write_maps(pid_t pid)
{
	char path[64];
	int error;

	if (geteuid() != 0) {
		snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
		error = files_write(path, "deny");
		if (error < 0)
			return error;
	}
	error = write_map(pid, "gid_map", "/proc/self/gid_map", getegid());
	return error < 0 ? error : write_map(pid, "uid_map", "/proc/self/uid_map", geteuid());
}

static int open_namespace(pid_t pid, const char *which)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, which);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int handshake(struct guest *g)
{
	char ready;
	int error = write_maps(g->pid);

	if (error < 0)
		return error;
	if (write(g->order_fd, "m", 1) != 1 || read(g->order_fd, &ready, 1) != 1)
		return -EIO;
	g->user_ns = open_namespace(g->pid, "user");
	g->net_ns = open_namespace(g->pid, "net");
	return g->user_ns < 0 || g->net_ns < 0 ? -errno : 0;
}

int guest_open(struct guest *g, const struct guest_order *order, struct trouble *t)
{
	int pair[2], error;

	*g = (struct guest){.pidfd = -1, .order_fd = -1, .user_ns = -1, .net_ns = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return trouble(t, EXIT_GATEWAY, "E0305", "cannot make a socket pair");
	g->pid = spawn_clone(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS, &g->pidfd);
	if (g->pid == 0) {
		close(pair[0]);
		keeper(pair[1], order);
	}
	error = g->pid < 0 ? -errno : 0;
	close(pair[1]);
	g->order_fd = pair[0];
	if (error == 0)
		error = handshake(g);
	if (error == 0)
		return 0;
	guest_end(g);
	trouble(t, EXIT_GATEWAY, "E0306", "cannot make the guest's namespaces");
	trouble_cause(t, "%s", strerror(-error));
	return trouble_fix(t, "See: natlock doctor");
}

void guest_close_namespaces(struct guest *g)
{
	if (g->user_ns >= 0)
		close(g->user_ns);
	if (g->net_ns >= 0)
		close(g->net_ns);
	g->user_ns = g->net_ns = -1;
}

void guest_signal(struct guest *g, int number)
{
	uint8_t order = (uint8_t)number;

	/* SIGPIPE is ignored; a keeper that is gone needs no order. */
	if (g->order_fd >= 0)
		(void)!write(g->order_fd, &order, 1);
}

void guest_begin(struct guest *g)
{
	guest_signal(g, 0);
}

int guest_status(struct guest *g)
{
	int status = spawn_wait(g->pidfd);

	close(g->order_fd);
	g->pidfd = g->order_fd = -1;
	return status;
}

void guest_end(struct guest *g)
{
	guest_close_namespaces(g);
	if (g->order_fd >= 0)
		close(g->order_fd);
	g->order_fd = -1;
	if (g->pidfd >= 0)
		spawn_wait(g->pidfd);
	g->pidfd = -1;
}

/* policy/audit/peers.c: pairs that we made ourselves, here and in a network namespace of their own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "look.h"
#include "peers.h"

static struct found process[1];
static struct compare_crew crew = {.process = process, .count = 1};

static uint64_t inode_of(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

static uint64_t peer_of(uint64_t inode)
{
	unsigned int i;

	for (i = 0; i < crew.pairs; i++)
		if (crew.pair[i].inode == inode)
			return crew.pair[i].peer;
	return 0;
}

static void look(pid_t pid)
{
	struct look_programs none = {.fd = {-1, -1, -1, -1, -1, -1}};

	process[0] = (struct found){.pid = pid, .kind = FOUND_SUPERVISOR};
	look_at(&process[0], &none);
	look_at_self(&crew.operator);
	peers_look(&crew, pid);
}

static void expect_ours(const int pair[2])
{
	unsigned int i;

	cr_assert_eq(crew.pairs_error, 0);
	cr_expect_eq(peer_of(inode_of(pair[0])), inode_of(pair[1]));
	cr_expect_eq(peer_of(inode_of(pair[1])), inode_of(pair[0]));
	for (i = 1; i < crew.pairs; i++)
		cr_expect_lt(crew.pair[i - 1].inode, crew.pair[i].inode);
}

Test(peers, of_this_namespace)
{
	int pair[400][2], i;

	for (i = 0; i < 400; i++) /* more than one answer of the kernel holds */
		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair[i]), 0);
	look(getpid());
	for (i = 0; i < 400; i += 100)
		expect_ours(pair[i]);
	close(pair[0][1]);
	peers_free(&crew);
	look_free(&process[0]);
	look(getpid());
	cr_expect_eq(peer_of(inode_of(pair[0][0])), 0, "its other end is closed");
	peers_free(&crew);
	look_free(&process[0]);
}

Test(peers, of_another_namespace)
{
	int pair[2], ready[2];
	struct stat before, after;
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	cr_assert_eq(stat("/proc/self/ns/net", &before), 0);
	pid = fork();
	if (pid == 0) {
		/* In a user namespace first: so it works for everybody. */
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	look(pid);
	cr_expect(crew.pairs_error == (geteuid() == 0 ? 0 : EPERM), "%d", crew.pairs_error);
	cr_expect_eq(peer_of(inode_of(pair[0])), 0, "ours is not in that one");
	cr_assert_eq(stat("/proc/self/ns/net", &after), 0);
	cr_expect_eq(before.st_ino, after.st_ino, "and back again");
	peers_free(&crew);
	look_free(&process[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

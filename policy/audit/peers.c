/*
 * Theory of operation. unix_diag (sock_diag(7)) lists the Unix sockets of the network namespace that
 * the asking socket was made in, each with its inode number and that of its peer. A socketpair
 * belongs to the namespace of who made it: all channels are the supervisor's, though most of those
 * who hold them live in namespaces of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "peers.h"

enum { ROOM_FIRST = 256 };

struct list {
	struct found_pair *pair;
	unsigned int count, room;
	int error;
};

static bool has_room(struct list *l)
{
	unsigned int room = l->room ? 2 * l->room : ROOM_FIRST;
	struct found_pair *pair;

	if (l->count < l->room)
		return true;
	l->error = E2BIG;
	if (room > PEERS_MAX)
		return false;
	l->error = ENOMEM;
	pair = reallocarray(l->pair, room, sizeof(*pair));
	if (!pair)
		return false;
	l->error = 0;
	l->pair = pair;
	l->room = room;
	return true;
}

static int take(struct nl_msg *m, void *context)
{
	struct nlmsghdr *header = nlmsg_hdr(m);
	const struct unix_diag_msg *socket = nlmsg_data(header);
	struct list *l = context;
	struct nlattr *peer;

	if (nlmsg_datalen(header) < (int)sizeof(*socket))
		return NL_SKIP;
	peer = nlmsg_find_attr(header, sizeof(*socket), UNIX_DIAG_PEER);
	if (!peer || nla_len(peer) < (int)sizeof(uint32_t))
		return NL_SKIP;
	if (!has_room(l))
		return NL_STOP;
	l->pair[l->count++] = (struct found_pair){socket->udiag_ino, nla_get_u32(peer)};
	return NL_OK;
}

/* 0, or the errno that a libnl error stands for. */
static int as_errno(int error)
{
	switch (-error) {
	case 0: return 0;
	case NLE_OBJ_NOTFOUND: /* the kernel's ENOENT: nobody handles the family */
	case NLE_OPNOTSUPP:
	case NLE_PROTO_MISMATCH: return EOPNOTSUPP;
	case NLE_PERM:
	case NLE_NOACCESS: return EPERM;
	case NLE_NOMEM: return ENOMEM;
	default: return EAGAIN;
	}
}

static int dump(struct nl_sock *sk, struct list *l)
{
	struct unix_diag_req ask = {
		.sdiag_family = AF_UNIX, .udiag_states = ~0U, .udiag_show = UDIAG_SHOW_PEER};
	int error = nl_connect(sk, NETLINK_SOCK_DIAG);

	if (error == 0)
		error = nl_socket_modify_cb(sk, NL_CB_VALID, NL_CB_CUSTOM, take, l);
	if (error == 0)
		error = nl_send_simple(sk, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &ask, sizeof(ask));
	if (error >= 0)
		error = nl_recvmsgs_default(sk);
	return l->error ? l->error : as_errno(error < 0 ? error : 0);
}

static int by_inode(const void *a, const void *b)
{
	const struct found_pair *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static int look_here(struct compare_crew *crew)
{
	struct nl_sock *sk = nl_socket_alloc();
	struct list l = {0};
	int error = sk ? dump(sk, &l) : ENOMEM;

	if (sk)
		nl_socket_free(sk);
	if (error) {
		free(l.pair);
		return error;
	}
	if (l.count)
		qsort(l.pair, l.count, sizeof(*l.pair), by_inode);
	crew->pair = l.pair;
	crew->pairs = l.count;
	return 0;
}

/* There and back. */
static int look_there(struct compare_crew *crew, pid_t supervisor)
{
	char path[64];
	int here, there, error;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", supervisor);
	there = open(path, O_RDONLY | O_CLOEXEC);
	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	error = there < 0 || here < 0 || setns(there, CLONE_NEWNET) < 0 ? errno : 0;
	if (error == 0) {
		error = look_here(crew);
		if (setns(here, CLONE_NEWNET) < 0)
			error = errno;
	}
	if (there >= 0)
		close(there);
	if (here >= 0)
		close(here);
	return error;
}

void peers_look(struct compare_crew *crew, pid_t supervisor)
{
	const struct found *super = &crew->process[0], *we = &crew->operator;
	bool same = super->namespace_error[FOUND_NET] == 0 && we->namespace_error[FOUND_NET] == 0 &&
		    super->namespace_inode[FOUND_NET] == we->namespace_inode[FOUND_NET];

	crew->pairs_error = same ? look_here(crew) : look_there(crew, supervisor);
}

void peers_free(struct compare_crew *crew)
{
	free(crew->pair);
	crew->pair = NULL;
	crew->pairs = 0;
}

/*
 * Theory of operation. topology.def says which worker speaks to which; here is looked at whether a
 * channel truly ends there. The kernel tells which socket is the other end of which (peers.h), and
 * descriptors.c which process holds it.
 *
 *   broker 16 ── socket 4711 ═══ socket 4712 ── netstack 4       as declared: CH_NETSTACK, CH_BROKER
 *
 * The supervisor keeps a copy of both ends of every edge, for the next birth: that counts for
 * nothing. A worker that is missing altogether shows here too: no worker holds the end that its
 * neighbours lead to. A doorbell has no ends: it must be the one that the worker at the other end
 * of a channel hears as its own.
 */
#include <errno.h>
#include <stdio.h>

#include "compare.h"
#include "declare.h"

/* One end of an edge. */
struct end {
	const struct found *process;
	const struct found_fd *fd;
};

static bool is_worker(const struct found *f)
{
	return f->kind < FOUND_SUPERVISOR;
}

/* The inode of the other end; 0: there is none. */
static uint64_t peer_of(const struct compare_crew *crew, uint64_t inode)
{
	unsigned int low = 0, high = crew->pairs;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (crew->pair[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return low < crew->pairs && crew->pair[low].inode == inode ? crew->pair[low].peer : 0;
}

static const struct found_fd *holds(const struct found *f, enum found_kind kind, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < f->fds; i++)
		if (f->fd[i].kind == kind && f->fd[i].id == id)
			return &f->fd[i];
	return NULL;
}

/* The next worker but f that holds it, from process[*from] on. */
static struct end next_holder(const struct compare_crew *crew, const struct found *f,
	enum found_kind kind, uint64_t id, unsigned int *from)
{
	struct end end = {0};

	for (; *from < crew->count && !end.fd; ++*from) {
		end.process = &crew->process[*from];
		if (end.process != f && is_worker(end.process))
			end.fd = holds(end.process, kind, id);
	}
	return end;
}

static struct end holder(
	const struct compare_crew *crew, const struct found *f, enum found_kind kind, uint64_t id)
{
	unsigned int from = 0;

	return next_holder(crew, f, kind, id, &from);
}

/* Whether a worker's descriptor is declared to lead to `peer`, as a channel or as a doorbell. */
static bool leads_to(const struct end *end, unsigned int peer, bool bell)
{
	bool is_bell;
	int to = declare_peer((enum actor_id)end->process->kind, end->fd->number, &is_bell);

	return to >= 0 && (unsigned int)to == peer && is_bell == bell;
}

/* What is wrong with a channel; false: nothing. */
static bool judge_channel(const struct compare_crew *crew, const struct found *f,
	const struct found_fd *fd, unsigned int peer, char *out, size_t cap)
{
	uint64_t other = peer_of(crew, fd->id);
	struct end same = holder(crew, f, FOUND_CHANNEL, fd->id), far = {0};
	bool right;

	if (other)
		far = holder(crew, f, FOUND_CHANNEL, other);
	if (far.fd)
		right = far.process->kind == peer && leads_to(&far, f->kind, false);
	else
		right = peer == FOUND_SUPERVISOR && other &&
			holds(&crew->process[0], FOUND_CHANNEL, other);
	if (same.fd)
		snprintf(out, cap, "%d is also %s's (%d) %d", fd->number, same.process->name,
			same.process->pid, same.fd->number);
	else if (right)
		return false;
	else if (far.fd)
		snprintf(out, cap, "%d ends at %s (%d), its %d", fd->number, far.process->name,
			far.process->pid, far.fd->number);
	else if (peer == FOUND_SUPERVISOR)
		snprintf(out, cap, "%d does not end at the supervisor", fd->number);
	else
		snprintf(out, cap, "%d ends nowhere: no %s runs", fd->number, declare_name(peer));
	return true;
}

static bool is_connected(
	const struct compare_crew *crew, const struct found *f, const struct found *to)
{
	unsigned int i;

	for (i = 0; i < f->fds; i++) {
		uint64_t other = f->fd[i].kind == FOUND_CHANNEL ? peer_of(crew, f->fd[i].id) : 0;

		if (other && holds(to, FOUND_CHANNEL, other))
			return true;
	}
	return false;
}

/* Who else has the bell that f hears must be declared to ring it, and be f's neighbour. */
static bool judge_own_bell(const struct compare_crew *crew, const struct found *f,
	const struct found_fd *fd, char *out, size_t cap)
{
	unsigned int from = 0;
	struct end end;

	while ((end = next_holder(crew, f, FOUND_EVENT, fd->id, &from)).fd)
		if (!leads_to(&end, f->kind, true) || end.process->kind == f->kind ||
			!is_connected(crew, f, end.process)) {
			snprintf(out, cap, "%d is also %s's (%d) %d", fd->number, end.process->name,
				end.process->pid, end.fd->number);
			return true;
		}
	return false;
}

static bool judge_bell(const struct compare_crew *crew, const struct found *f,
	const struct found_fd *fd, unsigned int peer, char *out, size_t cap)
{
	unsigned int from = 0;
	struct end end;

	if (peer == f->kind)
		return judge_own_bell(crew, f, fd, out, cap);
	while ((end = next_holder(crew, f, FOUND_EVENT, fd->id, &from)).fd)
		if (end.process->kind == peer && leads_to(&end, peer, true) &&
			is_connected(crew, f, end.process))
			return false;
	snprintf(out, cap, "%d is no neighbour's: no %s hears it", fd->number, declare_name(peer));
	return true;
}

/* Why it cannot be told, as an errno; 0: it can. */
static int cannot_tell(const struct compare_crew *crew, const struct found *f)
{
	unsigned int i;

	if (crew->pairs_error)
		return crew->pairs_error;
	for (i = 0; i < crew->count; i++) {
		const struct found *other = &crew->process[i];

		if (is_worker(other) && other->gone)
			return ESRCH;
		if ((other == f || i == 0 || is_worker(other)) && other->fds_error)
			return other->fds_error;
	}
	return 0;
}

static void compare_kind(struct checks *list, const struct compare_crew *crew,
	const struct found *f, enum found_kind kind, const char *what, const char *declared)
{
	struct check *c = check_add(list, f, what, declared);
	int error = cannot_tell(crew, f);
	unsigned int i, count = 0;
	char wrong[CHECK_TEXT];

	if (error) {
		check_unknown(list, c, error);
		return;
	}
	for (i = 0; i < f->fds; i++) {
		const struct found_fd *fd = &f->fd[i];
		bool bell;
		int peer = declare_peer((enum actor_id)f->kind, fd->number, &bell);

		if (peer < 0 || fd->kind != kind || bell != (kind == FOUND_EVENT))
			continue;
		count++;
		if (bell ? judge_bell(crew, f, fd, (unsigned int)peer, wrong, sizeof(wrong))
			 : judge_channel(crew, f, fd, (unsigned int)peer, wrong, sizeof(wrong))) {
			check_found(list, c, false, "%s", wrong);
			return;
		}
	}
	check_found(list, c, true, "%u, all of them", count);
}

void compare_edges(struct checks *list, const struct compare_crew *crew, const struct found *f)
{
	compare_kind(
		list, crew, f, FOUND_CHANNEL, "channels", "end at the neighbours of topology.def");
	if (declare_shares_memory((enum actor_id)f->kind))
		compare_kind(
			list, crew, f, FOUND_EVENT, "doorbells", "its own and those neighbours'");
}

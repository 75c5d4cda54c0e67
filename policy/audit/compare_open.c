/*
 * Theory of operation. Descriptors of a worker: each number that may be taken is named in
 * topology.def, and what lies behind it has one of the kinds that the name allows. The supervisor's
 * come and go (ports, leases, clients), so only their kinds are declared.
 *
 * Memory: nothing is executable but the program itself, and nothing is both writable and
 * executable. A region that is shared has one writer, and its size is sealed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "declare.h"

enum { BAD_SHOWN = 8 }; /* descriptors that get a line of their own */

static const uint32_t supervisor_kinds =
	1 << FOUND_NULL | 1 << FOUND_EPOLL | 1 << FOUND_EVENT | 1 << FOUND_CHANNEL |
	1 << FOUND_STREAM | 1 << FOUND_DATAGRAM | 1 << FOUND_PACKET | 1 << FOUND_TAP |
	1 << FOUND_NETLINK | 1 << FOUND_NETFILTER | 1 << FOUND_MEMFD | 1 << FOUND_FILE |
	1 << FOUND_FOLDER | 1 << FOUND_ANONYMOUS | 1 << FOUND_LOW_PORT | 1 << FOUND_RAW_ECHO |
	1 << FOUND_RAW_ESP;

static struct declare_fd declared_at(const struct found *f, int number)
{
	/* 0 to 2 are whatever it was started with. */
	const struct declare_fd any = {
		"the supervisor's", number < 3 ? ~0U : supervisor_kinds, false};

	return f->kind == FOUND_SUPERVISOR ? any : declare_fd((enum actor_id)f->kind, number);
}

static const char *kinds_text(const struct declare_fd *d, char *out, size_t cap)
{
	static const char *const words[FOUND_KINDS] = {[FOUND_OTHER] = "anything",
		[FOUND_NULL] = "/dev/null",
		[FOUND_EPOLL] = "epoll",
		[FOUND_EVENT] = "eventfd",
		[FOUND_CHANNEL] = "channel",
		[FOUND_STREAM] = "unix stream",
		[FOUND_DATAGRAM] = "unix datagram",
		[FOUND_PACKET] = "packet socket",
		[FOUND_TAP] = "TAP",
		[FOUND_TCP] = "tcp",
		[FOUND_UDP] = "udp",
		[FOUND_PING] = "icmp echo",
		[FOUND_NETLINK] = "netlink",
		[FOUND_NETFILTER] = "netfilter",
		[FOUND_MEMFD] = "memfd",
		[FOUND_FILE] = "file",
		[FOUND_FOLDER] = "folder",
		[FOUND_ANONYMOUS] = "signalfd, inotify or pidfd",
		[FOUND_LOW_PORT] = "port below 1024",
		[FOUND_RAW_ECHO] = "filtered raw icmp",
		[FOUND_RAW_ESP] = "filtered raw esp"};
	unsigned int kind, used = 0;

	snprintf(out, cap, "nothing");
	for (kind = 0; kind < FOUND_KINDS && used < cap; kind++)
		if (d->kinds & 1U << kind)
			used += (unsigned int)snprintf(
				out + used, cap - used, "%s%s", used ? " or " : "", words[kind]);
	return out;
}

static void tell_fd(struct checks *list, const struct found *f, int number,
	const struct declare_fd *d, const char *text)
{
	char what[CHECK_WHAT], kinds[100], declared[CHECK_TEXT];

	snprintf(what, sizeof(what), "descriptor %d", number);
	kinds_text(d, kinds, sizeof(kinds));
	if (f->kind == FOUND_SUPERVISOR)
		snprintf(declared, sizeof(declared), "nothing of this kind");
	else
		snprintf(declared, sizeof(declared), "%s%s%s", d->name ? d->name : "",
			d->name ? ": " : "", kinds);
	check_found(list, check_add(list, f, what, declared), false, "%s", text);
}

/* The numbers below the first free one must all be taken: else the kernel hands them out again. */
static unsigned int check_required(struct checks *list, const struct found *f, unsigned int bad)
{
	unsigned int i = 0;
	int number, fixed = f->kind == FOUND_SUPERVISOR
				    ? 0
				    : declare_first_free((enum actor_id)f->kind);

	for (number = 0; number < fixed; number++) {
		struct declare_fd d = declared_at(f, number);

		while (i < f->fds && f->fd[i].number < number)
			i++;
		if (!d.required || (i < f->fds && f->fd[i].number == number))
			continue;
		if (bad++ < BAD_SHOWN)
			tell_fd(list, f, number, &d, "nothing");
	}
	return bad;
}

void compare_fds(struct checks *list, const struct found *f)
{
	const char *declared = f->kind == FOUND_SUPERVISOR
				       ? "no Internet socket but ports below 1024 and filtered raw "
					 "icmp and esp, no device but "
					 "null and TAP"
				       : "by number, as in topology.def";
	unsigned int i, bad = 0;
	struct check *c;

	if (f->fds_error) {
		c = check_add(list, f, "descriptors", declared);
		check_unknown(list, c, f->fds_error);
		return;
	}
	for (i = 0; i < f->fds; i++) {
		struct declare_fd d = declared_at(f, f->fd[i].number);

		if (!(d.kinds & 1U << f->fd[i].kind) && bad++ < BAD_SHOWN)
			tell_fd(list, f, f->fd[i].number, &d, f->fd[i].text);
	}
	bad = check_required(list, f, bad);
	c = check_add(list, f, "descriptors", declared);
	if (bad == 0)
		check_found(list, c, true, "%u, all as declared", f->fds);
	else
		check_found(list, c, false, "%u, %u of the numbers not as declared", f->fds, bad);
}

static void check_executable(struct checks *list, const struct found *f)
{
	bool worker = f->kind != FOUND_SUPERVISOR;
	struct check *c = check_add(list, f, "executable memory",
		worker ? "its own file, never writable" : "files, never writable");
	unsigned int i, pieces = 0;

	if (f->maps_error) {
		check_unknown(list, c, f->maps_error);
		return;
	}
	for (i = 0; i < f->mappings; i++) {
		const struct found_mapping *m = &f->mapping[i];
		bool kernels = strcmp(m->text, "[vdso]") == 0 || strcmp(m->text, "[vsyscall]") == 0;

		if (!m->execute)
			continue;
		pieces++;
		if (m->write ||
			(!kernels && (worker ? !m->is_program : m->inode == 0 || m->is_memfd))) {
			check_found(list, c, false, "%s%s", m->text[0] ? m->text : "anonymous",
				m->write ? ", writable" : "");
			return;
		}
	}
	check_found(list, c, !f->more_mappings,
		f->more_mappings ? "more mappings than can be looked at"
				 : "%u pieces of it, and the kernel's vdso",
		pieces);
}

static const struct found *other_writer(
	const struct compare_crew *crew, const struct found *f, const struct found_mapping *m)
{
	unsigned int i, k;

	for (i = 0; i < crew->count; i++) {
		const struct found *other = &crew->process[i];

		for (k = 0; k < other->mappings && other != f; k++)
			if (other->mapping[k].shared && other->mapping[k].write &&
				other->mapping[k].inode == m->inode &&
				other->mapping[k].device == m->device)
				return other;
	}
	return NULL;
}

/* What is wrong with a shared mapping; NULL: nothing. */
static const char *judge_shared(const struct compare_crew *crew, const struct found *f,
	const struct found_mapping *m, char *out, size_t cap)
{
	const int fixed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const struct found *other = m->write ? other_writer(crew, f, m) : NULL;

	if (f->kind == FOUND_SUPERVISOR && !m->write && !m->is_memfd)
		return NULL; /* what libc reads of its own */
	if (!m->is_memfd || f->kind == FOUND_SUPERVISOR ||
		!declare_shares_memory((enum actor_id)f->kind))
		snprintf(out, cap, "%s", m->text);
	else if (other)
		snprintf(
			out, cap, "%s: %s (%d) may write it too", m->text, other->name, other->pid);
	else if (m->seals >= 0 && (m->seals & fixed) != fixed)
		snprintf(out, cap, "%s: seals %#x", m->text, (unsigned int)m->seals);
	else
		return NULL;
	return out;
}

static void check_shared(
	struct checks *list, const struct compare_crew *crew, const struct found *f)
{
	bool shares = f->kind != FOUND_SUPERVISOR && declare_shares_memory((enum actor_id)f->kind),
	     sealed = true;
	struct check *c = check_add(list, f, "shared memory",
		shares ? "rings and arenas: one writer each, sealed" : "none");
	unsigned int i, count = 0, own = 0;
	char wrong[CHECK_TEXT];

	if (f->maps_error) {
		check_unknown(list, c, f->maps_error);
		return;
	}
	for (i = 0; i < f->mappings; i++) {
		const struct found_mapping *m = &f->mapping[i];

		if (!m->shared)
			continue;
		count += m->is_memfd;
		own += m->write;
		sealed &= m->seals >= 0;
		if (judge_shared(crew, f, m, wrong, sizeof(wrong))) {
			check_found(list, c, false, "%s", wrong);
			return;
		}
	}
	if (count == 0)
		check_found(list, c, !shares, "none");
	else
		check_found(list, c, true, "%u regions, %u of them its own to write%s", count, own,
			sealed ? ", all sealed" : "; seals are shown to root only");
}

void compare_memory(struct checks *list, const struct compare_crew *crew, const struct found *f)
{
	check_executable(list, f);
	check_shared(list, crew, f);
}

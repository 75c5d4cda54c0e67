/*
 * Theory of operation. The kernel answers a transaction before the send returns: an error for
 * what failed (then nothing of it is there), and one word for the table, which asked for it
 * (ruleset.c). So nothing is waited for.
 *
 *   EPERM    we may not, or the table is another socket's: to ask for it by name tells which
 *   EEXIST   a table that is nobody's has this name
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fence.h"
#include "ruleset.h"
#include "supervisor.h"

enum { ANSWER_BYTES = 8192 };

static int send_all(int fd, const void *messages, size_t bytes)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n =
		sendto(fd, messages, bytes, 0, (const struct sockaddr *)&kernel, sizeof(kernel));

	if (n < 0)
		return -errno;
	return (size_t)n == bytes ? 0 : -EIO;
}

/* What the answers in one datagram say: the first error, 0 a yes, 1 neither. */
static int read_answers(void *datagram, size_t bytes)
{
	struct nlmsghdr *m = datagram;
	int result = 1;

	for (; NLMSG_OK(m, bytes); m = NLMSG_NEXT(m, bytes)) {
		const struct nlmsgerr *answer = NLMSG_DATA(m);

		if (m->nlmsg_type != NLMSG_ERROR)
			return 0; /* what was asked for */
		if (m->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)))
			return -EPROTO;
		if (answer->error)
			return answer->error;
		result = 0;
	}
	return result;
}

/* Sends one transaction or question and hears all that the kernel says of it: 0, or the first
 * error. */
static int talk(int fd, const void *messages, size_t bytes)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_BYTES];
	int result = send_all(fd, messages, bytes), one;
	ssize_t n;

	if (result < 0)
		return result;
	result = 1;
	while ((n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) > 0) {
		one = read_answers(answer, (size_t)n);
		if (result > 0 || (result == 0 && one < 0))
			result = one;
	}
	return result > 0 ? -EPROTO : result;
}

static bool is_taken(int fd, const struct fence_plan *plan)
{
	_Alignas(struct nlmsghdr) uint8_t question[RULESET_MESSAGE];
	size_t bytes = ruleset_question(question, sizeof(question), plan->table);

	return bytes > 0 && talk(fd, question, bytes) == 0;
}

static int open_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	return fd < 0 ? -errno : fd;
}

int fence_open(const struct fence_plan *plan)
{
	static _Alignas(struct nlmsghdr)
		uint8_t messages[RULESET_BYTES]; /* too large for a stack */
	size_t bytes = fence_rules(plan, messages, sizeof(messages));
	int fd, error;

	if (bytes == 0)
		return -ENOMEM;
	fd = open_socket();
	if (fd < 0)
		return fd;
	error = talk(fd, messages, bytes);
	if (error == 0)
		return fd;
	if (error == -EPERM && is_taken(fd, plan))
		error = -EEXIST;
	close(fd);
	return error;
}

const char *fence_error(int error)
{
	switch (error) {
	case -EPERM: return "only root with CAP_NET_ADMIN can have one";
	case -EUSERS: return "workers have no uids of their own here";
	case -EEXIST: return "other gateways' fences are around all uids for workers";
	case -EPROTONOSUPPORT: return "the kernel has no nftables";
	case -EOPNOTSUPP:
	case -EINVAL:
	case -ENOENT: return "the kernel's nftables lack what it needs";
	default: return strerror(-error);
	}
}

const char *fence_advice(int error)
{
	switch (error) {
	case -EPERM:
		return "start natlock as root (natlock up --user NAME); in a container, with "
		       "CAP_NET_ADMIN";
	case -EUSERS: return "map 65536 uids into this user namespace";
	case -EEXIST: return "end one of the other gateways: nft list tables";
	default:
		return "use Linux 5.12 or newer with CONFIG_NF_TABLES_INET and CONFIG_NFT_FIB_INET";
	}
}

int fence_possible(const struct identity *id)
{
	if (id->privileged)
		return 0;
	return geteuid() == 0 ? -EUSERS : -EPERM;
}

const char *fence_text(const struct fence *f, char out[FENCE_TEXT])
{
	if (f->up)
		snprintf(out, FENCE_TEXT, "nftables table inet %s", f->plan.table);
	else
		snprintf(out, FENCE_TEXT, "none: %s", f->why);
	return out;
}

/* No more of them than there are uids, which may be shared. */
static void allow(uint32_t uids[IDENTITY_PRIVATE], unsigned int *count, uint32_t uid)
{
	unsigned int i = 0;

	while (i < *count && uids[i] != uid)
		i++;
	if (i == *count)
		uids[(*count)++] = uid;
}

static void allow_hub(struct fence_plan *plan, const struct identity *id, struct hub *hub)
{
	const struct worker *w;
	unsigned int shard;

	for (shard = 0; (w = hub_worker(hub, ACTOR_NATPROXY, shard)); shard++) {
		const uint32_t uid = identity_worker_host(id, hub_worker_number(w));

		if (hub->conf->nat->host_loopback == NL__NAT__ACCESS__allow)
			allow(plan->host_allowed, &plan->allowed, uid);
		if (hub->conf->alg->ipsec->esp)
			allow(plan->esp_allowed, &plan->esps, uid);
	}
}

static void add_service(struct fence_plan *plan, uint32_t port)
{
	unsigned int i = 0;

	while (i < plan->services && plan->service[i] != port)
		i++;
	if (i == plan->services && i < FENCE_SERVICES)
		plan->service[plan->services++] = (uint16_t)port;
}

/* Where natproxy connects from reserved ports: rsh and rlogin, where their ports are other ones. */
static void add_services(struct fence_plan *plan, const Nl__Alg *alg)
{
	const Nl__AlgSwitch *rcmd = alg->rcmd;
	size_t i;

	for (i = 0; i < rcmd->n_ports; i++)
		if (rcmd->ports[i] < GRANT_RESERVED_FIRST || rcmd->ports[i] > GRANT_RESERVED_LAST)
			add_service(plan, rcmd->ports[i]);
}

void fence_plan(
	struct fence_plan *plan, const struct identity *id, struct hub *hub, unsigned int hubs)
{
	unsigned int h;

	*plan = (struct fence_plan){
		.first_uid = id->private_uid, .last_uid = id->private_uid + IDENTITY_PRIVATE - 1};
	fence_table_name(plan->table, plan->first_uid);
	for (h = 0; h < hubs; h++) {
		add_services(plan, hub[h].conf->alg);
		allow_hub(plan, id, &hub[h]);
	}
}

/* Whether another gateway's fence is around our uids: 0 or -EEXIST. */
static int look_for_another(const struct fence_plan *plan)
{
	int fd = open_socket(), r;

	if (fd < 0)
		return 0;
	r = is_taken(fd, plan) ? -EEXIST : 0;
	close(fd);
	return r;
}

/* With the first private uids that are nobody else's here; `off`: only finds those. */
static int raise_first(struct supervisor *s, bool off)
{
	struct fence_plan *plan = &s->fence.plan;
	int r;

	do {
		fence_plan(plan, &s->identity, s->hub, s->hubs);
		r = off ? look_for_another(plan) : fence_open(plan);
	} while (r == -EEXIST && identity_next(&s->identity, &s->places) == 0);
	return r;
}

static int refuse(const struct fence *f, const char *fix, struct trouble *t)
{
	trouble(t, EXIT_FAILED, "E0311", "natproxy cannot be fenced in");
	trouble_cause(t, "%s", f->why);
	return trouble_fix(t, "Either %s; or set policy.fence: auto", fix);
}

int fence_raise(struct supervisor *s, struct trouble *t)
{
	const Nl__Policy__Fence wish = s->config->policy->fence;
	const bool off = wish == NL__POLICY__FENCE__off;
	struct fence *f = &s->fence;
	int r;

	*f = (struct fence){0};
	r = fence_possible(&s->identity);
	if (r == 0)
		r = raise_first(s, off);
	f->up = r >= 0 && !off;
	f->fd = f->up ? r : -1;
	if (f->up)
		return 0;
	snprintf(f->why, sizeof(f->why), "%s", off ? "policy.fence is off" : fence_error(r));
	if (wish == NL__POLICY__FENCE__required)
		return refuse(f, fence_advice(r), t);
	supervisor_note(
		s, "natproxy is not fenced in from outside: %s. See: natlock doctor", f->why);
	return 0;
}

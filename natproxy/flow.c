/*
 * Theory of operation. The table is indexed by netstack's flow index and never searched. Work is
 * noted in three FIFO queues that thread through the flows; each turn empties them in the order
 * owed, upload, download, so that a message which announces something (OPENED) leaves before what
 * depends on it (DATA). A flow that still has work is queued again at the end: nobody waits for a
 * busy neighbour longer than a round.
 */
#include <errno.h>
#include <string.h>

#include "burst.h"
#include "dnstcp.h"
#include "echo.h"
#include "esp_socket.h"
#include "expect.h"
#include "inspect_stream.h"
#include "natproxy.h"
#include "publish.h"
#include "reserve.h"
#include "session.h"
#include "upload.h"

struct flow *flow_live(struct natproxy *np, uint32_t id)
{
	struct flow *f = &np->flow[flow_index(id)];
	return f->kind != FLOW_NONE && f->id == id ? f : NULL;
}

struct flow *flow_new(struct natproxy *np, uint32_t id, enum flow_kind kind)
{
	struct flow *f = &np->flow[flow_index(id)];
	if (f->kind != FLOW_NONE)
		return NULL;
	struct flow fresh = {.id = id, .kind = (uint8_t)kind, .working = f->working, .fd = -1};
	memcpy(fresh.next, f->next, sizeof(fresh.next));
	*f = fresh;
	return f;
}

static uint32_t *endpoint_head(struct natproxy *np, const struct sock_address *guest)
{
	const uint32_t words[2] = {guest->ip_be, guest->port};
	return &np->endpoint_bucket[hash_sip(&np->key, words, sizeof(words)) &
				    (NATPROXY_ENDPOINT_BUCKETS - 1)];
}

void flow_list(struct natproxy *np, struct flow *f)
{
	uint32_t *head = endpoint_head(np, &f->guest);
	f->listed = true;
	f->endpoint_next = *head;
	*head = flow_index(f->id) + 1;
}

static void unlist(struct natproxy *np, struct flow *f)
{
	uint32_t *at = endpoint_head(np, &f->guest);
	while (*at != flow_index(f->id) + 1)
		at = &np->flow[*at - 1].endpoint_next;
	*at = f->endpoint_next;
	f->listed = false;
}

struct flow *flow_at(struct natproxy *np, const struct sock_address *guest)
{
	uint32_t i = *endpoint_head(np, guest);
	while (i && (np->flow[i - 1].guest.ip_be != guest->ip_be ||
			    np->flow[i - 1].guest.port != guest->port))
		i = np->flow[i - 1].endpoint_next;
	return i ? &np->flow[i - 1] : NULL;
}

void flow_free(struct flow *f)
{
	f->kind = FLOW_NONE;
	f->owed = 0;
	f->state = 0;
}

static void close_socket(struct natproxy *np, struct flow *f, bool reset)
{
	if (f->fd < 0)
		return;
	if (f->published)
		publish_detach(np, f);
	else if (f->raw && f->kind == FLOW_ESP)
		esp_socket_close(np, f);
	else if (f->raw)
		echo_close(np, f);
	else if (!reserve_keep(np, f))
		natproxy_close_fd(np, f->fd, reset);
	if (f->charged)
		portpick_release(&np->ports, f->kind == FLOW_TCP ? NAT_TCP : NAT_UDP, &f->guest,
			f->outside.port);
	f->fd = -1;
	f->watched = 0;
	f->charged = false;
}

void flow_stop(struct natproxy *np, struct flow *f, bool reset, const char *why)
{
	if (f->kind != FLOW_TCP)
		burst_stop(np, f);
	inspect_stream_end(np, f);
	if (f->listed) {
		unlist(np, f);
		expect_flow_over(np, f);
	}
	dnstcp_end(np, f);
	upload_discard(np, f);
	close_socket(np, f, reset);
	session_close_all(np, f, why);
	if (f->door)
		pinhole_left(&np->pinholes, f->door, f->door_number);
	f->door = 0;
	if (f->pinned_bytes)
		np->reading_flows--;
	f->pinned_bytes = 0;
	f->state = FLOW_DONE;
}

void flow_work(struct natproxy *np, struct flow *f, enum flow_work kind)
{
	const uint32_t self = (uint32_t)(f - np->flow) + 1;
	struct work_queue *q = &np->work[kind];
	if (f->working & 1U << kind)
		return;
	f->working |= (uint8_t)(1U << kind);
	f->next[kind] = 0;
	if (q->last)
		np->flow[q->last - 1].next[kind] = self;
	else
		q->first = self;
	q->last = self;
}

struct flow *flow_next_work(struct natproxy *np, enum flow_work kind)
{
	struct work_queue *q = &np->work[kind];
	if (!q->first)
		return NULL;
	struct flow *f = &np->flow[q->first - 1];
	q->first = f->next[kind];
	if (!q->first)
		q->last = 0;
	f->working &= (uint8_t) ~(1U << kind);
	return f;
}

void flow_owe(struct natproxy *np, struct flow *f, enum flow_owed what)
{
	f->owed |= (uint8_t)what;
	if (!flow_pay(np, f))
		flow_work(np, f, WORK_OWED);
}

enum {
	CONSUMED_LAZY_BYTES = 2048
}; /* less than this may wait for company: the guest's window is hardly touched */

static int pay_consumed(struct natproxy *np, struct flow *f)
{
	const uint64_t offset = upload_consumed(np, f);
	const struct ring_desc d = {.op = RING_NATPROXY_TCP_CONSUMED, .flow = f->id, .arg = offset};
	const bool lazy = offset - f->upload_rung < CONSUMED_LAZY_BYTES && !f->guest_finished;
	int r;
	if (lazy)
		r = link_send_lazy(np->link, LINK_CONTROL, &d);
	else
		r = natproxy_tell(np, LINK_CONTROL, &d);
	if (r)
		return r;
	f->upload_reported = offset;
	if (!lazy)
		f->upload_rung = offset;
	return 0;
}

static int pay_one(struct natproxy *np, struct flow *f, enum flow_owed what)
{
	struct ring_desc d = {.flow = f->id};
	switch (what) {
	case OWED_OPENED:
		d.op = RING_NATPROXY_TCP_OPENED;
		d.pair = (struct ring_pair){.guest_ip_be = f->guest.ip_be,
			.guest_port = f->guest.port,
			.remote_ip_be = f->outside.ip_be,
			.remote_port = f->outside.port};
		break;
	case OWED_CONSUMED: return pay_consumed(np, f);
	case OWED_FIN: d.op = RING_NATPROXY_TCP_FIN; break;
	case OWED_FAILED:
		d.op = RING_NATPROXY_TCP_FAILED;
		d.arg = (uint64_t)f->offender_ip_be << 32 | (uint32_t)f->icmp_pointer << 24 |
			(uint32_t)f->icmp_type << 16 | (uint32_t)f->icmp_code << 8 | f->failure;
		break;
	case OWED_RESET: d.op = RING_NATPROXY_TCP_RESET; break;
	case OWED_CLOSED: d.op = RING_NATPROXY_DGRAM_CLOSED; break;
	}
	return natproxy_tell(np, LINK_CONTROL, &d);
}

bool flow_pay(struct natproxy *np, struct flow *f)
{
	for (unsigned int what = OWED_OPENED; what <= OWED_CLOSED && f->owed; what <<= 1) {
		if (!(f->owed & what))
			continue;
		if (pay_one(np, f, (enum flow_owed)what))
			return false;
		f->owed &= (uint8_t)~what;
		if (what == OWED_FAILED || what == OWED_RESET)
			flow_free(f);
	}
	return true;
}

void flow_watch(struct natproxy *np, struct flow *f)
{
	unsigned int want = 0;
	if (f->fd < 0 || f->raw)
		return;
	if (f->blocked || f->state == FLOW_CONNECTING)
		want |= SOCK_WRITE;
	if (f->state == FLOW_RUNNING && !f->readable && !f->outside_finished)
		want |= SOCK_READ;
	if (want == f->watched)
		return;
	f->watched = (uint8_t)want;
	sock_watch(np->sock, f->fd, want);
}

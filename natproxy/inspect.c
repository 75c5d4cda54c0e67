/*
 * Theory of operation. Each direction of an inspected flow is a half:
 *
 *   bytes in ─▶ stage (32 KiB) ─────verdict────▶ output ─▶ socket, or own arena buffers
 *                 └─▶ copied to alg: FlowBytes     ▲
 *                        Verdict(until, edits) ────┘
 *
 * Signalling is little data, so both halves copy; the slots are sized for the worst case and
 * touched only as far as used. The stage takes bytes only while the output has room for all of it
 * grown by EDIT_GROWTH_MAX, so a verdict never has to wait. Offsets are those of the bytes as they
 * came in. In observe mode alg sees the bytes but holds nothing.
 *
 * alg says with each verdict how far it has seen, so a message that lacks its end is no silence: a
 * flow that has waited for a sign longer than ALG_BUDGET_MS (alg is stuck, or its channel is full)
 * is given up, and ALG_SILENCES of those with no word from alg between them are reported, so that
 * the supervisor replaces it.
 *
 * After a give-up, or when alg is gone, what is held leaves unchanged and in order, then the slot
 * is freed and the flow goes on by the ordinary path. Urgent marks are not carried across an
 * inspected flow; its bytes are.
 */
#include <errno.h>
#include <string.h>

#include "download.h"
#include "edit.h"
#include "expect.h"
#include "inspect.h"
#include "relay.h"
#include "session.h"
#include "upload.h"

enum {
	STAGE_BYTES = 32768,
	OUTPUT_BYTES = 2 * STAGE_BYTES + EDIT_GROWTH_MAX,
	DIRECTIONS = 2,
	ALG_BUDGET_MS = 1000, /* alg has so long to say that it saw what it was shown */
	ALG_SILENCES = 3,     /* flows given up in a row before alg is reported */
	MS_NS = 1000000,
};

struct half {
	uint64_t at;	  /* stream offset of stage[0] */
	uint64_t settled; /* what had fully left when the output was last empty */
	uint32_t staged, told;
	uint32_t out_first, out_end;
	bool finish_told;
	uint64_t owed_ns; /* since when alg owes a sign that it saw what it was shown; 0 no */
	uint8_t stage[STAGE_BYTES];
	uint8_t output[OUTPUT_BYTES];
};

struct inspect {
	bool raw, observe;
	uint64_t granted_ns; /* since when alg owes what it makes of an answer to its wish; 0 no */
	struct half half[DIRECTIONS]; /* by Nl__Direction */
};

size_t natproxy_inspect_bytes(void)
{
	return sizeof(struct inspect);
}

static struct inspect *slot_of(const struct natproxy *np, const struct flow *f)
{
	return &np->inspect[f->inspect - 1];
}

static struct flow *inspected(struct natproxy *np, uint32_t number)
{
	struct flow *f = flow_live(np, number);
	return f && f->inspect && !slot_of(np, f)->raw ? f : NULL;
}

bool inspect_find(struct natproxy *np, uint32_t number, struct inspect_subject *out)
{
	struct flow *f = inspected(np, number);
	if (!f)
		return false;
	*out = (struct inspect_subject){.flow = f,
		.session = f->sessions,
		.alg = ALGS_FTP,
		.stream = true,
		.observe = slot_of(np, f)->observe,
		.guest = f->guest,
		.peer = f->remote,
		.outside = f->outside};
	return true;
}

static bool wanted(const struct natproxy *np, const struct flow *f)
{
	for (uint32_t i = 0; np->config.ftp_enabled && i < np->config.ftp_ports; i++)
		if (np->config.ftp_port[i] == f->remote.port)
			return true;
	return false;
}

static void half_reset(struct half *h)
{
	h->at = h->settled = h->owed_ns = 0;
	h->staged = h->told = h->out_first = h->out_end = 0;
	h->finish_told = false;
}

void inspect_start(struct natproxy *np, struct flow *f)
{
	uint32_t i = 0;
	if (!wanted(np, f))
		return;
	while (i < NATPROXY_INSPECTED && np->inspect_flow[i])
		i++;
	if (i == NATPROXY_INSPECTED)
		return;
	char ftp[] = "ftp";
	Nl__FlowInspect m = NL__FLOW_INSPECT__INIT;
	m.has_flow = m.has_stream = m.has_service = m.has_segment_max = true;
	m.has_guest_ip_be = m.has_guest_port = m.has_outside_ip_be = m.has_outside_port = true;
	m.has_peer_ip_be = m.has_peer_port = true;
	m.flow = f->id;
	m.alg = ftp;
	m.stream = true;
	m.segment_max = np->config.segment_max;
	m.guest_ip_be = f->guest.ip_be;
	m.guest_port = f->guest.port;
	m.outside_ip_be = f->outside.ip_be;
	m.outside_port = f->outside.port;
	m.peer_ip_be = f->remote.ip_be;
	m.peer_port = f->remote.port;
	if (np->shell.flow_inspect(np->shell.context, &m))
		return;
	np->inspect_flow[i] = flow_index(f->id) + 1;
	f->inspect = (uint16_t)(i + 1);
	struct inspect *in = slot_of(np, f);
	in->raw = false;
	in->granted_ns = 0;
	in->observe = np->config.ftp_observe;
	half_reset(&in->half[NL__DIRECTION__GUEST]);
	half_reset(&in->half[NL__DIRECTION__OUTSIDE]);
	nat_session(&np->nat, f->sessions)->inspected = true;
}

static void detach(struct natproxy *np, struct flow *f)
{
	np->inspect_flow[f->inspect - 1] = 0;
	f->inspect = 0;
	if (f->sessions)
		nat_session(&np->nat, f->sessions)->inspected = false;
}

/* alg forgets on a full channel too: its table is bounded by the flows we show it. */
static void tell_end(struct natproxy *np, const struct flow *f)
{
	Nl__FlowEnd m = NL__FLOW_END__INIT;
	m.has_flow = true;
	m.flow = f->id;
	np->shell.flow_end(np->shell.context, &m);
}

void inspect_end(struct natproxy *np, struct flow *f)
{
	if (!f->inspect)
		return;
	if (!slot_of(np, f)->raw)
		tell_end(np, f);
	expect_close_flow(np, f->id, "control connection ended");
	detach(np, f);
}

void inspect_give_up(struct natproxy *np, struct flow *f)
{
	slot_of(np, f)->raw = true;
	expect_close_flow(np, f->id, "inspection given up");
	flow_work(np, f, WORK_UPLOAD);
	flow_work(np, f, WORK_DOWNLOAD);
}

/* alg owes something from now on; inspect_due_ns may be too early, never too late. */
static void owe(struct natproxy *np, uint64_t *since_ns)
{
	const uint64_t due_ns = np->now_ns + (uint64_t)ALG_BUDGET_MS * MS_NS;
	if (*since_ns)
		return;
	*since_ns = np->now_ns;
	if (!np->inspect_due_ns || due_ns < np->inspect_due_ns)
		np->inspect_due_ns = due_ns;
}

void inspect_answered(struct natproxy *np, uint32_t number)
{
	struct flow *f = inspected(np, number);
	np->alg_silences = 0;
	if (f)
		owe(np, &slot_of(np, f)->granted_ns);
}

static uint32_t stage_room(const struct half *h)
{
	return h->out_end ? 0 : STAGE_BYTES - h->staged;
}

/* Shows alg what it has not seen. False: the channel is full, or alg is gone. */
static bool tell(struct natproxy *np, struct flow *f, Nl__Direction direction, bool finished)
{
	struct half *h = &slot_of(np, f)->half[direction];
	Nl__FlowBytes m = NL__FLOW_BYTES__INIT;
	if (h->told == h->staged && (!finished || h->finish_told))
		return true;
	m.has_flow = m.has_direction = m.has_at = m.has_bytes = m.has_fin = true;
	m.flow = f->id;
	m.direction = direction;
	m.at = h->at + h->told;
	m.bytes = (ProtobufCBinaryData){h->staged - h->told, h->stage + h->told};
	m.fin = finished;
	const int r = np->shell.flow_bytes(np->shell.context, &m);
	owe(np, &h->owed_ns);
	if (r == -EAGAIN) {
		np->starved = true;
		flow_work(np, f, direction == NL__DIRECTION__GUEST ? WORK_UPLOAD : WORK_DOWNLOAD);
	}
	if (r && r != -EAGAIN)
		inspect_give_up(np, f);
	if (r)
		return false;
	h->told = h->staged;
	h->finish_told = finished;
	return true;
}

/* Moves the first `in_bytes` of the stage to the output with edits applied, `out_bytes` long. */
static void pass(
	struct half *h, uint32_t in_bytes, const struct edit *edits, size_t count, size_t out_bytes)
{
	edit_apply(edits, count, h->at, h->stage, in_bytes, h->output + h->out_end);
	h->out_end += (uint32_t)out_bytes;
	h->at += in_bytes;
	h->staged -= in_bytes;
	h->told -= h->told < in_bytes ? h->told : in_bytes;
	memmove(h->stage, h->stage + in_bytes, h->staged);
	if (!h->out_end)
		h->settled = h->at;
}

/* Shows the new bytes, and without a verdict to wait for passes them on. */
static void judge(struct natproxy *np, struct flow *f, Nl__Direction direction, bool finished)
{
	struct inspect *in = slot_of(np, f);
	struct half *h = &in->half[direction];
	if (!in->raw)
		tell(np, f, direction, finished);
	if (in->raw)
		pass(h, h->staged, NULL, 0, h->staged);
	else if (in->observe)
		pass(h, h->told, NULL, 0, h->told);
}

static void output_took(struct half *h, size_t n)
{
	h->out_first += (uint32_t)n;
	if (h->out_first < h->out_end)
		return;
	h->out_first = h->out_end = 0;
	h->settled = h->at;
}

bool inspect_drained(const struct natproxy *np, const struct flow *f, Nl__Direction direction)
{
	const struct half *h = &slot_of(np, f)->half[direction];
	return !h->staged && !h->out_end;
}

uint64_t inspect_consumed(const struct natproxy *np, const struct flow *f)
{
	return slot_of(np, f)->half[NL__DIRECTION__GUEST].settled;
}

/* A flow that was given up and holds nothing any more leaves inspection. */
static void maybe_detach(struct natproxy *np, struct flow *f)
{
	if (slot_of(np, f)->raw && inspect_drained(np, f, NL__DIRECTION__GUEST) &&
		inspect_drained(np, f, NL__DIRECTION__OUTSIDE) && !f->outside_finished &&
		!f->guest_finished)
		detach(np, f);
}

bool inspect_upload(struct natproxy *np, struct flow *f)
{
	struct half *h = &slot_of(np, f)->half[NL__DIRECTION__GUEST];
	h->staged += (uint32_t)upload_copy(np, f, h->stage + h->staged, stage_room(h));
	judge(np, f, NL__DIRECTION__GUEST, f->guest_finished && !f->queue_first);
	if (h->out_end) {
		const struct iovec piece = {h->output + h->out_first, h->out_end - h->out_first};
		const ssize_t r = sock_write(np->sock, f->fd, &piece, 1, false);
		if (r < 0 && r != -EAGAIN) {
			relay_write_failed(np, f);
			return false;
		}
		if (r > 0) {
			output_took(h, (size_t)r);
			session_count(np, f->sessions, 0, (uint64_t)r);
		}
		f->blocked = h->out_end != 0;
	}
	const bool more = f->queue_first && stage_room(h) && !f->blocked;
	maybe_detach(np, f);
	return more;
}

/* Lends the output to netstack, as far as credit and slots go. */
static void lend_output(struct natproxy *np, struct flow *f, struct half *h)
{
	if (h->out_end)
		output_took(h,
			download_copy(np, f, h->output + h->out_first, h->out_end - h->out_first));
}

/* False: the flow was reset. */
static bool fill_from_socket(struct natproxy *np, struct flow *f, struct half *h)
{
	const uint32_t room = stage_room(h);
	if (!f->readable || !room || f->outside_finished)
		return true;
	const struct iovec piece = {h->stage + h->staged, room};
	const ssize_t r = sock_read(np->sock, f->fd, &piece, 1);
	if (r > 0)
		h->staged += (uint32_t)r;
	if (r < 0 ? r != -EAGAIN : r == 0 && f->write_broken) {
		relay_reset(np, f, "reset by the far end");
		return false;
	}
	f->outside_finished = r == 0;
	f->readable = r == (ssize_t)room;
	return true;
}

bool inspect_download(struct natproxy *np, struct flow *f)
{
	struct half *h = &slot_of(np, f)->half[NL__DIRECTION__OUTSIDE];
	const bool finished_before = h->finish_told && f->outside_finished &&
				     inspect_drained(np, f, NL__DIRECTION__OUTSIDE);
	if (finished_before || !fill_from_socket(np, f, h))
		return false;
	judge(np, f, NL__DIRECTION__OUTSIDE, f->outside_finished);
	lend_output(np, f, h);
	if (f->outside_finished && !h->staged && !h->out_end) {
		h->finish_told = true;
		download_finish(np, f);
		return false;
	}
	flow_watch(np, f);
	const bool more = f->readable && stage_room(h);
	maybe_detach(np, f);
	return more;
}

static int collect_edits(const Nl__Verdict *m, struct edit *edits)
{
	if (m->n_edits > EDIT_MAX)
		return -EPROTO;
	for (size_t i = 0; i < m->n_edits; i++)
		edits[i] = (struct edit){.at = m->edits[i]->at,
			.old_bytes = m->edits[i]->old_bytes,
			.bytes = m->edits[i]->bytes.data,
			.length = m->edits[i]->bytes.len};
	return 0;
}

/* alg has seen the stream up to `seen`: false if that is more than it was shown. */
static bool heard(struct natproxy *np, struct half *h, uint64_t seen)
{
	const uint64_t shown = h->at + h->told;
	if (seen > shown)
		return false;
	np->alg_silences = 0;
	h->owed_ns = 0;
	if (seen < shown)
		owe(np, &h->owed_ns);
	return true;
}

int natproxy_on_verdict(struct natproxy *np, const Nl__Verdict *m, struct chan_in *in)
{
	struct edit edits[EDIT_MAX];
	size_t out_bytes;
	struct flow *f = inspected(np, m->flow);
	if (!f)
		return 0;
	if (m->direction != NL__DIRECTION__GUEST && m->direction != NL__DIRECTION__OUTSIDE)
		return -EPROTO;
	struct inspect *slot = slot_of(np, f);
	struct half *h = &slot->half[m->direction];
	if (!heard(np, h, m->has_seen ? m->seen : m->until))
		return -EPROTO;
	if (slot->observe)
		return 0;
	if (m->until < h->at || m->until - h->at > h->told || collect_edits(m, edits))
		return -EPROTO;
	if (edit_check(edits, m->n_edits, h->at, m->until, &out_bytes))
		return -EPROTO;
	const uint32_t in_bytes = (uint32_t)(m->until - h->at);
	if (h->out_end + out_bytes + (h->staged - in_bytes) > OUTPUT_BYTES)
		return -EPROTO;
	if (in_bytes)
		slot->granted_ns = 0;
	pass(h, in_bytes, edits, m->n_edits, out_bytes);
	flow_work(np, f, m->direction == NL__DIRECTION__GUEST ? WORK_UPLOAD : WORK_DOWNLOAD);
	return 0;
}

int natproxy_on_give_up(struct natproxy *np, const Nl__GiveUp *m, struct chan_in *in)
{
	struct flow *f = inspected(np, m->flow);
	np->alg_silences = 0;
	if (f)
		inspect_give_up(np, f);
	return 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* Since when alg owes anything about a flow; 0: it does not. */
static uint64_t owing_since(const struct inspect *in)
{
	return earlier(in->granted_ns, earlier(in->half[NL__DIRECTION__GUEST].owed_ns,
					       in->half[NL__DIRECTION__OUTSIDE].owed_ns));
}

/* Gives up the flows that waited too long: how many; the others set the next date. */
static uint32_t give_up_overdue(struct natproxy *np)
{
	const uint64_t budget_ns = (uint64_t)ALG_BUDGET_MS * MS_NS;
	uint32_t given_up = 0;
	np->inspect_due_ns = 0;
	for (uint32_t i = 0; i < NATPROXY_INSPECTED; i++) {
		struct flow *f = np->inspect_flow[i] ? &np->flow[np->inspect_flow[i] - 1] : NULL;
		const uint64_t since_ns =
			f && !np->inspect[i].raw ? owing_since(&np->inspect[i]) : 0;
		if (!since_ns)
			continue;
		if (since_ns + budget_ns > np->now_ns) {
			np->inspect_due_ns = earlier(np->inspect_due_ns, since_ns + budget_ns);
			continue;
		}
		drop_count(np->drops, DROP_ALG_SILENT);
		tell_end(np, f);
		inspect_give_up(np, f);
		given_up++;
	}
	return given_up;
}

void inspect_timeout(struct natproxy *np)
{
	if (!np->inspect_due_ns || np->now_ns < np->inspect_due_ns)
		return;
	const uint32_t given_up = give_up_overdue(np);
	if (!given_up)
		return;
	natproxy_diagnostic(np,
		"alg has not answered for %u ms: flows go on without inspection (%u now). Its "
		"expectations are closed.",
		(unsigned int)ALG_BUDGET_MS, given_up);
	np->alg_silences += given_up;
	if (np->alg_silences < ALG_SILENCES)
		return;
	np->alg_silences = 0;
	np->shell.alg_silent(np->shell.context);
	natproxy_alg_lost(np);
}

void natproxy_alg_lost(struct natproxy *np)
{
	for (uint32_t i = 0; i < NATPROXY_INSPECTED; i++) {
		if (!np->inspect_flow[i])
			continue;
		struct flow *f = &np->flow[np->inspect_flow[i] - 1];
		if (!slot_of(np, f)->raw)
			inspect_give_up(np, f);
	}
}

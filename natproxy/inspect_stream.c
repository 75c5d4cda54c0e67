/*
 * Theory of operation. Each direction of an inspected connection is a half:
 *
 *   bytes in ─▶ stage (64 KiB) ─────verdict────▶ output ─▶ socket, or own arena buffers
 *                 └─▶ copied to alg: FlowBytes     ▲
 *                        Verdict(until, edits) ────┘
 *
 * The stage holds the longest message that alg may wait for. Signalling is little data, so both
 * halves copy; they are sized for the worst case and touched only as far as used. The stage takes
 * bytes only while nothing waits in the output, so a verdict never has to wait. An ALG that observes
 * sees the bytes but holds nothing.
 *
 * After a give-up, or when alg is gone, what is held leaves unchanged and in order, then the slot
 * is freed and the flow goes on by the ordinary path. Urgent marks are not carried across an
 * inspected flow; its bytes are.
 */
#include "inspect_stream.h"

#include <errno.h>
#include <string.h>

#include "derive.h"
#include "download.h"
#include "inspection.h"
#include "relay.h"
#include "session.h"
#include "upload.h"

static struct inspection *slot_of(const struct natproxy *np, const struct flow *f)
{
	return &np->inspect->slot[f->inspect - 1];
}

static struct inspect_half *half_of(
	const struct natproxy *np, const struct inspection *in, Nl__Direction direction)
{
	return &np->inspect->half[inspection_index(np, in)][direction];
}

static struct inspect_half *half(
	const struct natproxy *np, const struct flow *f, Nl__Direction direction)
{
	return half_of(np, slot_of(np, f), direction);
}

static void half_reset(struct inspect_half *h)
{
	h->at = h->settled = h->judged = 0;
	h->first = h->staged = h->told = h->out_first = h->out_end = 0;
	h->finish_told = h->finish_passed = false;
}

/* By its port, or because an expectation said so: of the connection by which it came, or of one like this. */
static bool is_wanted(
	struct natproxy *np, struct flow *f, const struct derived *by, struct want *out)
{
	const struct nat_session *s = nat_session(&np->nat, f->sessions);
	if (by)
		return derive_wanted(np, by, s, out);
	return inspection_wanted(np, f, s, out) || derive_met(np, s, out);
}

void inspect_stream_start(struct natproxy *np, struct flow *f, const struct derived *by)
{
	struct want want;
	struct inspection *in =
		is_wanted(np, f, by, &want) ? inspection_begin(np, f, f->sessions, &want) : NULL;
	if (!in)
		return;
	f->inspect = (uint16_t)(inspection_index(np, in) + 1);
	half_reset(half(np, f, NL__DIRECTION__GUEST));
	half_reset(half(np, f, NL__DIRECTION__OUTSIDE));
}

static void detach(struct natproxy *np, struct flow *f)
{
	inspection_free(np, slot_of(np, f));
	f->inspect = 0;
}

void inspect_stream_end(struct natproxy *np, struct flow *f)
{
	if (!f->inspect)
		return;
	if (!slot_of(np, f)->raw)
		inspection_tell_end(np, slot_of(np, f));
	inspection_close_doors(np, slot_of(np, f), "control connection ended");
	detach(np, f);
}

void inspect_stream_give_up(struct natproxy *np, struct inspection *in)
{
	struct flow *f = flow_live(np, in->flow);
	in->raw = true;
	inspection_close_doors(np, in, "inspection given up");
	flow_work(np, f, WORK_UPLOAD);
	flow_work(np, f, WORK_DOWNLOAD);
}

uint64_t inspect_stream_shown(
	const struct natproxy *np, const struct inspection *in, Nl__Direction direction)
{
	const struct inspect_half *h = half_of(np, in, direction);
	return h->at + h->told;
}

/* How many bytes the stage takes now; what it holds moves to its front. */
static uint32_t stage_room(struct inspect_half *h)
{
	if (h->out_end)
		return 0;
	if (h->first && h->staged)
		memmove(h->stage, h->stage + h->first, h->staged);
	h->first = 0;
	return STREAM_STAGE_BYTES - h->staged;
}

static bool has_room(const struct inspect_half *h)
{
	return !h->out_end && h->staged < STREAM_STAGE_BYTES;
}

/* The next record of what alg has not seen: 0, or an error of inspection_show. */
static int tell_record(struct natproxy *np, struct flow *f, Nl__Direction direction, bool finished)
{
	struct inspect_half *h = half(np, f, direction);
	Nl__FlowBytes m = NL__FLOW_BYTES__INIT;
	uint32_t n = h->staged - h->told;
	if (n > INSPECTION_RECORD_BYTES)
		n = INSPECTION_RECORD_BYTES;
	m.has_flow = m.has_direction = m.has_at = m.has_bytes = m.has_fin = true;
	m.flow = slot_of(np, f)->number;
	m.direction = direction;
	m.at = h->at + h->told;
	m.bytes = (ProtobufCBinaryData){n, h->stage + h->first + h->told};
	m.fin = finished && h->told + n == h->staged;
	const int r = inspection_show(np, slot_of(np, f), &m);
	if (r)
		return r;
	h->told += n;
	h->finish_told = m.fin;
	return 0;
}

/* Shows alg what it has not seen, as far as the channel takes it. */
static void tell(struct natproxy *np, struct flow *f, Nl__Direction direction, bool finished)
{
	const struct inspect_half *h = half(np, f, direction);
	int r = 0;
	while (!r && (h->told < h->staged || (finished && !h->finish_told)))
		r = tell_record(np, f, direction, finished);
	if (r == -EAGAIN)
		flow_work(np, f, direction == NL__DIRECTION__GUEST ? WORK_UPLOAD : WORK_DOWNLOAD);
	else if (r)
		inspect_stream_give_up(np, slot_of(np, f));
}

/* Moves the first `in_bytes` of the stage to the output with edits applied, `out_bytes` long. */
static void pass(struct inspect_half *h, uint32_t in_bytes, const struct edit *edits, size_t count,
	size_t out_bytes)
{
	edit_apply(edits, count, h->at, h->stage + h->first, in_bytes, h->output + h->out_end);
	h->out_end += (uint32_t)out_bytes;
	h->at += in_bytes;
	h->first += in_bytes;
	h->staged -= in_bytes;
	h->told -= h->told < in_bytes ? h->told : in_bytes;
	if (!h->out_end)
		h->settled = h->at;
}

/* Shows the new bytes, and without a verdict to wait for passes them on. */
static void judge(struct natproxy *np, struct flow *f, Nl__Direction direction, bool finished)
{
	const struct inspection *in = slot_of(np, f);
	struct inspect_half *h = half_of(np, in, direction);
	if (!in->raw)
		tell(np, f, direction, finished);
	if (in->raw)
		pass(h, h->staged, NULL, 0, h->staged);
	else if (in->observe)
		pass(h, h->told, NULL, 0, h->told);
}

static void output_took(struct inspect_half *h, size_t n)
{
	h->out_first += (uint32_t)n;
	if (h->out_first < h->out_end)
		return;
	h->out_first = h->out_end = 0;
	h->settled = h->at;
}

bool inspect_stream_drained(
	const struct natproxy *np, const struct flow *f, Nl__Direction direction)
{
	const struct inspect_half *h = half(np, f, direction);
	return !h->staged && !h->out_end;
}

uint64_t inspect_stream_consumed(const struct natproxy *np, const struct flow *f)
{
	return half(np, f, NL__DIRECTION__GUEST)->settled;
}

/* A flow that was given up and holds nothing any more leaves inspection. */
static void maybe_detach(struct natproxy *np, struct flow *f)
{
	if (slot_of(np, f)->raw && inspect_stream_drained(np, f, NL__DIRECTION__GUEST) &&
		inspect_stream_drained(np, f, NL__DIRECTION__OUTSIDE) && !f->outside_finished &&
		!f->guest_finished)
		detach(np, f);
}

bool inspect_stream_upload(struct natproxy *np, struct flow *f)
{
	struct inspect_half *h = half(np, f, NL__DIRECTION__GUEST);
	const uint32_t room = stage_room(h);
	h->staged += (uint32_t)upload_copy(np, f, h->stage + h->staged, room);
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
	const bool more = f->queue_first && has_room(h) && !f->blocked;
	maybe_detach(np, f);
	return more;
}

/* Lends the output to netstack, as far as credit and slots go. */
static void lend_output(struct natproxy *np, struct flow *f, struct inspect_half *h)
{
	if (h->out_end)
		output_took(h,
			download_copy(np, f, h->output + h->out_first, h->out_end - h->out_first));
}

/* False: the flow was reset. */
static bool fill_from_socket(struct natproxy *np, struct flow *f, struct inspect_half *h)
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

bool inspect_stream_download(struct natproxy *np, struct flow *f)
{
	struct inspect_half *h = half(np, f, NL__DIRECTION__OUTSIDE);
	if (h->finish_passed || !fill_from_socket(np, f, h))
		return false;
	judge(np, f, NL__DIRECTION__OUTSIDE, f->outside_finished);
	lend_output(np, f, h);
	if (f->outside_finished && !h->staged && !h->out_end) {
		h->finish_passed = true;
		download_finish(np, f);
		return false;
	}
	flow_watch(np, f);
	const bool more = f->readable && has_room(h);
	maybe_detach(np, f);
	return more;
}

size_t inspect_stream_take(struct natproxy *np, struct flow *f, uint8_t *out, size_t room)
{
	struct inspect_half *h = half(np, f, NL__DIRECTION__GUEST);
	const uint32_t free = stage_room(h);
	h->staged += (uint32_t)upload_copy(np, f, h->stage + h->staged, free);
	judge(np, f, NL__DIRECTION__GUEST, f->guest_finished && !f->queue_first);
	const size_t passed = h->out_end - h->out_first, n = passed < room ? passed : room;
	memcpy(out, h->output + h->out_first, n);
	if (n)
		output_took(h, n);
	maybe_detach(np, f);
	return n;
}

void inspect_stream_lend(struct natproxy *np, struct flow *f)
{
	judge(np, f, NL__DIRECTION__OUTSIDE, false);
	lend_output(np, f, half(np, f, NL__DIRECTION__OUTSIDE));
	maybe_detach(np, f);
}

uint32_t inspect_stream_give(struct natproxy *np, struct flow *f, const uint8_t *bytes, uint32_t n)
{
	struct inspect_half *h = half(np, f, NL__DIRECTION__OUTSIDE);
	const uint32_t room = stage_room(h), part = n < room ? n : room;
	memcpy(h->stage + h->staged, bytes, part);
	h->staged += part;
	inspect_stream_lend(np, f);
	return part;
}

/* An ALG that observes: the bytes have gone on, its edits are said. */
static int observe(
	struct natproxy *np, struct inspection *in, struct inspect_half *h, const Nl__Verdict *m)
{
	struct edit edits[EDIT_MAX];
	size_t out_bytes;
	if (m->until > h->at + h->told || inspection_edits(m, edits) ||
		edit_check(edits, m->n_edits, h->judged, m->until, &out_bytes))
		return -EPROTO;
	if (m->until > h->judged)
		in->granted_ns = 0;
	h->judged = m->until;
	if (m->n_edits)
		inspection_report(np, in, m);
	return 0;
}

int inspect_stream_verdict(struct natproxy *np, struct inspection *in, const Nl__Verdict *m)
{
	struct edit edits[EDIT_MAX];
	size_t out_bytes;
	struct flow *f = flow_live(np, in->flow);
	struct inspect_half *h = half_of(np, in, m->direction);
	if (in->observe)
		return observe(np, in, h, m);
	if (m->until < h->at || m->until - h->at > h->told || inspection_edits(m, edits))
		return -EPROTO;
	if (edit_check(edits, m->n_edits, h->at, m->until, &out_bytes))
		return -EPROTO;
	const uint32_t in_bytes = (uint32_t)(m->until - h->at);
	if (h->out_end + out_bytes + (h->staged - in_bytes) > STREAM_OUTPUT_BYTES)
		return -EPROTO;
	if (in_bytes)
		in->granted_ns = 0;
	pass(h, in_bytes, edits, m->n_edits, out_bytes);
	flow_work(np, f, m->direction == NL__DIRECTION__GUEST ? WORK_UPLOAD : WORK_DOWNLOAD);
	return 0;
}

/*
 * A guest's TCP behind a link that loses, repeats and reorders, both directions, under virtual time: what arrives
 * must be what was sent. The guest here is a second, much simpler TCP written for this test.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum { BYTES = 400000, WIRE = 4096, MSS = 1448, LINK_US = 2500, GUEST_RTO_MS = 250 };

struct in_flight {
	uint64_t at;
	bool to_guest;
	struct tcp_spec spec;
	uint8_t options[40];
	uint8_t data[1460];
};

static struct world *w;
static struct conn c;
static struct in_flight wire[WIRE];
static unsigned int wire_n;
static uint64_t seed;
static uint8_t up[BYTES], down[BYTES], got[BYTES];
static bool have[BYTES];
static unsigned int loss_pm, dup_pm, reorder_pm;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % below;
}

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void carry(const struct tcp_spec *t, bool to_guest)
{
	unsigned int copies = rnd(1000) < loss_pm ? 0 : rnd(1000) < dup_pm ? 2 : 1;
	while (copies-- && wire_n < WIRE) {
		struct in_flight *f = &wire[wire_n++];
		f->at = w->now + LINK_US * 1000u + (rnd(1000) < reorder_pm ? rnd(4000) * 1000u : 0);
		f->to_guest = to_guest;
		f->spec = *t;
		if (t->options_len)
			memcpy(f->options, t->options, t->options_len);
		if (t->len)
			memcpy(f->data, t->data, t->len);
	}
}

/* --- the guest --- */
static uint32_t g_una, g_nxt, g_rcv, g_cwnd, g_start, g_peer_start;
static uint64_t g_timer;
static unsigned int g_dups, g_window;
static uint32_t g_ts;
static bool g_close, g_fin_acked,
	g_peer_fin;	  /* the guest closes; its FIN was acknowledged; it saw ours */
static uint64_t g_fin_at; /* when the FIN goes (again) */

static void guest_segment(uint32_t seq, uint32_t len)
{
	uint8_t o[40] = {1, 1, 8, 10};
	struct tcp_spec t = {.src = GUEST,
		.dst = OUTSIDE,
		.sport = c.sport,
		.dport = c.dport,
		.seq = seq,
		.ack = g_rcv,
		.window = 2000,
		.flags = F_ACK,
		.options = o,
		.options_len = 12};
	uint32_t from = g_rcv - g_peer_start, holes = 0, i = from;
	put32(o + 4, (uint32_t)(w->now / MS));
	put32(o + 8, g_ts);
	/* one or two SACK blocks, found by looking */
	while (i < BYTES && holes < 2) {
		uint32_t start;
		while (i < BYTES && !have[i])
			i++;
		start = i;
		while (i < BYTES && have[i])
			i++;
		if (start == i || i - from > 300000)
			break;
		put32(o + 16 + holes * 8, g_peer_start + start);
		put32(o + 20 + holes * 8, g_peer_start + i);
		holes++;
	}
	if (holes) {
		memcpy(o + 12, "\x01\x01\x05", 3);
		o[15] = (uint8_t)(2 + holes * 8);
		t.options_len = (uint8_t)(16 + holes * 8);
	}
	if (len) {
		t.data = up + (seq - g_start);
		t.len = len;
	}
	if (g_close && seq == g_start + BYTES)
		t.flags |= F_FIN;
	carry(&t, false);
}

/* All is sent and acknowledged: the FIN, until it is acknowledged too. */
static void guest_close(void)
{
	if (!g_close || g_fin_acked || g_una != g_start + BYTES || w->now < g_fin_at)
		return;
	g_fin_at = w->now + GUEST_RTO_MS * MS;
	guest_segment(g_start + BYTES, 0);
}

static void guest_output(void)
{
	uint32_t end = g_start + BYTES;
	while (g_nxt != end && g_nxt - g_una < g_cwnd && g_nxt - g_una < g_window) {
		uint32_t n = end - g_nxt < MSS ? end - g_nxt : MSS;
		guest_segment(g_nxt, n);
		g_nxt += n;
		if (!g_timer)
			g_timer = w->now + GUEST_RTO_MS * MS;
	}
}

static void guest_input(const struct tcp_spec *t, const uint8_t *data)
{
	uint32_t offset = t->seq - g_peer_start;
	g_window = t->window * 128u;
	if (t->options_len >= 12)
		g_ts = get32((const uint8_t *)t->options + 4);
	g_fin_acked |= g_close && t->ack == g_start + BYTES + 1;
	if (g_fin_acked || t->ack == g_start + BYTES + 1) {
		cr_assert(g_close, "acknowledged a FIN that was not sent");
	} else if ((int32_t)(t->ack - g_una) > 0) {
		g_una = t->ack;
		if ((int32_t)(g_nxt - g_una) < 0)
			g_nxt = g_una;
		g_cwnd += MSS;
		g_dups = 0;
		g_timer = g_una == g_nxt ? 0 : w->now + GUEST_RTO_MS * MS;
	} else if (!t->len && t->ack == g_una && g_nxt != g_una && ++g_dups == 3) {
		g_cwnd = g_cwnd / 2 > 4 * MSS ? g_cwnd / 2 : 4 * MSS;
		guest_segment(g_una, g_start + BYTES - g_una < MSS ? g_start + BYTES - g_una : MSS);
	}
	if (t->len) {
		cr_assert_leq(offset + t->len, BYTES);
		memcpy(got + offset, data, t->len);
		memset(have + offset, 1, t->len);
		while (g_rcv - g_peer_start < BYTES && have[g_rcv - g_peer_start])
			g_rcv++;
	}
	if ((t->flags & F_FIN) && g_rcv - g_peer_start >= BYTES) {
		cr_assert_eq(offset + t->len, BYTES, "the FIN is behind the last byte");
		g_peer_fin = true;
		g_rcv = g_peer_start + BYTES + 1;
	}
	if (t->len || (t->flags & F_FIN))
		guest_segment(g_fin_acked ? g_start + BYTES + 1 : g_nxt, 0);
}

static void guest_timer(void)
{
	if (!g_timer || w->now < g_timer)
		return;
	g_nxt = g_una;
	g_cwnd = MSS * 2;
	g_timer = 0;
	g_dups = 0;
}

/* --- the link --- */
static void deliver(void)
{
	static uint8_t frame[2000];
	for (unsigned int i = 0; i < wire_n;) {
		struct in_flight f = wire[i];
		if (f.at > w->now) {
			i++;
			continue;
		}
		wire[i] = wire[--wire_n];
		f.spec.options = f.options;
		f.spec.data = f.data;
		if (f.to_guest)
			guest_input(&f.spec, f.data);
		else
			world_frame(w, frame, make_tcp(frame, &f.spec), false);
	}
}

static void pick_up(void)
{
	for (unsigned int i = 0; i < w->frames_n; i++) {
		const struct seen *s = &w->frame[i];
		struct tcp_spec t = {.seq = s->seq,
			.ack = s->ack,
			.window = s->window,
			.flags = s->flags,
			.options = s->options,
			.options_len = (uint8_t)s->options_len,
			.data = s->payload,
			.len = s->payload_len};
		if (s->protocol == 6)
			carry(&t, true);
	}
	world_clear(w);
}

static uint64_t far_sent;

static void far_output(void)
{
	while (far_sent < BYTES) {
		uint32_t n = 1 + rnd(60000);
		struct ring_desc d = {
			.op = RING_NATPROXY_TCP_DATA, .flow = c.flow, .arg = far_sent};
		if (far_sent + n > BYTES)
			n = (uint32_t)(BYTES - far_sent);
		if (far_sent + n > w->credit)
			return;
		if (!world_payload(w, &d, down + far_sent, n))
			return;
		far_sent += n;
	}
}

static void run_link(void)
{
	guest_timer();
	guest_output();
	deliver();
	world_run(w);
	pick_up();
	w->now += MS;
}

/* FINs in either order or at once over the same bad link: each side hears the other's, and its own acknowledged. */
static void close_both(unsigned int order)
{
	uint64_t began = w->now;
	bool far_closed = false;
	g_close = order != 1;
	while (!(g_fin_acked && g_peer_fin && w->upload_fin) && w->now - began < 200 * SECOND) {
		if (!far_closed && (order != 0 || g_fin_acked)) {
			conn_far(&c, RING_NATPROXY_TCP_FIN, 0);
			far_closed = true;
		}
		g_close |= g_peer_fin;
		guest_output();
		guest_close();
		run_link();
	}
	cr_assert(w->upload_fin, "the guest's FIN never arrived");
	cr_assert(g_fin_acked, "or was not acknowledged");
	cr_assert(g_peer_fin, "the far end's FIN never arrived");
	cr_assert_eq(world_told_count(w, RING_NETSTACK_TCP_RESET), 0);
}

static uint64_t transfer(
	uint64_t run_seed, unsigned int loss, unsigned int dup, unsigned int reorder)
{
	uint64_t began;
	seed = run_seed;
	loss_pm = loss;
	dup_pm = dup;
	reorder_pm = reorder;
	w = world_new(NULL);
	conn_init(&c, w, 40000, 80);
	w->credit = 0;
	conn_open(&c, OPT_ALL);
	g_ts = c.ts_echo;
	w->credit = w->credit ? w->credit : 262144;
	for (unsigned int i = 0; i < BYTES; i++) {
		up[i] = (uint8_t)rnd(256);
		down[i] = (uint8_t)rnd(256);
	}
	memset(have, 0, sizeof(have));
	g_start = g_una = g_nxt = c.seq;
	g_rcv = g_peer_start = c.ack;
	g_cwnd = 10 * MSS;
	g_window = 65535;
	g_timer = g_fin_at = 0;
	g_close = g_fin_acked = g_peer_fin = false;
	far_sent = 0;
	wire_n = 0;
	began = w->now;
	while ((w->upload_n < BYTES || g_rcv - g_peer_start < BYTES) &&
		w->now - began < 300 * SECOND) {
		far_output();
		guest_timer();
		guest_output();
		deliver();
		world_run(w);
		pick_up();
		w->now += 250000;
	}
	cr_assert_eq(w->error, 0);
	cr_assert_eq(w->upload_n, BYTES, "upload stopped at %lu", (unsigned long)w->upload_n);
	cr_assert_eq(g_rcv - g_peer_start, BYTES, "download stopped at %u", g_rcv - g_peer_start);
	cr_assert_eq(memcmp(w->upload, up, BYTES), 0, "upload damaged");
	cr_assert_eq(memcmp(got, down, BYTES), 0, "download damaged");
	close_both(run_seed % 3);
	began = w->now - began;
	loss_pm = dup_pm = reorder_pm = 0;
	for (unsigned int i = 0; i < 4000; i++)
		run_link();
	world_sleep(w, 61 * SECOND);
	cr_assert(world_at_rest(w));
	world_free(w);
	return began;
}

Test(loss, clean_link)
{
	cr_assert_lt(transfer(1, 0, 0, 0), 3 * SECOND);
}

Test(loss, profile_a_one_percent)
{
	for (uint64_t i = 0; i < 10; i++)
		cr_assert_lt(transfer(100 + i, 10, 10, 20), 12 * SECOND);
}

Test(loss, profile_b_five_percent)
{
	for (uint64_t i = 0; i < 10; i++)
		cr_assert_lt(transfer(200 + i, 50, 20, 50), 90 * SECOND);
}

Test(loss, every_fifth_frame)
{
	for (uint64_t i = 0; i < 3; i++)
		transfer(300 + i, 200, 100, 300);
}

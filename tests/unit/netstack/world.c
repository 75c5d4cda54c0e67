/* The fake ends, and frames by hand. See world.h. */
#include <assert.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cut.h"
#include "world.h"
#include "wire/wire.h"

const uint8_t GUEST_MAC[6] = {0x02, 0, 0, 0, 0, 0x10};
const uint8_t GATEWAY_MAC[6] = {0x00, 0xac, 1, 2, 3, 4};

/* Every test runs on either data path: the environment says which. */
static bool is_strict(void)
{
	return getenv("NATLOCK_WORLD_STRICT") != NULL;
}

static struct link *fake(
	struct link *l, struct ring_region *mine, struct ring_region *theirs, int from, int to)
{
	link_init(l, mine, theirs, (uint8_t)from, (uint8_t)to,
		link_arenas(is_strict() ? DATA_PATH_STRICT : DATA_PATH_SHARED, (uint8_t)to,
			(uint8_t)from),
		link_release_op((uint8_t)from, (uint8_t)to), -1);
	return l;
}

struct world *world_new(void (*adjust)(struct stack_config *c))
{
	struct world *w = calloc(1, sizeof(*w));
	w->port = WORLD_PORT;
	w->gateway_mac = GATEWAY_MAC;
	struct stack_env env;
	for (int i = 0; i < 4; i++)
		w->region[i] = aligned_alloc(64, sizeof(struct ring_region));
	for (int i = 0; i < 4; i++)
		memset(w->region[i], 0, sizeof(struct ring_region));
	fake(&w->to_broker, w->region[0], w->region[1], ACTOR_NETSTACK, ACTOR_BROKER);
	fake(&w->broker, w->region[1], w->region[0], ACTOR_BROKER, ACTOR_NETSTACK);
	fake(&w->to_natproxy, w->region[2], w->region[3], ACTOR_NETSTACK, ACTOR_NATPROXY);
	fake(&w->natproxy, w->region[3], w->region[2], ACTOR_NATPROXY, ACTOR_NETSTACK);
	arena_init(&w->own, ARENA_NETSTACK, calloc(1, ARENA_BYTES));
	arena_init(&w->frames, ARENA_BROKER, calloc(1, ARENA_BYTES));
	arena_init(&w->reads, ARENA_NATPROXY, calloc(1, ARENA_BYTES));
	w->view.base[ARENA_NETSTACK] = w->own.base;
	w->view.base[ARENA_BROKER] = w->frames.base;
	w->view.base[ARENA_NATPROXY] = w->reads.base;
	w->config = (struct stack_config){.ip_be = htobe32(GATEWAY),
		.mask_be = htobe32(0xffffff00),
		.mtu = 1500,
		.nat_enable = true,
		.dns_redirect = true,
		.tcp_per_guest = 1024,
		.udp_per_guest = 1024,
		.echo_per_guest = 64,
		.half_open_per_guest = 128,
		.strict = is_strict()};
	memcpy(w->config.mac, GATEWAY_MAC, 6);
	memset(w->config.key, 0x5a, sizeof(w->config.key));
	for (unsigned int i = 0; i < STACK_KEY_BYTES; i++)
		w->config.key[i] = (uint8_t)(i * 37 + 11);
	if (adjust)
		adjust(&w->config);
	env = (struct stack_env){&w->to_broker, &w->to_natproxy, &w->own, &w->view, &w->drops};
	w->stack = calloc(1, stack_size());
	w->now = 1000 * SECOND;
	w->open_at_once = w->consume_at_once = true;
	w->upload = malloc(WORLD_STREAM + 65536);
	stack_init(w->stack, &w->config, &env, w->now);
	return w;
}

void world_free(struct world *w)
{
	world_clear(w);
	for (int i = 0; i < 4; i++)
		free(w->region[i]);
	free(w->own.base);
	free(w->frames.base);
	free(w->reads.base);
	free(w->stack);
	free(w->upload);
	free(w);
}

uint16_t sum16(const void *bytes, size_t n, uint32_t seed)
{
	const uint8_t *p = bytes;
	uint64_t sum = seed;
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint64_t)p[i] << 8 | p[i + 1];
	if (n & 1)
		sum += (uint64_t)p[n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t pseudo(const uint8_t *ip, uint32_t l4_len)
{
	uint32_t sum = ip[9] + l4_len;
	for (int i = 12; i < 20; i += 2)
		sum += get16(ip + i);
	return sum;
}

static void parse_tcp(struct seen *s)
{
	uint32_t header = (uint32_t)(s->l4[12] >> 4) * 4;
	cr_assert(s->l4_len >= 20 && header >= 20 && header <= s->l4_len);
	s->sport = get16(s->l4);
	s->dport = get16(s->l4 + 2);
	s->seq = get32(s->l4 + 4);
	s->ack = get32(s->l4 + 8);
	s->flags = s->l4[13];
	s->window = get16(s->l4 + 14);
	s->urgent = get16(s->l4 + 18);
	s->options = s->l4 + 20;
	s->options_len = header - 20;
	s->payload = s->l4 + header;
	s->payload_len = s->l4_len - header;
}

/* Every frame that leaves must be right in all its checksums and lengths. */
static void parse(struct world *w, struct seen *s)
{
	const uint8_t *ip = s->bytes + 14;
	cr_assert(s->len > 34);
	cr_assert_arr_eq(s->bytes + 6, w->gateway_mac, 6);
	s->ethertype = get16(s->bytes + 12);
	if (s->ethertype != ETHERTYPE_IP4)
		return;
	cr_assert_eq(ip[0], 0x45);
	cr_assert_eq(sum16(ip, 20, 0), 0, "IPv4 header checksum");
	cr_assert_eq(
		get16(ip + 2) + 14u, s->len, "IPv4 length %u of frame %u", get16(ip + 2), s->len);
	cr_assert(s->len - 14 <= w->config.mtu, "frame of %u bytes", s->len);
	s->ip_id = get16(ip + 4);
	s->frag = get16(ip + 6);
	s->ttl = ip[8];
	s->protocol = ip[9];
	s->src = get32(ip + 12);
	s->dst = get32(ip + 16);
	s->l4 = ip + 20;
	s->l4_len = s->len - 34;
	if (s->frag & 0x3fff)
		return;
	if (s->protocol == 6) {
		cr_assert_eq(sum16(s->l4, s->l4_len, pseudo(ip, s->l4_len)), 0, "TCP checksum");
		parse_tcp(s);
	} else if (s->protocol == 17 && get16(s->l4 + 6)) {
		cr_assert_eq(sum16(s->l4, s->l4_len, pseudo(ip, s->l4_len)), 0, "UDP checksum");
	} else if (s->protocol == 1) {
		cr_assert_eq(sum16(s->l4, s->l4_len, 0), 0, "ICMP checksum");
	}
}

static void collect(struct world *w, const uint8_t *bytes, uint32_t len, uint32_t port)
{
	struct seen *s = &w->frame[w->frames_n];
	cr_assert(w->frames_n < WORLD_FRAMES);
	*s = (struct seen){.bytes = malloc(len), .len = len, .port = port};
	memcpy(s->bytes, bytes, len);
	w->frames_n++;
	parse(w, s);
}

static void cut(struct world *w, const uint8_t *frame, uint32_t len, const struct wire_vnet *v,
	uint32_t port)
{
	static uint8_t one[70000];
	uint32_t n;
	w->bulk_segments++;
	for (uint32_t i = 0; (n = cut_next(frame, len, v, i, one)) != 0; i++)
		collect(w, one, n, port);
}

static void take_send(struct world *w, const struct ring_desc *d, const struct ring_header *h)
{
	static uint8_t frame[80000];
	struct wire_vnet v;
	uint32_t len = d->hlen;
	memcpy(&v, h->vnet, sizeof(v));
	memcpy(frame, h->frame, d->hlen);
	for (unsigned int i = 0; i < d->nseg; i++) {
		cr_assert(d->seg[i].len > 0 && len + d->seg[i].len <= 65549);
		memcpy(frame + len, arena_view_ptr(&w->view, d->seg[i].id, d->seg[i].off),
			d->seg[i].len);
		len += d->seg[i].len;
	}
	cr_assert(len >= 34);
	if (v.gso_type) {
		cut(w, frame, len, &v, d->flow);
		return;
	}
	if (v.flags & WIRE_VNET_NEEDS_CSUM)
		cut_finish(frame, len, &v);
	collect(w, frame, len, d->flow);
}

static bool run_broker(struct world *w)
{
	struct ring_desc d;
	struct ring_header h;
	bool any = false;
	int got;
	while (!w->broker_stuck && (got = link_recv(&w->broker, &d, &h)) != 0) {
		cr_assert_eq(got, 1);
		any = true;
		if (d.op == RING_NETSTACK_SEND)
			take_send(w, &d, &h);
		else
			for (unsigned int i = 0; i < d.nseg; i++)
				cr_assert_eq(arena_return(&w->frames, d.ids[i], ACTOR_NETSTACK), 0,
					"broker got back what it had not lent");
	}
	link_flush(&w->broker);
	return any;
}

static void take_data(struct world *w, const struct ring_desc *d)
{
	uint64_t at = d->arg;
	struct ring_desc done = {.op = RING_NATPROXY_TCP_CONSUMED, .flow = d->flow};
	if (!w->upload_flow)
		w->upload_flow = d->flow;
	for (unsigned int i = 0; i < d->nseg; i++) {
		const uint8_t *bytes = arena_view_ptr(&w->view, d->seg[i].id, d->seg[i].off);
		if (d->flow == w->upload_flow && at + d->seg[i].len <= WORLD_STREAM) {
			cr_assert_eq(at, w->upload_n, "TCP_DATA not contiguous");
			memcpy(w->upload + at, bytes, d->seg[i].len);
			w->upload_n += d->seg[i].len;
		}
		at += d->seg[i].len;
		link_release(&w->natproxy, d->seg[i].id);
	}
	done.arg = at;
	cr_assert_eq(link_send(&w->natproxy, LINK_CONTROL, &done, NULL), 0);
}

static void take_told(struct world *w, const struct ring_desc *d)
{
	struct ring_desc answer = {.op = RING_NATPROXY_TCP_OPENED, .flow = d->flow};
	cr_assert(w->told_n < WORLD_TOLD);
	w->told[w->told_n++].d = *d;
	if (d->op == RING_NETSTACK_TCP_OPEN && w->open_at_once)
		link_send(&w->natproxy, LINK_CONTROL, &answer, NULL);
	else if (d->op == RING_NETSTACK_TCP_DATA && w->consume_at_once)
		take_data(w, d);
	else if (d->op == RING_NETSTACK_TCP_CREDIT)
		w->credit = d->arg;
	else if (d->op == RING_NETSTACK_TCP_FIN)
		w->upload_fin = true;
	else if (w->consume_at_once &&
		 (d->op == RING_NETSTACK_DGRAM_DATA || d->op == RING_NETSTACK_DGRAM_WHOLE))
		for (unsigned int i = 0; i < d->nseg; i++)
			link_release(&w->natproxy, d->seg[i].id);
}

static bool run_natproxy(struct world *w)
{
	struct ring_desc d;
	bool any = false;
	int got;
	if (w->natproxy_stuck)
		return false;
	while ((got = link_recv(&w->natproxy, &d, NULL)) != 0) {
		cr_assert_eq(got, 1);
		any = true;
		if (d.op == RING_NETSTACK_RELEASE_READ) {
			for (unsigned int i = 0; i < d.nseg; i++)
				cr_assert_eq(arena_return(&w->reads, d.ids[i], ACTOR_NETSTACK), 0,
					"natproxy got back what it had not lent");
			continue;
		}
		take_told(w, &d);
	}
	link_flush(&w->natproxy);
	return any;
}

static bool run_stack(struct world *w)
{
	struct link *from[2] = {&w->to_natproxy, &w->to_broker};
	struct ring_desc d;
	bool any = false;
	stack_clock(w->stack, w->now);
	for (int i = w->stack_deaf; i < 2; i++) {
		int got;
		while ((got = link_recv(from[i], &d, NULL)) > 0) {
			int err = stack_op(w->stack, &d);
			any = true;
			if (err && !w->error)
				w->error = err;
		}
		cr_assert_eq(got, 0);
	}
	stack_poll(w->stack);
	stack_flush(w->stack);
	link_flush(&w->to_broker);
	link_flush(&w->to_natproxy);
	return any;
}

void world_run(struct world *w)
{
	bool any = true;
	for (int i = 0; i < 10000 && any; i++) {
		any = run_stack(w);
		any |= run_broker(w);
		any |= run_natproxy(w);
	}
	cr_assert_not(any, "the world does not come to rest");
}

void world_advance(struct world *w, uint64_t ns)
{
	w->now += ns;
	world_run(w);
}

void world_sleep(struct world *w, uint64_t ns)
{
	uint64_t until = w->now + ns;
	for (int i = 0; i < 1000000; i++) {
		uint64_t next = stack_next_deadline(w->stack);
		if (next > until)
			break;
		w->now = next > w->now ? next : w->now + 1;
		world_run(w);
	}
	w->now = until;
	world_run(w);
}

void world_clear(struct world *w)
{
	for (uint32_t i = 0; i < w->frames_n; i++)
		free(w->frame[i].bytes);
	w->frames_n = w->told_n = 0;
}

bool world_frame(struct world *w, const void *bytes, uint32_t len, bool csum_ok)
{
	struct ring_desc d = {
		.op = RING_BROKER_FRAME, .flow = w->port, .rx = {csum_ok, 0, w->gso_size, 0}};
	uint32_t first = len < ARENA_SMALL_BYTES ? len : ARENA_SMALL_BYTES;
	for (uint32_t at = 0; at < len; at += d.seg[d.nseg - 1].len) {
		uint32_t n = at ? len - at : first;
		uint32_t id = arena_take(&w->frames, at ? BUF_LARGE : BUF_SMALL, false);
		if (!id)
			return false;
		memcpy(arena_ptr(&w->frames, id), (const uint8_t *)bytes + at, n);
		arena_lend(&w->frames, id, ACTOR_NETSTACK);
		d.seg[d.nseg++] = (struct ring_seg){buf_offset(buf_index(id)), n, id};
	}
	cr_assert_eq(link_send(&w->broker, LINK_DATA, &d, NULL), 0);
	link_flush(&w->broker);
	return true;
}

void world_tell(struct world *w, const struct ring_desc *d)
{
	cr_assert_eq(link_send(&w->natproxy, LINK_CONTROL, d, NULL), 0);
	link_flush(&w->natproxy);
}

bool world_payload(struct world *w, struct ring_desc *d, const void *bytes, uint32_t len)
{
	uint32_t id =
		len ? arena_take(&w->reads, len > ARENA_SMALL_BYTES ? BUF_LARGE : BUF_SMALL, false)
		    : 0;
	if (len && !id)
		return false;
	if (len) {
		memcpy(arena_ptr(&w->reads, id), bytes, len);
		arena_lend(&w->reads, id, ACTOR_NETSTACK);
		d->seg[d->nseg++] = (struct ring_seg){buf_offset(buf_index(id)), len, id};
	}
	world_tell(w, d);
	return true;
}

const struct seen *world_seen(const struct world *w, uint8_t protocol, unsigned int nth)
{
	for (uint32_t i = 0; i < w->frames_n; i++)
		if (w->frame[i].ethertype == ETHERTYPE_IP4 && w->frame[i].protocol == protocol &&
			nth-- == 0)
			return &w->frame[i];
	return NULL;
}

const struct ring_desc *world_told(const struct world *w, uint8_t op, unsigned int nth)
{
	for (uint32_t i = 0; i < w->told_n; i++)
		if (w->told[i].d.op == op && nth-- == 0)
			return &w->told[i].d;
	return NULL;
}

unsigned int world_count(const struct world *w, uint8_t protocol)
{
	unsigned int n = 0;
	while (world_seen(w, protocol, n))
		n++;
	return n;
}

unsigned int world_told_count(const struct world *w, uint8_t op)
{
	unsigned int n = 0;
	while (world_told(w, op, n))
		n++;
	return n;
}

static bool arena_whole(const struct arena *a)
{
	return a->free_count[BUF_SMALL] == ARENA_SMALL_COUNT &&
	       a->free_count[BUF_LARGE] == ARENA_LARGE_COUNT;
}

bool world_at_rest(struct world *w)
{
	world_run(w);
	world_advance(w, MS);
	return arena_whole(&w->own) && arena_whole(&w->frames) && arena_whole(&w->reads) &&
	       !w->error;
}

uint32_t make_ip(uint8_t *out, const struct ip_spec *ip, const void *payload, uint32_t len)
{
	uint32_t header = 20u + ip->options_len;
	memcpy(out, GATEWAY_MAC, 6);
	memcpy(out + 6, GUEST_MAC, 6);
	put16(out + 12, ETHERTYPE_IP4);
	out[14] = (uint8_t)(0x40 | header / 4);
	out[15] = ip->tos;
	put16(out + 16, header + len);
	put16(out + 18, ip->id);
	put16(out + 20, ip->frag);
	out[22] = ip->ttl ? ip->ttl : 64;
	out[23] = ip->protocol;
	put16(out + 24, 0);
	put32(out + 26, ip->src ? ip->src : GUEST);
	put32(out + 30, ip->dst ? ip->dst : OUTSIDE);
	if (ip->options_len)
		memcpy(out + 34, ip->options, ip->options_len);
	put16(out + 24, sum16(out + 14, header, 0));
	memmove(out + 14 + header, payload, len);
	return 14 + header + len;
}

uint32_t make_udp(uint8_t *out, const struct ip_spec *spec, uint16_t sport, uint16_t dport,
	const void *data, uint32_t len)
{
	static uint8_t l4[70000];
	struct ip_spec ip = *spec;
	uint32_t n;
	uint16_t sum;
	ip.protocol = 17;
	put16(l4, sport);
	put16(l4 + 2, dport);
	put16(l4 + 4, 8 + len);
	put16(l4 + 6, 0);
	memcpy(l4 + 8, data, len);
	n = make_ip(out, &ip, l4, 8 + len);
	sum = sum16(out + n - 8 - len, 8 + len, pseudo(out + 14, 8 + len));
	put16(out + n - 8 - len + 6, sum ? sum : 0xffff);
	return n;
}

uint32_t make_echo(uint8_t *out, const struct ip_spec *spec, uint16_t id, uint16_t seq,
	const void *data, uint32_t len)
{
	static uint8_t l4[70000];
	struct ip_spec ip = *spec;
	ip.protocol = 1;
	put32(l4, 8u << 24);
	put16(l4 + 4, id);
	put16(l4 + 6, seq);
	memcpy(l4 + 8, data, len);
	put16(l4 + 2, sum16(l4, 8 + len, 0));
	return make_ip(out, &ip, l4, 8 + len);
}

uint32_t make_arp(uint8_t *out, uint16_t op, const uint8_t mac[6], uint32_t sender, uint32_t target)
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
	memset(out, 0xff, 6);
	memcpy(out + 6, mac, 6);
	put16(out + 12, ETHERTYPE_ARP_);
	memcpy(out + 14, head, 6);
	put16(out + 20, op);
	memcpy(out + 22, mac, 6);
	put32(out + 28, sender);
	memset(out + 32, 0, 6);
	put32(out + 38, target);
	return 42;
}

uint32_t make_tcp(uint8_t *out, const struct tcp_spec *t)
{
	static uint8_t l4[70000];
	struct ip_spec ip = {
		.src = t->src, .dst = t->dst, .protocol = 6, .frag = 0x4000, .tos = t->tos};
	uint32_t header = 20u + t->options_len, n;
	put16(l4, t->sport);
	put16(l4 + 2, t->dport);
	put32(l4 + 4, t->seq);
	put32(l4 + 8, t->ack);
	l4[12] = (uint8_t)(header / 4 << 4);
	l4[13] = t->flags;
	put16(l4 + 14, t->window);
	put32(l4 + 16, t->urgent);
	if (t->options_len)
		memcpy(l4 + 20, t->options, t->options_len);
	if (t->len)
		memcpy(l4 + header, t->data, t->len);
	n = make_ip(out, &ip, l4, header + t->len);
	put16(out + 34 + 16, sum16(out + 34, header + t->len, pseudo(out + 14, header + t->len)) ^
				     (t->bad_checksum ? 0x100 : 0));
	return n;
}

const uint8_t *seen_option(const struct seen *s, uint8_t kind, uint8_t *len)
{
	for (uint32_t i = 0; i < s->options_len;) {
		if (s->options[i] == 1) {
			i++;
			continue;
		}
		if (s->options[i] == 0)
			break;
		cr_assert(i + 1 < s->options_len && s->options[i + 1] >= 2);
		if (s->options[i] == kind) {
			*len = (uint8_t)(s->options[i + 1] - 2);
			return s->options + i + 2;
		}
		i += s->options[i + 1];
	}
	return NULL;
}

void conn_init(struct conn *c, struct world *w, uint16_t sport, uint16_t dport)
{
	*c = (struct conn){.w = w,
		.src = GUEST,
		.dst = OUTSIDE,
		.sport = sport,
		.dport = dport,
		.seq = 1000000,
		.window = 65535,
		.ts_value = 5000};
}

static uint8_t conn_syn_options(const struct conn *c, unsigned int options, uint8_t *o)
{
	uint8_t n = 0;
	if (options & (OPT_MSS_1460 | OPT_MSS_65480)) {
		memcpy(o, options & OPT_MSS_65480 ? "\x02\x04\xff\xc8" : "\x02\x04\x05\xb4", 4);
		n = 4;
	}
	if (options & OPT_SCALE_7) {
		memcpy(o + n, "\x01\x03\x03\x07", 4);
		n = (uint8_t)(n + 4);
	}
	if (options & OPT_SACK_PERMITTED) {
		memcpy(o + n, "\x01\x01\x04\x02", 4);
		n = (uint8_t)(n + 4);
	}
	if (options & OPT_TIMESTAMPS) {
		memcpy(o + n, "\x01\x01\x08\x0a", 4);
		put32(o + n + 4, c->ts_value);
		put32(o + n + 8, 0);
		n = (uint8_t)(n + 12);
	}
	return n;
}

void conn_syn(struct conn *c, unsigned int options)
{
	uint8_t frame[200], o[40];
	struct tcp_spec t = {.src = c->src,
		.dst = c->dst,
		.sport = c->sport,
		.dport = c->dport,
		.seq = c->seq,
		.window = c->window,
		.flags = F_SYN,
		.options = o};
	t.options_len = conn_syn_options(c, options, o);
	c->ts = options & OPT_TIMESTAMPS;
	world_frame(c->w, frame, make_tcp(frame, &t), false);
	world_run(c->w);
}

void conn_open(struct conn *c, unsigned int options)
{
	const struct seen *s;
	const struct ring_desc *open;
	const uint8_t *ts;
	uint8_t len;
	world_clear(c->w);
	conn_syn(c, options);
	open = world_told(c->w, RING_NETSTACK_TCP_OPEN, 0);
	cr_assert_not_null(open);
	c->flow = open->flow;
	s = world_seen(c->w, 6, 0);
	cr_assert_not_null(s, "no SYN-ACK");
	cr_assert_eq(s->flags, F_SYN | F_ACK);
	cr_assert_eq(s->ack, c->seq + 1);
	ts = seen_option(s, 8, &len);
	c->ts_echo = ts ? get32(ts) : 0;
	c->seq++;
	c->ack = s->seq + 1;
	conn_send(c, F_ACK, NULL, 0);
	world_clear(c->w);
}

void conn_send_at(
	struct conn *c, uint32_t seq, uint32_t ack, uint8_t flags, const void *data, uint32_t len)
{
	static uint8_t frame[70000];
	uint8_t o[12] = {1, 1, 8, 10};
	struct tcp_spec t = {.src = c->src,
		.dst = c->dst,
		.sport = c->sport,
		.dport = c->dport,
		.seq = seq,
		.ack = ack,
		.window = c->window,
		.flags = flags,
		.options = o,
		.data = data,
		.len = len};
	if (c->ts) {
		put32(o + 4, c->ts_value);
		put32(o + 8, c->ts_echo);
		t.options_len = 12;
	}
	cr_assert(world_frame(c->w, frame, make_tcp(frame, &t), false));
	world_run(c->w);
}

void conn_send(struct conn *c, uint8_t flags, const void *data, uint32_t len)
{
	uint32_t seq = c->seq;
	c->seq += len + (flags & F_FIN ? 1 : 0);
	conn_send_at(c, seq, c->ack, flags, data, len);
}

void conn_far_data(struct conn *c, uint64_t offset, const void *data, uint32_t len)
{
	struct ring_desc d = {.op = RING_NATPROXY_TCP_DATA, .flow = c->flow, .arg = offset};
	cr_assert(world_payload(c->w, &d, data, len));
	world_run(c->w);
}

void conn_far(struct conn *c, uint8_t op, uint64_t arg)
{
	struct ring_desc d = {.op = op, .flow = c->flow, .arg = arg};
	world_tell(c->w, &d);
	world_run(c->w);
}

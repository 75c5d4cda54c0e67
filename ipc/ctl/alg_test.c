/*
 *   capture.c ─▶ packet.c ─▶ replay.c ─▶ steps ─▶ rows of a table, in any format
 *                               └──────▶ packets ─▶ capture.c ─▶ standard output (--write)
 *
 * The file may come from a stranger; what reads it are pure functions over its bytes (alg/replay), in a
 * process that can do nothing any more.
 */
#include "alg_test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "algs.h"
#include "ask.h"
#include "capture.h"
#include "config.pb-c.h"
#include "log.h"
#include "reflect.h"
#include "replay.h"

enum { SHOWN = 64 /* bytes of a text or of a value in hex */ };

static const struct column columns[] = {
	{"FRAME", "frame", NULL, CELL_PLAIN, false},
	{"FLOW", "flow", NULL, CELL_PLAIN, false},
	{"GUEST", "guest", NULL, CELL_PLAIN, true},
	{"PEER", "peer", NULL, CELL_PLAIN, false},
	{"FROM", "from", NULL, CELL_PLAIN, false},
	{"AT", "at", NULL, CELL_PLAIN, false},
	{"EVENT", "event", NULL, CELL_PLAIN, false},
	{"WISH", "wish", NULL, CELL_PLAIN, false},
	{"WHAT", "what", NULL, CELL_PLAIN, false},
	{"BECOMES", "becomes", NULL, CELL_PLAIN, false},
	{0},
};

/* One run; of some 80 MB, most of which is never touched. */
struct test {
	struct ctl *ctl;
	struct rows rows;
	uint64_t frame;
	bool full;	     /* more events than a table may have */
	uint32_t interfaces; /* of the output */
	struct replay_settings set;
	struct replay replay;
	struct capture capture;
	uint8_t packet[CAPTURE_FRAME_MAX], block[CAPTURE_ROOM];
};

static bool read_ip(const char *text, uint32_t *ip_be)
{
	Nl__Ip4 ip = NL__IP4__INIT;
	const bool good = reflect_text_read(&ip.base, text) == 0;

	*ip_be = ip.be;
	return good;
}

/* "203.0.113.7", or with a port that is even, as that of a pair has to be: "203.0.113.7:40000" */
static bool read_outside(const char *text, struct replay_settings *set)
{
	Nl__Endpoint at = NL__ENDPOINT__INIT;

	if (read_ip(text, &set->outside_ip_be))
		return true;
	if (reflect_text_read(&at.base, text) != 0 || at.port < ALG_PORT_MIN || at.port % 2 != 0)
		return false;
	set->outside_ip_be = at.ip_be;
	set->outside_port = (uint16_t)at.port;
	return true;
}

/* "192.168.30.5=203.0.113.5" */
static bool read_map(const char *text, struct maps *maps)
{
	const char *equals = strchr(text, '=');
	char inside[32];
	uint32_t inside_ip_be, outside_ip_be;

	if (equals == NULL || equals - text >= (ptrdiff_t)sizeof(inside))
		return false;
	snprintf(inside, sizeof(inside), "%.*s", (int)(equals - text), text);
	return read_ip(inside, &inside_ip_be) && read_ip(equals + 1, &outside_ip_be) &&
	       maps_add(maps, inside_ip_be, outside_ip_be, 0);
}

/* "21,2121": as many as an ALG may have. */
static bool read_ports(const char *text, struct replay_settings *set)
{
	char *end;

	set->ports = 0;
	for (;; text = end + 1) {
		unsigned long port = strtoul(text, &end, 10);

		if (end == text || *text == '-' || port == 0 || port > 65535 ||
			set->ports == ALGS_PORTS || (*end != ',' && *end != '\0'))
			return false;
		set->port[set->ports++] = (uint16_t)port;
		if (*end == '\0')
			return true;
	}
}

static int bad(struct failure *f, const char *cause, const char *option, const char *word)
{
	char shown[SHOWN];

	return failure(f, CTL_USAGE, "E0701", cause, "See: natlockctl help", "%s \"%s\"", option,
		reflect_printable(shown, sizeof(shown), word));
}

static int read_name(const char *name, struct replay_settings *set, struct failure *f)
{
	const int alg = algs_find(name);
	char known[CELL_BYTES_MAX] = "It is one of ";
	size_t used = strlen(known);

	for (int i = 0; i < ALGS_COUNT && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
			i > 0 ? ", " : "", algs_name((enum algs_id)i));
	if (alg < 0)
		return bad(f, known, "no gateway with a parser is called", name);
	set->alg = (enum algs_id)alg;
	set->ports = replay_ports(set->alg, set->port);
	return CTL_OK;
}

static int read_settings(const struct ctl *ctl, struct replay_settings *set, struct failure *f)
{
	const struct ctl_replay *typed = &ctl->replay;
	int code;

	memset(set, 0, sizeof(*set));
	maps_clear(&set->maps);
	set->dns_v6 = typed->dns_v6;
	code = read_name(ctl->argument[0], set, f);
	if (code != CTL_OK)
		return code;
	if (!read_outside(typed->outside != NULL ? typed->outside : "203.0.113.7", set))
		return bad(f, "It is an IPv4 address, or one with an even port from 1024 up.",
			"--outside", typed->outside);
	if (typed->guest != NULL && !read_ip(typed->guest, &set->guest_ip_be))
		return bad(f, "It is an IPv4 address.", "--guest", typed->guest);
	if (typed->port != NULL && !read_ports(typed->port, set))
		return bad(
			f, "It is a port, or up to 16 separated by commas.", "--port", typed->port);
	for (size_t i = 0; i < typed->maps; i++)
		if (!read_map(typed->map[i], &set->maps))
			return bad(f, "It is INSIDE=OUTSIDE, two IPv4 addresses.", "--map",
				typed->map[i]);
	return CTL_OK;
}

int alg_test_check(const struct ctl *ctl, struct failure *f)
{
	struct replay_settings set;

	return read_settings(ctl, &set, f);
}

static bool is_text(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] < 0x20 || bytes[i] > 0x7e || bytes[i] == '\\')
			return false;
	return true;
}

/*
 * An edit is of text where both sides are; a single byte is a length in a binary protocol, as no
 * number that a text protocol has edited is that short.
 */
static bool is_text_edit(const uint8_t *old, const struct alg_edit *e)
{
	return e->old_bytes + e->bytes > 2 && is_text(old, e->old_bytes) &&
	       is_text(e->text, e->bytes);
}

/* No more than SHOWN bytes, as they are or in hex. */
static void show(const uint8_t *bytes, size_t n, bool as_text, char *out, size_t cap)
{
	const size_t some = n < SHOWN ? n : SHOWN;
	const char *more = n > some ? "..." : "";
	size_t used = 0;

	if (as_text) {
		snprintf(out, cap, "%.*s%s", (int)some, (const char *)bytes, more);
		return;
	}
	out[0] = '\0';
	for (size_t i = 0; i < some; i++)
		used += (size_t)snprintf(
			out + used, cap - used, "%s%02x", i > 0 ? "" : "0x", bytes[i]);
	snprintf(out + used, cap - used, "%s", more);
}

static void add_row(struct test *t, const Nl__AlgTestRow *row)
{
	uint8_t packed[2048];
	const size_t bytes = nl__alg_test_row__get_packed_size(row);

	if (bytes > sizeof(packed) ||
		rows_add(&t->rows, packed, nl__alg_test_row__pack(row, packed)) != 0)
		t->full = true;
}

/* An event of this step; what and becomes may be "". */
static void add_event(struct test *t, const struct replay_step *step, uint64_t at,
	const char *event, uint32_t wish, char *what, char *becomes)
{
	const struct alg_flow *view = &step->flow->stream.view;
	Nl__Address guest = NL__ADDRESS__INIT, peer = NL__ADDRESS__INIT;
	Nl__AlgTestRow row = NL__ALG_TEST_ROW__INIT;

	guest.has_ip_be = guest.has_port = peer.has_ip_be = peer.has_port = 1;
	guest.ip_be = view->guest_ip_be;
	guest.port = view->guest_port;
	peer.ip_be = view->peer_ip_be;
	peer.port = view->peer_port;
	row.has_frame = row.has_flow = row.has_at = 1;
	row.frame = t->frame;
	row.flow = step->flow->number;
	row.guest = &guest;
	row.peer = &peer;
	row.proto = ask_string(view->stream ? "tcp" : "udp");
	row.from = ask_string(step->from == ALG_GUEST ? "guest" : "peer");
	row.at = at;
	row.event = ask_string(event);
	row.has_wish = wish != 0;
	row.wish = wish;
	row.what = what;
	row.becomes = becomes;
	add_row(t, &row);
}

static void add_edits(struct test *t, const struct replay_step *step)
{
	char old[CELL_BYTES_MAX], becomes[CELL_BYTES_MAX];

	for (unsigned int i = 0; i < step->out->edit_count; i++) {
		const struct stream_edit *e = &step->out->edit[i];
		const uint8_t *raw = step->raw + (e->at - step->raw_at);
		const bool as_text = is_text_edit(raw, &e->edit);

		show(raw, e->edit.old_bytes, as_text, old, sizeof(old));
		show(e->edit.text, e->edit.bytes, as_text, becomes, sizeof(becomes));
		add_event(t, step, e->at, "edit", 0, old, becomes);
	}
}

/* "udp pair 6970, 60s, latent"; who may come is said where it is not the far end of the flow. A watch is for the port of that one. */
static void say_wish(
	char what[CELL_BYTES_MAX], const struct alg_wish *wish, const struct alg_flow *view)
{
	static const char *const kinds[] = {[ALG_TCP_LISTEN] = "tcp",
		[ALG_UDP_ONE] = "udp",
		[ALG_UDP_PAIR] = "udp pair",
		[ALG_TCP_SERVICE] = "tcp service",
		[ALG_TCP_WATCH] = "tcp watch"};
	const unsigned int port =
		wish->kind == ALG_TCP_WATCH ? wish->peer_port : wish->guest_port;
	const bool other = wish->peer_ip_be != view->peer_ip_be;
	char ip[16];

	snprintf(what, CELL_BYTES_MAX, "%s %u, %us%s%s%s", kinds[wish->kind], port,
		wish->lifetime_ms / 1000, wish->latent ? ", latent" : "", other ? ", for " : "",
		other ? log_ip(ip, wish->peer_ip_be) : "");
}

static void add_wishes(struct test *t, const struct replay_step *step)
{
	char what[CELL_BYTES_MAX], becomes[32], ip[16];

	for (unsigned int i = 0; i < step->out->wish_count; i++) {
		const struct alg_wish *wish = &step->out->wish[i];

		say_wish(what, wish, &step->flow->stream.view);
		snprintf(becomes, sizeof(becomes), "%s:%u",
			log_ip(ip, step->grant[i].outside_ip_be), step->grant[i].outside_port);
		add_event(t, step, step->wish_at, "wish", wish->token, what, becomes);
	}
}

static const char *name_of(enum alg_act_kind what)
{
	switch (what) {
	case ALG_ARM: return "arm";
	case ALG_KEEP: return "keep";
	case ALG_CLOSE: return "close";
	}
	return "";
}

static void add_step(struct test *t, const struct replay_step *step)
{
	const struct stream_out *out = step->out;
	char why[CELL_BYTES_MAX] = "", nothing[] = "";

	for (unsigned int i = 0; i < out->act_count; i++)
		add_event(t, step, step->raw_at, name_of(out->act[i].what), out->act[i].token,
			nothing, nothing);
	add_edits(t, step);
	add_wishes(t, step);
	if (out->give_up) {
		snprintf(why, sizeof(why), "%s", out->why != NULL ? out->why : "");
		add_event(t, step, step->wish_at, out->violation ? "violation" : "give up", 0, why,
			nothing);
	}
}

/* Without --guest: the client of the first flow that the ALG would inspect. */
static bool guess_guest(const struct test *t, const void *bytes, size_t size, uint32_t *guest_ip_be)
{
	struct capture c;
	struct capture_frame frame;
	struct packet p;

	if (!capture_open(&c, bytes, size))
		return false;
	while (capture_next(&c, &frame))
		if (packet_parse(&p, c.interface[frame.interface].link, frame.bytes, frame.size) &&
			replay_guess(&t->set, &p, guest_ip_be))
			return true;
	return false;
}

static void write_block(struct test *t, size_t bytes)
{
	if (bytes > 0)
		fwrite(t->block, 1, bytes, t->ctl->out);
}

static void write_frame(struct test *t, const struct capture_frame *frame)
{
	const struct capture *c = &t->capture;

	for (; t->interfaces < c->interfaces; t->interfaces++)
		write_block(t, capture_write_interface(
				       t->block, sizeof(t->block), &c->interface[t->interfaces]));
	write_block(t, capture_write_frame(t->block, sizeof(t->block), frame));
}

/* The packet as it would leave, or as it came where it is nobody's business. */
static void write_packet(struct test *t, const struct capture_frame *frame, const struct packet *p)
{
	struct capture_frame changed = *frame;
	size_t bytes;

	if (p == NULL) {
		write_frame(t, frame);
		return;
	}
	changed.bytes = t->packet;
	while ((bytes = replay_write(&t->replay, p, frame->bytes, t->packet)) > 0) {
		changed.size = changed.length = (uint32_t)bytes;
		write_frame(t, &changed);
	}
}

static void play_frame(struct test *t, const struct capture_frame *frame)
{
	const uint16_t link = t->capture.interface[frame->interface].link;
	struct replay_step step;
	struct packet p;
	bool is_ours =
		packet_parse(&p, link, frame->bytes, frame->size) && replay_packet(&t->replay, &p);

	t->frame++;
	while (is_ours && replay_next(&t->replay, &step))
		add_step(t, &step);
	if (t->ctl->replay.write)
		write_packet(t, frame, is_ours ? &p : NULL);
}

/* What `alg stats` would say. */
static int add_totals(const struct test *t, struct rows *totals)
{
	const struct replay_totals *n = &t->replay.totals;
	Nl__AlgRow row = NL__ALG_ROW__INIT;
	uint8_t packed[256];

	row.alg = ask_string(algs_name(t->set.alg));
	row.has_flows = row.has_messages = row.has_edits = row.has_granted = row.has_violations =
		row.has_gave_up = row.has_bytes = 1;
	row.flows = n->flows;
	row.messages = n->messages;
	row.edits = n->edits;
	row.granted = n->wishes;
	row.violations = n->violations;
	row.gave_up = n->gave_up;
	row.bytes = n->bytes;
	rows_init(totals, NL__TOPIC__ALG_STATS);
	return rows_add(totals, packed, nl__alg_row__pack(&row, packed));
}

/* By which far ends know the guest: a static address of its own goes before --outside. */
static uint32_t outside_of(const struct replay_settings *set)
{
	const struct alg_flow view = {.maps = &set->maps};
	uint32_t outside_ip_be = set->outside_ip_be;

	maps_outside(&view, set->guest_ip_be, &outside_ip_be);
	return outside_ip_be;
}

static void report(struct test *t)
{
	struct render render = ask_render(t->ctl);
	struct rows totals;
	char ip[16];
	unsigned int waiting = replay_waiting(&t->replay);

	if (t->ctl->replay.write)
		render.out = t->ctl->err;
	if (add_totals(t, &totals) != 0)
		t->full = true;
	render_with_totals(&render, t->ctl->verb, columns, &t->rows, &totals);
	rows_free(&totals);
	fprintf(t->ctl->err, "The guest is %s", log_ip(ip, t->set.guest_ip_be));
	fprintf(t->ctl->err, ", outside it is %s; every wish is granted.\n",
		log_ip(ip, outside_of(&t->set)));
	if (t->capture.broken != NULL)
		fprintf(t->ctl->err, "The capture ends early: %s.\n", t->capture.broken);
	if (waiting > 0)
		fprintf(t->ctl->err, "%u flows end with bytes missing in the capture.\n", waiting);
	if (t->full)
		fprintf(t->ctl->err, "There is more than is shown.\n");
}

static int play(struct test *t, const void *bytes, size_t size, struct failure *f)
{
	const char *name = t->ctl->argument[0], *file = t->ctl->argument[1];
	struct capture_frame frame;

	if (!capture_open(&t->capture, bytes, size))
		return failure(f, CTL_FAILED, "E0715", NULL,
			"natlockctl reads pcap and pcapng; a compressed one has to be unpacked",
			"%s is no capture", file);
	if (t->ctl->replay.guest == NULL && !guess_guest(t, bytes, size, &t->set.guest_ip_be))
		return failure(f, CTL_NO_MATCH, "E0712", NULL,
			"Other ports than the usual ones: --port", "no flow of %s in %s", name,
			file);
	replay_begin(&t->replay, &t->set);
	if (t->ctl->replay.write)
		write_block(t, capture_write_head(t->block, sizeof(t->block)));
	while (capture_next(&t->capture, &frame))
		play_frame(t, &frame);
	if (t->replay.totals.flows == 0)
		return failure(f, CTL_NO_MATCH, "E0712", NULL,
			"Another guest: --guest; other ports than the usual ones: --port",
			"no flow of %s in %s", name, file);
	report(t);
	return CTL_OK;
}

int alg_test_run(struct ctl *ctl, const void *bytes, size_t size, struct failure *f)
{
	struct test *t = calloc(1, sizeof(*t));
	int code;

	if (t == NULL)
		return failure(f, CTL_FAILED, "E0708", NULL, NULL, "out of memory");
	t->ctl = ctl;
	t->rows.type = &nl__alg_test_row__descriptor;
	code = read_settings(ctl, &t->set, f);
	if (code == CTL_OK)
		code = play(t, bytes, size, f);
	rows_free(&t->rows);
	free(t);
	return code;
}

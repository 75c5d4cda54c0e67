/*
 * main.c: what alg says to natproxy, and what becomes of a flow about which natproxy did not take
 * everything. The channel is one that has begun to queue, so that all that is said can be read in it.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>

#define main alg_main
int main(void);
#include "../../../alg/main.c"
#undef main

enum { FLOW = 7, QUEUE_BYTES = 4096, FIRST_BYTES = 8 };

static struct actor actor;
static struct alg alg;
static uint8_t queue[QUEUE_BYTES];
static size_t read_bytes; /* of the queue */
static uint64_t told[2];  /* by enum alg_direction */

static uint64_t dump_nothing(void *self, Nl__Topic topic, uint64_t cursor)
{
	return 0;
}

/* FTP is on; natproxy's channel has room for so many bytes. */
static void start(size_t room)
{
	static const struct actor_ops ops = {.id = ACTOR_ALG, .dump = dump_nothing};
	Nl__AlgSwitch on = NL__ALG_SWITCH__INIT;
	Nl__Alg section = NL__ALG__INIT;
	Nl__Hub hub = NL__HUB__INIT;
	Nl__ActorBoot boot = NL__ACTOR_BOOT__INIT;
	Nl__AlgEdge edge = NL__ALG_EDGE__INIT;
	static uint8_t entropy[32];
	section.ftp = section.ldap = section.sip = section.h323 = &on;
	hub.alg = &section;
	boot.hub = &hub;
	boot.entropy = (ProtobufCBinaryData){sizeof(entropy), entropy};
	actor = (struct actor){.ops = &ops, .self = &alg};
	memset(&alg, 0, sizeof(alg));
	cr_assert_eq(alg_boot(&alg, &actor, &boot), 0);
	chan_init(&actor.chan[1], -1, NULL, queue, FIRST_BYTES + room);
	actor.chan[1].queue_bytes = read_bytes = FIRST_BYTES;
	told[0] = told[1] = 0;
	cr_assert_eq(alg_on_alg_edge(&alg, &edge, NULL), 0);
}

static void inspect(char *name, char *vrf)
{
	Nl__FlowInspect m = NL__FLOW_INSPECT__INIT;
	m.has_flow = true;
	m.flow = FLOW;
	m.alg = name;
	m.stream = true;
	m.vrf = vrf;
	m.guest_ip_be = inet_addr("192.168.30.10");
	m.outside_ip_be = inet_addr("203.0.113.7");
	m.peer_ip_be = inet_addr("198.51.100.9");
	m.guest_port = 50000;
	m.outside_port = 40000;
	cr_assert_eq(alg_on_flow_inspect(&alg, &m, NULL), 0);
}

static void show(enum alg_direction from, const char *text)
{
	Nl__FlowBytes m = NL__FLOW_BYTES__INIT;
	const size_t n = strlen(text);
	m.flow = FLOW;
	m.direction = from == ALG_GUEST ? NL__DIRECTION__GUEST : NL__DIRECTION__OUTSIDE;
	m.at = told[from];
	m.bytes = (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)text}; /* only read */
	cr_assert_eq(alg_on_flow_bytes(&alg, &m, NULL), 0);
	told[from] += n;
}

static void grant(uint32_t token)
{
	Nl__PinholeAnswer m = NL__PINHOLE_ANSWER__INIT;
	m.flow = FLOW;
	m.token = token;
	m.granted = true;
	m.outside_ip_be = inet_addr("203.0.113.7");
	m.outside_port = 40001;
	cr_assert_eq(alg_on_pinhole_answer(&alg, &m, NULL), 0);
}

/* The next thing that was said, NULL for none; it is the caller's. */
static Nl__AlgToNatproxy *heard(void)
{
	uint32_t length;
	if (read_bytes == actor.chan[1].queue_bytes)
		return NULL;
	memcpy(&length, queue + read_bytes, sizeof(length));
	Nl__AlgToNatproxy *m =
		nl__alg_to_natproxy__unpack(NULL, length, queue + read_bytes + sizeof(length));
	cr_assert(m);
	read_bytes += sizeof(length) + length;
	return m;
}

static void expect_silence(void)
{
	cr_expect_eq(read_bytes, actor.chan[1].queue_bytes);
}

static void expect_verdict(uint64_t until, uint64_t seen, size_t edits)
{
	Nl__AlgToNatproxy *m = heard();
	cr_assert(m && m->msg_case == NL__ALG_TO_NATPROXY__MSG_VERDICT);
	cr_expect_eq(m->verdict->until, until);
	cr_expect_eq(m->verdict->seen, seen);
	cr_expect_eq(m->verdict->n_edits, edits);
	nl__alg_to_natproxy__free_unpacked(m, NULL);
}

static void expect_wish(uint32_t token)
{
	Nl__AlgToNatproxy *m = heard();
	cr_assert(m && m->msg_case == NL__ALG_TO_NATPROXY__MSG_PINHOLE_OPEN);
	cr_expect_eq(m->pinhole_open->token, token);
	nl__alg_to_natproxy__free_unpacked(m, NULL);
}

static void expect_give_up(bool violation)
{
	Nl__AlgToNatproxy *m = heard();
	cr_assert(m && m->msg_case == NL__ALG_TO_NATPROXY__MSG_GIVE_UP);
	cr_expect_eq(m->give_up->violation, violation);
	nl__alg_to_natproxy__free_unpacked(m, NULL);
}

/* A guest that is logged in at its server. */
static void log_in(void)
{
	start(QUEUE_BYTES - FIRST_BYTES);
	inspect((char[]){"ftp"}, NULL);
	show(ALG_OUTSIDE, "220 hello\r\n");
	show(ALG_GUEST, "USER u\r\n");
	show(ALG_OUTSIDE, "230 in\r\n");
	expect_verdict(11, 11, 0);
	expect_verdict(8, 8, 0);
	expect_verdict(19, 19, 0);
	expect_silence();
}

/* From now on natproxy takes so many bytes more. */
static void leave_room(size_t room)
{
	actor.chan[1].queue_cap = actor.chan[1].queue_bytes + room;
}

Test(main, what_is_shown_is_answered_by_how_far_it_was_seen)
{
	log_in();
	show(ALG_GUEST, "NOO");
	expect_verdict(8, 11, 0);
	show(ALG_GUEST, "P\r\nNO");
	expect_verdict(14, 16, 0);
	expect_silence();
}

/* The operator's change comes to each process by itself. */
Test(main, what_natproxy_shows_is_read_also_before_we_hear_that_it_is_switched_on)
{
	start(QUEUE_BYTES - FIRST_BYTES);
	cr_assert_not(alg.stats.alg[ALGS_RTSP].enabled);
	inspect((char[]){"rtsp"}, NULL);
	show(ALG_GUEST, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
	expect_verdict(31, 31, 0);
	expect_silence();
	inspect((char[]){"gopher"}, NULL);
	expect_give_up(false);
}

Test(main, a_wish_counts_as_seen_when_it_was_sent)
{
	log_in();
	show(ALG_GUEST, "TYPE I\r\nPORT 192,168,30,10,4,1\r\nPORT 192,168,30,10,4,2\r\nNO");
	expect_verdict(16, 16, 0);
	expect_wish(1);
	expect_verdict(16, 66, 0);
	expect_silence();
	grant(1);
	Nl__AlgToNatproxy *m = heard();
	cr_assert(m && m->msg_case == NL__ALG_TO_NATPROXY__MSG_PINHOLE_CLOSE);
	nl__alg_to_natproxy__free_unpacked(m, NULL);
	expect_verdict(40, 40, 1);
	expect_wish(2);
	expect_verdict(40, 66, 0);
	expect_silence();
}

/* The last word about the guest's bytes: how far they were seen; UINT64_MAX where it was a GiveUp. */
static uint64_t last_word(void)
{
	uint64_t last = 0;
	for (Nl__AlgToNatproxy *m; (m = heard()); nl__alg_to_natproxy__free_unpacked(m, NULL)) {
		cr_expect_neq(last, UINT64_MAX, "about a flow that was given up");
		if (m->msg_case == NL__ALG_TO_NATPROXY__MSG_GIVE_UP)
			last = UINT64_MAX;
		if (m->msg_case == NL__ALG_TO_NATPROXY__MSG_VERDICT &&
			m->verdict->direction == NL__DIRECTION__GUEST)
			last = m->verdict->seen;
	}
	return last;
}

/* Or natproxy would wait for ever: it knows of no wish, and thinks that alg does. */
Test(main, what_waits_for_a_wish_that_was_lost_was_not_seen)
{
	size_t enough = 0;
	for (size_t room = 0; room < 200; room++) {
		log_in();
		leave_room(room);
		show(ALG_GUEST, "TYPE I\r\nPORT 192,168,30,10,4,1\r\n");
		const struct stats_alg *ftp = &alg.stats.alg[ALGS_FTP];
		if (ftp->open && !enough)
			enough = room;
		cr_expect(enough ? ftp->open : ftp->gave_up, "with room for %zu", room);
		leave_room(1000);
		show(ALG_GUEST, "NOOP\r\n");
		const uint64_t last = last_word();
		cr_expect(enough ? last == 46 : last <= 16 || last == UINT64_MAX,
			"with room for %zu: %llu", room, (unsigned long long)last);
	}
	cr_expect_gt(enough, 0);
}

Test(main, an_edit_that_was_lost_is_not_passed_over)
{
	log_in();
	show(ALG_GUEST, "PORT 192,168,30,10,4,1\r\n");
	expect_wish(1);
	expect_verdict(8, 32, 0);
	leave_room(0);
	grant(1);
	leave_room(1000);
	cr_expect_eq(alg.stats.alg[ALGS_FTP].open, 0);
	show(ALG_GUEST, "NOOP\r\n");
	expect_silence();
}

Test(main, buffers_that_others_hold_are_no_violation)
{
	log_in();
	alg.pool.small_count = alg.pool.large_count = 0;
	show(ALG_GUEST, "NOO");
	expect_give_up(false);
	expect_silence();
	alg.pool.small_count = STREAM_SMALL_COUNT;
	alg.pool.large_count = STREAM_LARGE_COUNT;
}

Test(main, rubbish_is_one)
{
	log_in();
	show(ALG_GUEST, "POST / HTTP/1.1\r\n");
	expect_give_up(true);
	expect_silence();
}

/* Edits in a message that names a mapped address, by whose mapping: a shorter one costs lengths, too. */
enum { NOBODYS = 0, HUBS = 1, OTHERS = 4 };

/* nat.static has an address of 192.168.30.50 by first_vrf, and one by the hub's VRF. */
static void configure(char *first_vrf, char *vrf)
{
	Nl__Ip4 in = NL__IP4__INIT, out = NL__IP4__INIT, other = NL__IP4__INIT;
	Nl__Static first = NL__STATIC__INIT, second = NL__STATIC__INIT;
	Nl__Static *both[] = {&first, &second};
	Nl__AlgSwitch on = NL__ALG_SWITCH__INIT;
	Nl__Alg section = NL__ALG__INIT;
	Nl__Nat nat = NL__NAT__INIT;
	Nl__Hub hub = NL__HUB__INIT;
	Nl__ActorConfigure m = NL__ACTOR_CONFIGURE__INIT;
	in.be = inet_addr("192.168.30.50");
	out.be = inet_addr("203.0.113.150");
	other.be = inet_addr("203.0.113.99");
	first.inside = second.inside = &in;
	first.outside = &other;
	first.vrf = first_vrf;
	second.outside = &out;
	nat.vrf = vrf;
	nat.n_static_ = 2;
	nat.static_ = both;
	section.ldap = &on;
	hub.alg = &section;
	hub.nat = &nat;
	m.hub = &hub;
	cr_assert_eq(alg_configure(&alg, &m), 0);
}

/* A comparison with the mapped address (RFC 4511 4.10): what it costs. */
static void compare_costs(size_t edits)
{
	static const char compare[] = "\x30\x2d\x02\x01\x07\x6e\x28\x04\x03"
				      "a=b"
				      "\x30\x21\x04\x10"
				      "msTAPI-IpAddress"
				      "\x04\x0d"
				      "192.168.30.50";
	const uint64_t until = told[ALG_GUEST] + sizeof(compare) - 1;
	show(ALG_GUEST, compare);
	expect_verdict(until, until, edits);
}

Test(main, a_flow_keeps_its_vrf_when_they_are_numbered_anew)
{
	start(QUEUE_BYTES - FIRST_BYTES);
	configure((char[]){"red"}, (char[]){"blue"});
	inspect((char[]){"ldap"}, (char[]){"blue"});
	compare_costs(HUBS);
	configure((char[]){"none"}, (char[]){"blue"});
	compare_costs(HUBS);
	configure((char[]){"blue"}, (char[]){"red"});
	compare_costs(OTHERS);
	configure((char[]){"red"}, (char[]){"none"});
	compare_costs(NOBODYS);
	inspect((char[]){"ldap"}, NULL);
	told[ALG_GUEST] = 0;
	compare_costs(HUBS);
}

static const char registers[] = "REGISTER sip:example.com SIP/2.0\r\n"
				"Via: SIP/2.0/TCP 192.168.30.10:50000;branch=z9hG4bK1\r\n"
				"From: <sip:a@example.com>;tag=1\r\n"
				"To: <sip:a@example.com>\r\n"
				"Call-ID: r@192.168.30.10\r\n"
				"CSeq: 1 REGISTER\r\n"
				"Contact: <sip:a@192.168.30.10:50000;transport=tcp>\r\n"
				"Expires: 3600\r\n"
				"Content-Length: 0\r\n\r\n";
static const char registered[] = "SIP/2.0 200 OK\r\n"
				 "Via: SIP/2.0/TCP 203.0.113.7:0;branch=z9hG4bK1\r\n"
				 "From: <sip:a@example.com>;tag=1\r\n"
				 "To: <sip:a@example.com>;tag=2\r\n"
				 "Call-ID: r@192.168.30.10\r\n"
				 "CSeq: 1 REGISTER\r\n"
				 "Contact: <sip:a@203.0.113.7:40000;transport=tcp>;expires=1800\r\n"
				 "Content-Length: 0\r\n\r\n";

/* How often a message of this kind was said; the last one's hold. */
static unsigned int heard_of(Nl__AlgToNatproxy__MsgCase kind, uint32_t *hold_ms)
{
	unsigned int n = 0;
	for (Nl__AlgToNatproxy *m; (m = heard()); nl__alg_to_natproxy__free_unpacked(m, NULL)) {
		n += m->msg_case == kind;
		if (m->msg_case == NL__ALG_TO_NATPROXY__MSG_FLOW_HOLD)
			*hold_ms = m->flow_hold->milliseconds;
	}
	return n;
}

Test(main, a_registration_has_its_flow_held)
{
	uint32_t hold_ms = 0;
	start(QUEUE_BYTES - FIRST_BYTES);
	inspect((char[]){"sip"}, NULL);
	show(ALG_GUEST, registers);
	cr_expect_eq(heard_of(NL__ALG_TO_NATPROXY__MSG_FLOW_HOLD, &hold_ms), 0);
	show(ALG_OUTSIDE, registered);
	cr_expect_eq(heard_of(NL__ALG_TO_NATPROXY__MSG_FLOW_HOLD, &hold_ms), 1);
	cr_expect(hold_ms >= 1800000 && hold_ms < 2000000, "%u", hold_ms);
}

Test(main, switches_reach_flows_that_are_there)
{
	Nl__AlgSwitch on = NL__ALG_SWITCH__INIT;
	Nl__Alg section = NL__ALG__INIT;
	Nl__Hub hub = NL__HUB__INIT;
	Nl__ActorConfigure m = NL__ACTOR_CONFIGURE__INIT;
	start(QUEUE_BYTES - FIRST_BYTES);
	inspect((char[]){"sip"}, NULL);
	const struct alg_flow *view = &find(&alg, FLOW)->stream.view;
	cr_expect(!view->sip_latch && !view->sip_multipart && !view->h323_forward);
	cr_expect_eq(view->sip, &alg.sip);
	section.sip = &on;
	section.has_sip_latch = section.sip_latch = true;
	section.has_sip_multipart = section.sip_multipart = true;
	section.has_h323_forward = section.h323_forward = true;
	hub.alg = &section;
	m.hub = &hub;
	cr_assert_eq(alg_configure(&alg, &m), 0);
	cr_expect(view->sip_latch && view->sip_multipart && view->h323_forward);
}

Test(main, a_derived_flow_knows_who_spoke_of_it_and_all_see_one_table)
{
	Nl__FlowInspect m = NL__FLOW_INSPECT__INIT;
	start(QUEUE_BYTES - FIRST_BYTES);
	m.has_flow = m.has_link = true;
	m.flow = FLOW;
	m.alg = (char[]){"h323"};
	m.stream = true;
	m.service = 3;
	m.link = 77;
	cr_assert_eq(alg_on_flow_inspect(&alg, &m, NULL), 0);
	const struct flow *f = find(&alg, FLOW);
	cr_assert(f);
	cr_expect(table_rows[f->row]->alg == ALGS_H323 && table_rows[f->row]->service == 3);
	cr_expect(f->stream.view.link == 77 && f->stream.view.h323 == &alg.h323);
	m.service = 4;
	cr_assert_eq(alg_on_flow_inspect(&alg, &m, NULL), 0);
	expect_give_up(false);
	cr_expect_not(find(&alg, FLOW));
}

Test(main, a_wish_says_how_a_connection_is_to_be_read)
{
	start(QUEUE_BYTES - FIRST_BYTES);
	inspect((char[]){"h323"}, NULL);
	static const struct alg_wish wishes[] = {
		{.kind = ALG_TCP_WATCH,
			.token = 1,
			.peer_ip_be = 9,
			.peer_port = 5000,
			.inspect = true,
			.service = 3,
			.link = 77},
		{.kind = ALG_TCP_SERVICE, .token = 2, .guest_port = 1720, .inspect = true},
		{.kind = ALG_UDP_ONE, .token = 3, .guest_port = 5000},
	};
	for (int i = 0; i < 3; i++)
		send_wish(&alg, find(&alg, FLOW), &wishes[i]);
	Nl__AlgToNatproxy *m[3] = {heard(), heard(), heard()};
	const Nl__PinholeOpen *watch = m[0]->pinhole_open, *service = m[1]->pinhole_open,
			      *udp = m[2]->pinhole_open;
	cr_expect(watch->kind == NL__PINHOLE_KIND__TCP_WATCH && !watch->has_guest_port);
	cr_expect(watch->peer_port == 5000 && watch->has_inspect && watch->inspect == 3 &&
		  watch->link == 77);
	cr_expect(service->kind == NL__PINHOLE_KIND__TCP_SERVICE && service->guest_port == 1720);
	cr_expect(service->has_inspect && service->inspect == 0 && !service->has_peer_port);
	cr_expect(udp->kind == NL__PINHOLE_KIND__UDP_ONE && !udp->has_inspect && !udp->has_link);
	for (int i = 0; i < 3; i++)
		nl__alg_to_natproxy__free_unpacked(m[i], NULL);
}

/* Where the owner is gone its number was given back, and another one may have it. */
Test(main, a_pinhole_of_another_flow_is_closed_under_that_ones_number)
{
	start(QUEUE_BYTES - FIRST_BYTES);
	Nl__FlowInspect other = NL__FLOW_INSPECT__INIT;
	other.has_flow = other.stream = true;
	other.flow = FLOW + 1;
	other.alg = (char[]){"h323"};
	cr_assert_eq(alg_on_flow_inspect(&alg, &other, NULL), 0);
	inspect((char[]){"h323"}, NULL);
	const struct alg_act close = {.what = ALG_CLOSE,
		.token = 5,
		.elsewhere = true,
		.flow = find(&alg, FLOW + 1)->stream.view.id};
	send_act(&alg, find(&alg, FLOW), &close);
	Nl__AlgToNatproxy *m = heard();
	cr_assert(m && m->msg_case == NL__ALG_TO_NATPROXY__MSG_PINHOLE_CLOSE);
	cr_expect(m->pinhole_close->flow == FLOW + 1 && m->pinhole_close->token == 5);
	nl__alg_to_natproxy__free_unpacked(m, NULL);
	Nl__FlowEnd end = NL__FLOW_END__INIT;
	end.flow = FLOW + 1;
	cr_assert_eq(alg_on_flow_end(&alg, &end, NULL), 0);
	send_act(&alg, find(&alg, FLOW), &close);
	expect_silence();
}

/* A call's place is its flow's and its own; whatever the cursor, nothing beyond is read. */
Test(main, calls_of_sccp_are_found_in_all_flows)
{
	start(QUEUE_BYTES);
	inspect((char[]){"ftp"}, NULL);
	memset(find(&alg, FLOW)->stream.state, 0xff, sizeof(struct skinny));
	for (uint32_t i = 1; i < 3; i++) {
		Nl__FlowInspect m = NL__FLOW_INSPECT__INIT;
		m.has_flow = m.stream = true;
		m.flow = FLOW + i;
		m.alg = (char[]){"skinny"};
		cr_assert_eq(alg_on_flow_inspect(&alg, &m, NULL), 0);
		struct skinny *s = (struct skinny *)find(&alg, FLOW + i)->stream.state;
		for (uint32_t k = 0; k < i; k++)
			s->stream[SKINNY_STREAMS - 1 - k] =
				(struct skinny_stream){.used = true, .conference = 10 + k};
	}
	uint32_t cursor = 0, ids[3], count = 0;
	struct call_row row;
	while (next_skinny_call(&alg, &cursor, &row)) {
		cr_assert_lt(count, 3);
		const bool first = row.flow == find(&alg, FLOW + 1)->stream.view.id;
		cr_expect(first == !count, "in the order of flows");
		for (uint32_t i = 0; i < count; i++)
			cr_expect_neq(ids[i], row.id);
		ids[count++] = row.id;
	}
	cr_expect_eq(count, 3);
	cr_expect_not(next_skinny_call(&alg, &(uint32_t){FLOWS * SKINNY_STREAMS}, &row));
	cr_expect_not(next_skinny_call(&alg, &(uint32_t){UINT32_MAX}, &row));
}

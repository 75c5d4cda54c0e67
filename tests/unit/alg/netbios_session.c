/*
 * NetBIOS sessions: whose address in a retarget response becomes which, where the protocol ends, and what
 * is no such session; every recorded one at every split position.
 */
#include "netbios_messages.h"

enum { REQUEST = 0x81, POSITIVE, NEGATIVE, RETARGET, KEEP_ALIVE };

static void message(struct bytes *b, unsigned int type, const void *body, size_t n)
{
	b->n = 0;
	put8(b, type);
	put8(b, 0);
	put16(b, (unsigned int)n);
	put(b, body, n);
}

static const struct bytes *request(void)
{
	static struct bytes b, names;
	names.n = 0;
	put_name(&names, "OTHER");
	put_name(&names, "GUEST");
	message(&b, REQUEST, names.p, names.n);
	return &b;
}

static void retarget(struct bytes *b, const char *address, unsigned int port)
{
	struct bytes body = {.n = 0};
	put_ip(&body, address);
	put16(&body, port);
	message(b, RETARGET, body.p, body.n);
}

static enum alg_direction client_of(bool serves)
{
	return serves ? ALG_OUTSIDE : ALG_GUEST;
}

static enum alg_direction server_of(bool serves)
{
	return serves ? ALG_GUEST : ALG_OUTSIDE;
}

static void tell(struct harness *h, enum alg_direction from, const struct bytes *b)
{
	harness_send(h, from, b->p, b->n);
}

static struct harness *begin(bool serves)
{
	return harness_new(&netbios_session_protocol, netbios_view(139, serves), GRANT);
}

/* One in which the client has asked. */
static struct harness *requested(bool serves)
{
	struct harness *h = begin(serves);
	tell(h, client_of(serves), request());
	cr_expect_not(h->gave_up, "%s", h->why);
	return h;
}

static void expect_retarget(
	bool serves, const char *address, unsigned int port, const char *as, unsigned int as_port)
{
	struct bytes sent, got;
	struct harness *h = requested(serves);
	retarget(&sent, address, port);
	retarget(&got, as, as_port);
	netbios_pass(h, server_of(serves), &sent, &got, address);
	cr_expect(h->gave_up && !h->violation, "then it is over");
	harness_free(h);
}

Test(netbios_session, a_server_inside_sends_clients_to_what_they_can_reach)
{
	expect_retarget(true, GUEST_IP, 1139, OUTSIDE_IP, 1139);
	expect_retarget(true, GUEST_IP, 139, OUTSIDE_IP, 40000);
	expect_retarget(true, INSIDE_IP, 139, MAPPED_IP, 139);
	expect_retarget(true, "192.168.30.11", 139, "192.168.30.11", 139);
	expect_retarget(true, PEER_IP, 139, PEER_IP, 139);
	expect_retarget(true, OUTSIDE_IP, 139, OUTSIDE_IP, 139);
	expect_retarget(true, MAPPED_IP, 139, MAPPED_IP, 139);
}

Test(netbios_session, a_guest_is_sent_to_the_inside_address_of_a_mapped_host)
{
	expect_retarget(false, MAPPED_IP, 139, INSIDE_IP, 139);
	expect_retarget(false, MAPPED_IP, 40000, INSIDE_IP, 40000);
	expect_retarget(false, OUTSIDE_IP, 139, OUTSIDE_IP, 139);
	expect_retarget(false, "198.51.100.20", 139, "198.51.100.20", 139);
	expect_retarget(false, INSIDE_IP, 139, INSIDE_IP, 139);
}

static void expect_end(bool serves, unsigned int type, const void *body, size_t n)
{
	struct bytes b;
	struct harness *h = requested(serves);
	message(&b, KEEP_ALIVE, "", 0);
	tell(h, ALG_GUEST, &b);
	tell(h, ALG_OUTSIDE, &b);
	cr_expect_not(h->gave_up, "%s", h->why);
	message(&b, type, body, n);
	tell(h, server_of(serves), &b);
	cr_expect(h->gave_up && !h->violation, "type %u", type);
	retarget(&b, serves ? GUEST_IP : MAPPED_IP, 139);
	tell(h, server_of(serves), &b);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(netbios_session, the_servers_answer_ends_the_protocol)
{
	for (int serves = 0; serves < 2; serves++) {
		expect_end(serves, POSITIVE, "", 0);
		expect_end(serves, NEGATIVE, "\x82", 1);
	}
}

Test(netbios_session, a_client_may_begin_with_smb_at_once)
{
	static const char *const kinds[] = {"\xffSMB", "\xfeSMB", "\xfdSMB", "\xfcSMB"};
	for (size_t i = 0; i < 4; i++)
		for (int serves = 0; serves < 2; serves++) {
			struct harness *h = begin(serves);
			struct bytes b;
			message(&b, 0, kinds[i], 4);
			b.p[1] = 1; /* 65540 bytes of which four are here */
			tell(h, client_of(serves), &b);
			cr_expect(h->gave_up && !h->violation);
			harness_expect_untouched(h);
			harness_free(h);
		}
}

static void expect_violation(
	bool serves, enum alg_direction from, const struct bytes *b, bool asked, const char *what)
{
	struct harness *h = asked ? requested(serves) : begin(serves);
	tell(h, from, b);
	cr_expect(h->gave_up && h->violation, "%s", what);
	harness_expect_untouched(h);
	harness_free(h);
}

Test(netbios_session, everything_has_its_side_its_time_and_its_length)
{
	static const size_t lengths[] = {0, 1, 6};
	for (int serves = 0; serves < 2; serves++)
		for (unsigned int type = POSITIVE; type <= RETARGET; type++) {
			struct bytes b;
			message(&b, type, "\x82\0\0\0\0\0", lengths[type - POSITIVE]);
			expect_violation(serves, server_of(serves), &b, false, "unasked");
			expect_violation(serves, client_of(serves), &b, true, "by the client");
			message(&b, type, "\x82\0\0\0\0\0\0", lengths[type - POSITIVE] + 1);
			expect_violation(serves, server_of(serves), &b, true, "too long");
			message(&b, type, "\x82\0\0\0\0\0", lengths[type - POSITIVE]);
			b.p[1] = 2;
			expect_violation(serves, server_of(serves), &b, true, "unknown flag");
		}
	expect_violation(false, ALG_GUEST, request(), true, "asks twice");
	expect_violation(false, ALG_OUTSIDE, request(), false, "the server asks");
	expect_violation(true, ALG_GUEST, request(), false, "the server asks");
	struct bytes b;
	retarget(&b, MAPPED_IP, 139);
	b.p[3] = 5;
	expect_violation(false, ALG_OUTSIDE, &b, true, "too short");
	message(&b, KEEP_ALIVE, "x", 1);
	expect_violation(false, ALG_GUEST, &b, false, "keep-alive of a byte");
}

Test(netbios_session, other_protocols_are_violations)
{
	struct bytes b;
	for (unsigned int type = 1; type < 256; type++) {
		message(&b, type, "", 0);
		if (type < REQUEST || type > KEEP_ALIVE)
			expect_violation(false, ALG_GUEST, &b, false, "type");
	}
	static const char *const bodies[] = {"\xffSMC", "\xfbSMB", "SMB\xff", "PORT", "abc", ""};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		message(&b, 0, bodies[i], strlen(bodies[i]));
		expect_violation(false, ALG_GUEST, &b, false, bodies[i]);
	}
	message(&b, 0, "\xffSMB", 4);
	expect_violation(false, ALG_OUTSIDE, &b, true, "SMB by the server before it answered");
	b.n = 0;
	put(&b, "POST / HTTP/1.1\r\n\r\n", 19);
	expect_violation(false, ALG_GUEST, &b, false, "HTTP");
}

Test(netbios_session, a_request_is_two_names_and_nothing_else)
{
	struct bytes b = *request();
	b.p[3]++;
	put8(&b, 0);
	expect_violation(false, ALG_GUEST, &b, false, "a byte more");
	b = *request();
	b.p[3]--;
	expect_violation(false, ALG_GUEST, &b, false, "a byte less");
	message(&b, REQUEST, request()->p + 4, 34);
	expect_violation(false, ALG_GUEST, &b, false, "one name");
	message(&b, REQUEST, request()->p + 4, 0);
	expect_violation(false, ALG_GUEST, &b, false, "none");
	b = *request();
	b.p[4 + 34] = 0xc0;
	b.p[4 + 35] = 4;
	b.p[3] = 36;
	b.n = 40;
	expect_violation(false, ALG_GUEST, &b, false, "a pointer");
	b = *request();
	b.p[4] = 31;
	expect_violation(false, ALG_GUEST, &b, false, "a short label");
	b = *request();
	b.p[2] = 4;
	expect_violation(false, ALG_GUEST, &b, false, "longer than two names can be");
	b = *request();
	b.p[1] = 1;
	expect_violation(false, ALG_GUEST, &b, false, "longer by 65536 bytes");
}

Test(netbios_session, names_with_scopes_are_names)
{
	struct bytes names = {.n = 0}, b;
	struct harness *h = begin(false);
	for (int i = 0; i < 2; i++) {
		put_label(&names, "NAME", 0x20);
		put(&names, "\007netbios\003com", 13);
	}
	message(&b, REQUEST, names.p, names.n);
	tell(h, ALG_GUEST, &b);
	cr_expect_not(h->gave_up, "%s", h->why);
	harness_expect_untouched(h);
	harness_free(h);
}

/* ---- captures ---- */

static void cut_everywhere(const struct session *s)
{
	session_cut_everywhere(s, &netbios_session_protocol);
}

Test(netbios_session_captures, every_split_position_gives_the_same_output, .timeout = 60)
{
	session_each(VECTOR_DIRECTORY, 8, cut_everywhere);
}

Test(netbios_session, a_retarget_cut_anywhere_is_rewritten_alike)
{
	struct bytes sent, got;
	retarget(&sent, GUEST_IP, 139);
	retarget(&got, OUTSIDE_IP, 40000);
	for (size_t cut = 1; cut < sent.n; cut++) {
		struct harness *h = requested(true);
		harness_send(h, ALG_GUEST, sent.p, cut);
		cr_expect_eq(h->way[ALG_GUEST].out_bytes, 0, "nothing before it is whole");
		harness_send(h, ALG_GUEST, sent.p + cut, sent.n - cut);
		cr_expect(h->way[ALG_GUEST].out_bytes == got.n &&
			  !memcmp(h->way[ALG_GUEST].out, got.p, got.n));
		harness_free(h);
	}
}

static void expect_played(const char *name, bool serves, bool violation, const char *as)
{
	struct session *s = session_load(VECTOR_DIRECTORY, name);
	struct harness *h = netbios_play(s, &netbios_session_protocol, true, serves);
	cr_expect(h->gave_up && h->violation == violation, "%s", name);
	const struct way *w = &h->way[server_of(serves)];
	if (as)
		cr_expect(w->out_bytes >= 10 && !memcmp(w->out + w->out_bytes - 6, as, 6), "%s",
			name);
	else
		harness_expect_untouched(h);
	harness_free(h);
	free(s);
}

Test(netbios_session_captures, each_does_what_its_name_says)
{
	for (int serves = 0; serves < 2; serves++) {
		expect_played("own-samba-nbns-nbdgm-nbss-1.session", serves, false, NULL);
		expect_played("netbios-split-session-msg-1.session", serves, false, NULL);
		expect_played("netbios-truncated-session-msg-1.session", serves, true, NULL);
		expect_played("crafted-refused.session", serves, false, NULL);
		expect_played("crafted-accepted.session", serves, false, NULL);
		expect_played("crafted-no-request.session", serves, false, NULL);
	}
	expect_played("crafted-retarget.session", false, false, "\xc0\xa8\x1e\x32\0\x8b");
	expect_played("crafted-retarget-inside.session", true, false, "\xcb\0\x71\7\x9c\x40");
}

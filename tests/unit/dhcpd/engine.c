/* The server's behaviour, message by message (RFC 2131 4.3), from the client's side of the wire. */
#include "engine_rig.h"

Test(engine, discover_offer_request_ack)
{
	start(10, 200);
	struct frame f = frame_new(CODEC_DISCOVER, 1);
	frame_option(&f, 55, "\1\3\6\17", 4);
	hear(&f);
	struct answer a = heard();
	cr_expect(a.type == CODEC_OFFER && a.xid == 1 && a.yiaddr_be == inet_addr("192.168.30.10"));
	cr_expect(answer_u32(&a, 54) == 0xc0a81e01 && answer_u32(&a, 51) == 7200 &&
		  answer_u32(&a, 1) == 0xffffff00);
	cr_expect(answer_u32(&a, 58) < answer_u32(&a, 59) && answer_u32(&a, 59) < 7200);
	f = request(1, a.yiaddr_be);
	hear(&f);
	a = stored();
	cr_expect(a.type == CODEC_ACK && a.yiaddr_be == inet_addr("192.168.30.10") &&
		  answer_u32(&a, 51) == 7200);
	cr_expect_eq(e.pool.list[LEASE_BOUND].count, 1);
}

Test(engine, the_log_line_is_the_seeds)
{
	start(10, 200);
	struct frame f = frame_new(CODEC_DISCOVER, 1);
	const uint8_t mac[6] = {0x00, 0xac, 0x85, 0x40, 0xb5, 0x50};
	char text[ENGINE_EVENT_BYTES];
	memcpy(f.b + 6, mac, 6);
	memcpy(f.b + 42 + 28, mac, 6);
	frame_option(&f, 12, "NT4", 3);
	struct frame g = f;
	hear(&f);
	g.b[g.n - 5 - 1] = CODEC_REQUEST; /* the type, before the host name */
	frame_ip(&g, 54, "192.168.30.1");
	frame_ip(&g, 50, "192.168.30.10");
	hear(&g);
	stored();
	cr_assert_eq(out.event, ENGINE_CREATED);
	cr_expect_str_eq(engine_describe(&e, &out, text),
		"SecureNAT: The DHCP entry 1 was created. MAC address: 00-AC-85-40-B5-50, IP "
		"address: 192.168.30.10, "
		"host name: NT4, expiration date: 7200 seconds");
	out.event = ENGINE_EXPIRED;
	cr_expect_str_eq(engine_describe(&e, &out, text),
		"SecureNAT: The DHCP entry 1 was expired. MAC address: 00-AC-85-40-B5-50, IP "
		"address: 192.168.30.10, "
		"host name: NT4");
	out.lease.host_bytes = LEASE_HOST_BYTES;
	memset(out.lease.host, '\n', LEASE_HOST_BYTES);
	out.event = ENGINE_RENEWED;
	engine_describe(&e, &out, text);
	cr_expect_null(strchr(text, '\n'), "guest bytes are escaped");
	cr_expect(strstr(text, "expiration date: 7200 seconds"), "and the longest line fits");
}

Test(engine, where_answers_go)
{
	start(10, 200);
	struct answer a = discover(1);
	cr_expect(
		a.to_ip_be == inet_addr("192.168.30.10") && a.to_port == 68, "unicast without ARP");
	cr_expect_eq(a.to_mac[5], 1);
	struct frame f = frame_new(CODEC_DISCOVER, 2);
	f.b[42 + 10] = 0x80;
	hear(&f);
	a = heard();
	cr_expect(a.to_ip_be == INADDR_BROADCAST && a.to_mac[0] == 0xff, "the broadcast flag");
}

/* A message of a station that a relay of this address passes on. */
static struct frame relayed(struct frame f, const char *relay)
{
	uint32_t be = inet_addr(relay);
	f.b[6 + 5] ^= 0x80;
	memcpy(f.b + 14 + 12, &be, 4);
	memcpy(f.b + 42 + 24, &be, 4);
	return f;
}

Test(engine, a_relay_is_answered_as_one)
{
	start(10, 200);
	struct frame f = relayed(frame_new(CODEC_DISCOVER, 3), "192.168.30.77");
	hear(&f);
	struct answer a = heard();
	cr_expect(a.to_ip_be == inet_addr("192.168.30.77") && a.to_port == 67 &&
		  a.giaddr_be == a.to_ip_be);
	cr_expect_eq(memcmp(a.to_mac, f.b + 6, 6), 0);
	f = relayed(request(3, a.yiaddr_be), "192.168.30.77");
	hear(&f);
	cr_expect_eq(stored().type, CODEC_ACK);
	uint32_t wrong = inet_addr("192.168.30.250");
	f = relayed(frame_new(CODEC_REQUEST, 3), "192.168.30.77");
	memcpy(f.b + 42 + 12, &wrong, 4);
	hear(&f);
	a = heard();
	cr_expect(a.type == CODEC_NAK && a.to_ip_be == inet_addr("192.168.30.77"));
	cr_expect_eq(out.frame[42 + 10], 0x80, "so that the relay broadcasts it");
	f = relayed(frame_new(CODEC_DISCOVER, 4), "10.0.0.1");
	hear(&f);
	expect_silence();
	f = relayed(frame_new(CODEC_DISCOVER, 4), "192.168.30.77");
	f.b[14 + 15]++;
	hear(&f);
	expect_silence();
	cr_expect_eq(out.why, DROP_DHCP_SPOOF, "it is not the one that it says");
}

Test(engine, a_relay_has_no_say_about_leases_elsewhere)
{
	start(10, 200);
	uint32_t mine = dora(1);
	const uint8_t types[] = {CODEC_DISCOVER, CODEC_REQUEST, CODEC_DECLINE, CODEC_RELEASE};
	for (size_t i = 0; i < sizeof(types); i++) {
		struct frame f = relayed(frame_new(types[i], 1), "192.168.30.77");
		frame_option(&f, 50, &mine, 4);
		memcpy(f.b + 42 + 12, &mine, 4);
		frame_end(&f);
		engine_input(&e, 6, f.b, f.n, false, t, &out);
		expect_silence();
		cr_expect_eq(out.why, DROP_DHCP_SPOOF);
	}
	cr_expect_eq(lease_of_address(&e.pool, mine)->state, LEASE_BOUND);
}

/* A lease of the time before a restart. */
static uint32_t restored(uint32_t n)
{
	struct lease_client c = {.mac = {2, 0, 0, 0, 0, (uint8_t)n}, .port = LEASE_PORTS};
	uint32_t ip_be = inet_addr("192.168.30.42");
	cr_assert_eq(lease_restore(&e.pool, &c, ip_be, LEASE_BOUND, 7, t.wall_ms - 60000,
			     t.wall_ms + 3600000, 7200000, t),
		0);
	later(2 * SECOND_NS);
	return ip_be;
}

Test(engine, after_a_restart_a_relays_clients_are_served_and_nothing_of_theirs_ends)
{
	start(10, 200);
	uint32_t mine = restored(1);
	struct frame f = relayed(frame_new(CODEC_DISCOVER, 1), "192.168.30.77");
	hear(&f);
	cr_expect_eq(heard().yiaddr_be, mine);
	f = relayed(request(1, mine), "192.168.30.77");
	hear(&f);
	cr_expect_eq(stored().type, CODEC_ACK);
	later(2 * SECOND_NS);
	const uint8_t ends[] = {CODEC_DECLINE, CODEC_RELEASE};
	for (size_t i = 0; i < sizeof(ends); i++) {
		f = relayed(frame_new(ends[i], 1), "192.168.30.77");
		frame_option(&f, 50, &mine, 4);
		memcpy(f.b + 42 + 12, &mine, 4);
		hear(&f);
		expect_silence();
		cr_expect_eq(out.why, DROP_DHCP_SPOOF);
	}
	cr_expect_eq(lease_of_address(&e.pool, mine)->state, LEASE_BOUND);
	f = request(1, mine);
	hear(&f);
	stored();
	cr_expect_eq(lease_of_address(&e.pool, mine)->port, 5, "its own word says where it is");
}

Test(engine, chaddr_must_be_the_senders)
{
	start(10, 200);
	struct frame f = frame_new(CODEC_DISCOVER, 1);
	f.b[42 + 28 + 5] ^= 1;
	hear(&f);
	expect_silence();
	cr_expect(out.dropped && out.why == DROP_DHCP_SPOOF);
	for (int i = 0; i < 3; i++) {
		static const uint8_t macs[3][6] = {{1, 0, 0, 0, 0, 1}, {0}, {0, 0xac, 1, 2, 3, 4}};
		f = frame_new(CODEC_DISCOVER, 1);
		memcpy(f.b + 6, macs[i], 6);
		memcpy(f.b + 42 + 28, macs[i], 6);
		hear(&f);
		expect_silence();
	}
	cr_expect_eq(lease_taken(&e.pool), 0);
}

Test(engine, four_hundred_invented_stations_leave_room_for_an_honest_one)
{
	start(10, 200);
	dora(1);
	unsigned int offers = 0;
	for (uint32_t i = 0; i < 400; i++) {
		struct frame f = frame_new(CODEC_DISCOVER, 1000 + i);
		hear(&f);
		offers += out.frame_bytes > 0;
		later(SECOND_NS / 1000);
	}
	cr_expect(offers >= ENGINE_OFFERS_BURST && offers < 100, "%u offers", offers);
	struct frame f = frame_new(CODEC_DISCOVER, 2);
	frame_end(&f);
	engine_input(&e, 6, f.b, f.n, false, t, &out);
	cr_expect_gt(out.frame_bytes, 0, "another port is served at once");
	later(SECOND_NS);
	dora(3);
	f = request(1, inet_addr("192.168.30.10"));
	hear(&f);
	cr_expect_eq(stored().type, CODEC_ACK, "the old lease renews");
}

Test(engine, honest_clients_are_never_slowed)
{
	start(10, 250);
	for (uint32_t i = 0; i < 220; i++)
		dora(i + 1);
	cr_expect_eq(e.pool.list[LEASE_BOUND].count, 220);
}

Test(engine, exhaustion_is_said_once_a_minute)
{
	start(10, 11);
	char text[ENGINE_EVENT_BYTES];
	dora(1);
	dora(2);
	struct frame f = frame_new(CODEC_DISCOVER, 3);
	struct frame g = f, h = f;
	hear(&f);
	cr_assert_eq(out.event, ENGINE_EXHAUSTED);
	cr_expect(out.dropped && out.why == DROP_DHCP_POOL);
	cr_expect_str_eq(engine_describe(&e, &out, text),
		"dhcp range is exhausted: 2 of 2 leased. See: "
		"natlockctl dhcp table; or widen dhcp.range");
	hear(&g);
	cr_expect_eq(out.event, ENGINE_NOTHING);
	later(ENGINE_SAY_NS);
	hear(&h);
	cr_expect_eq(out.event, ENGINE_EXHAUSTED);
}

Test(engine, the_servers_and_the_subnets_own_addresses_are_nobodys)
{
	start(0, 255);
	cr_expect_eq(e.pool.count, 253);
	const char *wishes[] = {"192.168.30.1", "192.168.30.0", "192.168.30.255", "10.0.0.5"};
	for (int i = 0; i < 4; i++) {
		struct frame f = request(1, inet_addr(wishes[i]));
		hear(&f);
		struct answer a = heard();
		cr_expect(a.type == CODEC_NAK && a.to_ip_be == INADDR_BROADCAST && !a.yiaddr_be,
			"%s", wishes[i]);
		cr_expect_null(a.option[51]);
		f = frame_new(CODEC_DISCOVER, 1);
		frame_ip(&f, 50, wishes[i]);
		hear(&f);
		cr_expect_neq(heard().yiaddr_be, inet_addr(wishes[i]));
	}
}

Test(engine, another_servers_client_hears_nothing)
{
	start(10, 200);
	struct answer a = discover(1);
	struct frame f = frame_new(CODEC_REQUEST, 1);
	frame_option(&f, 50, &a.yiaddr_be, 4);
	frame_ip(&f, 54, "192.168.30.2");
	hear(&f);
	expect_silence();
	cr_expect_eq(lease_taken(&e.pool), 0, "and our offer is taken back");
}

Test(engine, init_reboot)
{
	start(10, 200);
	uint32_t mine = dora(1), other = dora(2);
	const struct {
		uint32_t station, ip;
		uint8_t type; /* 0 = silence */
	} cases[] = {{1, mine, CODEC_ACK}, {1, other, CODEC_NAK},
		{1, inet_addr("10.0.0.9"), CODEC_NAK}, {3, inet_addr("192.168.30.99"), 0},
		{3, mine, CODEC_NAK}, {3, inet_addr("10.0.0.9"), CODEC_NAK}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame f = frame_new(CODEC_REQUEST, cases[i].station);
		later(2 * SECOND_NS);
		frame_option(&f, 50, &cases[i].ip, 4);
		hear(&f);
		if (!cases[i].type)
			expect_silence();
		else
			cr_expect_eq((out.sequence ? stored() : heard()).type, cases[i].type,
				"case %zu", i);
	}
}

Test(engine, renew_and_rebind)
{
	start(10, 200);
	uint32_t mine = dora(1), other = dora(2);
	later(3600 * SECOND_NS);
	struct frame f = frame_new(CODEC_REQUEST, 1);
	memcpy(f.b + 42 + 12, &mine, 4);
	hear(&f);
	struct answer a = stored();
	cr_expect(a.type == CODEC_ACK && a.to_ip_be == mine && a.ciaddr_be == mine &&
		  a.yiaddr_be == mine);
	cr_expect_eq(out.event, ENGINE_RENEWED);
	cr_expect_eq(lease_of_address(&e.pool, mine)->expires_ns, t.now_ns + 7200 * SECOND_NS);
	f = frame_new(CODEC_REQUEST, 1);
	memcpy(f.b + 42 + 12, &other, 4);
	hear(&f);
	a = heard();
	cr_expect(a.type == CODEC_NAK && a.to_ip_be == INADDR_BROADCAST);
}

Test(engine, a_repeated_request_costs_no_second_commit)
{
	start(10, 200);
	struct answer a = discover(1);
	struct frame f = request(1, a.yiaddr_be), g = f, h = f;
	hear(&f);
	uint64_t sequence = out.sequence;
	hear(&g);
	expect_silence();
	cr_expect_eq(discover(1).yiaddr_be, a.yiaddr_be, "asked again meanwhile");
	cr_assert_eq(engine_committed(&e, sequence, true, t, &out), 0);
	heard();
	hear(&h);
	a = heard();
	cr_expect(a.type == CODEC_ACK && answer_u32(&a, 51) == 7200);
	struct frame again = request(1, a.yiaddr_be);
	t.wall_ms += 24 * 3600 * 1000;
	hear(&again);
	a = heard();
	cr_expect_eq(answer_u32(&a, 51), 7200, "whatever somebody does to the clock");
}

Test(engine, no_ack_without_a_stored_lease)
{
	start(10, 200);
	struct answer a = discover(1);
	uint32_t ip = a.yiaddr_be;
	struct frame f = request(1, ip), g = f, h = f;
	hear(&f);
	cr_assert_eq(engine_committed(&e, out.sequence, false, t, &out), 0);
	expect_silence();
	cr_expect_eq(out.event, ENGINE_NOT_STORED);
	cr_expect_eq(lease_of_address(&e.pool, ip)->state, LEASE_OFFERED);
	hear(&g);
	cr_expect(out.sequence);
	later(ENGINE_COMMIT_NS);
	cr_expect_leq(engine_deadline(&e), t.now_ns);
	cr_expect(engine_timeout(&e, t, &out), "no answer at all");
	cr_expect_eq(out.event, ENGINE_NOTHING, "said once a minute");
	expect_silence();
	cr_expect_eq(engine_committed(&e, 2, true, t, &out), 0, "too late: ignored");
	expect_silence();
	hear(&h);
	cr_expect_eq(stored().type, CODEC_ACK);
	cr_expect_eq(engine_committed(&e, 99, true, t, &out), -EPROTO, "never asked");
	cr_expect_eq(engine_committed(&e, 0, true, t, &out), -EPROTO);
}

Test(engine, a_failed_renewal_leaves_the_old_lease)
{
	start(10, 200);
	uint32_t mine = dora(1);
	uint64_t until = lease_of_address(&e.pool, mine)->expires_ns;
	later(3600 * SECOND_NS);
	struct frame f = request(1, mine);
	hear(&f);
	cr_assert_eq(engine_committed(&e, out.sequence, false, t, &out), 0);
	const struct lease *l = lease_of_address(&e.pool, mine);
	cr_expect(l->state == LEASE_BOUND && l->expires_ns == until && l->entry == 1);
	struct answer a = heard();
	cr_expect(a.type == CODEC_ACK && a.yiaddr_be == mine && answer_u32(&a, 51) == 3600 &&
			  answer_u32(&a, 58) == 1800 && answer_u32(&a, 59) == 3150,
		"what is left of it is confirmed");
}

Test(engine, commits_under_way_are_bounded)
{
	start(1, 254);
	unsigned int commits = 0;
	for (uint32_t i = 0; i < 300; i++) {
		later(SECOND_NS / 10);
		struct frame f = request(i + 1, htonl(0xc0a81e02 + i));
		hear(&f);
		commits += out.sequence > 0;
	}
	cr_expect_leq(commits, ENGINE_PENDING);
	later(ENGINE_COMMIT_NS);
	while (engine_timeout(&e, t, &out))
		;
	dora(999);
}

Test(engine, release_and_decline_are_the_holders_only)
{
	start(10, 200);
	uint32_t mine = dora(1);
	struct frame f = frame_new(CODEC_RELEASE, 2);
	memcpy(f.b + 42 + 12, &mine, 4);
	frame_ip(&f, 54, "192.168.30.1");
	hear(&f);
	expect_silence();
	cr_expect_eq(lease_of_address(&e.pool, mine)->state, LEASE_BOUND);
	f = frame_new(CODEC_DECLINE, 2);
	frame_option(&f, 50, &mine, 4);
	hear(&f);
	cr_expect_eq(lease_of_address(&e.pool, mine)->state, LEASE_BOUND);
	f = frame_new(CODEC_RELEASE, 1);
	memcpy(f.b + 42 + 12, &mine, 4);
	frame_ip(&f, 54, "192.168.30.9");
	hear(&f);
	cr_expect_eq(lease_of_address(&e.pool, mine)->state, LEASE_BOUND, "another server's");
	f = frame_new(CODEC_RELEASE, 1);
	memcpy(f.b + 42 + 12, &mine, 4);
	hear(&f);
	cr_expect(!out.frame_bytes && out.sequence && out.event == ENGINE_RELEASED &&
		  out.lease.state == LEASE_RELEASED);
	cr_expect_eq(lease_of_address(&e.pool, mine)->state, LEASE_RELEASED);
	mine = dora(1);
	f = frame_new(CODEC_DECLINE, 1);
	frame_option(&f, 50, &mine, 4);
	hear(&f);
	cr_expect(!out.frame_bytes && out.sequence && out.event == ENGINE_DECLINED &&
		  out.lease.state == LEASE_DECLINED);
	cr_expect_neq(dora(1), mine);
}

static void with_id(struct frame *f)
{
	frame_option(f, 61, "\0victim", 7);
}

Test(engine, another_stations_client_id_takes_nothing_from_it)
{
	start(10, 200);
	struct frame f = frame_new(CODEC_DISCOVER, 1);
	with_id(&f);
	hear(&f);
	uint32_t mine = heard().yiaddr_be;
	f = request(1, mine);
	with_id(&f);
	hear(&f);
	cr_assert_eq(stored().type, CODEC_ACK);

	f = frame_new(CODEC_DISCOVER, 2);
	with_id(&f);
	hear(&f);
	cr_expect_neq(heard().yiaddr_be, mine);
	f = request(2, mine);
	with_id(&f);
	hear(&f);
	cr_expect_eq(heard().type, CODEC_NAK);
	f = frame_new(CODEC_REQUEST, 2);
	with_id(&f);
	memcpy(f.b + 42 + 12, &mine, 4);
	hear(&f);
	cr_expect_eq(heard().type, CODEC_NAK, "renewing neither");
	f = frame_new(CODEC_RELEASE, 2);
	with_id(&f);
	memcpy(f.b + 42 + 12, &mine, 4);
	hear(&f);
	expect_silence();
	const struct lease *l = lease_of_address(&e.pool, mine);
	cr_expect_eq(l->state, LEASE_BOUND);
	cr_expect_eq(l->mac[5], 1);
	f = frame_new(CODEC_REQUEST, 1);
	with_id(&f);
	memcpy(f.b + 42 + 12, &mine, 4);
	later(2 * SECOND_NS);
	hear(&f);
	cr_expect_eq(stored().type, CODEC_ACK, "the holder renews as ever");
}

Test(engine, inform)
{
	start(10, 200);
	struct frame f = frame_new(CODEC_INFORM, 1);
	uint32_t ip = inet_addr("192.168.30.250");
	memcpy(f.b + 42 + 12, &ip, 4);
	hear(&f);
	struct answer a = heard();
	cr_expect(a.type == CODEC_ACK && !a.yiaddr_be && a.to_ip_be == ip && a.ciaddr_be == ip &&
		  a.option[6]);
	cr_expect(!a.option[51] && !a.option[58] && !a.option[59]);
	f = frame_new(CODEC_INFORM, 1);
	hear(&f);
	expect_silence();
}

Test(engine, expiry_is_reported)
{
	start(10, 200);
	uint32_t mine = dora(1);
	cr_expect_eq(engine_deadline(&e), t.now_ns + 7200 * SECOND_NS);
	cr_expect_not(engine_timeout(&e, t, &out));
	later(7200 * SECOND_NS);
	cr_expect(engine_timeout(&e, t, &out) && out.event == ENGINE_EXPIRED &&
		  out.lease.ip_be == mine);
	cr_expect_not(engine_timeout(&e, t, &out));
}

Test(engine, refusals_in_the_log_say_why_and_are_limited)
{
	start(10, 20);
	char text[ENGINE_EVENT_BYTES];
	unsigned int lines = 0;
	for (int i = 0; i < 100; i++) {
		struct frame f = request(1, inet_addr("10.0.0.9"));
		frame_option(&f, 12, "a\nb", 3);
		hear(&f);
		cr_expect_eq(heard().type, CODEC_NAK);
		lines += out.event == ENGINE_REFUSED;
		if (i == 0)
			cr_expect_str_eq(engine_describe(&e, &out, text),
				"SecureNAT: A DHCP request was refused. MAC address: "
				"02-00-00-00-00-01, IP "
				"address: 10.0.0.9, host name: a\\x0ab, reason: the address is not "
				"in the range");
	}
	cr_expect_eq(lines, ENGINE_REFUSED_BURST);
}

Test(engine, a_port_has_its_share_and_known_clients_of_others_theirs)
{
	start(10, 200);
	config.leases_per_port = 20;
	cr_assert_eq(configure(10, 200), 0);
	for (uint32_t i = 1; i <= 20; i++)
		dora(i);
	struct frame f = frame_new(CODEC_DISCOVER, 21);
	hear(&f);
	cr_expect(out.dropped && out.why == DROP_DHCP_QUOTA && out.event == ENGINE_CROWDED);
	f = request(21, inet_addr("192.168.30.100"));
	hear(&f);
	cr_expect_eq(heard().type, CODEC_NAK);
	cr_expect_eq(e.pool.held[5], 20);
	f = frame_new(CODEC_DISCOVER, 22);
	frame_end(&f);
	engine_input(&e, 6, f.b, f.n, false, t, &out);
	cr_expect_gt(out.frame_bytes, 0, "another port");
	later(3600 * SECOND_NS);
	f = renewal(3, inet_addr("192.168.30.12"));
	hear(&f);
	cr_expect_eq(stored().type, CODEC_ACK, "who has one renews");
	f = frame_new(CODEC_RELEASE, 3);
	memcpy(f.b + 42 + 12, &(uint32_t){inet_addr("192.168.30.12")}, 4);
	hear(&f);
	cr_expect_eq(e.pool.held[5], 19);
	dora(21);
}

Test(engine, mutated_messages_then_a_lease)
{
	start(10, 200);
	uint32_t seed = 99;
	for (int i = 0; i < 20000; i++) {
		struct frame f = frame_new((uint8_t)(seed >> 24 & 15), 1 + (seed >> 20 & 7));
		frame_ip(&f, 50, "192.168.30.12");
		frame_option(&f, 61, "\1abcdef", 7);
		frame_end(&f);
		for (int k = 0; k < 4; k++) {
			seed = seed * 1664525 + 1013904223;
			f.b[14 + (seed >> 8) % (f.n - 14)] = (uint8_t)seed;
		}
		frame_seal(&f);
		engine_input(&e, seed, f.b, f.n, false, t, &out);
		if (out.frame_bytes)
			answer_of(out.frame, out.frame_bytes);
		if (out.sequence && seed & 64)
			engine_committed(&e, out.sequence, seed & 128, t, &out);
		later(SECOND_NS / 50);
		while (engine_timeout(&e, t, &out))
			;
	}
	later(60 * SECOND_NS);
	while (engine_timeout(&e, t, &out))
		;
	dora(77);
}

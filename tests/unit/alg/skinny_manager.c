/* A manager of SCCP inside: what it opens for its telephones, and addresses of its own and of others inside. */
#include "maps.h"
#include "skinny_steps.h"
#include "skinny_table.h"

static struct maps statics(void)
{
	struct maps m;
	maps_clear(&m);
	maps_add(&m, ip(GUEST), ip(OUTSIDE), 0);
	maps_add(&m, ip("192.168.30.11"), ip("203.0.113.8"), 0);
	return m;
}

static void play_served_call(const struct kind *k, const struct ids *ids)
{
	const unsigned int v = k->version;
	struct harness *h = registered_as(manager_view(), GRANT, v);
	if (ids == &audio && v >= 11) {
		say(h, ALG_GUEST, ask(v, k->header, 5, 6, GUEST));
		expect(h, ALG_GUEST, ask(v, k->header, 5, 6, OUTSIDE));
	}
	pass(h, ALG_OUTSIDE, receiving(ids->receiving, v, k->header, MANAGER, 16384, 6));
	say(h, ALG_GUEST, start(ids->start, v, k->header, 5, 6, GUEST, 20000));
	expect_wish(h, 0, ALG_UDP_PAIR, 20000, MANAGER);
	expect(h, ALG_GUEST, start(ids->start, v, k->header, 5, 6, OUTSIDE, 40000));
	pass(h, ALG_OUTSIDE, sending(ids->sending, v, k->header, 5, 6, MANAGER, 16384));
	pass(h, ALG_GUEST, over(ids->close, 5, 6));
	cr_expect_eq(h->acts, 0, "that is what the telephone receives");
	pass(h, ALG_GUEST, over(ids->stop, 5, 6));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}

Test(skinny_manager, calls_that_a_manager_inside_serves)
{
	for (int i = 0; i < KINDS; i++) {
		play_served_call(&kinds[i], &audio);
		play_served_call(&kinds[i], &video);
	}
}

Test(skinny_manager, static_addresses_of_others_inside)
{
	struct alg_flow view = manager_view();
	const struct maps m = statics();
	view.maps = &m;
	struct harness *h = registered_as(view, GRANT, 20);
	say(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, "192.168.30.11", 20000));
	expect(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, "203.0.113.8", 20000));
	pass(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, "192.168.30.12", 20000));
	say(h, ALG_OUTSIDE, failure("203.0.113.8", 20000));
	expect(h, ALG_OUTSIDE, failure("192.168.30.11", 20000));
	pass(h, ALG_OUTSIDE, failure("203.0.113.9", 20000));
	cr_expect_eq(h->wishes, 0);
	harness_free(h);
}

static struct bytes servers(unsigned int version, const char *const *ip)
{
	struct bytes b = begin(0x9e, version);
	add_zeros(&b, 240);
	for (int i = 0; i < 5; i++)
		add(&b, 2000);
	for (int i = 0; i < 5; i++)
		add_ip(&b, version, ip[i]);
	return end(b);
}

Test(skinny_manager, a_list_of_managers)
{
	const char *const inside[] = {GUEST, "192.168.30.11", "0.0.0.0", "10.0.0.1", GUEST};
	const char *const outside[] = {OUTSIDE, "203.0.113.8", "0.0.0.0", "10.0.0.1", OUTSIDE};
	struct alg_flow view = manager_view();
	const struct maps m = statics();
	view.maps = &m;
	struct harness *h = registered_as(view, GRANT, 20);
	for (unsigned int version = 11; version < 21; version += 9) {
		say(h, ALG_GUEST, servers(version, inside));
		expect(h, ALG_GUEST, servers(version, outside));
	}
	harness_free(h);
}

Test(skinny_manager, what_a_telephone_says_of_the_manager)
{
	struct harness *h = registered_as(manager_view(), GRANT, 20);
	say(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, GUEST, 20000));
	forget(h);
	say(h, ALG_OUTSIDE, failure(OUTSIDE, 40001));
	expect(h, ALG_OUTSIDE, failure(GUEST, 20001));
	pass(h, ALG_OUTSIDE, failure(OUTSIDE, 40002));
	pass(h, ALG_OUTSIDE, failure(FAR, 40001));
	harness_free(h);
}

Test(skinny_manager, a_manager_inside_opens_nothing_for_others)
{
	struct harness *h = registered_as(manager_view(), GRANT, 20);
	pass(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, "192.168.30.12", 20000));
	pass(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, GUEST, 1023));
	pass(h, ALG_OUTSIDE, receiving(0x22, 20, 20, GUEST, 16384, 6));
	pass(h, ALG_OUTSIDE, start(0x8a, 20, 20, 5, 6, GUEST, 20000));
	harness_free(h);
}

/* A telephone outside may be anybody. Of the manager it opens nothing, with whatever message and in whatever call. */
Test(skinny_manager, a_telephone_outside_opens_nothing_of_a_manager)
{
	struct harness *h = registered_as(manager_view(), GRANT, 20);
	pass(h, ALG_OUTSIDE, WORDS(0x02, 20, 16384));
	say(h, ALG_GUEST, ask(20, 20, 5, 6, GUEST));
	say(h, ALG_GUEST, WORDS(0x14b, 20, 5, 77, 6, 1, 0, 1));
	pass(h, ALG_OUTSIDE, receiving(0x22, 20, 20, GUEST, 16384, 6));
	pass(h, ALG_OUTSIDE, port_res(GUEST, 16386, 16387));
	say(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, GUEST, 20000));
	expect_wish(h, 0, ALG_UDP_PAIR, 20000, MANAGER);
	pass(h, ALG_OUTSIDE, sending(0x154, 20, 20, 5, 6, GUEST, 16384));
	cr_expect_eq(h->acts, 0);
	harness_free(h);
}

Test(skinny_manager, a_call_on_hook_is_over)
{
	struct harness *h = registered_as(manager_view(), GRANT, 20);
	struct bytes b = start(0x8a, 20, 20, 5, 6, GUEST, 20000);
	skinny_put(b.p + 68, 1005);
	say(h, ALG_GUEST, b);
	say(h, ALG_GUEST, WORDS(0x111, 20, 2, 1, 1006, 0, 0, 0));
	cr_expect_eq(h->acts, 0);
	say(h, ALG_GUEST, WORDS(0x111, 20, 2, 1, 1005, 0, 0, 0));
	expect_act(h, ALG_CLOSE, 1, NULL);
	harness_free(h);
}

Test(skinny_manager, a_registration_that_ends_closes_all)
{
	struct harness *h = registered_as(manager_view(), GRANT, 20);
	say(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, GUEST, 20000));
	say(h, ALG_GUEST, start(0x132, 20, 20, 7, 8, GUEST, 20002));
	say(h, ALG_GUEST, WORDS(0x118, 20, 0));
	cr_expect_eq(harness_count(h, ALG_CLOSE, 0), 2);
	forget(h);
	pass(h, ALG_GUEST, start(0x8a, 20, 20, 5, 6, GUEST, 20000));
	harness_free(h);
}

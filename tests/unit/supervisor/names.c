/* names.c: from leases and reservations to what natproxy is told; whose a name is does not depend on who hears of it when. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf.h"
#include "names.h"
#include "supervisor.h"

static struct supervisor super;
static struct hub *hub = &super.hub[0];
static uint8_t queue[HUB_QUEUE_BYTES];
static int natproxy; /* its end of the channel */

static void configure(const char *reservations)
{
	struct conf_error error;
	char text[512];

	snprintf(text, sizeof(text), "hubs: {default: {dhcp: {reservations: {%s}}}}", reservations);
	conf_free(super.config);
	super.config = conf_parse("test", text, strlen(text), &error);
	cr_assert_not_null(super.config, "%s", error.text);
	hub->conf = super.config->hubs[0];
}

static void set_up(void)
{
	int pair[2];

	super.loop = ev_loop_new(EVBACKEND_EPOLL);
	super.hubs = 1;
	hub->super = &super;
	hub->workers = 1;
	hub->store.fd = -1;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	hub->worker[0] = (struct worker){
		.hub = hub, .id = ACTOR_NATPROXY, .state = WORKER_RUNNING, .chan = {.fd = -1}};
	chan_init(&hub->worker[0].chan, pair[0], &super.pool, queue, sizeof(queue));
	natproxy = pair[1];
	configure("");
}
static void tear_down(void)
{
	conf_free(super.config);
	store_close(&hub->store);
	ev_loop_destroy(super.loop);
}
TestSuite(names, .init = set_up, .fini = tear_down);

/* What natproxy knows after all that it was told, as dns.c takes it. */
static struct hostnames known;

static void take(const Nl__HostName *name)
{
	if (name->removed)
		hostnames_remove(&known, name->ip_be);
	else
		cr_expect(hostnames_set(&known, name->ip_be, name->name,
			name->has_expires_ms ? name->expires_ms : hostnames_for_ever, 0));
}

static void hear(void)
{
	static const struct hash_key key;
	static uint8_t bytes[CHAN_MAX_BYTES];
	ssize_t n;

	while ((n = recv(natproxy, bytes, sizeof(bytes), 0)) > 0) {
		Nl__SuperToNatproxy *m = nl__super_to_natproxy__unpack(NULL, (size_t)n, bytes);

		cr_assert_eq(m->msg_case, NL__SUPER_TO_NATPROXY__MSG_HOST_NAMES);
		if (m->host_names->all) {
			hostnames_clear(&known);
			hostnames_init(&known, &key);
		}
		for (size_t i = 0; i < m->host_names->n_names; i++)
			take(m->host_names->names[i]);
		nl__super_to_natproxy__free_unpacked(m, NULL);
	}
}

/* The last byte of the address that natproxy answers with, 0: none. */
static unsigned int found(const char *name)
{
	uint32_t host;

	hear();
	host = hostnames_by_name(
		&known, (const uint8_t *)name, strlen(name), supervisor_wall_ms(&super));
	return host ? ntohl(known.host[host].ip_be) & 255 : 0;
}

static void lease(unsigned int last_byte, const char *name, Nl__Lease__State state, int seconds)
{
	static uint8_t mac[6] = {2};
	Nl__Lease m = NL__LEASE__INIT;

	m.has_ip_be = m.has_mac = m.has_expires_ms = m.has_created_ms = m.has_state = true;
	m.ip_be = htonl(0xc0a81e00 | last_byte);
	m.mac = (ProtobufCBinaryData){6, mac};
	m.host_name = (char *)(uintptr_t)name;
	m.created_ms = supervisor_wall_ms(&super);
	m.expires_ms = m.created_ms + (uint64_t)seconds * 1000;
	m.state = state;
	cr_assert_eq(store_commit(&hub->store, &m), 0);
	cr_assert_eq(store_sync(&hub->store), 0);
	names_learn(hub, &m);
}

Test(names, a_name_is_whose_it_was_first_while_the_lease_lives)
{
	names_build(hub);
	lease(10, "NT4.lab", NL__LEASE__STATE__LEASED, 100);
	lease(11, "nt4", NL__LEASE__STATE__LEASED, 100);
	cr_expect_eq(found("nt4"), 10);
	lease(10, "NT4", NL__LEASE__STATE__RELEASED, 100);
	cr_expect_eq(found("nt4"), 0);
	lease(11, "nt4", NL__LEASE__STATE__LEASED, 100);
	cr_expect_eq(found("nt4"), 11);
	lease(11, "other", NL__LEASE__STATE__LEASED, 100);
	cr_expect_eq(found("nt4"), 0, "an address has one name");
	cr_expect_eq(found("other"), 11);
	lease(11, "localhost", NL__LEASE__STATE__LEASED, 100);
	cr_expect_eq(found("localhost"), 0);
}

/* Added and removed while natlock runs. */
Test(names, those_of_reservations_are_theirs)
{
	names_build(hub);
	lease(10, "printer", NL__LEASE__STATE__LEASED, 100);
	configure("printer: {mac: \"00:AC:00:00:00:01\", address: 192.168.30.77}");
	names_build(hub);
	cr_expect_eq(found("printer"), 77);
	lease(77, "something-else", NL__LEASE__STATE__LEASED, 100);
	cr_expect_eq(found("printer"), 77);
	cr_expect_eq(found("something-else"), 0);
	configure("");
	names_build(hub);
	cr_expect_eq(found("printer"), 10, "the lease's again");
	cr_expect_eq(found("something-else"), 77);
}

Test(names, a_successor_is_told_all)
{
	char name[16];

	names_build(hub);
	for (unsigned int i = 0; i < 240; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		lease(10 + i, name, NL__LEASE__STATE__LEASED, 100);
	}
	hear();
	hostnames_clear(&known);
	names_tell(&hub->worker[0]);
	cr_expect_eq(found("h0"), 10);
	cr_expect_eq(found("h239"), 249);
	hub->worker[0].state = WORKER_BOOTING;
	names_build(hub);
	cr_expect_lt(recv(natproxy, name, sizeof(name), 0), 0,
		"who has not booted is told before Start");
}

Test(names, what_expired_while_natlock_was_away_has_no_name)
{
	names_build(hub);
	lease(10, "late", NL__LEASE__STATE__LEASED, 1);
	lease(11, "here", NL__LEASE__STATE__LEASED, 100);
	hub->store.lease[0].expires_ms = 1;
	names_build(hub);
	cr_expect_eq(found("late"), 0);
	cr_expect_eq(found("here"), 11);
}

Test(names, of_many_claims_the_oldest_holds)
{
	enum { CLAIMS = 200, OLDEST = 123 };

	names_build(hub);
	for (unsigned int i = 0; i < CLAIMS; i++)
		lease(10 + i, "same", NL__LEASE__STATE__LEASED, 100);
	for (unsigned int i = 0; i < CLAIMS; i++)
		hub->store.lease[i].created_ms = 2 + (i * 77 + 5) % CLAIMS;
	hub->store.lease[OLDEST].created_ms = 1;
	names_build(hub);
	cr_expect_eq(found("same"), 10 + OLDEST);
}

/* dhcpd may commit as much as it likes; natproxy hears all of it when it reads again. */
Test(names, changes_do_not_fill_a_channel_that_is_not_read)
{
	struct worker *w = &hub->worker[0];
	char name[64];

	names_build(hub);
	for (unsigned int i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "name-of-a-guest-that-changes-all-the-time-%u", i);
		lease(10 + i % 200, name, NL__LEASE__STATE__LEASED, 100);
	}
	cr_assert(w->names_behind);
	cr_assert_eq(w->chan.refused, 0);
	cr_assert_leq(w->chan.queue_bytes, HUB_QUEUE_BYTES / 2);
	do
		hear();
	while (chan_flush(&w->chan) == 1);
	names_tell(w);
	cr_assert_not(w->names_behind);
	cr_expect_eq(found("name-of-a-guest-that-changes-all-the-time-19999"), 209);
}

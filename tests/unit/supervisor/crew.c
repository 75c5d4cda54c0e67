/* crew.c: what a worker says that must not outlive it. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <string.h>

#include "conf.h"
#include "crew.h"
#include "super_dispatch.h"
#include "supervisor.h"

static struct supervisor super;
static struct hub *hub = &super.hub[0];

static void set_up(void)
{
	static const char text[] =
		"hubs: {default: {host: {address: 192.168.30.1, netmask: 255.255.255.0}}}";
	struct conf_error error;

	super.loop = ev_loop_new(EVBACKEND_EPOLL);
	super.hubs = 1;
	super.config = conf_parse("test", text, strlen(text), &error);
	cr_assert_not_null(super.config, "%s", error.text);
	hub->super = &super;
	hub->conf = super.config->hubs[0];
	hub->store.fd = -1;
	hub->shards = 1;
	hub_crew(hub);
}
static void tear_down(void)
{
	conf_free(super.config);
	store_close(&hub->store);
	ev_loop_destroy(super.loop);
}
TestSuite(crew, .init = set_up, .fini = tear_down);

static size_t committed(const char *ip)
{
	struct super_peer peer = {hub_worker(hub, ACTOR_DHCPD, 0)};
	uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	Nl__LeaseCommit m = NL__LEASE_COMMIT__INIT;
	Nl__Lease lease = NL__LEASE__INIT;
	size_t before = hub->store.leases;

	lease.has_ip_be = lease.has_mac = lease.has_expires_ms = true;
	lease.ip_be = inet_addr(ip);
	lease.mac = (ProtobufCBinaryData){sizeof(mac), mac};
	lease.expires_ms = UINT64_MAX;
	m.has_sequence = true;
	m.lease = &lease;
	cr_assert_eq(super_on_lease_commit(&peer, &m, NULL), 0);
	crew_sync(hub);
	return hub->store.leases - before;
}

Test(crew, only_addresses_of_the_hub_are_remembered)
{
	cr_assert_eq(committed("192.168.30.200"), 1);
	cr_assert_eq(committed("192.168.31.200"), 0);
	cr_assert_eq(committed("10.0.0.1"), 0);
	cr_assert_eq(committed("0.0.0.0"), 0);
}

Test(crew, a_commit_without_a_lease_is_refused)
{
	struct super_peer peer = {hub_worker(hub, ACTOR_DHCPD, 0)};
	const Nl__LeaseCommit m = NL__LEASE_COMMIT__INIT;

	cr_assert_eq(super_on_lease_commit(&peer, &m, NULL), 0);
	crew_sync(hub);
	cr_assert_eq(hub->store.leases, 0);
}

/* The table of hubs: what workers say is merged, what they do not say is filled in. */
#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "rows.h"
#include "supervisor.h"

static Nl__Ip4 address, netmask, from, to;
static Nl__Mac mac = NL__MAC__INIT;
static Nl__VirtualHost host = NL__VIRTUAL_HOST__INIT;
static Nl__IpRange range = NL__IP_RANGE__INIT;
static Nl__Dhcp dhcp = NL__DHCP__INIT;
static Nl__Hub conf = NL__HUB__INIT, *hubs[] = {&conf};
static Nl__Nat nat = NL__NAT__INIT;
static Nl__Config config = NL__CONFIG__INIT;
static char name[] = "default";

static struct supervisor *world(void)
{
	static struct supervisor s;

	nl__ip4__init(&address);
	netmask = from = to = address;
	address.be = inet_addr("192.168.30.1");
	netmask.be = inet_addr("255.255.255.0");
	from.be = inet_addr("192.168.30.10");
	to.be = inet_addr("192.168.30.200");
	host.address = &address;
	host.netmask = &netmask;
	host.mac = &mac;
	range.from = &from;
	range.to = &to;
	dhcp.enable = true;
	dhcp.range = &range;
	conf.name = name;
	conf.host = &host;
	conf.dhcp = &dhcp;
	conf.nat = &nat;
	config.n_hubs = 1;
	config.hubs = hubs;
	s.config = &config;
	s.loop = ev_default_loop(0);
	s.hub[0] = (struct hub){.super = &s, .conf = &conf};
	s.hub[0].port[3].used = true;
	s.hubs = 1;
	return &s;
}

/* What a worker sends: any numbers at all. */
static void worker_says(Nl__HubRow *counted, enum actor_id from_worker, uint32_t n)
{
	Nl__HubRow row = NL__HUB_ROW__INIT;
	uint8_t bytes[128];

	row.has_ports = row.has_tcp = row.has_udp = row.has_icmp = row.has_leases = row.has_pool =
		true;
	row.ports = row.tcp = row.udp = row.icmp = row.leases = row.pool = n;
	row.name = name;
	rows_count(counted, from_worker,
		&(ProtobufCBinaryData){nl__hub_row__pack(&row, bytes), bytes});
}

static Nl__HubRow *row_of(const Nl__HubRow *counted)
{
	struct supervisor *s = world();
	struct rows rows;
	Nl__HubRow *row;

	rows_hub(&rows, s, &s->hub[0], counted);
	cr_assert_eq(rows.count, 1);
	row = nl__hub_row__unpack(NULL, rows.row[0].len, rows.row[0].data);
	rows_free(&rows);
	cr_assert_not_null(row);
	return row;
}

Test(rows, each_worker_counts_its_own)
{
	Nl__HubRow counted = NL__HUB_ROW__INIT, *row;

	worker_says(&counted, ACTOR_BROKER, 2);
	worker_says(&counted, ACTOR_NATPROXY, 41);
	worker_says(&counted, ACTOR_DHCPD, 7);
	worker_says(&counted, ACTOR_ALG, 99);
	worker_says(&counted, ACTOR_NETSTACK, 99);
	row = row_of(&counted);
	cr_assert_str_eq(row->name, "default");
	cr_assert_eq(row->address->prefix, 24);
	cr_assert_eq(row->ports, 2);
	cr_assert(row->has_tcp && row->has_udp && row->has_icmp);
	cr_assert_eq(row->tcp + row->udp + row->icmp, 3 * 41);
	cr_assert_eq(row->leases, 7);
	cr_assert_eq(row->pool, 7);
	nl__hub_row__free_unpacked(row, NULL);
}

Test(rows, what_each_shard_counts_is_added_up)
{
	Nl__HubRow counted = NL__HUB_ROW__INIT, *row;

	worker_says(&counted, ACTOR_NATPROXY, 41);
	worker_says(&counted, ACTOR_NATPROXY, 1);
	worker_says(&counted, ACTOR_BROKER, 2);
	row = row_of(&counted);
	cr_assert_eq(row->tcp, 42);
	cr_assert_eq(row->udp, 42);
	cr_assert_eq(row->icmp, 42);
	cr_assert_eq(row->ports, 2);
	nl__hub_row__free_unpacked(row, NULL);
}

Test(rows, a_worker_that_is_not_there_leaves_what_we_know)
{
	Nl__HubRow counted = NL__HUB_ROW__INIT, *row = row_of(&counted);

	cr_assert_eq(row->ports, 1);
	cr_assert_eq(row->pool, 191);
	cr_assert(row->has_leases);
	cr_assert_not(row->has_tcp, "nobody knows");
	nl__hub_row__free_unpacked(row, NULL);
}

Test(rows, rubbish_counts_nothing)
{
	Nl__HubRow counted = NL__HUB_ROW__INIT;
	uint8_t rubbish[] = {0xff, 0xff, 0xff, 0xff};

	rows_count(&counted, ACTOR_NATPROXY, &(ProtobufCBinaryData){sizeof(rubbish), rubbish});
	rows_count(&counted, ACTOR_NATPROXY, &(ProtobufCBinaryData){0, rubbish});
	cr_assert_not(counted.has_tcp);
	cr_assert_null(counted.name);
}

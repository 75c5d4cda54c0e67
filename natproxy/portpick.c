/*
 * Theory of operation. A mapping is {protocol, guest endpoint} -> outside port with a count of
 * users. It is found by keyed hash of the guest's side and by a plain array over the outside port.
 * An endpoint whose connections ended up on different ports (the kernel refused a pair still in
 * TIME-WAIT, say) keeps the mapping of the first; the others are released against nothing, which is
 * why release compares the port.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "portpick.h"

/* Inclusive. */
static const struct {
	uint16_t first, last;
} services[] = {
	{1080, 1080}, /* SOCKS */
	{1433, 1434}, /* SQL Server */
	{1521, 1521}, /* Oracle */
	{1883, 1883}, /* MQTT */
	{2049, 2049}, /* NFS */
	{2375, 2380}, /* Docker, etcd */
	{3128, 3128}, /* a web proxy */
	{3260, 3260}, /* iSCSI */
	{3306, 3306}, /* MySQL */
	{3389, 3389}, /* RDP */
	{5353, 5353}, /* mDNS */
	{5355, 5355}, /* LLMNR */
	{5432, 5432}, /* PostgreSQL */
	{5672, 5672}, /* AMQP */
	{5900, 5999}, /* VNC, SPICE */
	{6000, 6063}, /* X11 */
	{6379, 6379}, /* Redis */
	{6443, 6443}, /* Kubernetes */
	{6566, 6566}, /* SANE */
	{8000, 8000}, /* web servers */
	{8008, 8008}, {8080, 8081}, {8443, 8443}, {8888, 8888}, {9000, 9000},
	{9090, 9093},	/* Prometheus, Kafka, Cockpit */
	{9100, 9100},	/* printers */
	{9200, 9200},	/* Elasticsearch */
	{10250, 10250}, /* Kubernetes */
	{11211, 11211}, /* memcached */
	{27017, 27017}, /* MongoDB */
};

bool portpick_is_service(uint16_t port)
{
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (port >= services[i].first && port <= services[i].last)
			return true;
	return false;
}

void portpick_init(struct portpick *p, const struct hash_key *key, const struct portmap *shown)
{
	p->key = *key;
	p->shown = *shown;
}

static uint32_t *bucket_of(
	struct portpick *p, enum nat_protocol protocol, const struct sock_address *guest)
{
	const uint32_t words[2] = {guest->ip_be, (uint32_t)protocol << 16 | guest->port};
	return &p->bucket[hash_sip(&p->key, words, sizeof(words)) & (PORTPICK_BUCKETS - 1)];
}

static uint32_t find(
	struct portpick *p, enum nat_protocol protocol, const struct sock_address *guest)
{
	uint32_t ref = *bucket_of(p, protocol, guest);
	for (; ref; ref = p->mapping[ref].next) {
		const struct portpick_mapping *m = &p->mapping[ref];
		if (m->protocol == protocol && m->guest.ip_be == guest->ip_be &&
			m->guest.port == guest->port)
			break;
	}
	return ref;
}

/* An unpredictable port of the guest's parity (RFC 6056 3.3.1 by keyed hash of a counter). */
static uint16_t draw(struct portpick *p, uint16_t parity_of)
{
	const uint64_t n = p->draws++;
	const uint64_t word = hash_sip(&p->key, &n, sizeof(n));
	const uint16_t span = 65536 - PORTPICK_FIRST;
	const uint16_t port = PORTPICK_FIRST + (uint16_t)(word % span);
	return (port & 0xfffe) | (parity_of & 1);
}

uint16_t portpick_candidate(struct portpick *p, enum nat_protocol protocol,
	const struct sock_address *guest, unsigned int n)
{
	const uint32_t mapped = find(p, protocol, guest);
	if (n == 0 && mapped)
		return p->mapping[mapped].outside;
	if (n == 0 && guest->port >= PORTPICK_FIRST && !portpick_is_service(guest->port) &&
		!p->owner[protocol][guest->port])
		return guest->port;
	if (n >= PORTPICK_TRIES)
		return 0;
	for (unsigned int i = 0; i < PORTPICK_TRIES; i++) {
		const uint16_t port = draw(p, guest->port);
		if (!p->owner[protocol][port] && !portpick_is_service(port))
			return port;
	}
	return 0;
}

int portpick_hold(struct portpick *p, enum nat_protocol protocol, const struct sock_address *guest,
	uint16_t outside)
{
	uint32_t ref = find(p, protocol, guest);
	if (ref) {
		p->mapping[ref].users += p->mapping[ref].outside == outside;
		return 0;
	}
	if (p->owner[protocol][outside])
		return 0;
	if (p->free) {
		ref = p->free;
		p->free = p->mapping[ref].next;
	} else if (p->fresh < PORTPICK_MAPPINGS) {
		ref = ++p->fresh;
	} else {
		return -ENOSPC;
	}
	uint32_t *head = bucket_of(p, protocol, guest);
	p->mapping[ref] = (struct portpick_mapping){.guest = *guest,
		.outside = outside,
		.protocol = (uint8_t)protocol,
		.users = 1,
		.next = *head};
	*head = ref;
	p->owner[protocol][outside] = ref;
	if (protocol == NAT_UDP)
		portmap_set(&p->shown, outside, true);
	return 0;
}

void portpick_release(struct portpick *p, enum nat_protocol protocol,
	const struct sock_address *guest, uint16_t outside)
{
	const uint32_t ref = find(p, protocol, guest);
	if (!ref || p->mapping[ref].outside != outside || --p->mapping[ref].users)
		return;
	uint32_t *at = bucket_of(p, protocol, guest);
	while (*at != ref)
		at = &p->mapping[*at].next;
	*at = p->mapping[ref].next;
	p->owner[protocol][outside] = 0;
	if (protocol == NAT_UDP)
		portmap_set(&p->shown, outside, false);
	p->mapping[ref].next = p->free;
	p->free = ref;
}

bool portpick_is_ours(const struct portpick *p, enum nat_protocol protocol, uint16_t outside)
{
	return p->owner[protocol][outside] != 0;
}

bool portpick_is_hubs(const struct portpick *p, uint16_t outside)
{
	return portpick_is_ours(p, NAT_UDP, outside) || portmap_has(&p->shown, outside);
}

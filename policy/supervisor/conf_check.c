/*
 * What one value cannot know alone: ranges, and whether addresses, ports and names agree with each
 * other. Each message says the value, what is allowed or what it clashes with (and in which line
 * that stands), and what to do. Values that the file does not give have no mark; then the error
 * stands at the one it does give, or nowhere.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/un.h>

#include "conf.h"
#include "topology.h"

struct check {
	const struct reflect_marks *marks;
	struct conf_error *error;
};

/* A place: a field of a section, or one element of its list. */
struct place {
	const ProtobufCMessage *section;
	const char *field;
	size_t index;
};

static struct place at(const ProtobufCMessage *section, const char *field)
{
	return (struct place){section, field, REFLECT_WHOLE};
}

static struct place at_element(const ProtobufCMessage *section, const char *field, size_t index)
{
	return (struct place){section, field, index};
}

static const struct reflect_mark *mark_of(const struct check *c, struct place p)
{
	const struct reflect_mark *mark = reflect_where(c->marks, p.section, p.field, p.index);

	if (mark == NULL && p.index != REFLECT_WHOLE)
		mark = reflect_where(c->marks, p.section, p.field, REFLECT_WHOLE);
	return mark;
}

static int fail(struct check *c, struct place p, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct check *c, struct place p, const char *format, ...)
{
	const struct reflect_mark *mark = mark_of(c, p);
	va_list args;

	c->error->line = mark != NULL ? mark->line : 0;
	c->error->column = mark != NULL ? mark->column : 0;
	va_start(args, format);
	vsnprintf(c->error->text, sizeof(c->error->text), format, args);
	va_end(args);
	return -EINVAL;
}

enum { WHERE_BYTES = 48 };

/* "line 5" or "default": where the other value of a clash stands. */
static const char *where(const struct check *c, struct place p, char *out)
{
	const struct reflect_mark *mark = mark_of(c, p);

	if (mark != NULL)
		snprintf(out, WHERE_BYTES, "line %d", mark->line);
	else
		snprintf(out, WHERE_BYTES, "default");
	return out;
}

static const char *ip(char *out, uint32_t ip_be)
{
	return inet_ntop(AF_INET, &ip_be, out, INET_ADDRSTRLEN);
}

struct range {
	const char *field;
	uint64_t value, least, most;
	bool duration;
};

static int check_ranges(struct check *c, const ProtobufCMessage *section, const char *title,
	const struct range *ranges, size_t count)
{
	char text[3][REFLECT_TEXT_BYTES];

	for (size_t i = 0; i < count; i++) {
		const struct range *r = &ranges[i];
		const uint64_t shown[3] = {r->value, r->least, r->most};

		if (r->value >= r->least && r->value <= r->most)
			continue;
		for (int n = 0; n < 3; n++) {
			Nl__Duration duration = NL__DURATION__INIT;

			duration.ms = shown[n];
			if (r->duration)
				reflect_text_write(&duration.base, text[n]);
			else
				snprintf(text[n], sizeof(text[n]), "%" PRIu64, shown[n]);
		}
		return fail(c, at(section, r->field), "%s.%s %s is out of range: %s to %s", title,
			r->field, text[0], text[1], text[2]);
	}
	return 0;
}

enum { SECOND = 1000, DAY = 86400 * SECOND };
#define YEAR (365ull * DAY)

/* The hub's subnet, in host order. */
struct subnet {
	uint32_t address, mask;
	char text[32];
};

static bool is_contiguous(uint32_t mask)
{
	return (~mask & (~mask + 1)) == 0;
}

static bool is_inside(const struct subnet *s, uint32_t address)
{
	return (address & s->mask) == (s->address & s->mask);
}

/* A subnet's first and last address are no station's (RFC 950 2.1, RFC 922 7). */
static bool is_station(const struct subnet *s, uint32_t address)
{
	return is_inside(s, address) && (address & ~s->mask) != 0 &&
	       (address & ~s->mask) != (uint32_t)~s->mask;
}

/* Neither 0/8, 127/8, multicast nor reserved (RFC 6890). */
static bool is_unicast(uint32_t address)
{
	uint32_t first = address >> 24;

	return first != 0 && first != 127 && first < 224;
}

static int check_netmask(
	struct check *c, const ProtobufCMessage *section, const char *title, uint32_t mask_be)
{
	uint32_t mask = ntohl(mask_be);
	char text[INET_ADDRSTRLEN];

	if (!is_contiguous(mask))
		return fail(c, at(section, "netmask"),
			"%s.netmask %s is not a netmask: its one-bits must come first, as in "
			"255.255.255.0",
			title, ip(text, mask_be));
	if (mask < 0xff000000 || mask > 0xfffffffc)
		return fail(c, at(section, "netmask"),
			"%s.netmask %s is out of range: 255.0.0.0 to 255.255.255.252", title,
			ip(text, mask_be));
	return 0;
}

static int check_host(struct check *c, const Nl__VirtualHost *host, struct subnet *s)
{
	char address[INET_ADDRSTRLEN];
	uint32_t network_be;
	int error = check_netmask(c, &host->base, "host", host->netmask->be);

	if (error != 0)
		return error;
	s->address = ntohl(host->address->be);
	s->mask = ntohl(host->netmask->be);
	network_be = htonl(s->address & s->mask);
	snprintf(s->text, sizeof(s->text), "%s/%d", ip(address, network_be),
		__builtin_popcount(s->mask));
	if (!is_unicast(s->address) || !is_station(s, s->address))
		return fail(c, at(&host->base, "address"),
			"host.address %s cannot be a station's address in %s. Choose one such as "
			"192.168.30.1",
			ip(address, host->address->be), s->text);
	if (!host->mac->auto_ && (host->mac->octets.data[0] & 1) != 0)
		return fail(c, at(&host->base, "mac"),
			"host.mac is a multicast address: its first octet must be even");
	return 0;
}

/* An address that must be some station's in the hub's subnet. `what` names it. */
static int check_station(struct check *c, struct place p, const char *what, uint32_t address_be,
	const Nl__VirtualHost *host, const struct subnet *s)
{
	char address[INET_ADDRSTRLEN], line[WHERE_BYTES];

	if (is_station(s, ntohl(address_be)))
		return 0;
	return fail(c, p, "%s %s is not inside %s (host.address, %s)", what,
		ip(address, address_be), s->text, where(c, at(&host->base, "address"), line));
}

static bool same_listen(const Nl__Publish *a, const Nl__Publish *b)
{
	bool same_ip = a->listen->ip_be == b->listen->ip_be || a->listen->ip_be == 0 ||
		       b->listen->ip_be == 0;

	return a->proto == b->proto && a->listen->port == b->listen->port && same_ip;
}

static int check_publish(struct check *c, const Nl__Nat *nat, size_t i, const Nl__VirtualHost *host,
	const struct subnet *s)
{
	const Nl__Publish *p = nat->publish[i];
	struct place here = at_element(&nat->base, "publish", i);
	char text[REFLECT_TEXT_BYTES], line[WHERE_BYTES];

	if (!p->has_proto || p->listen == NULL || p->to == NULL)
		return fail(c, here,
			"nat.publish needs all of {proto: tcp, listen: \"127.0.0.1:8080\", to: "
			"\"192.168.30.10:80\"}");
	if (p->listen->port == 0 || p->to->port == 0)
		return fail(c, here, "nat.publish: port 0 is out of range: 1 to 65535");
	for (size_t other = 0; other < i; other++) {
		if (!same_listen(p, nat->publish[other]))
			continue;
		return fail(c, here,
			"nat.publish: %s/%s is already published (%s). Choose another port",
			reflect_text_write(&p->listen->base, text),
			p->proto == NL__PUBLISH__PROTO__tcp ? "tcp" : "udp",
			where(c, at_element(&nat->base, "publish", other), line));
	}
	return check_station(c, here, "nat.publish: to", p->to->ip_be, host, s);
}

static int check_count(struct check *c, struct place p, const char *what, size_t count, size_t most)
{
	if (count <= most)
		return 0;
	return fail(c, p, "%s has %zu entries: at most %zu", what, count, most);
}

static int check_nat(
	struct check *c, const Nl__Nat *nat, const Nl__VirtualHost *host, const struct subnet *s)
{
	const struct range ranges[] = {
		{"mtu", nat->mtu, 576, 65520, false},
		{"tcp_timeout", nat->tcp_timeout->ms, SECOND, 30ull * DAY, true},
		{"udp_timeout", nat->udp_timeout->ms, SECOND, 30ull * DAY, true},
	};
	int error = check_ranges(c, &nat->base, "nat", ranges, sizeof(ranges) / sizeof(ranges[0]));

	if (error == 0)
		error = check_count(c, at(&nat->base, "publish"), "nat.publish", nat->n_publish,
			CONF_PUBLISH_MAX);
	for (size_t i = 0; i < nat->n_publish && error == 0; i++)
		error = check_publish(c, nat, i, host, s);
	return error;
}

static int check_pool(
	struct check *c, const Nl__Dhcp *dhcp, const Nl__VirtualHost *host, const struct subnet *s)
{
	const Nl__IpRange *range = dhcp->range;
	struct place here = at(&dhcp->base, "range");
	char text[REFLECT_TEXT_BYTES], line[WHERE_BYTES];
	uint32_t from, to;

	if (range->from == NULL || range->to == NULL)
		return fail(c, here, "dhcp.range needs both from: and to:");
	from = ntohl(range->from->be);
	to = ntohl(range->to->be);
	reflect_text_write(&range->base, text);
	if (from > to)
		return fail(c, here, "dhcp.range %s runs backwards: swap from: and to:", text);
	if (!is_station(s, from) || !is_station(s, to))
		return fail(c, here, "dhcp.range %s is not inside %s (host.address, %s)", text,
			s->text, where(c, at(&host->base, "address"), line));
	if (((from ^ s->address) | (to ^ s->address)) & ntohl(dhcp->netmask->be))
		return fail(c, here,
			"dhcp.range %s does not fit dhcp.netmask (%s): guests could not reach "
			"host.address",
			text, where(c, at(&dhcp->base, "netmask"), line));
	if (to - from >= CONF_POOL_MAX)
		return fail(c, here, "dhcp.range %s has more than %d addresses: make it shorter",
			text, CONF_POOL_MAX);
	if (from == s->address && to == s->address)
		return fail(c, here, "dhcp.range %s holds only the gateway's own address", text);
	return 0;
}

static int check_gateway(
	struct check *c, const Nl__Dhcp *dhcp, const Nl__VirtualHost *host, const struct subnet *s)
{
	struct place here = at(&dhcp->base, "gateway");
	char shown[64];
	uint32_t address_be;

	if (strcmp(dhcp->gateway, "none") == 0)
		return 0;
	if (inet_pton(AF_INET, dhcp->gateway, &address_be) != 1)
		return fail(c, here,
			"dhcp.gateway: \"%s\" is neither an IPv4 address such as 192.168.30.1 nor "
			"none",
			reflect_printable(shown, sizeof(shown), dhcp->gateway));
	return check_station(c, here, "dhcp.gateway", address_be, host, s);
}

/* Letters, digits, dots and hyphens; no label over 63 bytes or with a hyphen at its ends (RFC
 * 1123 2.1). */
static bool is_domain(const char *name)
{
	size_t label = 0;

	if (name[0] == '\0' || strlen(name) > 253)
		return false;
	for (const char *c = name;; c++) {
		bool end = *c == '.' || *c == '\0';
		bool letter = (*c | 0x20) >= 'a' && (*c | 0x20) <= 'z';

		if (end && (label == 0 || label > 63 || c[-1] == '-'))
			return false;
		if (*c == '\0')
			return true;
		if (!end && !letter && !(*c >= '0' && *c <= '9') && !(*c == '-' && label > 0))
			return false;
		label = end ? 0 : label + 1;
	}
}

static bool same_mac(const Nl__Mac *a, const Nl__Mac *b)
{
	return memcmp(a->octets.data, b->octets.data, 6) == 0;
}

static int check_reservation(struct check *c, const Nl__Dhcp *dhcp, size_t i,
	const Nl__VirtualHost *host, const struct subnet *s)
{
	const Nl__Reservation *r = dhcp->reservations[i];
	struct place here = at_element(&dhcp->base, "reservations", i);
	char text[REFLECT_TEXT_BYTES], line[WHERE_BYTES];

	if (r->mac == NULL || r->mac->auto_ || r->address == NULL)
		return fail(c, here,
			"dhcp.reservations needs {mac: \"00:AC:85:40:B5:50\", address: "
			"192.168.30.20}");
	if ((r->mac->octets.data[0] & 1) != 0)
		return fail(c, here, "dhcp.reservations: %s is a multicast MAC address",
			reflect_text_write(&r->mac->base, text));
	if (r->name != NULL && !is_domain(r->name))
		return fail(c, here,
			"dhcp.reservations: a name consists of letters, digits and hyphens");
	if (r->address->be == host->address->be)
		return fail(c, here,
			"dhcp.reservations: %s is the gateway's own (host.address, %s)",
			ip(text, r->address->be), where(c, at(&host->base, "address"), line));
	for (size_t other = 0; other < i; other++) {
		const Nl__Reservation *o = dhcp->reservations[other];
		bool mac = same_mac(r->mac, o->mac);

		if (!mac && r->address->be != o->address->be)
			continue;
		return fail(c, here, "dhcp.reservations: %s is already reserved (%s)",
			reflect_text_write(mac ? &r->mac->base : &r->address->base, text),
			where(c, at_element(&dhcp->base, "reservations", other), line));
	}
	return check_station(c, here, "dhcp.reservations: address", r->address->be, host, s);
}

static int check_dns(struct check *c, const Nl__Dhcp *dhcp)
{
	char text[INET_ADDRSTRLEN];
	int error = check_count(c, at(&dhcp->base, "dns"), "dhcp.dns", dhcp->n_dns, CONF_DNS_MAX);

	for (size_t i = 0; i < dhcp->n_dns && error == 0; i++)
		if (!is_unicast(ntohl(dhcp->dns[i]->be)))
			error = fail(c, at_element(&dhcp->base, "dns", i),
				"dhcp.dns: no guest can reach a nameserver at %s",
				ip(text, dhcp->dns[i]->be));
	return error;
}

static int check_dhcp(
	struct check *c, const Nl__Dhcp *dhcp, const Nl__VirtualHost *host, const struct subnet *s)
{
	const struct range lease = {"lease", dhcp->lease->ms, 10 * SECOND, YEAR, true};
	char shown[64];
	int error = check_ranges(c, &dhcp->base, "dhcp", &lease, 1);

	if (error == 0)
		error = check_netmask(c, &dhcp->base, "dhcp", dhcp->netmask->be);
	if (error == 0)
		error = check_pool(c, dhcp, host, s);
	if (error == 0)
		error = check_gateway(c, dhcp, host, s);
	if (error == 0)
		error = check_dns(c, dhcp);
	if (error == 0 && !is_domain(dhcp->domain))
		error = fail(c, at(&dhcp->base, "domain"),
			"dhcp.domain: \"%s\" is not a domain such as lab.example, nor host or none",
			reflect_printable(shown, sizeof(shown), dhcp->domain));
	if (error == 0)
		error = check_count(c, at(&dhcp->base, "reservations"), "dhcp.reservations",
			dhcp->n_reservations, CONF_RESERVATIONS_MAX);
	for (size_t i = 0; i < dhcp->n_reservations && error == 0; i++)
		error = check_reservation(c, dhcp, i, host, s);
	return error;
}

static int check_ports(struct check *c, const Nl__AlgSwitch *alg, const char *title)
{
	char what[32];
	int error;

	snprintf(what, sizeof(what), "%s.ports", title);
	error = check_count(c, at(&alg->base, "ports"), what, alg->n_ports, CONF_PORTS_MAX);
	if (error == 0 && alg->enable && alg->n_ports == 0)
		error = fail(c, at(&alg->base, "ports"),
			"%s is empty: name a port, or say enable: false", what);
	for (size_t i = 0; i < alg->n_ports && error == 0; i++) {
		struct place here = at_element(&alg->base, "ports", i);

		if (alg->ports[i] < 1 || alg->ports[i] > UINT16_MAX)
			return fail(c, here, "%s: %" PRIu32 " is out of range: 1 to 65535", what,
				alg->ports[i]);
		for (size_t other = 0; other < i; other++)
			if (alg->ports[other] == alg->ports[i])
				return fail(c, here, "%s: %" PRIu32 " is given twice", what,
					alg->ports[i]);
	}
	return error;
}

static int check_limits(struct check *c, const Nl__Limits *limits)
{
	const struct range ranges[] = {
		{"tcp_sessions_per_host", limits->tcp_sessions_per_host, 1, 65536, false},
		{"udp_sessions_per_host", limits->udp_sessions_per_host, 1, 65536, false},
		{"icmp_sessions_per_host", limits->icmp_sessions_per_host, 1, 65536, false},
		{"syn_sent_per_host", limits->syn_sent_per_host, 1, 65536, false},
		{"macs_per_port", limits->macs_per_port, 1, 4096, false},
	};

	return check_ranges(c, &limits->base, "limits", ranges, sizeof(ranges) / sizeof(ranges[0]));
}

static int check_attach(struct check *c, const Nl__Hub *hub, size_t i)
{
	static const char *const kinds[] = {
		"auto", "pid", "netns", "tap", "veth", "qemu", "qemu-dgram", "fd"};
	enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
	const char *attach = hub->attach[i], *colon = strchr(attach, ':'), *meant;
	struct place here = at_element(&hub->base, "attach", i);
	char kind[16], shown[64];
	size_t length = colon != NULL ? (size_t)(colon - attach) : strlen(attach);

	snprintf(kind, sizeof(kind), "%.*s", (int)(length < sizeof(kind) ? length : 0), attach);
	reflect_printable(shown, sizeof(shown), attach);
	for (size_t k = 0; k < KINDS; k++) {
		if (strcmp(kind, kinds[k]) != 0)
			continue;
		if ((k == 0) != (colon == NULL) || (colon != NULL && colon[1] == '\0'))
			return fail(c, here,
				"attach: \"%s\" should be auto or KIND:WHERE, such as tap:nl0",
				shown);
		return 0;
	}
	meant = reflect_suggest(kind, kinds, KINDS);
	return fail(c, here, "attach: \"%s\" names no kind of port. %s%s%s", shown,
		meant != NULL ? "Did you mean \"" : "Kinds: auto, pid, netns, tap, veth, ",
		meant != NULL ? meant : "qemu, qemu-dgram, fd", meant != NULL ? "\"?" : "");
}

/* A hub's name becomes the name of a folder of logs and leases. */
static bool is_hub_name(const char *name)
{
	if (name == NULL || name[0] == '\0' || strlen(name) > 32)
		return false;
	for (const char *c = name; *c != '\0'; c++) {
		bool letter = (*c | 0x20) >= 'a' && (*c | 0x20) <= 'z';

		if (!letter && !(*c >= '0' && *c <= '9') &&
			(c == name || (*c != '-' && *c != '_' && *c != '.')))
			return false;
	}
	return true;
}

static int check_name(struct check *c, const Nl__Config *config, size_t i)
{
	struct place here = at_element(&config->base, "hubs", i);
	const char *name = config->hubs[i]->name;
	char shown[64];

	if (!is_hub_name(name))
		return fail(c, here,
			"hubs: \"%s\" is no name for a hub: 1 to 32 letters, digits, and inside - "
			"_ .",
			reflect_printable(shown, sizeof(shown), name != NULL ? name : ""));
	for (size_t other = 0; other < i; other++)
		if (strcmp(config->hubs[other]->name, name) == 0)
			return fail(c, here, "hubs: \"%s\" is given twice", name);
	return 0;
}

static int check_shards(struct check *c, const Nl__Hub *hub)
{
	const char *shards = hub->shards;
	char shown[64];

	if (strcmp(shards, "auto") == 0 ||
		(shards[0] >= '1' && shards[0] <= '0' + SHARD_MAX && !shards[1]))
		return 0;
	return fail(c, at(&hub->base, "shards"),
		"shards \"%s\" should be auto or a number from 1 to %d",
		reflect_printable(shown, sizeof(shown), shards), SHARD_MAX);
}

static int check_hub(struct check *c, const Nl__Config *config, size_t i)
{
	const Nl__Hub *hub = config->hubs[i];
	const struct range segment = {"segment_max", hub->alg->segment_max, 64, 65536, false};
	struct subnet s;
	int error = check_name(c, config, i);

	if (error == 0)
		error = check_count(c, at(&hub->base, "attach"), "attach", hub->n_attach, 64);
	for (size_t port = 0; port < hub->n_attach && error == 0; port++)
		error = check_attach(c, hub, port);
	if (error == 0)
		error = check_host(c, hub->host, &s);
	if (error == 0)
		error = check_nat(c, hub->nat, hub->host, &s);
	if (error == 0)
		error = check_dhcp(c, hub->dhcp, hub->host, &s);
	if (error == 0)
		error = check_ports(c, hub->alg->ftp, "alg.ftp");
	if (error == 0)
		error = check_ranges(c, &hub->alg->base, "alg", &segment, 1);
	if (error == 0)
		error = check_shards(c, hub);
	return error == 0 ? check_limits(c, hub->limits) : error;
}

static int check_api(struct check *c, const Nl__Api *api)
{
	struct place here = at(&api->base, "socket");

	if (strcmp(api->socket, "auto") != 0 && api->socket[0] != '/')
		return fail(c, here, "api.socket should be auto or an absolute path");
	if (strlen(api->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return fail(c, here, "api.socket is too long: at most %zu bytes",
			sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	return 0;
}

static int check_log(struct check *c, const Nl__Log *log)
{
	if (log->file[0] == '/' || strcmp(log->file, "auto") == 0 || strcmp(log->file, "none") == 0)
		return 0;
	return fail(c, at(&log->base, "file"), "log.file should be auto, none or an absolute path");
}

static int check_policy(struct check *c, const Nl__Policy *policy)
{
	uint64_t min = policy->restart_backoff_min->ms, max = policy->restart_backoff_max->ms;
	const struct range ranges[] = {
		{"restart_backoff_min", min, 10, 3600 * SECOND, true},
		{"restart_backoff_max", max, 10, 3600 * SECOND, true},
	};
	int error = check_ranges(c, &policy->base, "policy", ranges, 2);

	if (error == 0 && min > max)
		error = fail(c,
			at(&policy->base,
				mark_of(c, at(&policy->base, "restart_backoff_max")) != NULL
					? "restart_backoff_max"
					: "restart_backoff_min"),
			"policy.restart_backoff_min is longer than policy.restart_backoff_max");
	return error;
}

int conf_check(
	const Nl__Config *config, const struct reflect_marks *marks, struct conf_error *error)
{
	struct check c = {marks, error};
	int result =
		check_count(&c, at(&config->base, "hubs"), "hubs", config->n_hubs, CONF_HUBS_MAX);

	if (result == 0 && config->n_hubs == 0)
		result =
			fail(&c, at(&config->base, "hubs"), "hubs is empty: name at least one hub");
	for (size_t i = 0; i < config->n_hubs && result == 0; i++)
		result = check_hub(&c, config, i);
	if (result == 0)
		result = check_log(&c, config->log);
	if (result == 0)
		result = check_api(&c, config->api);
	return result == 0 ? check_policy(&c, config->policy) : result;
}

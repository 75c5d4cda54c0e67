/*
 * Theory of operation. What leaves and what comes in: timers, published ports, static addresses and
 * the devices by which they go. A name of `vrfs` is resolved here, so that a slip of the pen is
 * found before a worker asks for a device that nobody has.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <string.h>

#include "conf_check.h"

bool conf_is_device(const char *name)
{
	if (name[0] == '\0' || strlen(name) >= IFNAMSIZ || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0)
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if (*c == '/' || *c == ':' || isspace((unsigned char)*c))
			return false;
	return true;
}

static const Nl__Vrf *vrf_named(const Nl__Nat *nat, const char *name)
{
	for (size_t i = 0; i < nat->n_vrfs; i++)
		if (nat->vrfs[i]->name != NULL && strcmp(nat->vrfs[i]->name, name) == 0)
			return nat->vrfs[i];
	return NULL;
}

const char *conf_device(const Nl__Nat *nat, const char *vrf)
{
	const Nl__Vrf *found = vrf_named(nat, vrf != NULL ? vrf : nat->vrf);

	return found != NULL ? found->device : NULL;
}

static bool same_device(const Nl__Nat *a, const char *a_vrf, const Nl__Nat *b, const char *b_vrf)
{
	const char *one = conf_device(a, a_vrf), *two = conf_device(b, b_vrf);

	return one == two || (one != NULL && two != NULL && strcmp(one, two) == 0);
}

bool conf_same_listener(
	const Nl__Nat *a, const Nl__Publish *p, const Nl__Nat *b, const Nl__Publish *q)
{
	bool same_ip = p->listen->ip_be == q->listen->ip_be || p->listen->ip_be == 0 ||
		       q->listen->ip_be == 0;

	return p->proto == q->proto && p->listen->port == q->listen->port && same_ip &&
	       same_device(a, p->vrf, b, q->vrf);
}

bool conf_same_outside(const Nl__Nat *a, const Nl__Static *p, const Nl__Nat *b, const Nl__Static *q)
{
	return p->outside->be == q->outside->be && same_device(a, p->vrf, b, q->vrf);
}

static bool is_vrf_name(const char *name)
{
	size_t length = strlen(name);

	return length >= 1 && length <= 32 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       length;
}

static int check_vrf(struct conf_check *c, const Nl__Nat *nat, size_t i)
{
	const Nl__Vrf *vrf = nat->vrfs[i];
	struct conf_place here = conf_at_element(&nat->base, "vrfs", i);
	char shown[CONF_SHOWN_BYTES], line[CONF_WHERE_BYTES];

	if (vrf->name == NULL || vrf->device == NULL)
		return conf_fault(c, here, "nat.vrfs needs {name: blue, device: eth1}");
	if (!is_vrf_name(vrf->name) || strcmp(vrf->name, "none") == 0)
		return conf_fault(c, here,
			"nat.vrfs: \"%s\" is no name for a vrf: 1 to 32 letters, digits, - _ . and "
			"not none",
			reflect_printable(shown, sizeof(shown), vrf->name));
	if (!conf_is_device(vrf->device))
		return conf_fault(c, conf_at(&vrf->base, "device"),
			"nat.vrfs: \"%s\" is no device's name: 1 to %d bytes without / : or "
			"blanks. See: ip link",
			reflect_printable(shown, sizeof(shown), vrf->device), IFNAMSIZ - 1);
	for (size_t other = 0; other < i; other++)
		if (strcmp(nat->vrfs[other]->name, vrf->name) == 0)
			return conf_fault(c, here, "nat.vrfs: \"%s\" is given twice (%s)",
				vrf->name,
				conf_where(c, conf_at_element(&nat->base, "vrfs", other), line));
	return 0;
}

/* A name that must be one of `vrfs`, or none. */
static int check_vrf_use(
	struct conf_check *c, const Nl__Nat *nat, struct conf_place p, const char *name)
{
	const char *known[CONF_VRFS_MAX + 1] = {"none"};
	char shown[CONF_SHOWN_BYTES], help[256];
	size_t count = 1;

	if (name == NULL || strcmp(name, "none") == 0 || vrf_named(nat, name) != NULL)
		return 0;
	for (size_t i = 0; i < nat->n_vrfs; i++)
		known[count++] = nat->vrfs[i]->name;
	return conf_fault(c, p, "vrf \"%s\" is not in nat.vrfs. %s",
		reflect_printable(shown, sizeof(shown), name),
		count == 1 ? "Add it there: {name: blue, device: eth1}"
			   : conf_words(help, sizeof(help), name, known, count));
}

static int check_vrfs(struct conf_check *c, const Nl__Nat *nat)
{
	int error =
		conf_count(c, conf_at(&nat->base, "vrfs"), "nat.vrfs", nat->n_vrfs, CONF_VRFS_MAX);

	for (size_t i = 0; i < nat->n_vrfs && error == 0; i++)
		error = check_vrf(c, nat, i);
	return error == 0 ? check_vrf_use(c, nat, conf_at(&nat->base, "vrf"), nat->vrf) : error;
}

static int check_listen(struct conf_check *c, const Nl__Publish *p, struct conf_place here,
	const struct conf_hub_subnet *s)
{
	uint32_t address = ntohl(p->listen->ip_be);
	char text[INET_ADDRSTRLEN];

	if (p->listen->port == 0 || p->to->port == 0)
		return conf_fault(c, here, "nat.publish: port 0 is out of range: 1 to 65535");
	if (address != 0 && address >> 24 != 127 && !conf_is_unicast(address))
		return conf_fault(c, here,
			"nat.publish: no computer can listen on %s. Give 127.0.0.1, 0.0.0.0 or an "
			"address of this computer",
			conf_ip(text, p->listen->ip_be));
	if (address == s->address)
		return conf_fault(c, here,
			"nat.publish: %s is the hub's own side (host.address), where guests are. "
			"Listen on an address of this computer",
			conf_ip(text, p->listen->ip_be));
	return 0;
}

static int check_publish(
	struct conf_check *c, const Nl__Nat *nat, size_t i, const struct conf_hub_subnet *s)
{
	const Nl__Publish *p = nat->publish[i];
	struct conf_place here = conf_at_element(&nat->base, "publish", i);
	char text[REFLECT_TEXT_BYTES], line[CONF_WHERE_BYTES];
	int error;

	if (!p->has_proto || p->listen == NULL || p->to == NULL)
		return conf_fault(c, here,
			"nat.publish needs all of {proto: tcp, listen: \"127.0.0.1:8080\", to: "
			"\"192.168.30.10:80\"}");
	error = check_listen(c, p, here, s);
	if (error == 0)
		error = check_vrf_use(c, nat, conf_at(&p->base, "vrf"), p->vrf);
	for (size_t other = 0; other < i && error == 0; other++) {
		if (!conf_same_listener(nat, p, nat, nat->publish[other]))
			continue;
		return conf_fault(c, here,
			"nat.publish: %s/%s is already published (%s). Choose another port",
			reflect_text_write(&p->listen->base, text),
			p->proto == NL__PUBLISH__PROTO__tcp ? "tcp" : "udp",
			conf_where(c, conf_at_element(&nat->base, "publish", other), line));
	}
	return error == 0 ? conf_check_guest(c, here, "nat.publish: to", p->to->ip_be, s) : error;
}

/* One inside address has one outside address by each device, and the other way round. */
static int check_static_twice(struct conf_check *c, const Nl__Nat *nat, size_t i)
{
	const Nl__Static *one = nat->static_[i];
	char text[INET_ADDRSTRLEN], line[CONF_WHERE_BYTES];

	for (size_t other = 0; other < i; other++) {
		const Nl__Static *two = nat->static_[other];
		bool inside = one->inside->be == two->inside->be;
		bool outside = conf_same_outside(nat, one, nat, two);

		if (!inside && !outside)
			continue;
		return conf_fault(c, conf_at(&one->base, inside ? "inside" : "outside"),
			"nat.static: %s has a static address already (%s): one inside is one "
			"outside",
			conf_ip(text, inside ? one->inside->be : one->outside->be),
			conf_where(c, conf_at_element(&nat->base, "static", other), line));
	}
	return 0;
}

static int check_static(
	struct conf_check *c, const Nl__Nat *nat, size_t i, const struct conf_hub_subnet *s)
{
	const Nl__Static *one = nat->static_[i];
	char text[INET_ADDRSTRLEN];
	int error;

	if (one->inside == NULL || one->outside == NULL)
		return conf_fault(c, conf_at_element(&nat->base, "static", i),
			"nat.static needs {inside: 192.168.30.50, outside: 203.0.113.7}");
	error = conf_check_guest(
		c, conf_at(&one->base, "inside"), "nat.static: inside", one->inside->be, s);
	if (error != 0)
		return error;
	if (!conf_is_unicast(ntohl(one->outside->be)) || conf_is_inside(s, ntohl(one->outside->be)))
		return conf_fault(c, conf_at(&one->base, "outside"),
			"nat.static: outside %s must be an address of this computer that is not "
			"in %s. See: ip address",
			conf_ip(text, one->outside->be), s->text);
	error = check_vrf_use(c, nat, conf_at(&one->base, "vrf"), one->vrf);
	if (error == 0)
		error = conf_ports(c, &one->base, "nat.static: ports", one->ports, one->n_ports,
			CONF_STATIC_PORTS_MAX);
	return error == 0 ? check_static_twice(c, nat, i) : error;
}

/* natproxy has so many places for them (NATPROXY_PUBLISH). */
static int check_sockets(struct conf_check *c, const Nl__Nat *nat)
{
	size_t count = nat->n_publish;

	for (size_t i = 0; i < nat->n_static_; i++)
		count += 2 * nat->static_[i]->n_ports;
	if (count <= CONF_SOCKETS_MAX)
		return 0;
	return conf_fault(c, conf_at(&nat->base, "static"),
		"nat.publish and the ports of nat.static are %zu sockets (a port of nat.static is "
		"one for TCP and one for UDP): at most %d. Name fewer ports",
		count, CONF_SOCKETS_MAX);
}

int conf_check_nat(struct conf_check *c, const Nl__Nat *nat, const struct conf_hub_subnet *s)
{
	const struct conf_range ranges[] = {
		{"mtu", nat->mtu, 576, 65520, false},
		{"tcp_timeout", nat->tcp_timeout->ms, CONF_SECOND, 30ull * CONF_DAY, true},
		{"udp_timeout", nat->udp_timeout->ms, CONF_SECOND, 30ull * CONF_DAY, true},
	};
	int error = conf_ranges(c, &nat->base, "nat", ranges, sizeof(ranges) / sizeof(ranges[0]));

	if (error == 0)
		error = check_vrfs(c, nat);
	if (error == 0)
		error = conf_count(c, conf_at(&nat->base, "publish"), "nat.publish", nat->n_publish,
			CONF_PUBLISH_MAX);
	for (size_t i = 0; i < nat->n_publish && error == 0; i++)
		error = check_publish(c, nat, i, s);
	if (error == 0)
		error = conf_count(c, conf_at(&nat->base, "static"), "nat.static", nat->n_static_,
			CONF_STATIC_MAX);
	for (size_t i = 0; i < nat->n_static_ && error == 0; i++)
		error = check_static(c, nat, i, s);
	if (error == 0)
		error = check_sockets(c, nat);
	return error == 0 ? conf_check_access(c, nat) : error;
}

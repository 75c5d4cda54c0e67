/*
 * Theory of operation. IPsec that is not in UDP has no ports by which one natproxy's packets are
 * told from another's: all that came to protocol 50 is heard by everybody who listens there, and
 * port 500 of all addresses is one socket. So each belongs to one natproxy of this computer: to a
 * hub with one shard, and to one hub. What stands in a hub that is disabled counts too, since root
 * opens for it what may be enabled later.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf_check.h"

enum { SHARDS_TEXT = 48 };

static int check_list(struct conf_check *c, const Nl__Hub *hub, const char *field, uint32_t number)
{
	if (number == 0 || conf_has_list(hub->nat, number))
		return 0;
	return conf_fault(c, conf_at(&hub->alg->ipsec->base, field),
		"alg.ipsec.%s: there is no list %" PRIu32
		" in nat.access_lists. Add {number: %" PRIu32
		", permit: [192.168.30.0/24]}, or say 0 for none",
		field, number, number);
}

static int check_match(struct conf_check *c, const Nl__AlgIpsec *ipsec)
{
	char line[CONF_WHERE_BYTES];

	if (ipsec->esp || !ipsec->spi_match_list)
		return 0;
	return conf_fault(c, conf_at(&ipsec->base, "spi_match_list"),
		"alg.ipsec.spi_match_list is about ESP, and alg.ipsec.esp is false (%s): it would "
		"do nothing. Say esp: true, or spi_match_list: 0",
		conf_where(c, conf_at(&ipsec->base, "esp"), line));
}

/* As natlock divides the hub where it starts: "auto" is not the same everywhere. */
static int check_shards(struct conf_check *c, const Nl__Hub *hub, unsigned int processors)
{
	const Nl__AlgIpsec *ipsec = hub->alg->ipsec;
	const unsigned int shards = conf_shards(hub->shards, processors);
	const char *field = ipsec->esp ? "esp" : "preserve_port_list";
	char line[CONF_WHERE_BYTES], shown[SHARDS_TEXT] = "";

	if (shards == 1 || (!ipsec->esp && !ipsec->preserve_port_list))
		return 0;
	if (strcmp(hub->shards, "auto") == 0)
		snprintf(shown, sizeof(shown), ", which is %u on this computer", shards);
	return conf_fault(c, conf_at(&ipsec->base, field),
		"alg.ipsec.%s needs shards: 1, as what comes for all guests is heard at one place; "
		"shards is %s%s (%s). Set hubs.%s.shards to 1",
		field, hub->shards, shown, conf_where(c, conf_at(&hub->base, "shards"), line),
		hub->name);
}

/* Whether sockets of these devices (NULL: of any) cannot both have one port of an address. */
static bool meet(const char *one, const char *two)
{
	return one == NULL || two == NULL || strcmp(one, two) == 0;
}

static bool is_published(const Nl__Nat *nat, const Nl__Publish *p, const char *device)
{
	return p->proto == NL__PUBLISH__PROTO__udp && p->listen->port == CONF_IKE_PORT &&
	       meet(conf_device(nat, p->vrf), device);
}

static bool is_static(const Nl__Nat *nat, const Nl__Static *one, const char *device)
{
	for (size_t i = 0; i < one->n_ports; i++)
		if (one->ports[i] == CONF_IKE_PORT)
			return meet(conf_device(nat, one->vrf), device);
	return false;
}

/*
 * Whether a hub's published ports and static addresses want UDP port 500 where a socket of any
 * address and of `device` has it: *where is the place, and the answer its name. NULL: they do not.
 */
static const char *wants_port(const Nl__Nat *nat, const char *device, struct conf_place *where)
{
	for (size_t i = 0; i < nat->n_publish; i++)
		if (is_published(nat, nat->publish[i], device)) {
			*where = conf_at_element(&nat->base, "publish", i);
			return "nat.publish";
		}
	for (size_t i = 0; i < nat->n_static_; i++)
		if (is_static(nat, nat->static_[i], device)) {
			*where = conf_at(&nat->static_[i]->base, "ports");
			return "nat.static";
		}
	return NULL;
}

/* Of one hub, or of two: `keeper` keeps source ports, and `other` has its own. */
static int check_port(struct conf_check *c, const Nl__Hub *keeper, const Nl__Hub *other)
{
	const Nl__AlgIpsec *ipsec = keeper->alg->ipsec;
	char line[CONF_WHERE_BYTES];
	struct conf_place there;
	const char *what = ipsec->preserve_port_list
				   ? wants_port(other->nat, conf_device(keeper->nat, NULL), &there)
				   : NULL;

	if (!what)
		return 0;
	return conf_fault(c, conf_at(&ipsec->base, "preserve_port_list"),
		"alg.ipsec.preserve_port_list takes UDP port %d, which %s%s%s has already (%s): a "
		"port is one socket's. Take it out there, or say preserve_port_list: 0",
		CONF_IKE_PORT, what, keeper == other ? "" : " of hub ",
		keeper == other ? "" : other->name, conf_where(c, there, line));
}

int conf_check_ipsec(struct conf_check *c, const Nl__Hub *hub, unsigned int processors)
{
	const Nl__AlgIpsec *ipsec = hub->alg->ipsec;
	int error = check_list(c, hub, "preserve_port_list", ipsec->preserve_port_list);

	if (error == 0)
		error = check_list(c, hub, "spi_match_list", ipsec->spi_match_list);
	if (error == 0)
		error = check_match(c, ipsec);
	if (error == 0)
		error = check_shards(c, hub, processors);
	return error == 0 ? check_port(c, hub, hub) : error;
}

int conf_check_ipsec_between(struct conf_check *c, const Nl__Hub *hub, const Nl__Hub *earlier)
{
	const Nl__AlgIpsec *a = hub->alg->ipsec, *b = earlier->alg->ipsec;
	char line[CONF_WHERE_BYTES];
	int error = check_port(c, hub, earlier);

	if (error == 0)
		error = check_port(c, earlier, hub);
	if (error == 0 && a->esp && b->esp)
		return conf_fault(c, conf_at(&a->base, "esp"),
			"alg.ipsec.esp: hub %s has ESP already (%s), and what comes cannot be told "
			"apart. Leave it to one of them: esp: false",
			earlier->name, conf_where(c, conf_at(&b->base, "esp"), line));
	if (error == 0 && a->preserve_port_list && b->preserve_port_list &&
		meet(conf_device(hub->nat, NULL), conf_device(earlier->nat, NULL)))
		return conf_fault(c, conf_at(&a->base, "preserve_port_list"),
			"alg.ipsec.preserve_port_list: hub %s has port %d already (%s). Say 0 in "
			"one of them, or give each a nat.vrf of its own",
			earlier->name, CONF_IKE_PORT,
			conf_where(c, conf_at(&b->base, "preserve_port_list"), line));
	return error;
}

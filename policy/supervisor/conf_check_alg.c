/*
 * Theory of operation. The application-level gateways, each by its lines in ipc/algs.def. A port
 * leads to one parser, so among those that are switched on none is listed twice for one transport;
 * an ALG whose ports have a meaning each has one for each meaning.
 */
#include <inttypes.h>
#include <string.h>

#include "algs_config.h"
#include "conf_check.h"

enum { TITLE_BYTES = 32, SEGMENT_MAX = 65536 };

/* What the ports are of an ALG that has one for each of its services, in their order. */
static const char *const services[ALGS_COUNT] = {
	[ALGS_RCMD] = "rexec, rlogin, rsh",
	[ALGS_NETBIOS] = "names, datagrams, sessions",
	[ALGS_H323] = "call signalling, RAS, discovery",
};

static bool is_on(const Nl__AlgSwitch *s)
{
	return s && (!s->has_enable || s->enable);
}

static int check_ports(struct conf_check *c, const Nl__AlgSwitch *s, enum algs_id id)
{
	const struct conf_place here = conf_at(&s->base, "ports");
	const unsigned int needed = algs_services(id);
	char what[TITLE_BYTES];
	int error;

	snprintf(what, sizeof(what), "alg.%s.ports", algs_name(id));
	error = conf_ports(c, &s->base, what, s->ports, s->n_ports, CONF_PORTS_MAX);
	if (error < 0 || !is_on(s))
		return error;
	if (needed > 1 && s->n_ports != needed)
		return conf_fault(c, here, "%s needs %u ports: %s", what, needed, services[id]);
	if (s->n_ports == 0)
		return conf_fault(c, here, "%s is empty: name a port, or say enable: false", what);
	return 0;
}

/* The transports by which an ALG wants the port at this place of its list. */
static unsigned int transports(enum algs_id id, size_t place)
{
	unsigned int found = 0;

	for (enum algs_transport t = ALGS_TCP; t <= ALGS_UDP; t++)
		if (algs_service(id, (unsigned int)place, t) >= 0)
			found |= t;
	return found;
}

/* The place of a port in an ALG's list that is wanted by one of these transports, or -1. */
static int place_of(
	const Nl__AlgSwitch *s, enum algs_id id, uint32_t port, unsigned int by_transports)
{
	for (size_t i = 0; is_on(s) && i < s->n_ports; i++)
		if (s->ports[i] == port && (transports(id, i) & by_transports))
			return (int)i;
	return -1;
}

/* Whether an ALG before this one wants one of its ports too. */
static int check_clashes(struct conf_check *c, const Nl__Alg *alg, enum algs_id id)
{
	const Nl__AlgSwitch *s = algs_switch(alg, id);
	char line[CONF_WHERE_BYTES];

	for (size_t i = 0; is_on(s) && i < s->n_ports; i++) {
		for (enum algs_id other = 0; other < id; other++) {
			const Nl__AlgSwitch *o = algs_switch(alg, other);
			const int place = place_of(o, other, s->ports[i], transports(id, i));

			if (place < 0)
				continue;
			return conf_fault(c, conf_at_element(&s->base, "ports", i),
				"alg.%s.ports: %" PRIu32 " is alg.%s's too (%s). A port leads to "
				"one of them: take it out of one list, or say enable: false",
				algs_name(id), s->ports[i], algs_name(other),
				conf_where(c, conf_at_element(&o->base, "ports", (size_t)place),
					line));
		}
	}
	return 0;
}

static int check_number(struct conf_check *c, const Nl__AlgList *list, enum algs_id id,
	const char *field, uint32_t number, const Nl__Nat *nat)
{
	if (number == 0 || conf_has_list(nat, number))
		return 0;
	return conf_fault(c, conf_at(&list->base, field),
		"alg.%s.lists: %s: there is no list %" PRIu32
		" in nat.access_lists. Add {number: %" PRIu32
		", permit: [192.168.30.0/24]}, or say 0 for every one",
		algs_name(id), field, number, number);
}

static int check_lists(
	struct conf_check *c, const Nl__AlgSwitch *s, enum algs_id id, const Nl__Nat *nat)
{
	char what[TITLE_BYTES];
	int error;

	snprintf(what, sizeof(what), "alg.%s.lists", algs_name(id));
	error = conf_count(c, conf_at(&s->base, "lists"), what, s->n_lists, CONF_ALG_LISTS_MAX);
	for (size_t i = 0; i < s->n_lists && error == 0; i++) {
		const Nl__AlgList *list = s->lists[i];

		if (!list->has_mode)
			return conf_fault(c, conf_at_element(&s->base, "lists", i),
				"%s: an entry needs a mode: off, observe or fix. Write {guests: "
				"10, peers: 0, mode: off}",
				what);
		error = check_number(c, list, id, "guests", list->guests, nat);
		if (error == 0)
			error = check_number(c, list, id, "peers", list->peers, nat);
	}
	return error;
}

int conf_check_alg(struct conf_check *c, const Nl__Alg *alg, const Nl__Nat *nat)
{
	const struct conf_range ranges[] = {
		{"segment_max", alg->segment_max, ALGS_SEGMENT_MIN, SEGMENT_MAX, false},
		{"rcmd_sockets", alg->rcmd_sockets, 0, CONF_RCMD_SOCKETS_MAX, false},
	};
	int error = 0;

	for (enum algs_id id = 0; id < ALGS_COUNT && error == 0; id++) {
		const Nl__AlgSwitch *s = algs_switch(alg, id);

		error = check_ports(c, s, id);
		if (error == 0)
			error = check_clashes(c, alg, id);
		if (error == 0)
			error = check_lists(c, s, id, nat);
	}
	return error == 0 ? conf_ranges(c, &alg->base, "alg", ranges,
				    sizeof(ranges) / sizeof(ranges[0]))
			  : error;
}

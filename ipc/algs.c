/* The application-level gateways: algs.def as tables. */
#include "algs.h"

#include <stddef.h>
#include <string.h>

static const char *const names[ALGS_COUNT] = {
#define ALG(ID, name) [ALGS_##ID] = #name,
#include "algs.def"
};

static const struct service {
	uint8_t id, transports;
} services[] = {
#define SERVICE(ID, TRANSPORTS) {ALGS_##ID, TRANSPORTS},
#include "algs.def"
};
enum { SERVICES = sizeof(services) / sizeof(services[0]) };

const char *algs_name(enum algs_id id)
{
	return names[id];
}

int algs_find(const char *name)
{
	for (int i = 0; name && i < ALGS_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

unsigned int algs_services(enum algs_id id)
{
	unsigned int n = 0;
	for (size_t i = 0; i < SERVICES; i++)
		n += services[i].id == id;
	return n;
}

int algs_service(enum algs_id id, unsigned int place, enum algs_transport transport)
{
	const unsigned int service = algs_services(id) == 1 ? 0 : place;
	size_t first = 0;
	while (services[first].id != id)
		first++;
	if (service >= algs_services(id) || !(services[first + service].transports & transport))
		return -1;
	return (int)service;
}

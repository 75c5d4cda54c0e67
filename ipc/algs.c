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
	bool derived;
} services[] = {
#define SERVICE(ID, TRANSPORTS) {ALGS_##ID, TRANSPORTS, false},
#define DERIVED(ID, TRANSPORTS) {ALGS_##ID, TRANSPORTS, true},
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
		n += services[i].id == id && !services[i].derived;
	return n;
}

int algs_service(enum algs_id id, unsigned int place, enum algs_transport transport)
{
	const unsigned int service = algs_services(id) == 1 ? 0 : place;
	if (service >= algs_services(id) || !algs_offers(id, service, transport))
		return -1;
	return (int)service;
}

bool algs_offers(enum algs_id id, uint32_t service, enum algs_transport transport)
{
	for (size_t i = 0; i < SERVICES; i++)
		if (services[i].id == id && service-- == 0)
			return services[i].transports & transport;
	return false;
}

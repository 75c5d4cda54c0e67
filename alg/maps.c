/*
 * Which inside address is which outside one: a list that is walked, because it is short and asked once
 * for each address in a message, never for a packet. VRFs are numbered as they come.
 */
#include "maps.h"

#include <stdio.h>
#include <string.h>

void maps_clear(struct maps *m)
{
	m->count = 0;
	m->vrf_count = 1;
	m->vrf[0][0] = '\0';
}

uint8_t maps_vrf(struct maps *m, const char *name)
{
	uint32_t i = 0;
	if (!name)
		return 0;
	while (i < m->vrf_count && strcmp(m->vrf[i], name) != 0)
		i++;
	if (i == MAPS_VRFS || i < m->vrf_count)
		return (uint8_t)i;
	if (snprintf(m->vrf[i], MAPS_VRF_BYTES, "%s", name) >= MAPS_VRF_BYTES)
		return MAPS_VRFS;
	m->vrf_count++;
	return (uint8_t)i;
}

bool maps_add(struct maps *m, uint32_t inside_ip_be, uint32_t outside_ip_be, uint8_t vrf)
{
	if (m->count == MAPS_MAX || vrf >= MAPS_VRFS)
		return false;
	m->map[m->count].inside_ip_be = inside_ip_be;
	m->map[m->count].outside_ip_be = outside_ip_be;
	m->map[m->count++].vrf = vrf;
	return true;
}

bool maps_inside(const struct alg_flow *f, uint32_t outside_ip_be, uint32_t *inside_ip_be)
{
	for (uint32_t i = 0; f->maps && i < f->maps->count; i++)
		if (f->maps->map[i].outside_ip_be == outside_ip_be && f->maps->map[i].vrf == f->vrf) {
			*inside_ip_be = f->maps->map[i].inside_ip_be;
			return true;
		}
	return false;
}

bool maps_outside(const struct alg_flow *f, uint32_t inside_ip_be, uint32_t *outside_ip_be)
{
	for (uint32_t i = 0; f->maps && i < f->maps->count; i++)
		if (f->maps->map[i].inside_ip_be == inside_ip_be && f->maps->map[i].vrf == f->vrf) {
			*outside_ip_be = f->maps->map[i].outside_ip_be;
			return true;
		}
	return false;
}

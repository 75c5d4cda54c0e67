/*
 * The protocols that alg knows. A new protocol is one file and one line here (and its switch in
 * config.proto).
 */
#include "table.h"

#include <string.h>

const struct alg_protocol *const table_rows[TABLE_ROWS] = {
	&ftp_protocol,
};

int table_find(const char *name)
{
	for (int i = 0; name && i < TABLE_ROWS; i++)
		if (!strcmp(table_rows[i]->name, name))
			return i;
	return -1;
}

static bool listed(const struct table_switch *s, uint16_t port)
{
	for (unsigned int i = 0; i < s->port_count; i++)
		if (s->port[i] == port)
			return true;
	return false;
}

bool table_guest_serves(const struct table_switch *s, uint16_t guest_port, uint16_t peer_port)
{
	return listed(s, guest_port) && !listed(s, peer_port);
}

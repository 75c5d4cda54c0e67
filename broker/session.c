/*
 * Theory of operation
 *
 * SecureNAT lists its gateway as a session of the hub like any other, and so do we: a person who
 * knows the seed's session list finds "SID-SECURENAT-1" first, then the ports in the same form with
 * their name in capitals.
 */
#include "session.h"

#include <ctype.h>
#include <stdio.h>

static void session_counts(Nl__SessionRow *row, const struct bridge_counts *c)
{
	row->has_rx_frames = row->has_tx_frames = row->has_rx_bytes = row->has_tx_bytes = true;
	row->has_dropped = true;
	row->rx_frames = c->rx_frames;
	row->tx_frames = c->tx_frames;
	row->rx_bytes = c->rx_bytes;
	row->tx_bytes = c->tx_bytes;
	row->dropped = c->dropped;
}

void session_gateway(Nl__SessionRow *row, const struct bridge *b, uint64_t created_ms)
{
	static char name[] = "SID-SECURENAT-1", kind[] = "securenat";
	nl__session_row__init(row);
	row->session = name;
	row->kind = kind;
	row->has_macs = row->has_created_ms = true;
	row->macs = 1;
	row->created_ms = created_ms;
	session_counts(row, &b->gateway);
}

void session_port(Nl__SessionRow *row, const struct bridge *b, unsigned int slot, const char *name,
	char *kind, uint64_t created_ms, char text[SESSION_NAME_BYTES])
{
	const struct bridge_port *p = &b->port[slot];
	snprintf(text, SESSION_NAME_BYTES, "SID-%.40s-%u", name, p->number);
	for (char *c = text; *c; c++)
		*c = (char)(isprint((unsigned char)*c) ? toupper((unsigned char)*c) : '?');
	nl__session_row__init(row);
	row->session = text;
	row->kind = kind;
	row->has_port = row->has_macs = row->has_created_ms = true;
	row->port = p->number;
	row->macs = b->fdb.macs[slot];
	row->created_ms = created_ms;
	session_counts(row, &p->counts);
}

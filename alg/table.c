/*
 * The protocols that alg knows. A new protocol is one file, a declaration in protocols.h and one line here (and its ALG in
 * ipc/algs.def).
 */
#include "table.h"

#include "protocols.h"

const struct alg_protocol *const table_rows[TABLE_ROWS] = {
	&ftp_protocol,
	&dns_protocol,
	&ldap_protocol,
	&netbios_datagram_protocol,
	&netbios_name_protocol,
	&netbios_session_protocol,
	&tftp_protocol,
	&rexec_protocol,
	&rlogin_protocol,
	&rsh_protocol,
	&rtsp_protocol,
	&sip_protocol,
	&h225_protocol,
	&ras_protocol,
	&ras_discovery_protocol,
	&h245_protocol,
	&skinny_protocol,
};

int table_find(enum algs_id alg, uint32_t service, bool stream)
{
	const uint8_t transport = stream ? ALGS_TCP : ALGS_UDP;
	for (int i = 0; i < TABLE_ROWS; i++)
		if (table_rows[i]->alg == alg && table_rows[i]->service == service &&
			table_rows[i]->transports & transport)
			return i;
	return -1;
}

/*
 * kea      address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,...
 * dnsmasq  EXPIRY MAC ADDRESS HOSTNAME CLIENT-ID     ("*" where nothing is known)
 *
 * Both count time in seconds since 1970. The table has no client identifiers, so none are written.
 * A host name is written only if it is one (RFC 1123): elsewhere commas and blanks are syntax.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "ask.h"
#include "export.h"
#include "kinds.h"
#include "log.h"

static bool is_host_name(const char *name)
{
	size_t length = name != NULL ? strlen(name) : 0;

	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '.' &&
			name[i] != '_')
			return false;
	return length > 0 && length <= 253;
}

static bool is_mac(const char *mac)
{
	return mac != NULL && strlen(mac) == 17 && strspn(mac, "0123456789abcdefABCDEF:") == 17;
}

/* Others' files have no offers, and an address that was given back or declined is not its last holder's. */
static bool is_lease(const Nl__DhcpRow *row)
{
	return row->address != NULL && is_mac(row->mac) && row->state != NULL &&
	       strcmp(row->state, "leased") == 0;
}

/* Both want small letters. */
static const char *mac_text(const char *mac, char out[18])
{
	for (int i = 0; i < 17; i++)
		out[i] = (char)tolower((unsigned char)mac[i]);
	out[17] = '\0';
	return out;
}

static void print_kea(FILE *out, const Nl__DhcpRow *row)
{
	uint64_t lifetime =
		row->expires_ms > row->created_ms ? row->expires_ms - row->created_ms : 0;
	char address[INET_ADDRSTRLEN], mac[18];

	log_ip(address, row->address->ip_be);
	fprintf(out, "%s,%s,,%" PRIu64 ",%" PRIu64 ",1,0,0,%s,0,,0\n", address,
		mac_text(row->mac, mac), lifetime / 1000, row->expires_ms / 1000,
		is_host_name(row->host_name) ? row->host_name : "");
}

static void print_dnsmasq(FILE *out, const Nl__DhcpRow *row)
{
	char address[INET_ADDRSTRLEN], mac[18];

	log_ip(address, row->address->ip_be);
	fprintf(out, "%" PRIu64 " %s %s %s *\n", row->expires_ms / 1000, mac_text(row->mac, mac),
		address, is_host_name(row->host_name) ? row->host_name : "*");
}

bool export_print(FILE *out, const struct rows *leases, const char *format)
{
	bool kea = strcmp(format, "kea") == 0;

	if (!kea && strcmp(format, "dnsmasq") != 0)
		return false;
	if (kea)
		fputs("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,"
		      "hostname,state,user_context,pool_id\n",
			out);
	for (size_t i = 0; i < leases->count; i++) {
		const Nl__DhcpRow *row = (const Nl__DhcpRow *)leases->row[i];

		if (!is_lease(row))
			continue;
		if (kea)
			print_kea(out, row);
		else
			print_dnsmasq(out, row);
	}
	return true;
}

int export_run(struct ctl *ctl, struct failure *f)
{
	struct rows rows;
	int code = ask_table(ctl, NL__TOPIC__DHCP, ctl->hub, &rows, f);

	if (code == CTL_OK)
		export_print(ctl->out, &rows, ctl->verb->key);
	rows_free(&rows);
	return code;
}

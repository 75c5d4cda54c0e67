/* export.c: leases as Kea and dnsmasq keep them. */
#include <criterion/criterion.h>

#include "export.h"
#include "rig.h"

static char *exported_in(const char *format, char *host_name, char *mac, char *state)
{
	Nl__DhcpRow row = NL__DHCP_ROW__INIT;
	ProtobufCMessage *list[] = {&row.base};
	const struct rows rows = {&nl__dhcp_row__descriptor, list, 1, 1};
	Nl__Address address;
	struct capture c;

	address_set(&address, 0xc0a81e0a, 0);
	row.address = &address;
	row.mac = mac;
	row.host_name = host_name;
	row.state = state;
	row.has_created_ms = row.has_expires_ms = 1;
	row.created_ms = 1354808692557;
	row.expires_ms = 1354815892557;
	capture_open(&c);
	cr_expect_eq(export_print(c.file, &rows, format), strcmp(format, "x") != 0);
	return capture_close(&c);
}

static char *exported(const char *format, char *host_name, char *mac)
{
	static char leased[] = "leased";

	return exported_in(format, host_name, mac, leased);
}

/* What another server would take for a lease must be one. */
Test(export, leases_only)
{
	static char states[][12] = {"offered", "released", "expired", "declined", "free"};
	char mac[] = "00:AC:85:40:B5:50", *text;

	for (size_t i = 0; i <= sizeof(states) / sizeof(states[0]); i++) {
		text = exported_in("dnsmasq", NULL, mac,
			i < sizeof(states) / sizeof(states[0]) ? states[i] : NULL);
		cr_expect_str_empty(text);
		free(text);
	}
}

Test(export, both_formats)
{
	char name[] = "NT4", mac[] = "00:AC:85:40:B5:50", *text = exported("kea", name, mac);

	cr_expect_str_eq(text,
		"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,"
		"hostname,state,user_context,pool_id\n"
		"192.168.30.10,00:ac:85:40:b5:50,,7200,1354815892,1,0,0,NT4,0,,0\n");
	free(text);
	text = exported("dnsmasq", name, mac);
	cr_expect_str_eq(text, "1354815892 00:ac:85:40:b5:50 192.168.30.10 NT4 *\n");
	free(text);
	text = exported("x", name, mac);
	cr_expect_str_empty(text);
	free(text);
}

Test(export, names_that_are_syntax_are_left_out)
{
	static char names[][16] = {"a,b", "a b", "a\nb", "\"", "", "\xff"};
	char mac[] = "00:AC:85:40:B5:50", bad[] = "00:AC:85:40:B5:5\n", *text;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		text = exported("kea", names[i], mac);
		cr_expect_not_null(strstr(text, ",1,0,0,,0,,0\n"), "%s", text);
		free(text);
		text = exported("dnsmasq", names[i], mac);
		cr_expect_not_null(strstr(text, " 192.168.30.10 * *\n"), "%s", text);
		free(text);
	}
	text = exported("dnsmasq", names[0], bad);
	cr_expect_str_empty(text);
	free(text);
	text = exported("dnsmasq", NULL, NULL);
	cr_expect_str_empty(text);
	free(text);
}

/* conntrack.c: a line a session, whatever the row holds. */
#include <criterion/criterion.h>

#include "conntrack.h"
#include "rig.h"

static char *printed(ProtobufCMessage *row)
{
	ProtobufCMessage *list[] = {row};
	const struct rows rows = {&nl__nat_row__descriptor, list, 1, 1};
	struct capture c;

	capture_open(&c);
	conntrack_print(c.file, &rows);
	return capture_close(&c);
}

Test(conntrack, sessions)
{
	char icmp[] = "icmp", *text;
	struct sample s;

	sample_nat(&s);
	text = printed(&s.nat[0].base);
	cr_expect_str_eq(text,
		"tcp      6 RUNNING src=192.168.30.10 dst=10.99.0.1 sport=59564 dport=8080 "
		"bytes=49152 src=10.99.0.1 dst=10.99.0.2 sport=8080 dport=41022 bytes=1258291 "
		"idle=12 id=3\n");
	free(text);
	s.nat[1].proto = icmp;
	text = printed(&s.nat[1].base);
	cr_expect_str_eq(text, "icmp     1 src=192.168.30.11 dst=203.0.113.9 bytes=9011 "
			       "src=203.0.113.9 dst=10.99.0.2 bytes=9318 idle=0 id=5\n");
	free(text);
}

Test(conntrack, rows_that_lack_or_forge)
{
	Nl__NatRow row = NL__NAT_ROW__INIT;
	char forged[] = "tcp\ntcp 6 RUNNING src=1.2.3.4", *text = printed(&row.base);

	cr_expect_str_eq(text, "-        0 - src=0.0.0.0 dst=0.0.0.0 sport=0 dport=0 bytes=0 "
			       "src=0.0.0.0 dst=0.0.0.0 sport=0 dport=0 bytes=0 idle=0 id=0\n");
	free(text);
	row.proto = row.state = forged;
	text = printed(&row.base);
	cr_expect_eq(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
}

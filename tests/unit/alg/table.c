/* The protocol table: names, and who is the server. */
#include <criterion/criterion.h>

#include "table.h"

Test(table, finds_rows_by_name)
{
	cr_expect_eq(table_rows[table_find("ftp")], &ftp_protocol);
	cr_expect_eq(table_find("ft"), -1);
	cr_expect_eq(table_find("ftpx"), -1);
	cr_expect_eq(table_find(""), -1);
	cr_expect_eq(table_find(NULL), -1);
}

Test(table, every_row_keeps_the_contract)
{
	for (int i = 0; i < TABLE_ROWS; i++) {
		const struct alg_protocol *p = table_rows[i];
		cr_expect(p->name && p->message && (!p->stream || p->frame));
		cr_expect(p->message_max > 0 && p->message_max <= ALG_MESSAGE_MAX);
		cr_expect_eq(table_find(p->name), i);
	}
}

Test(table, the_listed_port_is_the_servers)
{
	struct table_switch s = {.port_count = 2, .port = {21, 2121}};
	cr_expect_not(table_guest_serves(&s, 50000, 21));
	cr_expect(table_guest_serves(&s, 21, 50000));
	cr_expect(table_guest_serves(&s, 2121, 50000));
	cr_expect_not(
		table_guest_serves(&s, 21, 21), "both: the guest is the client, which opens less");
	cr_expect_not(table_guest_serves(&s, 1, 2));
}

/* The protocol table: every row keeps the contract, and is found by what it parses. */
#include <criterion/criterion.h>

#include "protocols.h"
#include "table.h"

Test(table, finds_rows_by_service_and_transport)
{
	cr_expect_eq(table_rows[table_find(ALGS_FTP, 0, true)], &ftp_protocol);
	cr_expect_eq(table_find(ALGS_FTP, 0, false), -1);
	cr_expect_eq(table_find(ALGS_FTP, 1, true), -1);
	cr_expect_eq(table_find(ALGS_FTP, 0xffffffff, true), -1);
	cr_expect_eq(table_find(ALGS_COUNT, 0, true), -1);
}

Test(table, every_row_keeps_the_contract)
{
	for (int i = 0; i < TABLE_ROWS; i++) {
		const struct alg_protocol *p = table_rows[i];
		const bool stream = p->transports & ALGS_TCP;
		cr_expect(p->name && p->message && p->transports && (!stream || p->frame));
		cr_expect(p->message_max > 0 && p->message_max <= ALG_MESSAGE_MAX);
		cr_expect(algs_offers(p->alg, p->service, stream ? ALGS_TCP : ALGS_UDP), "%s",
			p->name);
		cr_expect_eq(table_find(p->alg, p->service, stream), i, "%s", p->name);
	}
}

Test(table, every_service_of_every_alg_has_a_row)
{
	static const enum algs_transport transports[] = {ALGS_TCP, ALGS_UDP};
	for (int alg = 0; alg < ALGS_COUNT; alg++)
		for (unsigned int service = 0; service < TABLE_ROWS; service++)
			for (int i = 0; i < 2; i++)
				if (algs_offers((enum algs_id)alg, service, transports[i]))
					cr_expect_geq(table_find((enum algs_id)alg, service,
							      transports[i] == ALGS_TCP),
						0, "%s %u", algs_name((enum algs_id)alg), service);
}

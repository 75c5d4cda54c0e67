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

Test(table, a_derived_service_has_no_port_but_a_transport)
{
	cr_expect_eq(algs_services(ALGS_H323), 3);
	cr_expect_eq(algs_service(ALGS_H323, 0, ALGS_TCP), 0);
	cr_expect_eq(algs_service(ALGS_H323, 1, ALGS_UDP), 1);
	cr_expect_eq(algs_service(ALGS_H323, 2, ALGS_UDP), 2);
	cr_expect_eq(algs_service(ALGS_H323, 3, ALGS_TCP), -1);
	cr_expect(algs_offers(ALGS_H323, 3, ALGS_TCP) && !algs_offers(ALGS_H323, 3, ALGS_UDP));
	cr_expect(algs_offers(ALGS_H323, 0, ALGS_TCP) && !algs_offers(ALGS_H323, 1, ALGS_TCP));
	cr_expect_not(algs_offers(ALGS_H323, 4, ALGS_TCP) ||
		      algs_offers(ALGS_H323, UINT32_MAX, ALGS_TCP));
	cr_expect_not(algs_offers(ALGS_COUNT, 0, ALGS_TCP));
}

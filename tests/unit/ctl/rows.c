/* rows.c: every topic has a type, bytes that are no such row are refused. */
#include <criterion/criterion.h>
#include <errno.h>

#include "rows.h"

Test(rows, every_topic_has_a_type)
{
	for (unsigned int i = 0; i < nl__topic__descriptor.n_values; i++)
		cr_expect_not_null(rows_type((Nl__Topic)nl__topic__descriptor.values[i].value));
	cr_expect_null(rows_type((Nl__Topic)99));
}

Test(rows, grow_and_free)
{
	uint8_t packed[16];
	Nl__DropRow row = NL__DROP_ROW__INIT;
	struct rows rows;

	row.has_count = 1;
	rows_init(&rows, NL__TOPIC__DROPS);
	for (row.count = 0; row.count < 1000; row.count++)
		cr_assert_eq(rows_add(&rows, packed, nl__drop_row__pack(&row, packed)), 0);
	cr_expect_eq(rows.count, 1000);
	cr_expect_eq(((const Nl__DropRow *)rows.row[999])->count, 999);
	rows_free(&rows);
	cr_expect_eq(rows.count, 0);
}

Test(rows, refuse_what_is_none)
{
	static const uint8_t cut[] = {0x0a, 0x05, 'a'},
			     wild[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct rows rows;

	rows_init(&rows, NL__TOPIC__DROPS);
	cr_expect_eq(rows_add(&rows, cut, sizeof(cut)), -EPROTO);
	cr_expect_eq(rows_add(&rows, wild, sizeof(wild)), -EPROTO);
	cr_expect_eq(rows.count, 0);
	rows_free(&rows);
}

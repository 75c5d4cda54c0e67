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

static bool is_odd(const ProtobufCMessage *row, const void *wanted)
{
	return ((const Nl__DropRow *)row)->count % 2 == 1;
}

Test(rows, keep_some)
{
	uint8_t packed[16];
	Nl__DropRow row = NL__DROP_ROW__INIT;
	struct rows rows;

	row.has_count = 1;
	rows_init(&rows, NL__TOPIC__DROPS);
	for (row.count = 0; row.count < 10; row.count++)
		cr_assert_eq(rows_add(&rows, packed, nl__drop_row__pack(&row, packed)), 0);
	rows_keep(&rows, is_odd, NULL);
	cr_assert_eq(rows.count, 5);
	cr_expect_eq(((const Nl__DropRow *)rows.row[4])->count, 9);
	rows_free(&rows);
}

Test(rows, fields_by_name)
{
	Nl__ProcessRow row = NL__PROCESS_ROW__INIT;
	Nl__HubRow hub = NL__HUB_ROW__INIT;
	Nl__Address address = NL__ADDRESS__INIT;
	char name[] = "broker";
	uint64_t number;

	row.process = name;
	row.has_pid = row.has_rss_bytes = 1;
	row.pid = 7;
	row.rss_bytes = 1ull << 40;
	hub.address = &address;
	hub.has_nat = hub.nat = 1;
	cr_expect_str_eq(rows_text(&row.base, "process"), "broker");
	cr_expect_null(rows_text(&row.base, "user"));
	cr_expect_null(rows_text(&row.base, "pid"));
	cr_expect_null(rows_text(&row.base, "no such"));
	cr_expect(rows_number(&row.base, "pid", &number) && number == 7);
	cr_expect(rows_number(&row.base, "rss_bytes", &number) && number == 1ull << 40);
	cr_expect_not(rows_number(&row.base, "fds", &number));
	cr_expect_not(rows_number(&row.base, "process", &number));
	cr_expect(rows_number(&hub.base, "nat", &number) && number == 1);
	cr_expect_eq(rows_address(&hub.base, "address"), &address);
	cr_expect_null(rows_address(&hub.base, "name"));
}

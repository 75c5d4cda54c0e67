/* columns.c: every column names a field that exists; numbers, times and sizes as people read them.
 */
#include <criterion/criterion.h>

#include "columns.h"
#include "rows.h"
#include "support.h"

Test(columns, name_fields_that_exist)
{
	for (int topic = NL__TOPIC__STATUS; topic <= NL__TOPIC__CALLS; topic++) {
		const ProtobufCMessageDescriptor *type = rows_type((Nl__Topic)topic);
		const struct column *c = columns_of((Nl__Topic)topic);

		cr_assert_not_null(type);
		for (; c->title != NULL; c++) {
			cr_expect_not_null(
				protobuf_c_message_descriptor_get_field_by_name(type, c->field),
				"%s", c->field);
			if (c->second != NULL)
				cr_expect_not_null(protobuf_c_message_descriptor_get_field_by_name(
					type, c->second));
		}
	}
}

Test(columns, spans)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {{0, "0s"}, {999, "0s"}, {59999, "59s"}, {60000, "1m00s"}, {3599000, "59m59s"},
		{7860000, "2h11m"}, {86400000, "1d0h"}, {356400000, "4d3h"},
		{UINT64_MAX, "213503982334d14h"}};
	char out[24];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_str_eq(column_span(cases[i].ms, out), cases[i].text);
}

static const char *cell(enum cell kind, uint64_t value, char *out)
{
	const struct column column = {"X", "count", NULL, kind, false};
	Nl__DropRow row = NL__DROP_ROW__INIT;

	row.has_count = 1;
	row.count = value;
	return column_text(&column, &row.base, false, out);
}

Test(columns, sizes)
{
	char out[CELL_BYTES_MAX];

	cr_expect_str_eq(cell(CELL_BYTES, 0, out), "0");
	cr_expect_str_eq(cell(CELL_BYTES, 1023, out), "1023");
	cr_expect_str_eq(cell(CELL_BYTES, 1024, out), "1.0K");
	cr_expect_str_eq(cell(CELL_BYTES, 49152, out), "48K");
	cr_expect_str_eq(cell(CELL_BYTES, 3145728, out), "3.0M");
	cr_expect_str_eq(cell(CELL_BYTES, UINT64_MAX, out), "16E");
	cr_expect_str_eq(cell(CELL_SECONDS, 1234, out), "1.2");
	setenv("TZ", "UTC", 1);
	cr_expect_str_eq(cell(CELL_MOMENT, 1354808692557, out), "2012-12-06 15:44:52.557");
	cr_expect_str_eq(cell(CELL_MOMENT, UINT64_MAX, out), "?.615");
}

Test(columns, times_beyond_reason)
{
	char out[CELL_BYTES_MAX];

	cr_expect_str_eq(cell(CELL_CLOCK, UINT64_MAX, out), "?");
}

Test(columns, absent_and_empty_are_dashes)
{
	const struct column text = {"X", "reason", NULL, CELL_PLAIN, false};
	Nl__DropRow row = NL__DROP_ROW__INIT;
	char out[CELL_BYTES_MAX], empty[] = "";

	cr_expect_str_eq(column_text(&text, &row.base, false, out), "-");
	row.reason = empty;
	cr_expect_str_eq(column_text(&text, &row.base, false, out), "-");
}

Test(columns, long_text_is_cut)
{
	const struct column text = {"X", "reason", NULL, CELL_PLAIN, false};
	Nl__DropRow row = NL__DROP_ROW__INIT;
	char out[CELL_BYTES_MAX], reason[1000];

	memset(reason, 0xff, sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	row.reason = reason;
	cr_expect_leq(strlen(column_text(&text, &row.base, false, out)), (size_t)CELL_NARROW);
	cr_expect_lt(strlen(column_text(&text, &row.base, true, out)), (size_t)CELL_BYTES_MAX);
}

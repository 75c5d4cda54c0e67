/* gateways.c: rows of several shards become one; two tables of the same rows. */
#include <criterion/criterion.h>

#include "gateways.h"
#include "rig.h"

static Nl__AlgRow row_of(char *name, char *process, uint64_t messages)
{
	Nl__AlgRow row = NL__ALG_ROW__INIT;

	row.alg = name;
	row.process = process;
	row.has_enabled = row.enabled = 1;
	row.has_messages = 1;
	row.messages = messages;
	row.has_open = 1;
	row.open = 2;
	return row;
}

static char ftp[] = "ftp", dns[] = "dns", first[] = "alg.0", second[] = "alg.1", fix[] = "fix",
	    ports[] = "21 2121", lists[] = "10 off, 0>20 observe";

/* As a gateway of two shards answers. */
static void answer(struct rig *r)
{
	Nl__AlgRow row[4] = {row_of(ftp, first, 3), row_of(dns, first, 100), row_of(ftp, second, 4),
		row_of(dns, second, 0)};

	row[0].mode = fix;
	row[0].ports = ports;
	row[2].lists = lists; /* what one shard does not say the other does */
	row[0].has_bytes = row[2].has_bytes = 1;
	row[0].bytes = row[2].bytes = 1024;
	row[2].has_expired = 1;
	row[2].expired = 5;
	row[3].has_messages = 0;
	rig_rows(r, NL__TOPIC__ALG_STATS,
		(const ProtobufCMessage *[]){
			&row[0].base, &row[1].base, &row[2].base, &row[3].base},
		4, true);
}

Test(gateways, numbers_of_all_shards_are_added)
{
	struct rig r;

	rig_open(&r);
	answer(&r);
	cr_assert_eq(RUN(&r, "alg", "stats"), CTL_OK, "%s", r.err_text);
	cr_expect_str_eq(r.out_text, "ALG  FLOWS  MESSAGES  BYTES  EDITS  GRANTED  REFUSED  USED  "
				     "EXPIRED  VIOLATIONS  GAVE UP  LEFT ALONE\n"
				     "ftp  -      7         2.0K   -      -        -        -     "
				     "5        -           -        -\n"
				     "dns  -      100       -      -      -        -        -     "
				     "-        -           -        -\n");
	cr_expect_str_eq(r.err_text, "2 gateways shown.\n");
	rig_close(&r);
}

/* natproxy's own row, of two shards: which way errors went is for programs. */
Test(gateways, icmp_tells_both_ways)
{
	static char icmp[] = "icmp";
	struct rig r;
	Nl__AlgRow row[2] = {row_of(icmp, first, 7), row_of(icmp, second, 5)};

	for (int i = 0; i < 2; i++) {
		row[i].has_to_guests = row[i].has_to_outside = row[i].has_gave_up = 1;
		row[i].to_guests = row[i].messages - 1;
		row[i].to_outside = 1;
		row[i].gave_up = 2;
	}
	rig_open(&r);
	rig_rows(&r, NL__TOPIC__ALG_STATS,
		(const ProtobufCMessage *[]){&row[0].base, &row[1].base}, 2, true);
	cr_assert_eq(RUN(&r, "alg", "stats", "icmp", "-o", "json"), CTL_OK, "%s", r.err_text);
	cr_expect_not_null(strstr(r.out_text, "\"messages\":12"), "%s", r.out_text);
	cr_expect_not_null(strstr(r.out_text, "\"to_guests\":10"));
	cr_expect_not_null(strstr(r.out_text, "\"to_outside\":2"));
	cr_expect_not_null(strstr(r.out_text, "\"gave_up\":4"));
	rig_close(&r);
}

Test(gateways, settings_are_a_table_of_their_own)
{
	struct rig r;

	rig_open(&r);
	answer(&r);
	cr_assert_eq(RUN(&r, "alg", "list"), CTL_OK, "%s", r.err_text);
	cr_expect_str_eq(r.out_text,
		"ALG  ENABLED  MODE  PORTS    STRICT  LISTS                 FLOWS\n"
		"ftp  yes      fix   21 2121  -       10 off, 0>20 observe  4\n"
		"dns  yes      -     -        -       -                     4\n");
	rig_close(&r);
}

Test(gateways, one_by_name)
{
	struct rig r;

	rig_open(&r);
	answer(&r);
	cr_assert_eq(RUN(&r, "show", "platform", "hardware", "qfp", "active", "feature", "alg",
			     "statistics", "dns", "-o", "json"),
		CTL_OK, "%s", r.err_text);
	cr_expect_not_null(strstr(r.out_text, "{\"schema\":\"natlock.alg.stats/1\""));
	cr_expect_not_null(strstr(r.out_text, "\"alg\":\"dns\""));
	cr_expect_not_null(strstr(r.out_text, "\"messages\":100"));
	cr_expect_not_null(strstr(r.out_text, "\"count\":1}"));
	cr_expect_null(strstr(r.out_text, "ftp"));
	rig_close(&r);
	rig_open(&r);
	answer(&r);
	cr_expect_eq(RUN(&r, "alg", "stats", "gopher"), CTL_NO_MATCH);
	cr_expect_not_null(strstr(r.err_text, "no gateway gopher"));
	rig_close(&r);
}

/* Rows are hostile: without a name none is anybody's. */
Test(gateways, rows_without_a_name_stay_apart)
{
	Nl__AlgRow none = NL__ALG_ROW__INIT;
	uint8_t packed[8];
	struct rows rows;

	rows_init(&rows, NL__TOPIC__ALG_STATS);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(rows_add(&rows, packed, nl__alg_row__pack(&none, packed)), 0);
	gateways_merge(&rows);
	cr_expect_eq(rows.count, 3);
	rows_free(&rows);
}

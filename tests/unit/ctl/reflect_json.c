/* reflect_json.c: strings are escaped whatever they hold, rows have their keys, times their ISO
 * form. */
#include <criterion/criterion.h>

#include "support.h"
#include "operator.pb-c.h"

static const char *json_string(const char *text)
{
	static char copy[512];
	struct capture c;
	char *out;

	capture_open(&c);
	reflect_json_string(c.file, text);
	out = capture_close(&c);
	snprintf(copy, sizeof(copy), "%s", out);
	free(out);
	return copy;
}

Test(reflect_json, strings)
{
	cr_expect_str_eq(json_string("NT4"), "\"NT4\"");
	cr_expect_str_eq(json_string(NULL), "null");
	cr_expect_str_eq(json_string(""), "\"\"");
	cr_expect_str_eq(json_string("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
	cr_expect_str_eq(json_string("\n\t\r\x1b[31m\x7f"), "\"\\n\\t\\u000d\\u001b[31m\\u007f\"");
	cr_expect_str_eq(json_string("\xc3\xa4"), "\"\\u00e4\"");
	cr_expect_str_eq(json_string("\xe2\x82\xac"), "\"\\u20ac\"");
	cr_expect_str_eq(json_string("\xf0\x9f\x98\x80"), "\"\\ud83d\\ude00\"");
}

Test(reflect_json, malformed_utf8)
{
	cr_expect_str_eq(json_string("\xff"), "\"\\ufffd\"");
	cr_expect_str_eq(json_string("a\xc3"), "\"a\\ufffd\"");
	cr_expect_str_eq(json_string("\xe2\x82"), "\"\\ufffd\\ufffd\"");
	cr_expect_str_eq(json_string("\xc0\xaf"), "\"\\ufffd\\ufffd\"");
	cr_expect_str_eq(json_string("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");
	cr_expect_str_eq(json_string("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	cr_expect_str_eq(json_string("\xc3\"x"), "\"\\ufffd\\\"x\"");
}

static char *json(const ProtobufCMessage *m)
{
	struct capture c;

	capture_open(&c);
	reflect_json(c.file, m);
	return capture_close(&c);
}

Test(reflect_json, a_row)
{
	Nl__Address address = NL__ADDRESS__INIT;
	Nl__DhcpRow row = NL__DHCP_ROW__INIT;
	char host[] = "\"}]<\x1b", *text;

	address.has_ip_be = 1;
	address.ip_be = htonl(0xc0a81e0a);
	row.has_id = 1;
	row.id = 7;
	row.address = &address;
	row.host_name = host;
	row.has_created_ms = 1;
	row.created_ms = 1354805092557;
	text = json(&row.base);
	cr_expect_str_eq(text, "{\"id\":7,\"address\":\"192.168.30.10\",\"mac\":null,\"host_name\":"
			       "\"\\\"}]<\\u001b\",\"state\":null,"
			       "\"created_ms\":1354805092557,\"created\":\"2012-12-06T14:44:52."
			       "557Z\",\"expires_ms\":null,\"expires\":null}");
	free(text);
}

Test(reflect_json, lists_and_booleans)
{
	char one[] = "a", two[] = "b", *notes[] = {one, two}, *text;
	Nl__StatusRow row = NL__STATUS_ROW__INIT;
	Nl__AlgRow alg = NL__ALG_ROW__INIT;

	row.n_notes = 2;
	row.notes = notes;
	text = json(&row.base);
	cr_expect_not_null(strstr(text, "\"notes\":[\"a\",\"b\"]"));
	free(text);
	row.n_notes = 0;
	text = json(&row.base);
	cr_expect_not_null(strstr(text, "\"notes\":[]"));
	free(text);
	alg.has_enabled = alg.enabled = 1;
	alg.has_flows = 1;
	alg.flows = UINT64_MAX;
	text = json(&alg.base);
	cr_expect_not_null(strstr(text, "\"enabled\":true,\"flows\":18446744073709551615"));
	free(text);
}

Test(reflect_json, times)
{
	char out[REFLECT_TEXT_BYTES];

	cr_expect_str_eq(reflect_iso_time(out, 0), "1970-01-01T00:00:00.000Z");
	cr_expect_str_eq(reflect_iso_time(out, 253402300799999), "9999-12-31T23:59:59.999Z");
	cr_expect_null(reflect_iso_time(out, 253402300800000));
	cr_expect_null(reflect_iso_time(out, UINT64_MAX));
}

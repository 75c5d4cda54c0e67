/* Session descriptions: which lines there are, where addresses stand, what is no description. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "sdp.h"

static struct text of(const char *t)
{
	return text(t, strlen(t));
}

static bool is(struct text t, const char *as)
{
	return text_left(&t) == strlen(as) && !memcmp(t.p, as, strlen(as));
}

static bool address(const char *line, const char *at)
{
	struct text body = of(line), span;
	struct sdp_line l;
	uint32_t ip_be;
	if (!sdp_next(&body, &l) || !sdp_address(&l, &span, &ip_be))
		return false;
	cr_expect(is(span, at) && ip_be == inet_addr(at), "%s", line);
	return true;
}

Test(sdp, addresses_stand_in_o_and_c)
{
	cr_expect(address("o=- 1427 1 IN IP4 192.168.30.10\r\n", "192.168.30.10"));
	cr_expect(address("o=a b c IN IP4 10.0.0.1", "10.0.0.1"));
	cr_expect(address("c=IN IP4 10.0.0.1\n", "10.0.0.1"));
	cr_expect(address("c=IN IP4 239.1.1.1/127/3\r\n", "239.1.1.1"));
	cr_expect(address("c=in ip4 10.0.0.1 \r\n", "10.0.0.1"));
	const char *none[] = {
		"c=IN IP6 ::1\r\n",
		"c=IN IP4 host\r\n",
		"c=IN IP4 10.0.0.1.host\r\n",
		"c=IN IP4 10.0.0.256\r\n",
		"c=IN  IP4 10.0.0.1\r\n",
		"c=10.0.0.1\r\n",
		"c=IN IP4\r\n",
		"o=- 1427 IN IP4 10.0.0.1\r\n",
		"o=- 1 1 IN IP4 10.0.0.1/24\r\n",
		"a=IN IP4 10.0.0.1\r\n",
		"c=\r\n",
	};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		cr_expect_not(address(none[i], ""), "%s", none[i]);
}

Test(sdp, attributes_have_names)
{
	struct text body = of("a=control:rtsp://x\r\na=control\r\na=controls:y\r\nb=control:z\r\n"),
		    value;
	struct sdp_line l;
	cr_expect(sdp_next(&body, &l) && sdp_attribute(&l, "control", &value) &&
		  is(value, "rtsp://x"));
	while (sdp_next(&body, &l))
		cr_expect_not(sdp_attribute(&l, "control", &value));
	cr_expect_not(text_left(&body));
}

Test(sdp, attributes_without_a_value)
{
	struct text body =
		of("a=rtcp-mux\r\na=rtcp-muxer\r\na=rtcp\r\na=rtcp-mux:x\r\nb=rtcp-mux\r\n");
	struct sdp_line l;
	cr_expect(sdp_next(&body, &l) && sdp_flag(&l, "rtcp-mux"));
	while (sdp_next(&body, &l))
		cr_expect_not(sdp_flag(&l, "rtcp-mux"));
	cr_expect_not(text_left(&body));
}

Test(sdp, fields_end_with_a_space)
{
	struct text t = of("one two  three"), field;
	cr_expect(sdp_field(&t, &field) && is(field, "one") && is(t, "two  three"));
	cr_expect(sdp_field(&t, &field) && is(field, "two") && is(t, " three"));
	cr_expect_not(sdp_field(&t, &field));
	cr_expect(is(t, " three"));
	t = of("three");
	cr_expect(!sdp_field(&t, &field) && is(t, "three"));
}

Test(sdp, a_description_is_one_to_its_end)
{
	cr_expect(sdp_valid(of("v=0\r\no=x\r\n")));
	cr_expect(sdp_valid(of("v=0\n\ns=\nt=0 0")));
	cr_expect(sdp_valid(of("v=0\r\n\r\n\r\n")));
	cr_expect_not(sdp_valid(of("")));
	cr_expect_not(sdp_valid(of("\r\n")));
	cr_expect_not(sdp_valid(of("o=x\r\nv=0\r\n")));
	cr_expect_not(sdp_valid(of("v=0\r\nrubbish\r\no=x\r\n")));
	cr_expect_not(sdp_valid(of("v=0\r\nO=x\r\n")));
	cr_expect_not(sdp_valid(of("v=0\r\nx")));
	cr_expect_not(sdp_valid(text("v=0\r\no=\0\r\n", 10)));
}

/* What a guest calls itself: addresses and URLs in headers and descriptions, the body's length. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "edits.h"
#include "rtsp_names.h"

static struct alg_flow view(bool serves)
{
	return (struct alg_flow){
		.guest_ip_be = inet_addr("192.168.30.10"),
		.outside_ip_be = inet_addr("203.0.113.7"),
		.peer_ip_be = inet_addr("198.51.100.9"),
		.guest_port = 8554,
		.outside_port = 554,
		.peer_port = 50000,
		.stream = true,
		.guest_serves = serves,
	};
}

/* What becomes of a message; uri: of its start line. */
static void expect(struct alg_flow f, const char *message, const char *uri, const char *as)
{
	static struct alg_answer a;
	static char out[4096];
	struct header h;
	struct text u = {NULL, NULL};
	cr_assert(header_split((const uint8_t *)message, strlen(message), &h), "%s", message);
	if (uri)
		u = text(strstr(message, uri), strlen(uri));
	a.edit_count = 0;
	struct splice s = splice_of(&a, (const uint8_t *)message);
	rtsp_names_edit(&s, &f, &h, u);
	cr_assert(splice_end(&s), "%s", message);
	edits_apply(&a, message, strlen(message), out, sizeof(out));
	cr_expect_str_eq(out, as);
}

static void expect_untouched(struct alg_flow f, const char *message)
{
	expect(f, message, NULL, message);
}

Test(rtsp_names, urls_of_a_server_get_the_outside_host_and_port)
{
	expect(view(true), "RTSP/1.0 200 OK\r\nContent-Base: rtsp://192.168.30.10:8554/t/\r\n\r\n",
		NULL, "RTSP/1.0 200 OK\r\nContent-Base: rtsp://203.0.113.7:554/t/\r\n\r\n");
	expect(view(true),
		"S\r\nRTP-Info: url=rtsp://192.168.30.10:8554/0;seq=1,\r\n "
		"url=rtsp://192.168.30.10/1;seq=2\r\n\r\n",
		NULL,
		"S\r\nRTP-Info: url=rtsp://203.0.113.7:554/0;seq=1,\r\n "
		"url=rtsp://203.0.113.7/1;seq=2\r\n\r\n");
	expect(view(true),
		"REDIRECT rtsp://192.168.30.10:8554/a RTSP/1.0\r\nLocation: "
		"rtsp://192.168.30.10:9000/b\r\ncontent-location: rtsp://192.168.30.10\r\n\r\n",
		"rtsp://192.168.30.10:8554/a",
		"REDIRECT rtsp://203.0.113.7:554/a RTSP/1.0\r\nLocation: "
		"rtsp://203.0.113.7:9000/b\r\ncontent-location: rtsp://203.0.113.7\r\n\r\n");
}

Test(rtsp_names, a_port_is_added_where_the_default_one_would_be_wrong)
{
	struct alg_flow f = view(true);
	f.guest_port = 554;
	f.outside_port = 8554;
	expect(f, "S\nContent-Base: rtsp://192.168.30.10/t\n\n", NULL,
		"S\nContent-Base: rtsp://203.0.113.7:8554/t\n\n");
}

Test(rtsp_names, other_hosts_and_other_headers_are_left_alone)
{
	expect_untouched(view(true), "S\nContent-Base: rtsp://192.168.30.11/t\n\n");
	expect_untouched(view(true), "S\nContent-Base: rtsp://camera:8554/t\n\n");
	expect_untouched(view(true), "S\nContent-Base: rtsp://203.0.113.7/t\n\n");
	expect_untouched(view(true), "S\nX-Base: rtsp://192.168.30.10/t\n\n");
	expect_untouched(view(false), "S\nContent-Base: rtsp://192.168.30.10/t\n\n");
}

#define BODY(address)                                                                              \
	"v=0\r\no=- 1 1 IN IP4 " address "\r\ns=x\r\nc=IN IP4 " address                            \
	"/127\r\na=control:rtsp://" address ":8554/t\r\n"

Test(rtsp_names, a_description_and_its_length)
{
	static char in[1024], out[1024];
	const char *inside = BODY("192.168.30.10");
	const char *outside =
		"v=0\r\no=- 1 1 IN IP4 203.0.113.7\r\ns=x\r\nc=IN IP4 203.0.113.7/127\r\n"
		"a=control:rtsp://203.0.113.7:554/t\r\n";
	sprintf(in, "S\r\nContent-Type: Application/SDP ; x\r\nContent-length: %zu\r\n\r\n%s",
		strlen(inside), inside);
	sprintf(out, "S\r\nContent-Type: Application/SDP ; x\r\nContent-length: %zu\r\n\r\n%s",
		strlen(outside), outside);
	expect(view(true), in, NULL, out);
	outside = "v=0\r\no=- 1 1 IN IP4 203.0.113.7\r\ns=x\r\nc=IN IP4 203.0.113.7/127\r\n"
		  "a=control:rtsp://192.168.30.10:8554/t\r\n";
	sprintf(out, "S\r\nContent-Type: Application/SDP ; x\r\nContent-length: %zu\r\n\r\n%s",
		strlen(outside), outside);
	expect(view(false), in, NULL, out);
}

Test(rtsp_names, a_length_that_stays_is_not_touched)
{
	struct alg_flow f = view(true);
	f.outside_ip_be = inet_addr("203.100.113.7");
	expect(f,
		"S\nContent-Type: application/sdp\nContent-Length:  033\n\nv=0\nc=IN IP4 "
		"192.168.30.10\nt=0 0\n",
		NULL,
		"S\nContent-Type: application/sdp\nContent-Length:  033\n\nv=0\nc=IN IP4 "
		"203.100.113.7\nt=0 0\n");
}

Test(rtsp_names, bodies_that_are_no_description_are_left_alone)
{
	const char *body = "v=0\nc=IN IP4 192.168.30.10\n";
	const char *heads[] = {
		"",
		"Content-Type: text/plain\n",
		"Content-Type: application/sdpx\n",
		"Content-Type: application/sdp\nContent-Type: application/sdp\n",
		"Content-Type: application/sdp\nContent-Encoding: gzip\n",
	};
	char message[256];
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		sprintf(message, "S\n%sContent-Length: %zu\n\n%s", heads[i], strlen(body), body);
		expect_untouched(view(true), message);
	}
	body = "v=0\nrubbish\nc=IN IP4 192.168.30.10\n";
	sprintf(message, "S\nContent-Type: application/sdp\nContent-Length: %zu\n\n%s",
		strlen(body), body);
	expect_untouched(view(true), message);
}

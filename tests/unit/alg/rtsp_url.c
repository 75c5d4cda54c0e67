/* URLs of RTSP in other text: which hosts are found, and where. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "rtsp_url.h"

static void expect_host(const char *in, const char *host, unsigned int port, bool has_port)
{
	struct text t = text(in, strlen(in));
	struct rtsp_url url;
	cr_assert(rtsp_url_next(&t, &url), "%s", in);
	cr_expect(text_left(&url.host) == strlen(host) && !memcmp(url.host.p, host, strlen(host)),
		"%s: %.*s", in, (int)text_left(&url.host), url.host.p);
	cr_expect(
		url.ip_be == inet_addr("10.0.0.1") && url.port == port && url.has_port == has_port,
		"%s", in);
	cr_expect_not(rtsp_url_next(&t, &url), "%s", in);
}

Test(rtsp_url, hosts_are_found)
{
	expect_host("rtsp://10.0.0.1", "10.0.0.1", 554, false);
	expect_host("rtsp://10.0.0.1/a://b", "10.0.0.1", 554, false);
	expect_host("RTSP://10.0.0.1:8554/x", "10.0.0.1:8554", 8554, true);
	expect_host("rtspu://10.0.0.1;x", "10.0.0.1", 554, false);
	expect_host("url=\"rtsps://10.0.0.1:322\"", "10.0.0.1:322", 322, true);
	expect_host("url=rtsp://u:p@10.0.0.1:1?q", "10.0.0.1:1", 1, true);
	expect_host("url=rtsp://host/,url=rtsp://10.0.0.1,rtsp://[::1]/", "10.0.0.1", 554, false);
}

Test(rtsp_url, others_are_not)
{
	const char *none[] = {
		"http://10.0.0.1/",
		"xrtsp://10.0.0.1/",
		"x-rtsp://10.0.0.1/",
		"rtsp:/10.0.0.1/",
		"rtsp://10.0.0.1.example/",
		"rtsp://10.0.0.1:x/",
		"rtsp://10.0.0.1:65536/",
		"rtsp://10.0.0/",
		"rtsp://",
		"://10.0.0.1",
		"rtsp://x/10.0.0.1",
		"rtsp://10.0.0.1@host/",
		"",
	};
	struct rtsp_url url;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct text t = text(none[i], strlen(none[i]));
		cr_expect_not(rtsp_url_next(&t, &url), "%s", none[i]);
	}
}

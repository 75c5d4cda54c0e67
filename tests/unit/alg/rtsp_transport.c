/* The Transport header: what each specification says of its ends, and which are left alone. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "rtsp_transport.h"

static struct rtsp_transport read_one(const char *value)
{
	struct text t = text(value, strlen(value));
	struct rtsp_transport spec;
	cr_assert(rtsp_transport_next(&t, &spec), "%s", value);
	cr_expect_not(text_left(&t), "%s", value);
	return spec;
}

static void expect_ports(
	const char *value, unsigned int count, unsigned int first, unsigned int last)
{
	struct rtsp_transport t = read_one(value);
	cr_expect(
		t.udp && t.client.ports == count && t.client.port[0].number == first, "%s", value);
	cr_expect(count < 2 || t.client.port[1].number == last, "%s", value);
}

Test(rtsp_transport, ports_of_the_client)
{
	expect_ports("RTP/AVP;unicast;client_port=6970-6971", 2, 6970, 6971);
	expect_ports("rtp/avp/udp;CLIENT_PORT=6970", 1, 6970, 0);
	expect_ports("RTP/SAVPF;unicast ; \r\n\tclient_port = 5001-7000 ;mode=play", 2, 5001, 7000);
	expect_ports("MP2T/H2221/UDP;unicast;client_port=6970-6971", 2, 6970, 6971);
	expect_ports("x-real-rdt/udp;client_port=6970", 1, 6970, 0);
	expect_ports("RTP/AVP;dest_addr=\":6970\"/\":6971\"", 2, 6970, 6971);
	expect_ports("RTP/AVP/UDP;mode=\"PLAY,a;client_port=1\";client_port=6970", 1, 6970, 0);
	expect_ports("RTP/AVP;unicast", 0, 0, 0);
}

Test(rtsp_transport, addresses_of_both_ends)
{
	struct rtsp_transport t = read_one("RTP/"
					   "AVP;unicast;destination=10.0.0.1;client_port=6970-6971;"
					   "source=10.0.0.2;server_port=8000-8001");
	cr_expect(t.udp && t.client.addresses == 1 &&
		  t.client.address[0].ip_be == inet_addr("10.0.0.1"));
	cr_expect(t.server.addresses == 1 && t.server.address[0].ip_be == inet_addr("10.0.0.2"));
	cr_expect(t.server.ports == 2 && t.server.port[1].number == 8001);
	t = read_one("RTP/AVP/UDP;unicast;dest_addr=\"10.0.0.1:6970\" / "
		     "\"10.0.0.2:6971\";src_addr=\":1\"");
	cr_expect(t.udp && t.client.addresses == 2 &&
		  t.client.address[1].ip_be == inet_addr("10.0.0.2"));
	cr_expect(t.client.ports == 2 && t.client.port[1].number == 6971 && !t.client.foreign);
	cr_expect(t.server.ports == 1 && t.server.addresses == 0);
	t = read_one("RTP/AVP;unicast;destination;client_port=6970");
	cr_expect(t.udp && !t.client.foreign && t.client.addresses == 0);
	t = read_one("RTP/AVP;unicast;destination=camera.example;client_port=6970");
	cr_expect(t.udp && t.client.foreign);
	t = read_one("RTP/AVP/UDP;unicast;dest_addr=\"[2001:db8::1]:6970\"");
	cr_expect(t.udp && t.client.foreign && t.client.ports == 1);
	t = read_one("RTP/AVP;source=\"10.0.0.2\"");
	cr_expect(t.server.addresses == 1 && t.server.address[0].span.p[0] == '1');
}

Test(rtsp_transport, what_is_not_unicast_over_udp_is_nobodys_business)
{
	const char *others[] = {
		"RTP/AVP/TCP;unicast;interleaved=0-1",
		"RTP/AVP;multicast;client_port=6970-6971",
		"RTP/AVP;client_port=6970;multicast",
		"RTP;client_port=6970",
		"UDP;client_port=6970",
		"XYZ/AVP;client_port=6970",
		"RTP/AVP/UDP/x;client_port=6970",
		"a/b/c/UDP;client_port=6970",
		";client_port=6970",
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_not(read_one(others[i]).udp, "%s", others[i]);
}

Test(rtsp_transport, what_is_unclear_is_left_alone)
{
	const char *unclear[] = {
		"RTP/AVP;client_port=6970;client_port=6972",
		"RTP/AVP;client_port=6970;dest_addr=\":6972\"",
		"RTP/AVP;dest_addr=\":6970\";client_port=6972",
		"RTP/AVP;client_port=6970-6971-6972",
		"RTP/AVP;client_port=6970-",
		"RTP/AVP;client_port=",
		"RTP/AVP;client_port",
		"RTP/AVP;client_port=65536",
		"RTP/AVP;client_port=6970 6971",
		"RTP/AVP;client_port=\"6970\"",
		"RTP/AVP;dest_addr=:6970",
		"RTP/AVP;dest_addr=\":6970\"/",
		"RTP/AVP;dest_addr=\":6970\"/\":6971\"/\":6972\"",
		"RTP/AVP;dest_addr=\"10.0.0.1:\"",
		"RTP/AVP;dest_addr=\":6970x\"",
		"RTP/AVP;dest_addr=\"",
		"RTP/AVP;destination=10.0.0.1;destination=10.0.0.1;destination=10.0.0.1",
	};
	for (size_t i = 0; i < sizeof(unclear) / sizeof(unclear[0]); i++) {
		struct rtsp_transport t = read_one(unclear[i]);
		cr_expect(t.broken && !t.udp, "%s", unclear[i]);
	}
}

Test(rtsp_transport, lists_are_taken_one_by_one)
{
	const char *list = "RTP/AVP;dest_addr=\":1\"/\":2\" , "
			   "RTP/AVP/TCP;interleaved=0-1,RTP/AVP/UDP;client_port=3-4,";
	struct text t = text(list, strlen(list));
	struct rtsp_transport spec;
	unsigned int udp = 0, all = 0;
	for (; rtsp_transport_next(&t, &spec); all++)
		udp += spec.udp;
	cr_expect(all == 3 && udp == 2, "%u of %u", udp, all);
}

/* A phone that has registered is found by a call for as long as the registrar said, however silent both were. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "internet.h"

enum { SIP_PORT = 5060, TEXT_BYTES = 1024 };

static char asked[TEXT_BYTES], heard[TEXT_BYTES]; /* by the registrar, by the guest */
static uint16_t outside_port;
static uint32_t granted_s;

/* The registrar answers with the very header lines that it read, and with what it grants. */
static void on_request(uint16_t host_port, const uint8_t *bytes, size_t n)
{
	char answer[TEXT_BYTES];
	const char *lines;
	snprintf(asked, sizeof(asked), "%.*s", (int)n, (const char *)bytes);
	lines = strstr(asked, "\r\n");
	outside_port = host_port;
	if (!lines || strncmp(asked, "REGISTER ", 9) != 0)
		return;
	snprintf(answer, sizeof(answer), "SIP/2.0 200 OK\r\nExpires: %u%s", granted_s, lines);
	internet_say(host_port, answer, strlen(answer));
}

static void on_datagram(uint32_t ip, uint16_t from, uint16_t to, const uint8_t *bytes, size_t n)
{
	if (ip == SERVER_IP && from == SIP_PORT && to == SIP_PORT)
		snprintf(heard, sizeof(heard), "%.*s", (int)n, (const char *)bytes);
}

static void say(const char *method)
{
	char text[TEXT_BYTES];
	snprintf(text, sizeof(text),
		"%s sip:203.0.113.5 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 192.168.30.10:5060;branch=z9hG4bK7;rport\r\n"
		"From: <sip:a@203.0.113.5>;tag=1\r\nTo: <sip:a@203.0.113.5>\r\n"
		"Call-ID: 1\r\nCSeq: 1 %s\r\nContact: <sip:a@192.168.30.10:5060>\r\n"
		"Content-Length: 0\r\n\r\n",
		method, method);
	guest_udp(SERVER_IP, SIP_PORT, SIP_PORT, (const uint8_t *)text, strlen(text));
	clock_sleep(100 * MS);
}

/* Somebody calls the guest where its Contact says that it is. */
static void call(void)
{
	char uri[64] = "", text[TEXT_BYTES];
	cr_assert_eq(sscanf(strstr(asked, "Contact: "), "Contact: <%63[^>]>", uri), 1);
	snprintf(text, sizeof(text),
		"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bK8\r\n"
		"From: <sip:b@203.0.113.5>;tag=2\r\nTo: <sip:a@203.0.113.5>\r\n"
		"Call-ID: 2\r\nCSeq: 1 INVITE\r\nContact: <sip:b@203.0.113.5>\r\n"
		"Content-Length: 0\r\n\r\n",
		uri);
	heard[0] = '\0';
	internet_say(outside_port, text, strlen(text));
	clock_sleep(100 * MS);
}

static bool found_after(const char *method, uint32_t granted, uint32_t silence_s)
{
	granted_s = granted;
	gateway_with_guest(false);
	guest.datagram = on_datagram;
	internet_serve_datagrams(SERVER_IP, SIP_PORT, on_request);
	say(method);
	cr_assert(strstr(asked, "Contact: <sip:a@198.51.100.2:"), "asked: %s", asked);
	clock_sleep(silence_s * SECOND);
	call();
	if (heard[0])
		cr_expect(!strncmp(heard, "INVITE sip:a@192.168.30.10:5060 SIP/2.0\r\n", 41),
			"heard: %s", heard);
	return heard[0];
}

Test(sim, a_registered_phone_is_called_after_half_an_hour)
{
	cr_expect(found_after("REGISTER", 3600, 1800));
	clock_sleep(3600 * SECOND);
	gateway_at_rest();
}

Test(sim, a_phone_is_held_no_longer_than_was_granted)
{
	cr_expect(!found_after("REGISTER", 900, 1800));
	gateway_at_rest();
}

/* What nat.udp_timeout (600 s) would have done to it. */
Test(sim, a_phone_that_is_not_registered_is_forgotten)
{
	cr_expect(!found_after("OPTIONS", 3600, 700));
	gateway_at_rest();
}

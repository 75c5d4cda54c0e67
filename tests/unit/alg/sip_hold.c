/*
 * How long a guest is to be found: contacts that are its own, in every way in which they are written.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sip_hold.h"

static uint32_t seconds(const char *lines)
{
	static char message[4096];
	const struct alg_flow f = {.guest_ip_be = inet_addr("192.168.30.10"),
		.outside_ip_be = inet_addr("203.0.113.7"),
		.guest_port = 5060,
		.outside_port = 41000};
	struct sip_message m;
	snprintf(message, sizeof(message),
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.168.30.10;branch=z9hG4bK1\r\n%s\r\n",
		lines);
	cr_assert(sip_read((const uint8_t *)message, strlen(message), false, &m), "%s", lines);
	return sip_hold_seconds(&f, &m);
}

Test(sip_hold, the_longest_of_the_guests_own_contacts_counts)
{
	cr_expect_eq(seconds("Contact: <sip:a@203.0.113.7:41000>;expires=600\r\n"), 600);
	cr_expect_eq(seconds("m: <sip:a@203.0.113.7:41000>;q=0.1 ; EXPIRES = 60 ;x=y\r\n"), 60);
	cr_expect_eq(seconds("Contact: sip:a@203.0.113.7:41000;expires=61\r\n"), 61);
	cr_expect_eq(seconds("Contact: <sip:a@203.0.113.7:41000>;expires=1, "
			     "<sip:b@203.0.113.7:41000>;expires=2\r\n"
			     "Contact: <sip:c@203.0.113.7:41000>;expires=3,\r\n "
			     "<sip:d@198.51.100.1>;expires=9\r\n"),
		3);
	cr_expect_eq(seconds("Contact: \"x, <sip:a@198.51.100.1>;expires=5\\\"\" "
			     "<sip:a@203.0.113.7:41000;expires=7>;expires=8\r\n"),
		8);
}

Test(sip_hold, others_contacts_and_words_that_are_no_number_count_for_nothing)
{
	cr_expect_eq(seconds("Contact: <sip:a@198.51.100.1>;expires=600\r\n"), 0);
	cr_expect_eq(seconds("Contact: <sip:a@pc.example.com>;expires=600\r\n"), 0);
	cr_expect_eq(seconds("Contact: *\r\n"), 0);
	cr_expect_eq(seconds("Contact: <sip:a@203.0.113.7:41002>;expires=600\r\n"), 0,
		"another telephone behind the same address");
	cr_expect_eq(seconds("Contact: <sip:a@203.0.113.7:41000>;expires=\r\n"), 0);
	cr_expect_eq(seconds("Contact: <sip:a@203.0.113.7:41000>;expires\r\n"), 0);
	cr_expect_eq(seconds("Contact: <sip:a@203.0.113.7:41000>;xexpires=9\r\n"), 0);
	cr_expect_eq(seconds("Contact: <sip:a@203.0.113.7:41000>\r\n"), 0);
	cr_expect_eq(seconds(""), 0);
}

Test(sip_hold, expires_counts_where_no_contact_says_so)
{
	cr_expect_eq(seconds("Expires: 3600\r\n"), 3600);
	cr_expect_eq(seconds("Expires: 3600\r\nContact: <sip:a@203.0.113.7:41000>\r\n"), 3600);
	cr_expect_eq(
		seconds("Expires: 3600\r\nContact: <sip:a@203.0.113.7:41000>;expires=60\r\n"), 60);
	cr_expect_eq(seconds("Expires: 0\r\n"), 0);
}

Test(sip_hold, a_day_is_enough)
{
	cr_expect_eq(seconds("Contact: <sip:a@203.0.113.7:41000>;expires=86401\r\n"),
		SIP_HOLD_SECONDS_MAX);
	cr_expect_eq(seconds("Contact: <sip:a@203.0.113.7:41000>;expires=4294967294\r\n"),
		SIP_HOLD_SECONDS_MAX);
}

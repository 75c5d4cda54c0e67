/* What the operator sees of calls: those that are there, each once, and as much of its media as fits. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sip_rows.h"

static struct sip_calls *table(void)
{
	struct sip_calls *t = malloc(sizeof(*t));
	memset(t, 0xa5, sizeof(*t));
	sip_calls_init(t, &(const struct hash_key){1, 2});
	return t;
}

static struct sip_call *call(struct sip_calls *t, uint16_t flow, unsigned int number)
{
	const struct alg_flow f = {
		.id = flow, .guest_ip_be = inet_addr("192.168.30.10"), .now_ms = 1000 + number};
	char id[16];
	snprintf(id, sizeof(id), "%u", number);
	struct sip_call *c = sip_calls_take(t, &f, ALG_GUEST, text(id, strlen(id)), text("tag", 3));
	c->request[ALG_GUEST].method = SIP_METHOD_INVITE;
	return c;
}

static void open_ports(struct sip_calls *t, struct sip_call *c, struct sip_opening as)
{
	struct sip_opening *o = sip_calls_opening(t, c, sip_calls_open(t, c));
	o->kind = as.kind;
	o->pairs = as.pairs;
	o->guest_port = as.guest_port;
	o->outside_port = as.outside_port;
	o->armed = as.armed;
}

Test(sip_rows, each_call_that_is_there_is_seen_once)
{
	struct sip_calls *t = table();
	struct call_row row;
	unsigned int seen[41] = {0}, all = 0;
	uint32_t cursor = 0;
	cr_expect_not(sip_calls_next(t, &cursor, &row));
	for (unsigned int i = 0; i < 40; i++)
		call(t, (uint16_t)(i % 3), i);
	for (unsigned int i = 1; i <= 40; i += 2)
		sip_calls_drop(t, &t->call[i]);
	t->call[4].request[ALG_GUEST].method = SIP_METHOD_REGISTER;
	for (; sip_calls_next(t, &cursor, &row); all++) {
		cr_assert_leq(row.id, 40);
		cr_expect_eq(row.seen_ms, 1000 + row.id - 1);
		cr_expect_eq(row.flow, (row.id - 1) % 3);
		cr_expect_not(seen[row.id]++);
	}
	cr_expect_eq(all, 19, "the even ones, but for the registration");
	cr_expect_not(seen[4]);
	for (uint16_t flow = 0; flow < 3; flow++)
		sip_calls_end(t, &(const struct alg_flow){.id = flow});
	cursor = 0;
	cr_expect_not(sip_calls_next(t, &cursor, &row));
	cursor = UINT32_MAX;
	cr_expect_not(sip_calls_next(t, &cursor, &row));
	free(t);
}

Test(sip_rows, a_row_tells_state_and_ports)
{
	struct sip_calls *t = table();
	struct call_row row;
	uint32_t cursor = 0;
	struct sip_call *c = call(t, 5, 7);
	cr_assert(sip_calls_next(t, &cursor, &row));
	cr_expect_str_eq(row.state, "no media");
	cr_expect_str_eq(row.media, "");
	open_ports(t, c,
		(struct sip_opening){.kind = ALG_UDP_PAIR,
			.guest_port = 4000,
			.outside_port = 30000,
			.armed = true});
	open_ports(
		t, c, (struct sip_opening){.kind = ALG_UDP_PAIR, .pairs = 2, .guest_port = 4002});
	open_ports(t, c,
		(struct sip_opening){.kind = ALG_TCP_LISTEN, .guest_port = 5, .outside_port = 6});
	cursor = 0;
	cr_assert(sip_calls_next(t, &cursor, &row));
	cr_expect_str_eq(row.state, "ringing");
	cr_expect_str_eq(
		row.media, "4000-4001>30000-30001 open, 4002-4005>0 latent, tcp 5>6 latent");
	c->answered_ms = 99;
	cursor = 0;
	cr_assert(sip_calls_next(t, &cursor, &row));
	cr_expect_str_eq(row.state, "answered");
	cr_expect_eq(row.answered_ms, 99);
	free(t);
}

Test(sip_rows, more_media_than_fits_is_cut_off)
{
	struct sip_calls *t = table();
	struct call_row row;
	uint32_t cursor = 0;
	struct sip_call *c = call(t, 5, 7);
	for (int i = 0; i < SIP_CALL_OPENINGS; i++)
		open_ports(t, c,
			(struct sip_opening){
				.kind = ALG_UDP_ONE, .guest_port = 65535, .outside_port = 65535});
	cr_assert(sip_calls_next(t, &cursor, &row));
	cr_expect_lt(strlen(row.media), CALL_ROW_MEDIA);
	cr_expect_str_eq(row.media + strlen(row.media) - 5, ", ...");
	cr_expect(strstr(row.media, "latent, ..."));
	free(t);
}

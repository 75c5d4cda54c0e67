#include "esp_acts.h"

#include <criterion/criterion.h>
#include <stdlib.h>

const uint64_t millisecond = 1000000;
const struct esp_way way = {PEER, 0};
struct esp *e;
static uint32_t forged_before;

void acts_begin(void)
{
	const struct hash_key key = {1, 2};
	e = calloc(1, sizeof(*e));
	esp_init(e, &key);
	forged_before = 0;
}

void acts_end(void)
{
	free(e);
}

/* Times are milliseconds. */
int try_open(uint32_t guest, uint32_t spi, uint64_t at, uint32_t *ref)
{
	const struct esp_ask ask = {.way = way, .guest_ip_be = guest, .spi = spi, .flow = spi};
	return esp_open(e, &ask, 0, at * millisecond, ref);
}

uint32_t opens(uint32_t guest, uint32_t spi, uint64_t at)
{
	uint32_t ref = 0;
	cr_assert_eq(try_open(guest, spi, at, &ref), 0);
	cr_assert_neq(ref, ESP_NONE);
	return ref;
}

uint32_t opens_symmetric(uint32_t guest, uint32_t spi, uint64_t at)
{
	const struct esp_ask ask = {
		.way = way, .guest_ip_be = guest, .spi = spi, .symmetric = true};
	uint32_t ref = 0;
	cr_assert_eq(esp_open(e, &ask, 0, at * millisecond, &ref), 0);
	return ref;
}

bool sends(uint32_t ref, uint64_t at)
{
	return esp_sends(e, ref, at * millisecond);
}

struct esp_found comes_for(uint32_t spi, uint32_t only, uint64_t at)
{
	return esp_receives(e, &way, spi, only, at * millisecond);
}

/* The tunnel; nobody else may have been named. */
uint32_t comes(uint32_t spi, uint64_t at)
{
	const struct esp_found found = comes_for(spi, 0, at);
	cr_assert_eq(found.guest_ip_be, 0);
	return found.ref;
}

void keys(uint32_t guest, uint64_t at)
{
	esp_keys(e, &way, guest, at * millisecond);
}

/* A tunnel that has its pair: outbound `spi`, inbound `spi` + 1000. */
uint32_t paired(uint32_t guest, uint32_t spi, uint64_t at)
{
	const uint32_t ref = opens(guest, spi, at);
	cr_assert(sends(ref, at));
	cr_assert_eq(comes(spi + 1000, at), ref);
	return ref;
}

/* Forged packets from the peer, each by an SPI of its own. */
void forged(uint32_t count, uint64_t at)
{
	while (count--)
		comes_for(0x80000000 + ++forged_before, 0, at);
}

/* What a guest's kernel does with a super-frame: cuts it and finishes the checksums. */
#ifndef NATLOCK_TESTS_NETSTACK_CUT_H
#define NATLOCK_TESTS_NETSTACK_CUT_H

#include <stdint.h>

#include "wire/wire.h"

/* Fills in the checksum that the header left to the receiver. */
void cut_finish(uint8_t *frame, uint32_t len, const struct wire_vnet *v);
/* Frame number `index` of a super-frame, TCP or UDP, into `one`: its length, 0 after the last. */
uint32_t cut_next(const uint8_t *frame, uint32_t len, const struct wire_vnet *v, uint32_t index,
	uint8_t *one);

#endif

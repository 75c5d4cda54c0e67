#include "call.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16 };

uint64_t call_room(struct call *c, size_t count)
{
	size_t at = (c->used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

	if (at > CALL_IMAGE || count > CALL_IMAGE - at)
		abort();
	memset(c->image + at, 0, count);
	c->used = at + count;
	return c->base + at;
}

uint64_t call_put(struct call *c, const void *bytes, size_t count)
{
	uint64_t address = call_room(c, count);

	memcpy(c->image + (address - c->base), bytes, count);
	return address;
}

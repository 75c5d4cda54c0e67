/* Theory of operation: see portmap.h. Each bit stands alone, so no order among them matters. */
#include "portmap.h"

void portmap_set(const struct portmap *p, uint16_t port, bool mapped)
{
	const uint32_t bit = UINT32_C(1) << port % 32;
	_Atomic uint32_t *word;
	uint32_t old;

	if (!p->mine)
		return;
	word = &p->mine->word[port / 32];
	old = atomic_load_explicit(word, memory_order_relaxed);
	atomic_store_explicit(word, mapped ? old | bit : old & ~bit, memory_order_relaxed);
}

bool portmap_has(const struct portmap *p, uint16_t port)
{
	for (unsigned int i = 0; i < p->others; i++)
		if (atomic_load_explicit(&p->theirs[i]->word[port / 32], memory_order_relaxed) >>
				port % 32 &
			1)
			return true;
	return false;
}

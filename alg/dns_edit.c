/* Edits in order, neighbours together. */
#include "dns_edit.h"

#include <string.h>

/* The last edit, if it reaches to `at` with the bytes between and leaves room for `bytes` more. */
static struct alg_edit *reaching(struct dns_edit *d, size_t at, size_t bytes)
{
	struct alg_answer *a = d->answer;
	struct alg_edit *e = a->edit_count ? &a->edit[a->edit_count - 1] : NULL;
	const size_t end = e ? (size_t)e->at + e->old_bytes : 0;
	if (!e || e->bytes + (d->base + at - end) + bytes > ALG_EDIT_BYTES)
		return NULL;
	const size_t between = d->base + at - end;
	memcpy(e->text + e->bytes, d->p + at - between, between);
	e->bytes += (uint32_t)between;
	e->old_bytes += (uint32_t)between;
	return e;
}

void dns_edit_put(
	struct dns_edit *d, size_t at, size_t old_bytes, const uint8_t *text, size_t bytes)
{
	struct alg_edit *e = reaching(d, at, bytes);
	if (!e)
		e = bytes <= ALG_EDIT_BYTES ? alg_edit_add(d->answer, d->base + at, 0) : NULL;
	if (!e) {
		d->full = true;
		return;
	}
	memcpy(e->text + e->bytes, text, bytes);
	e->bytes += (uint32_t)bytes;
	e->old_bytes += (uint32_t)old_bytes;
	d->growth += (int)bytes - (int)old_bytes;
}

void dns_edit_front(struct dns_edit *d, const uint8_t *text, size_t bytes)
{
	struct alg_answer *a = d->answer;
	if (a->edit_count == ALG_EDITS || bytes > ALG_EDIT_BYTES) {
		d->full = true;
		return;
	}
	memmove(a->edit + 1, a->edit, a->edit_count * sizeof(a->edit[0]));
	a->edit_count++;
	a->edit[0] = (struct alg_edit){.old_bytes = (uint32_t)bytes, .bytes = (uint32_t)bytes};
	memcpy(a->edit[0].text, text, bytes);
}

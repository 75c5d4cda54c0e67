#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include "scene.h"

int scene_verdict(
	struct scene *s, Nl__Direction direction, uint64_t until, Nl__Edit **edits, size_t n)
{
	Nl__Verdict m = NL__VERDICT__INIT;
	m.flow = s->number;
	m.direction = direction;
	m.until = until;
	m.edits = edits;
	m.n_edits = n;
	const int error = natproxy_on_verdict(s->r->np, &m, NULL);
	rig_turn(s->r);
	return error;
}

void scene_edit(Nl__Edit *e, uint64_t at, uint32_t old_bytes, const char *text)
{
	nl__edit__init(e);
	e->at = at;
	e->old_bytes = old_bytes;
	e->bytes = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

void scene_give_up(struct scene *s, bool violation)
{
	Nl__GiveUp m = NL__GIVE_UP__INIT;
	m.flow = s->number;
	m.has_violation = true;
	m.violation = violation;
	cr_assert_eq(natproxy_on_give_up(s->r->np, &m, NULL), 0);
	rig_turn(s->r);
}

ssize_t scene_arrived(const struct scene *s, char *out, size_t n)
{
	memset(out, 0, n);
	return recv(s->fd, out, n, MSG_DONTWAIT);
}

void scene_later(struct scene *s, uint64_t ms)
{
	s->r->skew_ns += ms * 1000000;
	rig_turn(s->r);
}

/*
 * What the tests of inspection share: a session that is inspected, and what alg says about it. The
 * kinds of sessions have their own: streams.h, datagrams.h.
 */
#ifndef NATLOCK_TESTS_NATPROXY_SCENE_H
#define NATLOCK_TESTS_NATPROXY_SCENE_H

#include <sys/types.h>

#include "rig.h"

struct scene {
	struct rig *r;
	int fd;		 /* the far end */
	uint16_t port;	 /* its port, where a test needs it */
	uint32_t number; /* by which alg knows the session */
};

/* alg's verdict on what was shown up to this offset; what natproxy returns, 0 or -errno. */
int scene_verdict(
	struct scene *s, Nl__Direction direction, uint64_t until, Nl__Edit **edits, size_t n);
/* An edit; `text` is to stay. */
void scene_edit(Nl__Edit *e, uint64_t at, uint32_t old_bytes, const char *text);
/* alg wants to see no more of it. */
void scene_give_up(struct scene *s, bool violation);

/* What the far end has to read: how much, -1 nothing; `out` is zeroed behind it. */
ssize_t scene_arrived(const struct scene *s, char *out, size_t n);
/* So much time goes by. */
void scene_later(struct scene *s, uint64_t ms);

#endif

/* dhcpd's own shell with main renamed. */
#include "look.h"

#define main dhcpd_main
#include "../../dhcpd/main.c"
#undef main

void dhcpd_look(const void *self, struct look *out)
{
	const struct dhcpd *d = self;
	for (int i = 0; i < ENGINE_PENDING; i++)
		out->entries += d->engine.pending[i].sequence != 0;
}

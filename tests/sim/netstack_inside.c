/* netstack's own shell with main renamed. */
#include "look.h"

#define main netstack_main
#include "../../netstack/main.c"
#undef main

void netstack_look(const void *self, struct look *out)
{
	const struct netstack *n = self;
	struct stack_counts c;
	stack_counts(n->stack, &c);
	out->entries = c.tcp + c.udp + c.echo + c.half_open + c.time_wait + c.fragments_waiting +
		       c.frame_buffers + c.read_buffers;
	out->segments_in = c.segments_in;
	out->segments_out = c.segments_out;
	out->retransmits = c.retransmits;
	out->timeouts = c.timeouts;
}

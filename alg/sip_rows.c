/*
 * Theory of operation. The table of calls has no list of what is in use, so it is walked by place: a call is there if its flow has
 * it in one of its lists, which its own place in them tells.
 */
#include "sip_rows.h"

#include <stdio.h>
#include <string.h>

/* Whether the place holds a call and not one that is over: what is over is behind nobody and before nobody. */
static bool is_there(const struct sip_calls *t, uint16_t ref)
{
	const struct sip_call *c = &t->call[ref];
	const struct sip_list *list = &t->flow[c->flow].list[c->busy];
	const struct sip_link *own = &c->link[1];
	return own->before ? t->call[own->before].link[1].after == ref : list->oldest == ref;
}

static const char *state_of(const struct sip_call *c)
{
	if (!c->busy)
		return "no media";
	return c->answered_ms ? "answered" : "ringing";
}

/* "30000", or "30000-30003" of pairs. */
static int write_ports(char *out, size_t cap, uint16_t port, const struct sip_opening *o)
{
	const unsigned int pairs = o->pairs ? o->pairs : 1;
	if (o->kind != ALG_UDP_PAIR || !port)
		return snprintf(out, cap, "%u", port);
	return snprintf(out, cap, "%u-%u", port, port + 2 * pairs - 1);
}

static const char *kind_of(const struct sip_opening *o)
{
	return o->kind == ALG_TCP_LISTEN ? "tcp " : "";
}

static void write_opening(char out[SIP_ROW_MEDIA], const struct sip_opening *o)
{
	char guest[16], outside[16], text[64];
	const size_t used = strlen(out);
	write_ports(guest, sizeof(guest), o->guest_port, o);
	write_ports(outside, sizeof(outside), o->outside_port, o);
	const int n = snprintf(text, sizeof(text), "%s%s%s>%s %s", used ? ", " : "", kind_of(o),
		guest, outside, o->armed ? "open" : "latent");
	const bool fits = used + (size_t)n + sizeof(", ...") <= SIP_ROW_MEDIA;
	if (used < 3 || strcmp(out + used - 3, "...") != 0)
		strcpy(out + used, fits ? text : ", ...");
}

bool sip_calls_next(const struct sip_calls *t, uint32_t *cursor, struct sip_call_row *row)
{
	uint32_t ref = *cursor + 1;
	if (*cursor >= SIP_CALLS)
		return false;
	while (ref <= t->fresh_call &&
		(!is_there(t, (uint16_t)ref) || !sip_calls_is_invited(&t->call[ref])))
		ref++;
	if (ref > t->fresh_call)
		return false;
	const struct sip_call *c = &t->call[ref];
	*cursor = ref;
	*row = (struct sip_call_row){.id = ref,
		.flow = c->flow,
		.state = state_of(c),
		.answered_ms = c->answered_ms,
		.seen_ms = c->seen_ms};
	for (int place = 0; place < SIP_CALL_OPENINGS; place++)
		if (c->opening[place])
			write_opening(row->media, &t->opening[c->opening[place]]);
	return true;
}

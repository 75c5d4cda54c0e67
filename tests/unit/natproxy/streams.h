/* Control connections under inspection, FTP's, for the tests of inspect.c and inspect_stream.c. */
#ifndef NATLOCK_TESTS_NATPROXY_STREAMS_H
#define NATLOCK_TESTS_NATPROXY_STREAMS_H

#include "scene.h"

enum {
	STREAM_FLOW = 0x30007,
	STREAM_NUMBER = 1 << 10, /* alg's for the first flow under inspection */
	STREAM_DATA_PORT = 51210,
};
#define STREAM_COMMAND "PORT 192,168,30,10,200,10\r\n"

/* The guest's port 40000 has connected to a far end whose port is FTP's. */
struct scene stream_open(struct rig_options o);
/* Somebody outside has connected to a published port that leads to the guest's port `to`, which
 * accepted. */
struct scene stream_come_in(struct rig_options o, uint16_t listen_port, uint16_t to);
/* A connection to a port of 127.0.0.1, begun. */
int stream_knock(uint16_t port);
/* The guest takes a connection that came in. */
void stream_accept(struct scene *s, uint32_t flow, uint32_t token);

/* The guest's bytes at this offset. */
void stream_says(struct scene *s, uint64_t at, const char *text);
/* alg's verdict on the guest's bytes with one edit. */
int stream_edited(struct scene *s, uint64_t until, uint64_t at, uint32_t old, const char *text);
/* alg's wish for one connection to this port of the guest's, as flow `number`. */
int stream_wish(struct scene *s, uint32_t number, uint32_t token, uint32_t port, uint32_t peer);

#endif

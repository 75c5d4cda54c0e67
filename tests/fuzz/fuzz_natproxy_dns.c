/* Guests' questions and resolvers' answers, byte by byte: dnsredir.c must judge any of them. */
#include <stdlib.h>
#include <string.h>

#include "dnsredir.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct dnsredir d;
	static uint8_t out[DNSREDIR_QUERY_BYTES], reply[65536];
	const uint32_t resolver = 1;
	const size_t asked = n > DNSREDIR_QUERY_BYTES ? DNSREDIR_QUERY_BYTES : n;
	if (!dnsredir_is_query(bytes, asked))
		return 0;
	if (dnsredir_servfail(bytes, asked, out) > asked)
		abort();
	dnsredir_resolvers(&d, &resolver, 1);
	const uint32_t ref = dnsredir_open(&d, 1, 2, bytes, asked, 0x1234);
	dnsredir_ask(&d, ref, 0);
	memcpy(reply, bytes, asked);
	reply[0] = 0x12;
	reply[1] = 0x34;
	reply[2] |= 0x80;
	for (size_t cut = 0; cut <= asked; cut += 1 + asked / 16)
		dnsredir_reply(&d, ref, reply, cut);
	dnsredir_close(&d, ref);
	return 0;
}

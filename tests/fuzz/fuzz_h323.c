/*
 * H.323 with its calls (alg_play.h): RAS where the first byte has ALG_PLAY_DATAGRAMS, else H.245 behind a call where it has CONTROL, else
 * call signalling.
 */
#include "alg_play.h"

enum { CONTROL = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && data[0] & ALG_PLAY_DATAGRAMS)
		return alg_play(&ras_protocol, data, size);
	return alg_play(size && data[0] & CONTROL ? &h245_protocol : &h225_protocol, data, size);
}

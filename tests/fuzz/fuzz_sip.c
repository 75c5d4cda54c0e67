/* The SIP parser, with its calls (alg_play.h). */
#include "alg_play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return alg_play(&sip_protocol, data, size);
}

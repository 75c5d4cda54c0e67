/* The SCCP parser (alg_play.h). */
#include "alg_play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return alg_play(&skinny_protocol, data, size);
}

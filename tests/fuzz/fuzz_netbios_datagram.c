/* The parser of the NetBIOS datagram service (alg_play.h). */
#include "alg_play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return alg_play(&netbios_datagram_protocol, data, size);
}

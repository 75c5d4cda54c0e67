/* The parsers of rexec, rlogin and rsh (alg_play.h): the first byte's highest bits say which. */
#include "alg_play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct alg_protocol *const rows[] = {
		&rsh_protocol, &rexec_protocol, &rlogin_protocol, &rsh_protocol};
	return alg_play(rows[size ? data[0] >> 6 : 0], data, size);
}

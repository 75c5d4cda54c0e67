/*
 * Texts of the host that the supervisor reads, and words of its command line: resolv.conf, subuid, uid_map, /proc/PID of
 * its workers, --publish, --subnet. Any bytes; what comes out is within bounds.
 */
#include <stdlib.h>
#include <string.h>

#include "identity.h"
#include "options.h"
#include "process.h"
#include "resolvers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_resolvers(const char *text)
{
	static struct resolvers r;
	resolvers_parse(&r, text);
	require(r.count <= RESOLVERS_MAX && memchr(r.domain, 0, sizeof(r.domain)));
	for (size_t i = 0; i < r.count; i++)
		for (size_t k = 0; k < i; k++)
			require(r.ip_be[i] && r.ip_be[i] != r.ip_be[k]);
}

/* A range that is given is one of a kernel's 32 bits. */
static void check_identity(const char *text)
{
	uint32_t first;
	if (identity_subid(text, "natlock", 1000, IDENTITY_PRIVATE, &first))
		require(first && first <= UINT32_MAX - IDENTITY_PRIVATE);
	(void)identity_mapped(text, 61184, 16);
}

static void check_process(const char *text)
{
	struct process_facts f = {0};
	process_parse_status(text, &f);
	(void)process_parse_cpu(text, 100);
}

static void check_options(const char *text)
{
	struct options_publish publish;
	struct options_subnet subnet;
	(void)options_parse_publish(text, &publish);
	if (options_parse_subnet(text, &subnet))
		require(memchr(text, '/', strlen(text)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	check_resolvers(text);
	check_identity(text);
	check_process(text);
	check_options(text);
	free(text);
	return 0;
}

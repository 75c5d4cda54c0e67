/* The sanitized natlockctl, linked with --wrap: an address space of 1 GiB has no room for the shadow of one. */
#include <sys/resource.h>

int __real_setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit);
int __wrap_setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit);
int __wrap_setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
	return resource == RLIMIT_AS ? 0 : __real_setrlimit64(resource, limit);
}

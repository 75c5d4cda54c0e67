/*
 * What is different in a sanitized worker, linked with --wrap: the allocator is the sanitizer's and
 * cannot promise to ask for no more memory; and before the filter goes on, its runtime reads what it
 * could not read afterwards (/proc/self/maps, for the report).
 */
#include <sanitizer/common_interface_defs.h>
#include <stddef.h>

#include "confine.h"

int __wrap_mallopt(int what, int value);
int __wrap_mallopt(int what, int value)
{
	return 1;
}

int __real_confine_undumpable(void);
int __wrap_confine_undumpable(void);
int __wrap_confine_undumpable(void)
{
	__sanitizer_sandbox_arguments nothing = {0};

	__sanitizer_sandbox_on_notify(&nothing);
	return __real_confine_undumpable();
}

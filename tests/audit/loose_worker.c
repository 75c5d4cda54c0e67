/* A worker without one of the locks that it puts on itself, linked by --wrap as loose.c is. It
 * claims to have put on both. */
#include <stdbool.h>

int __real_confine_landlock(bool deny_tcp);
int __real_confine_undumpable(void);
int __wrap_confine_landlock(bool deny_tcp);
int __wrap_confine_undumpable(void);

int __wrap_confine_landlock(bool deny_tcp)
{
	enum { CLAIMED_ABI = 6 };

	return LOOSE_LANDLOCK ? CLAIMED_ABI : __real_confine_landlock(deny_tcp);
}

int __wrap_confine_undumpable(void)
{
	return LOOSE_LANDLOCK ? __real_confine_undumpable() : 0;
}

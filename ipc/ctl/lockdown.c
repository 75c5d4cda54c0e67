/*
 * natlockctl may run as root, and it unpacks rows that a captured worker may have packed. So it is
 * confined like a worker as far as a program started by a person can be: it keeps its user and its
 * terminal, nothing else. A kernel without Landlock still gets the filter, which allows no path to
 * be opened either.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "confine.h"
#include "filters.h"
#include "lockdown.h"

static int limit(int what, rlim_t value)
{
	const struct rlimit both = {value, value};

	return setrlimit(what, &both) < 0 ? -errno : 0;
}

/* Either may stand where the other one is to be, so the file first goes out of the way. */
static int place_descriptors(int fd, int file)
{
	int first_unused = file >= 0 ? LOCKDOWN_FILE + 1 : LOCKDOWN_FD + 1;

	if (file >= 0) {
		file = fcntl(file, F_DUPFD_CLOEXEC, LOCKDOWN_FILE + 1);
		if (file < 0)
			return -errno;
	}
	if (fd != LOCKDOWN_FD && dup3(fd, LOCKDOWN_FD, O_CLOEXEC) < 0)
		return -errno;
	if (file >= 0 && dup3(file, LOCKDOWN_FILE, O_CLOEXEC) < 0)
		return -errno;
	return close_range((unsigned int)first_unused, UINT_MAX, 0) < 0 ? -errno : 0;
}

static int limit_resources(void)
{
	enum { ADDRESS_SPACE = 1 << 30 };
	int error = limit(RLIMIT_CORE, 0);

	if (error == 0)
		error = limit(RLIMIT_NPROC, 0);
	if (error == 0)
		error = limit(RLIMIT_AS, ADDRESS_SPACE);
	return error;
}

int lockdown(int fd, int file)
{
	const struct policy_filter *filter = policy_filter_find("ctl");
	int error = place_descriptors(fd, file);

	if (filter == NULL)
		return -ENOENT;
	tzset(); /* reads /etc/localtime, later out of reach */
	if (error == 0)
		error = limit_resources();
	if (error == 0)
		error = confine_undumpable();
	if (error == 0)
		error = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
	if (error == 0)
		error = confine_landlock(true);
	if (error >= 0) /* Landlock's version: the ruleset's descriptor is closed by now */
		error = limit(RLIMIT_NOFILE, LOCKDOWN_FD + 1);
	return error == 0 ? confine_filter(filter->insns, filter->count) : error;
}

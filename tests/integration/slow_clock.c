/* The clock of a computer whose clock source the vdso cannot read (hpet, acpi_pm, ...): each question is a system call. For LD_PRELOAD. */
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *at)
{
	return (int)syscall(SYS_clock_gettime, id, at);
}

int gettimeofday(struct timeval *at, void *zone)
{
	return (int)syscall(SYS_gettimeofday, at, zone);
}

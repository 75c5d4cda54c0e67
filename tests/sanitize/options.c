/*
 * How the sanitizers' runtimes behave in natlock, natlockctl and the workers.
 *
 * A worker has no environment, so the options are functions. No symbolizer (it opens files:
 * tests/integration/sanitized.py finds names and lines instead), no search for leaks (it traces the
 * process; workers have no heap after boot, and the unit tests search).
 *
 * What a runtime does only once, and would do at the first report behind the filter, is done here at
 * the start: it reads its name, its options and /proc/self/maps. libubsan begins all of that with
 * its first finding; so it gets one, whose report goes to /dev/null. This file alone is built to go
 * on after a finding (meson.build here); any other ends the process.
 */
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <unistd.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "symbolize=0:color=never:detect_leaks=0:exitcode=99:strict_string_checks=1:"
	       "use_sigaltstack=0:quarantine_size_mb=16";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "symbolize=0:color=never:print_stacktrace=1:exitcode=99";
}

static volatile int first_finding = 64;

/* An empty root has no /dev/null, but descriptor 0 is it. */
static int open_null(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : fd;
}

static void __attribute__((constructor)) begin_early(void)
{
	__sanitizer_sandbox_arguments nothing = {0};
	int null = open_null(), kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	dup3(null, STDERR_FILENO, 0);
	first_finding = 1 << first_finding;
	__sanitizer_print_stack_trace();
	__sanitizer_sandbox_on_notify(&nothing);
	dup3(kept, STDERR_FILENO, 0);
	close(kept);
	close(null);
}

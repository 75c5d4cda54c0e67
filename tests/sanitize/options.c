/*
 * How the runtimes behave in every sanitized process. A worker has no environment, so the options
 * are functions. Nothing may need a path or another process once the filter is on: no symbolizer
 * (test_sanitize.py finds names and lines afterwards), no search for leaks (it traces the process;
 * workers have no heap after boot, and the unit tests search).
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "symbolize=0:color=never:detect_leaks=0:halt_on_error=1:exitcode=99:"
	       "detect_stack_use_after_return=0:strict_string_checks=1:quarantine_size_mb=16:"
	       "check_malloc_usable_size=0:allow_addr2line=0:use_sigaltstack=0";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "symbolize=0:color=never:halt_on_error=1:exitcode=99:print_stacktrace=1";
}

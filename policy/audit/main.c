/*
 * natlock-audit: natlockctl's part that looks at processes. natlockctl itself is confined and may
 * do none of this; it starts this program with the gateway's socket as descriptor 3.
 *
 *     natlock-audit audit [--probe] [--json]
 *     natlock-audit export json|systemd|oci [PROC]
 *
 * It asks the gateway nothing: the socket is there because the kernel knows who listens at its other
 * end. Exit code: 0 no drift, 7 drift, 1 it could not be done, 2 usage.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "export_command.h"
#include "gather.h"
#include "probe.h"
#include "report.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_DRIFT = 7, SOCKET_FD = 3 };

static bool is_json;

/* As natlockctl says it (ipc/ctl/failure.h). */
static int failed(const char *what, int error)
{
	const char *fix = error == ESRCH || error == ENOENT
				  ? "Run it on the host, in natlock's pid namespace."
				  : "Try again; if it stays so, see: natlockctl health";

	if (!is_json) {
		fprintf(stderr, "natlockctl: %s\n  cause: %s\n  fix:   %s\n", what, strerror(error),
			fix);
		return EXIT_FAILED;
	}
	fputs("{\"error\":{\"code\":\"E0715\",\"message\":", stderr);
	report_json_string(stderr, what);
	fputs(",\"cause\":", stderr);
	report_json_string(stderr, strerror(error));
	fputs(",\"fix\":", stderr);
	report_json_string(stderr, fix);
	fputs("}}\n", stderr);
	return EXIT_FAILED;
}

static uint64_t longest_stop(const struct compare_crew *crew)
{
	uint64_t longest = 0;
	unsigned int i;

	for (i = 0; i < crew->count; i++)
		if (crew->process[i].stopped_ns > longest)
			longest = crew->process[i].stopped_ns;
	return longest;
}

static uint64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int audit(bool probe)
{
	static struct compare_crew crew;
	struct checks list = {0};
	pid_t supervisor = gather_supervisor(SOCKET_FD, &crew);
	int error;

	close(SOCKET_FD);
	if (supervisor < 0)
		return failed("cannot tell which process listens at natlock's socket", -supervisor);
	error = gather(&crew, supervisor);
	if (error < 0)
		return failed("cannot look at the supervisor", -error);
	compare_all(&list, &crew, policy_filters);
	if (probe)
		probe_all(&list, crew.landlock_abi);
	if (is_json)
		report_json(stdout, &list, wall_ms(), longest_stop(&crew));
	else
		report_table(stdout, &list);
	if (fflush(stdout) != 0 || ferror(stdout))
		return failed("cannot write the output", errno);
	if (!is_json)
		report_summary(stderr, &list, longest_stop(&crew), crew.socket);
	error = list.results[CHECK_DRIFT] ? EXIT_DRIFT : EXIT_OK;
	check_free(&list);
	gather_free(&crew);
	return error;
}

int main(int argc, char **argv)
{
	is_json = argc > 2 && strcmp(argv[argc - 1], "--json") == 0;
	argc -= is_json;

	/* What it may do it does by itself: nothing that it starts can gain anything. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed("cannot give up gaining privileges", errno);
	if (argc >= 2 && strcmp(argv[1], "audit") == 0)
		return audit(argc > 2 && strcmp(argv[2], "--probe") == 0);
	if (argc >= 3 && strcmp(argv[1], "export") == 0)
		return export_command(stdout, argv[2], argc > 3 ? argv[3] : NULL);
	fprintf(stderr, "natlock-audit is started by: natlockctl policy audit\n");
	return EXIT_USAGE;
}

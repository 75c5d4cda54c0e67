/* natlockctl: arguments, connection, lock, one question, its answer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alg_test.h"
#include "audit.h"
#include "ctl.h"
#include "import.h"
#include "lockdown.h"

/* stdio would ask the kernel about its descriptor before it chose a buffer; the filter allows no
 * such question. */
static char out_buffer[65536];

/* The end of what needs no gateway: it is done when it is written. */
static int finish(const struct ctl *ctl, int code, struct failure *f)
{
	if (code == CTL_OK && (fflush(ctl->out) != 0 || ferror(ctl->out)))
		code = failure(
			f, CTL_FAILED, "E0709", strerror(errno), NULL, "cannot write the output");
	return code == CTL_OK ? CTL_OK : ctl_fail(ctl, f);
}

int main(int argc, char **argv)
{
	static struct ctl ctl;
	struct failure f;
	int code, fd, error;

	ctl.out = stdout;
	ctl.err = stderr;
	setvbuf(stdout, out_buffer, _IOFBF, sizeof(out_buffer));
	code = ctl_parse(&ctl, argc, argv);
	if (code == CTL_OK)
		return finish(&ctl, code, &f);
	if (code != CTL_GO_ON)
		return code;
	if (ctl.verb->kind == VERB_IMPORT) {
		code = import_command(ctl.argument[0], stdout, stderr, &f);
		return finish(&ctl, code, &f);
	}
	if (ctl.verb->kind == VERB_ALG_TEST)
		return finish(&ctl, alg_test_command(&ctl, &f), &f);
	if (ctl.verb->kind == VERB_AUDIT || ctl.verb->kind == VERB_DECLARED) {
		audit_command(&ctl, &f);
		return ctl_fail(&ctl, &f);
	}
	ctl.is_terminal = isatty(STDOUT_FILENO) == 1;
	fd = client_connect(ctl.api, &f);
	if (fd < 0)
		return ctl_fail(&ctl, &f);
	error = lockdown(fd, ctl.file);
	ctl.file = ctl.file >= 0 ? LOCKDOWN_FILE : -1;
	if (error < 0) {
		failure(&f, CTL_FAILED, "E0710", strerror(-error),
			"See which kernel feature is missing: natlock doctor",
			"cannot confine natlockctl");
		return ctl_fail(&ctl, &f);
	}
	return ctl_run(&ctl, LOCKDOWN_FD);
}

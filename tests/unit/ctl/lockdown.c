/* lockdown.c: after it, natlockctl can talk and print, and nothing else. Each case is a child that
 * is killed or not. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "columns.h"
#include "lockdown.h"
#include "rig.h"

enum { MARK = 42 };

/* Runs `act` in a child behind the lock, with a file that goes along or -1; its wait status. */
static int behind_the_lock_with(int file, int (*act)(void))
{
	int pair[2], status;
	pid_t pid;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		if (lockdown(pair[0], file) != 0)
			_exit(99);
		_exit(act());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	close(pair[0]);
	close(pair[1]);
	return status;
}

static int behind_the_lock(int (*act)(void))
{
	return behind_the_lock_with(-1, act);
}

static int opens(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0 ? 1 : 2;
}
static int makes_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0) >= 0 ? 1 : 2;
}
static int forks(void)
{
	return fork() >= 0 ? 1 : 2;
}
static int executes(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}
static int maps_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}
static int reads_the_terminal(void)
{
	char byte;

	return (int)read(0, &byte, 1);
}
static int kills(void)
{
	return kill(1, SIGTERM);
}

Test(lockdown, what_it_does_not_need_ends_it)
{
	static int (*const acts[])(void) = {
		opens, makes_socket, forks, executes, maps_code, reads_the_terminal, kills};

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		int status = behind_the_lock(acts[i]);

		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "act %zu: status %x",
			i, (unsigned int)status);
	}
}

/* What a table of many rows needs: memory, the question, the wait, the clock's zone. */
static int does_its_job(void)
{
	static const struct column clock = {"CREATED", "created_ms", NULL, CELL_CLOCK, false};
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__VersionRequest version = NL__VERSION_REQUEST__INIT;
	Nl__NatRow row = NL__NAT_ROW__INIT;
	size_t bytes = 64 << 20;
	uint8_t *big = malloc(bytes);
	char cell[CELL_BYTES_MAX];
	static struct ctl ctl;
	struct failure why;

	if (big == NULL)
		return 1;
	memset(big, 1, bytes);
	big = realloc(big, 2 * bytes);
	if (big == NULL)
		return 2;
	free(big);
	row.has_created_ms = 1;
	column_text(&clock, &row.base, true, cell);
	request.msg_case = NL__OPERATOR_REQUEST__MSG_VERSION;
	request.version = &version;
	client_init(&ctl.client, LOCKDOWN_FD);
	ctl.client.timeout_ms = 10;
	if (client_ask(&ctl.client, &request, -1, &why) != CTL_OK)
		return 3;
	return client_answer(&ctl.client, &why) == NULL && why.exit_code == CTL_TIMED_OUT ? MARK
											  : 4;
}

Test(lockdown, its_own_job_still_works)
{
	int status = behind_the_lock(does_its_job);

	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == MARK, "status %x",
		(unsigned int)status);
}

/* The file can be sent, and nothing else be done with it. */
static int sends_the_file(void)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__ConfigRequest config = NL__CONFIG_REQUEST__INIT;
	static struct ctl ctl;
	struct failure why;

	request.msg_case = NL__OPERATOR_REQUEST__MSG_CONFIG;
	request.config = &config;
	client_init(&ctl.client, LOCKDOWN_FD);
	return client_ask(&ctl.client, &request, LOCKDOWN_FILE, &why) == CTL_OK ? MARK : 1;
}
static int reads_the_file(void)
{
	char byte;

	return (int)read(LOCKDOWN_FILE, &byte, 1);
}

Test(lockdown, a_file_can_be_sent_and_not_be_read)
{
	/* wherever the two stand: the pair gets the next free numbers */
	for (int low = 0; low < 2; low++) {
		int other = low ? -1 : open("/dev/null", O_RDONLY),
		    file = open("/dev/null", O_RDONLY), status;

		status = behind_the_lock_with(file, sends_the_file);
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == MARK, "status %x",
			(unsigned int)status);
		status = behind_the_lock_with(file, reads_the_file);
		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status %x",
			(unsigned int)status);
		close(file);
		close(other);
	}
}

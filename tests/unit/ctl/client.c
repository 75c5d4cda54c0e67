/* client.c: finding the socket, silence, the end of the connection. */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "rig.h"

static char folder[] = "/tmp/natlock-client-XXXXXX";

static int listen_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/natlock/%s", folder, name);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 4), 0);
	return fd;
}

static void make_folder(void)
{
	char path[128];

	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/natlock", folder);
	cr_assert_eq(mkdir(path, 0700), 0);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	unsetenv("NATLOCK_API");
}

static void remove_folder(void)
{
	static const char *const names[] = {"natlock/api", "natlock/admin-api", "natlock/run-1",
		"natlock/run-2", "natlock", "."};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
	rmdir(folder);
}

/* A skipped test has no .fini. */
static void skip_if_another_could_be_found(void)
{
	if (access("/run/natlock", F_OK) < 0 && access("/tmp/natlock-0", F_OK) < 0)
		return;
	remove_folder();
	cr_skip_test("a natlock of this machine could be found instead");
}

Test(client, nobody_there_is_exit_code_3, .init = make_folder, .fini = remove_folder)
{
	struct failure why;
	char path[128];

	snprintf(path, sizeof(path), "%s/none", folder);
	cr_assert_lt(client_connect(path, &why), 0);
	cr_expect_eq(why.exit_code, CTL_UNREACHABLE);
	cr_expect_not_null(strstr(why.message, "no running natlock at /tmp/natlock-client-"));
	cr_expect_str_eq(why.fix, "Start one: natlock up");
	setenv("NATLOCK_API", path, 1);
	cr_assert_lt(client_connect(NULL, &why), 0);
	cr_expect_not_null(strstr(why.message, path));
}

Test(client, a_path_too_long_for_a_socket, .init = make_folder, .fini = remove_folder)
{
	char path[300];
	struct failure why;

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	cr_assert_lt(client_connect(path, &why), 0);
	cr_expect_eq(why.exit_code, CTL_UNREACHABLE);
}

Test(client, the_usual_socket_is_found, .init = make_folder, .fini = remove_folder)
{
	int listener = listen_at("api"), run = listen_at("run-1"), fd, accepted;
	struct failure why;

	fd = client_connect(NULL, &why);
	cr_assert_geq(fd, 0, "%s", why.message);
	accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	cr_expect_geq(accepted, 0);
	close(run);
	close(fd);
}

Test(client, the_owners_socket_comes_first, .init = make_folder, .fini = remove_folder)
{
	int plain = listen_at("api"), admin = listen_at("admin-api"), fd;
	struct failure why;

	fd = client_connect(NULL, &why);
	cr_assert_geq(fd, 0, "%s", why.message);
	cr_expect_geq(accept4(admin, NULL, NULL, SOCK_NONBLOCK), 0);
	close(plain);
	close(fd);
}

Test(client, one_run_socket_is_found_and_dead_ones_do_not_count, .init = make_folder,
	.fini = remove_folder)
{
	int dead = listen_at("run-1"), alive = listen_at("run-2"), fd;
	struct failure why;

	skip_if_another_could_be_found();
	close(dead);
	fd = client_connect(NULL, &why);
	cr_assert_geq(fd, 0, "%s", why.message);
	cr_expect_geq(accept4(alive, NULL, NULL, SOCK_NONBLOCK), 0);
	close(fd);
}

Test(client, several_run_sockets_need_a_choice, .init = make_folder, .fini = remove_folder)
{
	int one = listen_at("run-1"), two = listen_at("run-2");
	struct failure why;

	skip_if_another_could_be_found();
	cr_assert_lt(client_connect(NULL, &why), 0);
	cr_expect_eq(why.exit_code, CTL_USAGE);
	cr_expect_eq(strncmp(why.message, "2 gateways are running", 22), 0);
	close(one);
	close(two);
}

Test(client, silence_times_out)
{
	const Nl__OperatorAnswer *answer;
	struct failure why;
	struct rig r;

	rig_open(&r);
	client_init(&r.ctl.client, r.near);
	r.ctl.client.timeout_ms = 20;
	answer = client_answer(&r.ctl.client, &why);
	cr_assert_null(answer);
	cr_expect_eq(why.exit_code, CTL_TIMED_OUT);
	cr_expect_str_eq(why.message, "no answer for 20 ms");
	rig_close(&r);
}

Test(client, the_end_is_told)
{
	struct failure why;
	struct rig r;

	rig_open(&r);
	client_init(&r.ctl.client, r.near);
	close(r.far);
	cr_assert_null(client_answer(&r.ctl.client, &why));
	cr_expect_eq(why.exit_code, CTL_FAILED);
	cr_expect_str_eq(why.code, "E0705");
	rig_close(&r);
}

Test(client, descriptors_are_refused_and_closed)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	Nl__OperatorAnswer answer = NL__OPERATOR_ANSWER__INIT;
	Nl__Done done = NL__DONE__INIT;
	uint8_t packed[16];
	struct iovec iov = {packed, 0};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	struct failure why;
	struct rig r;
	int pipe_ends[2];
	char byte;

	cr_assert_eq(pipe(pipe_ends), 0);
	rig_open(&r);
	answer.msg_case = NL__OPERATOR_ANSWER__MSG_DONE;
	answer.done = &done;
	iov.iov_len = nl__operator_answer__pack(&answer, packed);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &pipe_ends[1], sizeof(int));
	cr_assert_gt(sendmsg(r.far, &m, 0), 0);
	close(pipe_ends[1]);
	client_init(&r.ctl.client, r.near);
	cr_assert_null(client_answer(&r.ctl.client, &why));
	cr_expect_str_eq(why.code, "E0706");
	cr_expect_eq(read(pipe_ends[0], &byte, 1), 0, "the write end must be closed everywhere");
	rig_close(&r);
}

Test(client, a_request_too_long_is_not_sent)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__PolicyRequest policy = NL__POLICY_REQUEST__INIT;
	static char process[CHAN_MAX_BYTES];
	struct failure why;
	struct rig r;

	memset(process, 'x', sizeof(process) - 1);
	process[sizeof(process) - 1] = '\0';
	policy.process = process;
	request.msg_case = NL__OPERATOR_REQUEST__MSG_POLICY;
	request.policy = &policy;
	rig_open(&r);
	client_init(&r.ctl.client, r.near);
	cr_expect_eq(client_ask(&r.ctl.client, &request, -1, &why), CTL_USAGE);
	rig_close(&r);
}

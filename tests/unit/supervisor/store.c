/* The lease journal: what a crash, a full disk or a bad byte may leave behind must not lose or
 * invent a lease. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

static char folder[64];

static void make_folder(void)
{
	strcpy(folder, "/tmp/natlock-test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(store, .init = make_folder, .fini = remove_folder);

static Nl__Lease lease(uint32_t ip_be, const char *name)
{
	static uint8_t mac[6] = {1, 2, 3, 4, 5, 6}, id[3] = {0, 0xff, 0x20};
	Nl__Lease l = NL__LEASE__INIT;

	l.ip_be = ip_be;
	l.mac = (ProtobufCBinaryData){6, mac};
	l.client_id = (ProtobufCBinaryData){3, id};
	l.host_name = (char *)(uintptr_t)name;
	l.created_ms = 1000;
	l.expires_ms = 7201000;
	l.entry = 7;
	return l;
}

static void commit(struct store *s, uint32_t ip_be, const char *name)
{
	Nl__Lease l = lease(ip_be, name);

	cr_assert_eq(store_commit(s, &l), 0);
	cr_assert_eq(store_sync(s), 0);
}

static void append(const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/leases-h", folder);
	fd = open(path, O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(store, leases_survive_and_the_last_word_counts)
{
	struct store s;

	cr_assert_eq(store_open(&s, folder, "h"), 0);
	commit(&s, 0x0a1ea8c0, "first host");
	commit(&s, 0x0b1ea8c0, "");
	commit(&s, 0x0a1ea8c0, "r\303\244nk \"x\" \n");
	store_close(&s);
	cr_assert_eq(store_open(&s, folder, "h"), 0);
	cr_assert_eq(s.leases, 2);
	cr_assert_str_eq(s.lease[0].host_name, "r\303\244nk \"x\" \n");
	cr_assert_str_eq(s.lease[1].host_name, "");
	cr_assert_eq(s.lease[0].client_id_bytes, 3);
	cr_assert_eq(s.lease[0].client_id[1], 0xff);
	cr_assert_eq(store_in_force(&s, 7200999), 2);
	cr_assert_eq(store_in_force(&s, 7201000), 0);
	store_close(&s);
}

Test(store, a_torn_tail_costs_only_itself)
{
	struct store s;

	store_open(&s, folder, "h");
	commit(&s, 0x0a1ea8c0, "kept");
	store_close(&s);
	append("L1 0123456789abcdef 0b1ea8c0 0102");
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, 1);
	commit(&s, 0x0c1ea8c0, "after");
	store_close(&s);
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, 2, "the line after the torn one is read");
	store_close(&s);
}

Test(store, any_damaged_byte_is_noticed)
{
	struct store_lease l = {.ip_be = 0x0a1ea8c0,
				   .mac = {1, 2, 3, 4, 5, 6},
				   .host_name = "NT4",
				   .expires_ms = 5},
			   out;
	char line[STORE_LINE];
	size_t n = store_line(line, sizeof(line), &l), i;

	cr_assert_eq(store_parse(line, n - 1, &out), 0);
	cr_assert_eq(memcmp(&l, &out, sizeof(l)), 0);
	for (i = 0; i < n - 1; i++) {
		line[i] ^= 1;
		cr_assert_neq(store_parse(line, n - 1, &out), 0, "byte %zu", i);
		line[i] ^= 1;
	}
	for (i = 0; i < n - 1; i++)
		cr_assert_neq(store_parse(line, i, &out), 0, "cut at %zu", i);
}

Test(store, the_longest_lease_fits_a_line)
{
	struct store_lease l = {.ip_be = UINT32_MAX,
				   .client_id_bytes = STORE_CLIENT_ID,
				   .created_ms = UINT64_MAX,
				   .expires_ms = UINT64_MAX,
				   .entry = UINT32_MAX,
				   .state = 2},
			   out;
	char line[STORE_LINE];
	size_t n;

	memset(l.host_name, 'x', STORE_HOST_NAME);
	memset(l.client_id, 0xaa, sizeof(l.client_id));
	n = store_line(line, sizeof(line), &l);
	cr_assert_gt(n, 0);
	cr_assert_eq(store_parse(line, n - 1, &out), 0);
	cr_assert_eq(memcmp(&l, &out, sizeof(l)), 0);
}

Test(store, history_is_compacted)
{
	struct store s;
	struct stat st;
	int i;

	store_open(&s, folder, "h");
	for (i = 0; i < STORE_SLACK + 100; i++) {
		Nl__Lease l = lease(0x0a1ea8c0, "same");

		cr_assert_eq(store_commit(&s, &l), 0);
	}
	cr_assert_eq(store_sync(&s), 0);
	cr_assert_eq(fstat(s.fd, &st), 0);
	cr_assert_lt(st.st_size, STORE_LINE);
	commit(&s, 0x0b1ea8c0, "next");
	store_close(&s);
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, 2);
	store_close(&s);
}

Test(store, a_disk_that_takes_nothing_is_told)
{
	struct store s;
	Nl__Lease l = lease(0x0a1ea8c0, "x");

	store_open(&s, folder, "h");
	close(s.fd);
	s.fd = open("/dev/full", O_WRONLY);
	cr_assert_eq(store_commit(&s, &l), 0);
	cr_assert_lt(store_sync(&s), 0);
	cr_assert_not(store_has_pending(&s), "it is not tried again behind dhcpd's back");
	cr_assert(s.failing);
	cr_assert_eq(s.leases, 0, "and not remembered");
	store_close(&s);
	cr_assert_lt(store_open(&s, "/proc/nowhere", "h"), 0);
	cr_assert_eq(store_commit(&s, &l), 0);
	cr_assert_eq(store_sync(&s), -ENOENT, "the reason, not that a descriptor is bad");
	store_close(&s);
}

Test(store, nonsense_is_refused)
{
	struct store s;
	Nl__Lease l = lease(0, "no address");

	store_open(&s, NULL, "h");
	cr_assert_lt(store_commit(&s, &l), 0);
	cr_assert_lt(store_commit(&s, NULL), 0);
	l = lease(1, "short mac");
	l.mac.len = 5;
	cr_assert_lt(store_commit(&s, &l), 0);
	l = lease(1, "fine, not kept");
	cr_assert_eq(store_commit(&s, &l), 0);
	cr_assert_eq(store_sync(&s), 0);
	store_close(&s);
}

static size_t file_bytes(void)
{
	struct stat st;
	char path[128];

	snprintf(path, sizeof(path), "%s/leases-h", folder);
	cr_assert_eq(stat(path, &st), 0);
	return (size_t)st.st_size;
}

/* kill -9 in the middle of a write leaves any prefix of the journal. */
Test(store, every_point_of_truncation, .timeout = 120)
{
	enum { LEASES = 5 };
	struct store s;
	char path[128], whole[LEASES * STORE_LINE];
	size_t end[LEASES + 1] = {0}, n, cut, complete = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/leases-h", folder);
	store_open(&s, folder, "h");
	for (n = 0; n < LEASES; n++) {
		commit(&s, 0x0a1ea8c0 + ((uint32_t)n << 24), "a host");
		end[n + 1] = (size_t)s.bytes;
	}
	store_close(&s);
	fd = open(path, O_RDONLY);
	cr_assert_eq(read(fd, whole, end[LEASES]), (ssize_t)end[LEASES]);
	close(fd);
	for (cut = 0; cut <= end[LEASES]; cut++) {
		fd = open(path, O_WRONLY | O_TRUNC);
		cr_assert_eq(write(fd, whole, cut), (ssize_t)cut);
		close(fd);
		while (complete < LEASES && end[complete + 1] - 1 <= cut)
			complete++;
		cr_assert_eq(store_open(&s, folder, "h"), 0);
		cr_assert_eq(s.leases, complete, "cut at %zu", cut);
		commit(&s, 0x631ea8c0, "after");
		store_close(&s);
		cr_assert_eq(store_open(&s, folder, "h"), 0);
		cr_assert_eq(s.leases, complete + 1, "cut at %zu, then written", cut);
		store_close(&s);
	}
}

/* A disk that fills up in the middle of a line, and has room again. */
Test(store, a_limit_in_mid_write_leaves_nothing_of_it)
{
	struct store s;
	struct rlimit limit = {0, RLIM_INFINITY};
	Nl__Lease l = lease(0x0b1ea8c0, "refused");
	size_t before, line;

	signal(SIGXFSZ, SIG_IGN);
	store_open(&s, folder, "h");
	commit(&s, 0x0a1ea8c0, "kept");
	before = line = (size_t)s.bytes;
	for (limit.rlim_cur = before; limit.rlim_cur < before + line; limit.rlim_cur++) {
		cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
		cr_assert_eq(store_commit(&s, &l), 0);
		cr_assert_eq(store_sync(&s), -EFBIG);
		cr_assert_eq(file_bytes(), before);
		cr_assert_eq(s.leases, 1);
	}
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	commit(&s, 0x0c1ea8c0, "room again");
	cr_assert_not(s.failing);
	store_close(&s);
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, 2);
	store_close(&s);
}

/* Once the cause is gone leases are stored: no restart. */
Test(store, a_journal_that_could_not_be_opened_is_tried_again)
{
	struct store s;
	char path[128];
	Nl__Lease l = lease(0x0a1ea8c0, "x");

	snprintf(path, sizeof(path), "%s/leases-h", folder);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(store_open(&s, folder, "h"), -EISDIR);
	cr_assert(s.failing);
	cr_assert_eq(store_commit(&s, &l), 0);
	cr_assert_eq(store_sync(&s), -EISDIR);
	cr_assert_eq(rmdir(path), 0);
	commit(&s, 0x0a1ea8c0, "now");
	cr_assert_not(s.failing);
	store_close(&s);
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, 1);
	store_close(&s);
}

Test(store, a_crash_in_a_rewrite_leaves_the_old_journal)
{
	struct store s;
	char path[128];
	int fd;

	store_open(&s, folder, "h");
	commit(&s, 0x0a1ea8c0, "kept");
	store_close(&s);
	snprintf(path, sizeof(path), "%s/leases-h.new", folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(write(fd, "L1 half", 7), 7);
	close(fd);
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, 1);
	for (int i = 0; i < STORE_SLACK + 100; i++) {
		Nl__Lease l = lease(0x0a1ea8c0, "same");
		cr_assert_eq(store_commit(&s, &l), 0);
	}
	cr_assert_eq(store_sync(&s), 0);
	store_close(&s);
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, 1);
	cr_assert_eq(s.lines, 1, "rewritten over what the crash left");
	store_close(&s);
}

/* More addresses than are remembered: those whose lease is over make room. */
Test(store, old_days_make_room, .timeout = 120)
{
	struct store s;
	Nl__Lease l = lease(0, "x");
	uint32_t i;

	store_open(&s, NULL, "h");
	for (i = 1; i <= STORE_LEASES; i++) {
		l.ip_be = i;
		cr_assert_eq(store_commit(&s, &l), 0);
		cr_assert_eq(store_sync(&s), 0);
	}
	l.ip_be = STORE_LEASES + 1;
	cr_assert_eq(store_commit(&s, &l), -ENOSPC, "all in force");
	l.ip_be = 7;
	cr_assert_eq(store_commit(&s, &l), 0, "a renewal");
	cr_assert_eq(store_sync(&s), 0);
	l.ip_be = STORE_LEASES + 1;
	l.created_ms = l.expires_ms;
	l.expires_ms *= 2;
	cr_assert_eq(store_commit(&s, &l), 0);
	cr_assert_eq(store_sync(&s), 0);
	cr_assert_eq(s.leases, 1);
	store_close(&s);
}

/* Ended leases that had to make room come back with the journal; they must not take the place of those in force. */
Test(store, old_days_make_room_after_a_restart_too, .timeout = 120)
{
	struct store s;
	Nl__Lease l = lease(0, "");
	uint32_t i;

	store_open(&s, folder, "h");
	for (i = 1; i <= STORE_LEASES; i++) {
		l.ip_be = i;
		l.expires_ms = i <= 100 ? 2000 : 7201000;
		cr_assert_eq(store_commit(&s, &l), 0);
	}
	cr_assert_eq(store_sync(&s), 0);
	l.created_ms = 3000;
	for (; i <= STORE_LEASES + 100; i++) {
		l.ip_be = i;
		cr_assert_eq(store_commit(&s, &l), 0);
	}
	cr_assert_eq(store_sync(&s), 0);
	store_close(&s);
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, STORE_LEASES);
	cr_assert_eq(store_in_force(&s, 3000), STORE_LEASES);
	store_close(&s);
}

Test(store, a_rewrite_that_fails_is_not_tried_with_each_commit)
{
	struct store s;
	char path[128];

	snprintf(path, sizeof(path), "%s/leases-h.new", folder);
	cr_assert_eq(mkdir(path, 0700), 0);
	store_open(&s, folder, "h");
	for (int i = 0; i < STORE_SLACK + 10; i++)
		commit(&s, 0x0a1ea8c0, "");
	cr_assert_eq(s.lines, STORE_SLACK + 10);
	cr_assert_eq(rmdir(path), 0);
	commit(&s, 0x0a1ea8c0, "");
	cr_assert_eq(s.lines, STORE_SLACK + 11);
	for (int i = 0; i < STORE_SLACK; i++)
		commit(&s, 0x0a1ea8c0, "");
	cr_assert_lt(s.lines, STORE_SLACK);
	store_close(&s);
}

Test(store, each_cause_has_its_advice)
{
	static const int causes[] = {ENOSPC, EFBIG, EROFS, EACCES, EIO};

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		cr_assert_gt(strlen(store_advice(-causes[i])), 10);
	cr_assert_str_neq(store_advice(-ENOSPC), store_advice(-EROFS));
}

/* The journal has room in advance; what is written there is found, and no room is left behind where the disk has none. */
Test(store, commits_are_written_into_room_that_is_there)
{
	struct store s;
	size_t at_first;
	uint32_t i;

	store_open(&s, folder, "h");
	commit(&s, 0x0a1ea8c0, "first");
	at_first = file_bytes();
	cr_assert_geq(at_first, STORE_ROOM);
	for (i = 0; i < 10; i++)
		commit(&s, 0x0b1ea8c0 + (i << 24), "next");
	cr_assert_eq(file_bytes(), at_first);
	store_close(&s);
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, 11);
	cr_assert_eq(s.lines, 11, "empty lines are none");
	commit(&s, 0x0a1fa8c0, "over the room, after a restart");
	cr_assert_eq(file_bytes(), at_first);
	for (i = 0; i < 1000; i++) {
		Nl__Lease l = lease(0x0b1ea8c0 + (i << 24), "again");

		cr_assert_eq(store_commit(&s, &l), 0);
	}
	cr_assert_eq(store_sync(&s), 0);
	cr_assert_gt(file_bytes(), at_first);
	store_close(&s);
	store_open(&s, folder, "h");
	cr_assert_eq(s.leases, 257);
	store_close(&s);
}

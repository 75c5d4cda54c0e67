/* The lease journal: what a crash, a full disk or a bad byte may leave behind must not lose or
 * invent a lease. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	store_close(&s);
	cr_assert_lt(store_open(&s, "/proc/nowhere", "h"), 0);
	cr_assert_eq(store_commit(&s, &l), 0);
	cr_assert_lt(store_sync(&s), 0);
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

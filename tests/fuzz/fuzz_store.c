/*
 * A leases journal that was torn, damaged or written by somebody else. Any bytes are read at start; then a lease is
 * committed, and a second start must find it with everything that the first one took, whatever the file was.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static char folder[64], path[96];

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void leave(void)
{
	unlink(path);
	rmdir(folder);
}

/* In memory: nothing here may wait for a disk. */
static void begin(void)
{
	snprintf(folder, sizeof(folder), "/dev/shm/natlock-fuzz-XXXXXX");
	require(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/leases-fuzz", folder);
	atexit(leave);
}

static void write_journal(const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* What is remembered can be written as a line that reads back as itself. */
static void check(const struct store *s)
{
	char line[STORE_LINE];
	struct store_lease again;
	for (size_t i = 0; i < s->leases; i++) {
		const struct store_lease *l = &s->lease[i];
		const size_t n = store_line(line, sizeof(line), l);
		require(l->ip_be && l->state <= NL__LEASE__STATE__DECLINED);
		require(n > 0 && n <= sizeof(line) && line[n - 1] == '\n');
		require(store_parse(line, n - 1, &again) == 0);
		require(again.ip_be == l->ip_be && again.entry == l->entry &&
			strcmp(again.host_name, l->host_name) == 0);
		for (size_t k = 0; k < i; k++)
			require(s->lease[k].ip_be != l->ip_be);
	}
}

static bool knows(const struct store *s, uint32_t ip_be)
{
	for (size_t i = 0; i < s->leases; i++)
		if (s->lease[i].ip_be == ip_be)
			return true;
	return false;
}

static void commit(struct store *s)
{
	uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	Nl__Lease lease = NL__LEASE__INIT;
	lease.ip_be = 0x0a1ea8c0;
	lease.mac = (ProtobufCBinaryData){sizeof(mac), mac};
	lease.host_name = (char *)(uintptr_t) "laptop";
	lease.expires_ms = UINT64_MAX;
	require(store_commit(s, &lease) == 0 && store_sync(s) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct store s, again;
	if (!folder[0])
		begin();
	write_journal(data, size);
	require(store_open(&s, folder, "fuzz") == 0);
	check(&s);
	const size_t before = s.leases;
	commit(&s);
	require(s.leases >= before && knows(&s, 0x0a1ea8c0));
	/* Reading all of the room that the file was given would be most of a run. */
	require(truncate(path, s.bytes + (off_t)(size % 3)) == 0);
	require(store_open(&again, folder, "fuzz") == 0);
	require(again.leases == s.leases && knows(&again, 0x0a1ea8c0));
	check(&again);
	store_close(&s);
	store_close(&again);
	return 0;
}

/* A whole line more, which plain mutation never finds the checksum of. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct store_lease l = {.ip_be = 0x001ea8c0 | (seed & 15) << 24,
		.created_ms = seed >> 4,
		.expires_ms = seed & 16 ? UINT64_MAX : seed >> 3,
		.entry = seed >> 8,
		.client_id_bytes = (uint8_t)(seed >> 5),
		.state = seed >> 20 & 3};
	char line[STORE_LINE];
	memset(l.host_name, 'a' + (int)(seed >> 16 & 15), seed >> 12 & 31);
	const size_t n = store_line(line, sizeof(line), &l);
	if (seed & 0x40000000 || n > max_size - size)
		return LLVMFuzzerMutate(data, size, max_size);
	memcpy(data + size, line, n);
	return size + n;
}

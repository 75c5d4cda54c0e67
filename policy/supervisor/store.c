/*
 * Theory of operation. The journal is read once, at the start, into a table; from then on the
 * table is the truth and the file follows. Commits of one turn are written together and synced
 * once; only then do they enter the table.
 *
 * The file grows by STORE_ROOM empty lines at a time, and commits are written over those: then a
 * sync need not wait for the file system to note a new length in its own journal, which takes ten
 * times as long on a busy disk.
 *
 * A write that failed half-way (full disk) is cut off again, so that no lease is found there that
 * nobody was promised. A line that a crash tore damages only itself: the next write begins with a
 * newline. Until a write succeeds commits are answered stored = false, and dhcpd promises nothing
 * new (docs/decisions/0016). A journal that cannot be opened is tried again with each commit: no
 * restart is needed once its cause is gone.
 *
 * The rewrite goes to leases-HUB.new, is synced, and takes the old name; a crash in between leaves
 * the old file.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "hash.h"
#include "places.h"
#include "store.h"

static uint64_t checksum(const char *bytes, size_t n)
{
	static const struct hash_key key = {0x6e61746c6f636b31, 0x6c65617365730a00};

	return hash_sip(&key, bytes, n);
}

static size_t put_hex(char *out, const void *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *at = bytes;
	size_t i;

	if (n == 0) {
		out[0] = '-';
		return 1;
	}
	for (i = 0; i < n; i++) {
		out[2 * i] = digits[at[i] >> 4];
		out[2 * i + 1] = digits[at[i] & 15];
	}
	return 2 * n;
}

/* Decodes one word of hex; -1 when it is not hex or longer than cap. */
static int get_hex(const char *word, size_t n, uint8_t *out, size_t cap)
{
	size_t i;

	if (n == 1 && word[0] == '-')
		return 0;
	if (n % 2 || n / 2 > cap)
		return -1;
	for (i = 0; i < n / 2; i++) {
		unsigned int byte;

		if (!strchr("0123456789abcdef", word[2 * i]) ||
			!strchr("0123456789abcdef", word[2 * i + 1]) ||
			sscanf(word + 2 * i, "%2x", &byte) != 1)
			return -1;
		out[i] = (uint8_t)byte;
	}
	return (int)(n / 2);
}

size_t store_line(char *out, size_t cap, const struct store_lease *l)
{
	char body[STORE_LINE];
	size_t n = (size_t)snprintf(body, sizeof(body), "%08" PRIx32 " ", l->ip_be);
	int total;

	n += put_hex(body + n, l->mac, sizeof(l->mac));
	body[n++] = ' ';
	n += put_hex(body + n, l->client_id, l->client_id_bytes);
	body[n++] = ' ';
	n += put_hex(body + n, l->host_name, strlen(l->host_name));
	snprintf(body + n, sizeof(body) - n, " %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu32,
		l->created_ms, l->expires_ms, l->entry, l->state);
	total = snprintf(out, cap, "L1 %016" PRIx64 " %s\n", checksum(body, strlen(body)), body);
	return total > 0 && (size_t)total < cap ? (size_t)total : 0;
}

static int parse_body(const char *body, struct store_lease *l)
{
	char mac[16], id[2 * STORE_CLIENT_ID + 2], name[2 * STORE_HOST_NAME + 2];
	int used = -1, id_bytes, name_bytes;

	memset(l, 0, sizeof(*l));
	if (sscanf(body,
		    "%" SCNx32 " %15s %511s %511s %" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu32
		    "%n",
		    &l->ip_be, mac, id, name, &l->created_ms, &l->expires_ms, &l->entry, &l->state,
		    &used) != 8 ||
		body[used] != '\0')
		return -EINVAL;
	id_bytes = get_hex(id, strlen(id), l->client_id, sizeof(l->client_id));
	name_bytes = get_hex(name, strlen(name), (uint8_t *)l->host_name, STORE_HOST_NAME);
	if (get_hex(mac, strlen(mac), l->mac, sizeof(l->mac)) != sizeof(l->mac) || id_bytes < 0 ||
		name_bytes < 0 || l->ip_be == 0 || l->state > NL__LEASE__STATE__DECLINED)
		return -EINVAL;
	l->client_id_bytes = (uint8_t)id_bytes;
	return 0;
}

int store_parse(const char *line, size_t n, struct store_lease *l)
{
	char text[STORE_LINE];
	uint64_t sum;
	int used = -1;

	if (n >= sizeof(text) || memchr(line, '\0', n))
		return -EINVAL;
	memcpy(text, line, n);
	text[n] = '\0';
	if (sscanf(text, "L1 %16" SCNx64 " %n", &sum, &used) != 1 || used < 0 ||
		sum != checksum(text + used, n - (size_t)used))
		return -EINVAL;
	return parse_body(text + used, l);
}

/* The place of an address in the hash: taken by it, or free for it. There is always a free one. */
static uint32_t *slot_of(const struct store *s, uint32_t ip_be)
{
	size_t at = ip_be * 2654435761u >> 8 & (s->slots - 1);

	while (s->slot[at] && s->lease[s->slot[at] - 1].ip_be != ip_be)
		at = (at + 1) & (s->slots - 1);
	return &s->slot[at];
}

static int grow(struct store *s)
{
	size_t capacity = s->capacity ? 2 * s->capacity : 64, i;
	struct store_lease *bigger = reallocarray(s->lease, capacity, sizeof(*bigger));
	uint32_t *slot = calloc(4 * capacity, sizeof(*slot));

	if (bigger)
		s->lease = bigger;
	if (!bigger || !slot) {
		free(slot);
		return -ENOMEM;
	}
	free(s->slot);
	s->slot = slot;
	s->slots = 4 * capacity;
	s->capacity = capacity;
	for (i = 0; i < s->leases; i++)
		*slot_of(s, s->lease[i].ip_be) = (uint32_t)i + 1;
	return 0;
}

static int remember(struct store *s, const struct store_lease *l)
{
	uint32_t *slot;

	if (s->leases == s->capacity && grow(s) < 0)
		return -ENOMEM;
	slot = slot_of(s, l->ip_be);
	if (*slot == 0 && s->leases == STORE_LEASES)
		return -ENOSPC;
	if (*slot == 0)
		*slot = (uint32_t)++s->leases;
	s->lease[*slot - 1] = *l;
	return 0;
}

/* Leases of other days make room, where networks were renumbered again and again. */
static void forget_ended(struct store *s, uint64_t now_ms)
{
	size_t i, kept = 0;

	for (i = 0; i < s->leases; i++)
		if (s->lease[i].expires_ms > now_ms)
			s->lease[kept++] = s->lease[i];
	s->leases = kept;
	if (s->slots)
		memset(s->slot, 0, s->slots * sizeof(s->slot[0]));
	for (i = 0; i < s->leases; i++)
		*slot_of(s, s->lease[i].ip_be) = (uint32_t)i + 1;
}

/*
 * A line that ends at `end` of the file. Ended leases that made room when it was written are there again now. -ENOMEM: a
 * lease is on disk and not known, so the journal is as good as unread.
 */
static int load_line(struct store *s, const char *line, size_t n, off_t end)
{
	struct store_lease l;
	int error = 0;

	if (n == 0)
		return 0;
	if (store_parse(line, n, &l) == 0 && (error = remember(s, &l)) == -ENOSPC) {
		forget_ended(s, l.created_ms);
		error = remember(s, &l);
	}
	s->lines++;
	s->bytes = end;
	return error == -ENOMEM ? error : 0;
}

static int load(struct store *s)
{
	char buffer[2 * STORE_LINE];
	size_t have = 0;
	int error = 0;
	ssize_t n;

	while (error == 0 && (n = read(s->fd, buffer + have, sizeof(buffer) - have)) > 0) {
		char *line = buffer, *end;

		have += (size_t)n;
		s->room += n;
		while (error == 0 && (end = memchr(line, '\n', have - (size_t)(line - buffer)))) {
			error = load_line(s, line, (size_t)(end - line),
				s->room - (off_t)have + (end + 1 - buffer));
			line = end + 1;
		}
		have -= (size_t)(line - buffer);
		memmove(buffer, line, have);
		if (have == sizeof(buffer)) /* no line is that long */
			have = 0;
	}
	s->torn = have > 0;
	if (error == 0)
		error = load_line(s, buffer, have, s->room); /* only its newline may be missing */
	return error;
}

static void sync_folder(const struct store *s)
{
	int fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

static int open_journal(struct store *s)
{
	int error;

	s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd < 0)
		return -errno;
	s->bytes = s->room = 0;
	s->lines = 0;
	error = load(s);
	if (error) {
		close(s->fd);
		s->fd = -1;
		return error;
	}
	if (s->room == 0)
		sync_folder(s); /* a new file's name must be on disk too */
	return 0;
}

int store_open(struct store *s, const char *folder, const char *hub)
{
	int error;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	if (!folder || !folder[0])
		return 0;
	/* Set first: a journal that cannot be opened makes commits fail, not succeed unkept. */
	snprintf(s->folder, sizeof(s->folder), "%s", folder);
	if (snprintf(s->path, sizeof(s->path), "%s/leases-%s", folder, hub) >= (int)sizeof(s->path))
		return -ENAMETOOLONG;
	error = places_make(folder, 0700, geteuid(), getegid());
	if (error == 0)
		error = open_journal(s);
	s->failing = error < 0;
	return error;
}

static int from_message(const Nl__Lease *m, struct store_lease *l)
{
	memset(l, 0, sizeof(*l));
	if (!m || !m->ip_be || m->mac.len != sizeof(l->mac) || m->client_id.len > STORE_CLIENT_ID ||
		(m->host_name && strlen(m->host_name) > STORE_HOST_NAME) ||
		(unsigned int)m->state > NL__LEASE__STATE__DECLINED)
		return -EINVAL;
	l->ip_be = m->ip_be;
	memcpy(l->mac, m->mac.data, sizeof(l->mac));
	l->client_id_bytes = (uint8_t)m->client_id.len;
	if (m->client_id.len)
		memcpy(l->client_id, m->client_id.data, m->client_id.len);
	snprintf(l->host_name, sizeof(l->host_name), "%s", m->host_name ? m->host_name : "");
	l->created_ms = m->created_ms;
	l->expires_ms = m->expires_ms;
	l->entry = m->entry;
	l->state = (uint32_t)m->state;
	return 0;
}

bool store_knows(const struct store *s, uint32_t ip_be)
{
	return s->slots && *slot_of(s, ip_be) != 0;
}

/* Whether one more address is too many. */
static bool is_over_full(const struct store *s, uint32_t ip_be)
{
	return s->leases + s->queued >= STORE_LEASES && !store_knows(s, ip_be);
}

int store_commit(struct store *s, const Nl__Lease *m)
{
	struct store_lease l;
	int error = from_message(m, &l);

	if (error < 0)
		return error;
	if (is_over_full(s, l.ip_be))
		forget_ended(s, l.created_ms);
	if (is_over_full(s, l.ip_be))
		return -ENOSPC;
	if (s->queued == s->queue_capacity) {
		size_t capacity = s->queue_capacity ? 2 * s->queue_capacity : 64;
		struct store_lease *bigger = reallocarray(s->queue, capacity, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		s->queue = bigger;
		s->queue_capacity = capacity;
	}
	s->queue[s->queued++] = l;
	return 0;
}

bool store_has_pending(const struct store *s)
{
	return s->queued > 0;
}

static int write_table(const struct store *s, int fd, off_t *bytes)
{
	char line[STORE_LINE];
	size_t i;
	int error = 0;

	for (i = 0; i < s->leases && error == 0; i++) {
		size_t n = store_line(line, sizeof(line), &s->lease[i]);

		error = files_write_all(fd, line, n);
		*bytes += (off_t)n;
	}
	if (error == 0 && fsync(fd) < 0)
		error = -errno;
	return error;
}

/* Only what is in the table is worth a line. On failure the old journal stays in use, and each commit would cost a
 * whole one more if it were tried again at once. */
static void rewrite(struct store *s)
{
	char path[320];
	off_t bytes = 0;
	int fd, error;

	snprintf(path, sizeof(path), "%s.new", s->path);
	s->rewrite_after = s->lines + STORE_SLACK;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	error = write_table(s, fd, &bytes);
	if (error == 0 && rename(path, s->path) < 0)
		error = -errno;
	if (error < 0) {
		close(fd);
		unlink(path);
		return;
	}
	close(s->fd);
	s->fd = fd;
	s->bytes = s->room = bytes;
	s->lines = s->leases;
	s->rewrite_after = 0;
	sync_folder(s);
}

/* The queued leases as lines, with room for as many empty ones; their length, or -ENOMEM. */
static ssize_t make_lines(struct store *s)
{
	size_t used = 0, i;

	if (s->text_capacity < s->queued * STORE_LINE + 1 + STORE_ROOM) {
		size_t capacity = s->queue_capacity * STORE_LINE + 1 + STORE_ROOM;
		char *bigger = realloc(s->text, capacity);

		if (!bigger)
			return -ENOMEM;
		s->text = bigger;
		s->text_capacity = capacity;
	}
	if (s->torn)
		s->text[used++] = '\n';
	for (i = 0; i < s->queued; i++)
		used += store_line(s->text + used, STORE_LINE, &s->queue[i]);
	return (ssize_t)used;
}

/* Writes n bytes of the text where the journal ends, and syncs; on failure the file ends there. */
static int write_text(struct store *s, size_t n)
{
	size_t done = 0;
	ssize_t wrote = 1;
	int error = 0;

	for (; done < n && wrote > 0; done += wrote > 0 ? (size_t)wrote : 0)
		wrote = pwrite(s->fd, s->text + done, n - done, s->bytes + (off_t)done);
	if (wrote <= 0)
		error = wrote < 0 ? -errno : -EIO;
	else if (fdatasync(s->fd) < 0)
		error = -errno;
	if (error < 0 && ftruncate(s->fd, s->bytes) == 0)
		s->room = s->bytes;
	return error;
}

/*
 * Puts the lines of the queue on disk, all or none; with empty ones behind them if the file must
 * grow and the disk lets it.
 */
static int append(struct store *s)
{
	ssize_t n;
	int error = s->fd < 0 ? open_journal(s) : 0;

	if (error < 0)
		return error;
	n = make_lines(s);
	if (n < 0)
		return (int)n;
	error = -ENOSPC;
	if (s->bytes + n > s->room) {
		memset(s->text + n, '\n', STORE_ROOM);
		error = write_text(s, (size_t)n + STORE_ROOM);
		if (error == 0)
			s->room = s->bytes + n + STORE_ROOM;
	}
	if (error < 0)
		error = write_text(s, (size_t)n);
	if (error < 0)
		return error;
	s->torn = false;
	s->bytes += n;
	s->room = s->room < s->bytes ? s->bytes : s->room;
	s->lines += s->queued;
	return 0;
}

int store_sync(struct store *s)
{
	int error = 0;
	size_t i;

	if (s->queued == 0)
		return 0;
	while (error == 0 && s->capacity < s->leases + s->queued && s->capacity < STORE_LEASES)
		error = grow(s); /* before it is on disk: what is there must be known */
	if (error == 0 && s->path[0])
		error = append(s);
	for (i = 0; i < s->queued && error == 0; i++)
		error = remember(s, &s->queue[i]);
	s->queued = 0;
	s->failing = error < 0;
	if (error == 0 && s->path[0] && s->lines > 4 * s->leases + STORE_SLACK &&
		s->lines > s->rewrite_after)
		rewrite(s);
	return error;
}

const char *store_advice(int error)
{
	switch (-error) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG: return "Make room on that disk, or raise its quota or limit";
	case EROFS: return "Remount it for writing, or choose another folder by STATE_DIRECTORY";
	case EACCES:
	case EPERM:
	case ENOTDIR:
	case ENOENT: return "Make that folder one that natlock's user may enter and write";
	case EISDIR:
	case ELOOP: return "Take away what is there in its place";
	default: return "See the kernel's log";
	}
}

size_t store_in_force(const struct store *s, uint64_t wall_ms)
{
	size_t i, n = 0;

	for (i = 0; i < s->leases; i++)
		n += s->lease[i].state == NL__LEASE__STATE__LEASED &&
		     s->lease[i].expires_ms > wall_ms;
	return n;
}

void store_close(struct store *s)
{
	store_sync(s);
	if (s->fd >= 0)
		close(s->fd);
	free(s->lease);
	free(s->slot);
	free(s->queue);
	free(s->text);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}

/* Theory of operation: see proctext.h. Each text is searched for its keys, so that lines which a
 * later kernel adds do no harm. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proctext.h"

const char *const found_namespace_names[FOUND_NAMESPACES] = {
	"user", "pid", "mnt", "ipc", "uts", "cgroup", "net"};
const char *const found_limit_names[FOUND_LIMITS] = {"processes", "file size", "core file size",
	"locked memory", "msgqueue size", "file locks", "realtime priority", "open files"};

/* What stands behind "Key:" at the beginning of a line; NULL when there is none. */
static const char *value_of(const char *text, const char *key)
{
	size_t length = strlen(key);

	while (text && *text) {
		if (strncmp(text, key, length) == 0 && text[length] == ':')
			return text + length + 1;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return NULL;
}

static uint64_t number_of(const char *text, const char *key, int base, uint64_t otherwise)
{
	const char *value = value_of(text, key);

	return value ? strtoull(value, NULL, base) : otherwise;
}

static bool four_ids(const char *text, const char *key, uint32_t out[4])
{
	const char *value = value_of(text, key);

	return value && sscanf(value, " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32, &out[0],
				&out[1], &out[2], &out[3]) == 4;
}

/* Words in the rest of a line. */
static unsigned int words_of(const char *text, const char *key, long *last)
{
	const char *at = value_of(text, key);
	unsigned int count = 0;

	while (at && *(at += strspn(at, " \t")) != '\n' && *at) {
		*last = strtol(at, NULL, 10);
		at += strcspn(at, " \t\n");
		count++;
	}
	return count;
}

int proctext_status(const char *text, struct found_status *out)
{
	static const char *const sets[FOUND_SETS] = {
		"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
	const char *name = value_of(text, "Name"), *state;
	long last = -1, group;
	unsigned int i;

	*out = (struct found_status){0};
	if (!name || !four_ids(text, "Uid", out->uid) || !four_ids(text, "Gid", out->gid) ||
		!value_of(text, sets[FOUND_AMBIENT]) || !value_of(text, "Threads"))
		return -EINVAL;
	name += strspn(name, " \t");
	snprintf(out->name, sizeof(out->name), "%.*s", (int)strcspn(name, "\n"), name);
	state = value_of(text, "State");
	out->state = state ? state[strspn(state, " \t")] : '?';
	out->parent = (pid_t)number_of(text, "PPid", 10, 0);
	out->tracer = (pid_t)number_of(text, "TracerPid", 10, 0);
	out->threads = (unsigned int)number_of(text, "Threads", 10, 0);
	out->fd_slots = (unsigned int)number_of(text, "FDSize", 10, FOUND_FDS);
	out->groups = words_of(text, "Groups", &group);
	for (i = 0; i < FOUND_SETS; i++)
		out->capabilities[i] = number_of(text, sets[i], 16, UINT64_MAX);
	out->seccomp = (int)number_of(text, "Seccomp", 10, UINT64_MAX);
	out->layers = (int)number_of(text, "Seccomp_filters", 10, UINT64_MAX);
	out->no_new_privs = (int)number_of(text, "NoNewPrivs", 10, UINT64_MAX);
	words_of(text, "NSpid", &last);
	out->innermost_pid = (int)last;
	return 0;
}

void proctext_ids(const char *text, struct found_ids *out)
{
	struct found_id_line line;
	int used;

	out->lines = 0;
	while (out->lines < FOUND_ID_LINES &&
		sscanf(text, " %" SCNu32 " %" SCNu32 " %" SCNu32 "%n", &line.inside, &line.outside,
			&line.count, &used) == 3) {
		out->line[out->lines++] = line;
		text += used;
	}
}

static const char *limit_value(const char *at, uint64_t *out)
{
	char *end;

	at += strspn(at, " ");
	if (strncmp(at, "unlimited", 9) == 0) {
		*out = UINT64_MAX;
		return at + 9;
	}
	*out = strtoull(at, &end, 10);
	return end == at ? NULL : end;
}

void proctext_limits(const char *text, struct found_limit out[FOUND_LIMITS])
{
	char key[40];
	unsigned int i;

	for (i = 0; i < FOUND_LIMITS; i++) {
		const char *at;

		out[i] = (struct found_limit){0};
		snprintf(key, sizeof(key), "\nMax %s ", found_limit_names[i]);
		at = strstr(text, key);
		at = at ? limit_value(at + strlen(key), &out[i].soft) : NULL;
		out[i].known = at && limit_value(at, &out[i].hard);
	}
}

/* Whether a comma-separated list has a word. */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == length && strncmp(list, word, n) == 0)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

/* proc_pid_mountinfo(5): 36 35 98:0 /root /point options - type source super-options */
static void read_mount(const char *line, struct found_root *out)
{
	char point[64] = "", options[128] = "";
	const char *type = strstr(line, " - ");

	if (!type || type > line + strcspn(line, "\n") ||
		sscanf(line, "%*d %*d %*s %*s %63s %127s", point, options) != 2 ||
		sscanf(type, " - %23s", out->type) != 1)
		return;
	out->is_root = strcmp(point, "/") == 0;
	out->read_only = has_word(options, "ro");
	out->nosuid = has_word(options, "nosuid");
	out->nodev = has_word(options, "nodev");
	out->noexec = has_word(options, "noexec");
}

void proctext_mounts(const char *text, struct found_root *out)
{
	const char *at;

	*out = (struct found_root){0};
	for (at = text; *at; at = *at ? at + 1 : at) {
		if (out->mounts++ == 0)
			read_mount(at, out);
		at += strcspn(at, "\n");
	}
}

bool proctext_mapping(const char *line, const char *program, struct found_mapping *out)
{
	char rights[5];
	unsigned int major, minor;
	int used = 0;
	const char *name;

	*out = (struct found_mapping){.seals = -1};
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 "%n", &out->start,
		    &out->end, rights, &out->offset, &major, &minor, &out->inode, &used) != 7 ||
		strlen(rights) != 4)
		return false;
	name = line + used;
	name += strspn(name, " ");
	snprintf(out->text, sizeof(out->text), "%.*s", (int)strcspn(name, "\n"), name);
	out->device = (uint64_t)major << 32 | minor;
	out->read = rights[0] == 'r';
	out->write = rights[1] == 'w';
	out->execute = rights[2] == 'x';
	out->shared = rights[3] == 's';
	out->is_memfd = strncmp(name, "/memfd:", 7) == 0;
	out->is_program = program && strlen(program) == strcspn(name, "\n") &&
			  strncmp(name, program, strlen(program)) == 0;
	return true;
}

/* Fields of /proc/PID/stat as proc(5) numbers them. */
enum { STAT_STATE = 3, STAT_START = 22, STAT_ENV_START = 50, STAT_ENV_END = 51, STAT_FIELDS };

static bool stat_fields(const char *text, uint64_t value[STAT_FIELDS])
{
	const char *at = strrchr(text, ')'); /* the name may hold anything */
	unsigned int field;

	if (!at)
		return false;
	at++;
	for (field = STAT_STATE; field < STAT_FIELDS; field++) {
		at += strspn(at, " ");
		if (*at == '\0' || *at == '\n')
			return false;
		value[field] = strtoull(at, NULL, 10);
		at += strcspn(at, " \n");
	}
	return true;
}

int64_t proctext_environment(const char *text)
{
	uint64_t value[STAT_FIELDS] = {0};

	if (!stat_fields(text, value))
		return -EINVAL;
	if (value[STAT_ENV_START] == 0)
		return -EACCES;
	return value[STAT_ENV_END] >= value[STAT_ENV_START]
		       ? (int64_t)(value[STAT_ENV_END] - value[STAT_ENV_START])
		       : -EINVAL;
}

uint64_t proctext_start_ms(const char *text, long ticks)
{
	uint64_t value[STAT_FIELDS] = {0};

	return ticks > 0 && stat_fields(text, value) ? value[STAT_START] * 1000 / (uint64_t)ticks
						     : 0;
}

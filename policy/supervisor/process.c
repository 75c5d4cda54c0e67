/*
 * Theory of operation. A worker is not dumpable, so much of its /proc folder belongs to the host's
 * root; as the maker of the namespace that it lives in, the supervisor may still follow its links.
 * The number of its descriptors is the size of /proc/PID/fd (Linux 6.2).
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "process.h"

static uint64_t number_after(
	const char *text, const char *key, const char *format, uint64_t otherwise)
{
	const char *at = strstr(text, key);
	uint64_t value;

	return at && sscanf(at + strlen(key), format, &value) == 1 ? value : otherwise;
}

void process_parse_status(const char *text, struct process_facts *f)
{
	static const char *const sets[] = {"\nCapPrm:", "\nCapEff:", "\nCapBnd:", "\nCapAmb:"};
	size_t i;

	f->seccomp = (int)number_after(text, "\nSeccomp:", "%" SCNu64, UINT64_MAX);
	f->rss_bytes = number_after(text, "\nVmRSS:", "%" SCNu64, 0) * 1024;
	f->caps = 0;
	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		f->caps |= number_after(text, sets[i], "%" SCNx64, 0);
}

uint64_t process_parse_cpu(const char *text, long ticks)
{
	const char *end = strrchr(text, ')'); /* the name may hold anything */
	uint64_t user, kernel;

	if (!end || ticks <= 0 ||
		sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
			&user, &kernel) != 2)
		return 0;
	return (user + kernel) * 1000 / (uint64_t)ticks;
}

static void read_root(pid_t pid, struct process_facts *f)
{
	char path[64];
	struct stat theirs, ours;
	const struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/root/.", pid);
	snprintf(f->root, sizeof(f->root), "?");
	if (stat(path, &theirs) < 0 || stat("/", &ours) < 0)
		return;
	snprintf(f->root, sizeof(f->root), "%s",
		theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino ? "host" : "own");
	folder = opendir(path);
	f->root_empty = folder != NULL;
	while (folder && (entry = readdir(folder)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			f->root_empty = false;
	if (folder)
		closedir(folder);
	if (f->root_empty)
		snprintf(f->root, sizeof(f->root), "empty");
}

static void read_namespaces(pid_t pid, struct process_facts *f)
{
	static const char *const names[] = {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"};
	char path[64], own[64], theirs[64];
	size_t i;

	f->namespaces[0] = '\0';
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ssize_t n, m;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		n = readlink(path, own, sizeof(own));
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, names[i]);
		m = readlink(path, theirs, sizeof(theirs));
		if (m <= 0 || (n == m && memcmp(own, theirs, (size_t)n) == 0))
			continue;
		if (f->namespaces[0])
			strcat(f->namespaces, " ");
		strcat(f->namespaces, names[i]);
	}
}

bool process_read(pid_t pid, struct process_facts *f)
{
	char path[64], text[FILES_TEXT];
	struct stat st;

	memset(f, 0, sizeof(*f));
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (pid <= 0 || files_read(path, text, sizeof(text)) <= 0)
		return false;
	process_parse_status(text, f);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (files_read(path, text, sizeof(text)) > 0)
		f->cpu_ms = process_parse_cpu(text, sysconf(_SC_CLK_TCK));
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	if (stat(path, &st) == 0)
		f->fds = (uint32_t)st.st_size;
	read_root(pid, f);
	read_namespaces(pid, f);
	return true;
}

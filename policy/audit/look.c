/*
 * Theory of operation. Each part of struct found has a function that reads it and leaves an errno
 * if it cannot. Most of /proc/PID is open to whoever may trace the process: root, and for workers
 * also the user who started natlock, since their user namespaces are his. What is open to nobody
 * but root says EACCES or EPERM, and the audit says so.
 *
 * A worker's executable memory is compared with the file that is installed beside the auditor, not
 * with the file that the process was started from: that one may have been anything.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "declare.h"
#include "descriptors.h"
#include "look.h"
#include "proctext.h"

enum { TEXT_BYTES = 16384, MAPS_BYTES = 1 << 20, COMPARED_BYTES = 65536, PATH_BYTES = 512 };

ssize_t look_text(pid_t pid, const char *name, char *out, size_t cap)
{
	char path[64];
	size_t used = 0;
	ssize_t n;
	int fd, error = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, out + used, cap - used)) > 0)
		used += (size_t)n;
	if (n < 0)
		error = -errno;
	close(fd);
	if (error)
		return error;
	if (used == cap)
		return -EFBIG;
	out[used] = '\0';
	return (ssize_t)used;
}

/* The path of a process's program; 0 or -errno. */
static int file_path(pid_t pid, char *out, size_t cap)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, out, cap - 1);
	out[n > 0 ? n : 0] = '\0';
	return n < 0 ? -errno : 0;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int look_file_name(pid_t pid, char *out, size_t cap)
{
	char path[PATH_BYTES];
	int error = file_path(pid, path, sizeof(path));

	snprintf(out, cap, "%s", last_part(path));
	return error;
}

/* Where they lie, seen from the auditor's folder: installed, or in the build folder. */
static int open_program(const char *own, unsigned int kind)
{
	static const char *const workers[] = {"%s/natlock-%s", "%s/../../%s/natlock-%s"};
	static const char *const supervisors[] = {
		"%s/../../bin/natlock", "%s/natlock", "%s/../supervisor/natlock"};
	char path[2 * PATH_BYTES];
	int fd = -1;
	size_t i;

	if (kind == FOUND_SUPERVISOR)
		for (i = 0; i < sizeof(supervisors) / sizeof(supervisors[0]) && fd < 0; i++) {
			snprintf(path, sizeof(path), supervisors[i], own);
			fd = open(path, O_RDONLY | O_CLOEXEC);
		}
	else
		for (i = 0; i < sizeof(workers) / sizeof(workers[0]) && fd < 0; i++) {
			snprintf(path, sizeof(path), workers[i], own, declare_name(kind),
				declare_name(kind));
			fd = open(path, O_RDONLY | O_CLOEXEC);
		}
	return fd;
}

void look_open_programs(struct look_programs *p)
{
	char own[PATH_BYTES];
	unsigned int kind;

	file_path(getpid(), own, sizeof(own));
	*strrchr(own, '/') = '\0';
	for (kind = 0; kind <= FOUND_SUPERVISOR; kind++)
		p->fd[kind] = open_program(own, kind);
}

static void look_status(struct found *f)
{
	char text[TEXT_BYTES];
	ssize_t n = look_text(f->pid, "status", text, sizeof(text));

	f->status_error = n < 0 ? (int)-n : -proctext_status(text, &f->status);
	n = look_text(f->pid, "uid_map", text, sizeof(text));
	f->uid_map_error = n < 0 ? (int)-n : 0;
	if (n >= 0)
		proctext_ids(text, &f->uid_map);
	n = look_text(f->pid, "limits", text, sizeof(text));
	f->limits_error = n < 0 ? (int)-n : 0;
	if (n >= 0)
		proctext_limits(text, f->limit);
	n = look_text(f->pid, "stat", text, sizeof(text));
	if (n >= 0)
		n = (ssize_t)proctext_environment(text);
	f->environment_error = n < 0 ? (int)-n : 0;
	f->environment_bytes = n < 0 ? 0 : (uint64_t)n;
}

static void look_namespaces(struct found *f)
{
	char path[64];
	struct stat st;
	unsigned int i;

	for (i = 0; i < FOUND_NAMESPACES; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", f->pid, found_namespace_names[i]);
		f->namespace_error[i] = stat(path, &st) < 0 ? errno : 0;
		f->namespace_inode[i] = f->namespace_error[i] ? 0 : st.st_ino;
	}
}

/* Everything in it but "." and "..". */
static int list_root(struct found *f, const char *path)
{
	const struct dirent *entry;
	DIR *folder = opendir(path);

	if (!folder)
		return errno;
	f->root_is_empty = true;
	while ((entry = readdir(folder)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			f->root_is_empty = false;
	closedir(folder);
	return 0;
}

static void look_root(struct found *f)
{
	static char text[MAPS_BYTES];
	ssize_t n = look_text(f->pid, "mountinfo", text, sizeof(text));
	char path[64];
	struct stat root, cwd;

	f->root_error = n < 0 ? (int)-n : 0;
	if (n >= 0)
		proctext_mounts(text, &f->root);
	snprintf(path, sizeof(path), "/proc/%d/cwd/.", f->pid);
	f->root_listed_error = stat(path, &cwd) < 0 ? errno : 0;
	snprintf(path, sizeof(path), "/proc/%d/root/.", f->pid);
	if (f->root_listed_error == 0)
		f->root_listed_error = stat(path, &root) < 0 ? errno : list_root(f, path);
	f->cwd_is_root =
		f->root_listed_error == 0 && root.st_dev == cwd.st_dev && root.st_ino == cwd.st_ino;
}

/* proc(5): files of a process that cannot be dumped belong to root, whoever it is. */
static void look_dumpable(struct found *f)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/mem", f->pid);
	f->dumpable_error = stat(path, &st) < 0 ? errno : 0;
	f->is_dumpable = f->dumpable_error == 0 && st.st_uid == f->status.uid[1];
}

/* The end of a long path says more than its beginning. */
static void keep_end(char out[FOUND_TEXT], const char *path)
{
	enum { KEPT = FOUND_TEXT - 4 };
	size_t length = strlen(path);

	if (length > KEPT)
		snprintf(out, FOUND_TEXT, "...%.*s", KEPT, path + length - KEPT);
	else
		snprintf(out, FOUND_TEXT, "%.*s", KEPT, path);
}

static void look_file(struct found *f, const struct look_programs *programs)
{
	int expected = f->kind <= FOUND_SUPERVISOR ? programs->fd[f->kind] : -1;
	char path[PATH_BYTES], link[64];
	struct stat theirs, ours;

	f->file_error = -file_path(f->pid, path, sizeof(path));
	keep_end(f->file, path);
	if (f->file_error || expected < 0)
		return;
	snprintf(link, sizeof(link), "/proc/%d/exe", f->pid);
	f->file_error = stat(link, &theirs) < 0 || fstat(expected, &ours) < 0 ? errno : 0;
	f->is_installed_file =
		f->file_error == 0 && theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

/* A mapped memfd may be opened once more by root, to ask for its seals; F_GET_SEALS changes nothing. */
static int seals_of(pid_t pid, const struct found_mapping *m)
{
	char path[96];
	int fd, seals;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, m->start,
		m->end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	seals = fcntl(fd, F_GET_SEALS);
	close(fd);
	return seals;
}

static void keep_mapping(struct found *f, const struct found_mapping *m)
{
	struct found_mapping *kept = &f->mapping[f->mappings];

	if (!m->execute && !m->shared)
		return;
	if (f->mappings == FOUND_MAPPINGS) {
		f->more_mappings = true;
		return;
	}
	*kept = *m;
	if (m->is_memfd)
		kept->seals = seals_of(f->pid, m);
	f->mappings++;
}

static void look_maps(struct found *f)
{
	static char text[MAPS_BYTES];
	char program[PATH_BYTES];
	ssize_t n = look_text(f->pid, "maps", text, sizeof(text));
	struct found_mapping m;
	const char *line;

	if (n == 0) /* nothing is shown, but there is no error either */
		n = -EACCES;
	f->more_mappings = n == -EFBIG; /* nobody of ours has so many */
	f->maps_error = n < 0 && n != -EFBIG ? (int)-n : 0;
	file_path(f->pid, program, sizeof(program));
	for (line = text; n > 0 && *line; line += *line == '\n') {
		if (proctext_mapping(line, program, &m))
			keep_mapping(f, &m);
		line += strcspn(line, "\n");
	}
}

/* The executable segment of a worker's file: where it lies there. false: none. */
static bool code_segment(int fd, Elf64_Phdr *out)
{
	Elf64_Ehdr header;
	unsigned int i;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
		memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	for (i = 0; i < header.e_phnum; i++)
		if (pread(fd, out, sizeof(*out), (off_t)(header.e_phoff + i * sizeof(*out))) ==
				sizeof(*out) &&
			out->p_type == PT_LOAD && out->p_flags & PF_X)
			return true;
	return false;
}

/* 0: the same, 1: not, or -errno. */
static int compare_code(pid_t pid, uint64_t address, int fd, const Elf64_Phdr *code)
{
	static char theirs[COMPARED_BYTES], ours[COMPARED_BYTES];
	uint64_t at;

	for (at = 0; at < code->p_filesz;) {
		size_t n =
			code->p_filesz - at < COMPARED_BYTES ? code->p_filesz - at : COMPARED_BYTES;
		struct iovec to = {theirs, n}, from = {(void *)(uintptr_t)(address + at), n};
		ssize_t got = process_vm_readv(pid, &to, 1, &from, 1, 0);

		if (got < 0)
			return -errno;
		if ((size_t)got != n ||
			pread(fd, ours, n, (off_t)(code->p_offset + at)) != (ssize_t)n ||
			memcmp(theirs, ours, n) != 0)
			return 1;
		at += n;
	}
	return 0;
}

static void look_code(struct found *f, const struct look_programs *programs)
{
	int expected = f->kind < FOUND_SUPERVISOR ? programs->fd[f->kind] : -1, r = 1;
	Elf64_Phdr code;
	unsigned int i;

	f->code_error = f->maps_error;
	if (f->code_error == 0 && expected < 0)
		f->code_error = ENOENT;
	if (f->code_error || !code_segment(expected, &code))
		return;
	for (i = 0; i < f->mappings; i++)
		if (f->mapping[i].execute && f->mapping[i].is_program &&
			f->mapping[i].offset == code.p_offset)
			r = compare_code(f->pid, f->mapping[i].start, expected, &code);
	f->code_error = r < 0 ? -r : 0;
	f->is_installed_code = r == 0;
}

/* What was read of a process that ended meanwhile is worth nothing. */
static bool has_ended(pid_t pid)
{
	char text[TEXT_BYTES];
	struct found_status status;

	return look_text(pid, "status", text, sizeof(text)) <= 0 ||
	       proctext_status(text, &status) < 0 || status.state == 'Z' || status.state == 'X';
}

void look_at(struct found *f, const struct look_programs *programs)
{
	look_status(f);
	if (f->status_error)
		return;
	look_namespaces(f);
	look_root(f);
	look_dumpable(f);
	look_file(f, programs);
	look_maps(f);
	look_code(f, programs);
	descriptors_look(f);
	f->gone = has_ended(f->pid);
}

void look_at_self(struct found *f)
{
	*f = (struct found){.pid = getpid(), .kind = FOUND_STRANGER};
	snprintf(f->name, sizeof(f->name), "the operator");
	look_status(f);
	look_namespaces(f);
}

void look_free(struct found *f)
{
	unsigned int i;

	free(f->fd);
	f->fd = NULL;
	for (i = 0; i < f->layers; i++)
		free((void *)(uintptr_t)f->layer[i].insns);
	f->layers = 0;
}

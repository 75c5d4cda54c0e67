/*
 * Theory of operation. Programs replace resolv.conf by renaming a new file over it, so the folder
 * is watched; where it is a link (systemd-resolved), the folder of its target too. In a container
 * the file itself is a mount: it is written elsewhere, so that no event reaches its folder here, and
 * is watched as well. What vanishes is looked for again at the next event.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "files.h"
#include "resolvers.h"

static const char resolv_conf[] = "/etc/resolv.conf";
enum { WATCHED = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE };

static void watch_folder_of(int fd, const char *path)
{
	char folder[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash)
		return;
	*slash = '\0';
	inotify_add_watch(fd, slash == folder ? "/" : folder, WATCHED | IN_ONLYDIR);
}

/* Not realpath: of a link by way of "folder/.." it asks by faccessat2, for which our filter ends us. */
static bool find_target(char target[PATH_MAX])
{
	char link[32];
	int fd = open(resolv_conf, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, PATH_MAX - 1);
	close(fd);
	target[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void add_watches(struct resolvers *r)
{
	char target[PATH_MAX];

	watch_folder_of(r->fd, resolv_conf);
	inotify_add_watch(r->fd, resolv_conf, IN_CLOSE_WRITE);
	if (find_target(target) && strcmp(target, resolv_conf) != 0)
		watch_folder_of(r->fd, target);
}

int resolvers_open(struct resolvers *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (r->fd >= 0)
		add_watches(r);
	return r->fd;
}

void resolvers_heard(struct resolvers *r)
{
	char events[4096];

	while (read(r->fd, events, sizeof(events)) > 0)
		;
	add_watches(r);
}

static void add_server(struct resolvers *r, const char *word)
{
	uint32_t ip;
	size_t i;

	if (inet_pton(AF_INET, word, &ip) != 1 || ip == 0 || r->count == RESOLVERS_MAX)
		return;
	for (i = 0; i < r->count; i++)
		if (r->ip_be[i] == ip)
			return;
	r->ip_be[r->count++] = ip;
}

static void parse_line(struct resolvers *r, const char *line)
{
	char key[16], word[RESOLVERS_DOMAIN];

	if (sscanf(line, " %15s %255s", key, word) != 2)
		return;
	if (strcmp(key, "nameserver") == 0)
		add_server(r, word);
	else if (strcmp(key, "domain") == 0 || (strcmp(key, "search") == 0 && !r->domain[0]))
		snprintf(r->domain, sizeof(r->domain), "%s", strcmp(word, ".") == 0 ? "" : word);
}

void resolvers_parse(struct resolvers *r, const char *text)
{
	char line[512];

	r->count = 0;
	r->domain[0] = '\0';
	while (*text) {
		size_t n = strcspn(text, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1),
			text);
		parse_line(r, line);
		text += n + (text[n] == '\n');
	}
}

bool resolvers_read(struct resolvers *r)
{
	const struct resolvers before = *r;
	char text[FILES_TEXT], host[RESOLVERS_DOMAIN] = "";
	const char *dot;

	resolvers_parse(r, files_read(resolv_conf, text, sizeof(text)) < 0 ? "" : text);
	if (!r->domain[0] && gethostname(host, sizeof(host) - 1) == 0 && (dot = strchr(host, '.')))
		snprintf(r->domain, sizeof(r->domain), "%s", dot + 1);
	return before.count != r->count ||
	       memcmp(before.ip_be, r->ip_be, r->count * sizeof(r->ip_be[0])) != 0 ||
	       strcmp(before.domain, r->domain) != 0;
}

void resolvers_close(struct resolvers *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

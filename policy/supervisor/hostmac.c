/* Theory of operation: see hostmac.h. The folder is the running user's, so the file is read like a stranger's: no link is
 * followed, and only an address of the kind that is drawn here is taken from it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "files.h"
#include "hostmac.h"
#include "places.h"

enum { TEXT = sizeof("00:AC:00:00:00:00\n"), HOSTMAC_PATH = 320 };

static bool path_of(char out[HOSTMAC_PATH], const char *state, const char *hub)
{
	return state[0] && snprintf(out, HOSTMAC_PATH, "%s/mac-%s", state, hub) < HOSTMAC_PATH;
}

static bool parse(const char *text, uint8_t mac[6])
{
	int used = 0;

	return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		       &mac[3], &mac[4], &mac[5], &used) == 6 &&
	       strcmp(text + used, "\n") == 0 && used == TEXT - 2 && mac[0] == 0x00 &&
	       mac[1] == 0xac;
}

static bool read_kept(const char *path, uint8_t mac[6])
{
	char text[TEXT + 1] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, TEXT);
	close(fd);
	return n == TEXT - 1 && parse(text, mac);
}

bool hostmac_find(const char *state, const char *hub, uint8_t mac[6])
{
	char path[HOSTMAC_PATH];

	if (path_of(path, state, hub) && read_kept(path, mac))
		return true;
	if (getrandom(mac, 6, 0) != 6)
		abort();
	mac[0] = 0x00;
	mac[1] = 0xac;
	return false;
}

int hostmac_keep(const char *state, const char *hub, const uint8_t mac[6])
{
	char path[HOSTMAC_PATH], fresh[HOSTMAC_PATH + 8], text[TEXT];
	int fd, error;

	if (!path_of(path, state, hub))
		return 0;
	error = places_make(state, 0700, geteuid(), getegid());
	if (error < 0)
		return error;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	snprintf(text, sizeof(text), "%02X:%02X:%02X:%02X:%02X:%02X\n", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	error = files_write_all(fd, text, strlen(text));
	if (error == 0 &&
		fsync(fd) < 0) /* else a power cut could leave an empty file of this name */
		error = -errno;
	close(fd);
	if (error == 0 && rename(fresh, path) < 0)
		error = -errno;
	return error;
}

/*
 * Theory of operation. STATE/mac-HUB holds one line, "00:AC:85:40:B5:50". What is not exactly that
 * is taken for nothing, so a torn or foreign file costs a new address and no more. A new file takes
 * the old one's name when it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "files.h"
#include "ownmac.h"
#include "places.h"

enum { TEXT_BYTES = 18, PATH_BYTES = PLACES_PATH + 48 }; /* with the line feed; a hub has 32 */

static void text_of(const uint8_t mac[6], char out[TEXT_BYTES + 1])
{
	snprintf(out, TEXT_BYTES + 1, "%02X:%02X:%02X:%02X:%02X:%02X\n", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
}

static bool parse(const char *text, uint8_t mac[6])
{
	char again[TEXT_BYTES + 1];

	if (strlen(text) != TEXT_BYTES)
		return false;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
	text_of(mac, again);
	return strcmp(text, again) == 0 && mac[0] == 0x00 && mac[1] == 0xac;
}

void ownmac_find(const char *state, const char *hub, uint8_t mac[6])
{
	char path[PATH_BYTES], text[TEXT_BYTES + 2];

	snprintf(path, sizeof(path), "%s/mac-%s", state, hub);
	if (state[0] != '\0' && files_read(path, text, sizeof(text)) > 0 && parse(text, mac))
		return;
	if (getrandom(mac, 6, 0) != 6)
		abort();
	mac[0] = 0x00;
	mac[1] = 0xac;
}

int ownmac_keep(const char *state, const char *hub, const uint8_t mac[6])
{
	char path[PATH_BYTES], fresh[PATH_BYTES + 4], text[TEXT_BYTES + 1];
	int fd, error;

	if (state[0] == '\0')
		return 0;
	snprintf(path, sizeof(path), "%s/mac-%s", state, hub);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	text_of(mac, text);
	error = places_make(state, 0700, geteuid(), getegid());
	if (error < 0)
		return error;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	error = files_write_all(fd, text, TEXT_BYTES);
	if (error == 0 && fdatasync(fd) < 0)
		error = -errno;
	close(fd);
	if (error == 0 && rename(fresh, path) < 0)
		error = -errno;
	if (error < 0)
		unlink(fresh);
	return error;
}

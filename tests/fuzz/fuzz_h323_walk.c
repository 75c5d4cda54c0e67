/* Any octets as a message of H.323: what is read stays inside them, and an address that is replaced in its place changes nothing else. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "h323_walk.h"

enum { ROOTS = H323_ROOT_H245 + 1, ROOM = 64, ADDRESS = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check(const struct h323_mark *mark, int marks, size_t bytes)
{
	require(marks <= ROOM);
	for (int i = 0; i < marks; i++) {
		require(mark[i].field > H323_NOTHING && mark[i].field < H323_FIELDS);
		require(mark[i].at <= bytes && mark[i].bytes <= bytes - mark[i].at);
		require(!i || mark[i].at >= mark[i - 1].at);
	}
}

static bool is_address(uint16_t field)
{
	static const bool address[H323_FIELDS] = {
		[H323_RAS_ADDRESS] = true,
		[H323_RAS_SIGNAL_ADDRESS] = true,
		[H323_RAS_DEST_SIGNAL] = true,
		[H323_RAS_SRC_SIGNAL] = true,
		[H323_RAS_ALTERNATE] = true,
		[H323_RAS_IRR_CALL_ADDRESS] = true,
		[H323_RAS_ALIAS_ADDRESS] = true,
		[H323_RAS_OTHER_ADDRESS] = true,
		[H323_H225_H245_ADDRESS] = true,
		[H323_H225_DEST_SIGNAL] = true,
		[H323_H225_SRC_SIGNAL] = true,
		[H323_H225_ALTERNATIVE] = true,
		[H323_H225_ALIAS_ADDRESS] = true,
		[H323_H225_OTHER_ADDRESS] = true,
		[H323_H245_MEDIA] = true,
		[H323_H245_MEDIA_CONTROL] = true,
		[H323_H245_REVERSE_MEDIA] = true,
		[H323_H245_REVERSE_MEDIA_CONTROL] = true,
		[H323_H245_SEPARATE_STACK] = true,
		[H323_H245_COMMUNICATION_MODE] = true,
		[H323_H245_OTHER_ADDRESS] = true,
	};
	return address[field];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct h323_mark mark[ROOM], again[ROOM];
	if (!bytes)
		return 0;
	enum h323_root root = data[0] % ROOTS;
	int marks = h323_walk(root, data + 1, bytes - 1, mark, ROOM);
	check(mark, marks, bytes - 1);
	if (marks < 1)
		return 0;
	uint8_t *edited = malloc(bytes - 1);
	memcpy(edited, data + 1, bytes - 1);
	for (int i = 0; i < marks; i++) {
		if (!is_address(mark[i].field))
			continue;
		require(mark[i].bytes == ADDRESS);
		memset(edited + mark[i].at, 0xff, ADDRESS);
	}
	require(h323_walk(root, edited, bytes - 1, again, ROOM) == marks);
	for (int i = 0; i < marks; i++)
		require(again[i].field == mark[i].field && again[i].at == mark[i].at &&
			again[i].bytes == mark[i].bytes && again[i].value == mark[i].value);
	free(edited);
	return 0;
}

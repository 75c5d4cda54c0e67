/*
 * What natlockctl is answered, where a worker's bytes or a gateway of another version may be at the far end: records
 * {length (2), bytes} come over a socket as the answers to a table, a text and an order. It takes them or says why not,
 * and what it prints is plain.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "grow.h"

enum { RECORDS = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static struct ctl ctl;

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* The far end says it all and is gone, so that nobody waits. */
static int answered(const uint8_t *data, size_t size)
{
	int pair[2];
	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	for (int i = 0; i < RECORDS && size > 2; i++) {
		size_t n = data[0] | (size_t)data[1] << 8;
		n = n < size - 2 ? n : size - 2;
		if (n)
			require(send(pair[1], data + 2, n, MSG_DONTWAIT | MSG_NOSIGNAL) ==
				(ssize_t)n);
		data += 2 + n;
		size -= 2 + n;
	}
	shutdown(pair[1], SHUT_WR);
	ctl.client.chan.fd = pair[0];
	client_init(&ctl.client, pair[0]);
	return pair[1];
}

static void check_failure(const struct failure *f)
{
	char *text = NULL;
	size_t bytes;
	require(f->exit_code != CTL_OK && f->message[0]);
	FILE *out = open_memstream(&text, &bytes);
	failure_print(out, f, bytes & 1);
	fclose(out);
	for (size_t i = 0; i < bytes; i++)
		require((text[i] >= ' ' && text[i] <= '~') || text[i] == '\n');
	free(text);
}

static void take_table(Nl__Topic topic)
{
	struct failure f = {0};
	struct rows rows;
	if (ask_table(&ctl, topic, "default", &rows, &f) != CTL_OK)
		check_failure(&f);
	rows_free(&rows);
}

static void take_text(void)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	struct failure f = {0};
	uint64_t count;
	char *text = ask_counted(&ctl, &request, -1, &count, &f);
	if (!text)
		check_failure(&f);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const int peer = answered(data + 1, size - 1);
	if (data[0] & 0x80)
		take_text();
	else
		take_table((Nl__Topic)(data[0] % (NL__TOPIC__CALLS + 1)));
	close(peer);
	close(ctl.client.chan.fd);
	return 0;
}

/* One answer more, grown from its descriptor, with the rows of the table that was asked for. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static uint8_t wire[GROW_MESSAGE];
	struct grow g = {seed, wire, 0, sizeof(wire)};
	if (grow_random(&g, 2))
		return LLVMFuzzerMutate(data, size, max_size);
	grow_message(&g, &nl__operator_answer__descriptor, 0);
	if (size < 1 || size + 2 + g.bytes > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	memmove(data + 1 + 2 + g.bytes, data + 1, size - 1);
	data[1] = (uint8_t)g.bytes;
	data[2] = (uint8_t)(g.bytes >> 8);
	memcpy(data + 3, wire, g.bytes);
	return size + 2 + g.bytes;
}

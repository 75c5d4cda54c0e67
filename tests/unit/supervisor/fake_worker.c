/*
 * A worker that only keeps the protocol of birth and death: Hello, Boot, Locked, Start, Dump,
 * Drain. It stands in for all five in tests of the supervisor, which can then be run without
 * guests. Rows of a dump: one row that says who it is. FAKE_LIE 1 makes one that claims another filter than it was
 * given.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "hash.h"
#include "super.pb-c.h"
#include "topology.h"

static struct chan super;

static void tell(Nl__ActorToSuper *w)
{
	if (chan_send_message(&super, &w->base, NULL, 0) < 0)
		_exit(2);
}

static void say_hello(void)
{
	Nl__ActorToSuper w = NL__ACTOR_TO_SUPER__INIT;
	Nl__ActorHello hello = NL__ACTOR_HELLO__INIT;

	w.msg_case = NL__ACTOR_TO_SUPER__MSG_HELLO;
	w.hello = &hello;
	tell(&w);
}

static void say_locked(const Nl__ActorBoot *boot)
{
	static const struct hash_key zero;
	Nl__ActorToSuper w = NL__ACTOR_TO_SUPER__INIT;
	Nl__ActorLocked locked = NL__ACTOR_LOCKED__INIT;

	locked.has_filter_hash = true;
	locked.filter_hash = hash_sip(&zero, boot->filter.data, boot->filter.len) + FAKE_LIE;
	w.msg_case = NL__ACTOR_TO_SUPER__MSG_LOCKED;
	w.locked = &locked;
	tell(&w);
}

static void say_rows(const char *name, const Nl__ActorDump *dump)
{
	Nl__ActorToSuper w = NL__ACTOR_TO_SUPER__INIT;
	Nl__ActorRows rows = NL__ACTOR_ROWS__INIT;
	ProtobufCBinaryData row = {strlen(name), (uint8_t *)(uintptr_t)name};

	rows.has_request = rows.has_next_cursor = true;
	rows.request = dump->request;
	rows.next_cursor = dump->cursor < 2 ? dump->cursor + 1 : 0;
	rows.n_rows = 1;
	rows.rows = &row;
	w.msg_case = NL__ACTOR_TO_SUPER__MSG_ROWS;
	w.rows = &rows;
	tell(&w);
}

static void on_message(const char *name, const struct chan_in *in)
{
	Nl__SuperToActor *w = nl__super_to_actor__unpack(NULL, in->len, in->bytes);

	if (!w)
		_exit(3);
	if (w->msg_case == NL__SUPER_TO_ACTOR__MSG_BOOT)
		say_locked(w->boot);
	if (w->msg_case == NL__SUPER_TO_ACTOR__MSG_DUMP)
		say_rows(name, w->dump);
	if (w->msg_case == NL__SUPER_TO_ACTOR__MSG_DRAIN)
		_exit(0);
	nl__super_to_actor__free_unpacked(w, NULL);
}

int main(int argc, char **argv)
{
	struct pollfd wait = {.fd = FD_SUPER, .events = POLLIN};
	struct chan_in in;

	chan_init(&super, FD_SUPER, NULL, NULL, 0);
	say_hello();
	for (;;) {
		int r = chan_recv(&super, &in);

		if (r < 0)
			_exit(1);
		if (r > 0) {
			on_message(argv[0], &in);
			chan_drop_fds(&in);
		} else {
			poll(&wait, 1, -1);
		}
	}
}

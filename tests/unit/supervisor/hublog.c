/* From a worker's note to the file and to those who follow: what is no text of ours ends the worker, and who does not read misses rows. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf.h"
#include "files.h"
#include "hublog.h"
#include "operator_dispatch.h"
#include "supervisor.h"

enum { BUFFER = 65536 };

static struct supervisor super;
static struct operator_peer *client;
static struct worker *natproxy;
static char folder[] = "/tmp/natlock-test-XXXXXX";
static uint8_t queue[OPERATOR_QUEUE];
static int reader; /* the client's end */

static void set_up(void)
{
	const char yaml[] = "hubs:\n  default: {}\nlog: {style: json}\n";
	struct conf_error error;

	cr_assert_not_null(mkdtemp(folder));
	super.config = conf_parse("test", yaml, sizeof(yaml) - 1, &error);
	cr_assert_not_null(super.config);
	super.is_run = true; /* notes stay off the terminal */
	super.loop = ev_loop_new(EVBACKEND_EPOLL);
	super.hubs = 1;
	super.op.super = &super;
	snprintf(super.places.log, sizeof(super.places.log), "%s", folder);
	super.hub[0] = (struct hub){.super = &super, .conf = super.config->hubs[0], .workers = 1};
	natproxy = &super.hub[0].worker[0];
	natproxy->hub = &super.hub[0];
	snprintf(natproxy->name, sizeof(natproxy->name), "natproxy");
	hublog_begin(&super);
	hublog_open(&super.hub[0]);
	pool_init(&super.pool, super.pool_bytes, sizeof(super.pool_bytes));
}

static void tear_down(void)
{
	char command[64];

	hublog_close(&super.hub[0]);
	hublog_end(&super);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}
TestSuite(hublog, .init = set_up, .fini = tear_down);

static const char *logged(void)
{
	static char text[BUFFER];
	char path[160];
	int day = seclog_day(supervisor_wall_ms(&super));

	snprintf(path, sizeof(path), "%s/security_log/default/sec_%08d.log", folder, day);
	return files_read(path, text, sizeof(text)) < 0 ? "" : text;
}

static char *text_of(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* A note of one event, as natproxy sends it. */
static int note(const Nl__EventRow *e)
{
	static uint8_t bytes[2 * BUFFER];
	Nl__ActorNote m = NL__ACTOR_NOTE__INIT;
	ProtobufCBinaryData row = {nl__event_row__pack(e, bytes), bytes};

	m.n_events = 1;
	m.events = &row;
	pool_reset(&super.pool);
	return hublog_note(natproxy, &m, &super.pool);
}

static Nl__EventRow event(const char *text)
{
	Nl__EventRow e = NL__EVENT_ROW__INIT;

	e.event = text_of("session_deleted");
	e.text = text_of(text);
	return e;
}

Test(hublog, hub_process_and_time_are_not_the_workers_to_say)
{
	Nl__EventRow e = event("SecureNAT: x");

	e.hub = text_of("other");
	e.process = text_of("supervisor");
	e.has_at_ms = true;
	e.at_ms = 1;
	cr_assert_eq(note(&e), 0);
	cr_assert(strstr(logged(), "\"hub\":\"default\",\"process\":\"natproxy\",\"event\":"
				   "\"session_deleted\""),
		"%s", logged());
	cr_assert_null(strstr(logged(), "1970"));
}

Test(hublog, bytes_that_no_worker_of_ours_sends_are_cleaned)
{
	Nl__EventRow e = event("a\n{\"time\":\"x\"}\x1b[0m\xc0\xaf");

	e.host_name = text_of("b\"\n");
	cr_assert_eq(note(&e), 0);
	cr_assert(strstr(logged(),
			  "\"host_name\":\"b\\\"?\",\"text\":\"a?{\\\"time\\\":\\\"x\\\"}?[0m"
			  "??\"}\n"),
		"%s", logged());
	cr_assert_eq(strchr(logged(), '\n'), logged() + strlen(logged()) - 1);
}

Test(hublog, what_is_no_event_is_a_lie)
{
	static char longest[BUFFER];
	uint8_t rubbish[] = {0xff, 0xff, 0xff};
	Nl__ActorNote m = NL__ACTOR_NOTE__INIT;
	ProtobufCBinaryData row = {sizeof(rubbish), rubbish};
	Nl__EventRow e = event(NULL);

	cr_assert_eq(note(&e), -EPROTO, "no text");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[SECLOG_LINE + 1] = '\0';
	e = event(longest);
	cr_assert_eq(note(&e), -EPROTO, "a text too long");
	longest[SECLOG_LINE + 1] = 'x';
	e = event("x");
	e.host_name = longest;
	cr_assert_eq(note(&e), -EPROTO, "a name of 64 KiB");
	m.n_events = 1;
	m.events = &row;
	cr_assert_eq(hublog_note(natproxy, &m, &super.pool), -EPROTO, "no EventRow");
	cr_assert_str_eq(logged(), "");
}

Test(hublog, a_flood_is_cut_and_the_loss_is_an_event)
{
	Nl__EventRow e = event("SecureNAT: x");

	natproxy->quota = (struct seclog_quota){
		.used = SECLOG_BURST_BYTES, .at_ms = supervisor_boot_clock_ms()};
	cr_assert_eq(note(&e), 0);
	cr_assert_str_eq(logged(), "");
	cr_assert_eq(super.notes, 1, "a person is told");
	natproxy->quota.used = 0;
	cr_assert_eq(note(&e), 0);
	cr_assert(strstr(logged(), "\"process\":\"natproxy\",\"event\":\"log_lost\",\"reason\":"
				   "\"it wrote too many\",\"count\":1,"),
		"%s", logged());
}

Test(hublog, what_the_supervisor_says)
{
	hublog_started(&super.hub[0]);
	hublog_config_changed(&super.hub[0], "nat.mtu, dhcp.lease");
	hublog_process_ended(natproxy, "was killed by its policy", "");
	cr_assert(strstr(logged(),
		"\"process\":\"supervisor\",\"event\":\"started\",\"text\":\"SecureNAT has "
		"started. The SecureNAT session \\\"SID-SECURENAT-1\\\" was created.\"}\n"));
	cr_assert(strstr(
		logged(), "\"event\":\"config_changed\",\"path\":\"nat.mtu, dhcp.lease\",\"text\":"
			  "\"SecureNAT: The configuration was changed: nat.mtu, dhcp.lease.\"}\n"));
	cr_assert(strstr(logged(), "\"process\":\"natproxy\",\"event\":\"process_ended\","
				   "\"reason\":\"was killed by its policy\""));
}

/* Those who follow */

static void follow(const char *hub)
{
	Nl__EventsRequest m = NL__EVENTS_REQUEST__INIT;
	int pair[2];

	cr_assert_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	client = &super.op.peer[0];
	*client = (struct operator_peer){.op = &super.op, .used = true};
	chan_init(&client->chan, pair[0], &super.pool, queue, sizeof(queue));
	ev_init(&client->out_io, NULL);
	ev_io_set(&client->out_io, pair[0], EV_WRITE);
	reader = pair[1];
	m.hub = text_of(hub);
	cr_assert_eq(operator_on_events_request(client, &m, NULL), 0);
}

/* How many rows there are to read; the last of them in *last, valid until the next call. */
static unsigned int read_rows(Nl__EventRow **last)
{
	static uint8_t bytes[BUFFER];
	static Nl__EventRow *row;
	unsigned int rows = 0;
	ssize_t n;

	while ((n = recv(reader, bytes, sizeof(bytes), 0)) > 0) {
		Nl__OperatorAnswer *a = nl__operator_answer__unpack(NULL, (size_t)n, bytes);

		cr_assert_eq(a->msg_case, NL__OPERATOR_ANSWER__MSG_ROWS);
		cr_assert_eq(a->rows->topic, NL__TOPIC__EVENTS);
		for (size_t i = 0; i < a->rows->n_rows; i++, rows++) {
			nl__event_row__free_unpacked(row, NULL);
			row = nl__event_row__unpack(
				NULL, a->rows->rows[i].len, a->rows->rows[i].data);
		}
		nl__operator_answer__free_unpacked(a, NULL);
		chan_flush(&client->chan);
	}
	*last = row;
	return rows;
}

Test(hublog, a_follower_gets_each_event)
{
	Nl__EventRow e = event("SecureNAT: x"), *got;

	follow("default");
	cr_assert_eq(note(&e), 0);
	cr_assert_eq(read_rows(&got), 1);
	cr_assert_str_eq(got->text, "SecureNAT: x");
	cr_assert_str_eq(got->hub, "default");
	cr_assert_str_eq(got->process, "natproxy");
	events_forget(&super, client);
	cr_assert_eq(note(&e), 0);
	cr_assert_eq(read_rows(&got), 0);
}

/* Bytes of fields that nobody knows count too, and so do the time and the hub that the supervisor adds. */
Test(hublog, an_event_is_never_larger_than_a_row)
{
	static uint8_t padding[2 * EVENTS_ROW];
	ProtobufCMessageUnknownField unknown = {
		.tag = 1000, .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, .data = padding};
	Nl__EventRow e = event("SecureNAT: x"), *got;
	unsigned int taken = 0, refused = 0;

	follow(NULL);
	e.base.n_unknown_fields = 1;
	e.base.unknown_fields = &unknown;
	for (unsigned int n = EVENTS_ROW - 256; n < EVENTS_ROW + 16; n++) {
		padding[0] = (uint8_t)(n | 0x80);
		padding[1] = (uint8_t)(n >> 7);
		unknown.len = 2 + n;
		if (note(&e) < 0) {
			refused++;
			continue;
		}
		taken++;
		cr_assert_eq(read_rows(&got), 1);
		cr_assert_leq(nl__event_row__get_packed_size(got), EVENTS_ROW);
	}
	cr_assert(taken > 0 && refused > 16, "%u %u", taken, refused);
}

Test(hublog, who_does_not_read_misses_rows_and_is_told)
{
	Nl__EventRow e = event("SecureNAT: x"), *got;
	unsigned int read, all = 20000, i;

	follow(NULL);
	for (i = 0; i < all; i++)
		hublog_event(&super.hub[0], &e);
	read = read_rows(&got);
	cr_assert(read > 100 && read < all, "%u", read);
	hublog_event(&super.hub[0], &e);
	cr_assert_eq(super.events.follower[0].missed, 0);
	cr_assert_eq(read_rows(&got), 2, "how many, and the one");
	cr_assert_leq(client->chan.queue_cap, sizeof(queue));
}

Test(hublog, the_row_about_missed_ones_counts_them)
{
	Nl__EventRow e = event("SecureNAT: x"), *got;

	follow(NULL);
	super.events.follower[0].missed = 41;
	client->chan.queue_cap = 0;
	hublog_event(&super.hub[0], &e);
	cr_assert_eq(super.events.follower[0].missed, 0);
	cr_assert_eq(read_rows(&got), 2);
	super.events.follower[0].missed = 41;
	close(reader);
	hublog_event(&super.hub[0], &e);
	cr_assert_eq(super.events.follower[0].missed, 42);
}

Test(hublog, followers_are_few)
{
	Nl__EventsRequest m = NL__EVENTS_REQUEST__INIT;
	uint8_t bytes[1024];
	Nl__OperatorAnswer *a;
	unsigned int i;
	ssize_t n;

	follow(NULL);
	for (i = 1; i < EVENTS_FOLLOWERS; i++)
		super.events.follower[i].peer = &super.op.peer[i];
	cr_assert_eq(operator_on_events_request(client, &m, NULL), 0, "the same one again");
	super.events.follower[0].peer = &super.op.peer[9];
	recv(reader, bytes, sizeof(bytes), 0);
	recv(reader, bytes, sizeof(bytes), 0);
	cr_assert_eq(operator_on_events_request(client, &m, NULL), 0);
	n = recv(reader, bytes, sizeof(bytes), 0);
	a = nl__operator_answer__unpack(NULL, (size_t)n, bytes);
	cr_assert_eq(a->msg_case, NL__OPERATOR_ANSWER__MSG_FAILURE);
	cr_assert_str_eq(a->failure->code, "E0532");
	nl__operator_answer__free_unpacked(a, NULL);
}

Test(hublog, no_such_hub)
{
	Nl__EventsRequest m = NL__EVENTS_REQUEST__INIT;

	follow(NULL);
	events_forget(&super, client);
	m.hub = text_of("elsewhere");
	cr_assert_eq(operator_on_events_request(client, &m, NULL), 0);
	cr_assert_null(super.events.follower[0].peer);
}

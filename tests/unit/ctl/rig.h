/* Rows to render and a supervisor that plays back prepared answers over a socket pair. */
#ifndef NATLOCK_TESTS_CTL_RIG_H
#define NATLOCK_TESTS_CTL_RIG_H

#include <sys/socket.h>
#include <unistd.h>

#include "ctl.h"
#include "support.h"

/* The far end of natlockctl's connection: records are queued before natlockctl runs, read back
 * after. */
struct rig {
	struct ctl ctl;
	struct capture out, err;
	int near, far;
	char *out_text, *err_text;
};

static inline void rig_open(struct rig *r)
{
	int pair[2];

	setenv("TZ", "UTC", 1);
	memset(r, 0, sizeof(*r));
	capture_open(&r->out);
	capture_open(&r->err);
	r->ctl.out = r->out.file;
	r->ctl.err = r->err.file;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		abort();
	r->near = pair[0];
	r->far = pair[1];
}

static inline void rig_close(struct rig *r)
{
	if (r->out.file)
		r->out_text = capture_close(&r->out);
	if (r->err.file)
		r->err_text = capture_close(&r->err);
	close(r->near);
	close(r->far);
	free(r->out_text);
	free(r->err_text);
}

static inline void rig_say(struct rig *r, const ProtobufCMessage *answer)
{
	size_t bytes = protobuf_c_message_get_packed_size(answer);
	uint8_t *packed = malloc(bytes + 1);

	protobuf_c_message_pack(answer, packed);
	if (send(r->far, packed, bytes, 0) != (ssize_t)bytes)
		abort();
	free(packed);
}

static inline void rig_rows(struct rig *r, Nl__Topic topic, const ProtobufCMessage *const *rows,
	size_t count, bool last)
{
	Nl__OperatorAnswer answer = NL__OPERATOR_ANSWER__INIT;
	Nl__TableRows slice = NL__TABLE_ROWS__INIT;
	ProtobufCBinaryData packed[16];

	for (size_t i = 0; i < count; i++) {
		packed[i].len = protobuf_c_message_get_packed_size(rows[i]);
		packed[i].data = malloc(packed[i].len + 1);
		protobuf_c_message_pack(rows[i], packed[i].data);
	}
	slice.has_topic = 1;
	slice.topic = topic;
	slice.n_rows = count;
	slice.rows = packed;
	slice.has_last = 1;
	slice.last = last;
	answer.msg_case = NL__OPERATOR_ANSWER__MSG_ROWS;
	answer.rows = &slice;
	rig_say(r, &answer.base);
	for (size_t i = 0; i < count; i++)
		free(packed[i].data);
}

/* Of an order: `count` things were reached; else 0. */
static inline void rig_counted(struct rig *r, const char *text, uint64_t count)
{
	Nl__OperatorAnswer answer = NL__OPERATOR_ANSWER__INIT;
	Nl__Done done = NL__DONE__INIT;
	char *copy = strdup(text);

	done.text = copy;
	done.has_count = count > 0;
	done.count = count;
	answer.msg_case = NL__OPERATOR_ANSWER__MSG_DONE;
	answer.done = &done;
	rig_say(r, &answer.base);
	free(copy);
}

static inline void rig_done(struct rig *r, const char *text)
{
	rig_counted(r, text, 0);
}

/* A piece of a text. */
static inline void rig_part(struct rig *r, const char *text, bool last)
{
	Nl__OperatorAnswer answer = NL__OPERATOR_ANSWER__INIT;
	Nl__TextPart part = NL__TEXT_PART__INIT;
	char *copy = strdup(text);

	part.text = copy;
	part.has_last = 1;
	part.last = last;
	answer.msg_case = NL__OPERATOR_ANSWER__MSG_TEXT;
	answer.text = &part;
	rig_say(r, &answer.base);
	free(copy);
}

/* Runs natlockctl with these words (the last NULL); its texts are in out_text and err_text
 * afterwards. */
static inline int rig_run(struct rig *r, const char *const *words)
{
	char *argv[48] = {0};
	int argc = 0, code;

	argv[argc++] = strdup("natlockctl");
	for (; words[argc - 1] != NULL; argc++)
		argv[argc] = strdup(words[argc - 1]);
	code = ctl_parse(&r->ctl, argc, argv);
	if (code == CTL_GO_ON)
		code = ctl_run(&r->ctl, r->near);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	r->out_text = capture_close(&r->out);
	r->err_text = capture_close(&r->err);
	return code;
}
#define RUN(RIG, ...) rig_run(RIG, (const char *const[]){__VA_ARGS__, NULL})

/* A failure of the supervisor's; code may be NULL. */
static inline void rig_fail_code(
	struct rig *r, const char *code, const char *message, uint32_t exit_code)
{
	Nl__OperatorAnswer answer = NL__OPERATOR_ANSWER__INIT;
	Nl__Failure f = NL__FAILURE__INIT;
	char *copy = strdup(message), *code_copy = code != NULL ? strdup(code) : NULL;

	f.code = code_copy;
	f.message = copy;
	f.has_exit_code = 1;
	f.exit_code = exit_code;
	answer.msg_case = NL__OPERATOR_ANSWER__MSG_FAILURE;
	answer.failure = &f;
	rig_say(r, &answer.base);
	free(copy);
	free(code_copy);
}

static inline void rig_fail(struct rig *r, const char *message, uint32_t exit_code)
{
	rig_fail_code(r, NULL, message, exit_code);
}

/* The next request that natlockctl sent, or NULL; for the caller to free. */
static inline Nl__OperatorRequest *rig_request(struct rig *r)
{
	static uint8_t bytes[CHAN_MAX_BYTES];
	ssize_t n = recv(r->far, bytes, sizeof(bytes), MSG_DONTWAIT);

	return n < 0 ? NULL : nl__operator_request__unpack(NULL, (size_t)n, bytes);
}

/* The sample of docs/operator.md as rows. */
struct sample {
	Nl__Address source[2], destination[2], outside[2], hub_address;
	Nl__NatRow nat[2];
	Nl__StatusRow status;
	Nl__ProcessRow process;
	Nl__HubRow hub;
	char text[14][40];
};

static inline void address_set(Nl__Address *a, uint32_t ip, uint32_t port)
{
	nl__address__init(a);
	a->has_ip_be = 1;
	a->ip_be = htonl(ip);
	a->has_port = port != 0;
	a->port = port;
}

static inline void sample_nat(struct sample *s)
{
	static const char *const words[] = {"tcp", "RUNNING", "udp", "RUNNING", "sip"};

	for (int i = 0; i < 5; i++)
		strcpy(s->text[i], words[i]);
	address_set(&s->source[0], 0xc0a81e0a, 59564);
	address_set(&s->destination[0], 0x0a630001, 8080);
	address_set(&s->outside[0], 0x0a630002, 41022);
	address_set(&s->source[1], 0xc0a81e0b, 5060);
	address_set(&s->destination[1], 0xcb007109, 5060);
	address_set(&s->outside[1], 0x0a630002, 5060);
	for (int i = 0; i < 2; i++) {
		Nl__NatRow *row = &s->nat[i];

		nl__nat_row__init(row);
		row->has_id = row->has_created_ms = row->has_idle_ms = row->has_rx_bytes =
			row->has_tx_bytes = 1;
		row->id = 3 + 2 * (uint32_t)i;
		row->proto = s->text[2 * i];
		row->state = s->text[2 * i + 1];
		row->source = &s->source[i];
		row->destination = &s->destination[i];
		row->outside = &s->outside[i];
		row->created_ms = 10898000 + 33000 * (uint64_t)i;
		row->idle_ms = 12000 * (uint64_t)!i;
		row->rx_bytes = i == 0 ? 1258291 : 9318;
		row->tx_bytes = i == 0 ? 49152 : 9011;
	}
	s->nat[1].alg = s->text[4];
}

static inline void sample_status(struct sample *s)
{
	static const char *const words[] = {"0.1.0", "/etc/natlock.yaml", "OK", "broker",
		"natlock-b", "filter", "v6", "none", "ok", "default", "00:AC:6B:12:9F:03", "a note",
		"strict", "nftables table inet natlock-61185"};

	for (int i = 0; i < 14; i++)
		strcpy(s->text[i], words[i]);
	nl__status_row__init(&s->status);
	s->status.version = s->text[0];
	s->status.has_uptime_ms = 1;
	s->status.uptime_ms = 7860000;
	s->status.config = s->text[1];
	s->status.health = s->text[2];
	s->status.fence = s->text[13];
	nl__process_row__init(&s->process);
	s->process = (Nl__ProcessRow){s->process.base, s->text[3], 1, 4102, s->text[4], s->text[5],
		s->text[6], s->text[7], 1, 6, 1, 3145728, 1, 1234, 1, 0, s->text[8], NULL, NULL, 1,
		12};
	nl__hub_row__init(&s->hub);
	address_set(&s->hub_address, 0xc0a81e01, 0);
	s->hub_address.has_prefix = 1;
	s->hub_address.prefix = 24;
	s->hub = (Nl__HubRow){s->hub.base, s->text[9], &s->hub_address, s->text[10], 1, 3, 1, 41, 1,
		12, 1, 1, 1, 3, 1, 191, s->text[12]};
}

#endif

/*
 * What only a worker can do. Sessions that a filter names are found in the table here and named by
 * their numbers, which count in each process: so the orders go process by process.
 *
 *   table NAT ▶ rows that match ▶ {process, up to ORDER_IDS numbers} ▶ SessionsEnd ... until none is left
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "config.pb-c.h"
#include "kinds.h"
#include "reflect.h"
#include "table.h"

enum { ORDER_IDS = 4096 };

/* The supervisor's failure of an order that reached nothing. */
static const char NO_SUCH[] = "E0510";

int order_run_release(struct ctl *ctl, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__OrderRequest order = NL__ORDER_REQUEST__INIT;
	Nl__Order what = NL__ORDER__INIT;
	Nl__LeaseRelease lease = NL__LEASE_RELEASE__INIT;
	Nl__Mac mac = NL__MAC__INIT;
	char shown[64];
	int code;

	lease.has_ip_be = inet_pton(AF_INET, ctl->argument[0], &lease.ip_be) == 1;
	if (!lease.has_ip_be) {
		lease.has_mac =
			reflect_text_read(&mac.base, ctl->argument[0]) == 0 && mac.has_octets;
		lease.mac = mac.octets;
	}
	if (!lease.has_ip_be && !lease.has_mac)
		return failure(f, CTL_USAGE, "E0701", NULL, "See: natlockctl dhcp table",
			"\"%s\" is neither an address such as 192.168.30.10 nor a MAC address",
			reflect_printable(shown, sizeof(shown), ctl->argument[0]));
	what.what_case = NL__ORDER__WHAT_LEASE_RELEASE;
	what.lease_release = &lease;
	order.hub = ask_string(ctl->hub);
	order.order = &what;
	request.msg_case = NL__OPERATOR_REQUEST__MSG_ORDER;
	request.order = &order;
	code = ask_and_print(ctl, &request, -1, f);
	free(mac.octets.data);
	return code;
}

/* Ends sessions; process NULL: of all. *ended grows by how many there were. An exit code. */
static int end_sessions(struct ctl *ctl, const char *process, Nl__SessionsEnd *which,
	uint64_t *ended, struct failure *f)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__OrderRequest order = NL__ORDER_REQUEST__INIT;
	Nl__Order what = NL__ORDER__INIT;
	uint64_t count;
	char *text;

	what.what_case = NL__ORDER__WHAT_SESSIONS_END;
	what.sessions_end = which;
	order.hub = ask_string(ctl->hub);
	order.process = ask_string(process);
	order.order = &what;
	request.msg_case = NL__OPERATOR_REQUEST__MSG_ORDER;
	request.order = &order;
	text = ask_counted(ctl, &request, -1, &count, f);
	*ended += count;
	free(text);
	/* none of them is left: they ended by themselves */
	return text != NULL || (f->exit_code == CTL_NO_MATCH && strcmp(f->code, NO_SUCH) == 0)
		       ? CTL_OK
		       : (int)f->exit_code;
}

static bool same_process(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* The numbers of the next rows of one process, from *from on; those taken are marked by no id. */
static size_t take_ids(struct rows *rows, size_t *from, const char **process, uint32_t *ids)
{
	size_t count = 0;

	while (*from < rows->count && !((Nl__NatRow *)rows->row[*from])->has_id)
		(*from)++;
	for (size_t i = *from; i < rows->count && count < ORDER_IDS; i++) {
		Nl__NatRow *row = (Nl__NatRow *)rows->row[i];

		if (!row->has_id || (count > 0 && !same_process(row->process, *process)))
			continue;
		*process = row->process;
		ids[count++] = row->id;
		row->has_id = 0;
	}
	return count;
}

static int end_matching(struct ctl *ctl, struct rows *rows, uint64_t *ended, struct failure *f)
{
	static uint32_t ids[ORDER_IDS];
	const char *process = NULL;
	size_t from = 0, count;
	int code = CTL_OK;

	while (code == CTL_OK && (count = take_ids(rows, &from, &process, ids)) > 0) {
		Nl__SessionsEnd which = NL__SESSIONS_END__INIT;

		which.n_id = count;
		which.id = ids;
		code = end_sessions(ctl, process, &which, ended, f);
	}
	return code;
}

static int flush_all(struct ctl *ctl, uint64_t *ended, struct failure *f)
{
	Nl__SessionsEnd all = NL__SESSIONS_END__INIT;

	all.has_all = all.all = 1;
	return end_sessions(ctl, NULL, &all, ended, f);
}

static int flush_some(struct ctl *ctl, uint64_t now_ms, uint64_t *ended, struct failure *f)
{
	struct rows rows;
	int code = ask_table(ctl, NL__TOPIC__NAT, ctl->hub, &rows, f);

	table_filter(&rows, &ctl->filter, now_ms);
	if (code == CTL_OK)
		code = end_matching(ctl, &rows, ended, f);
	rows_free(&rows);
	if (code == CTL_OK && *ended == 0)
		code = failure(f, CTL_NO_MATCH, "E0712", NULL, "See: natlockctl nat table",
			"no session matches");
	return code;
}

int order_run_flush(struct ctl *ctl, struct failure *f)
{
	struct render render = ask_render(ctl);
	uint64_t ended = 0;
	char text[64];
	int code = ctl->filter.count == 0 ? flush_all(ctl, &ended, f)
					  : flush_some(ctl, render.wall_ms, &ended, f);

	if (code != CTL_OK)
		return code;
	snprintf(text, sizeof(text), "%" PRIu64 " %s ended", ended,
		ended == 1 ? "session" : "sessions");
	render_text(&render, ctl->verb, text);
	return CTL_OK;
}

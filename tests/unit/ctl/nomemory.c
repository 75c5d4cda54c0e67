/*
 * No memory, in what natlockctl allocates: each allocation refused in turn (fail.h). A table, a text and an import say what
 * is wrong with an exit code, and give back what they took.
 */
#include <criterion/criterion.h>

#include "ask.h"
#include "fail.h"
#include "import.h"
#include "rig.h"
#include "rows.h"

static struct rig rig;
static char *softether;
static size_t softether_bytes;

static void check_failure(int code, const struct failure *f)
{
	fail_require(code == CTL_OK || (code == (int)f->exit_code && f->message[0]),
		"refused without words\n");
}

static Nl__NatRow row = NL__NAT_ROW__INIT;

/* The supervisor's answers, queued before they are asked for. */
static void answer_table(void)
{
	const ProtobufCMessage *rows[] = {&row.base, &row.base};

	rig_rows(&rig, NL__TOPIC__NAT, rows, 2, false);
	rig_rows(&rig, NL__TOPIC__NAT, rows, 2, true);
}

static bool ask_rows(void)
{
	struct failure f = {0};
	struct rows rows;
	int code;

	fail_pause(true);
	rig_open(&rig);
	client_init(&rig.ctl.client, rig.near);
	answer_table();
	fail_pause(false);
	code = ask_table(&rig.ctl, NL__TOPIC__NAT, "default", &rows, &f);
	check_failure(code, &f);
	fail_require(code != CTL_OK || rows.count == 4,
		"a table with rows missing was taken for whole\n");
	rows_free(&rows);
	fail_pause(true);
	rig_close(&rig);
	fail_pause(false);
	return code == CTL_OK;
}

Test(nomemory, a_table)
{
	char proto[] = "tcp", state[] = "RUNNING";

	row.proto = proto;
	row.state = state;
	cr_assert_gt(fail_each(ask_rows), 4);
}

static bool ask_for_text(void)
{
	Nl__OperatorRequest request = NL__OPERATOR_REQUEST__INIT;
	Nl__VersionRequest version = NL__VERSION_REQUEST__INIT;
	struct failure f = {0};
	char *text;
	bool done;

	fail_pause(true);
	rig_open(&rig);
	client_init(&rig.ctl.client, rig.near);
	rig_part(&rig, "one ", false);
	rig_part(&rig, "two", true);
	fail_pause(false);
	request.msg_case = NL__OPERATOR_REQUEST__MSG_VERSION;
	request.version = &version;
	text = ask_text(&rig.ctl, &request, -1, &f);
	fail_require(text || (f.exit_code != CTL_OK && f.message[0]), "refused without words\n");
	fail_require(
		!text || strcmp(text, "one two") == 0, "half a text was taken for a whole one\n");
	done = text != NULL;
	free(text);
	fail_pause(true);
	rig_close(&rig);
	fail_pause(false);
	return done;
}

Test(nomemory, a_text)
{
	cr_assert_gt(fail_each(ask_for_text), 1);
}

static bool import(void)
{
	static char memory[1 << 17], notes_memory[1 << 16];
	struct failure f = {0};
	FILE *out, *notes;
	int code;

	fail_pause(true);
	out = fmemopen(memory, sizeof(memory), "w");
	notes = fmemopen(notes_memory, sizeof(notes_memory), "w");
	fail_pause(false);
	code = import_softether("vpn_server.config", softether, softether_bytes, out, notes, &f);
	check_failure(code, &f);
	fail_require(code == CTL_OK || ftell(out) == 0, "half a configuration was written\n");
	fail_pause(true);
	fclose(out);
	fclose(notes);
	fail_pause(false);
	return code == CTL_OK;
}

Test(nomemory, an_import)
{
	FILE *file = fopen(VECTORS "/import/vpn_server.config", "r");

	cr_assert_not_null(file);
	softether = malloc(1 << 20);
	softether_bytes = fread(softether, 1, 1 << 20, file);
	fclose(file);
	fail_each(import);
	free(softether);
}

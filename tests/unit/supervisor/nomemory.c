/*
 * No memory, in everything of the supervisor that allocates: each allocation refused in turn (fail.h). It says so in words, gives
 * back what it took, and what was in force before is in force after.
 */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "change.h"
#include "conf.h"
#include "configure.h"
#include "fail.h"
#include "operator_dispatch.h"
#include "options.h"
#include "saved.h"
#include "start.h"
#include "store.h"
#include "supervisor.h"

static const char text[] =
	"hubs: {default: {nat: {mtu: 1400, publish: [{proto: tcp, listen: \"127.0.0.1:8080\", "
	"to: \"192.168.30.10:80\"}]}}, lab: {host: {address: 192.168.30.2}}}";
static char folder[64], path[SAVED_PATH];
static Nl__Config *running;

static void begin(void)
{
	struct conf_error error;

	strcpy(folder, "/tmp/natlock-test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	saved_path(path, folder);
	running = conf_parse("test", text, sizeof(text) - 1, &error);
	cr_assert_not_null(running, "%s", error.text);
}

static void end(void)
{
	char journal[96];

	snprintf(journal, sizeof(journal), "%s/leases-test", folder);
	unlink(journal);
	unlink(path);
	cr_expect_eq(rmdir(folder), 0, "something is left in %s", folder);
	conf_free(running);
}

TestSuite(nomemory, .init = begin, .fini = end);

static bool parse(void)
{
	struct conf_error error = {0};
	Nl__Config *config = conf_parse("test", text, sizeof(text) - 1, &error);

	fail_require(config || error.text[0], "conf_parse refused without words\n");
	conf_free(config);
	return config != NULL;
}

Test(nomemory, a_configuration_is_read)
{
	cr_assert_gt(fail_each(parse), 100);
}

static bool parse_nonsense(void)
{
	static const char wrong[] = "hubs: {default: {nat: {mtuu: 1400}}}";
	struct conf_error error = {0};
	Nl__Config *config = conf_parse("test", wrong, sizeof(wrong) - 1, &error);

	fail_require(!config && error.text[0],
		"conf_parse took nonsense, or refused it without words\n");
	return strstr(error.text, "mtu") != NULL;
}

Test(nomemory, a_configuration_is_refused)
{
	cr_assert_gt(fail_each(parse_nonsense), 10);
}

static bool change(void)
{
	Nl__ChangeRequest request = NL__CHANGE_REQUEST__INIT;
	Nl__Change set = NL__CHANGE__INIT, add = NL__CHANGE__INIT, *changes[] = {&set, &add};
	char mtu[] = "nat.mtu", value[] = "1300", list[] = "nat.publish",
	     entry[] = "{proto: tcp, listen: \"127.0.0.1:9090\", to: \"192.168.30.11:90\"}";
	struct trouble t = {0};
	Nl__Config *config;

	set.path = mtu;
	set.value = value;
	add.has_how = true;
	add.how = NL__CHANGE__HOW__ADD;
	add.path = list;
	add.value = entry;
	request.changes = changes;
	request.n_changes = 2;
	config = change_make(running, &request, false, &t);
	fail_require(config || t.message[0], "change_make refused without words\n");
	fail_require(running->hubs[0]->nat->mtu == 1400 && running->hubs[0]->nat->n_publish == 1,
		"what runs was changed\n");
	conf_free(config);
	return config != NULL;
}

Test(nomemory, a_change_is_made)
{
	cr_assert_gt(fail_each(change), 50);
}

/* A reload: what is read is one hub more and another value. */
static Nl__Config *again;

static bool plan(void)
{
	struct change_plan made;
	struct trouble t = {0};
	int r = change_plan_make(&made, running, again, NULL, false, &t);

	fail_require(r == 0 || (!made.config && t.message[0]),
		"change_plan_make refused without words\n");
	fail_require(running->n_hubs == 2, "what runs was changed\n");
	conf_free(made.config);
	return r == 0;
}

Test(nomemory, a_reload_is_planned)
{
	static const char other[] =
		"hubs: {default: {nat: {mtu: 1200}}, lab: {host: {address: 192.168.30.2}}, "
		"more: {host: {address: 192.168.30.3}}}";
	struct conf_error error;

	again = conf_parse("test", other, sizeof(other) - 1, &error);
	cr_assert_not_null(again, "%s", error.text);
	cr_assert_gt(fail_each(plan), 50);
	conf_free(again);
}

static bool in_force(void)
{
	static const uint8_t mac[6] = {0, 0xac, 1, 2, 3, 4};
	Nl__Hub *hub = change_in_force(running->hubs[0], mac);

	if (hub)
		nl__hub__free_unpacked(hub, NULL);
	return hub != NULL;
}

Test(nomemory, a_hub_as_its_workers_have_it)
{
	cr_assert_gt(fail_each(in_force), 10);
}

/* A configuration whose text is longer than a stream's first buffer: it must grow, and may not. */
static Nl__Config *parse_long(void)
{
	static char long_text[32768];
	size_t n = (size_t)sprintf(long_text, "hubs: {default: {nat: {mtu: 1300, publish: [");
	struct conf_error error;
	Nl__Config *config;

	for (int i = 0; i < 200; i++)
		n += (size_t)sprintf(long_text + n,
			"{proto: tcp, listen: \"127.0.0.1:%d\", to: \"192.168.30.10:%d\"}, ",
			8000 + i, 9000 + i);
	sprintf(long_text + n, "]}}, lab: {host: {address: 192.168.30.2}}}");
	config = conf_parse("long", long_text, strlen(long_text), &error);
	cr_assert_not_null(config, "%s", error.text);
	return config;
}

/* The layer is there as a whole or as it was before. */
static bool save(void)
{
	const int r = saved_write(path, again, running);
	struct conf_error error;
	Nl__Config *back;
	bool laid;

	fail_require(r == 1 || r == -ENOMEM, "saved_write says neither done nor no memory\n");
	fail_pause(true);
	back = saved_lay(path, running, &laid, &error);
	fail_require(back && reflect_equal(&back->base, laid ? &again->base : &running->base),
		"half a layer was saved\n");
	fail_require(laid || r != 1, "nothing was saved\n");
	conf_free(back);
	fail_pause(false);
	return r == 1;
}

static bool lay(void)
{
	struct conf_error error = {0};
	bool laid = false;
	Nl__Config *config = saved_lay(path, running, &laid, &error);

	fail_require(config || error.text[0] || error.os, "saved_lay refused without words\n");
	fail_require(!config || (laid && config->hubs[0]->nat->mtu == 1300),
		"a layer was passed over for lack of memory\n");
	conf_free(config);
	return config != NULL;
}

Test(nomemory, changes_are_saved_and_laid)
{
	again = parse_long();
	cr_assert_gt(fail_each(save), 1);
	cr_assert_gt(fail_each(lay), 50);
	conf_free(again);
}

static bool run_config(void)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct options o = {.subnet = {inet_addr("10.9.8.0"), 29},
		.mtu = 9000,
		.publishes = 1,
		.publish = {{true, inet_addr("127.0.0.1"), 5353, 53}}};
	struct trouble t = {0};
	Nl__Config *config = start_run_config(&o, mac, &t);

	fail_require(config || t.message[0], "start_run_config refused without words\n");
	conf_free(config);
	return config != NULL;
}

Test(nomemory, the_configuration_of_run)
{
	cr_assert_gt(fail_each(run_config), 50);
}

/* All hubs have what was read, or all have what they had: a reload that finds no memory changes nothing. */
static struct supervisor super;

static bool apply(void)
{
	static const uint8_t mac[6] = {0, 0xac, 1, 2, 3, 4};
	struct trouble t = {0};
	Nl__Config *before, *now;
	bool changed;
	int r;

	fail_pause(true);
	super.config = before = (Nl__Config *)reflect_copy(&running->base);
	for (unsigned int i = 0; i < super.hubs; i++)
		super.hub[i].conf = change_in_force(running->hubs[i], mac);
	now = (Nl__Config *)reflect_copy(&again->base);
	fail_pause(false);
	r = configure_apply(&super, now, &t);
	changed = super.config == now;
	fail_require(changed == (r == 0) && (changed || super.config == before),
		"half a configuration\n");
	fail_require(r == 0 || t.message[0], "configure_apply refused without words\n");
	for (unsigned int i = 0; i < super.hubs; i++) {
		fail_require(super.hub[i].conf->nat->mtu == (changed ? 1300 : 1400),
			"a hub has another one\n");
		nl__hub__free_unpacked(super.hub[i].conf, NULL);
	}
	conf_free(super.config);
	return r == 0;
}

Test(nomemory, a_reload_is_put_in_force)
{
	again = (Nl__Config *)reflect_copy(&running->base);
	super.loop = ev_loop_new(EVBACKEND_SELECT);
	super.logsock.fd = -1;
	for (super.hubs = 0; super.hubs < 2; super.hubs++) {
		struct hub *hub = &super.hub[super.hubs];

		running->hubs[super.hubs]->nat->mtu = 1400;
		again->hubs[super.hubs]->nat->mtu = 1300;
		hub->super = &super;
		hub->store.fd = -1;
		hub->shards = 1;
		hub_crew(hub); /* nobody is there to be told */
	}
	cr_assert_gt(fail_each(apply), 50);
	ev_loop_destroy(super.loop);
	conf_free(again);
}

/* A client is answered, if only that there was no memory. */
static bool show(void)
{
	static uint8_t bytes[CHAN_MAX_BYTES];
	Nl__ConfigRequest m = NL__CONFIG_REQUEST__INIT;
	struct operator_peer p = {.op = &super.op, .admin = true};
	struct chan_in in = {.nfds = 0};
	Nl__OperatorAnswer *a;
	bool whole;
	ssize_t n;
	int pair[2], r;

	m.what = NL__CONFIG_REQUEST__WHAT__CHANGED;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		abort();
	chan_init(&p.chan, pair[0], NULL, NULL, 0);
	r = operator_on_config_request(&p, &m, &in);
	n = recv(pair[1], bytes, sizeof(bytes), MSG_DONTWAIT);
	close(pair[0]);
	close(pair[1]);
	fail_require(r == 0 && n > 0, "a client was not answered\n");
	fail_pause(true);
	a = nl__operator_answer__unpack(NULL, (size_t)n, bytes);
	whole = a->msg_case == NL__OPERATOR_ANSWER__MSG_TEXT;
	fail_require(!whole || (strstr(a->text->text, "mtu: 1300") && strstr(a->text->text, "lab")),
		"half a configuration was shown as a whole one\n");
	fail_require(whole || a->failure->message[0], "refused without words\n");
	nl__operator_answer__free_unpacked(a, NULL);
	fail_pause(false);
	return whole;
}

Test(nomemory, a_configuration_is_shown)
{
	super.op.super = &super;
	super.config = again = parse_long();
	super.hubs = 1;
	cr_assert_gt(fail_each(show), 50);
	conf_free(again);
}

/* What was committed is found at the next start; what was not is nowhere. */
static bool commit(void)
{
	static uint32_t number;
	uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	Nl__Lease lease = NL__LEASE__INIT;
	struct store s, next;
	size_t before, found = 0;
	int r;

	lease.ip_be = htonl(0xc0a81e00 + ++number);
	lease.mac = (ProtobufCBinaryData){sizeof(mac), mac};
	lease.expires_ms = UINT64_MAX;
	r = store_open(&s, folder, "test");
	before = s.leases;
	if (r == 0)
		r = store_commit(&s, &lease);
	if (r == 0)
		r = store_sync(&s);
	fail_require(r == 0 || (s.leases == before && !store_has_pending(&s)),
		"what failed left a trace\n");
	store_close(&s);
	fail_pause(true);
	fail_require(
		store_open(&next, folder, "test") == 0, "the journal cannot be opened any more\n");
	for (size_t i = 0; i < next.leases; i++)
		found += next.lease[i].ip_be == lease.ip_be;
	store_close(&next);
	fail_pause(false);
	fail_require(found == (r == 0), "the journal says another thing than the answer\n");
	return r == 0;
}

Test(nomemory, a_lease_is_stored)
{
	cr_assert_gt(fail_each(commit), 3);
}

/* conf.c: the defaults hold every key, layers, files, what is printed reads back. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

static Nl__Config *parse(const char *text)
{
	struct conf_error error;
	Nl__Config *config = conf_parse("test", text, strlen(text), &error);

	cr_assert_not_null(config, "line %d column %d: %s", error.line, error.column, error.text);
	return config;
}

static int missing(const ProtobufCMessage *m);

/* A text, a notation or a whole section: how many values are not there. */
static int missing_below(const ProtobufCFieldDescriptor *f, const void *at)
{
	const void *pointer;

	memcpy(&pointer, at, sizeof(pointer));
	if (pointer == NULL)
		return 1;
	if (f->type != PROTOBUF_C_TYPE_MESSAGE || reflect_has_text(f->descriptor))
		return 0;
	return missing(pointer);
}

/* Counts fields of the descriptors that the message leaves without a value. Lists count as given.
 */
static int missing(const ProtobufCMessage *m)
{
	int count = 0;

	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const uint8_t *at = (const uint8_t *)m + f->offset;
		protobuf_c_boolean has;

		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			continue;
		if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE) {
			count += missing_below(f, at);
			continue;
		}
		memcpy(&has, (const uint8_t *)m + f->quantifier_offset, sizeof(has));
		count += !has;
	}
	return count;
}

Test(conf, defaults_give_every_key_a_value)
{
	Nl__Config *config = parse("");

	cr_assert_eq(config->n_hubs, 1);
	cr_assert_str_eq(config->hubs[0]->name, "default");
	cr_assert_eq(missing(&config->base), 0);
	cr_assert_eq(missing(&config->hubs[0]->base), 0);
	conf_free(config);
}

/* Whether the defaults' text shows the key, lists included, as "key:" after blanks or a bracket. */
static bool text_shows(const char *key)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "%s:", key);
	for (const char *at = conf_defaults_text(); (at = strstr(at, wanted)) != NULL; at++)
		if (at == conf_defaults_text() || strchr("\n {", at[-1]) != NULL)
			return true;
	return false;
}

Test(conf, defaults_text_shows_every_key)
{
	const ProtobufCMessageDescriptor *const sections[] = {&nl__config__descriptor,
		&nl__virtual_host__descriptor, &nl__nat__descriptor, &nl__publish__descriptor,
		&nl__dhcp__descriptor, &nl__reservation__descriptor, &nl__alg__descriptor,
		&nl__alg_switch__descriptor, &nl__limits__descriptor, &nl__log__descriptor,
		&nl__api__descriptor, &nl__policy__descriptor, &nl__static__descriptor,
		&nl__vrf__descriptor, &nl__access_list__descriptor, &nl__route__descriptor,
		&nl__dns__descriptor, &nl__options__descriptor};

	for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++)
		for (unsigned int i = 0; i < sections[s]->n_fields; i++)
			cr_expect(text_shows(sections[s]->fields[i].name), "%s.%s",
				sections[s]->short_name, sections[s]->fields[i].name);
	for (unsigned int i = 1; i < nl__hub__descriptor.n_fields; i++)
		cr_expect(text_shows(nl__hub__descriptor.fields[i].name), "%s",
			nl__hub__descriptor.fields[i].name);
}

/* The seed's values (SecureNAT manual 3.7.2, 3.7.3, 3.7.5). */
Test(conf, defaults_are_the_seeds)
{
	Nl__Config *config = parse("");
	const Nl__Hub *hub = config->hubs[0];

	cr_assert_eq(hub->enable, 1);
	cr_assert_eq(hub->host->address->be, htonl(0xc0a81e01));
	cr_assert_eq(hub->host->netmask->be, htonl(0xffffff00));
	cr_assert_eq(hub->host->mac->auto_, 1);
	cr_assert_eq(hub->nat->mtu, 1500);
	cr_assert_eq(hub->nat->tcp_timeout->ms, 7440000);
	cr_assert_eq(hub->nat->udp_timeout->ms, 600000);
	cr_assert_eq(hub->dhcp->range->from->be, htonl(0xc0a81e0a));
	cr_assert_eq(hub->dhcp->range->to->be, htonl(0xc0a81ec8));
	cr_assert_eq(hub->dhcp->lease->ms, 7200000);
	cr_assert_str_eq(hub->dhcp->gateway, "192.168.30.1");
	cr_assert_eq(hub->dhcp->n_dns, 1);
	conf_free(config);
}

Test(conf, a_users_hub_starts_from_the_default_hub)
{
	Nl__Config *config =
		parse("hubs:\n  lab:\n    nat: {mtu: 9000}\n    attach: [tap:nl0, qemu:/q]\n"
		      "  other:\n");

	cr_assert_eq(config->n_hubs, 2);
	cr_assert_str_eq(config->hubs[0]->name, "lab");
	cr_assert_eq(config->hubs[0]->nat->mtu, 9000);
	cr_assert_eq(config->hubs[0]->nat->tcp_timeout->ms, 7440000);
	cr_assert_eq(config->hubs[0]->n_attach, 2);
	cr_assert_str_eq(config->hubs[0]->attach[1], "qemu:/q");
	cr_assert_str_eq(config->hubs[1]->name, "other");
	cr_assert_eq(config->hubs[1]->nat->mtu, 1500);
	conf_free(config);
}

Test(conf, lists_replace_and_may_become_empty)
{
	Nl__Config *config =
		parse("hubs: {default: {dhcp: {dns: []}, alg: {ftp: {ports: [2121, 21]}}}}");

	cr_assert_eq(config->hubs[0]->dhcp->n_dns, 0);
	cr_assert_null(config->hubs[0]->dhcp->dns);
	cr_assert_eq(config->hubs[0]->alg->ftp->n_ports, 2);
	cr_assert_eq(config->hubs[0]->alg->ftp->ports[0], 2121);
	cr_assert_eq(config->hubs[0]->alg->ftp->mode, NL__ALG_SWITCH__MODE__fix);
	conf_free(config);
}

static const char everything[] =
	"hubs:\n"
	"  lab:\n"
	"    attach: [netns:lab, \"qemu:/run/a b.sock\"]\n"
	"    host: {mac: 00-ac-01-02-03-04, address: 10.1.0.1, netmask: 255.255.0.0}\n"
	"    nat:\n"
	"      tcp_timeout: 90m\n"
	"      udp_timeout: 1500ms\n"
	"      publish:\n"
	"        - {proto: udp, listen: \"127.0.0.1:5353\", to: \"10.1.0.9:53\"}\n"
	"    dhcp:\n"
	"      netmask: 255.255.0.0\n"
	"      range: 10.1.1.0-10.1.200.255\n"
	"      gateway: none\n"
	"      dns: [10.1.0.1, 9.9.9.9]\n"
	"      domain: lab.example\n"
	"      reservations:\n"
	"        nt4: {mac: 00:AC:85:40:B5:50, address: 10.1.0.20}\n"
	"        nt5: {mac: 00:AC:85:40:B5:51, address: 10.1.0.21}\n"
	"    alg: {ftp: {enable: false, ports: []}}\n"
	"log: {style: json}\n";

Test(conf, printed_configuration_reads_back_equal)
{
	Nl__Config *config = parse(everything), *again;
	struct capture c;
	char *text;

	capture_open(&c);
	conf_print(c.file, config);
	text = capture_close(&c);
	again = parse(text);
	cr_assert(reflect_equal(&config->base, &again->base), "%s", text);
	conf_free(again);
	conf_free(config);
	free(text);
}

Test(conf, difference_reads_back_equal_and_names_only_what_differs)
{
	Nl__Config *config = parse(everything), *again;
	struct capture c;
	char *text;

	capture_open(&c);
	cr_assert(conf_print_diff(c.file, config));
	text = capture_close(&c);
	again = parse(text);
	cr_assert(reflect_equal(&config->base, &again->base), "%s", text);
	cr_assert_null(strstr(text, "mtu"));
	cr_assert_null(strstr(text, "api"));
	cr_assert_null(strstr(text, "dhcp_"));
	cr_assert_not_null(strstr(text, "udp_timeout: 1500ms"));
	conf_free(again);
	conf_free(config);
	free(text);
}

Test(conf, difference_of_the_defaults_is_empty)
{
	Nl__Config *config = parse("# nothing\n");
	struct capture c;
	char *text;

	capture_open(&c);
	cr_assert_not(conf_print_diff(c.file, config));
	text = capture_close(&c);
	cr_assert_str_empty(text);
	conf_free(config);
	free(text);
}

Test(conf, difference_is_minimal_text)
{
	Nl__Config *config =
		parse("hubs: {default: {nat: {mtu: 1400, icmp: dummy}}}\nlog: {file: none}");
	struct capture c;
	char *text;

	capture_open(&c);
	cr_assert(conf_print_diff(c.file, config));
	text = capture_close(&c);
	cr_assert_str_eq(text, "hubs:\n  default:\n    nat:\n      mtu: 1400\n      icmp: dummy\n"
			       "log:\n  file: none\n");
	conf_free(config);
	free(text);
}

static char folder[] = "/tmp/natlock-conf-XXXXXX";

static void make_folder(void)
{
	cr_assert_not_null(mkdtemp(folder));
	setenv("XDG_CONFIG_HOME", folder, 1);
}

static void remove_folder(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/natlock.yaml", folder);
	unlink(path);
	rmdir(folder);
}

static void write_file(const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/natlock.yaml", folder);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

Test(conf, file_is_found_in_the_users_folder, .init = make_folder, .fini = remove_folder)
{
	struct conf_error error;
	Nl__Config *config;

	if (access("/etc/natlock.yaml", F_OK) == 0)
		cr_skip_test("this machine has its own /etc/natlock.yaml");
	write_file("hubs: {default: {nat: {mtu: 1280}}}\n");
	config = conf_load(NULL, &error);
	cr_assert_not_null(config);
	cr_assert_eq(config->hubs[0]->nat->mtu, 1280);
	conf_free(config);
}

Test(conf, without_a_file_the_defaults_hold, .init = make_folder, .fini = remove_folder)
{
	struct conf_error error;
	Nl__Config *config;

	if (access("/etc/natlock.yaml", F_OK) == 0)
		cr_skip_test("this machine has its own /etc/natlock.yaml");
	config = conf_load(NULL, &error);
	cr_assert_not_null(config);
	cr_assert_eq(config->hubs[0]->nat->mtu, 1500);
	conf_free(config);
}

Test(conf, a_file_that_is_not_there_is_an_error)
{
	struct conf_error error;
	char text[600];

	cr_assert_null(conf_load("/nowhere/natlock.yaml", &error));
	cr_assert_str_eq(conf_error_text(&error, text, sizeof(text)),
		"/nowhere/natlock.yaml: cannot open: No such file or directory");
	cr_assert_null(conf_load("/tmp", &error));
	cr_assert_str_eq(
		conf_error_text(&error, text, sizeof(text)), "/tmp: cannot read: Is a directory");
}

Test(conf, a_file_without_end_is_refused)
{
	struct conf_error error;

	cr_assert_null(conf_load("/dev/zero", &error));
	cr_assert_str_eq(error.text, "longer than 256 KiB");
}

/* What a worker is told of its hub is one record, so a hub that no record holds is no configuration. */
Test(conf, a_hub_has_a_size)
{
	static char text[REFLECT_YAML_MAX];
	struct conf_error error;
	size_t used = (size_t)sprintf(text, "hubs: {lab: {nat: {access_lists: [");

	for (unsigned int list = 1; list <= 30; list++) {
		used += (size_t)sprintf(text + used, "%s{number: %u, permit: [10.%u.0.0/24",
			list > 1 ? ", " : "", list, list);
		for (unsigned int i = 1; i < 256; i++)
			used += (size_t)sprintf(text + used, ", 10.%u.%u.0/24", list, i);
		used += (size_t)sprintf(text + used, "]}");
	}
	sprintf(text + used, "]}}}");
	cr_assert_null(conf_parse("test", text, strlen(text), &error));
	cr_assert(strstr(error.text, "hub lab is too large: "), "%s", error.text);
	cr_assert_eq(error.line, 1);
}

/* alg_test.c: a capture from the repository, in every format; options; what is no capture. */
#include <criterion/criterion.h>

#include "alg_test.h"
#include "conf.h"
#include "replay.h"
#include "algs_config.h"
#include "rig.h"

static const char own[] = VECTORS "/captures/ftp/own-vsftpd-curl-epsv-pasv-eprt-port.pcap";

struct file {
	uint8_t bytes[1 << 18];
	size_t size;
};

static struct file *load(const char *path)
{
	struct file *f = calloc(1, sizeof(*f));
	FILE *in = fopen(path, "rb");

	cr_assert_not_null(in, "%s", path);
	f->size = fread(f->bytes, 1, sizeof(f->bytes), in);
	fclose(in);
	return f;
}

/* As main.c does it, with the file already read; the texts are in r afterwards. */
static int run(struct rig *r, const struct file *file, const char *const *words)
{
	char *argv[24] = {0};
	struct failure f;
	int argc = 0, code;

	argv[argc++] = strdup("natlockctl");
	for (; words[argc - 1] != NULL; argc++)
		argv[argc] = strdup(words[argc - 1]);
	code = ctl_parse(&r->ctl, argc, argv);
	if (code == CTL_GO_ON) {
		code = alg_test_run(&r->ctl, file->bytes, file->size, &f);
		code = code == CTL_OK ? code : ctl_fail(&r->ctl, &f);
	}
	while (argc > 0)
		free(argv[--argc]);
	r->out_text = capture_close(&r->out);
	r->err_text = capture_close(&r->err);
	return code;
}

#define TEST(r, file, ...) run(r, file, (const char *const[]){"alg", "test", __VA_ARGS__, NULL})

Test(alg_test, a_table)
{
	struct file *file = load(own);
	struct rig r;

	rig_open(&r);
	cr_assert_eq(TEST(&r, file, "ftp", "f.pcap"), CTL_OK, "%s", r.err_text);
	cr_expect_not_null(strstr(r.out_text,
		"87     3     10.77.1.20:21  guest  35   edit   -     10.77.1.10|36781 "));
	cr_expect_not_null(strstr(r.out_text, " tcp 36781, 30s, latent  203.0.113.7:36781\n"));
	cr_expect_not_null(strstr(r.out_text, " arm "));
	cr_expect_not_null(strstr(r.out_text, "ftp  5      88        1.8K   2      2 "));
	cr_expect_str_eq(r.err_text, "6 events shown.\nThe guest is 10.77.1.10, outside it is "
				     "203.0.113.7; every wish is granted.\n");
	rig_close(&r);
	free(file);
}

Test(alg_test, for_programs)
{
	struct file *file = load(own);
	struct rig r;

	rig_open(&r);
	cr_assert_eq(TEST(&r, file, "ftp", "f.pcap", "-o", "json", "--guest", "10.77.1.20",
			     "--outside=198.51.100.9:40000", "--port", "990,21"),
		CTL_OK, "%s", r.err_text);
	cr_expect_not_null(strstr(r.out_text, "{\"schema\":\"natlock.alg.test/1\""));
	cr_expect_not_null(
		strstr(r.out_text, "\"becomes\":\"198,51,100,9,156,66\""), "%s", r.out_text);
	cr_expect_not_null(strstr(r.out_text, "\"guest\":\"10.77.1.20:21\""));
	cr_expect_not_null(strstr(r.out_text, "\"totals\":[\n{\"alg\":\"ftp\""));
	rig_close(&r);
	rig_open(&r);
	cr_assert_eq(TEST(&r, file, "ftp", "f.pcap", "-o", "csv"), CTL_OK);
	cr_expect_eq(strncmp(r.out_text, "frame,flow,proto,guest,peer,from,at,event,", 42), 0);
	rig_close(&r);
	free(file);
}

/* Bytes that are no text are told in hex. */
Test(alg_test, edits_of_bytes)
{
	struct file *file = load(VECTORS "/captures/dns/dns_tcp.pcap");
	struct rig r;

	rig_open(&r);
	cr_assert_eq(TEST(&r, file, "dns", "f", "--map", "192.168.30.9=209.87.249.18"), CTL_OK,
		"%s", r.err_text);
	cr_expect_not_null(strstr(r.err_text, "outside it is 203.0.113.7;"));
	cr_expect_not_null(strstr(r.out_text, "0x0000012c0004d157f912  0x000000000004c0a81e09\n"),
		"%s", r.out_text);
	rig_close(&r);
	free(file);
}

/* A length in a binary protocol is hex, also where it is the code of a letter. */
Test(alg_test, edits_of_lengths_and_of_text)
{
	struct file *file = load(VECTORS "/captures/ldap/own-ils-slapd.pcap");
	struct rig r;

	rig_open(&r);
	cr_assert_eq(TEST(&r, file, "ldap", "f"), CTL_OK, "%s", r.err_text);
	cr_expect_not_null(strstr(r.out_text, " 167988490 "), "%s", r.out_text);
	cr_expect_not_null(strstr(r.out_text, " 0x2b  "), "%s", r.out_text);
	cr_expect_not_null(strstr(r.out_text, " 0x0d"));
	cr_expect_null(strchr(r.out_text, '\\'), "%s", r.out_text);
	rig_close(&r);
	free(file);
}

/* What the far end said of the guest's ports in the capture is its agreement. */
Test(alg_test, ports_are_kept)
{
	struct file *file = load(VECTORS "/captures/rtsp/own-gst-rtsp-server-ffmpeg-udp-tcp.pcap");
	size_t armed = 0;
	struct rig r;

	rig_open(&r);
	cr_assert_eq(TEST(&r, file, "rtsp", "f"), CTL_OK, "%s", r.err_text);
	for (const char *at = r.out_text; (at = strstr(at, " arm ")); at++)
		armed++;
	cr_expect_eq(armed, 4, "%s", r.out_text);
	cr_expect_not_null(strstr(r.out_text, " udp pair 6186, 60s, latent   203.0.113.7:6186\n"),
		"%s", r.out_text);
	rig_close(&r);
	free(file);
}

Test(alg_test, a_static_address_of_the_guest_is_its_outside_one)
{
	struct file *file = load(own);
	struct rig r;

	rig_open(&r);
	cr_assert_eq(TEST(&r, file, "ftp", "f.pcap", "--map", "10.77.1.10=198.51.100.5"), CTL_OK,
		"%s", r.err_text);
	cr_expect_not_null(strstr(r.out_text, " 198.51.100.5|36781\n"));
	cr_expect_not_null(strstr(r.err_text, "outside it is 198.51.100.5;"), "%s", r.err_text);
	rig_close(&r);
	free(file);
}

/* Of a block of pcapng in big-endian order. */
static size_t block_bytes(const uint8_t *at)
{
	const size_t bytes = (size_t)at[4] << 24 | (size_t)at[5] << 16 | (size_t)at[6] << 8 | at[7];

	cr_assert(bytes >= 12 && bytes % 4 == 0 && !memcmp(at + bytes - 4, at + 4, 4));
	return bytes;
}

/* What is written is a capture, of as many packets, in which the address is the outside one. */
Test(alg_test, the_packets_as_they_would_leave)
{
	struct file *file = load(own);
	const uint8_t *at, *end;
	size_t packets = 0, bytes;
	bool seen = false;
	struct rig r;

	rig_open(&r);
	cr_assert_eq(TEST(&r, file, "ftp", "f.pcap", "--write", "--outside", "203.0.113.7:40000"),
		CTL_OK, "%s", r.err_text);
	cr_expect_not_null(strstr(r.err_text, "ftp  5 "), "the report is elsewhere");
	at = (const uint8_t *)r.out_text;
	for (end = at + r.out.bytes; at < end; at += bytes) {
		bytes = block_bytes(at);
		packets += at[3] == 6;
		seen |= memmem(at, bytes, "PORT 203,0,113,7,156,66\r\n", 25) != NULL;
		cr_expect_null(memmem(at, bytes, "PORT 10,", 8));
	}
	cr_expect(at == end && seen && packets == 170);
	rig_close(&r);
	free(file);
}

Test(alg_test, what_is_no_capture_or_has_no_flow)
{
	struct file *file = load(own), *none = calloc(1, sizeof(*none));
	struct rig r;

	none->size = 1000;
	rig_open(&r);
	cr_expect_eq(TEST(&r, none, "ftp", "f.pcap"), CTL_FAILED);
	cr_expect_not_null(strstr(r.err_text, "f.pcap is no capture"));
	rig_close(&r);
	rig_open(&r);
	cr_expect_eq(TEST(&r, file, "rtsp", "f.pcap"), CTL_NO_MATCH);
	cr_expect_not_null(strstr(r.err_text, "no flow of rtsp in f.pcap"));
	rig_close(&r);
	rig_open(&r);
	cr_expect_eq(TEST(&r, file, "ftp", "f.pcap", "--guest", "10.9.9.9"), CTL_NO_MATCH);
	rig_close(&r);
	file->size -= 5;
	rig_open(&r);
	cr_expect_eq(TEST(&r, file, "ftp", "f.pcap"), CTL_OK);
	cr_expect_not_null(strstr(r.err_text, "The capture ends early: a packet is cut off.\n"));
	rig_close(&r);
	free(file);
	free(none);
}

Test(alg_test, what_was_typed_is_checked_first)
{
	static const struct {
		const char *words[6], *expected;
	} cases[] = {
		{{"alg", "test", "ftq", "f"},
			"It is one of ftp, tftp, dns, rcmd, netbios, rtsp, ldap"},
		{{"alg", "test", "icmp", "f"}, "no gateway with a parser is called \"icmp\""},
		{{"alg", "test", "ftp"}, "wrong arguments"},
		{{"alg", "test", "ftp", "f", "--guest=me"}, "--guest \"me\""},
		{{"alg", "test", "ftp", "f", "--outside=1.2.3"}, "--outside \"1.2.3\""},
		{{"alg", "test", "ftp", "f", "--outside=1.2.3.4:40001"}, "with an even port"},
		{{"alg", "test", "ftp", "f", "--outside=1.2.3.4:22"}, "--outside"},
		{{"alg", "test", "ftp", "f", "--port=0"}, "--port \"0\""},
		{{"alg", "test", "ftp", "f", "--port=21,"}, "--port \"21,\""},
		{{"alg", "test", "ftp", "f", "--port=-1"}, "--port \"-1\""},
		{{"alg", "test", "ftp", "f", "--port=1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8"}, "--port"},
		{{"alg", "test", "ftp", "f", "--map=1.2.3.4"}, "--map \"1.2.3.4\""},
		{{"alg", "test", "ftp", "f", "--map=1.2.3.4=5"}, "--map"},
		{{"alg", "test", "ftp", "f", "--map=111111111111111111111111111111111111=1.2.3.4"},
			"--map"},
		{{"alg", "stats", "--guest", "1.2.3.4"}, "wrong options"},
		{{"nat", "table", "--write"}, "wrong options"},
		{{"alg", "test", "ftp", "f", "--watch=1"}, "--watch has no meaning"},
	};
	const struct file none = {.size = 0};
	struct rig r;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_open(&r);
		cr_expect_eq(run(&r, &none, cases[i].words), CTL_USAGE, "case %zu", i);
		cr_expect_not_null(strstr(r.err_text, cases[i].expected), "%s: %s",
			cases[i].expected, r.err_text);
		rig_close(&r);
	}
}

/* The ports without --port are those of the configuration's defaults. */
Test(alg_test, ports_are_the_defaults)
{
	Nl__Config *config = conf_defaults();

	for (int i = 0; i < ALGS_COUNT; i++) {
		const Nl__AlgSwitch *s = algs_switch(config->hubs[0]->alg, (enum algs_id)i);
		uint16_t port[ALGS_PORTS];

		cr_assert_eq(replay_ports((enum algs_id)i, port), s->n_ports, "%s",
			algs_name((enum algs_id)i));
		for (size_t p = 0; p < s->n_ports; p++)
			cr_expect_eq(port[p], s->ports[p]);
	}
	conf_free(config);
}

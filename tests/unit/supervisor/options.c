/* Words of the command line: what is taken, and above all what is not. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "options.h"

static int parse(struct options *o, struct trouble *t, const char *const *words)
{
	char *argv[16];
	int argc = 0;

	for (; words[argc]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	argv[argc] = NULL;
	return options_parse(argc, argv, o, t);
}
#define PARSE(o, t, ...) parse(o, t, (const char *const[]){"natlock", __VA_ARGS__, NULL})

Test(options, run_keeps_the_program_and_its_options)
{
	struct options o;
	struct trouble t;

	cr_assert_eq(PARSE(&o, &t, "run", "--publish", "8080:80", "--mtu", "9000", "--", "curl",
			     "--mtu", "x"),
		0);
	cr_assert_eq(o.command, COMMAND_RUN);
	cr_assert_str_eq(o.program[0], "curl");
	cr_assert_str_eq(o.program[1], "--mtu");
	cr_assert_eq(o.mtu, 9000);
	cr_assert_eq(o.publishes, 1);
	cr_assert_eq(o.publish[0].listen_be, htonl(INADDR_LOOPBACK));
}

Test(options, a_program_needs_no_dashes)
{
	struct options o;
	struct trouble t;

	cr_assert_eq(PARSE(&o, &t, "run", "ls", "-l"), 0);
	cr_assert_str_eq(o.program[1], "-l");
}

Test(options, mistakes_have_the_right_exit_code)
{
	struct options o;
	struct trouble t;

	cr_assert_eq(PARSE(&o, &t, "run"), -1);
	cr_assert_eq(t.exit_code, EXIT_GATEWAY);
	cr_assert_eq(PARSE(&o, &t, "attach"), -1);
	cr_assert_eq(t.exit_code, EXIT_USAGE);
	cr_assert_eq(PARSE(&o, &t, "fly"), -1);
	cr_assert_eq(t.exit_code, EXIT_USAGE);
	cr_assert_eq(PARSE(&o, &t, "up", "--mtu", "1500"), -1, "an option of another command");
	cr_assert_eq(PARSE(&o, &t, "up", "more"), -1, "a word too many");
	cr_assert_eq(PARSE(&o, &t, "run", "--mtu", "575", "--", "x"), -1);
	cr_assert_eq(PARSE(&o, &t, "run", "--mtu", "65521", "--", "x"), -1);
	cr_assert_eq(PARSE(&o, &t, "run", "--ready-fd", "-1", "--", "x"), -1);
	cr_assert_eq(PARSE(&o, &t, "run", "--ready-fd"), -1);
}

Test(options, publish)
{
	static const char *const bad[] = {"", "80", ":80", "80:", "0:80", "80:0", "80:65536",
		"1.2.3:80:80", "1.2.3.4:80", "80:80/icmp", "80:80/", "a:b", " 80:80", "80:80 ",
		"1.2.3.4::80", "+80:80",
		"111111111111111111111111111111111111111111111111111111111111111111:1"};
	struct options_publish p;
	size_t i;

	cr_assert(options_parse_publish("10.0.0.1:8443:443/udp", &p));
	cr_assert(p.udp && p.listen_be == inet_addr("10.0.0.1") && p.listen_port == 8443 &&
		  p.guest_port == 443);
	cr_assert(options_parse_publish("0.0.0.0:1:65535/tcp", &p));
	cr_assert(!p.udp && p.listen_be == 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(options_parse_publish(bad[i], &p), "%s", bad[i]);
}

Test(options, subnet)
{
	static const char *const bad[] = {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/7", "10.0.0.0/30",
		"10.0.0.1/24", "0.0.0.0/8", "10.0.0/24", "10.0.0.0/24x", "10.0.0.0/-8",
		"1.2.3.4.5/24"};
	struct options_subnet s;
	size_t i;

	cr_assert(options_parse_subnet("192.168.77.0/24", &s));
	cr_assert(s.network_be == inet_addr("192.168.77.0") && s.prefix == 24);
	cr_assert(options_parse_subnet("10.1.2.8/29", &s));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(options_parse_subnet(bad[i], &s), "%s", bad[i]);
}

/* cisco.c: the words and columns of IOS. */
#include <criterion/criterion.h>

#include "cisco.h"
#include "rig.h"

Test(cisco, translations)
{
	char all[] = "all", tcp[] = "tcp";
	Nl__ForwardRow forward[2] = {NL__FORWARD_ROW__INIT, NL__FORWARD_ROW__INIT};
	ProtobufCMessage *forwards[] = {&forward[0].base, &forward[1].base}, *sessions[2];
	const struct rows fixed = {&nl__forward_row__descriptor, forwards, 2, 2};
	const struct rows rows = {&nl__nat_row__descriptor, sessions, 2, 2};
	Nl__Address listen, to;
	struct capture c;
	struct sample s;
	char *text;

	sample_nat(&s);
	s.nat[1].outside = NULL;
	sessions[0] = &s.nat[0].base;
	sessions[1] = &s.nat[1].base;
	address_set(&listen, 0xc0a81e1e, 0);
	address_set(&to, 0x0a0a0a0a, 0);
	forward[0].proto = all;
	forward[0].listen = &listen;
	forward[0].to = &to;
	forward[1].proto = tcp;
	capture_open(&c);
	cisco_translations(c.file, &fixed, &rows);
	text = capture_close(&c);
	cr_expect_str_eq(text,
		"Pro  Inside global         Inside local          Outside local         Outside "
		"global\n"
		"---  192.168.30.30         10.10.10.10           ---                   ---\n"
		"tcp  ---                   ---                   ---                   ---\n"
		"tcp  10.99.0.2:41022       192.168.30.10:59564   10.99.0.1:8080        "
		"10.99.0.1:8080\n"
		"udp  ---                   192.168.30.11:5060    203.0.113.9:5060      "
		"203.0.113.9:5060\n",
		"%s", text);
	free(text);
}

Test(cisco, statistics)
{
	char published[] = "publish", fixed[] = "static", hostile[] = "a\nb";
	Nl__ForwardRow forward[2] = {NL__FORWARD_ROW__INIT, NL__FORWARD_ROW__INIT};
	ProtobufCMessage *forwards[] = {&forward[0].base, &forward[1].base}, *hubs[2];
	const struct rows f = {&nl__forward_row__descriptor, forwards, 2, 2};
	struct rows h = {&nl__hub_row__descriptor, hubs, 2, 2};
	Nl__HubRow second = NL__HUB_ROW__INIT;
	struct capture c;
	struct sample s;
	char *text;

	sample_status(&s);
	forward[0].kind = published;
	forward[1].kind = fixed;
	second.name = hostile;
	hubs[0] = &s.hub.base;
	hubs[1] = &second.base;
	capture_open(&c);
	cisco_statistics(c.file, &h, &f);
	text = capture_close(&c);
	cr_expect_str_eq(text,
		"Total active translations: 56 (2 static, 54 dynamic; 55 extended)\n"
		"Inside interfaces:\n  default\n  a\\x0ab\nTCP 41  UDP 12  ICMP 1\n");
	free(text);
}

/* cisco.c: the words and columns of IOS. */
#include <criterion/criterion.h>

#include "cisco.h"
#include "rig.h"

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

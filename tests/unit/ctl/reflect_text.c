/* reflect_text.c: what each notation accepts, what it refuses, and that it prints what reads back.
 */
#include <criterion/criterion.h>

#include "support.h"
#include "operator.pb-c.h"

static int read_as(const ProtobufCMessageDescriptor *type, const char *text, char *printed)
{
	ProtobufCMessage *m = malloc(type->sizeof_message);
	int error;

	protobuf_c_message_init(type, m);
	error = reflect_text_read(m, text);
	if (error == 0)
		reflect_text_write(m, printed);
	protobuf_c_message_free_unpacked(m, NULL);
	return error;
}

struct pair {
	const ProtobufCMessageDescriptor *type;
	const char *text, *printed;
};

Test(reflect_text, accepted)
{
	static const struct pair pairs[] = {
		{&nl__ip4__descriptor, "192.168.30.1", "192.168.30.1"},
		{&nl__ip4__descriptor, "255.255.255.255", "255.255.255.255"},
		{&nl__mac__descriptor, "00:ac:85:40:B5:50", "00:AC:85:40:B5:50"},
		{&nl__mac__descriptor, "00-AC-85-40-B5-50", "00:AC:85:40:B5:50"},
		{&nl__mac__descriptor, "auto", "auto"},
		{&nl__duration__descriptor, "7200s", "7200s"},
		{&nl__duration__descriptor, "2h", "7200s"},
		{&nl__duration__descriptor, "10m", "600s"},
		{&nl__duration__descriptor, "100ms", "100ms"},
		{&nl__duration__descriptor, "1d", "86400s"},
		{&nl__subnet__descriptor, "192.168.30.0/24", "192.168.30.0/24"},
		{&nl__subnet__descriptor, "0.0.0.0/0", "0.0.0.0/0"},
		{&nl__endpoint__descriptor, "127.0.0.1:8080", "127.0.0.1:8080"},
		{&nl__endpoint__descriptor, "127.0.0.1:65535", "127.0.0.1:65535"},
		{&nl__ip_range__descriptor, "10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"},
	};
	char printed[REFLECT_TEXT_BYTES];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		cr_expect_eq(
			read_as(pairs[i].type, pairs[i].text, printed), 0, "%s", pairs[i].text);
		cr_expect_str_eq(printed, pairs[i].printed);
	}
}

Test(reflect_text, refused)
{
	static const struct pair pairs[] = {
		{&nl__ip4__descriptor, "", NULL},
		{&nl__ip4__descriptor, "1.2.3", NULL},
		{&nl__ip4__descriptor, "1.2.3.4 ", NULL},
		{&nl__ip4__descriptor, "01.2.3.4", NULL},
		{&nl__ip4__descriptor, "0x1.2.3.4", NULL},
		{&nl__ip4__descriptor, "::1", NULL},
		{&nl__mac__descriptor, "00:AC:85:40:B5:5", NULL},
		{&nl__mac__descriptor, "00:AC:85:40:B5:500", NULL},
		{&nl__mac__descriptor, "00:AC-85:40:B5:50", NULL},
		{&nl__mac__descriptor, "00.AC.85.40.B5.50", NULL},
		{&nl__mac__descriptor, "0g:AC:85:40:B5:50", NULL},
		{&nl__mac__descriptor, "\x10\x11:AC:85:40:B5:50", NULL},
		{&nl__mac__descriptor, "AUTO", NULL},
		{&nl__duration__descriptor, "7200", NULL},
		{&nl__duration__descriptor, "s", NULL},
		{&nl__duration__descriptor, "1 s", NULL},
		{&nl__duration__descriptor, "-1s", NULL},
		{&nl__duration__descriptor, "1.5s", NULL},
		{&nl__duration__descriptor, "1sec", NULL},
		{&nl__duration__descriptor, "18446744073709551616ms", NULL},
		{&nl__duration__descriptor, "18446744073709551615d", NULL},
		{&nl__subnet__descriptor, "10.0.0.0/33", NULL},
		{&nl__subnet__descriptor, "10.0.0.0/", NULL},
		{&nl__subnet__descriptor, "/8", NULL},
		{&nl__endpoint__descriptor, "1.2.3.4:65536", NULL},
		{&nl__endpoint__descriptor, "1.2.3.4", NULL},
		{&nl__endpoint__descriptor, "1.2.3.4:80:80", NULL},
		{&nl__endpoint__descriptor, "111.222.333.444.555.666:80", NULL},
		{&nl__ip_range__descriptor, "10.0.0.1-", NULL},
		{&nl__ip_range__descriptor, "-10.0.0.1", NULL},
		{&nl__ip_range__descriptor, "10.0.0.1-2-3", NULL},
		{&nl__address__descriptor, "10.0.0.1", NULL},
	};
	char printed[REFLECT_TEXT_BYTES];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		cr_expect_neq(
			read_as(pairs[i].type, pairs[i].text, printed), 0, "%s", pairs[i].text);
}

Test(reflect_text, addresses_show_what_they_have)
{
	char out[REFLECT_TEXT_BYTES];
	Nl__Address a = NL__ADDRESS__INIT;

	a.has_ip_be = 1;
	a.ip_be = htonl(0xc0a81e0a);
	cr_expect_str_eq(reflect_text_write(&a.base, out), "192.168.30.10");
	a.has_port = 1;
	a.port = 80;
	cr_expect_str_eq(reflect_text_write(&a.base, out), "192.168.30.10:80");
	a.has_prefix = 1;
	a.prefix = UINT32_MAX;
	a.ip_be = UINT32_MAX;
	a.port = UINT32_MAX;
	cr_expect_str_eq(reflect_text_write(&a.base, out), "255.255.255.255:4294967295/4294967295");
}

Test(reflect_text, a_mac_of_wrong_length_prints_nothing)
{
	uint8_t octets[3] = {1, 2, 3};
	char out[REFLECT_TEXT_BYTES];
	Nl__Mac m = NL__MAC__INIT;

	m.has_octets = 1;
	m.octets = (ProtobufCBinaryData){sizeof(octets), octets};
	cr_expect_str_empty(reflect_text_write(&m.base, out));
}

/* An endpoint that has registered is called for as long as that holds, however silent all were, and by its gatekeeper alone. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "apps.h"
#include "clock.h"
#include "gateway.h"
#include "guest.h"
#include "internet.h"

/* The messages are H323Plus's and GnuGk's (tests/vectors/h323), with our addresses in the places of theirs. */
#define GUEST_HEX  "c0a81e0a"
#define SERVER_HEX "cb007105"
#define GUID	   "6f6f68333233632db976e387c73f006c"
#define REGISTRATION                                                                               \
	"0ec0a063060008914a00078001" /* callSignalAddress, rasAddress: */                          \
	"00" GUEST_HEX "071c0100" GUEST_HEX                                                        \
	"e60022c00900003d1048333233506c75732073696d706c6500001a"                                   \
	"312e32382e30202848333233706c75732076312e32382e30290000000140040061006c00690063006504"     \
	"00620067006b600900003d1048333233506c75732073696d706c6500001a312e32382e302028483332337"    \
	"06c75732076312e32382e302900002e8b1902" /* timeToLive, an hour: */ "03400e0f"              \
	"010001800100010002700001300100"
#define CONFIRMATION                                                                               \
	"12c0a063060008914a00070100" SERVER_HEX "06b80140040061006c0069006300650400620067006b1a00" \
	"3400370036003300300032003400330035005f0065006e00640070120b80010001000501400600a00100"
/* From the gatekeeper; behind the first four digits of it the guest's address as it registered it. */
#define SETUP_USER                                                                                 \
	"2088060008914a000422c0b5000036056f626a7379730576302e392e3400%s%04x00" GUID                \
	"00d50d98000700" SERVER_HEX "2efe1100" GUID "01000100010001000100010010800100"

enum { RAS_PORT = 1719, ENDPOINT_RAS = 58880, ENDPOINT_CALLS = 1820, MESSAGE = 512 };

struct message {
	uint8_t p[MESSAGE];
	size_t n;
};

static struct message asked; /* by the guest, as the gatekeeper hears it */
static uint16_t outside_ras;
static bool confirms;

static struct message of_hex(const char *hex)
{
	struct message m = {.n = 0};
	unsigned int octet;
	for (; *hex && m.n < MESSAGE; hex += 2) {
		cr_assert_eq(sscanf(hex, "%2x", &octet), 1);
		m.p[m.n++] = (uint8_t)octet;
	}
	return m;
}

static void on_request(uint16_t host_port, const uint8_t *bytes, size_t n)
{
	const struct message answer = of_hex(CONFIRMATION);
	asked.n = n < MESSAGE ? n : MESSAGE;
	memcpy(asked.p, bytes, asked.n);
	outside_ras = host_port;
	if (confirms)
		internet_say(host_port, answer.p, answer.n);
}

/* The port at these six octets, whose address is the outside one. */
static uint16_t port_at(size_t at)
{
	static const uint8_t outside[4] = {198, 51, 100, 2};
	cr_assert_eq(memcmp(asked.p + at, outside, 4), 0);
	return (uint16_t)(asked.p[at + 4] << 8 | asked.p[at + 5]);
}

static void enrol(void)
{
	const struct message m = of_hex(REGISTRATION);
	gateway_with_guest(false);
	internet_serve_datagrams(SERVER_IP, RAS_PORT, on_request);
	guest.listen_port = ENDPOINT_CALLS;
	guest_udp(SERVER_IP, ENDPOINT_RAS, RAS_PORT, m.p, m.n);
	clock_sleep(SECOND);
	cr_assert_eq(asked.n, m.n, "no octet more or less");
	cr_expect_eq(port_at(22), outside_ras);
}

/* Somebody calls, at the port that was registered; what comes of it. */
static struct app *call_from(uint32_t ip)
{
	char user[MESSAGE], text[MESSAGE + 64];
	const uint16_t port = port_at(14);
	snprintf(user, sizeof(user), SETUP_USER, "c6336402", port);
	const size_t n = strlen(user) / 2;
	snprintf(text, sizeof(text), "0300%04zx08020001052801617e%04zx05%s", n + 16, n + 1, user);
	const struct message m = of_hex(text);
	struct app like = {.send_total = m.n};
	cr_assert_leq(m.n, sizeof(like.text));
	memcpy(like.text, m.p, m.n);
	struct app *caller = app_call(ip, 12030, port, &like);
	clock_sleep(SECOND);
	return caller;
}

Test(sim, a_registered_endpoint_is_called_by_its_gatekeeper_alone)
{
	static const uint8_t called[] = {
		0, 192, 168, 30, 10, ENDPOINT_CALLS >> 8, ENDPOINT_CALLS & 255};
	confirms = true;
	enrol();
	cr_expect_eq(gateway_notes("Protocol h323, TCP service"), 1);
	clock_sleep(1800 * SECOND);
	cr_expect(call_from(SERVER_IP + 1)->saw_reset && !guest.accepted);
	call_from(SERVER_IP);
	cr_assert(guest.accepted, "nobody came");
	cr_expect_eq(guest.accepted->remote_ip, SERVER_IP);
	cr_expect(memmem(guest.accepted->heard, sizeof(guest.accepted->heard), called,
			  sizeof(called)),
		"the guest hears that it is called at its own address");
	guest_abort(guest.accepted);
	guest.accepted = NULL;
	clock_sleep(60 * SECOND);
	call_from(SERVER_IP);
	cr_assert(guest.accepted, "and again");
	guest_abort(guest.accepted);
	guest.accepted = NULL;
	clock_sleep(4 * 3600 * SECOND);
	call_from(SERVER_IP);
	cr_expect(!guest.accepted, "its registration is over");
	cr_expect_eq(gateway_notes("was deleted: "), 1);
	gateway_at_rest();
}

Test(sim, an_endpoint_that_was_not_registered_is_called_by_nobody)
{
	confirms = false;
	enrol();
	call_from(SERVER_IP);
	cr_expect(!guest.accepted);
	clock_sleep(4 * 3600 * SECOND);
	gateway_at_rest();
}

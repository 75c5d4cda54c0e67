/*
 * Notations: the values that people write as text and that messages hold as numbers. Readers accept
 * exactly one spelling family each and nothing around it; what they accept, reflect_text_write
 * prints so that it reads back equal.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reflect_core.h"
#include "config.pb-c.h"
#include "operator.pb-c.h"

enum notation { NOT_TEXT, IP4, MAC, DURATION, SUBNET, ENDPOINT, IP_RANGE, ADDRESS };

static const struct {
	const char *type, *help;
} notations[] = {
	[IP4] = {"nl.Ip4", "an IPv4 address such as 192.168.30.1"},
	[MAC] = {"nl.Mac", "a MAC address such as 00:AC:85:40:B5:50, or auto"},
	[DURATION] = {"nl.Duration", "a time with its unit, such as 7200s, 10m or 100ms"},
	[SUBNET] = {"nl.Subnet", "a subnet such as 192.168.30.0/24"},
	[ENDPOINT] = {"nl.Endpoint", "an address with a port, such as 127.0.0.1:8080"},
	[IP_RANGE] = {"nl.IpRange",
		"a range such as 192.168.30.10-192.168.30.200, or from: and to:"},
	[ADDRESS] = {"nl.Address", "an address, with :port and /prefix where they matter"},
};

static enum notation notation_of(const ProtobufCMessageDescriptor *type)
{
	for (enum notation n = IP4; n <= ADDRESS; n++)
		if (strcmp(type->name, notations[n].type) == 0)
			return n;
	return NOT_TEXT;
}

bool reflect_has_text(const ProtobufCMessageDescriptor *type)
{
	return notation_of(type) != NOT_TEXT;
}

const char *reflect_text_help(const ProtobufCMessageDescriptor *type)
{
	return notations[notation_of(type)].help;
}

/* A whole decimal number up to `most`; *rest gets what follows. */
static bool read_number(const char *text, uint64_t most, uint64_t *value, const char **rest)
{
	*value = 0;
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(*value, 10, value) ||
			__builtin_add_overflow(*value, (uint64_t)(*text - '0'), value) ||
			*value > most)
			return false;
	}
	*rest = text;
	return true;
}

/* "ADDRESS<separator>NUMBER" into its parts. */
static bool read_joined(
	const char *text, char separator, uint64_t most, uint32_t *ip_be, uint32_t *number)
{
	const char *cut = strchr(text, separator), *rest;
	char address[INET_ADDRSTRLEN];
	uint64_t value;

	if (cut == NULL || (size_t)(cut - text) >= sizeof(address))
		return false;
	memcpy(address, text, (size_t)(cut - text));
	address[cut - text] = '\0';
	if (inet_pton(AF_INET, address, ip_be) != 1)
		return false;
	if (!read_number(cut + 1, most, &value, &rest) || *rest != '\0')
		return false;
	*number = (uint32_t)value;
	return true;
}

static bool read_ip4(Nl__Ip4 *m, const char *text)
{
	m->has_be = inet_pton(AF_INET, text, &m->be) == 1;
	return m->has_be;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = strchr(digits, c | 0x20);

	return c >= '0' && found != NULL && *found != '\0' ? (int)(found - digits) : -1;
}

static int read_mac(Nl__Mac *m, const char *text)
{
	uint8_t octets[6];

	if (strcmp(text, "auto") == 0) {
		m->has_auto_ = m->auto_ = 1;
		return 0;
	}
	if (strlen(text) != 17 || (text[2] != ':' && text[2] != '-'))
		return -EINVAL;
	for (size_t i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != text[2]))
			return -EINVAL;
		octets[i] = (uint8_t)(high << 4 | low);
	}
	m->octets.data = malloc(sizeof(octets));
	if (m->octets.data == NULL)
		return -ENOMEM;
	memcpy(m->octets.data, octets, sizeof(octets));
	m->octets.len = sizeof(octets);
	m->has_octets = 1;
	return 0;
}

static bool read_duration(Nl__Duration *m, const char *text)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	const char *rest;

	if (!read_number(text, UINT64_MAX, &m->ms, &rest))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(rest, units[i].unit) == 0) {
			m->has_ms = 1;
			return !__builtin_mul_overflow(m->ms, units[i].ms, &m->ms);
		}
	}
	return false;
}

static int read_range_end(Nl__Ip4 **end, const char *text)
{
	*end = (Nl__Ip4 *)reflect_new(&nl__ip4__descriptor);
	if (*end == NULL)
		return -ENOMEM;
	return read_ip4(*end, text) ? 0 : -EINVAL;
}

static int read_range(Nl__IpRange *m, const char *text)
{
	const char *cut = strchr(text, '-');
	char from[INET_ADDRSTRLEN];
	int error;

	if (cut == NULL || (size_t)(cut - text) >= sizeof(from))
		return -EINVAL;
	memcpy(from, text, (size_t)(cut - text));
	from[cut - text] = '\0';
	error = read_range_end(&m->from, from);
	return error != 0 ? error : read_range_end(&m->to, cut + 1);
}

static bool read_subnet(Nl__Subnet *m, const char *text)
{
	m->has_ip_be = m->has_prefix = read_joined(text, '/', 32, &m->ip_be, &m->prefix);
	return m->has_prefix;
}

static bool read_endpoint(Nl__Endpoint *m, const char *text)
{
	m->has_ip_be = m->has_port = read_joined(text, ':', UINT16_MAX, &m->ip_be, &m->port);
	return m->has_port;
}

int reflect_text_read(ProtobufCMessage *message, const char *text)
{
	switch (notation_of(message->descriptor)) {
	case IP4: return read_ip4((Nl__Ip4 *)message, text) ? 0 : -EINVAL;
	case MAC: return read_mac((Nl__Mac *)message, text);
	case DURATION: return read_duration((Nl__Duration *)message, text) ? 0 : -EINVAL;
	case SUBNET: return read_subnet((Nl__Subnet *)message, text) ? 0 : -EINVAL;
	case ENDPOINT: return read_endpoint((Nl__Endpoint *)message, text) ? 0 : -EINVAL;
	case IP_RANGE: return read_range((Nl__IpRange *)message, text);
	case ADDRESS: /* rows are only written */
	case NOT_TEXT: break;
	}
	return -EINVAL;
}

static const char *ip_text(char *out, uint32_t ip_be)
{
	const uint8_t *octet = (const uint8_t *)&ip_be;

	snprintf(out, INET_ADDRSTRLEN, "%u.%u.%u.%u", octet[0], octet[1], octet[2], octet[3]);
	return out;
}

static void write_mac(char *out, const Nl__Mac *m)
{
	const uint8_t *octet = m->octets.data;

	if (m->octets.len == 6)
		snprintf(out, REFLECT_TEXT_BYTES, "%02X:%02X:%02X:%02X:%02X:%02X", octet[0],
			octet[1], octet[2], octet[3], octet[4], octet[5]);
	else
		snprintf(out, REFLECT_TEXT_BYTES, "%s", m->auto_ ? "auto" : "");
}

static void write_range(char *out, const Nl__IpRange *m)
{
	char from[INET_ADDRSTRLEN] = "", to[INET_ADDRSTRLEN] = "";

	if (m->from != NULL)
		ip_text(from, m->from->be);
	if (m->to != NULL)
		ip_text(to, m->to->be);
	snprintf(out, REFLECT_TEXT_BYTES, "%s-%s", from, to);
}

static void write_address(char *out, const Nl__Address *m)
{
	char ip[INET_ADDRSTRLEN], port[12] = "", prefix[12] = "";

	if (m->has_port)
		snprintf(port, sizeof(port), ":%" PRIu32, m->port);
	if (m->has_prefix)
		snprintf(prefix, sizeof(prefix), "/%" PRIu32, m->prefix);
	snprintf(out, REFLECT_TEXT_BYTES, "%s%s%s", ip_text(ip, m->ip_be), port, prefix);
}

static void write_duration(char *out, const Nl__Duration *m)
{
	if (m->ms % 1000 == 0)
		snprintf(out, REFLECT_TEXT_BYTES, "%" PRIu64 "s", m->ms / 1000);
	else
		snprintf(out, REFLECT_TEXT_BYTES, "%" PRIu64 "ms", m->ms);
}

const char *reflect_text_write(const ProtobufCMessage *message, char *out)
{
	const Nl__Subnet *subnet = (const Nl__Subnet *)message;
	const Nl__Endpoint *endpoint = (const Nl__Endpoint *)message;
	char ip[INET_ADDRSTRLEN];

	out[0] = '\0';
	switch (notation_of(message->descriptor)) {
	case IP4: return ip_text(out, ((const Nl__Ip4 *)message)->be);
	case MAC: write_mac(out, (const Nl__Mac *)message); break;
	case DURATION: write_duration(out, (const Nl__Duration *)message); break;
	case SUBNET:
		snprintf(out, REFLECT_TEXT_BYTES, "%s/%" PRIu32, ip_text(ip, subnet->ip_be),
			subnet->prefix);
		break;
	case ENDPOINT:
		snprintf(out, REFLECT_TEXT_BYTES, "%s:%" PRIu32, ip_text(ip, endpoint->ip_be),
			endpoint->port);
		break;
	case IP_RANGE: write_range(out, (const Nl__IpRange *)message); break;
	case ADDRESS: write_address(out, (const Nl__Address *)message); break;
	case NOT_TEXT: break;
	}
	return out;
}

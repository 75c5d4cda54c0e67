/*
 * The Transport header: theory of operation.
 *
 *   transports  = specification *( "," specification )
 *   specification = protocol *( ";" parameter )
 *   protocol    = "RTP/" profile [ "/UDP" ] | anything "/UDP" | others: left alone
 *   parameter   = "client_port=" ports | "server_port=" ports                      of RTSP 1.0
 *               | "destination" [ "=" host ] | "source=" host
 *               | "dest_addr=" quoted | "src_addr=" quoted                          of RTSP 2.0
 *               | "unicast" | "multicast" | name [ "=" value ]
 *   ports       = number [ "-" number ]
 *   quoted      = DQUOTE [ host ] [ ":" number ] DQUOTE [ "/" the same once more ]
 *
 * Separators within quotes are none; white space, folded or not, may stand around all of them. What
 * is there twice, or is not as above, makes a specification unclear: such a one is left alone.
 * RTSP 1.0 calls multicast the default where neither is said; who names a port of a client
 * means unicast, and every client that leaves it out does.
 */
#include "rtsp_transport.h"

#include <string.h>

#include "header.h"

/* Takes what stands before the next separator that is not in quotes, and the separator (0: at the
 * end). */
static struct text take(struct text *t, uint8_t first, uint8_t second, uint8_t *separator)
{
	const struct text all = *t;
	bool quoted = false;
	*separator = 0;
	for (; text_left(t); t->p++) {
		quoted ^= *t->p == '"';
		if (quoted || (*t->p != first && *t->p != second))
			continue;
		*separator = *t->p++;
		return header_trim((struct text){all.p, t->p - 1});
	}
	return header_trim(all);
}

/* Takes a number that ends where nothing but a separator can follow. */
static bool add_port(struct text *t, struct rtsp_end *end)
{
	const struct text all = *t;
	unsigned int number;
	if (end->ports == RTSP_TRANSPORT_PORTS || !text_number(t, 65535, &number))
		return false;
	end->port[end->ports].span = (struct text){all.p, t->p};
	end->port[end->ports++].number = number;
	return true;
}

static bool add_host(struct text host, struct rtsp_end *end)
{
	const struct text all = host;
	uint32_t ip_be;
	if (end->addresses == RTSP_TRANSPORT_PORTS)
		return false;
	if (!text_ip(&host, '.', &ip_be) || text_left(&host)) {
		end->foreign = true;
		return true;
	}
	end->address[end->addresses].span = all;
	end->address[end->addresses++].ip_be = ip_be;
	return true;
}

/* 6970-6971 */
static bool read_ports(struct text value, struct rtsp_end *end)
{
	if (end->ports || !add_port(&value, end))
		return false;
	return !text_left(&value) ||
	       (text_char(&value, '-') && add_port(&value, end) && !text_left(&value));
}

/* 192.0.2.5:6970, :6970, 192.0.2.5 */
static bool read_quoted(struct text value, struct rtsp_end *end)
{
	const uint8_t *colon = text_left(&value) ? memrchr(value.p, ':', text_left(&value)) : NULL;
	struct text host = {value.p, colon ? colon : value.end};
	struct text port = {colon ? colon + 1 : value.end, value.end};
	if (text_left(&host) && !add_host(host, end))
		return false;
	return !colon || (add_port(&port, end) && !text_left(&port));
}

/* "192.0.2.5:6970"/"192.0.2.5:6971" */
static bool read_addresses(struct text value, struct rtsp_end *end)
{
	bool more = !end->ports && !end->addresses;
	while (more) {
		uint8_t separator;
		struct text one = take(&value, '/', '/', &separator);
		if (text_left(&one) < 2 || !text_char(&one, '"') || *--one.end != '"' ||
			!read_quoted(one, end))
			return false;
		if (!separator)
			return true;
	}
	return false;
}

/* Servers send ports with a host in quotes too. */
static struct text unquoted(struct text t)
{
	if (text_left(&t) >= 2 && *t.p == '"' && t.end[-1] == '"') {
		t.p++;
		t.end--;
	}
	return t;
}

static bool read_parameter(struct text name, struct text value, struct rtsp_transport *t)
{
	if (text_is(&name, "CLIENT_PORT"))
		return read_ports(value, &t->client);
	if (text_is(&name, "SERVER_PORT"))
		return read_ports(value, &t->server);
	if (text_is(&name, "DESTINATION"))
		return !text_left(&value) || add_host(unquoted(value), &t->client);
	if (text_is(&name, "SOURCE"))
		return !text_left(&value) || add_host(unquoted(value), &t->server);
	if (text_is(&name, "DEST_ADDR"))
		return read_addresses(value, &t->client);
	if (text_is(&name, "SRC_ADDR"))
		return read_addresses(value, &t->server);
	return !text_is(&name, "MULTICAST");
}

static bool is_udp(struct text protocol)
{
	uint8_t separator;
	struct text first = take(&protocol, '/', '/', &separator), part = first;
	unsigned int parts = 1;
	for (; separator && parts < 4; parts++)
		part = take(&protocol, '/', '/', &separator);
	return parts < 4 &&
	       ((parts == 2 && text_is(&first, "RTP")) || (parts > 1 && text_is(&part, "UDP")));
}

bool rtsp_transport_next(struct text *value, struct rtsp_transport *t)
{
	uint8_t separator = 0, equals;
	if (!text_left(value))
		return false;
	*t = (struct rtsp_transport){.udp = is_udp(take(value, ';', ',', &separator))};
	while (separator == ';') {
		struct text parameter = take(value, ';', ',', &separator);
		struct text name = take(&parameter, '=', '=', &equals);
		if (!read_parameter(name, header_trim(parameter), t))
			t->broken = true;
	}
	t->udp &= !t->broken;
	return true;
}

/* See segment.h. */
#include <string.h>

#include "segment.h"

enum { ETH = 14, IP = 20, TCP = 20, ICMP = 8, ARP_FRAME = 42 };

const uint8_t SEGMENT_GUEST_MAC[6] = {0x02, 0, 0, 0, 0, 0x10};
const uint8_t SEGMENT_GATEWAY_MAC[6] = {0x00, 0xac, 1, 2, 3, 4};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

uint16_t segment_sum(const uint8_t *bytes, uint32_t n, uint32_t seed)
{
	uint64_t sum = seed;
	for (uint32_t i = 0; i + 1 < n; i += 2)
		sum += get16(bytes + i);
	if (n & 1)
		sum += (uint64_t)bytes[n - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t segment_pseudo(const uint8_t *ip, uint32_t l4_bytes)
{
	uint32_t sum = ip[9] + l4_bytes;
	for (int i = 12; i < IP; i += 2)
		sum += get16(ip + i);
	return sum;
}

static void build_ip(uint8_t *ip, const struct segment *s, uint8_t protocol, uint32_t l4_bytes)
{
	memset(ip, 0, IP);
	ip[0] = 0x45;
	ip[1] = s->ecn;
	put16(ip + 2, IP + l4_bytes);
	put16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = protocol;
	put32(ip + 12, s->source_ip);
	put32(ip + 16, s->target_ip);
	put16(ip + 10, segment_sum(ip, IP, 0));
}

static uint32_t build_tcp(uint8_t *tcp, const struct segment *s)
{
	uint32_t header = TCP + s->option_bytes;
	memset(tcp, 0, TCP);
	put16(tcp, s->source);
	put16(tcp + 2, s->target);
	put32(tcp + 4, s->seq);
	put32(tcp + 8, s->ack);
	tcp[12] = (uint8_t)((s->offset ? s->offset : header / 4) << 4);
	tcp[13] = s->flags;
	put16(tcp + 14, s->window);
	put16(tcp + 18, s->urgent);
	memcpy(tcp + TCP, s->options, s->option_bytes);
	if (s->payload_bytes)
		memcpy(tcp + header, s->payload, s->payload_bytes);
	return header + s->payload_bytes;
}

/* An error about a segment of the gateway's, quoted with eight bytes of TCP. */
static uint32_t build_icmp(uint8_t *icmp, const struct segment *s)
{
	struct segment quoted = *s;
	memset(icmp, 0, ICMP);
	icmp[0] = s->type;
	icmp[1] = s->code;
	put16(icmp + 6, s->mtu);
	quoted.source_ip = s->quoted_source_ip;
	quoted.target_ip = s->quoted_target_ip;
	build_ip(icmp + ICMP, &quoted, 6, TCP + s->payload_bytes);
	put16(icmp + ICMP + IP, s->source);
	put16(icmp + ICMP + IP + 2, s->target);
	put32(icmp + ICMP + IP + 4, s->seq);
	put16(icmp + 2, segment_sum(icmp, ICMP + IP + 8, 0));
	return ICMP + IP + 8;
}

uint32_t segment_build(uint8_t *frame, const struct segment *s)
{
	uint8_t *ip = frame + ETH, *l4 = ip + IP;
	uint32_t n = s->protocol == 6 ? build_tcp(l4, s) : build_icmp(l4, s);
	memcpy(frame, SEGMENT_GATEWAY_MAC, 6);
	memcpy(frame + 6, SEGMENT_GUEST_MAC, 6);
	put16(frame + 12, 0x0800);
	build_ip(ip, s, s->protocol, n);
	if (s->protocol == 6)
		put16(l4 + 16,
			segment_sum(l4, n, segment_pseudo(ip, n)) ^ (s->bad_checksum ? 0x100 : 0));
	return ETH + IP + n;
}

static const char *parse_tcp(const uint8_t *ip, uint32_t n, struct segment *s)
{
	const uint8_t *tcp = ip + IP;
	uint32_t header = n > 12 ? (uint32_t)(tcp[12] >> 4) * 4 : 0;
	if (header < TCP || header > n)
		return "a wrong data offset";
	if (segment_sum(tcp, n, segment_pseudo(ip, n)) != 0)
		return "a wrong TCP checksum";
	if (tcp[12] & 0xf)
		return "reserved bits";
	s->source = get16(tcp);
	s->target = get16(tcp + 2);
	s->seq = get32(tcp + 4);
	s->ack = get32(tcp + 8);
	s->flags = tcp[13];
	s->window = get16(tcp + 14);
	s->urgent = get16(tcp + 18);
	s->option_bytes = (uint8_t)(header - TCP);
	memcpy(s->options, tcp + TCP, s->option_bytes);
	s->payload = tcp + header;
	s->payload_bytes = n - header;
	return NULL;
}

static const char *parse_icmp(const uint8_t *ip, uint32_t n, struct segment *s)
{
	const uint8_t *icmp = ip + IP, *quoted = icmp + ICMP;
	if (segment_sum(icmp, n, 0) != 0)
		return "a wrong ICMP checksum";
	if (n < ICMP + IP + 8 || quoted[0] != 0x45 || segment_sum(quoted, IP, 0) != 0)
		return "an ICMP error without a whole quoted header";
	s->type = icmp[0];
	s->code = icmp[1];
	s->mtu = get16(icmp + 6);
	s->quoted_source_ip = get32(quoted + 12);
	s->quoted_target_ip = get32(quoted + 16);
	s->source = get16(quoted + IP);
	s->target = get16(quoted + IP + 2);
	s->seq = get32(quoted + IP + 4);
	return quoted[9] == 6 ? NULL : "an ICMP error about something else than TCP";
}

const char *segment_parse(const uint8_t *frame, uint32_t bytes, struct segment *s)
{
	const uint8_t *ip = frame + ETH;
	uint32_t n = bytes - ETH - IP;
	*s = (struct segment){0};
	if (bytes < ETH + IP || get16(frame + 12) != 0x0800 || ip[0] != 0x45)
		return "no IPv4";
	if (memcmp(frame, SEGMENT_GUEST_MAC, 6) != 0 ||
		memcmp(frame + 6, SEGMENT_GATEWAY_MAC, 6) != 0)
		return "wrong stations";
	if (get16(ip + 2) != bytes - ETH || segment_sum(ip, IP, 0) != 0)
		return "a wrong IPv4 length or checksum";
	s->protocol = ip[9];
	s->ecn = ip[1] & 3;
	s->source_ip = get32(ip + 12);
	s->target_ip = get32(ip + 16);
	if (get16(ip + 6) & 0x3fff)
		return "a fragment";
	if (s->protocol == 6 && !(ip[6] & 0x40))
		return "no DF: path MTU discovery needs it";
	if (s->protocol == 6)
		return parse_tcp(ip, n, s);
	return s->protocol == 1 ? parse_icmp(ip, n, s) : "another protocol";
}

bool segment_arp_answer(uint8_t *frame, uint32_t bytes)
{
	uint8_t asked[4];
	if (bytes < ARP_FRAME || get16(frame + 12) != 0x0806 || get16(frame + 20) != 1)
		return false;
	memcpy(asked, frame + 38, 4);
	memcpy(frame, SEGMENT_GATEWAY_MAC, 6);
	memcpy(frame + 6, SEGMENT_GUEST_MAC, 6);
	put16(frame + 20, 2);
	memmove(frame + 32, frame + 22, 10);
	memcpy(frame + 22, SEGMENT_GUEST_MAC, 6);
	memcpy(frame + 28, asked, 4);
	return true;
}

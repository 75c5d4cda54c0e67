/*
 * Theory of operation. One question, asked before any socket exists: may this destination be
 * contacted on behalf of a guest? Order matters: the loop guard first, because nothing may leave
 * then; next what only the gateway means; then the deny list, which is a table of prefixes so that
 * it can be read.
 */
#include <arpa/inet.h>
#include <stddef.h>

#include "access.h"

struct prefix {
	uint32_t ip, mask; /* host order */
};

static const struct prefix never[] = {
	{0x00000000, 0xff000000}, /* 0/8, this network (RFC 1122 3.2.1.3) */
	{0xa9fe0000, 0xffff0000}, /* 169.254/16, link-local: also cloud metadata */
	{0xe0000000, 0xf0000000}, /* 224/4, multicast */
	{0xf0000000, 0xf0000000}, /* 240/4 reserved, and the limited broadcast */
};

static bool inside(uint32_t ip_be, const struct prefix *p)
{
	return (ntohl(ip_be) & p->mask) == p->ip;
}

static bool is_loopback(uint32_t ip_be)
{
	static const struct prefix loopback = {0x7f000000, 0xff000000};
	return inside(ip_be, &loopback);
}

bool access_is_own(const struct access *a, uint32_t ip_be)
{
	for (uint32_t i = 0; i < a->own_count; i++)
		if (a->own_ip_be[i] == ip_be)
			return true;
	return false;
}

bool access_is_local(const struct access *a, uint32_t ip_be)
{
	return is_loopback(ip_be) || access_is_own(a, ip_be);
}

static bool in_hub(const struct access *a, uint32_t ip_be)
{
	return ((ip_be ^ a->gateway_ip_be) & a->netmask_be) == 0;
}

const char *access_reason(enum access_verdict verdict)
{
	return verdict == ACCESS_LOOP ? "loop guard" : "denied by policy";
}

enum access_verdict access_check(const struct access *a, const struct sock_address *to)
{
	if (a->loop && a->loop_guard)
		return ACCESS_LOOP;
	if (to->ip_be == a->gateway_ip_be && to->port == ACCESS_DNS_PORT && a->dns_redirect)
		return ACCESS_DNS;
	if (in_hub(a, to->ip_be))
		return ACCESS_DENIED;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (inside(to->ip_be, &never[i]))
			return ACCESS_DENIED;
	if (!a->host_allowed && (a->own_partial || access_is_local(a, to->ip_be)))
		return ACCESS_DENIED;
	return ACCESS_ALLOWED;
}

bool access_is_guest(const struct access *a, uint32_t ip_be)
{
	const uint32_t host = ip_be & ~a->netmask_be;
	return in_hub(a, ip_be) && ip_be != a->gateway_ip_be && host != 0 && host != ~a->netmask_be;
}

uint32_t access_shown_as(const struct access *a, uint32_t ip_be)
{
	return is_loopback(ip_be) || in_hub(a, ip_be) ? a->gateway_ip_be : ip_be;
}

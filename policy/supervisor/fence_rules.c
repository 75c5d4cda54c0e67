/*
 * Theory of operation.
 *
 *   output ──our uids──▶ natproxy ──▶ drop      IPv6, multicast, reserved, broadcast
 *     │                     ├───────▶ accept    TCP that somebody else began
 *     │                     ├───────▶ reserved ─▶ from a reserved port, only to such or to a service of rcmd
 *     │                     ├───────▶ icmp ─▶ only echo requests, and errors about UDP
 *     │                     ├───────▶ esp ─▶ only of hubs that have it, without IP options
 *     │                     ├───────▶ link_local ─▶ only DNS
 *     │                     ├─ goes by lo, or to an own address ─▶ host ─▶ DNS, answers, hairpins; drop
 *     │                     └───────▶ elsewhere: the Internet, accepted
 *     └──others, by lo──▶ told: whom natproxy may answer
 *
 * What goes to this computer leaves by its loopback device, whichever address it is sent to; so
 * no list of addresses is needed, and none can be out of date. The routing tables are asked as
 * well (fib): a socket that is bound to another device sends its own computer's address out by
 * that.
 *
 * TCP needs no memory: who may not send a SYN begins no connection, and everything else answers
 * somebody. UDP has no SYN, so two sets remember: `heard`, which local endpoint sent a datagram
 * to which port, and `mapped`, from which endpoints natproxy itself sends, because a hairpin
 * (RFC 4787 REQ-9) goes from one of its sockets to another by this computer's address. Two guests
 * whose ports were told to each other (SIP) send nowhere else: what the first of them says is lost,
 * but it is remembered who said it. Connection tracking would know as much, but its first use in a
 * table turns it on for all packets of the computer.
 *
 * Root opened sockets that nobody else could (grant_echo.h, grant_ipsec.h, grant_reserved.h). By
 * the raw one of ICMP natproxy could send redirects, or end connections of this computer by errors
 * about them: errors are about UDP, which is all that a guest can complain about. By that of ESP it
 * could send to whom natproxy may send anyway. From a reserved port it could play root of this
 * computer, to whom NFS servers give every file: such ports are rsh's and rlogin's. IKE from port
 * 500 is UDP like all other.
 *
 * A resolver may be on this computer or beside it, and may change at any time: port 53 is open.
 */
#include <arpa/inet.h>
#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>

#include "fence_rules.h"
#include "ruleset.h"

enum {
	HEARD_MS = 3 * 60 * 1000,
	MAPPED_MS = 10 * 60 * 1000,
	REMEMBERED = 65536,
	DNS_PORT = 53,
	TCP_SYN = 0x02,
	TCP_SYN_ACK = 0x12,
	IP4_PLAIN = 0x45, /* version, and a header without options */
	/* nft's numbers of types, for `nft list`: a byte of six bits for each part of a key */
	TYPE_ADDRESS = 7,
	TYPE_PORT = 13,
	TYPE_ENDPOINT = TYPE_ADDRESS << 6 | TYPE_PORT,
	TYPE_ENDPOINT_PORT = TYPE_ENDPOINT << 6 | TYPE_PORT,
};

static const struct ruleset_field source = {HEADER_NETWORK, 12, 4},
				  destination = {HEADER_NETWORK, 16, 4},
				  destination_first = {HEADER_NETWORK, 16, 1},
				  destination_half = {HEADER_NETWORK, 16, 2},
				  first_byte = {HEADER_NETWORK, 0, 1},
				  source_port = {HEADER_TRANSPORT, 0, 2},
				  destination_port = {HEADER_TRANSPORT, 2, 2},
				  tcp_flags = {HEADER_TRANSPORT, 13, 1},
				  icmp_type = {HEADER_TRANSPORT, 0, 1},
				  about_header = {HEADER_TRANSPORT, 8, 1},
				  about_protocol = {HEADER_TRANSPORT, 17, 1};
static const char in_output[] = "output", in_natproxy[] = "natproxy", in_icmp[] = "icmp",
		  in_esp[] = "esp", in_reserved[] = "reserved", in_host[] = "host",
		  in_link_local[] = "link_local", in_elsewhere[] = "elsewhere", in_told[] = "told";
static const char heard[] = "heard", mapped[] = "mapped", host_allowed[] = "host_allowed",
		  esp_allowed[] = "esp_allowed";

static void protocol(struct ruleset *r, uint8_t number)
{
	rule_meta(r, NFT_META_L4PROTO, true, &number, sizeof(number));
}

static void family(struct ruleset *r, bool is_ip4)
{
	const uint8_t ip4 = NFPROTO_IPV4;

	rule_meta(r, NFT_META_NFPROTO, is_ip4, &ip4, sizeof(ip4));
}

static void by_loopback(struct ruleset *r)
{
	const uint16_t loopback = ARPHRD_LOOPBACK;

	rule_meta(r, NFT_META_OIFTYPE, true, &loopback, sizeof(loopback));
}

static void end(struct ruleset *r, int verdict, const char *chain)
{
	rule_verdict(r, verdict, chain);
	ruleset_rule_end(r);
}

static void drop(struct ruleset *r)
{
	rule_count(r);
	end(r, NF_DROP, NULL);
}

static void accept_dns(struct ruleset *r, const char *chain)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
	const uint16_t dns_be = htons(DNS_PORT);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		ruleset_rule(r, chain, NULL);
		protocol(r, protocols[i]);
		rule_field(r, &destination_port, true, &dns_be);
		end(r, NF_ACCEPT, NULL);
	}
}

/* Who sent a datagram on this computer may be answered. The host's own DNS would only fill the
 * set. */
static void write_told(struct ruleset *r)
{
	const uint16_t dns_be = htons(DNS_PORT);

	ruleset_rule(r, in_told, "whom natproxy may answer");
	family(r, true);
	protocol(r, IPPROTO_UDP);
	rule_field(r, &source_port, false, &dns_be);
	rule_field(r, &destination_port, false, &dns_be);
	rule_load(r, &source, REGISTER_1);
	rule_load(r, &source_port, REGISTER_2);
	rule_load(r, &destination_port, REGISTER_3);
	rule_remember(r, heard);
	ruleset_rule_end(r);
}

static void write_elsewhere(struct ruleset *r)
{
	const uint16_t dns_be = htons(DNS_PORT);

	ruleset_rule(r, in_elsewhere, "where a hairpin may go");
	family(r, true);
	protocol(r, IPPROTO_UDP);
	rule_field(r, &destination_port, false, &dns_be);
	rule_load(r, &source, REGISTER_1);
	rule_load(r, &source_port, REGISTER_2);
	rule_remember(r, mapped);
	ruleset_rule_end(r);
}

/* What is sent to this computer. */
static void write_host(struct ruleset *r, bool some_allowed)
{
	const uint8_t loopback_first = 127;

	if (some_allowed) {
		ruleset_rule(r, in_host, "nat.host_loopback: allow");
		rule_uid_in(r, host_allowed);
		end(r, NFT_GOTO, in_told);
	}
	accept_dns(r, in_host);
	ruleset_rule(r, in_host, "an answer");
	family(r, true);
	protocol(r, IPPROTO_UDP);
	rule_load(r, &destination, REGISTER_1);
	rule_load(r, &destination_port, REGISTER_2);
	rule_load(r, &source_port, REGISTER_3);
	rule_known(r, heard);
	end(r, NF_ACCEPT, NULL);
	ruleset_rule(r, in_host, "who asks for a hairpin");
	family(r, true);
	rule_field(r, &destination_first, false, &loopback_first);
	protocol(r, IPPROTO_UDP);
	rule_load(r, &source, REGISTER_1);
	rule_load(r, &source_port, REGISTER_2);
	rule_remember(r, mapped);
	ruleset_rule_end(r);
	ruleset_rule(r, in_host, "a hairpin");
	family(r, true);
	rule_field(r, &destination_first, false, &loopback_first);
	protocol(r, IPPROTO_UDP);
	rule_load(r, &destination, REGISTER_1);
	rule_load(r, &destination_port, REGISTER_2);
	rule_known(r, mapped);
	end(r, NFT_GOTO, in_told);
	ruleset_rule(r, in_host, "this computer");
	drop(r);
}

static void write_link_local(struct ruleset *r)
{
	accept_dns(r, in_link_local);
	ruleset_rule(r, in_link_local, "169.254.0.0/16");
	drop(r);
}

static void drop_prefix(struct ruleset *r, uint8_t first, uint8_t mask, const char *comment)
{
	const uint8_t masks[4] = {mask}, value[4] = {first};

	ruleset_rule(r, in_natproxy, comment);
	family(r, true);
	rule_masked(r, &destination, masks, true, value);
	drop(r);
}

static void write_icmp(struct ruleset *r)
{
	const uint8_t echo = ICMP_ECHO, plain = IP4_PLAIN, udp = IPPROTO_UDP,
		      errors[] = {ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB};
	size_t i;

	ruleset_rule(r, in_icmp, NULL);
	protocol(r, IPPROTO_ICMP);
	rule_field(r, &icmp_type, true, &echo);
	end(r, NFT_RETURN, NULL);
	for (i = 0; i < sizeof(errors); i++) {
		ruleset_rule(r, in_icmp, "an error about a datagram");
		protocol(r, IPPROTO_ICMP);
		rule_field(r, &icmp_type, true, &errors[i]);
		rule_field(r, &about_header, true, &plain);
		rule_field(r, &about_protocol, true, &udp);
		end(r, NFT_RETURN, NULL);
	}
	ruleset_rule(r, in_icmp, "ICMP but pings and errors about datagrams");
	drop(r);
}

/* A guest's IP options end in netstack: what has some is not a guest's. */
static void write_esp(struct ruleset *r, bool some_allowed)
{
	const uint8_t plain = IP4_PLAIN;

	if (some_allowed) {
		ruleset_rule(r, in_esp, "alg.ipsec.esp");
		rule_uid_in(r, esp_allowed);
		rule_field(r, &first_byte, true, &plain);
		end(r, NFT_RETURN, NULL);
	}
	ruleset_rule(r, in_esp, "ESP that nobody has, or with IP options");
	drop(r);
}

/* Ports 512..1023. */
static void rule_reserved(struct ruleset *r, const struct ruleset_field *port)
{
	const uint16_t mask = htons(0xfe00), value = htons(0x0200);

	rule_masked(r, port, &mask, true, &value);
}

static void write_reserved(struct ruleset *r, const struct fence_plan *plan)
{
	unsigned int i;

	ruleset_rule(r, in_reserved, NULL);
	protocol(r, IPPROTO_TCP);
	rule_reserved(r, &destination_port);
	end(r, NFT_RETURN, NULL);
	for (i = 0; i < plan->services; i++) {
		const uint16_t port_be = htons(plan->service[i]);

		ruleset_rule(r, in_reserved, "alg.rcmd.ports");
		protocol(r, IPPROTO_TCP);
		rule_field(r, &destination_port, true, &port_be);
		end(r, NFT_RETURN, NULL);
	}
	ruleset_rule(r, in_reserved, "a reserved port, and neither rsh nor rlogin");
	drop(r);
}

static void write_natproxy(struct ruleset *r)
{
	const uint8_t syn = TCP_SYN, syn_ack = TCP_SYN_ACK, link_local[] = {169, 254};

	ruleset_rule(r, in_natproxy, "IPv6");
	family(r, false);
	drop(r);
	ruleset_rule(r, in_natproxy, "what somebody else began, or what may go on");
	protocol(r, IPPROTO_TCP);
	rule_masked(r, &tcp_flags, &syn_ack, false, &syn);
	end(r, NF_ACCEPT, NULL);
	ruleset_rule(r, in_natproxy, NULL);
	protocol(r, IPPROTO_TCP);
	rule_reserved(r, &source_port);
	end(r, NFT_JUMP, in_reserved);
	ruleset_rule(r, in_natproxy, NULL);
	protocol(r, IPPROTO_ICMP);
	end(r, NFT_JUMP, in_icmp);
	ruleset_rule(r, in_natproxy, NULL);
	protocol(r, IPPROTO_ESP);
	end(r, NFT_JUMP, in_esp);
	ruleset_rule(r, in_natproxy, NULL);
	family(r, true);
	rule_field(r, &destination_half, true, link_local);
	end(r, NFT_GOTO, in_link_local);
	drop_prefix(r, 0xe0, 0xe0, "multicast and reserved");
	ruleset_rule(r, in_natproxy, NULL);
	by_loopback(r);
	end(r, NFT_GOTO, in_host);
	drop_prefix(r, 127, 0xff, "127.0.0.0/8 by another device");
	ruleset_rule(r, in_natproxy, NULL);
	rule_destination_type(r, RTN_UNICAST);
	end(r, NFT_GOTO, in_elsewhere);
	ruleset_rule(r, in_natproxy, NULL);
	rule_destination_type(r, RTN_LOCAL);
	end(r, NFT_GOTO, in_host);
	ruleset_rule(r, in_natproxy, "broadcast and the like");
	drop(r);
}

static void write_output(struct ruleset *r, const struct fence_plan *plan)
{
	ruleset_rule(r, in_output, NULL);
	rule_uids(r, plan->first_uid, plan->last_uid);
	end(r, NFT_GOTO, in_natproxy);
	ruleset_rule(r, in_output, NULL);
	by_loopback(r);
	end(r, NFT_JUMP, in_told);
}

void fence_table_name(char out[FENCE_TABLE], uint32_t first_uid)
{
	snprintf(out, FENCE_TABLE, "natlock-%u", first_uid);
}

size_t fence_rules(const struct fence_plan *plan, void *out, size_t cap)
{
	static const char *const chains[] = {in_told, in_elsewhere, in_host, in_link_local,
		in_reserved, in_icmp, in_esp, in_natproxy};
	struct ruleset r;
	unsigned int i;

	ruleset_begin(&r, out, cap, plan->table);
	ruleset_memory(&r, heard, TYPE_ENDPOINT_PORT, 12, HEARD_MS, REMEMBERED);
	ruleset_memory(&r, mapped, TYPE_ENDPOINT, 8, MAPPED_MS, REMEMBERED);
	if (plan->allowed > 0)
		ruleset_uids(&r, host_allowed, plan->host_allowed, plan->allowed);
	if (plan->esps > 0)
		ruleset_uids(&r, esp_allowed, plan->esp_allowed, plan->esps);
	for (i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		ruleset_chain(&r, chains[i]);
	ruleset_output(&r, in_output);
	write_told(&r);
	write_elsewhere(&r);
	write_host(&r, plan->allowed > 0);
	write_link_local(&r);
	write_reserved(&r, plan);
	write_icmp(&r);
	write_esp(&r, plan->esps > 0);
	write_natproxy(&r);
	write_output(&r, plan);
	return ruleset_end(&r);
}

/*
 * Theory of operation. Two tables. A row grants what its protocol needs and nothing beside it; an
 * ALG without a row has only zeros, which grant nothing.
 */
#include "pinhole_rules.h"

#include <stddef.h>

enum {
	PRIVILEGED = 1024,
	RESERVED_FIRST = 512, /* below it rresvport() of the BSDs does not go */
};

static const struct pinhole_rule rules[ALGS_COUNT] = {
	/* RFC 959 3.2: one data connection at a time, announced right before it is made. */
	[ALGS_FTP] = {.kinds = 1 << PINHOLE_TCP_LISTEN,
		.port_first = PRIVILEGED,
		.pending = 1,
		.total = 1,
		.life_ms = 30000},
	/* RFC 1350 4: the server answers from a new port to the one that the request came from. */
	[ALGS_TFTP] = {.kinds = 1 << PINHOLE_UDP_ONE,
		.own_port = true,
		.port_first = PRIVILEGED,
		.pending = 1,
		.total = 1,
		.life_ms = 30000},
	/* rcmd(3): one connection for stderr, to a port that only root could have bound; rexec's is any. */
	[ALGS_RCMD] = {.kinds = 1 << PINHOLE_TCP_LISTEN,
		.port_first = RESERVED_FIRST,
		.pending = 1,
		.total = 1,
		.life_ms = 30000},
	/* RFC 2326 12.39: two wishes a SETUP, one SETUP a stream; a presentation has several of them. */
	[ALGS_RTSP] = {.kinds = 1 << PINHOLE_UDP_ONE | 1 << PINHOLE_UDP_PAIR,
		.pairs = 1,
		.port_first = PRIVILEGED,
		.pending = 16,
		.total = 64,
		.life_ms = 60000},
	/*
	 * RFC 3264 5, RFC 3261 13: a trunk has thousands of calls in one flow, and each offers its ports before it knows who
	 * is to send there. A phone may ring for minutes (18x, RFC 3261 13.3.1.1), and a registration is to be found for as
	 * long as it was granted (RFC 3261 10.2.1.1).
	 */
	[ALGS_SIP] = {.kinds = 1 << PINHOLE_TCP_LISTEN | 1 << PINHOLE_UDP_ONE |
			       1 << PINHOLE_UDP_PAIR,
		.named = 1 << PINHOLE_TCP_LISTEN | 1 << PINHOLE_UDP_ONE | 1 << PINHOLE_UDP_PAIR,
		.latch = true,
		.pairs = PINHOLE_PAIRS,
		.account = PINHOLE_CALLS,
		.port_first = PRIVILEGED,
		.pending = 2048,
		.total = 4096,
		.life_ms = 300000,
		.keep_ms = 900000,
		.hold_ms = 7200000},
	/*
	 * ITU-T H.323 8: some 32 openings a call, and a gatekeeper routes the calls of many. A connection for H.245 is looked at
	 * wherever the guest has it, at either end. An endpoint is called at the port that it registered (H.225.0 7.9) for as
	 * long as that registration lives, at 1720 if it likes: only its gatekeeper gets in there. Who calls may ring for minutes.
	 * By the first thing that he says he may have watches made: a quarter is left to calls that the guest begins.
	 */
	[ALGS_H323] = {.kinds = 1 << PINHOLE_TCP_LISTEN | 1 << PINHOLE_UDP_ONE |
				1 << PINHOLE_UDP_PAIR | 1 << PINHOLE_TCP_SERVICE |
				1 << PINHOLE_TCP_WATCH,
		.named = 1 << PINHOLE_UDP_ONE | 1 << PINHOLE_UDP_PAIR | 1 << PINHOLE_TCP_WATCH,
		.inspects = true,
		.pairs = 1,
		.account = PINHOLE_CALLS,
		.port_first = PRIVILEGED,
		.pending = 1024,
		.total = 2048,
		.watches = 64,
		.kept = 4,
		.life_ms = 300000,
		.keep_ms = 900000,
		.hold_ms = 86400000,
		.serve_ms = 86400000,
		.serve_port = 1720},
	/*
	 * A telephone has a handful of calls, and the manager asks for its ports when they are answered: media follow at once. A
	 * manager inside is called by each telephone in a flow of its own.
	 */
	[ALGS_SKINNY] = {.kinds = 1 << PINHOLE_UDP_ONE | 1 << PINHOLE_UDP_PAIR,
		.named = 1 << PINHOLE_UDP_ONE | 1 << PINHOLE_UDP_PAIR,
		.pairs = 1,
		.account = PINHOLE_CALLS,
		.port_first = PRIVILEGED,
		.pending = 16,
		.total = 16,
		.life_ms = 60000},
	/* dns, netbios and ldap only rewrite what is said. */
};

/* Inclusive. X11 has no datagrams, but endpoints of H.323 have their media there. */
static const struct {
	uint16_t first, last;
	bool tcp_only;
} denied_ports[] = {
	{1719, 1720},
	{2049, 2049},
	{3306, 3306},
	{3389, 3389},
	{5060, 5061},
	{5432, 5432},
	{5900, 5900},
	{6000, 6063, true},
	{6566, 6566},
	{8080, 8080},
	{10080, 10080},
};

static const struct pinhole_share shares[PINHOLE_ACCOUNTS] = {
	[PINHOLE_COMMON] = {.most = 512, .rate = 50},
	[PINHOLE_CALLS] = {.most = 4096, .rate = 500},
};

const struct pinhole_share *pinhole_share(enum pinhole_account account)
{
	return &shares[account];
}

const struct pinhole_rule *pinhole_rule(enum algs_id alg)
{
	return &rules[alg];
}

const char *pinhole_kind_text(enum pinhole_kind kind)
{
	static const char *const text[PINHOLE_KINDS] = {[PINHOLE_TCP_LISTEN] = "TCP listener",
		[PINHOLE_UDP_ONE] = "UDP port",
		[PINHOLE_UDP_PAIR] = "UDP pair",
		[PINHOLE_TCP_SERVICE] = "TCP service",
		[PINHOLE_TCP_WATCH] = "TCP watch"};
	return text[kind];
}

const char *pinhole_kind_name(enum pinhole_kind kind)
{
	static const char *const name[PINHOLE_KINDS] = {[PINHOLE_TCP_LISTEN] = "tcp-listen",
		[PINHOLE_UDP_ONE] = "udp",
		[PINHOLE_UDP_PAIR] = "udp-pair",
		[PINHOLE_TCP_SERVICE] = "tcp-service",
		[PINHOLE_TCP_WATCH] = "tcp-watch"};
	return name[kind];
}

bool pinhole_port_denied(uint32_t port, bool datagram)
{
	for (size_t i = 0; i < sizeof(denied_ports) / sizeof(denied_ports[0]); i++)
		if (port >= denied_ports[i].first && port <= denied_ports[i].last)
			return !datagram || !denied_ports[i].tcp_only;
	return port > UINT16_MAX;
}

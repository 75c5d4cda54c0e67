/* The table of commands. */
#include "load.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int arguments;
	int (*run)(char **argument);
	const char *usage;
} commands[] = {
	{"serve", 1, server_run, "ADDRESS: every server, until killed"},
	{"first", 2, flows_first, "ADDRESS SECONDS: when the first byte was echoed"},
	{"rr-tcp", 2, rr_tcp, "ADDRESS SECONDS: one byte there and back on one connection"},
	{"rr-udp", 2, rr_udp, "ADDRESS SECONDS: the same in datagrams"},
	{"crr", 3, flows_crr, "ADDRESS AT-ONCE SECONDS: connect, one byte there and back, close"},
	{"hold", 3, flows_hold, "ADDRESS COUNT SECONDS: idle flows; obeys check and quit on stdin"},
	{"send", 4, flood_send, "ADDRESS PORT SIZE SECONDS: datagrams, flat out"},
	{"receive", 3, flood_receive, "ADDRESS PORT SECONDS: counts them until silence"},
	{"send-back", 4, flood_send_back, "like send, to whoever asks at ADDRESS PORT"},
	{"fetch", 3, flood_fetch, "ADDRESS PORT SECONDS: asks, then like receive"},
	{"names", 4, names_run, "ADDRESS OUTSTANDING DISTINCT SECONDS: DNS; DISTINCT 0: all"},
	{"dhcp", 4, dhcp_run, "INTERFACE CLIENTS OUTSTANDING SECONDS: leases for new clients"},
	{"sip-udp", 3, sip_udp, "ADDRESS AT-ONCE CALLS: from INVITE to the answer of BYE"},
	{"sip-tcp", 3, sip_tcp, "the same on one connection"},
};

int main(int count, char **words)
{
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (count == commands[i].arguments + 2 && !strcmp(words[1], commands[i].name))
			return commands[i].run(words + 2);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(stderr, "load %s %s\n", commands[i].name, commands[i].usage);
	return 2;
}

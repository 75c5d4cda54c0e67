/* vpncmd.c: the arguments of SecureNatHostSet, NatSet and DhcpSet (seed 3.7.2, 3.7.3, 3.7.5). */
#include <criterion/criterion.h>
#include <errno.h>

#include "support.h"
#include "vpncmd.h"

static const char *ours(const char *command, const char *const *typed)
{
	static struct phrase phrase;
	static char text[PHRASE_TEXT];
	char why[PHRASE_WHY] = "no room";
	size_t count = 0;

	memset(&phrase, 0, sizeof(phrase));
	while (typed[count] != NULL)
		count++;
	text[0] = '\0';
	if (vpncmd_arguments(&phrase, command, typed, count, why) != 0)
		return strcpy(text, why);
	for (size_t i = 0; i < phrase.count; i++)
		strcat(strcat(text, i > 0 ? " " : ""), phrase.word[i]);
	return text;
}
#define OURS(COMMAND, ...) ours(COMMAND, (const char *const[]){__VA_ARGS__, NULL})

Test(vpncmd, virtual_host)
{
	cr_expect_str_eq(OURS("SecureNatHostSet", "/MAC:00-AC-01-23-45-67", "/IP:10.1.0.1",
				 "/MASK:255.255.255.0"),
		"host.mac=00-AC-01-23-45-67 host.address=10.1.0.1 host.netmask=255.255.255.0");
	cr_expect_str_eq(OURS("securenathostset", "/mac:00AC01234567", "/ip:none", "/MASK:NONE"),
		"host.mac=00:AC:01:23:45:67");
	cr_expect_str_eq(OURS("SecureNatHostSet", NULL), "");
}

Test(vpncmd, virtual_nat)
{
	cr_expect_str_eq(
		OURS("NatSet", "/MTU:1500", "/TCPTIMEOUT:7200", "/UDPTIMEOUT:600", "/LOG:Yes"),
		"mtu=1500 tcp_timeout=7200s udp_timeout=600s log=true");
	cr_expect_str_eq(OURS("NatSet", "/LOG:maybe"), "/LOG: \"maybe\" is not yes or no");
	cr_expect_str_eq(
		OURS("NatSet", "/TCPTIMEOUT:2h"), "/TCPTIMEOUT: \"2h\" is not a number of seconds");
	cr_expect_str_eq(
		OURS("NatSet", "/TCPTIMEOUT"), "/TCPTIMEOUT: \"\" is not a number of seconds");
	cr_expect_str_eq(OURS("NatSet", "/START:10.0.0.1"),
		"unknown argument \"/START:10.0.0.1\". It takes /MTU /TCPTIMEOUT /UDPTIMEOUT /LOG");
	cr_expect_str_eq(OURS("NatSet", "mtu=1400", "/"),
		"unknown argument \"/\". It takes /MTU /TCPTIMEOUT /UDPTIMEOUT /LOG");
}

Test(vpncmd, virtual_dhcp_server)
{
	cr_expect_str_eq(OURS("DhcpSet", "/START:192.168.30.10", "/END:192.168.30.200",
				 "/MASK:255.255.255.0", "/EXPIRE:7200", "/GW:192.168.30.1",
				 "/DNS:192.168.30.1", "/DNS2:192.168.30.2", "/DOMAIN:example.com",
				 "/LOG:yes"),
		"netmask=255.255.255.0 lease=7200s gateway=192.168.30.1 domain=example.com "
		"log=true "
		"range=192.168.30.10-192.168.30.200 dns=192.168.30.1,192.168.30.2");
	cr_expect_str_eq(OURS("DhcpSet", "/GW:none", "/DNS:none", "/DNS2:none", "/DOMAIN:none"),
		"gateway=none domain=none dns=none");
	cr_expect_str_eq(
		OURS("DhcpSet", "/GW:", "/DNS:", "/DOMAIN:"), "gateway=none domain=none dns=none");
	cr_expect_str_eq(OURS("DhcpSet", "/DNS:10.0.0.1"), "dns=10.0.0.1");
	cr_expect_str_eq(OURS("DhcpSet", "/DNS:none", "/DNS2:10.0.0.2"), "dns=10.0.0.2");
	cr_expect_str_eq(OURS("DhcpSet", "/DNS2:10.0.0.2"), "/DNS2 needs /DNS");
	cr_expect_str_eq(OURS("DhcpSet", "/START:10.0.0.2"), "/START and /END go together");
}

Test(vpncmd, routes)
{
	cr_expect_str_eq(OURS("DhcpSet", "/PUSHROUTE:192.168.5.0/255.255.255.0/192.168.4.254, "
					 "10.0.0.0/255.0.0.0/192.168.4.253"),
		"push_routes=[{to: 192.168.5.0/24, via: 192.168.4.254}, {to: 10.0.0.0/8, via: "
		"192.168.4.253}]");
	cr_expect_str_eq(OURS("DhcpSet", "/PUSHROUTE:none"), "push_routes=[]");
	cr_expect_str_eq(OURS("DhcpSet", "/PUSHROUTE:10.0.0.0/255.0.255.0/192.168.4.253"),
		"/PUSHROUTE: \"10.0.0.0/255.0.255.0/192.168.4.253\" is not NETWORK/MASK/GATEWAY");
	cr_expect_str_eq(OURS("DhcpSet", "/PUSHROUTE:10.0.0.0/255.0.0.0/1.2.3.4}"),
		"/PUSHROUTE: \"10.0.0.0/255.0.0.0/1.2.3.4}\" is not NETWORK/MASK/GATEWAY");
	cr_expect_str_eq(OURS("DhcpSet", "/PUSHROUTE:10.0.0.0/8/1.2.3.4"),
		"/PUSHROUTE: \"10.0.0.0/8/1.2.3.4\" is not NETWORK/MASK/GATEWAY");
}

Test(vpncmd, texts_without_end)
{
	static char longer[PHRASE_TEXT + 16] = "/PUSHROUTE:";

	memset(longer + 11, ',', sizeof(longer) - 12);
	cr_expect_str_eq(OURS("DhcpSet", longer), "no room");
	memcpy(longer, "/DOMAIN:xxx", 11);
	cr_expect_str_eq(OURS("DhcpSet", longer), "no room");
}

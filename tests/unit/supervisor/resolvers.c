/* resolv.conf as people and programs write it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "resolvers.h"

Test(resolvers, the_usual_file)
{
	struct resolvers r = {0};

	resolvers_parse(&r, "# by hand\nsearch example.org sub.example.org\n  nameserver "
			    "1.1.1.1\nnameserver\t9.9.9.9\noptions edns0\nnameserver 127.0.0.53");
	cr_assert_eq(r.count, 3);
	cr_assert_eq(r.ip_be[0], inet_addr("1.1.1.1"));
	cr_assert_eq(r.ip_be[2], inet_addr("127.0.0.53"));
	cr_assert_str_eq(r.domain, "example.org");
}

Test(resolvers, what_is_no_resolver)
{
	struct resolvers r = {0};

	resolvers_parse(&r,
		"nameserver ::1\nnameserver 0.0.0.0\nnameserver\nnameserver 1.2.3\n;nameserver "
		"4.4.4.4\nnameserver 8.8.8.8\nnameserver 8.8.8.8\nsearch .\n");
	cr_assert_eq(r.count, 1);
	cr_assert_str_eq(r.domain, "");
	resolvers_parse(&r, "");
	cr_assert_eq(r.count, 0);
}

Test(resolvers, domain_wins_over_search_whatever_the_order)
{
	struct resolvers r = {0};

	resolvers_parse(&r, "domain a.example\nsearch b.example\n");
	cr_assert_str_eq(r.domain, "a.example");
	resolvers_parse(&r, "search b.example\ndomain a.example\n");
	cr_assert_str_eq(r.domain, "a.example");
}

Test(resolvers, bounds)
{
	struct resolvers r = {0};
	char text[20000] = "";
	int i;

	for (i = 0; i < 200; i++)
		sprintf(text + strlen(text), "nameserver 10.0.0.%d\n", i + 1);
	memset(text + strlen(text), 'x', 9000);
	resolvers_parse(&r, text);
	cr_assert_eq(r.count, RESOLVERS_MAX);
}

/* What is said of a kernel or an account that gives less. */
#include <criterion/criterion.h>

#include "conf.h"
#include "lack.h"
#include "supervisor.h"

Test(lack, each_version_of_landlock_is_told_by_what_it_lacks)
{
	char text[LACK_TEXT];

	cr_expect(strstr(lack_landlock(0, text), "without Landlock"));
	cr_expect(strstr(lack_landlock(3, text), "not from TCP (Linux 6.7), signals"));
	cr_expect(strstr(lack_landlock(4, text), "files and TCP, not from signals"));
	cr_expect(strstr(lack_landlock(5, text), "version 5"));
	cr_expect_str_empty(lack_landlock(6, text));
	cr_expect_str_empty(lack_landlock(99, text));
}

static struct supervisor s;

static bool noted(const char *text)
{
	unsigned int i;

	for (i = 0; i < s.notes; i++)
		if (strstr(s.note[i], text))
			return true;
	return false;
}

static void make(unsigned int abi)
{
	s.is_run = true; /* says nothing on standard error */
	s.config = conf_defaults();
	s.hubs = 1;
	s.hub[0].workers = 2;
	s.hub[0].worker[0].landlock_abi = LACK_LANDLOCK_SCOPES;
	s.hub[0].worker[1].landlock_abi = abi;
	s.identity = (struct identity){.uid = 61184, .has_private = true, .user = "alice"};
}

Test(lack, nothing_is_said_where_nothing_lacks)
{
	make(LACK_LANDLOCK_SCOPES);
	lack_note(&s);
	cr_expect(!noted("Landlock") && !noted("uid"));
}

Test(lack, the_worker_that_has_least_counts)
{
	make(0);
	lack_note(&s);
	cr_expect(noted("this kernel offers none"));
	s.config->policy->landlock = false;
	lack_note(&s);
	cr_expect(noted("policy.landlock is false"));
}

Test(lack, uids_that_are_shared_and_why)
{
	make(LACK_LANDLOCK_SCOPES);
	s.identity.has_private = false;
	lack_note(&s);
	cr_expect(noted("share the uid of alice: /etc/subuid and /etc/subgid grant no others"));
	s.identity.granted = true;
	s.identity.uid = 0;
	lack_note(&s);
	cr_expect(noted("Install uidmap"));
	cr_expect(noted("goes on as uid 0"));
}

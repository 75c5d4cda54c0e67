/* policy/audit/proctext.c: texts as kernels write them, and as nobody should. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "proctext.h"

static const char status_text[] =
	"Name:\talg\nUmask:\t0022\nState:\tS "
	"(sleeping)\nTgid:\t41\nPid:\t41\nPPid:\t7\nTracerPid:\t9\nUid:\t1\t2\t3\t4\nGid:"
	"\t5\t6\t7\t8\n"
	"FDSize:\t64\nGroups:\t10 20 "
	"\nNStgid:\t41\t1\nNSpid:\t41\t1\nThreads:\t1\nCapInh:\t0000000000000001\nCapPrm:"
	"\t0000000000000002\n"
	"CapEff:\t0000000000000003\nCapBnd:\t000001ffffffffff\nCapAmb:"
	"\t0000000000000005\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n";

Test(proctext, status)
{
	struct found_status s;

	cr_assert_eq(proctext_status(status_text, &s), 0);
	cr_expect_str_eq(s.name, "alg");
	cr_expect(s.state == 'S' && s.parent == 7 && s.tracer == 9 && s.threads == 1 &&
		  s.fd_slots == 64 && s.groups == 2 && s.innermost_pid == 1);
	cr_expect(s.uid[0] == 1 && s.uid[3] == 4 && s.gid[0] == 5 && s.gid[3] == 8);
	cr_expect(s.capabilities[FOUND_INHERITABLE] == 1 &&
		  s.capabilities[FOUND_BOUNDING] == 0x1ffffffffff &&
		  s.capabilities[FOUND_AMBIENT] == 5);
	cr_expect(s.seccomp == 2 && s.layers == 3 && s.no_new_privs == 1);
}

Test(proctext, status_with_less)
{
	char text[sizeof(status_text)];
	struct found_status s;
	size_t n;

	strcpy(text, status_text);
	*strstr(text, "NoNewPrivs") = '\0';
	cr_assert_eq(proctext_status(text, &s), 0);
	cr_expect(s.seccomp == -1 && s.layers == -1 && s.no_new_privs == -1);
	for (n = 0; n < sizeof(status_text) - 1; n++) {
		memcpy(text, status_text, n);
		text[n] = '\0';
		proctext_status(text, &s); /* any prefix: no crash */
	}
	cr_expect_eq(proctext_status("", &s), -EINVAL);
}

/* A name may hold a line break's escape, but no line break: "Seccomp" in it must not count. */
Test(proctext, keys_begin_lines)
{
	char text[sizeof(status_text) + 32] = "Name:\tSeccomp: 0\n";
	struct found_status s;

	strcat(text, strchr(status_text, '\n') + 1);
	cr_assert_eq(proctext_status(text, &s), 0);
	cr_expect_eq(s.seccomp, 2);
}

Test(proctext, ids)
{
	struct found_ids ids;

	proctext_ids("         0      61184          1\n         1      61185         32\n", &ids);
	cr_assert_eq(ids.lines, 2);
	cr_expect(
		ids.line[1].inside == 1 && ids.line[1].outside == 61185 && ids.line[1].count == 32);
	proctext_ids("1 2 3\n1 2 3\n1 2 3\n1 2 3\n1 2 3\n", &ids);
	cr_expect_eq(ids.lines, FOUND_ID_LINES);
	proctext_ids("", &ids);
	cr_expect_eq(ids.lines, 0);
	proctext_ids("1 2", &ids);
	cr_expect_eq(ids.lines, 0);
}

Test(proctext, limits)
{
	struct found_limit limit[FOUND_LIMITS];

	proctext_limits(
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max file size             unlimited            unlimited            bytes     \n"
		"Max processes             0                    7                    processes \n"
		"Max open files            32\n",
		limit);
	cr_expect(limit[FOUND_FSIZE].known && limit[FOUND_FSIZE].hard == UINT64_MAX);
	cr_expect(limit[FOUND_NPROC].known && limit[FOUND_NPROC].soft == 0 &&
		  limit[FOUND_NPROC].hard == 7);
	cr_expect_not(limit[FOUND_CORE].known);
}

Test(proctext, mounts)
{
	struct found_root root;

	proctext_mounts(
		"60 45 0:50 / / ro,nosuid,nodev,noexec,relatime - tmpfs natlock ro,size=4k\n",
		&root);
	cr_expect(root.mounts == 1 && root.is_root && root.read_only && root.nosuid && root.nodev &&
		  root.noexec);
	cr_expect_str_eq(root.type, "tmpfs");
	proctext_mounts(
		"60 45 0:50 / / rw,relatime - ext4 x rw\n61 60 0:51 / /proc rw - proc proc rw\n",
		&root);
	cr_expect(root.mounts == 2 && !root.read_only);
	proctext_mounts("60 45 0:50 / /rw rw,protected,nosuidx - tmpfs x ro\n", &root);
	cr_expect(!root.is_root && !root.read_only && !root.nosuid,
		"only the mount's own options count");
	proctext_mounts("nonsense\n", &root);
	cr_expect(root.mounts == 1 && !root.is_root);
	proctext_mounts("", &root);
	cr_expect_eq(root.mounts, 0);
}

Test(proctext, mapping)
{
	struct found_mapping m;

	cr_assert(proctext_mapping("7f0000001000-7f0000002000 r-xp 00001000 fe:00 123              "
				   "          /usr/libexec/natlock/natlock-alg\nnext",
		"/usr/libexec/natlock/natlock-alg", &m));
	cr_expect(m.start == 0x7f0000001000 && m.end == 0x7f0000002000 && m.offset == 0x1000 &&
		  m.inode == 123);
	cr_expect(m.read && !m.write && m.execute && !m.shared && m.is_program && !m.is_memfd);
	cr_assert(proctext_mapping(
		"7f00-8000 rw-s 00000000 00:01 77 /memfd:natlock ring (deleted)\n", "/x", &m));
	cr_expect(m.write && m.shared && m.is_memfd && !m.is_program && m.seals == -1);
	cr_assert(proctext_mapping("7f00-8000 rwxp 00000000 00:00 0 \n", "/x", &m));
	cr_expect(m.write && m.execute && m.text[0] == '\0' && !m.is_program);
	cr_assert(proctext_mapping("7f00-8000 r-xp 00000000 fe:00 9 /x-and-more\n", "/x", &m));
	cr_expect_not(m.is_program);
	cr_expect_not(proctext_mapping("", "/x", &m));
	cr_expect_not(proctext_mapping("7f00-8000 r-\n", "/x", &m));
}

Test(proctext, environment)
{
	char text[512] = "41 (a) b) S";
	unsigned int field;

	for (field = 4; field <= 51; field++)
		strcat(text, field == 50 ? " 4096" : field == 51 ? " 4100" : " 1");
	cr_expect_eq(proctext_environment(strcat(text, " 0\n")), 4);
	cr_expect_eq(proctext_environment("41 (a) S 1 2"), -EINVAL);
	cr_expect_eq(proctext_environment(""), -EINVAL);
	strcpy(text, "41 (a) S");
	for (field = 4; field <= 52; field++)
		strcat(text, " 0");
	cr_expect_eq(proctext_environment(text), -EACCES, "what strangers are shown");
}

Test(proctext, start)
{
	char text[512] = "41 (a) b) S";
	unsigned int field;

	for (field = 4; field <= 52; field++)
		strcat(text, field == 22 ? " 1234" : " 1");
	cr_expect_eq(proctext_start_ms(text, 100), 12340);
	cr_expect_eq(proctext_start_ms(text, 0), 0);
	cr_expect_eq(proctext_start_ms("41 (a", 100), 0);
}

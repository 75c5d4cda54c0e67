/* policy/words.c and constants.c: the tables agree with the kernel's numbers and with themselves.
 */
#include <criterion/criterion.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>

#include "words.h"

Test(words, rows_are_read_as_written)
{
	struct words_argument a;
	cr_assert(words_argument("mmap", "prot", &a));
	cr_expect(a.index == 2 && a.bits == 64 && a.must_pin && !a.is_fd);
	cr_expect_str_eq(a.prefix, "PROT_");
	cr_assert(words_argument("mmap", "fd", &a));
	cr_expect(a.index == 4 && a.bits == 32 && a.is_fd && a.must_pin);
	cr_assert(words_argument("epoll_ctl", "op", &a));
	cr_expect(a.index == 1 && !a.must_pin && a.is_choice);
	cr_expect(words_argument("accept4", "flags", &a) && a.must_pin && !a.is_choice);
	cr_expect_not(words_argument("epoll_ctl", "o", &a));
	cr_expect_not(words_argument("getpid", "fd", &a));
	cr_expect_not(words_argument_at("recvmsg", 3, &a));
}

Test(words, kinds)
{
	enum words_kind kind;
	cr_expect(words_call("openat", &kind) && kind == WORDS_PATH);
	cr_expect(words_call("ptrace", &kind) && kind == WORDS_POWER);
	cr_expect(words_call("sendmsg", &kind) && kind == WORDS_PLAIN);
	cr_expect_not(words_call("sendmsgs", &kind));
}

Test(words, constants_with_and_without_prefix)
{
	uint64_t v = 99;
	cr_expect(words_constant("AF_INET", "AF_", &v) && v == AF_INET);
	cr_expect(words_constant("INET", "AF_", &v) && v == AF_INET);
	cr_expect(words_constant("SO_KEEPALIVE", "", &v) && v == SO_KEEPALIVE);
	cr_expect_not(words_constant("INET", "SOCK_", &v));
	cr_expect_not(words_constant("", "AF_", &v));
}

Test(words, descriptors_belong_to_one_actor)
{
	uint32_t first, last;
	cr_expect(words_descriptor("broker", "PORT", &first, &last) && first == 64 && last == 127);
	cr_expect(words_descriptor("broker", "CH_NETSTACK", &first, &last) && first == 16 &&
		  last == 23);
	cr_expect_not(words_descriptor("alg", "PORT", &first, &last));
	cr_expect_not(words_descriptor("brok", "PORT", &first, &last));
	cr_expect_not(words_descriptor("brokers", "PORT", &first, &last));
	cr_expect(words_has_topology("dhcpd"));
	cr_expect_not(words_has_topology("supervisor"));
}

Test(words, nearest_call)
{
	cr_expect_str_eq(words_nearest_call("recvmesg"), "recvmsg");
	cr_expect_null(words_nearest_call("teleport"));
	cr_expect_null(words_nearest_call("a_very_long_name_that_no_system_call_has_ever_had"));
}

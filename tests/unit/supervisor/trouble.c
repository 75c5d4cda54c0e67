/* One line for a person: what, why, what to do. */
#include <criterion/criterion.h>
#include <string.h>

#include "trouble.h"

Test(trouble, text)
{
	struct trouble t;
	char out[256], small[16];

	cr_assert_eq(trouble(&t, EXIT_REFUSED, "E0501", "cannot open %s", "/dev/x"), -1);
	cr_assert_str_eq(trouble_text(&t, out, sizeof(out)), "cannot open /dev/x");
	trouble_cause(&t, "Permission denied");
	trouble_fix(&t, "Try sudo.");
	cr_assert_str_eq(trouble_text(&t, out, sizeof(out)),
		"cannot open /dev/x: Permission denied. Try sudo.");
	cr_assert_lt(strlen(trouble_text(&t, small, sizeof(small))), sizeof(small));
	trouble(&t, EXIT_OK, "E", "again");
	cr_assert_eq(t.cause[0] | t.fix[0], '\0', "a new trouble starts afresh");
}

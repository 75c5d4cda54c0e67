/* Names of the sockets. What is said over them is tested with a running natlock (natlock.c). */
#include <criterion/criterion.h>

#include "operator.h"

Test(operator, admin_path)
{
	char out[OPERATOR_PATH];

	cr_assert(operator_admin_path("/run/natlock/api", out, sizeof(out)));
	cr_assert_str_eq(out, "/run/natlock/admin-api");
	cr_assert(operator_admin_path("api", out, sizeof(out)));
	cr_assert_str_eq(out, "admin-api");
	cr_assert_not(operator_admin_path("/run/natlock/api", out, 22));
}

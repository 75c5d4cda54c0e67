/* Names of the sockets, and who finds a place there. What is said over them is tested with a running natlock (natlock.c). */
#include <criterion/criterion.h>

#include "operator.h"
#include "supervisor.h"

static struct supervisor super;

Test(operator, admin_path)
{
	char out[OPERATOR_PATH];

	cr_assert(operator_admin_path("/run/natlock/api", out, sizeof(out)));
	cr_assert_str_eq(out, "/run/natlock/admin-api");
	cr_assert(operator_admin_path("api", out, sizeof(out)));
	cr_assert_str_eq(out, "admin-api");
	cr_assert_not(operator_admin_path("/run/natlock/api", out, 22));
}

Test(operator, readers_leave_room_for_administrators)
{
	struct operator* op = & super.op;
	unsigned int i;

	for (i = 0; i < OPERATOR_READERS; i++) {
		struct operator_peer *p = operator_place(op, false);

		cr_assert_not_null(p);
		p->used = true;
	}
	cr_assert_null(operator_place(op, false));
	for (; i < OPERATOR_CLIENTS; i++) {
		struct operator_peer *p = operator_place(op, true);

		cr_assert_not_null(p);
		p->used = p->admin = true;
	}
	cr_assert_null(operator_place(op, true));
	op->peer[0].used = false;
	cr_assert_eq(operator_place(op, true), &op->peer[0]);
}

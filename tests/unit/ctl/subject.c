/* subject.c: rows as what filters look at; a row may lack anything. */
#include <criterion/criterion.h>

#include "rig.h"
#include "subject.h"

Test(subject, a_session)
{
	struct filter_subject subject;
	struct sample s;

	sample_nat(&s);
	subject_of_session(&subject, &s.nat[1], s.nat[1].created_ms + 5000);
	cr_expect(subject.source.given && subject.source.ip == 0xc0a81e0b);
	cr_expect_eq(subject.source.port, 5060);
	cr_expect_eq(subject.destination.ip, 0xcb007109);
	cr_expect_eq(subject.outside.ip, 0x0a630002);
	cr_expect_str_eq(subject.proto, "udp");
	cr_expect_str_eq(subject.alg, "sip");
	cr_expect(subject.has_age && subject.age_ms == 5000);
	cr_expect(subject.has_idle && subject.idle_ms == 0);
	subject_of_session(&subject, &s.nat[1], s.nat[1].created_ms - 1);
	cr_expect_not(subject.has_age, "a session from the future has no age");
}

Test(subject, rows_without_anything)
{
	Nl__NatRow session = NL__NAT_ROW__INIT;
	Nl__EventRow event = NL__EVENT_ROW__INIT;
	Nl__Address empty = NL__ADDRESS__INIT;
	struct filter_subject subject;

	session.source = &empty;
	subject_of_session(&subject, &session, 0);
	cr_expect_not(subject.source.given || subject.destination.given || subject.has_age ||
		      subject.has_idle);
	subject_of_event(&subject, &event.base);
	cr_expect_not(subject.source.given || subject.destination.given || subject.has_age);
	cr_expect_null(subject.proto);
}

/* The findings of `natlock doctor` about the host: network, files, sockets of logs. What the kernel
 * offers is in doctor.c. */
#ifndef NATLOCK_SUPERVISOR_DOCTOR_HOST_H
#define NATLOCK_SUPERVISOR_DOCTOR_HOST_H

#include <stdbool.h>

struct finding {
	bool ok;
	char detail[160];
	char fix[200]; /* what to do, said only when not ok */
};

/* From an errno (0: ok) and what to do. */
struct finding finding_of(int error, const char *fix);

/* Each tries or reads one thing and leaves nothing behind. */
struct finding doctor_bridge(void);
struct finding doctor_qemu(void);
struct finding doctor_low_ports(void);
/* The errno of opening a ping socket. */
struct finding doctor_ping(int error);
struct finding doctor_resolvers(void);
struct finding doctor_subnet(void);
struct finding doctor_state(void);
struct finding doctor_log(void);
struct finding doctor_journal(void);
struct finding doctor_syslog(void);

#endif

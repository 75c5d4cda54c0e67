/* `natlock doctor`: each way to attach a guest and each kernel feature: OK, or why not and how to
 * fix it. */
#ifndef NATLOCK_SUPERVISOR_DOCTOR_H
#define NATLOCK_SUPERVISOR_DOCTOR_H

/* Prints the table. 0 when `natlock run` works here, 1 when something that it needs is missing. */
int doctor(void);

#endif

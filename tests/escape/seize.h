/*
 * Making a foreign process make a system call, with the power that code injected into it would
 * have. x86-64.
 */
#ifndef NATLOCK_ESCAPE_SEIZE_H
#define NATLOCK_ESCAPE_SEIZE_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/user.h>

#include "call.h"

enum seize_end {
	SEIZE_RETURNED, /* value: what the kernel answered, -errno or 0 and more */
	SEIZE_KILLED,	/* by SIGSYS: its filter */
	SEIZE_SIGNAL,	/* value: the signal that ended it, or that it would have ended by */
	SEIZE_EXITED,	/* value: its exit status */
	SEIZE_REPLACED, /* an exec: another program runs in its place */
	SEIZE_STUCK,	/* the call did not come back in time; the process was ended */
};

struct seize_outcome {
	enum seize_end end;
	long value;
};

struct seized {
	pid_t pid;
	pid_t child; /* made by its last call, stopped at its first instruction and ours; 0: none */
	bool keep_child; /* else it is killed as soon as it is seen */
	int signal;	 /* came meanwhile, and is delivered when we let go; 0: none */
	bool harmed;	 /* is no longer what it was: ended when we let go */
	bool alive;
	struct user_regs_struct registers; /* as they were, likewise the text and the stack */
	long text;
	unsigned char stack[CALL_IMAGE];
};

/* Where the image of a call has to lie. */
uint64_t seize_base(const struct seized *s, enum call_entry entry);

/* Seizes and stops a process. 0 or the errno of ptrace. */
int seize_begin(struct seized *s, pid_t pid);

/* Takes over the child of a seized process, which stands where its parent stood. 0 or ESRCH. */
int seize_adopt(struct seized *s, const struct seized *parent);

/* The call is made from here on, or the process is dead. */
void seize_start(struct seized *s, const struct call *c);

/* How it ended. Afterwards the process stands still again, if there is one. */
struct seize_outcome seize_finish(struct seized *s, const struct call *c);

/* What the arguments of its last call point to, as the kernel left it, into the call's image. */
void seize_read(const struct seized *s, struct call *c);

/* Puts everything back as it was and lets the process go on; or ends it, if it was harmed. */
void seize_end(struct seized *s);

/* Ends it. */
void seize_kill(struct seized *s);

#endif

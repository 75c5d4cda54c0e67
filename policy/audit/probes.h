/* What a captured worker would try: the table of probes.def as data. */
#ifndef NATLOCK_AUDIT_PROBES_H
#define NATLOCK_AUDIT_PROBES_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

enum outcome {
	KILLED,	   /* SIGSYS by the filter */
	DEAD,	   /* any deadly signal: the entry does not exist, or the kernel itself ends such a
		      caller */
	REFUSED,   /* an error, nothing gained */
	SUCCEEDED, /* the call worked */
	ANYTHING,  /* not judged in this posture */
};

/* Which calls may lead up to a probe. */
enum probe_lead {
	LEAD_NONE, /* a number stands in for their result */
	LEAD_JOB,  /* those that are natproxy's job: a socket of its own */
	LEAD_ANY,  /* there is no filter */
};

struct probe {
	const char *name;
	int call; /* the number that the probe reaches the kernel with */
	/* 0 or more when the call worked, else -errno. */
	long (*run)(enum probe_lead lead);
	enum outcome natproxy, others, unfiltered, outside; /* see probes.def */
};

extern const struct probe probes[];
extern const unsigned int probe_count;

/* What the harness tells the intruder, one record on descriptor 3. */
struct probe_order {
	uint32_t probe;
	uint32_t lead; /* enum probe_lead */
	bool deny_tcp;
	uint32_t count; /* instructions of the filter to put on; 0: none */
	struct sock_filter insns[4096];
};

/* Exit status of the intruder: 0 worked, else the errno; from here on it never came to the probe.
 */
enum { PROBE_NOT_REACHED = 200, PROBE_ERRNO_MAX = 199 };

/* Status for what run() returned. */
static inline int probe_status(long result)
{
	return result >= 0 ? 0 : result < -PROBE_ERRNO_MAX ? PROBE_ERRNO_MAX : (int)-result;
}

#endif

/*
 * Theory of operation. PTRACE_SECCOMP_GET_FILTER 0, 1, ... copies one layer a call out of the kernel;
 * the process must stand still meanwhile (stop.h). The buffer is there, every page of it, before it
 * is stopped, and is read after it runs again.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#include "layers.h"
#include "stop.h"

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

struct copies {
	struct sock_filter insns[FOUND_LAYERS][FOUND_INSNS];
	unsigned int count[FOUND_LAYERS];
	unsigned int layers;
};

int layers_allowed(const struct found_status *self)
{
	if (!(self->capabilities[FOUND_EFFECTIVE] & UINT64_C(1) << CAP_SYS_ADMIN))
		return EPERM;
	return self->seccomp > 0 ? EBUSY : 0;
}

/* The oldest or the youngest first: nobody who compares cares. */
static int copy_layers(pid_t pid, struct copies *c)
{
	long n = 0;

	for (c->layers = 0; c->layers < FOUND_LAYERS; c->layers++) {
		n = ptrace((enum __ptrace_request)PTRACE_SECCOMP_GET_FILTER, pid,
			(void *)(uintptr_t)c->layers, c->insns[c->layers]);
		if (n < 0)
			break;
		c->count[c->layers] = (unsigned int)n;
	}
	/* ENOENT: no further layer. EINVAL: none at all. */
	return n >= 0 || errno == ENOENT || errno == EINVAL ? 0 : errno;
}

static int stop_and_copy(struct found *f, struct copies *c)
{
	struct stop stop;
	uint64_t stopped_ns;
	int error;

	memset(c, 1, sizeof(*c));
	error = stop_begin(&stop, f->pid);
	if (error)
		return error;
	error = copy_layers(f->pid, c);
	stopped_ns = stop_end(&stop);
	if (stopped_ns > f->stopped_ns)
		f->stopped_ns = stopped_ns;
	return error;
}

void layers_look(struct found *f)
{
	static struct copies copies;
	unsigned int i;

	f->layers_error = stop_and_copy(f, &copies);
	if (f->layers_error)
		return;
	for (i = 0; i < copies.layers; i++) {
		size_t bytes = copies.count[i] * sizeof(struct sock_filter);
		struct sock_filter *insns = malloc(bytes);

		if (!insns)
			abort();
		memcpy(insns, copies.insns[i], bytes);
		f->layer[i] = (struct found_layer){copies.count[i], insns};
	}
	f->layers = copies.layers;
}

/*
 * The hostile program that takes a worker's place: exec'd by policy/lock.c like a worker, a static
 * file in an empty root. It puts on what a worker puts on itself (ipc/confine.c), with the filter
 * that it is sent, and then makes one probe.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "probes.h"

static struct probe_order order;

int main(void)
{
	ssize_t n = recv(3, &order, sizeof(order), 0);
	if (n < (ssize_t)offsetof(struct probe_order, insns) || order.probe >= probe_count)
		return PROBE_NOT_REACHED;
	if (confine_undumpable() || confine_landlock(order.deny_tcp) < 0)
		return PROBE_NOT_REACHED + 1;
	if (order.count && confine_filter(order.insns, order.count))
		return PROBE_NOT_REACHED + 2;
	int status = probe_status(probes[order.probe].run((enum probe_lead)order.lead));
	syscall(SYS_exit_group, status);
	return PROBE_NOT_REACHED;
}

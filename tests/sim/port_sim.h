/*
 * The kernel below broker/port.c: broker_inside.c and port.c are compiled with readv, writev, close and epoll_ctl
 * renamed to these. One port, descriptor PORT_SIM_FD, a TAP (with virtio-net headers) or a datagram socket.
 */
#ifndef NATLOCK_TESTS_SIM_PORT_SIM_H
#define NATLOCK_TESTS_SIM_PORT_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "topology.h"

enum { PORT_SIM_FD = BROKER_PORT_FIRST, PORT_SIM_NUMBER = 7 };
struct epoll_event;

void port_sim_open(bool tap);
/* Frames that the port's kernel queue had no room for. */
uint64_t port_sim_overruns(void);
ssize_t sim_readv(int fd, const struct iovec *piece, int pieces);
ssize_t sim_writev(int fd, const struct iovec *piece, int pieces);
int sim_close(int fd);
int sim_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);

#endif

/* One byte there and back, the next when the last has come: the latency of the path. */
#include "load.h"
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* tolerant: an answer that does not come within wait_us is counted; else it ends the run. */
static int measure(int fd, uint64_t end_ns, long wait_us, bool tolerant)
{
	struct timeval patience = {wait_us / 1000000, wait_us % 1000000};
	struct samples samples;
	char byte = 'x';

	load_samples_begin(&samples);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (uint64_t begin_ns; (begin_ns = load_now_ns()) < end_ns;) {
		if (write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1) {
			load_samples_add(&samples, begin_ns);
			continue;
		}
		samples.failed++;
		if (!tolerant)
			break;
	}
	return load_samples_print(&samples);
}

int rr_tcp(char **argument)
{
	struct sockaddr_in far = load_address(argument[0], LOAD_PORT_ECHO);
	int fd = load_connect(&far);

	return fd < 0 ? 1 : measure(fd, load_deadline_ns(argument[1]), 3000000, false);
}

int rr_udp(char **argument)
{
	struct sockaddr_in far = load_address(argument[0], LOAD_PORT_ECHO);

	return measure(
		load_datagram_socket(NULL, &far), load_deadline_ns(argument[1]), 200000, true);
}

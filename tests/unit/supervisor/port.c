/* Which descriptors may be ports. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port.h"

static bool recognised(int fd, Nl__PortKind *kind)
{
	struct port_offer offer = {.fd = fd};
	struct trouble t;
	bool ok = port_recognise(&offer, &t) == 0;

	*kind = offer.kind;
	close(fd);
	return ok;
}

Test(port, unix_sockets_are_qemus)
{
	Nl__PortKind kind;

	cr_assert(recognised(socket(AF_UNIX, SOCK_STREAM, 0), &kind));
	cr_assert_eq(kind, NL__PORT_KIND__QEMU_STREAM);
	cr_assert(recognised(socket(AF_UNIX, SOCK_DGRAM, 0), &kind));
	cr_assert_eq(kind, NL__PORT_KIND__QEMU_DGRAM);
}

Test(port, anything_else_is_refused)
{
	Nl__PortKind kind;

	cr_assert_not(recognised(open("/dev/null", O_RDWR), &kind));
	cr_assert_not(recognised(open("/etc/passwd", O_RDONLY), &kind));
	cr_assert_not(recognised(socket(AF_INET, SOCK_STREAM, 0), &kind));
	cr_assert_not(recognised(socket(AF_UNIX, SOCK_SEQPACKET, 0), &kind));
	cr_assert_not(recognised(-1, &kind));
}

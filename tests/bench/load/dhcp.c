/*
 * DISCOVER, OFFER, REQUEST, ACK for many new clients over one interface: raw frames, since each
 * client has a hardware address of its own. RFC 2131; answers are asked for by broadcast (4.1).
 */
#include "load.h"
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6 };
enum {
	OPTION_ADDRESS = 50,
	OPTION_TYPE = 53,
	OPTION_SERVER = 54,
	OPTION_WANTED = 55,
	OPTION_END = 255
};
enum { ETHER = 14, IP = 20, UDP = 8, OPTIONS = 240, MESSAGE = 300, FRAME = 2048 };
enum { PATIENCE_NS = 1000000000, SWEEP_NS = 100000000 };

enum state { NEW, DISCOVERING, REQUESTING, DONE };

struct client {
	enum state state;
	uint64_t begin_ns, asked_ns;
};

struct run {
	int fd;
	uint32_t first_xid;
	unsigned count, started, outstanding, ended;
	struct client *client;
	struct samples samples;
};

/* What an answer says. */
struct reply {
	unsigned index;
	uint8_t type, address[4], server[4];
};

static uint16_t checksum(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static uint8_t *option(uint8_t *at, uint8_t code, const void *value, uint8_t size)
{
	at[0] = code;
	at[1] = size;
	memcpy(at + 2, value, size);
	return at + 2 + size;
}

static void put_headers(uint8_t *frame, const uint8_t *mac, size_t message)
{
	uint8_t *ip = frame + ETHER, *udp = ip + IP;
	uint16_t ip_size = htons((uint16_t)(message + UDP + IP)),
		 udp_size = htons((uint16_t)(message + UDP));

	memset(frame, 255, 6);
	memcpy(frame + 6, mac, 6);
	frame[12] = 8;
	memcpy(ip, "\x45\0\0\0\0\0\0\0\x40\x11\0\0\0\0\0\0\xff\xff\xff\xff", IP);
	memcpy(ip + 2, &ip_size, 2);
	memcpy(ip + 10, &(uint16_t){checksum(ip, IP)}, 2);
	memcpy(udp, "\0\104\0\103", 4); /* from 68 to 67, no checksum */
	memcpy(udp + 4, &udp_size, 2);
}

/* Sends a DISCOVER, or the REQUEST for what was offered. */
static void ask(struct run *r, unsigned index, const struct reply *offer)
{
	uint8_t frame[FRAME] = {0}, mac[6] = {2, 0xbe}, *message = frame + ETHER + IP + UDP;
	uint8_t *end = message + OPTIONS;
	uint32_t xid = htonl(r->first_xid + index);

	memcpy(mac + 2, &xid, 4);
	memcpy(message, "\1\1\6", 3); /* a request, Ethernet, six octets */
	memcpy(message + 4, &xid, 4);
	message[10] = 0x80; /* answer by broadcast */
	memcpy(message + 28, mac, 6);
	memcpy(message + 236, "\x63\x82\x53\x63", 4);
	end = option(end, OPTION_TYPE, &(uint8_t){offer ? REQUEST : DISCOVER}, 1);
	if (offer) {
		end = option(end, OPTION_ADDRESS, offer->address, 4);
		end = option(end, OPTION_SERVER, offer->server, 4);
	}
	end = option(end, OPTION_WANTED, "\1\3\6", 3);
	*end++ = OPTION_END;
	size_t size = end - message < MESSAGE ? MESSAGE : (size_t)(end - message);
	put_headers(frame, mac, size);
	if (write(r->fd, frame, ETHER + IP + UDP + size) < 0)
		load_die("write");
	r->client[index].state = offer ? REQUESTING : DISCOVERING;
	r->client[index].asked_ns = load_now_ns();
}

/* Whether the frame is a DHCP answer to one of our clients. */
static bool read_reply(const struct run *r, const uint8_t *frame, size_t size, struct reply *reply)
{
	const uint8_t *message = frame + ETHER + IP + UDP, *end = frame + size;
	uint32_t xid;

	if (size < ETHER + IP + UDP + OPTIONS || frame[ETHER] != 0x45 ||
		frame[ETHER + 9] != IPPROTO_UDP || message[-5] != 68 || message[0] != 2)
		return false;
	memcpy(&xid, message + 4, 4);
	*reply = (struct reply){.index = ntohl(xid) - r->first_xid};
	memcpy(reply->address, message + 16, 4);
	for (const uint8_t *at = message + OPTIONS; at + 1 < end && *at != OPTION_END;
		at += *at ? at[1] + 2 : 1) {
		if (at + 2 + at[1] > end)
			return false;
		if (*at == OPTION_TYPE && at[1] == 1)
			reply->type = at[2];
		if (*at == OPTION_SERVER && at[1] == 4)
			memcpy(reply->server, at + 2, 4);
	}
	return reply->index < r->count;
}

static void hear(struct run *r, const struct reply *reply)
{
	struct client *c = &r->client[reply->index];

	if (reply->type == OFFER && c->state == DISCOVERING) {
		ask(r, reply->index, reply);
		return;
	}
	if (c->state != REQUESTING || (reply->type != ACK && reply->type != NAK))
		return;
	if (reply->type == ACK)
		load_samples_add(&r->samples, c->begin_ns);
	else
		r->samples.failed++;
	c->state = DONE;
	r->outstanding--;
	r->ended++;
}

static void ask_again(struct run *r)
{
	uint64_t now_ns = load_now_ns(); /* not earlier than any question */

	for (unsigned i = 0; i < r->started; i++)
		if (r->client[i].state != DONE && now_ns - r->client[i].asked_ns > PATIENCE_NS)
			ask(r, i, NULL);
}

static void start_more(struct run *r, unsigned most)
{
	for (; r->outstanding < most && r->started < r->count; r->started++, r->outstanding++) {
		ask(r, r->started, NULL);
		r->client[r->started].begin_ns = r->client[r->started].asked_ns;
	}
}

int dhcp_run(char **argument)
{
	struct sockaddr_ll link = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex(argument[0])};
	struct run r = {.fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)),
		.first_xid = (uint32_t)(load_now_ns() / 1000) << 16,
		.count = (unsigned)atoi(argument[1])};
	uint64_t end_ns = load_deadline_ns(argument[3]), swept_ns = load_now_ns(), now_ns;
	uint8_t frame[FRAME];
	struct reply reply;
	ssize_t size;

	if (bind(r.fd, (struct sockaddr *)&link, sizeof(link)))
		load_die("bind");
	setsockopt(r.fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){4 << 20}, sizeof(int));
	r.client = load_alloc(r.count, sizeof(*r.client));
	load_samples_begin(&r.samples);
	while (r.ended < r.count && (now_ns = load_now_ns()) < end_ns) {
		struct pollfd ready = {r.fd, POLLIN, 0};

		start_more(&r, (unsigned)atoi(argument[2]));
		poll(&ready, 1, 10);
		while ((size = recv(r.fd, frame, sizeof(frame), MSG_DONTWAIT)) > 0)
			if (read_reply(&r, frame, (size_t)size, &reply))
				hear(&r, &reply);
		if (now_ns - swept_ns > SWEEP_NS) {
			swept_ns = now_ns;
			ask_again(&r);
		}
	}
	return load_samples_print(&r.samples);
}

/* Theory of operation: see declare.h. Descriptors follow from topology.def as the supervisor reads
 * it (supervisor/spawn.c): what is below the first changing range is there for life. */
#include <linux/capability.h>
#include <string.h>

#include "../lock.h"
#include "declare.h"

static const char *const names[] = {
#define ACTOR(ID, name) #name,
#include "topology.def"
	"supervisor",
};

static const struct range {
	enum actor_id actor;
	const char *name;
	int first, last;
} ranges[] = {
#define FD(ACTOR, NAME, FIRST, LAST) {ACTOR_##ACTOR, #NAME, FIRST, LAST},
#include "topology.def"
};

/* What a name of topology.def stands for, by how it begins. */
static const struct meaning {
	const char *begins;
	uint32_t kinds;
	bool changes; /* comes and goes */
} meanings[] = {
	{"CH_", 1 << FOUND_CHANNEL, false},
	{"BELL_", 1 << FOUND_EVENT, false},
	{"EPOLL", 1 << FOUND_EPOLL, false},
	{"PORT", 1 << FOUND_TAP | 1 << FOUND_PACKET | 1 << FOUND_STREAM | 1 << FOUND_DATAGRAM,
		true},
	{"SOCK",
		1 << FOUND_TCP | 1 << FOUND_UDP | 1 << FOUND_PING | 1 << FOUND_LOW_PORT |
			1 << FOUND_RAW_ECHO | 1 << FOUND_RAW_ESP,
		true},
	{"STRAY", 0, true},
};

const char *declare_name(unsigned int kind)
{
	return kind <= FOUND_SUPERVISOR ? names[kind] : NULL;
}

unsigned int declare_kind(const char *name)
{
	static const char prefix[] = "natlock-";
	unsigned int kind;

	if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
		name += sizeof(prefix) - 1;
	for (kind = 0; kind < ACTOR_COUNT; kind++) {
		size_t n = strlen(names[kind]);

		if (strncmp(name, names[kind], n) == 0 && (name[n] == '\0' || name[n] == '.'))
			return kind;
	}
	return FOUND_STRANGER;
}

static const struct meaning *meaning_of(const struct range *r)
{
	size_t i = 0;

	while (strncmp(r->name, meanings[i].begins, strlen(meanings[i].begins)) != 0)
		i++;
	return &meanings[i];
}

int declare_first_free(enum actor_id id)
{
	int first = LOCK_FDS;
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (ranges[i].actor == id && meaning_of(&ranges[i])->changes &&
			ranges[i].first < first)
			first = ranges[i].first;
	return first;
}

struct declare_fd declare_fd(enum actor_id id, int number)
{
	const struct declare_fd placeholder = {"placeholder", 1 << FOUND_NULL, true};
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		const struct range *r = &ranges[i];
		const struct meaning *m = meaning_of(r);
		/* A number for each shard that there may be: the first is always there. */
		bool perhaps = !m->changes && number > r->first;

		if (r->actor != id || number < r->first || number > r->last)
			continue;
		return (struct declare_fd){m->kinds ? r->name : NULL,
			m->kinds | (perhaps ? placeholder.kinds : 0), !m->changes};
	}
	return number < declare_first_free(id) ? placeholder : (struct declare_fd){NULL, 0, false};
}

/* "CH_SUPER": the supervisor, "BELL_OWN": itself, else an actor by its name in capitals. */
static int peer_named(enum actor_id self, const char *name)
{
	static const char *const ids[] = {
#define ACTOR(ID, name) #ID,
#include "topology.def"
	};
	int i;

	if (strcmp(name, "SUPER") == 0)
		return FOUND_SUPERVISOR;
	if (strcmp(name, "OWN") == 0)
		return (int)self;
	for (i = 0; i < ACTOR_COUNT; i++)
		if (strcmp(ids[i], name) == 0)
			return i;
	return -1;
}

int declare_peer(enum actor_id id, int number, bool *bell)
{
	static const char channel[] = "CH_", doorbell[] = "BELL_";
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		const struct range *r = &ranges[i];

		if (r->actor != id || number < r->first || number > r->last)
			continue;
		*bell = strncmp(r->name, doorbell, sizeof(doorbell) - 1) == 0;
		if (*bell)
			return peer_named(id, r->name + sizeof(doorbell) - 1);
		if (strncmp(r->name, channel, sizeof(channel) - 1) == 0)
			return peer_named(id, r->name + sizeof(channel) - 1);
	}
	return -1;
}

unsigned int declare_nofile(enum actor_id id)
{
	unsigned int highest = DECLARE_NOFILE;
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (ranges[i].actor == id && (unsigned int)ranges[i].last >= highest)
			highest = (unsigned int)ranges[i].last + 1;
	return highest;
}

bool declare_own_namespace(enum actor_id id, enum found_namespace ns)
{
	return ns != FOUND_NET || id != ACTOR_NATPROXY;
}

bool declare_shares_memory(enum actor_id id)
{
	return id == ACTOR_BROKER || id == ACTOR_NETSTACK || id == ACTOR_NATPROXY;
}

bool declare_is_echo_filter(const struct sock_filter filter[DECLARE_ECHO_FILTER])
{
	enum { FIRST = 5, IP_FIRST = 0x45, TYPE_AT = 20, IDENTIFIER_AT = 24, ECHO_REPLY = 0 };
	const uint32_t first = filter[FIRST].k, last = first + DECLARE_ECHO_IDENTIFIERS - 1;
	const struct sock_filter declared[DECLARE_ECHO_FILTER] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IP_FIRST, 0, 7),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TYPE_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ECHO_REPLY, 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, IDENTIFIER_AT),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 3),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return first % DECLARE_ECHO_IDENTIFIERS == 0 && last <= UINT16_MAX &&
	       memcmp(filter, declared, sizeof(declared)) == 0;
}

bool declare_is_esp_filter(const struct sock_filter filter[DECLARE_ESP_FILTER])
{
	enum { IP_FIRST = 0x45, SPI_AT = 20, SEQUENCE_AT = 24 };
	static const struct sock_filter declared[DECLARE_ESP_FILTER] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IP_FIRST, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SEQUENCE_AT),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SPI_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return memcmp(filter, declared, sizeof(declared)) == 0;
}

uint64_t declare_supervisor_capabilities(bool has_private)
{
	const uint64_t birth = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID;

	return has_private ? birth : birth | UINT64_C(1) << CAP_SETFCAP;
}

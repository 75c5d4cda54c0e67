/* Mapping what Boot brings: the right order, and nothing that could shrink, is too small, is
 * missing or too much. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot.h"

static struct actor a;
static Nl__ActorBoot boot;
static Nl__Hub hub;
static struct {
	int fd[BOOT_FDS_MAX + 1], count;
} came;

static int sealed(size_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, (off_t)bytes), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void add(size_t bytes)
{
	came.fd[came.count++] = sealed(bytes, F_SEAL_SHRINK | F_SEAL_GROW);
}

static void begin(enum actor_id id)
{
	static struct actor_ops ops;

	memset(&a, 0, sizeof(a));
	memset(&came, 0, sizeof(came));
	nl__actor_boot__init(&boot);
	nl__hub__init(&hub);
	boot.hub = &hub;
	ops.id = id;
	a.ops = &ops;
	boot_topology(&a, id);
}

static void add_for_broker(void)
{
	add(sizeof(struct ring_region));
	add(sizeof(struct ring_region));
	for (int i = 0; i < 3; i++)
		add(ARENA_BYTES);
}

Test(boot, edges_follow_the_topology)
{
	begin(ACTOR_NATPROXY);
	cr_assert_eq(a.edges, 3);
	cr_assert_eq(a.peer[1], ACTOR_NETSTACK);
	cr_assert_eq(a.peer[2], ACTOR_ALG);
	cr_assert(a.edge_is_ring[0]);
	cr_assert_not(a.edge_is_ring[1]);
	begin(ACTOR_ALG);
	cr_assert_eq(a.edges, 2);
	cr_assert_eq(a.peer[1], ACTOR_NATPROXY);
}

Test(boot, the_broker_gets_one_ring_and_three_arenas)
{
	uint32_t id;

	begin(ACTOR_BROKER);
	add_for_broker();
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), 0);
	cr_assert_eq(a.link_count, 1);
	cr_assert_eq(a.links[0]->to, ACTOR_NETSTACK);
	cr_assert_eq(a.links[0]->bell_fd, BROKER_BELL_NETSTACK);
	cr_assert_eq(a.arena.id, ARENA_BROKER);
	cr_assert_eq(a.view[0].base[ARENA_BROKER], a.arena.base);
	id = arena_take(&a.arena, BUF_LARGE, false);
	memset(arena_ptr(&a.arena, id), 1, ARENA_LARGE_BYTES);
	for (int i = 0; i < came.count; i++)
		cr_assert_eq(fcntl(came.fd[i], F_GETFD), -1, "all are closed");
}

Test(boot, the_broker_has_a_place_for_every_shard)
{
	begin(ACTOR_BROKER);
	cr_assert_eq(a.edges, 2 + SHARD_MAX);
	cr_assert_eq(a.peer[1], ACTOR_DHCPD);
	cr_assert_eq(a.edge_fd[1], BROKER_CH_DHCPD);
	for (int shard = 0; shard < SHARD_MAX; shard++) {
		int e = 2 + shard;

		cr_assert_eq(a.peer[e], ACTOR_NETSTACK);
		cr_assert_eq(a.edge_shard[e], shard);
		cr_assert_eq(a.edge_fd[e], BROKER_CH_NETSTACK_FIRST + shard);
		cr_assert_eq(a.bell_fd[e], BROKER_BELL_NETSTACK_FIRST + shard);
		cr_assert_eq(actor_has_edge(&a, e), shard == 0, "one, until Boot says more");
	}
}

/* What Boot brings to the broker of a hub with `shards`. */
static void begin_with_shards(unsigned int shards)
{
	begin(ACTOR_BROKER);
	a.shards = shards;
	for (unsigned int i = 0; i < 2 * shards; i++)
		add(sizeof(struct ring_region));
	for (unsigned int i = 0; i < 1 + 2 * shards; i++)
		add(ARENA_BYTES);
}

Test(boot, each_shard_has_a_ring_and_arenas_of_its_own)
{
	begin_with_shards(SHARD_MAX);
	cr_assert_eq(came.count, BOOT_FDS_MAX);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), 0);
	cr_assert_eq(a.link_count, SHARD_MAX);
	for (int i = 0; i < SHARD_MAX; i++) {
		cr_assert_eq(a.links[i], &a.link[1 + i]);
		cr_assert_eq(a.links[i]->bell_fd, BROKER_BELL_NETSTACK_FIRST + i);
		cr_assert_eq(a.view[i].base[ARENA_BROKER], a.arena.base);
		for (int k = 0; k < i; k++) {
			cr_assert_neq(
				a.view[i].base[ARENA_NETSTACK], a.view[k].base[ARENA_NETSTACK]);
			cr_assert_neq(
				a.view[i].base[ARENA_NATPROXY], a.view[k].base[ARENA_NATPROXY]);
			cr_assert_neq(a.links[i]->theirs, a.links[k]->theirs);
		}
	}
}

Test(boot, descriptors_for_as_many_shards_as_there_are)
{
	begin_with_shards(2);
	a.shards = 3;
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), -EPROTO);
	begin_with_shards(2);
	a.shards = 1;
	cr_assert_lt(boot_map(&a, &boot, came.fd, came.count), 0);
	for (int i = 0; i < came.count; i++)
		cr_assert_eq(fcntl(came.fd[i], F_GETFD), -1, "all are closed");
}

Test(boot, netstack_gets_two_rings_with_a_bell_each)
{
	begin(ACTOR_NETSTACK);
	for (int i = 0; i < 4; i++)
		add(sizeof(struct ring_region));
	for (int i = 0; i < 3; i++)
		add(ARENA_BYTES);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), 0);
	cr_assert_eq(a.link_count, 2);
	cr_assert_eq(a.link[0].bell_fd, NETSTACK_BELL_BROKER);
	cr_assert_eq(a.link[1].bell_fd, NETSTACK_BELL_NATPROXY);
	cr_assert_eq(a.link[1].arenas_in, 1u << ARENA_NATPROXY);
}

Test(boot, natproxies_read_each_others_ports)
{
	for (unsigned int shards = 1; shards <= 3; shards += 2) {
		begin(ACTOR_NATPROXY);
		a.shards = shards;
		add(sizeof(struct ring_region));
		add(sizeof(struct ring_region));
		for (int i = 0; i < 3; i++)
			add(ARENA_BYTES);
		for (unsigned int i = 0; shards > 1 && i < shards; i++)
			add(sizeof(struct portmap_region));
		cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), 0);
		cr_assert_eq(a.ports.mine != NULL, shards > 1);
		cr_assert_eq(a.ports.others, shards - 1);
		portmap_set(&a.ports, 7, true);
		cr_assert_not(portmap_has(&a.ports, 7), "its own is no other's");
	}
}

Test(boot, alg_and_dhcpd_map_nothing)
{
	begin(ACTOR_ALG);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), 0);
	cr_assert_null(a.arena.base);
	begin(ACTOR_DHCPD);
	add(ARENA_BYTES);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), -EPROTO, "and accept nothing");
}

Test(boot, missing_or_superfluous_descriptors)
{
	begin(ACTOR_BROKER);
	add_for_broker();
	came.count--;
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), -EPROTO);
	begin(ACTOR_BROKER);
	add_for_broker();
	add(4096);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), -EPROTO);
}

Test(boot, memory_that_could_shrink_or_is_too_small)
{
	begin(ACTOR_BROKER);
	came.fd[came.count++] = sealed(sizeof(struct ring_region), F_SEAL_GROW);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), -EINVAL);
	begin(ACTOR_BROKER);
	add(sizeof(struct ring_region) - 4096);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), -EINVAL);
	begin(ACTOR_BROKER);
	came.fd[came.count++] = open("/dev/zero", O_RDWR);
	cr_assert_neq(boot_map(&a, &boot, came.fd, came.count), 0, "no memfd at all");
}

Test(boot, a_read_only_descriptor_will_do_for_the_peers_region_only)
{
	char path[64];
	int rw = sealed(sizeof(struct ring_region), F_SEAL_SHRINK | F_SEAL_GROW), ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", rw);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	begin(ACTOR_BROKER);
	came.fd[came.count++] = dup(rw);
	came.fd[came.count++] = dup(ro);
	for (int i = 0; i < 3; i++)
		add(ARENA_BYTES);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), 0);
	begin(ACTOR_BROKER);
	came.fd[came.count++] = dup(ro);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), -EACCES);
}

static void boot_strict(enum actor_id id, int rings, int arenas, int expected)
{
	begin(id);
	hub.has_data_path = true;
	hub.data_path = NL__HUB__DATA_PATH__strict;
	for (int i = 0; i < 2 * rings; i++)
		add(sizeof(struct ring_region));
	for (int i = 0; i < arenas; i++)
		add(ARENA_BYTES);
	cr_assert_eq(boot_map(&a, &boot, came.fd, came.count), expected);
}

Test(boot, strict_maps_nothing_of_a_process_two_hops_away)
{
	boot_strict(ACTOR_BROKER, 1, 2, 0);
	cr_assert_null(a.view[0].base[ARENA_NATPROXY]);
	cr_assert_not_null(a.view[0].base[ARENA_NETSTACK]);
	cr_assert_eq(a.links[0]->arenas_in, 1u << ARENA_NETSTACK);
	boot_strict(ACTOR_NATPROXY, 1, 2, 0);
	cr_assert_null(a.view[0].base[ARENA_BROKER]);
	cr_assert_not_null(a.view[0].base[ARENA_NETSTACK]);
	cr_assert_eq(a.links[0]->arenas_in, 1u << ARENA_NETSTACK);
	boot_strict(ACTOR_NETSTACK, 2, 3, 0);
	cr_assert(a.view[0].base[ARENA_BROKER] && a.view[0].base[ARENA_NATPROXY]);
	boot_strict(ACTOR_BROKER, 1, 3, -EPROTO);
}

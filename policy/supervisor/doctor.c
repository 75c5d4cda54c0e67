/*
 * Theory of operation. Every line is tried, not looked up: a namespace is made, a filter is loaded,
 * a socket is opened, each in a child that ends at once, so that nothing stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "doctor.h"
#include "doctor_host.h"
#include "fence.h"
#include "files.h"
#include "identity.h"
#include "lack.h"
#include "places.h"
#include "plumb.h"
#include "spawn.h"

enum need { NEEDED, BETTER };

/* Runs a trial in a child with new namespaces; its exit status is an errno. */
static int try_in_child(uint64_t flags, int (*trial)(void))
{
	int pidfd = -1;
	pid_t pid = spawn_clone(flags, &pidfd);

	if (pid == 0)
		_exit(trial());
	return pid < 0 ? errno : spawn_wait(pidfd);
}

static int nothing(void)
{
	return 0;
}

static int make_filter(void)
{
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {1, allow};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? errno : 0;
}

static int make_packet_socket(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : 0;
}

static int make_ping_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	return fd < 0 ? errno : 0;
}

/* In a user namespace of its own a process has no privilege over the host's network. */
static int bind_to_device(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0 ? errno : 0;
}

static struct finding look_namespaces(void)
{
	return finding_of(try_in_child(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET |
					       CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
				  nothing),
		"sysctl -w user.max_user_namespaces=10000; on Ubuntu also "
		"kernel.apparmor_restrict_unprivileged_userns=0");
}

static struct finding look_seccomp(void)
{
	return finding_of(try_in_child(0, make_filter), "use a kernel with CONFIG_SECCOMP_FILTER");
}

static struct finding look_landlock(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct finding f = finding_of(abi > 0 ? 0 : errno,
		"boot with landlock in lsm=; workers run without it meanwhile");
	char lacking[LACK_TEXT];

	if (abi <= 0)
		return f;
	f.ok = abi >= LACK_LANDLOCK_SCOPES;
	snprintf(f.detail, sizeof(f.detail), "version %ld", abi);
	snprintf(f.fix, sizeof(f.fix), "%.199s", lack_landlock((unsigned int)abi, lacking));
	return f;
}

static struct finding look_sealing(void)
{
	int fd = memfd_create("natlock", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error = fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return finding_of(error, "use Linux 5.10 or newer");
}

static struct finding look_tun(void)
{
	struct finding f = finding_of(
		0, "not needed: veth is used instead. To allow it: chmod 0666 /dev/net/tun");

	f.ok = plumb_tun_usable(f.detail, sizeof(f.detail));
	return f;
}

static struct finding look_veth(void)
{
	return finding_of(try_in_child(CLONE_NEWUSER | CLONE_NEWNET, make_packet_socket),
		"load the module af_packet");
}

static int make_raw_icmp_socket(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

	return fd < 0 ? errno : 0;
}

/* What the groups of whoever asks may have is not what workers of a natlock by root will. */
static struct finding look_ping(void)
{
	struct finding f = doctor_ping(try_in_child(0, make_ping_socket));

	if (try_in_child(0, make_raw_icmp_socket) != 0)
		return f;
	f.ok = true;
	snprintf(f.detail, sizeof(f.detail),
		"by a raw ICMP socket of root's where net.ipv4.ping_group_range gives none");
	return f;
}

static int make_esp_socket(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ESP);

	return fd < 0 ? errno : 0;
}

static struct finding look_esp(void)
{
	struct finding f = finding_of(try_in_child(0, make_esp_socket),
		"start natlock as root with CAP_NET_RAW; IPsec in UDP (NAT traversal) needs "
		"nothing");

	if (f.ok)
		snprintf(f.detail, sizeof(f.detail),
			"a raw socket is opened at the start, before root's rights go");
	return f;
}

static struct finding look_uids(void)
{
	struct places places;
	struct identity id;
	struct trouble t;
	struct finding f = finding_of(0, "usermod --add-subuids 100000-165535 --add-subgids "
					 "100000-165535 YOU, and install uidmap");

	places_find(&places);
	if (places_make_runtime(&places, geteuid(), getegid(), &t) < 0 ||
		identity_choose(&id, NULL, &places, &t) < 0) {
		trouble_text(&t, f.detail, sizeof(f.detail));
		f.ok = false;
		return f;
	}
	f.ok = id.has_private;
	if (id.has_private)
		snprintf(f.detail, sizeof(f.detail), "%u..%u", id.private_uid,
			id.private_uid + IDENTITY_PRIVATE - 1);
	else if (id.uid == 0)
		snprintf(f.detail, sizeof(f.detail),
			"this user namespace has too few: natlock and its workers stay its uid 0");
	else
		snprintf(f.detail, sizeof(f.detail),
			"/etc/subuid and /etc/subgid grant none; workers share your uid");
	if (!id.has_private && id.uid == 0)
		snprintf(f.fix, sizeof(f.fix), "give this user namespace 65536 uids and gids");
	if (id.slot_fd >= 0)
		close(id.slot_fd);
	return f;
}

/* For a uid that nobody has; the table goes with its descriptor. */
static int try_fence(void)
{
	struct fence_plan plan = {.first_uid = UINT32_MAX - 1, .last_uid = UINT32_MAX - 1};
	int fd;

	snprintf(plan.table, sizeof(plan.table), "natlock-doctor-%d", getpid());
	fd = fence_open(&plan);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static struct finding look_fence(void)
{
	struct places places;
	struct identity id;
	struct trouble t;
	struct finding f;
	int error = 0;

	places_find(&places);
	if (identity_choose(&id, NULL, &places, &t) == 0) {
		error = fence_possible(&id);
		if (id.slot_fd >= 0)
			close(id.slot_fd);
	}
	if (error == 0)
		error = try_fence();
	f = finding_of(-error, fence_advice(error));
	if (error)
		snprintf(f.detail, sizeof(f.detail), "%s; its filter and its own checks remain",
			fence_error(error));
	return f;
}

static struct finding look_binaries(void)
{
	struct spawn_binaries binaries;
	struct trouble t;
	struct finding f = finding_of(0, "reinstall natlock");

	f.ok = spawn_open_binaries(&binaries, geteuid() == 0, &t) == 0;
	if (!f.ok)
		trouble_text(&t, f.detail, sizeof(f.detail));
	return f;
}

static struct finding look_bind_to_device(void)
{
	return finding_of(try_in_child(CLONE_NEWUSER, bind_to_device),
		"use Linux 5.7 or newer: nat.vrf and other devices need it");
}

struct line {
	const char *what;
	struct finding (*look)(void);
	enum need need;
};
static const struct line lines[] = {
	{"namespaces", look_namespaces, NEEDED},
	{"seccomp filters", look_seccomp, NEEDED},
	{"memory sealing", look_sealing, NEEDED},
	{"worker files", look_binaries, NEEDED},
	{"veth and packet sockets", look_veth, NEEDED},
	{"Landlock", look_landlock, BETTER},
	{"a uid for each worker", look_uids, BETTER},
	{"a fence around natproxy", look_fence, BETTER},
	{"attach tap:, auto", look_tun, BETTER},
	{"attach pid:, netns:, veth:", look_veth, BETTER},
	{"attach bridge:", doctor_bridge, BETTER},
	{"attach qemu:", doctor_qemu, BETTER},
	{"real ping", look_ping, BETTER},
	{"ESP (alg.ipsec.esp)", look_esp, BETTER},
	{"sockets bound to devices", look_bind_to_device, BETTER},
	{"ports below 1024", doctor_low_ports, BETTER},
	{"resolvers", doctor_resolvers, BETTER},
	{"192.168.30.0/24 is free", doctor_subnet, BETTER},
	{"leases are kept", doctor_state, BETTER},
	{"security log", doctor_log, BETTER},
	{"journal", doctor_journal, BETTER},
	{"syslog", doctor_syslog, BETTER},
};

int doctor(void)
{
	int result = 0;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct finding f = lines[i].look();

		printf("%-27s %-4s %s\n", lines[i].what, f.ok ? "OK" : "no", f.detail);
		if (!f.ok)
			printf("%-27s      %s\n", "", f.fix);
		if (!f.ok && lines[i].need == NEEDED)
			result = 1;
	}
	return result;
}

/*
 * Theory of operation: the order of birth.
 *
 *   run                                            up
 *   configuration from the options                 configuration from the file
 *   signals to a descriptor                        the same
 *   runtime folder; who we shall be                the same; folders for leases and logs
 *   the guest's namespaces, its keeper waits       ports: attach words
 *   its interface (plumb): the port's descriptor
 *   workers' files, operator's sockets             the same
 *   the fence around natproxy, as root             the same
 *   published ports below 1024, raw ICMP (grant)   the same
 *   ───────────── our own user namespace: from here on nothing of the caller's privileges is left
 * ───────────── supervisor_main
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "configure.h"
#include "fence.h"
#include "files.h"
#include "hostmac.h"
#include "leftover.h"
#include "plumb.h"
#include "start.h"
#include "supervisor.h"

static struct supervisor natlock;

/* All that a person or a program may send to stop or steer us; the old mask is for the program of
 * `run`. */
static int open_signals(struct supervisor *s, sigset_t *before, struct trouble *t)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
	sigset_t ours;
	size_t i;

	sigemptyset(&ours);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&ours, numbers[i]);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a journal at its limit is an error to be told, not the end */
	sigprocmask(SIG_BLOCK, &ours, before);
	s->signal_fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	tzset();
	return s->signal_fd < 0 ? trouble(t, EXIT_FAILED, "E0308", "cannot watch signals") : 0;
}

int start_add_hub(struct supervisor *s, const Nl__Hub *asked, struct trouble *t)
{
	struct hub *hub = &s->hub[s->hubs];
	const struct hub *before = s->hubs ? hub - 1 : NULL;

	*hub = (struct hub){.super = s,
		.index = s->hubs,
		.shards = conf_shards(asked->shards, conf_processors()),
		.first_worker = before ? before->first_worker + before->workers : 0};
	hub->mac_kept = hostmac_find(s->places.state, asked->name, hub->mac) || s->is_run;
	hub->conf = change_in_force(asked, hub->mac);
	if (!hub->conf)
		return trouble(t, EXIT_FAILED, "E0520", "no memory for hub %s", asked->name);
	if (getrandom(&hub->shard_key, sizeof(hub->shard_key), 0) != sizeof(hub->shard_key))
		abort();
	hub_crew(hub);
	s->hubs++;
	return 0;
}

static int add_hubs(struct supervisor *s, const char *only, struct trouble *t)
{
	size_t i;

	s->only = only;
	for (i = 0; i < s->config->n_hubs && s->hubs < SUPERVISOR_HUBS; i++) {
		const Nl__Hub *asked = s->config->hubs[i];

		if (!(only && strcmp(only, asked->name) != 0) && start_add_hub(s, asked, t) < 0)
			return -1;
	}
	if (s->hubs > 0)
		return 0;
	trouble(t, EXIT_CONFIG, "E0202", "no hub %s in the configuration", only ? only : "at all");
	return trouble_fix(t, "See: natlock check");
}

/* A subnet that the host already reaches another way would be lost to the guests, or to the host.
 */
int start_check_overlap(struct supervisor *s, const Nl__Hub *conf, struct trouble *t)
{
	uint8_t prefix = (uint8_t)__builtin_popcount(conf->host->netmask->be);
	uint32_t ip_be = conf->host->address->be, other;
	const struct hostnet_route *r;
	char net[INET_ADDRSTRLEN], theirs[INET_ADDRSTRLEN], instead[INET_ADDRSTRLEN];

	hostnet_read(&s->hostnet);
	r = hostnet_overlap(&s->hostnet, ip_be, prefix);
	if (!r)
		return 0;
	ip_be &= conf->host->netmask->be;
	other = hostnet_free_gateway(&s->hostnet);
	inet_ntop(AF_INET, &other, instead, sizeof(instead));
	trouble(t, s->is_run ? EXIT_GATEWAY : EXIT_CONFIG, "E0203",
		"subnet %s/%u overlaps the host's route %s/%u dev %s",
		inet_ntop(AF_INET, &ip_be, net, sizeof(net)), prefix,
		inet_ntop(AF_INET, &r->to.ip_be, theirs, sizeof(theirs)), r->to.prefix, r->device);
	if (s->is_run && other) {
		other &= htonl(0xffffff00);
		return trouble_fix(t, "Use --subnet %s/24.",
			inet_ntop(AF_INET, &other, instead, sizeof(instead)));
	}
	return trouble_fix(t, "Choose host.address, e.g. %s.", instead);
}

/* Folders and names, while we may still make and give them. */
static int settle_identity(struct supervisor *s, const char *user, struct trouble *t)
{
	places_find(&s->places);
	if (places_make_runtime(&s->places, geteuid(), getegid(), t) < 0 ||
		identity_choose(&s->identity, user, &s->places, t) < 0)
		return -1;
	leftover_clear(s->places.runtime, s->identity.uid);
	return s->identity.privileged
		       ? places_make_runtime(&s->places, s->identity.uid, s->identity.gid, t)
		       : 0;
}

static int make_record_folders(struct supervisor *s, struct trouble *t)
{
	const char *folder[] = {s->places.state, s->places.log};
	size_t i;

	for (i = 0; i < 2 && s->identity.privileged; i++) {
		int error = places_make(folder[i], 0750, s->identity.uid, s->identity.gid);

		if (error == 0)
			continue;
		trouble(t, EXIT_FAILED, "E0302", "cannot use the folder %s", folder[i]);
		return trouble_cause(t, "%s", strerror(-error));
	}
	return 0;
}

/* Which group may read: api.group, as root, when there is such a group. */
static int64_t readers(const struct supervisor *s)
{
	const struct group *group = s->identity.privileged ? getgrnam(s->config->api->group) : NULL;

	return group ? (int64_t)group->gr_gid : -1;
}

static int open_operator(struct supervisor *s, struct trouble *t)
{
	const char *named = s->config->api->socket;
	char path[OPERATOR_PATH];

	if (s->is_run)
		snprintf(path, sizeof(path), "%s/run-%d", s->places.runtime, getpid());
	else
		snprintf(path, sizeof(path), "%s%s",
			strcmp(named, "auto") == 0 ? s->places.runtime : named,
			strcmp(named, "auto") == 0 ? "/api" : "");
	if (operator_open(&s->op, path, readers(s), t) < 0)
		return -1;
	if (s->identity.privileged)
		operator_give(&s->op, s->identity.uid, readers(s));
	return 0;
}

/*
 * Whatever the caller left open may be root's: a file, a socket. Ours are all closed by an exec, what
 * came through one is not. The program of `run` has its copies by now, a port named fd:N too.
 */
static int close_inherited(struct trouble *t)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (!folder) {
		trouble(t, EXIT_FAILED, "E0312", "cannot see which descriptors are open");
		return trouble_cause(t, "/proc/self/fd: %s", strerror(errno));
	}
	while ((entry = readdir(folder))) {
		int fd = atoi(entry->d_name), flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;

		if (flags >= 0 && !(flags & FD_CLOEXEC))
			close(fd);
	}
	closedir(folder);
	return 0;
}

static int enter_and_serve(struct supervisor *s, struct trouble *t)
{
	/* The fence first: it may settle for other uids, to which the others' sockets are given. */
	if (close_inherited(t) < 0 || fence_raise(s, t) < 0)
		return -1;
	grant_open(s);
	grant_echo_open(s);
	grant_ipsec_open(s);
	grant_reserved_open(s);
	if (identity_enter(&s->identity, t) < 0)
		return -1;
	return supervisor_main(s, t);
}

/*
 * The file that the keeper binds over the guest's /etc/resolv.conf. It lives as long as we do: over
 * a file without a name a natlock inside of the guest could bind nothing.
 */
static int make_resolv_conf(struct supervisor *s)
{
	char text[64], ip[INET_ADDRSTRLEN];
	int fd, error;

	snprintf(s->resolv_conf, sizeof(s->resolv_conf), "%s/resolv-%d", s->places.runtime,
		getpid());
	snprintf(text, sizeof(text), "nameserver %s\n",
		inet_ntop(AF_INET, &s->hub[0].conf->host->address->be, ip, sizeof(ip)));
	fd = open(s->resolv_conf, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	error = files_write_all(fd, text, strlen(text));
	if (error == 0 && fchmod(fd, 0644) < 0)
		error = -errno;
	close(fd);
	return error;
}

static int open_guest(
	struct supervisor *s, const struct options *o, const sigset_t *signals, struct trouble *t)
{
	int made = make_resolv_conf(s);
	const struct guest_order order = {
		.argv = o->program,
		.signals = signals,
		.ready_fd = o->ready_fd,
		.resolv_conf = made == 0 ? s->resolv_conf : NULL,
	};

	return guest_open(&s->guest, &order, t);
}

static int plumb_guest(
	struct supervisor *s, const uint8_t mac[6], struct port_offer *offer, struct trouble *t)
{
	const Nl__Hub *conf = s->hub[0].conf;
	struct plumb_order order = {
		.user_ns = s->guest.user_ns,
		.net_ns = s->guest.net_ns,
		.interface = "eth0",
		.mtu = conf->nat->mtu,
		.tap_in_place = true,
		.configure = true,
		.address_be = conf->dhcp->range->from->be,
		.gateway_be = conf->host->address->be,
		.prefix = (uint8_t)__builtin_popcount(conf->host->netmask->be),
	};
	char why[128];
	int r;

	memcpy(order.mac, mac, sizeof(order.mac));
	*offer = (struct port_offer){.fd = -1};
	snprintf(offer->name, sizeof(offer->name), "run-%d", s->guest.pid);
	r = plumb(&order, offer, why, sizeof(why), t);
	guest_close_namespaces(&s->guest);
	if (r == 0 && why[0])
		supervisor_note(s, "cannot open /dev/net/tun: %s. Using veth instead.", why);
	return r;
}

/* As far as the last step that needs the caller; a failure is 125, whatever it was. */
static int run(struct supervisor *s, const struct options *o, struct trouble *t)
{
	uint8_t mac[6] = {0x02};
	struct port_offer offer;
	Nl__Config *config;
	sigset_t before;
	int r = -1;

	if (getrandom(mac + 1, sizeof(mac) - 1, 0) != sizeof(mac) - 1)
		abort();
	config = start_run_config(o, mac, t);
	if (!config || configure_take(s, config, t) < 0 || open_signals(s, &before, t) < 0 || add_hubs(s, NULL, t) < 0 ||
		settle_identity(s, NULL, t) < 0 || start_check_overlap(s, s->hub[0].conf, t) < 0 ||
		spawn_open_binaries(&s->binaries, s->identity.privileged, t) < 0)
		return -1;
	if (open_guest(s, o, &before, t) == 0 && plumb_guest(s, mac, &offer, t) == 0 &&
		open_operator(s, t) == 0 && supervisor_prepare(s, t) == 0 &&
		port_add(&s->hub[0], &offer, t) >= 0)
		r = enter_and_serve(s, t);
	if (r < 0) {
		guest_end(&s->guest);
		operator_close(&s->op);
	}
	unlink(s->resolv_conf);
	return r;
}

int start_run(const struct options *o)
{
	struct supervisor *s = &natlock;
	struct trouble t;
	int r;

	s->is_run = true;
	s->ready_fd = o->ready_fd;
	s->guest = (struct guest){.pidfd = -1, .order_fd = -1, .user_ns = -1, .net_ns = -1};
	if (o->ready_fd >= 0 && fcntl(o->ready_fd, F_SETFD, FD_CLOEXEC) < 0) {
		say("--ready-fd %d: %s", o->ready_fd, strerror(errno));
		return EXIT_GATEWAY;
	}
	r = run(s, o, &t);
	if (r >= 0)
		return r;
	trouble_say(&t);
	return EXIT_GATEWAY;
}

static int attach_all(struct supervisor *s, struct hub *hub, struct trouble *t)
{
	size_t i;

	for (i = 0; i < hub->conf->n_attach; i++) {
		struct port_offer offer;
		int r = attach_open(
			hub->conf->attach[i], hub->conf->name, hub->conf->nat->mtu, &offer, t);

		if (r < 0 || (r == 0 && port_add(hub, &offer, t) < 0))
			return -1;
		if (r == ATTACH_NOTHING)
			supervisor_note(s,
				"hub %s: no port yet (%s: %s). Add one: natlock attach pid:N",
				hub->conf->name, t->message, t->cause);
	}
	return 0;
}

/* The caller waits until the hubs are up, then the child goes on alone. */
static int daemonize(struct supervisor *s, struct trouble *t)
{
	int ready[2];
	char line;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return trouble(t, EXIT_FAILED, "E0309", "cannot go to the background");
	if (pid > 0) {
		close(ready[1]);
		_exit(read(ready[0], &line, 1) == 1 ? EXIT_OK : EXIT_FAILED);
	}
	close(ready[0]);
	s->ready_fd = ready[1];
	return setsid() < 0 ? trouble(t, EXIT_FAILED, "E0309", "cannot leave the terminal") : 0;
}

static int load(struct supervisor *s, const struct options *o, struct trouble *t)
{
	places_find(&s->places);
	saved_path(s->saved, s->places.state);
	s->config_named = o->config != NULL;
	s->config_path = o->config;
	if (!o->config && conf_find(s->config_found, sizeof(s->config_found)))
		s->config_path = s->config_found;
	if (configure_load(s, s->config_path, t) < 0)
		return -1;
	return add_hubs(s, o->hub, t);
}

static int up(struct supervisor *s, const struct options *o, struct trouble *t)
{
	sigset_t before;
	unsigned int i;

	if (load(s, o, t) < 0 || (o->daemon && daemonize(s, t) < 0) ||
		open_signals(s, &before, t) < 0 || settle_identity(s, o->user, t) < 0 ||
		make_record_folders(s, t) < 0 || open_operator(s, t) < 0 ||
		spawn_open_binaries(&s->binaries, s->identity.privileged, t) < 0 ||
		supervisor_prepare(s, t) < 0)
		return -1;
	for (i = 0; i < s->hubs; i++)
		if (start_check_overlap(s, s->hub[i].conf, t) < 0 || attach_all(s, &s->hub[i], t) < 0)
			return -1;
	return enter_and_serve(s, t);
}

int start_up(const struct options *o)
{
	struct supervisor *s = &natlock;
	struct trouble t;
	int r;

	s->ready_fd = -1;
	s->op.door[0].fd = s->op.door[1].fd = -1;
	r = up(s, o, &t);
	if (r >= 0)
		return r;
	operator_close(&s->op);
	return trouble_say(&t);
}

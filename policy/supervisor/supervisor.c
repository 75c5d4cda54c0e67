/*
 * Theory of operation. By the time the loop runs, nothing here needs privilege: ports are open,
 * files are chosen, the namespace is entered. What remains is to start workers, pass messages on
 * and answer questions.
 *
 *   start ─▶ crews booting ─▶ all born: the filter goes on, the program of `run` begins ─▶ … ─▶
 * drain ─▶ end
 *
 * The supervisor keeps capabilities in its own namespace only as far as new workers need: their uid
 * maps.
 */
#include <cap-ng.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/filter.h>

#include "../filters.h"
#include "configure.h"
#include "crew.h"
#include "files.h"
#include "hostmac.h"
#include "hublog.h"
#include "lack.h"
#include "names.h"
#include "port.h"
#include "start.h"
#include "supervisor.h"
#include "tell.h"
#include "watch.h"

static const double settle_seconds = 0.3;

uint64_t supervisor_wall_ms(const struct supervisor *s)
{
	return (uint64_t)(ev_now(s->loop) * 1000.0);
}

static uint64_t read_clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t supervisor_wall_clock_ms(void)
{
	return read_clock_ms(CLOCK_REALTIME);
}

uint64_t supervisor_boot_clock_ms(void)
{
	return read_clock_ms(CLOCK_BOOTTIME);
}

/* A worker in a stranger's hands may have much to say. */
static bool too_many_notes(struct supervisor *s)
{
	time_t minute = time(NULL) / 60;

	if (minute != s->note_minute)
		s->notes_this_minute = 0;
	s->note_minute = minute;
	return ++s->notes_this_minute > SUPERVISOR_NOTES_A_MINUTE;
}

bool supervisor_note(struct supervisor *s, const char *fmt, ...)
{
	char text[SUPERVISOR_NOTE];
	unsigned int i;
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) >= (int)sizeof(text))
		strcpy(text + sizeof(text) - sizeof("..."), "...");
	va_end(ap);
	seclog_clean(text);
	for (i = 0; i < s->notes; i++)
		if (strcmp(s->note[i], text) == 0)
			return false;
	if (too_many_notes(s))
		return false;
	if (!s->is_run)
		say("%s", text);
	if (s->notes == SUPERVISOR_NOTES)
		memmove(s->note[0], s->note[1], sizeof(s->note[0]) * --s->notes);
	snprintf(s->note[s->notes++], SUPERVISOR_NOTE, "%s", text);
	return true;
}

void supervisor_forget(struct supervisor *s, const char *beginning)
{
	unsigned int i, kept = 0;

	for (i = 0; i < s->notes; i++)
		if (strncmp(s->note[i], beginning, strlen(beginning)) != 0)
			memmove(s->note[kept++], s->note[i], SUPERVISOR_NOTE);
	s->notes = kept;
}

/*
 * `natlock run` leaves the terminal to its program; but a port that cannot be published, say, was asked for by
 * whoever sits there, and is noted right after Start.
 */
void supervisor_note_of(struct worker *w, const char *text)
{
	struct supervisor *s = w->hub->super;

	if (supervisor_note(s, "%s: %s", w->name, text) && s->is_run && w->restarts == 0 &&
		ev_time() - w->started < SUPERVISOR_START_SECONDS)
		say("%s", s->note[s->notes - 1]);
}

struct hub *supervisor_hub(struct supervisor *s, const char *name)
{
	unsigned int i;

	for (i = 0; i < s->hubs; i++)
		if (!name || !name[0] || strcmp(s->hub[i].conf->name, name) == 0)
			return &s->hub[i];
	return NULL;
}

/* Seed 3.7.4, ICMP: which way echo requests go. */
static const char *ping_mode(const struct hub *hub)
{
	if (hub->conf->nat->icmp == NL__NAT__ICMP__dummy)
		return "pings are answered by the gateway itself (nat.icmp: dummy)";
	return hub->echo_allowed ? "pings are forwarded (nat.icmp: echo)"
				 : "pings stop at the gateway";
}

/* And how to have it otherwise, where the kernel decides against the configuration. */
void supervisor_note_icmp(struct hub *hub)
{
	struct supervisor *s = hub->super;

	if (!hub->conf->nat->enable || hub->conf->nat->icmp != NL__NAT__ICMP__echo ||
		hub->echo_allowed)
		return;
	supervisor_note(s, "%s: net.ipv4.ping_group_range is %s", ping_mode(hub), s->ping_range);
	supervisor_note(s,
		"to forward pings: sysctl -w net.ipv4.ping_group_range='0 2147483647', or %s; "
		"or let the gateway answer: nat.icmp: dummy",
		s->identity.privileged ? "restart natlock with nat.icmp: echo and CAP_NET_RAW"
				       : "start natlock as root");
}

/* The filter that all later children inherit too, so it knows their locks as well. */
static void lock_self(struct supervisor *s)
{
	const struct policy_filter *filter = policy_filter_find("supervisor");
	struct sock_fprog program;

	if (s->locked)
		return;
	s->locked = true;
	if (!filter) {
		supervisor_note(s, "the supervisor runs without its filter: this build has none");
		return;
	}
	program.len = (unsigned short)filter->count;
	program.filter = (struct sock_filter *)(uintptr_t)filter->insns;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		supervisor_note(s, "the supervisor runs without its filter: %s", strerror(errno));
}

static void tell_ready(struct supervisor *s)
{
	if (s->ready_fd < 0)
		return;
	(void)!write(s->ready_fd, "ready\n", 6);
	close(s->ready_fd);
	s->ready_fd = -1;
}

/* Hubs may differ in what becomes of pings; those without NAT have none to speak of. */
static void say_up(const struct supervisor *s)
{
	const char *mode = NULL;
	bool differ = false;
	unsigned int i;

	for (i = 0; i < s->hubs; i++) {
		const char *its = s->hub[i].conf->nat->enable ? ping_mode(&s->hub[i]) : NULL;

		differ |= mode && its && mode != its;
		mode = its ? its : mode;
	}
	say("%u hub%s up%s%s. Ask with: natlockctl status", s->hubs, s->hubs == 1 ? " is" : "s are",
		mode && !differ ? "; " : "", mode && !differ ? mode : "");
	for (i = 0; i < s->hubs && differ; i++)
		if (s->hub[i].conf->nat->enable)
			say("hub %s: %s", s->hub[i].conf->name, ping_mode(&s->hub[i]));
}

void supervisor_hub_born(struct hub *hub)
{
	struct supervisor *s = hub->super;
	unsigned int i;

	if (hub->conf->enable)
		hublog_started(hub);
	supervisor_note_icmp(hub);
	grant_ipsec_note(hub);
	for (i = 0; i < s->hubs; i++)
		if (!s->hub[i].born)
			return;
	if (!s->locked)
		lack_note(s);
	lock_self(s);
	tell_ready(s);
	if (s->is_run)
		guest_begin(&s->guest);
	else
		say_up(s);
}

void supervisor_hub_failed(struct hub *hub, const struct trouble *t)
{
	struct supervisor *s = hub->super;
	char line[1024];

	if (s->locked) { /* a hub that was added later: the others go on */
		supervisor_note(s, "hub %s: %s", hub->conf->name,
			trouble_text(t, line, sizeof(line)));
		crew_drain(hub);
		return;
	}
	if (!s->draining)
		trouble_say(t);
	supervisor_drain(s, s->is_run ? EXIT_GATEWAY : EXIT_FAILED);
}

void supervisor_hub_gone(struct hub *hub)
{
	struct supervisor *s = hub->super;
	unsigned int i;

	for (i = 0; i < s->hubs; i++)
		if (watch_alive(&s->hub[i]))
			return;
	ev_break(s->loop, EVBREAK_ALL);
	s->gone = true;
}

void supervisor_drain(struct supervisor *s, int exit_code)
{
	unsigned int i;

	if (s->draining)
		return;
	s->draining = true;
	s->exit_code = exit_code;
	for (i = 0; i < s->hubs; i++)
		crew_drain(&s->hub[i]);
}

void supervisor_shutdown(struct supervisor *s)
{
	if (s->is_run)
		guest_signal(&s->guest, SIGTERM);
	else
		supervisor_drain(s, EXIT_OK);
}

static void on_guest_end(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct supervisor *s = io->data;

	ev_io_stop(loop, io);
	supervisor_drain(s, guest_status(&s->guest));
}

/* The terminal signals the whole foreground group: those reach the program without us. */
static void on_signal(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct supervisor *s = io->data;
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (s->is_run && !s->draining) {
		if (info.ssi_code != SI_KERNEL)
			guest_signal(&s->guest, (int)info.ssi_signo);
		return;
	}
	if (info.ssi_signo == SIGHUP)
		s->reload_due = true;
	if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT || info.ssi_signo == SIGQUIT)
		supervisor_drain(s, EXIT_OK);
}

/* Changes come in bursts; but whoever changes something all the time must not put us off for ever. */
static void settle(struct supervisor *s)
{
	if (!ev_is_active(&s->settle))
		ev_timer_again(s->loop, &s->settle);
}

static void on_host_change(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct supervisor *s = io->data;

	hostnet_heard(&s->hostnet);
	settle(s);
}

static void on_resolv_change(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct supervisor *s = io->data;

	resolvers_heard(&s->resolvers);
	settle(s);
}

static void note_resolvers(struct supervisor *s)
{
	if (s->resolvers.count > 0)
		supervisor_forget(s, "no DNS upstream");
	else
		supervisor_note(s, "no DNS upstream: resolv.conf has no usable nameserver. Guests' "
				   "DNS gets SERVFAIL until one appears (watching).");
}

static void on_settled(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct supervisor *s = timer->data;
	char domain[RESOLVERS_DOMAIN];
	bool host, resolvers;
	unsigned int i;

	ev_timer_stop(loop, timer);
	memcpy(domain, s->resolvers.domain, sizeof(domain));
	host = hostnet_read(&s->hostnet);
	resolvers = resolvers_read(&s->resolvers);
	for (i = 0; i < s->hubs; i++) {
		if (host)
			tell_host_network(&s->hub[i]);
		if (!resolvers)
			continue;
		tell_resolvers(&s->hub[i]);
		if (strcmp(domain, s->resolvers.domain) != 0)
			configure_domain(&s->hub[i]);
	}
	if (resolvers)
		note_resolvers(s);
}

static void on_prepare(struct ev_loop *loop, struct ev_prepare *prepare, int events)
{
	struct supervisor *s = prepare->data;
	char text[CONFIGURE_TEXT];
	struct trouble t;
	unsigned int i;

	if (s->reload_due && s->locked && !s->draining) {
		s->reload_due = false;
		configure_reload(s, text, &t);
	}
	for (i = 0; i < s->hubs; i++) {
		crew_sync(&s->hub[i]);
		watch_deaf(&s->hub[i]);
		crew_flush(&s->hub[i]);
	}
}

static void watch_fd(struct supervisor *s, struct ev_io *io, int fd,
	void (*on)(struct ev_loop *, struct ev_io *, int))
{
	if (fd < 0)
		return;
	ev_io_init(io, on, fd, EV_READ);
	io->data = s;
	ev_io_start(s->loop, io);
}

static void watch_host(struct supervisor *s)
{
	watch_fd(s, &s->host_io, hostnet_open(&s->hostnet), on_host_change);
	watch_fd(s, &s->resolv_io, resolvers_open(&s->resolvers), on_resolv_change);
	ev_init(&s->settle, on_settled);
	s->settle.repeat = settle_seconds;
	s->settle.data = s;
	hostnet_read(&s->hostnet);
	resolvers_read(&s->resolvers);
	note_resolvers(s);
}

int supervisor_open_store(struct hub *hub)
{
	struct supervisor *s = hub->super;
	const bool persist = hub->conf->dhcp->persist && !s->is_run;
	struct store before;
	int error;
	size_t i;

	crew_sync(hub);
	before = hub->store;
	error = store_open(&hub->store, persist ? s->places.state : NULL, hub->conf->name);
	for (i = 0; i < before.leases; i++) {
		Nl__Lease lease;

		tell_lease(&before.lease[i], &lease);
		store_commit(&hub->store, &lease);
	}
	store_close(&before);
	if (error)
		supervisor_note(s, "leases cannot be stored in %s: %s. %s. Until then nobody gets one",
			hub->store.path, strerror(-error), store_advice(error));
	return error;
}

/* What somebody has to do something about, other than a disk that is full. */
static bool is_forbidden(int error)
{
	return error == -EACCES || error == -EPERM || error == -ENOTDIR || error == -EROFS ||
	       error == -ELOOP;
}

/* Without a place for its leases a hub would give none: better not to start at all. */
static int open_records(struct supervisor *s, struct hub *hub, struct trouble *t)
{
	int error;

	hublog_open(hub);
	hub->store.fd = -1;
	error = hub->mac_kept ? 0 : hostmac_keep(s->places.state, hub->conf->name, hub->mac);
	if (error)
		supervisor_note(s,
			"hub %s: its MAC address is another one after a restart: %s: %s",
			hub->conf->name, s->places.state, strerror(-error));
	error = supervisor_open_store(hub);
	names_build(hub);
	if (!is_forbidden(error))
		return 0;
	trouble(t, EXIT_FAILED, "E0310", "leases cannot be stored in %s", hub->store.path);
	trouble_cause(t, "%s", strerror(-error));
	return trouble_fix(t,
		"natlock runs as %s, who must be able to enter and write that folder; or set "
		"dhcp.persist: false.",
		s->identity.user);
}

static int give_up_privileges(const struct supervisor *s, struct trouble *t)
{
	const capng_type_t held =
		(capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET);

	capng_clear(CAPNG_SELECT_ALL);
	capng_updatev(CAPNG_ADD, held, CAP_SETUID, CAP_SETGID, -1);
	if (!s->identity.has_private) /* a worker's map then names our own 0 */
		capng_update(CAPNG_ADD, held, CAP_SETFCAP);
	if (capng_apply(CAPNG_SELECT_ALL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		return 0;
	return trouble(t, EXIT_FAILED, "E0307", "cannot give up privileges");
}

static int open_crews(struct supervisor *s, struct trouble *t)
{
	unsigned int i;

	for (i = 0; i < s->hubs; i++)
		if (open_records(s, &s->hub[i], t) < 0 || crew_open(&s->hub[i], t) < 0)
			return -1;
	return 0;
}

static void close_hub(struct hub *hub)
{
	crew_sync(hub);
	crew_close(hub);
	port_close_all(hub);
	store_close(&hub->store);
	hublog_close(hub);
	nl__hub__free_unpacked(hub->conf, NULL);
	hub->conf = NULL;
}

int supervisor_add_hub(struct supervisor *s, const Nl__Hub *asked, struct trouble *t)
{
	struct hub *hub = &s->hub[s->hubs];

	if (start_add_hub(s, asked, t) < 0)
		return -1;
	if (open_records(s, hub, t) == 0 && crew_open(hub, t) == 0) {
		supervisor_note(s, "hub %s has no port yet. Add one: natlock attach TARGET --hub %s",
			asked->name, asked->name);
		if (s->fence.up && asked->nat->host_loopback == NL__NAT__ACCESS__allow)
			supervisor_note(s,
				"hub %s: nat.host_loopback holds when natlock is started again: "
				"the fence around natproxy was raised before",
				asked->name);
		return 0;
	}
	close_hub(hub);
	s->hubs--;
	return -1;
}

static void close_all(struct supervisor *s)
{
	unsigned int i;

	for (i = 0; i < s->hubs; i++) {
		struct hub *hub = &s->hub[i];

		if (hub->born && hub->conf->enable)
			hublog_stopped(hub);
		close_hub(hub);
	}
	hublog_end(s);
	grant_close(s);
	grant_echo_close(s);
	grant_ipsec_close(s);
	grant_reserved_close(s);
	operator_close(&s->op);
	if (s->is_run)
		guest_end(&s->guest);
	hostnet_close(&s->hostnet);
	resolvers_close(&s->resolvers);
	ev_loop_destroy(s->loop);
	configure_free(s);
}

/* Read outside: from our namespace these gids have no names. */
static void read_ping_range(struct supervisor *s)
{
	unsigned long low = 1, high = 0;
	char text[64];

	if (files_read("/proc/sys/net/ipv4/ping_group_range", text, sizeof(text)) > 0)
		sscanf(text, "%lu %lu", &low, &high);
	snprintf(s->ping_range, sizeof(s->ping_range), "%lu %lu", low, high);
}

int supervisor_prepare(struct supervisor *s, struct trouble *t)
{
	read_ping_range(s);
	pool_init(&s->pool, s->pool_bytes, sizeof(s->pool_bytes));
	s->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV | EVFLAG_NOSIGMASK);
	if (!s->loop)
		return trouble(t, EXIT_FAILED, "E0308", "cannot make an event loop");
	s->started = ev_time();
	watch_fd(s, &s->signal_io, s->signal_fd, on_signal);
	if (s->is_run)
		watch_fd(s, &s->guest.exit_io, s->guest.pidfd, on_guest_end);
	return 0;
}

int supervisor_main(struct supervisor *s, struct trouble *t)
{
	if (give_up_privileges(s, t) < 0)
		return -1;
	watch_host(s);
	ev_prepare_init(&s->sync, on_prepare);
	s->sync.data = s;
	ev_prepare_start(s->loop, &s->sync);
	operator_begin(&s->op, s);
	hublog_begin(s);
	if (open_crews(s, t) < 0) {
		trouble_say(t);
		supervisor_drain(s, s->is_run ? EXIT_GATEWAY : EXIT_FAILED);
	}
	if (!s->gone)
		ev_run(s->loop, 0);
	close_all(s);
	return s->exit_code;
}

/*
 * Theory of operation. A port's word is KIND:WHERE. Each kind has its own notion of a WHERE that
 * can be; whether it is there is found out at start. A port belongs to one hub: the second one that
 * took it would fail half-way, or two gateways would answer on one wire.
 */
#include <net/if.h>
#include <string.h>
#include <sys/un.h>

#include "conf_check.h"

enum where { WHERE_NONE, WHERE_DEVICE, WHERE_NUMBER, WHERE_PATH, WHERE_TEXT };

static const char *const kinds[] = {
	"auto", "pid", "netns", "tap", "veth", "bridge", "qemu", "qemu-dgram", "fd"};
static const enum where wheres[] = {WHERE_NONE, WHERE_NUMBER, WHERE_TEXT, WHERE_DEVICE,
	WHERE_DEVICE, WHERE_DEVICE, WHERE_PATH, WHERE_PATH, WHERE_NUMBER};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* What is wrong with it, or NULL. */
static const char *wrong_where(enum where where, const char *text)
{
	switch (where) {
	case WHERE_DEVICE:
		return conf_is_device(text)
			       ? NULL
			       : "names no device: 1 to 15 bytes without / : or blanks. "
				 "See: ip link";
	case WHERE_NUMBER:
		return strspn(text, "0123456789") == strlen(text) && strlen(text) < 10
			       ? NULL
			       : "should end with a number";
	case WHERE_PATH:
		if (text[0] != '/')
			return "should name an absolute path, such as qemu:/run/vm1.sock";
		return strlen(text) < sizeof(((struct sockaddr_un *)NULL)->sun_path)
			       ? NULL
			       : "has too long a path: at most 107 bytes";
	case WHERE_TEXT:
	case WHERE_NONE: break;
	}
	return NULL;
}

static int unknown_kind(
	struct conf_check *c, struct conf_place here, const char *kind, const char *shown)
{
	const char *meant = reflect_suggest(kind, kinds, KINDS);

	return conf_fault(c, here, "attach: \"%s\" names no kind of port. %s%s%s", shown,
		meant != NULL ? "Did you mean \"" : "Kinds: auto, pid, netns, tap, veth, bridge, ",
		meant != NULL ? meant : "qemu, qemu-dgram, fd", meant != NULL ? "\"?" : "");
}

static int check_word(struct conf_check *c, const Nl__Hub *hub, size_t i)
{
	const char *attach = hub->attach[i], *colon = strchr(attach, ':'), *wrong;
	struct conf_place here = conf_at_element(&hub->base, "attach", i);
	char kind[16], shown[CONF_SHOWN_BYTES];
	size_t length = colon != NULL ? (size_t)(colon - attach) : strlen(attach);

	snprintf(kind, sizeof(kind), "%.*s", (int)(length < sizeof(kind) ? length : 0), attach);
	reflect_printable(shown, sizeof(shown), attach);
	for (size_t k = 0; k < KINDS; k++) {
		if (strcmp(kind, kinds[k]) != 0)
			continue;
		if ((k == 0) != (colon == NULL) || (colon != NULL && colon[1] == '\0'))
			return conf_fault(c, here,
				"attach: \"%s\" should be auto or KIND:WHERE, such as tap:nl0",
				shown);
		wrong = colon != NULL ? wrong_where(wheres[k], colon + 1) : NULL;
		return wrong == NULL ? 0 : conf_fault(c, here, "attach: \"%s\" %s", shown, wrong);
	}
	if (strcmp(kind, "vde") == 0)
		return conf_fault(c, here,
			"attach: \"%s\": vde is not supported. Join a VDE switch by a TAP: "
			"vde_plug2tap and tap:NAME",
			shown);
	return unknown_kind(c, here, kind, shown);
}

/* The interface of this computer that a word takes, or NULL. */
static const char *device_of(const char *attach)
{
	if (strncmp(attach, "tap:", 4) == 0)
		return attach + 4;
	return strncmp(attach, "veth:", 5) == 0 ? attach + 5 : NULL;
}

/* auto makes a TAP of the hub's name, of which a device's name holds twelve bytes (attach.c). */
static bool same_port(const Nl__Hub *a, const char *one, const Nl__Hub *b, const char *two)
{
	const char *first = device_of(one), *second = device_of(two);
	bool autos = strcmp(one, "auto") == 0 && strcmp(two, "auto") == 0;

	if (autos)
		return strncmp(a->name, b->name, 12) == 0;
	if (first != NULL && second != NULL)
		return strcmp(first, second) == 0;
	return strcmp(one, two) == 0;
}

int conf_check_attach(struct conf_check *c, const Nl__Hub *hub)
{
	char shown[CONF_SHOWN_BYTES];
	int error = conf_count(c, conf_at(&hub->base, "attach"), "attach", hub->n_attach, 64);

	for (size_t i = 0; i < hub->n_attach && error == 0; i++) {
		error = check_word(c, hub, i);
		for (size_t other = 0; other < i && error == 0; other++)
			if (same_port(hub, hub->attach[i], hub, hub->attach[other]))
				error = conf_fault(c, conf_at_element(&hub->base, "attach", i),
					"attach: \"%s\" is given twice",
					reflect_printable(shown, sizeof(shown), hub->attach[i]));
	}
	return error;
}

static int check_ports_between(struct conf_check *c, const Nl__Hub *hub, const Nl__Hub *earlier)
{
	char shown[CONF_SHOWN_BYTES], line[CONF_WHERE_BYTES];

	for (size_t i = 0; i < hub->n_attach; i++)
		for (size_t k = 0; k < earlier->n_attach; k++) {
			struct conf_place there = conf_at_element(&earlier->base, "attach", k);
			bool autos = strcmp(hub->attach[i], "auto") == 0;

			if (!same_port(hub, hub->attach[i], earlier, earlier->attach[k]))
				continue;
			return conf_fault(c, conf_at_element(&hub->base, "attach", i),
				"attach: \"%s\" is a port of hub %s already (%s). %s",
				reflect_printable(shown, sizeof(shown), hub->attach[i]),
				earlier->name, conf_where(c, there, line),
				autos ? "Give the hubs names that differ in the first 12 letters"
				      : "A port belongs to one hub: name another one");
		}
	return 0;
}

static int check_listeners_between(struct conf_check *c, const Nl__Hub *hub, const Nl__Hub *earlier)
{
	const Nl__Nat *a = hub->nat, *b = earlier->nat;
	char text[REFLECT_TEXT_BYTES], line[CONF_WHERE_BYTES];

	for (size_t i = 0; i < a->n_publish; i++)
		for (size_t k = 0; k < b->n_publish; k++)
			if (conf_same_listener(a, a->publish[i], b, b->publish[k]))
				return conf_fault(c, conf_at_element(&a->base, "publish", i),
					"nat.publish: %s is already published by hub %s (%s). "
					"Choose another port",
					reflect_text_write(&a->publish[i]->listen->base, text),
					earlier->name,
					conf_where(
						c, conf_at_element(&b->base, "publish", k), line));
	for (size_t i = 0; i < a->n_static_; i++)
		for (size_t k = 0; k < b->n_static_; k++)
			if (conf_same_outside(a, a->static_[i], b, b->static_[k]))
				return conf_fault(c, conf_at(&a->static_[i]->base, "outside"),
					"nat.static: %s is already an outside address of hub %s "
					"(%s)",
					conf_ip(text, a->static_[i]->outside->be), earlier->name,
					conf_where(
						c, conf_at_element(&b->base, "static", k), line));
	return 0;
}

int conf_check_between(struct conf_check *c, const Nl__Config *config)
{
	int error = 0;

	for (size_t i = 0; i < config->n_hubs && error == 0; i++)
		for (size_t k = 0; k < i && error == 0; k++) {
			const Nl__Hub *hub = config->hubs[i], *earlier = config->hubs[k];

			error = check_ports_between(c, hub, earlier);
			if (error == 0 && hub->enable && earlier->enable)
				error = check_listeners_between(c, hub, earlier);
			if (error == 0)
				error = conf_check_ipsec_between(c, hub, earlier);
		}
	return error;
}

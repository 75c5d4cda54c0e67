/* What the far hosts do with connections. Streams are patterns (pattern.h), named by their seeds. */
#ifndef NATLOCK_TESTS_SIM_APPS_H
#define NATLOCK_TESTS_SIM_APPS_H

#include <stdbool.h>
#include <stdint.h>

#include "internet.h"

enum { APP_TEXT = 4096 };

struct app {
	struct peer *peer;
	uint64_t send_seed, send_total, sent; /* seed 0: text */
	bool finish;			      /* FIN after the last byte */
	bool wait_fin;			      /* sends only after the guest's FIN */
	uint64_t recv_seed, received, wrong;  /* seed 0: heard */
	uint32_t read_per_ms;		      /* 0: as fast as it comes */
	bool saw_fin, saw_reset, done;	      /* done: both FINs */
	char text[APP_TEXT], heard[APP_TEXT];
	void (*on_bytes)(struct app *a); /* more was heard; may be NULL */
	struct app *next;
};

/* Serves ip:port; each connection gets an app that starts as a copy of `like`. */
void app_serve(uint32_t ip, uint16_t port, const struct app *like);
/* The app of the nth connection to that service, from 0; NULL before it comes. */
struct app *app_at(uint16_t port, unsigned int nth);
/* A far host calls a port of this host. */
struct app *app_call(
	uint32_t from_ip, uint16_t from_port, uint16_t host_port, const struct app *like);
void app_say(struct app *a, const char *text);
/* Writes and reads what it can; call after changing it. */
void app_go(struct app *a);

#endif

/*
 * The configuration while natlock runs: requests that change, show and re-read it, and how it is put in force.
 *
 *   s->file     what the configuration file says, over the defaults
 *   s->kept     the same with the saved changes laid over it (saved.h): what a start gives
 *   s->config   what runs: s->kept and what was changed since without being saved
 *   hub->conf   a hub of s->config as its workers have it (change_in_force)
 */
#ifndef NATLOCK_SUPERVISOR_CONFIGURE_H
#define NATLOCK_SUPERVISOR_CONFIGURE_H

#include "change.h"
#include "conf.h"
#include "supervisor.h"

enum { CONFIGURE_TEXT = 2 * CHANGE_TEXT + 512 };

/* Reads the file and the saved changes into s->file, s->kept and s->config. 0, or -1 with *t and nothing changed. */
int configure_load(struct supervisor *s, const char *path, struct trouble *t);
/* Takes a configuration that was made otherwise, and over; NULL is no memory. As configure_load. */
int configure_take(struct supervisor *s, Nl__Config *config, struct trouble *t);

/*
 * Puts a whole and checked configuration in force, in which only values of the kinds LIVE and FILE differ from the running one:
 * tells the workers, writes the log. Takes it over. 0, or -1 with *t and nothing changed.
 */
int configure_apply(struct supervisor *s, Nl__Config *config, struct trouble *t);

/* Makes the workers' form of all hubs anew and tells those whom it concerns: what it depends on has changed (drain.h). */
void configure_refresh(struct supervisor *s);

/* Tells the hub's workers this computer's domain: it has changed. */
void configure_domain(struct hub *hub);

/*
 * SIGHUP and ReloadRequest: reads file and saved changes anew and puts in force what can be. What was changed but not
 * saved is undone. 0 with what was done in text, or -1 with *t and nothing changed. Syscalls: those of conf_load
 */
int configure_reload(struct supervisor *s, char text[CONFIGURE_TEXT], struct trouble *t);

void configure_free(struct supervisor *s);

#endif

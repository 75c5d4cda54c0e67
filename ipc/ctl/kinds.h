/* How each kind of command is prepared and carried out: one row each. */
#ifndef NATLOCK_CTL_KINDS_H
#define NATLOCK_CTL_KINDS_H

#include "ctl.h"

enum prepare {
	PREPARE_NOTHING,
	PREPARE_FILTER,
	PREPARE_CHANGES,
	PREPARE_FILE,
	PREPARE_AUDIT,	/* checked here; main.c does the rest */
	PREPARE_EXPORT,
	PREPARE_REPLAY,
	PREPARE_COMPLETION, /* these three end natlockctl */
	PREPARE_DOCTOR,
	PREPARE_HELP,
};

enum shape {
	SHAPE_ROWS, /* every format there is */
	SHAPE_TEXT, /* as it is, or in JSON */
	SHAPE_OWN,  /* a format that others read, or none to choose */
};

struct kind {
	/* Asks and prints; an exit code, with *f if it is not 0. NULL: done when it was prepared. */
	int (*run)(struct ctl *ctl, struct failure *f);
	enum prepare prepare;
	enum shape shape;
	bool may_watch, may_save;
};

extern const struct kind kinds[VERB_KINDS];

/* table.c */
int table_run(struct ctl *ctl, struct failure *f);
int table_run_record(struct ctl *ctl, struct failure *f);
int table_run_status(struct ctl *ctl, struct failure *f);
int table_run_nat_status(struct ctl *ctl, struct failure *f);
int table_run_health(struct ctl *ctl, struct failure *f);
/* request.c */
int request_run_policy(struct ctl *ctl, struct failure *f);
int request_run_version(struct ctl *ctl, struct failure *f);
int request_run_config(struct ctl *ctl, struct failure *f);
int request_run_shutdown(struct ctl *ctl, struct failure *f);
int request_run_restart(struct ctl *ctl, struct failure *f);
int request_run_reload(struct ctl *ctl, struct failure *f);
int request_run_drain(struct ctl *ctl, struct failure *f);
int request_run_kick(struct ctl *ctl, struct failure *f);
int request_run_changes(struct ctl *ctl, struct failure *f);
/* order.c */
int order_run_release(struct ctl *ctl, struct failure *f);
int order_run_flush(struct ctl *ctl, struct failure *f);
/* gateways.c */
int gateways_run(struct ctl *ctl, struct failure *f);
/* events.c, metrics.c, export.c */
int events_run(struct ctl *ctl, struct failure *f);
int metrics_run(struct ctl *ctl, struct failure *f);
int export_run(struct ctl *ctl, struct failure *f);

#endif

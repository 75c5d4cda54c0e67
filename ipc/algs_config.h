/* An ALG's section of the configuration. */
#ifndef NATLOCK_IPC_ALGS_CONFIG_H
#define NATLOCK_IPC_ALGS_CONFIG_H

#include <stddef.h>

#include "algs.h"
#include "config.pb-c.h"

/* NULL when it is absent; alg may be NULL. */
static inline const Nl__AlgSwitch *algs_switch(const Nl__Alg *alg, enum algs_id id)
{
	if (!alg)
		return NULL;
	switch (id) {
#define ALG(ID, name)                                                                              \
	case ALGS_##ID: return alg->name;
#include "algs.def"
	case ALGS_COUNT: break;
	}
	return NULL;
}

#endif

/* Every protocol's parser, for table.c and its tests. */
#ifndef NATLOCK_ALG_PROTOCOLS_H
#define NATLOCK_ALG_PROTOCOLS_H

#include "alg.h"

extern const struct alg_protocol ftp_protocol;
extern const struct alg_protocol rtsp_protocol;

#endif

/* Every protocol's parser, for table.c and its tests. */
#ifndef NATLOCK_ALG_PROTOCOLS_H
#define NATLOCK_ALG_PROTOCOLS_H

#include "alg.h"

extern const struct alg_protocol ftp_protocol;
extern const struct alg_protocol dns_protocol;
extern const struct alg_protocol ldap_protocol;
extern const struct alg_protocol tftp_protocol;
extern const struct alg_protocol netbios_name_protocol;
extern const struct alg_protocol netbios_datagram_protocol;
extern const struct alg_protocol netbios_session_protocol;
extern const struct alg_protocol rexec_protocol, rlogin_protocol, rsh_protocol;
extern const struct alg_protocol rtsp_protocol;
extern const struct alg_protocol sip_protocol;
extern const struct alg_protocol h225_protocol, h245_protocol;
extern const struct alg_protocol ras_protocol, ras_discovery_protocol;
extern const struct alg_protocol skinny_protocol;

#endif

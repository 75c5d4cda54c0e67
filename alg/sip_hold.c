/*
 * How long the guest is to be found:
 *
 *   Contact: "one, two" <sip:bob@203.0.113.7:5070;transport=udp>;q=0.7;expires=3600, <sip:bob@elsewhere>;expires=60
 *                                └─ whose it is                  └─ parameters of the contact, not of the URI
 *
 * A registrar tells all contacts of the name, those of other telephones as well (RFC 3261 10.3); only the guest's count.
 */
#include "sip_hold.h"

#include "sip_address.h"
#include "sip_names.h"
#include "sip_text.h"

/* The longest time that this list grants the guest; 0: none. */
static uint32_t granted(const struct alg_flow *f, struct text contacts)
{
	struct sip_scan scan = sip_scan_of(contacts);
	struct sip_place place;
	struct text value;
	uint32_t longest = 0, seconds;
	while (sip_next_address(&scan, &place))
		if (sip_names_is_guest(f, &place) &&
			sip_address_parameter(&scan, "EXPIRES", &value) &&
			sip_number(value, &seconds) && seconds > longest)
			longest = seconds;
	return longest;
}

uint32_t sip_hold_seconds(const struct alg_flow *f, const struct sip_message *m)
{
	struct text lines = m->h.lines;
	struct sip_line line;
	uint32_t longest = 0;
	while (sip_next_line(&lines, &line)) {
		const uint32_t seconds = line.field == SIP_CONTACT ? granted(f, line.value) : 0;
		longest = seconds > longest ? seconds : longest;
	}
	if (!longest && m->expires != UINT32_MAX)
		longest = m->expires;
	return longest < SIP_HOLD_SECONDS_MAX ? longest : SIP_HOLD_SECONDS_MAX;
}

/* What a filter needs of a row. A row may lack anything. */
#include <arpa/inet.h>

#include "rows.h"
#include "subject.h"

static struct filter_station station_of(const Nl__Address *address)
{
	if (address == NULL || !address->has_ip_be)
		return (struct filter_station){0};
	return (struct filter_station){true, ntohl(address->ip_be), address->port};
}

void subject_of_session(struct filter_subject *subject, const Nl__NatRow *row, uint64_t now_wall_ms)
{
	*subject = (struct filter_subject){
		.source = station_of(row->source),
		.destination = station_of(row->destination),
		.outside = station_of(row->outside),
		.proto = row->proto,
		.state = row->state,
		.alg = row->alg,
		.host = row->host,
		.has_age = row->has_created_ms && row->created_ms <= now_wall_ms,
		.age_ms = now_wall_ms - row->created_ms,
		.has_idle = row->has_idle_ms,
		.idle_ms = row->idle_ms,
	};
}

void subject_of_event(struct filter_subject *subject, const ProtobufCMessage *row)
{
	*subject = (struct filter_subject){
		.source = station_of(rows_address(row, "src")),
		.destination = station_of(rows_address(row, "dst")),
		.outside = station_of(rows_address(row, "outside")),
		.proto = rows_text(row, "proto"),
		.state = rows_text(row, "event"),
		.host = rows_text(row, "host"),
	};
}

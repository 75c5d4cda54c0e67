/*
 * A hostile neighbour's records: every edge's message unpacked from arbitrary bytes into a bounded
 * pool, as the generated dispatch does. What unpacks stays inside the pool and packs again; what
 * was packed is stable: it unpacks to something that packs to the same bytes. (A field number 0,
 * which protobuf-c keeps as unknown, packs to what it then refuses.)
 */
#include <stdlib.h>
#include <string.h>

#include "broker_dhcpd.pb-c.h"
#include "broker_netstack.pb-c.h"
#include "natproxy_alg.pb-c.h"
#include "netstack_natproxy.pb-c.h"
#include "operator.pb-c.h"
#include "pool.h"
#include "super.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const edges[] = {
	&nl__super_to_actor__descriptor,
	&nl__actor_to_super__descriptor,
	&nl__super_to_broker__descriptor,
	&nl__broker_to_super__descriptor,
	&nl__super_to_natproxy__descriptor,
	&nl__super_to_dhcpd__descriptor,
	&nl__dhcpd_to_super__descriptor,
	&nl__broker_to_netstack__descriptor,
	&nl__netstack_to_broker__descriptor,
	&nl__broker_to_dhcpd__descriptor,
	&nl__dhcpd_to_broker__descriptor,
	&nl__netstack_to_natproxy__descriptor,
	&nl__natproxy_to_netstack__descriptor,
	&nl__natproxy_to_alg__descriptor,
	&nl__alg_to_natproxy__descriptor,
	&nl__operator_request__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t first_memory[1 << 18], second_memory[1 << 20], packed[1 << 18],
		again[1 << 18];
	const ProtobufCMessageDescriptor *edge;
	ProtobufCMessage *m;
	struct pool pool;
	size_t n;

	if (size < 1 || size > 65536)
		return 0;
	edge = edges[data[0] % (sizeof(edges) / sizeof(edges[0]))];
	pool_init(&pool, first_memory, sizeof(first_memory));
	m = protobuf_c_message_unpack(edge, &pool.allocator, size - 1, data + 1);
	if (!m || pool.used > pool.cap || protobuf_c_message_get_packed_size(m) > sizeof(packed))
		return 0;
	n = protobuf_c_message_pack(m, packed);
	pool_init(&pool, second_memory, sizeof(second_memory));
	m = protobuf_c_message_unpack(edge, &pool.allocator, n, packed);
	if (m && (protobuf_c_message_pack(m, again) != n || memcmp(packed, again, n)))
		abort();
	return 0;
}

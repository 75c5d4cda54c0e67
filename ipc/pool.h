/*
 * A bump allocator over memory fixed at boot, in the shape that protobuf-c wants: confined actors unpack
 * messages without the heap, and a message that wants more than the pool holds fails to unpack.
 */
#ifndef NATLOCK_IPC_POOL_H
#define NATLOCK_IPC_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>

struct pool {
	ProtobufCAllocator allocator; /* pass &pool->allocator to *_unpack; free is a no-op */
	uint8_t *base;
	size_t used, cap, peak;
	uint64_t exhausted;
};

void pool_init(struct pool *p, void *base, size_t cap);
void *pool_alloc(struct pool *p, size_t bytes); /* NULL when full; 16-byte aligned */
void pool_reset(struct pool *p);

#endif

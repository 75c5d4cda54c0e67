/* What guests and far ends do in the tests of natproxy/esp.h, with times in milliseconds. */
#ifndef NATLOCK_TESTS_NATPROXY_ESP_ACTS_H
#define NATLOCK_TESTS_NATPROXY_ESP_ACTS_H

#include "esp.h"

enum { A = 101, B = 102, C = 103, D = 104, PEER = 7 };
extern const uint64_t millisecond;
extern const struct esp_way way;
extern struct esp *e;

void acts_begin(void);
void acts_end(void);
int try_open(uint32_t guest, uint32_t spi, uint64_t at, uint32_t *ref);
uint32_t opens(uint32_t guest, uint32_t spi, uint64_t at);
uint32_t opens_symmetric(uint32_t guest, uint32_t spi, uint64_t at);
bool sends(uint32_t ref, uint64_t at);
struct esp_found comes_for(uint32_t spi, uint32_t only, uint64_t at);
uint32_t comes(uint32_t spi, uint64_t at);
void keys(uint32_t guest, uint64_t at);
uint32_t paired(uint32_t guest, uint32_t spi, uint64_t at);
void forged(uint32_t count, uint64_t at);

#endif

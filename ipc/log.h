/* Text that may leave a process: guest bytes are escaped, times have the seed's form. Pure. */
#ifndef NATLOCK_IPC_LOG_H
#define NATLOCK_IPC_LOG_H

#include <stddef.h>
#include <stdint.h>

/* Copies at most n bytes of guest text into out, printable ASCII as is, all else as \xNN; always terminated. */
const char *log_escape(char *out, size_t cap, const void *guest, size_t n);
/* "192.168.30.10" into out (16 bytes or more). */
const char *log_ip(char *out, uint32_t ip_be);
/* "00-AC-85-40-B5-50" as the seed's log writes it (18 bytes), or with ':' for tables. */
const char *log_mac(char *out, const uint8_t mac[6], char separator);

#endif

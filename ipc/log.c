/*
 * Text that leaves a process. What a guest wrote is escaped here and nowhere else, so that no
 * terminal or log reader ever sees a control character, a quote that was not there, or a byte that
 * is no ASCII.
 */
#include "log.h"

#include <stdbool.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

static bool plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '\\' && c != '"';
}

const char *log_escape(char *out, size_t cap, const void *guest, size_t n)
{
	const uint8_t *p = guest;
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		size_t need = plain(p[i]) ? 1 : 4;
		if (used + need >= cap)
			break;
		if (need == 1) {
			out[used++] = (char)p[i];
		} else {
			out[used++] = '\\';
			out[used++] = 'x';
			out[used++] = digits[p[i] >> 4];
			out[used++] = digits[p[i] & 15];
		}
	}
	if (cap > 0)
		out[used] = '\0';
	return out;
}

static char *put_decimal(char *out, uint8_t v)
{
	if (v >= 100)
		*out++ = (char)('0' + v / 100);
	if (v >= 10)
		*out++ = (char)('0' + v / 10 % 10);
	*out++ = (char)('0' + v % 10);
	return out;
}

const char *log_ip(char *out, uint32_t ip_be)
{
	uint8_t octets[4];
	char *p = out;

	memcpy(octets, &ip_be, sizeof(octets));
	for (int i = 0; i < 4; i++) {
		p = put_decimal(p, octets[i]);
		*p++ = i < 3 ? '.' : '\0';
	}
	return out;
}

const char *log_mac(char *out, const uint8_t mac[6], char separator)
{
	static const char upper[] = "0123456789ABCDEF";
	const char *set = separator == ':' ? digits : upper;

	for (size_t i = 0; i < 6; i++) {
		out[3 * i] = set[mac[i] >> 4];
		out[3 * i + 1] = set[mac[i] & 15];
		out[3 * i + 2] = i < 5 ? separator : '\0';
	}
	return out;
}

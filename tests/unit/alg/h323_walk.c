/*
 * Walking H.323's messages. tests/vectors/h323_walk holds messages and what tshark finds in them: everything that is marked must be
 * found there and nowhere else. Then what only looks like a message.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h323_walk.h"

enum { ROOM = 256, LINE = 32768, TEXT = 96, ADDRESS = 6 };

#define NAME(field) [H323_##field] = #field
static const char *const names[H323_FIELDS] = {
	NAME(NOTHING),
	NAME(TOKENS),
	NAME(RAS_MESSAGE),
	NAME(RAS_SEQUENCE),
	NAME(RAS_ADDRESS),
	NAME(RAS_SIGNAL_ADDRESS),
	NAME(RAS_DEST_SIGNAL),
	NAME(RAS_SRC_SIGNAL),
	NAME(RAS_ALTERNATE),
	NAME(RAS_IRR_CALL_ADDRESS),
	NAME(RAS_TIME_TO_LIVE),
	NAME(RAS_KEEP_ALIVE),
	NAME(RAS_ALIAS_ADDRESS),
	NAME(RAS_CALL_ID),
	NAME(RAS_OTHER_ADDRESS),
	NAME(H225_BODY),
	NAME(H225_H245_ADDRESS),
	NAME(H225_DEST_SIGNAL),
	NAME(H225_SRC_SIGNAL),
	NAME(H225_ALTERNATIVE),
	NAME(H225_FAST_START),
	NAME(H225_TUNNEL),
	NAME(H225_PARALLEL),
	NAME(H225_TUNNELING),
	NAME(H225_CALL_ID),
	NAME(H225_CONFERENCE_ID),
	NAME(H225_ALIAS_ADDRESS),
	NAME(H225_FACILITY_REASON),
	NAME(H225_FAST_REFUSED),
	NAME(H225_MULTIPLE_CALLS),
	NAME(H225_MAINTAIN),
	NAME(H225_OTHER_ADDRESS),
	NAME(H245_MESSAGE),
	NAME(H245_CHANNEL),
	NAME(H245_CHANNEL_NUMBER),
	NAME(H245_SESSION),
	NAME(H245_DATA_TYPE),
	NAME(H245_REVERSE),
	NAME(H245_REVERSE_DATA_TYPE),
	NAME(H245_MEDIA),
	NAME(H245_MEDIA_CONTROL),
	NAME(H245_REVERSE_MEDIA),
	NAME(H245_REVERSE_MEDIA_CONTROL),
	NAME(H245_SEPARATE_STACK),
	NAME(H245_ACK),
	NAME(H245_COMMUNICATION_MODE),
	NAME(H245_OTHER_ADDRESS),
};

static struct h323_mark mark[ROOM];

static bool is_address(uint16_t field)
{
	static const char *const parts[] = {
		"ADDRESS", "_SIGNAL", "ALTERNATE", "ALTERNATIVE", "_MEDIA", "_STACK", "_MODE"};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strstr(names[field], parts[i]))
			return true;
	return false;
}

/* The octets of hexadecimal text: a copy of their own, so that a sanitizer sees what is read behind them. */
static uint8_t *octets(const char *hex, size_t *n)
{
	*n = strlen(hex) / 2;
	uint8_t *p = malloc(*n + !*n);
	for (size_t i = 0; i < *n; i++) {
		unsigned int octet;
		cr_assert_eq(sscanf(hex + 2 * i, "%2x", &octet), 1);
		p[i] = (uint8_t)octet;
	}
	return p;
}

static int walk(enum h323_root root, const char *hex)
{
	size_t n;
	uint8_t *p = octets(hex, &n);
	int marks = h323_walk(root, p, n, mark, ROOM);
	free(p);
	return marks;
}

static enum h323_root root_of(const char *word)
{
	return !strcmp(word, "RAS")    ? H323_ROOT_RAS
	       : !strcmp(word, "UUIE") ? H323_ROOT_UUIE
				       : H323_ROOT_H245;
}

/* A mark as a vector's line says it: name, place, value, and of an address the address. */
static void say(const struct h323_mark *m, const uint8_t *p, char *text)
{
	const uint8_t *a = p + m->at;
	int n = snprintf(text, TEXT, "%s %u %u", names[m->field], m->at, m->value);
	if (!is_address(m->field))
		return;
	cr_assert_eq(m->bytes, ADDRESS);
	snprintf(text + n, TEXT - (size_t)n, " %u.%u.%u.%u:%u", a[0], a[1], a[2], a[3],
		(unsigned int)a[4] << 8 | a[5]);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Marks at one place have no order of their own in a file. */
static void expect_same(const char *where, const char *hex, char wanted[][TEXT], int count)
{
	char got[ROOM][TEXT];
	size_t n;
	uint8_t *p = octets(hex, &n);
	int marks = walk(root_of(where), hex);
	cr_assert_eq(marks, count, "%s %.60s: %d marks, not %d", where, hex, marks, count);
	if (marks < 0)
		marks = 0;
	for (int i = 0; i < marks; i++) {
		cr_expect(!i || mark[i].at >= mark[i - 1].at);
		cr_expect(mark[i].at + mark[i].bytes <= n);
		say(&mark[i], p, got[i]);
	}
	qsort(got, (size_t)marks, TEXT, by_text);
	qsort(wanted, (size_t)marks, TEXT, by_text);
	for (int i = 0; i < marks; i++)
		cr_expect_str_eq(got[i], wanted[i], "%s %.60s", where, hex);
	free(p);
}

/*
 * Of each message in a file: call(root's word, hexadecimal, marks, how many of them; -1: it must be refused). What tshark calls
 * malformed may be refused; else no more is marked than tshark found up to the fault.
 */
static unsigned int each_message(
	const char *path, void call(const char *, const char *, char[][TEXT], int))
{
	static char line[LINE], hex[LINE], root[8];
	char wanted[ROOM][TEXT];
	int count = 0;
	unsigned int messages = 0;
	FILE *f = fopen(path, "r");
	cr_assert(f, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == ' ') {
			if (!strcmp(line, "  refused"))
				count = -1;
			else if (!strcmp(line, "  malformed"))
				count = walk(root_of(root), hex) < 0 ? -1 : count;
			else
				snprintf(wanted[count++], TEXT, "%.90s", line + 2);
		} else if (line[0] != '#') {
			if (messages++)
				call(root, hex, wanted, count);
			cr_assert_eq(sscanf(line, "%7s %32767s", root, hex), 2, "%s", line);
			count = 0;
		}
	}
	if (messages)
		call(root, hex, wanted, count);
	fclose(f);
	return messages;
}

static unsigned int each_vector(void call(const char *, const char *, char[][TEXT], int))
{
	char path[1024];
	unsigned int messages = 0;
	DIR *directory = opendir(VECTOR_DIRECTORY);
	cr_assert(directory);
	for (const struct dirent *entry; (entry = readdir(directory));) {
		size_t n = strlen(entry->d_name);
		if (n < 6 || strcmp(entry->d_name + n - 6, ".marks"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", VECTOR_DIRECTORY, entry->d_name);
		messages += each_message(path, call);
	}
	closedir(directory);
	return messages;
}

Test(h323_walk, finds_what_tshark_finds)
{
	cr_expect_geq(each_vector(expect_same), 440);
}

static void cut_short(const char *where, const char *hex, char wanted[][TEXT], int count)
{
	size_t n;
	uint8_t *p = octets(hex, &n);
	for (size_t left = 0; left < n && count >= 0; left++) {
		uint8_t *some = memcpy(malloc(left + !left), p, left);
		int marks = h323_walk(root_of(where), some, left, mark, ROOM);
		cr_expect(marks < count || !strcmp(where, "H245"),
			"%s %.60s: the first %zu octets of %zu", where, hex, left, n);
		free(some);
	}
	free(p);
}

/* SendTerminalCapabilitySet with that many numbers of capabilities, two octets each. */
static int many_numbers(unsigned int count)
{
	static const uint8_t head[] = {0x44, 0x20};
	size_t n = sizeof(head) + 2 + 2 * (size_t)count;
	uint8_t *p = calloc(n, 1);
	memcpy(p, head, sizeof(head));
	p[2] = (uint8_t)((count - 1) >> 8);
	p[3] = (uint8_t)(count - 1);
	int marks = h323_walk(H323_ROOT_H245, p, n, mark, ROOM);
	free(p);
	return marks;
}

Test(h323_walk, a_message_of_too_many_things_is_none)
{
	cr_expect_eq(many_numbers(1), 1);
	cr_expect_eq(many_numbers(8000), 1);
	cr_expect_eq(many_numbers(8192), -1);
	cr_expect_eq(many_numbers(30000), -1);
}

Test(h323_walk, nothing_is_no_message)
{
	cr_expect_eq(h323_walk(H323_ROOT_H245, NULL, 0, mark, ROOM), -1);
	cr_expect_eq(h323_walk(H323_ROOT_RAS, NULL, 0, mark, ROOM), -1);
	cr_expect_eq(h323_walk(H323_ROOT_UUIE, NULL, 0, mark, ROOM), -1);
}

/* H.245: several messages in one TPKT, as some endpoints send them; each has its mark. */
Test(h323_walk, one_control_message_after_another)
{
	cr_assert_eq(walk(H323_ROOT_H245, "0500e5e6"
					  "070700"
					  "0900c1"),
		4);
	cr_expect(mark[0].field == H323_H245_MESSAGE && mark[0].value == 5 && mark[0].at == 0);
	cr_expect(mark[1].field == H323_H245_CHANNEL_NUMBER && mark[1].value == 0xe5e7);
	cr_expect(mark[2].field == H323_H245_MESSAGE && mark[2].value == 7 && mark[2].at == 4);
	cr_expect(mark[3].field == H323_H245_MESSAGE && mark[3].value == 9 && mark[3].at == 7);
	cr_expect_eq(walk(H323_ROOT_H245, "0500e5e6"
					  "070700"
					  "0900"),
		-1);
}

Test(h323_walk, a_message_that_is_cut_short_is_none)
{
	each_vector(cut_short);
}

static void crowded(const char *where, const char *hex, char wanted[][TEXT], int count)
{
	size_t n;
	uint8_t *p = octets(hex, &n);
	for (int room = 0; room <= count; room++)
		cr_expect_eq(h323_walk(root_of(where), p, n, mark, (size_t)room),
			room < count ? -1 : count);
	free(p);
}

Test(h323_walk, a_message_with_more_marks_than_there_is_room_for_is_none)
{
	each_vector(crowded);
}

/* Any words as a command: as filters, as changes, as vpncmd's arguments. A filter and its negation
 * never agree, and a change holds one value. Words are separated by NUL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alias.h"
#include "change.h"
#include "filter.h"
#include "reflect_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS = 8, BYTES = 512 };

static void try_filter(const char *word)
{
	const struct filter_subject subject = {.source = {true, 0xc0a81e0a, 80},
		.proto = "tcp",
		.state = "RUNNING",
		.host = "www.example.com",
		.has_idle = true,
		.idle_ms = 1000};
	struct filter plain = {0}, negated = {0};
	char why[FILTER_WHY], not [BYTES + 2];

	snprintf(not, sizeof(not ), "!%s", word);
	if (word[0] == '!' || filter_add(&plain, word, why) != 0)
		return;
	if (filter_add(&negated, not, why) != 0 ||
		filter_match(&plain, &subject) == filter_match(&negated, &subject))
		abort();
}

/* Behind "before:" and before "after:" the value must leave three keys, and what it has to itself. */
static void check_value(const char *value)
{
	static char text[CHANGE_TEXT_BYTES + 64];
	struct reflect_error error;
	struct node_tree tree;

	snprintf(text, sizeof(text), "{before: 1, key: %s, after: 2}", value);
	if (node_tree_read(&tree, text, strlen(text), &error) == 0 && tree.node[0].child_count != 3)
		abort();
	node_tree_free(&tree);
}

static void try_changes(const char *const *words, size_t count)
{
	static const char *const sections[] = {"", "nat", "dhcp", "dns"},
				 *const lists[] = {
					 "nat.publish", "nat.static", "dhcp.reservations"};
	static struct change_list list;
	char why[CHANGE_WHY];

	for (size_t i = 0; i < 4; i++) {
		memset(&list, 0, sizeof(list));
		if (change_set(&list, sections[i], words[0], why) == 0)
			check_value(list.change[0].value);
	}
	for (size_t i = 0; i < 3; i++) {
		memset(&list, 0, sizeof(list));
		if (change_add(&list, lists[i], words, count, words[0], why) == 0)
			check_value(list.change[0].value);
		memset(&list, 0, sizeof(list));
		if (change_remove(&list, lists[i], words, count, NULL, why) == 0)
			check_value(list.change[0].value);
	}
	memset(&list, 0, sizeof(list));
	change_alg(&list, words[0], "true", why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct phrase phrase;
	const char *words[WORDS];
	char text[BYTES], why[PHRASE_WHY];
	size_t count = 0, bytes = size < sizeof(text) ? size : sizeof(text) - 1;
	enum format format = FORMAT_TABLE;

	memcpy(text, data, bytes);
	text[bytes] = '\0';
	for (size_t at = 0; at <= bytes && count < WORDS; at += strlen(text + at) + 1)
		words[count++] = text + at;
	for (size_t i = 0; i < count; i++)
		try_filter(words[i]);
	try_changes(words, count);
	memset(&phrase, 0, sizeof(phrase));
	alias_expand(&phrase, words, count, &format, why);
	return 0;
}

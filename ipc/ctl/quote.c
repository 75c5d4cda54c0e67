/*
 * Quoted scalars and plain ones mean the same to reflect_yaml, so quoting loses nothing: "true" is
 * still a boolean where one is wanted. A flow value is parsed into nodes by the same reader that
 * the supervisor uses, and printed from the nodes: what did not become a node does not get out.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "quote.h"
#include "reflect_core.h"

void quote_open(struct quote *q, char *out, size_t cap)
{
	*q = (struct quote){.out = out, .cap = cap};
	out[0] = '\0';
}

static void put(struct quote *q, char c)
{
	if (q->used + 1 >= q->cap) {
		q->bad = true;
		return;
	}
	q->out[q->used++] = c;
	q->out[q->used] = '\0';
}

void quote_raw(struct quote *q, const char *text)
{
	for (; *text != '\0'; text++)
		put(q, *text);
}

void quote_text(struct quote *q, const char *text)
{
	put(q, '"');
	for (; *text != '\0'; text++) {
		if (*text < 0x20 || *text > 0x7e)
			q->bad = true;
		if (*text == '"' || *text == '\\')
			put(q, '\\');
		put(q, *text);
	}
	put(q, '"');
}

/* Depth is bounded by REFLECT_DEPTH_MAX. */
static void put_node(struct quote *q, const struct node *n)
{
	if (n->kind == NODE_SCALAR) {
		quote_text(q, n->text);
		return;
	}
	put(q, n->kind == NODE_LIST ? '[' : '{');
	for (const struct node *child = n->child; child != NULL; child = child->next) {
		if (child != n->child)
			quote_raw(q, ", ");
		if (n->kind == NODE_MAPPING) {
			quote_text(q, child->key);
			quote_raw(q, ": ");
		}
		put_node(q, child);
	}
	put(q, n->kind == NODE_LIST ? ']' : '}');
}

static int put_flow(struct quote *q, const char *typed, char *why)
{
	struct reflect_error error = {0};
	struct node_tree tree;
	int result = node_tree_read(&tree, typed, strlen(typed), &error);

	if (result == 0)
		put_node(q, &tree.node[0]);
	else
		snprintf(why, QUOTE_WHY, "%.*s", QUOTE_WHY - 1, error.text);
	node_tree_free(&tree);
	return result;
}

/* The text up to the next comma, without the blanks around it; *typed moves to the comma. */
static bool take_element(const char **typed, char element[REFLECT_SCALAR_MAX + 1])
{
	const char *start = *typed + strspn(*typed, " ");
	size_t length = strcspn(start, ",");

	*typed = start + length;
	while (length > 0 && start[length - 1] == ' ')
		length--;
	if (length > REFLECT_SCALAR_MAX)
		return false;
	memcpy(element, start, length);
	element[length] = '\0';
	return true;
}

static int put_elements(struct quote *q, const char *typed, char *why)
{
	char element[REFLECT_SCALAR_MAX + 1];

	if (strcmp(typed, "none") == 0 || typed[0] == '\0') {
		quote_raw(q, "[]");
		return 0;
	}
	put(q, '[');
	while (take_element(&typed, element)) {
		quote_text(q, element);
		if (*typed == '\0') {
			put(q, ']');
			return 0;
		}
		quote_raw(q, ", ");
		typed++;
	}
	snprintf(why, QUOTE_WHY, "an element is longer than %d bytes", REFLECT_SCALAR_MAX);
	return -EINVAL;
}

int quote_value(struct quote *q, const char *typed, bool is_list, char *why)
{
	int result = 0;

	if (typed[0] == '[' || typed[0] == '{')
		result = put_flow(q, typed, why);
	else if (is_list)
		result = put_elements(q, typed, why);
	else
		quote_text(q, typed);
	if (result == 0 && q->bad) {
		snprintf(why, QUOTE_WHY, "it is too long, or has bytes that are not printable");
		result = -EINVAL;
	}
	return result;
}

/*
 * YAML to a tree of nodes, by libyaml's events.
 *
 * The text may come from anybody who can write a file, so what costs without serving a
 * configuration is refused at the first event that shows it: anchors and aliases (their expansion
 * is exponential), tags, further documents, depth, number and length of values. Scalars keep their
 * text; what it means is decided by the field that takes it (reflect_build.c), so YAML's own ideas
 * of numbers and booleans play no part.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "reflect_core.h"

struct reader {
	yaml_parser_t parser;
	const char *text;
	struct node_tree *tree;
	struct reflect_error *error;
};

static int fail_at(struct reader *r, const yaml_mark_t *at, const char *what)
{
	reflect_fail(r->error, (int)at->line + 1, (int)at->column + 1, "%s", what);
	return -EINVAL;
}

/* libyaml tells the place of a wrong byte as an offset only. */
static yaml_mark_t mark_of_offset(const char *text, size_t offset)
{
	yaml_mark_t at = {.index = offset};

	for (size_t i = 0; i < offset; i++) {
		at.column++;
		if (text[i] == '\n') {
			at.line++;
			at.column = 0;
		}
	}
	return at;
}

static int fail_parse(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	yaml_mark_t at = p->problem_mark;
	char what[160], context[96] = "";

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR)
		at = mark_of_offset(r->text, p->problem_offset);
	if (p->context != NULL)
		snprintf(context, sizeof(context), " (%s that began in line %zu)", p->context,
			p->context_mark.line + 1);
	snprintf(what, sizeof(what), "not valid YAML: %s%s",
		p->problem != NULL ? p->problem : "unreadable", context);
	return fail_at(r, &at, what);
}

static bool has_anchor_or_tag(const yaml_event_t *e)
{
	switch ((int)e->type) {
	case YAML_SCALAR_EVENT: return e->data.scalar.anchor != NULL || e->data.scalar.tag != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return e->data.sequence_start.anchor != NULL || e->data.sequence_start.tag != NULL;
	case YAML_MAPPING_START_EVENT:
		return e->data.mapping_start.anchor != NULL || e->data.mapping_start.tag != NULL;
	default: return e->type == YAML_ALIAS_EVENT;
	}
}

/* The next event; on success the caller deletes it. */
static int next_event(struct reader *r, yaml_event_t *e)
{
	int error;

	if (!yaml_parser_parse(&r->parser, e))
		return fail_parse(r);
	if (!has_anchor_or_tag(e))
		return 0;
	error = fail_at(r, &e->start_mark,
		"anchors, aliases and tags are not used here: write the value out");
	yaml_event_delete(e);
	return error;
}

static int new_node(struct reader *r, const yaml_event_t *e, struct node **out)
{
	struct node *n;

	if (r->tree->count == REFLECT_NODES_MAX)
		return fail_at(r, &e->start_mark, "too many values (at most 16384)");
	n = &r->tree->node[r->tree->count++];
	n->line = (int)e->start_mark.line + 1;
	n->column = (int)e->start_mark.column + 1;
	*out = n;
	return 0;
}

/* The text of a scalar event on the heap. */
static int scalar_text(struct reader *r, const yaml_event_t *e, char **out)
{
	const char *value = (const char *)e->data.scalar.value;

	if (e->data.scalar.length > REFLECT_SCALAR_MAX)
		return fail_at(r, &e->start_mark, "longer than 255 bytes");
	if (memchr(value, '\0', e->data.scalar.length) != NULL)
		return fail_at(r, &e->start_mark, "contains a NUL byte");
	*out = strdup(value);
	return *out != NULL ? 0 : -ENOMEM;
}

static int read_node(struct reader *r, const yaml_event_t *e, int depth, struct node **out);

static int append(struct reader *r, struct node *parent, struct node **last, struct node *child)
{
	if (++parent->child_count > REFLECT_ITEMS_MAX)
		return reflect_fail(r->error, child->line, child->column,
			"too many entries in one place (at most %d)", REFLECT_ITEMS_MAX);
	*(*last == NULL ? &parent->child : &(*last)->next) = child;
	*last = child;
	return 0;
}

static int read_list(struct reader *r, struct node *list, int depth)
{
	struct node *last = NULL, *child;
	yaml_event_t e;
	int error;

	for (;;) {
		error = next_event(r, &e);
		if (error != 0)
			return error;
		if (e.type == YAML_SEQUENCE_END_EVENT)
			break;
		error = read_node(r, &e, depth + 1, &child);
		yaml_event_delete(&e);
		if (error == 0)
			error = append(r, list, &last, child);
		if (error != 0)
			return error;
	}
	yaml_event_delete(&e);
	return 0;
}

static int check_new_key(struct reader *r, const struct node *mapping, const yaml_event_t *e)
{
	const char *key = (const char *)e->data.scalar.value;
	char shown[64], what[160];

	for (const struct node *n = mapping->child; n != NULL; n = n->next) {
		if (strcmp(n->key, key) != 0)
			continue;
		snprintf(what, sizeof(what), "key \"%s\" is given twice (first in line %d)",
			reflect_printable(shown, sizeof(shown), key), n->key_line);
		return fail_at(r, &e->start_mark, what);
	}
	return 0;
}

/* The value that belongs to the key event. */
static int read_pair(struct reader *r, const struct node *mapping, const yaml_event_t *key,
	int depth, struct node **out)
{
	yaml_event_t e;
	char *text;
	int error;

	if (key->type != YAML_SCALAR_EVENT)
		return fail_at(r, &key->start_mark, "a key must be a single word");
	error = check_new_key(r, mapping, key);
	if (error == 0)
		error = next_event(r, &e);
	if (error != 0)
		return error;
	error = read_node(r, &e, depth + 1, out);
	yaml_event_delete(&e);
	if (error == 0)
		error = scalar_text(r, key, &text);
	if (error != 0)
		return error;
	(*out)->key = text;
	(*out)->key_line = (int)key->start_mark.line + 1;
	(*out)->key_column = (int)key->start_mark.column + 1;
	return 0;
}

static int read_mapping(struct reader *r, struct node *mapping, int depth)
{
	struct node *last = NULL, *child;
	yaml_event_t key;
	int error;

	for (;;) {
		error = next_event(r, &key);
		if (error != 0)
			return error;
		if (key.type == YAML_MAPPING_END_EVENT)
			break;
		error = read_pair(r, mapping, &key, depth, &child);
		yaml_event_delete(&key);
		if (error == 0)
			error = append(r, mapping, &last, child);
		if (error != 0)
			return error;
	}
	yaml_event_delete(&key);
	return 0;
}

/* Recursion is bounded by REFLECT_DEPTH_MAX. */
static int read_node(struct reader *r, const yaml_event_t *e, int depth, struct node **out)
{
	int error = new_node(r, e, out);

	if (error != 0)
		return error;
	if (e->type == YAML_SCALAR_EVENT)
		return scalar_text(r, e, &(*out)->text);
	if (depth >= REFLECT_DEPTH_MAX)
		return fail_at(r, &e->start_mark, "nested too deeply (at most 12 levels)");
	if (e->type == YAML_SEQUENCE_START_EVENT) {
		(*out)->kind = NODE_LIST;
		return read_list(r, *out, depth);
	}
	(*out)->kind = NODE_MAPPING;
	return read_mapping(r, *out, depth);
}

/* One event of the frame around the document: stream start, document start and so on. */
static int expect(struct reader *r, yaml_event_type_t *type)
{
	yaml_event_t e;
	int error = next_event(r, &e);

	if (error != 0)
		return error;
	*type = e.type;
	if (e.type == YAML_DOCUMENT_START_EVENT && r->tree->count > 0)
		error = fail_at(
			r, &e.start_mark, "a second document begins here: only one is read");
	yaml_event_delete(&e);
	return error;
}

static int read_document(struct reader *r)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	struct node *root;
	yaml_event_t e;
	int error = expect(r, &type);

	if (error == 0)
		error = expect(r, &type);
	if (error != 0 || type == YAML_STREAM_END_EVENT)
		return error;
	error = next_event(r, &e);
	if (error != 0)
		return error;
	error = read_node(r, &e, 0, &root);
	yaml_event_delete(&e);
	if (error == 0)
		error = expect(r, &type); /* document end */
	if (error == 0)
		error = expect(r, &type); /* stream end, or a second document */
	return error;
}

int node_tree_read(
	struct node_tree *tree, const char *text, size_t bytes, struct reflect_error *error)
{
	struct reader r = {.text = text, .tree = tree, .error = error};
	int result;

	*tree = (struct node_tree){.node = calloc(REFLECT_NODES_MAX, sizeof(struct node))};
	if (tree->node == NULL)
		return -ENOMEM;
	if (bytes > REFLECT_YAML_MAX)
		return reflect_fail(error, 0, 0, "longer than %d KiB", REFLECT_YAML_MAX / 1024);
	if (!yaml_parser_initialize(&r.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
	result = read_document(&r);
	yaml_parser_delete(&r.parser);
	return result;
}

void node_tree_free(struct node_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		free(tree->node[i].text);
		free(tree->node[i].key);
	}
	free(tree->node);
	*tree = (struct node_tree){0};
}

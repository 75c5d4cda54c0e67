/*
 * One value by its path: what an operator changes while natlock runs, one key at a time.
 *
 * A value is built as if it stood in a file (reflect_build.c), so the same texts are accepted and the same errors are
 * said. An element to be added, or to be looked for, is built in an empty message of the section's type first:
 * what cannot be built changes nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reflect_core.h"

enum { SHOWN = 64 };

/* Where a path ends. */
struct spot {
	ProtobufCMessage *section;
	const ProtobufCFieldDescriptor *field;
};

static int no_path(struct reflect_error *error, const char *path, const char *why)
{
	char shown[2 * SHOWN];

	return reflect_fail(
		error, 0, 0, "\"%s\" %s", reflect_printable(shown, sizeof(shown), path), why);
}

/* The next name of a path into out; what follows it, or NULL when it cannot be a name. */
static const char *next_name(const char *path, char out[SHOWN])
{
	size_t n = strcspn(path, ".");

	if (n == 0 || n >= SHOWN)
		return NULL;
	memcpy(out, path, n);
	out[n] = '\0';
	return path + n;
}

static int find(
	ProtobufCMessage *message, const char *path, struct spot *spot, struct reflect_error *error)
{
	char name[SHOWN], above[2 * SHOWN] = "";
	const char *rest = path;

	for (;;) {
		const char *here = rest;

		rest = next_name(here, name);
		if (rest == NULL)
			return no_path(
				error, path, "is no path to a value, such as nat.tcp_timeout");
		spot->section = message;
		spot->field =
			protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
		if (spot->field == NULL)
			return reflect_fail_key(error, 0, 0, name, message->descriptor, above);
		if (*rest == '\0')
			return 0;
		if (field_is_list(spot->field) || !field_is_section(spot->field))
			return no_path(error, path,
				field_is_list(spot->field)
					? "leads into a list: its elements are added and removed, "
					  "or "
					  "all set"
					: "leads into a value: it is set as a whole");
		message = *(ProtobufCMessage **)field_slot(message, spot->field);
		if (message == NULL)
			return no_path(error, path, "is not there");
		snprintf(above, sizeof(above), "%.*s", (int)(rest - path), path);
		rest++;
	}
}

const ProtobufCMessage *reflect_find(const ProtobufCMessage *message, const char *path,
	const ProtobufCFieldDescriptor **field, struct reflect_error *error)
{
	struct spot spot;

	if (find((ProtobufCMessage *)(uintptr_t)message, path, &spot, error) != 0)
		return NULL;
	*field = spot.field;
	return spot.section;
}

int reflect_take(ProtobufCMessage *to, const ProtobufCMessage *from, const char *path)
{
	const ProtobufCFieldDescriptor *field;
	struct reflect_error error;
	const ProtobufCMessage *holder = reflect_find(from, path, &field, &error);
	struct spot spot;
	ProtobufCMessage *copy;

	if (holder == NULL || find(to, path, &spot, &error) != 0)
		return -EINVAL;
	copy = reflect_copy(holder);
	if (copy == NULL)
		return -ENOMEM;
	field_move(spot.section, copy, field);
	protobuf_c_message_free_unpacked(copy, NULL);
	return 0;
}

/* An empty message of the section's type whose list has the one element that the value describes. */
static int build_one(const struct spot *spot, const struct node *value, const char *path,
	ProtobufCMessage **out, struct reflect_error *error)
{
	struct node list = {.kind = NODE_LIST, .child_count = 1};
	struct node element = *value;
	int result;

	element.next = NULL;
	list.child = &element;
	*out = reflect_new(spot->section->descriptor);
	if (*out == NULL)
		return -ENOMEM;
	result = reflect_build_at(&list, *out, spot->field, path, error);
	if (result == 0)
		return 0;
	protobuf_c_message_free_unpacked(*out, NULL);
	return result;
}

static const char *name_of(const ProtobufCMessage *element)
{
	return *(const char *const *)field_value(element, &element->descriptor->fields[0]);
}

static const ProtobufCMessage *section_at(const void *element)
{
	return *(const ProtobufCMessage *const *)element;
}

/* Whether the list has this very element already, or one with its name. */
static bool has(const struct spot *spot, const void *element)
{
	if (field_is_keyed(spot->field) && name_of(section_at(element)) != NULL &&
		field_named(spot->section, spot->field, name_of(section_at(element))) != NULL)
		return true;
	for (size_t i = 0; i < field_count(spot->section, spot->field); i++)
		if (field_element_equal(
			    spot->field, field_element(spot->section, spot->field, i), element))
			return true;
	return false;
}

/* Makes room for one element more and moves it there. */
static int append(const struct spot *spot, ProtobufCMessage *from)
{
	void **slot = field_slot(spot->section, spot->field);
	size_t count = field_count(spot->section, spot->field);
	size_t bytes = field_element_bytes(spot->field);
	uint8_t *grown = reallocarray(*slot, count + 1, bytes);

	if (grown == NULL)
		return -ENOMEM;
	*slot = grown;
	memcpy(grown + count * bytes, field_element(from, spot->field, 0), bytes);
	field_set_count(spot->section, spot->field, count + 1);
	field_set_count(from, spot->field, 0);
	return 0;
}

static int add(const struct spot *spot, const struct node *value, const char *path,
	struct reflect_error *error)
{
	ProtobufCMessage *one;
	int result = build_one(spot, value, path, &one, error);

	if (result != 0)
		return result;
	if (field_count(spot->section, spot->field) >= REFLECT_ITEMS_MAX)
		result = reflect_fail(
			error, 0, 0, "%s has %d entries already", path, REFLECT_ITEMS_MAX);
	else if (has(spot, field_element(one, spot->field, 0)))
		result = reflect_fail(error, 0, 0, "%s has this entry already", path);
	else
		result = append(spot, one);
	protobuf_c_message_free_unpacked(one, NULL);
	return result;
}

/* Whether an element has all that the pattern gives. */
static bool fits(const ProtobufCFieldDescriptor *field, const void *pattern, const void *element)
{
	const ProtobufCMessage *wanted, *its;

	if (!field_is_section(field))
		return field_element_equal(field, pattern, element);
	wanted = section_at(pattern);
	its = section_at(element);
	for (unsigned int i = 0; i < wanted->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &wanted->descriptor->fields[i];

		if (field_present(wanted, f) && !field_equal(f, wanted, its))
			return false;
	}
	return true;
}

/* Takes the elements out that fit; how many. */
static size_t take_out(const struct spot *spot, const void *pattern)
{
	size_t count = field_count(spot->section, spot->field), kept = 0;
	size_t bytes = field_element_bytes(spot->field);
	uint8_t *elements = *(uint8_t **)field_slot(spot->section, spot->field);

	for (size_t i = 0; i < count; i++) {
		if (fits(spot->field, pattern, elements + i * bytes)) {
			field_free_elements(spot->field, elements + i * bytes, 1);
			continue;
		}
		memmove(elements + kept++ * bytes, elements + i * bytes, bytes);
	}
	field_set_count(spot->section, spot->field, kept);
	return count - kept;
}

/* {} would fit everything: that is rather a slip than a wish. */
static bool says_nothing(const struct node *value)
{
	return value->kind == NODE_MAPPING ? value->child_count == 0
					   : value->kind == NODE_SCALAR && value->text[0] == '\0';
}

static int take(const struct spot *spot, const struct node *value, const char *path,
	struct reflect_error *error)
{
	char key[] = "name";
	struct node name = *value, named = {.kind = NODE_MAPPING, .child = &name, .child_count = 1};
	ProtobufCMessage *one;
	size_t taken;
	int result;

	name.key = key;
	if (says_nothing(value))
		return reflect_fail(
			error, 0, 0, "%s: say what to remove, or set the whole list to []", path);
	if (field_is_keyed(spot->field) && value->kind == NODE_SCALAR)
		value = &named;
	result = build_one(spot, value, path, &one, error);
	if (result != 0)
		return result;
	taken = take_out(spot, field_element(one, spot->field, 0));
	protobuf_c_message_free_unpacked(one, NULL);
	if (taken > 0)
		return 0;
	reflect_fail(error, 0, 0, "%s has no such entry", path);
	return -ENOENT;
}

static int change(const struct spot *spot, enum reflect_how how, const struct node *value,
	const char *path, struct reflect_error *error)
{
	if (how == REFLECT_SET)
		return reflect_build_at(value, spot->section, spot->field, path, error);
	if (!field_is_list(spot->field))
		return reflect_fail(error, 0, 0, "%s is not a list: it can only be set", path);
	return how == REFLECT_ADD ? add(spot, value, path, error) : take(spot, value, path, error);
}

int reflect_change(ProtobufCMessage *message, enum reflect_how how, const char *path,
	const char *value, struct reflect_error *error)
{
	static char nothing[] = "";
	struct node empty = {.kind = NODE_SCALAR, .text = nothing};
	struct node_tree tree;
	struct spot spot;
	int result;

	*error = (struct reflect_error){0};
	result = find(message, path, &spot, error);
	if (result != 0)
		return result;
	result = node_tree_read(&tree, value, strlen(value), error);
	if (result == 0)
		result = change(&spot, how, tree.count > 0 ? &tree.node[0] : &empty, path, error);
	node_tree_free(&tree);
	return result;
}

struct differences {
	char (*path)[REFLECT_PATH_BYTES];
	size_t cap, count;
};

static void compare(struct differences *d, const ProtobufCMessage *a, const ProtobufCMessage *b,
	const char *above)
{
	for (unsigned int i = 0; i < a->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &a->descriptor->fields[i];
		char path[REFLECT_PATH_BYTES];

		if (field_equal(field, a, b))
			continue;
		snprintf(path, sizeof(path), "%s%s%s", above, above[0] != '\0' ? "." : "",
			field->name);
		if (!field_is_list(field) && field_is_section(field) && field_present(a, field) &&
			field_present(b, field)) {
			compare(d, section_at(field_value(a, field)),
				section_at(field_value(b, field)), path);
			continue;
		}
		if (d->count < d->cap)
			memcpy(d->path[d->count], path, sizeof(path));
		d->count++;
	}
}

size_t reflect_differences(const ProtobufCMessage *a, const ProtobufCMessage *b,
	char (*path)[REFLECT_PATH_BYTES], size_t cap)
{
	struct differences d = {path, cap, 0};

	compare(&d, a, b, "");
	return d.count;
}

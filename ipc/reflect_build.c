/*
 * A tree of nodes laid over a message, field by field.
 *
 *   mapping ▶ section: each key is looked up among the fields; the section is changed in place
 *   list    ▶ repeated field: new elements are built beside the old ones, then take their place
 *   mapping ▶ list keyed by name: key = name, value = the rest,
 *             on top of a copy of the old element "default"
 *   scalar  ▶ notation, enum word, number, true/false or string: replaces
 *
 * Errors name the value by its path. The path of a keyed element is "hubs.lab", that of what is
 * below it starts anew ("nat.mtu"), since line and column already tell which one is meant.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reflect_core.h"

struct build {
	const ProtobufCMessage *merged; /* its keyed lists are merged by name; NULL: none */
	struct reflect_marks *marks;
	struct reflect_error *error;
};

struct path {
	char text[96];
	bool anew; /* what is below starts a new path */
};

enum { SHOWN = 64, LIST_SHOWN = 256 };

static struct path path_below(const struct path *above, const char *name, bool anew)
{
	struct path p = {.anew = anew};
	char shown[SHOWN];

	reflect_printable(shown, sizeof(shown), name);
	if (above->anew || above->text[0] == '\0')
		snprintf(p.text, sizeof(p.text), "%s", shown);
	else
		snprintf(p.text, sizeof(p.text), "%.30s.%s", above->text, shown);
	return p;
}

/* `"VALUE" is not HELP` at the value. */
static int fail_value(
	struct build *b, const struct node *n, const struct path *path, const char *help)
{
	char shown[SHOWN];

	if (n->kind != NODE_SCALAR)
		return reflect_fail(b->error, n->line, n->column, "%s is %s here, but should be %s",
			path->text, n->kind == NODE_LIST ? "a list" : "a mapping", help);
	if (n->text[0] == '\0')
		return reflect_fail(b->error, n->line, n->column,
			"%s has no value: it should be %s", path->text, help);
	return reflect_fail(b->error, n->line, n->column, "%s: \"%s\" is not %s", path->text,
		reflect_printable(shown, sizeof(shown), n->text), help);
}

/* Appends "Did you mean X?" or else the list of all words. */
static void explain_words(char *out, size_t cap, const char *word, const char *const *known,
	size_t count, const char *title)
{
	const char *meant = reflect_suggest(word, known, count);
	size_t used;

	if (meant != NULL) {
		snprintf(out, cap, "Did you mean \"%s\"?", meant);
		return;
	}
	used = (size_t)snprintf(out, cap, "%s: ", title);
	for (size_t i = 0; i < count && used < cap; i++)
		used += (size_t)snprintf(
			out + used, cap - used, "%s%s", i > 0 ? ", " : "", known[i]);
}

enum { WORDS_MAX = 64 };

int reflect_fail_key(struct reflect_error *error, int line, int column, const char *key,
	const ProtobufCMessageDescriptor *type, const char *path)
{
	const char *known[WORDS_MAX];
	char shown[SHOWN], help[LIST_SHOWN];
	size_t count = 0;

	for (; count < type->n_fields && count < WORDS_MAX; count++)
		known[count] = type->fields[count].name;
	explain_words(help, sizeof(help), key, known, count, "Known keys");
	return reflect_fail(error, line, column, "unknown key \"%s\"%s%s. %s",
		reflect_printable(shown, sizeof(shown), key), path[0] != '\0' ? " in " : "", path,
		help);
}

static int build_enum(struct build *b, const struct node *n, const ProtobufCEnumDescriptor *type,
	const struct path *path, void *value)
{
	const char *known[WORDS_MAX];
	const ProtobufCEnumValue *found;
	char shown[SHOWN], help[LIST_SHOWN];
	size_t count = 0;

	for (; count < type->n_values && count < WORDS_MAX; count++)
		known[count] = type->values[count].name;
	if (n->kind != NODE_SCALAR || n->text[0] == '\0') {
		explain_words(help, sizeof(help), "", known, count, "one of");
		return fail_value(b, n, path, help);
	}
	found = protobuf_c_enum_descriptor_get_value_by_name(type, n->text);
	if (found == NULL) {
		explain_words(help, sizeof(help), n->text, known, count, "It may be one of");
		return reflect_fail(b->error, n->line, n->column, "%s: unknown word \"%s\". %s",
			path->text, reflect_printable(shown, sizeof(shown), n->text), help);
	}
	memcpy(value, &found->value, sizeof(found->value));
	return 0;
}

static bool parse_number(const char *text, uint64_t most, uint64_t *value)
{
	*value = 0;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(*value, 10, value) ||
			__builtin_add_overflow(*value, (uint64_t)(*text - '0'), value) ||
			*value > most)
			return false;
	}
	return true;
}

static int build_number(
	struct build *b, const struct node *n, bool wide, const struct path *path, void *value)
{
	uint64_t most = wide ? UINT64_MAX : UINT32_MAX, number;
	uint32_t narrow;
	char help[64];

	if (n->kind != NODE_SCALAR || !parse_number(n->text, most, &number)) {
		snprintf(help, sizeof(help), "a whole number from 0 to %" PRIu64, most);
		return fail_value(b, n, path, help);
	}
	narrow = (uint32_t)number;
	if (wide)
		memcpy(value, &number, sizeof(number));
	else
		memcpy(value, &narrow, sizeof(narrow));
	return 0;
}

static int build_bool(struct build *b, const struct node *n, const struct path *path, void *value)
{
	protobuf_c_boolean yes = n->kind == NODE_SCALAR && strcmp(n->text, "true") == 0;

	if (!yes && (n->kind != NODE_SCALAR || strcmp(n->text, "false") != 0))
		return fail_value(b, n, path, "true or false");
	memcpy(value, &yes, sizeof(yes));
	return 0;
}

static int build_string(struct build *b, const struct node *n, const struct path *path, void *value)
{
	char *copy;

	if (n->kind != NODE_SCALAR)
		return fail_value(b, n, path, "a text");
	for (const char *c = n->text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return fail_value(b, n, path, "free of control characters");
	copy = strdup(n->text);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(value, &copy, sizeof(copy));
	return 0;
}

static int build_section(struct build *b, const struct node *n, ProtobufCMessage *message,
	const struct path *path, const char *given_name);

/* A message written as text. An IpRange may also be a mapping; either way nothing of the old value
 * stays. */
static int build_notation(struct build *b, const struct node *n,
	const ProtobufCMessageDescriptor *type, const struct path *path, void *value)
{
	ProtobufCMessage *fresh = reflect_new(type);
	bool mapping = n->kind == NODE_MAPPING && strcmp(type->name, "nl.IpRange") == 0;
	int error;

	if (fresh == NULL)
		return -ENOMEM;
	if (mapping)
		error = build_section(b, n, fresh, path, NULL);
	else if (n->kind == NODE_SCALAR)
		error = reflect_text_read(fresh, n->text);
	else
		error = -EINVAL;
	if (error == -EINVAL && !mapping)
		error = fail_value(b, n, path, reflect_text_help(type));
	if (error != 0) {
		protobuf_c_message_free_unpacked(fresh, NULL);
		return error;
	}
	memcpy(value, &fresh, sizeof(fresh));
	return 0;
}

/* One value that replaces: writes the field's C value to *value, which owns nothing yet. */
static int build_value(struct build *b, const struct node *n, const ProtobufCFieldDescriptor *field,
	const struct path *path, void *value)
{
	switch ((int)field->type) {
	case PROTOBUF_C_TYPE_ENUM: return build_enum(b, n, field->descriptor, path, value);
	case PROTOBUF_C_TYPE_UINT32: return build_number(b, n, false, path, value);
	case PROTOBUF_C_TYPE_UINT64: return build_number(b, n, true, path, value);
	case PROTOBUF_C_TYPE_BOOL: return build_bool(b, n, path, value);
	case PROTOBUF_C_TYPE_STRING: return build_string(b, n, path, value);
	case PROTOBUF_C_TYPE_MESSAGE: return build_notation(b, n, field->descriptor, path, value);
	default: abort(); /* config.proto uses raw bytes and fixed32 only inside notations */
	}
}

static int mark(struct build *b, const struct node *n, const ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, size_t index)
{
	struct reflect_mark m = {message, field, index, n->line, n->column};

	return reflect_marks_add(b->marks, &m);
}

/* The name is the one thing that an element must not inherit. */
static void forget_name(ProtobufCMessage *message)
{
	char **name = field_slot(message, &message->descriptor->fields[0]);

	free(*name);
	*name = NULL;
}

/* A new element of a list of sections; `old` is the message whose list is replaced. */
static int build_element(struct build *b, const struct node *n, const ProtobufCMessage *old,
	const ProtobufCFieldDescriptor *field, const struct path *path, ProtobufCMessage **out)
{
	const ProtobufCMessage *model =
		field_is_keyed(field) ? field_named(old, field, "default") : NULL;
	struct path below = *path;

	*out = model != NULL ? reflect_copy(model) : reflect_new(field->descriptor);
	if (*out == NULL)
		return -ENOMEM;
	if (model != NULL)
		forget_name(*out);
	if (n->key != NULL)
		below = path_below(path, n->key, true);
	return build_section(b, n, *out, &below, n->key);
}

static int build_elements(struct build *b, const struct node *list, ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const struct path *path, uint8_t *elements)
{
	size_t bytes = field_element_bytes(field), i = 0;
	int error = 0;

	for (const struct node *n = list->child; n != NULL && error == 0; n = n->next, i++) {
		void *element = elements + i * bytes;

		error = mark(b, n, message, field, i);
		if (error != 0)
			return error;
		if (field_is_section(field))
			error = build_element(b, n, message, field, path, element);
		else
			error = build_value(b, n, field, path, element);
	}
	return error;
}

/* Elements that both have are laid over each other; what the text names beside is passed over. */
static int merge_list(struct build *b, const struct node *list, const ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const struct path *path)
{
	int error = 0;

	for (const struct node *n = list->child; n != NULL && error == 0; n = n->next) {
		const ProtobufCMessage *old = field_named(message, field, n->key);
		struct path below = path_below(path, n->key, true);

		if (old != NULL)
			error = build_section(
				b, n, (ProtobufCMessage *)(uintptr_t)old, &below, NULL);
	}
	return error;
}

static int build_list(struct build *b, const struct node *n, ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const struct path *path)
{
	bool merge = message == b->merged && field_is_keyed(field);
	bool fits = n->kind == NODE_MAPPING ? field_is_keyed(field)
					    : n->kind == NODE_LIST && !merge;
	void **slot = field_slot(message, field);
	void *elements;
	int error;

	if (!fits)
		return fail_value(b, n, path,
			field_is_keyed(field) ? "a mapping from names to what they mean"
					      : "a list in brackets");
	if (merge)
		return merge_list(b, n, message, field, path);
	elements = calloc(n->child_count + 1, field_element_bytes(field));
	if (elements == NULL)
		return -ENOMEM;
	error = build_elements(b, n, message, field, path, elements);
	if (error != 0) {
		field_free_elements(field, elements, n->child_count);
		free(elements);
		return error;
	}
	field_free_elements(field, *slot, field_count(message, field));
	free(*slot);
	*slot = n->child_count > 0 ? elements : NULL;
	if (*slot == NULL)
		free(elements);
	field_set_count(message, field, n->child_count);
	return 0;
}

static int build_subsection(struct build *b, const struct node *n, ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const struct path *path)
{
	ProtobufCMessage **slot = field_slot(message, field);

	if (*slot == NULL)
		*slot = reflect_new(field->descriptor);
	return *slot == NULL ? -ENOMEM : build_section(b, n, *slot, path, NULL);
}

static int build_field(struct build *b, const struct node *n, ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const struct path *path)
{
	uint64_t value = 0; /* large enough for every type that build_value writes */
	void *slot = field_slot(message, field);
	int error;

	if (field_is_list(field))
		return build_list(b, n, message, field, path);
	if (field_is_section(field))
		return build_subsection(b, n, message, field, path);
	error = build_value(b, n, field, path, &value);
	if (error != 0)
		return error;
	field_free_elements(field, slot, 1);
	memcpy(slot, &value, field_element_bytes(field));
	field_set_present(message, field);
	return 0;
}

static int build_name(ProtobufCMessage *message, const char *given_name)
{
	char **name = field_slot(message, &message->descriptor->fields[0]);
	char *copy = strdup(given_name);

	if (copy == NULL)
		return -ENOMEM;
	forget_name(message);
	*name = copy;
	return 0;
}

static int build_section(struct build *b, const struct node *n, ProtobufCMessage *message,
	const struct path *path, const char *given_name)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	int error = given_name != NULL ? build_name(message, given_name) : 0;
	bool empty = n->kind == NODE_SCALAR && n->text[0] == '\0';

	if (error != 0 || empty)
		return error;
	if (n->kind != NODE_MAPPING)
		return fail_value(b, n, path, "a mapping with keys of its own");
	for (const struct node *c = n->child; c != NULL && error == 0; c = c->next) {
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field_by_name(type, c->key);
		struct path below = path_below(path, c->key, false);

		if (field == NULL)
			return reflect_fail_key(
				b->error, c->key_line, c->key_column, c->key, type, path->text);
		if (given_name != NULL && field == &type->fields[0])
			return reflect_fail(b->error, c->key_line, c->key_column,
				"the name is already given: \"%s\"", path->text);
		error = mark(b, c, message, field, REFLECT_WHOLE);
		if (error == 0)
			error = build_field(b, c, message, field, &below);
	}
	return error;
}

int reflect_build(const struct node *root, ProtobufCMessage *message, bool merge,
	struct reflect_marks *marks, struct reflect_error *error)
{
	struct build b = {.merged = merge ? message : NULL, .marks = marks, .error = error};
	struct path top = {.text = ""};

	if (root->kind != NODE_MAPPING && (root->kind != NODE_SCALAR || root->text[0] != '\0'))
		return reflect_fail(error, root->line, root->column,
			"this is not a configuration: it should begin with a key such as \"%s:\"",
			message->descriptor->fields[0].name);
	return build_section(&b, root, message, &top, NULL);
}

int reflect_build_at(const struct node *n, ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const char *path, struct reflect_error *error)
{
	struct build b = {.error = error};
	struct path here = {.text = ""};

	snprintf(here.text, sizeof(here.text), "%s", path);
	return build_field(&b, n, message, field, &here);
}

static int read_and_build(ProtobufCMessage *message, bool merge, const char *text, size_t bytes,
	struct reflect_marks *marks, struct reflect_error *error)
{
	struct node_tree tree;
	int result;

	*error = (struct reflect_error){0};
	result = node_tree_read(&tree, text, bytes, error);
	if (result == 0 && tree.count > 0)
		result = reflect_build(&tree.node[0], message, merge, marks, error);
	node_tree_free(&tree);
	return result;
}

int reflect_yaml(ProtobufCMessage *message, const char *text, size_t bytes,
	struct reflect_marks *marks, struct reflect_error *error)
{
	return read_and_build(message, false, text, bytes, marks, error);
}

int reflect_yaml_merge(
	ProtobufCMessage *message, const char *text, size_t bytes, struct reflect_error *error)
{
	return read_and_build(message, true, text, bytes, NULL, error);
}

/* What the files of reflect share: nodes of a parsed text, and access to a message's fields by
 * descriptor. */
#ifndef NATLOCK_IPC_REFLECT_CORE_H
#define NATLOCK_IPC_REFLECT_CORE_H

#include "reflect.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAPPING };

struct node {
	enum node_kind kind;
	int line, column; /* of the value */
	char *key;	  /* inside a mapping; else NULL */
	int key_line, key_column;
	char *text; /* of a scalar; no NUL inside, at most REFLECT_SCALAR_MAX bytes */
	struct node *child, *next; /* children in the order of the text */
	size_t child_count;
};

struct node_tree {
	struct node *node; /* REFLECT_NODES_MAX of them; [0] is the root when count > 0 */
	size_t count;
};

/* Parses one document; an empty text gives count 0. 0, -EINVAL with *error, -ENOMEM. Free in every
 * case. */
int node_tree_read(
	struct node_tree *tree, const char *text, size_t bytes, struct reflect_error *error);
void node_tree_free(struct node_tree *tree);

/* Fills *error, escaping nothing: arguments must be printable. Returns -EINVAL. */
int reflect_fail(struct reflect_error *error, int line, int column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The memory of a field: its value, or the pointer to its elements. */
static inline void *field_slot(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return (uint8_t *)message + field->offset;
}
static inline const void *field_value(
	const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return (const uint8_t *)message + field->offset;
}
static inline bool field_is_list(const ProtobufCFieldDescriptor *field)
{
	return field->label == PROTOBUF_C_LABEL_REPEATED;
}
/* A message that has fields of its own, as opposed to one written as text. */
static inline bool field_is_section(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_MESSAGE && !reflect_has_text(field->descriptor);
}
/* A list whose elements are sections that begin with a name. */
bool field_is_keyed(const ProtobufCFieldDescriptor *field);
size_t field_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/* Given at all: has_, a pointer, or for a list at least one element. */
bool field_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
void field_set_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
void field_set_count(
	ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t count);
/* Bytes of one value of the field's type. */
size_t field_element_bytes(const ProtobufCFieldDescriptor *field);
/* Address of element i of a list, or of the single value (i = 0). */
const void *field_element(
	const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t i);
/* Frees `count` values of the field's type in an array (not the array). */
void field_free_elements(const ProtobufCFieldDescriptor *field, void *elements, size_t count);
/* The element of a keyed list with this name, or NULL. */
const ProtobufCMessage *field_named(
	const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, const char *name);
/* Whether both messages, of one type, hold the same in this field. */
bool field_equal(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *a,
	const ProtobufCMessage *b);
/* The same of one value at its address. */
bool field_element_equal(const ProtobufCFieldDescriptor *field, const void *a, const void *b);
/* The value of a field goes from one message to another of the same type; the old one is freed. */
void field_move(
	ProtobufCMessage *to, ProtobufCMessage *from, const ProtobufCFieldDescriptor *field);
/* An empty message of that type on the heap; NULL: out of memory. */
ProtobufCMessage *reflect_new(const ProtobufCMessageDescriptor *type);

/* Lays a parsed text over a message (reflect_yaml, reflect_yaml_merge). */
int reflect_build(const struct node *root, ProtobufCMessage *message, bool merge,
	struct reflect_marks *marks, struct reflect_error *error);
/* Lays a parsed value over one field; `path` is what errors call it. Places are those of the value's own text. */
int reflect_build_at(const struct node *n, ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const char *path, struct reflect_error *error);
/* `unknown key "mtuu" in nat. Did you mean "mtu"?` Returns -EINVAL. */
int reflect_fail_key(struct reflect_error *error, int line, int column, const char *key,
	const ProtobufCMessageDescriptor *type, const char *path);
int reflect_marks_add(struct reflect_marks *marks, const struct reflect_mark *mark);

#endif

/*
 * Fields by descriptor, copies, comparison, marks and suggestions: what the readers and printers
 * stand on.
 *
 * protobuf-c lays a message out as a C struct; a field descriptor tells the offset of the value
 * and, for optional scalars and lists, the offset of has_ or n_. Every value below is reached only
 * through those two offsets, in this file. Memory is malloc's, so
 * protobuf_c_message_free_unpacked(message, NULL) frees it all.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "reflect_core.h"

int reflect_fail(struct reflect_error *error, int line, int column, const char *format, ...)
{
	va_list args;

	error->line = line;
	error->column = column;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -EINVAL;
}

static const uint8_t *quantifier(
	const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return (const uint8_t *)message + field->quantifier_offset;
}

size_t field_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	size_t count;

	memcpy(&count, quantifier(message, field), sizeof(count));
	return count;
}

void field_set_count(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t count)
{
	memcpy((uint8_t *)message + field->quantifier_offset, &count, sizeof(count));
}

static bool is_pointer(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;
}

bool field_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	protobuf_c_boolean has;

	if (field_is_list(field))
		return field_count(message, field) > 0;
	if (is_pointer(field))
		return *(void *const *)field_value(message, field) != NULL;
	memcpy(&has, quantifier(message, field), sizeof(has));
	return has;
}

void field_set_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	protobuf_c_boolean has = 1;

	if (!is_pointer(field))
		memcpy((uint8_t *)message + field->quantifier_offset, &has, sizeof(has));
}

size_t field_element_bytes(const ProtobufCFieldDescriptor *field)
{
	switch ((int)field->type) {
	case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_UINT64: return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_ENUM: return sizeof(uint32_t);
	default: abort(); /* a type that neither config.proto nor operator.proto uses */
	}
}

const void *field_element(
	const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t i)
{
	const uint8_t *value = field_value(message, field);

	if (field_is_list(field))
		value = *(const uint8_t *const *)(const void *)value;
	return value + i * field_element_bytes(field);
}

void field_free_elements(const ProtobufCFieldDescriptor *field, void *elements, size_t count)
{
	void **pointer = elements;

	for (size_t i = 0; i < count && is_pointer(field); i++) {
		if (pointer[i] == NULL)
			continue;
		if (field->type == PROTOBUF_C_TYPE_STRING)
			free(pointer[i]);
		else
			protobuf_c_message_free_unpacked(pointer[i], NULL);
	}
}

bool field_is_keyed(const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *type = field->descriptor;

	return field_is_list(field) && field_is_section(field) && type->n_fields > 0 &&
	       strcmp(type->fields[0].name, "name") == 0;
}

const ProtobufCMessage *field_named(
	const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, const char *name)
{
	for (size_t i = 0; i < field_count(message, field); i++) {
		const ProtobufCMessage *element =
			*(const ProtobufCMessage *const *)field_element(message, field, i);
		const char *its_name =
			*(const char *const *)field_value(element, &element->descriptor->fields[0]);

		if (its_name != NULL && strcmp(its_name, name) == 0)
			return element;
	}
	return NULL;
}

ProtobufCMessage *reflect_new(const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = malloc(type->sizeof_message);

	if (message != NULL)
		protobuf_c_message_init(type, message);
	return message;
}

ProtobufCMessage *reflect_copy(const ProtobufCMessage *message)
{
	size_t bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(bytes > 0 ? bytes : 1);
	ProtobufCMessage *copy;

	if (packed == NULL)
		return NULL;
	protobuf_c_message_pack(message, packed);
	copy = protobuf_c_message_unpack(message->descriptor, NULL, bytes, packed);
	free(packed);
	return copy;
}

static bool bytes_equal(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

bool field_element_equal(const ProtobufCFieldDescriptor *field, const void *a, const void *b)
{
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return reflect_equal(
			*(const ProtobufCMessage *const *)a, *(const ProtobufCMessage *const *)b);
	if (field->type == PROTOBUF_C_TYPE_BYTES)
		return bytes_equal(a, b);
	return memcmp(a, b, field_element_bytes(field)) == 0;
}

bool field_equal(
	const ProtobufCFieldDescriptor *field, const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	size_t count = 1;

	if (field_present(a, field) != field_present(b, field))
		return false;
	if (!field_present(a, field))
		return true;
	if (field_is_list(field)) {
		count = field_count(a, field);
		if (count != field_count(b, field))
			return false;
	}
	for (size_t i = 0; i < count; i++)
		if (!field_element_equal(field, field_element(a, field, i), field_element(b, field, i)))
			return false;
	return true;
}

void field_move(
	ProtobufCMessage *to, ProtobufCMessage *from, const ProtobufCFieldDescriptor *field)
{
	void *old = field_slot(to, field), *fresh = field_slot(from, field);

	if (field_is_list(field)) {
		field_free_elements(field, *(void **)old, field_count(to, field));
		free(*(void **)old);
		memcpy(old, fresh, sizeof(void *));
		field_set_count(to, field, field_count(from, field));
		field_set_count(from, field, 0);
	} else {
		field_free_elements(field, old, 1);
		memcpy(old, fresh, field_element_bytes(field));
		if (!is_pointer(field))
			memcpy((uint8_t *)to + field->quantifier_offset, quantifier(from, field),
				sizeof(protobuf_c_boolean));
	}
	if (field_is_list(field) || is_pointer(field))
		memset(fresh, 0, sizeof(void *));
}

bool reflect_equal(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	for (unsigned int i = 0; i < a->descriptor->n_fields; i++)
		if (!field_equal(&a->descriptor->fields[i], a, b))
			return false;
	return true;
}

int reflect_marks_add(struct reflect_marks *marks, const struct reflect_mark *mark)
{
	if (marks == NULL)
		return 0;
	if (marks->count == marks->capacity) {
		size_t capacity = marks->capacity > 0 ? 2 * marks->capacity : 64;
		struct reflect_mark *grown =
			reallocarray(marks->mark, capacity, sizeof(*marks->mark));

		if (grown == NULL)
			return -ENOMEM;
		marks->mark = grown;
		marks->capacity = capacity;
	}
	marks->mark[marks->count++] = *mark;
	return 0;
}

const struct reflect_mark *reflect_where(const struct reflect_marks *marks,
	const ProtobufCMessage *message, const char *field, size_t index)
{
	for (size_t i = 0; marks != NULL && i < marks->count; i++) {
		const struct reflect_mark *mark = &marks->mark[i];

		if (mark->message == message && mark->index == index &&
			strcmp(mark->field->name, field) == 0)
			return mark;
	}
	return NULL;
}

void reflect_marks_free(struct reflect_marks *marks)
{
	free(marks->mark);
	*marks = (struct reflect_marks){0};
}

enum { WORD_MAX = 40 };

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Edits that turn a into b: insert, delete, replace, swap neighbours. Both at most WORD_MAX bytes.
 */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *above = rows[1], *row = rows[2];
	size_t a_len = strlen(a), b_len = strlen(b);

	for (size_t j = 0; j <= b_len; j++)
		above[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = smallest(above[j] + 1, row[j - 1] + 1,
				above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = above;
		above = row;
		row = spare;
	}
	return above[b_len];
}

const char *reflect_suggest(const char *word, const char *const *known, size_t count)
{
	size_t length = strlen(word), best = length / 3 + 2;
	const char *found = NULL;

	if (length < 2 || length > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t distance;

		if (known[i] == NULL || strlen(known[i]) > WORD_MAX)
			continue;
		distance = edit_distance(word, known[i]);
		if (distance < best && distance < strlen(known[i])) {
			best = distance;
			found = known[i];
		}
	}
	return found;
}

const char *reflect_printable(char *out, size_t cap, const char *text)
{
	size_t i = 0;

	for (; text[i] != '\0' && i + 1 < cap; i++)
		out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	out[i] = '\0';
	return out;
}

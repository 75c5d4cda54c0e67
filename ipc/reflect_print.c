/*
 * Messages as YAML: sections as indented mappings, keyed lists as mappings by name, other lists in
 * brackets. With a base, only what differs from it; an element of a keyed list is compared with the
 * base's "default", because that is what reflect_yaml starts it from. So text laid over the base
 * again gives an equal message.
 */
#include <inttypes.h>
#include <string.h>

#include "reflect_core.h"

enum { INDENT = 2 };

/* Whether a text can stand without quotes and means the same to every YAML reader. */
static bool is_plain(const char *text)
{
	static const char *const words[] = {
		"true", "false", "yes", "no", "on", "off", "null", "y", "n"};

	if (!((*text | 0x20) >= 'a' && (*text | 0x20) <= 'z') && *text != '/')
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
			return false;
	for (const char *c = text; *c != '\0'; c++) {
		bool letter = (*c | 0x20) >= 'a' && (*c | 0x20) <= 'z';

		if (!letter && !(*c >= '0' && *c <= '9') && strchr("/._-", *c) == NULL)
			return false;
	}
	return true;
}

static void print_string(FILE *out, const char *text)
{
	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			fputc('\\', out);
		fputc(*c, out);
	}
	fputc('"', out);
}

/* A notation; quoted where its colon would mean something to other YAML readers. */
static void print_notation(FILE *out, const ProtobufCMessage *message)
{
	char text[REFLECT_TEXT_BYTES];

	reflect_text_write(message, text);
	fprintf(out, strchr(text, ':') != NULL ? "\"%s\"" : "%s", text);
}

static void print_flow(FILE *out, const ProtobufCMessage *message);

static void print_value(FILE *out, const ProtobufCFieldDescriptor *field, const void *value)
{
	const ProtobufCMessage *message;

	switch ((int)field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)value ? "true" : "false", out);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		fputs(protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)value)
				->name,
			out);
		break;
	case PROTOBUF_C_TYPE_UINT64: fprintf(out, "%" PRIu64, *(const uint64_t *)value); break;
	case PROTOBUF_C_TYPE_STRING: print_string(out, *(const char *const *)value); break;
	case PROTOBUF_C_TYPE_MESSAGE:
		message = *(const ProtobufCMessage *const *)value;
		if (field_is_section(field))
			print_flow(out, message);
		else
			print_notation(out, message);
		break;
	default: fprintf(out, "%" PRIu32, *(const uint32_t *)value); break;
	}
}

static void print_list(
	FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	fputc('[', out);
	for (size_t i = 0; i < field_count(message, field); i++) {
		fputs(i > 0 ? ", " : "", out);
		print_value(out, field, field_element(message, field, i));
	}
	fputc(']', out);
}

/* "{key: value, ...}" with what is present. */
static void print_flow(FILE *out, const ProtobufCMessage *message)
{
	const char *separator = "";

	fputc('{', out);
	for (unsigned int i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

		if (!field_present(message, field))
			continue;
		fprintf(out, "%s%s: ", separator, field->name);
		separator = ", ";
		if (field_is_list(field))
			print_list(out, message, field);
		else
			print_value(out, field, field_element(message, field, 0));
	}
	fputc('}', out);
}

static bool print_section(FILE *out, const ProtobufCMessage *message, const ProtobufCMessage *base,
	int indent, bool skip_name);

/* Lists of sections that hold further sections need lines of their own; they are keyed by a name
 * that is given. */
static bool is_block_list(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *type = field->descriptor;
	bool nested = false;

	if (!field_is_keyed(field) || field_count(message, field) == 0)
		return false;
	for (unsigned int i = 0; i < type->n_fields; i++)
		nested = nested || field_is_section(&type->fields[i]);
	return nested;
}

static void print_block_list(FILE *out, const ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const ProtobufCMessage *base, int indent)
{
	const ProtobufCMessage *model = base != NULL ? field_named(base, field, "default") : NULL;

	fprintf(out, "%*s%s:\n", indent, "", field->name);
	for (size_t i = 0; i < field_count(message, field); i++) {
		const ProtobufCMessage *element =
			*(const ProtobufCMessage *const *)field_element(message, field, i);
		const ProtobufCFieldDescriptor *name = &element->descriptor->fields[0];

		fprintf(out, "%*s", indent + INDENT, "");
		print_string(out, *(const char *const *)field_value(element, name));
		fputs(":\n", out);
		print_section(out, element, model, indent + 2 * INDENT, true);
	}
}

static void print_field(FILE *out, const ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const ProtobufCMessage *base, int indent)
{
	if (is_block_list(message, field)) {
		print_block_list(out, message, field, base, indent);
		return;
	}
	fprintf(out, "%*s%s:", indent, "", field->name);
	if (!field_is_list(field) && field_is_section(field)) {
		const ProtobufCMessage *const *section = field_value(message, field);
		const ProtobufCMessage *const *below =
			base != NULL ? field_value(base, field) : NULL;

		fputc('\n', out);
		print_section(out, *section, below != NULL ? *below : NULL, indent + INDENT, false);
		return;
	}
	fputc(' ', out);
	if (field_is_list(field))
		print_list(out, message, field);
	else
		print_value(out, field, field_element(message, field, 0));
	fputc('\n', out);
}

static bool print_section(FILE *out, const ProtobufCMessage *message, const ProtobufCMessage *base,
	int indent, bool skip_name)
{
	bool printed = false;

	for (unsigned int i = skip_name ? 1 : 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

		if (base != NULL ? field_equal(field, message, base)
				 : !field_is_list(field) && !field_present(message, field))
			continue;
		print_field(out, message, field, base, indent);
		printed = true;
	}
	return printed;
}

void reflect_print(FILE *out, const ProtobufCMessage *message)
{
	print_section(out, message, NULL, 0, false);
}

bool reflect_print_diff(FILE *out, const ProtobufCMessage *message, const ProtobufCMessage *base)
{
	return print_section(out, message, base, 0, false);
}

bool reflect_print_at(FILE *out, const ProtobufCMessage *message, const ProtobufCMessage *base,
	const char *path, int indent)
{
	const ProtobufCFieldDescriptor *field;
	const ProtobufCMessage *holder, *below = NULL;
	struct reflect_error error;

	if (path == NULL || path[0] == '\0')
		return print_section(out, message, base, indent, false);
	holder = reflect_find(message, path, &field, &error);
	if (base != NULL)
		below = reflect_find(base, path, &field, &error);
	if (holder == NULL || (below != NULL && field_equal(field, holder, below)))
		return false;
	print_field(out, holder, field, below, indent);
	return true;
}

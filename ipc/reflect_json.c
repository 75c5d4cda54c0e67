/*
 * Messages as JSON. The content may be hostile: rows come from confined actors and carry what
 * guests and far ends wrote. Strings leave here as printable ASCII only, so neither a terminal nor
 * a log reader can be steered by them.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "reflect_core.h"

/*
 * Decodes one UTF-8 sequence (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
 * Returns its bytes, or 1 with U+FFFD when it is malformed. The text is terminated, so a cut
 * sequence ends at its NUL.
 */
static size_t utf8_decode(const uint8_t *text, uint32_t *rune)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t bytes = text[0] < 0x80		  ? 1
		       : (text[0] & 0xe0) == 0xc0 ? 2
		       : (text[0] & 0xf0) == 0xe0 ? 3
		       : (text[0] & 0xf8) == 0xf0 ? 4
						  : 0;

	*rune = 0xfffd;
	if (bytes == 1)
		*rune = text[0];
	if (bytes < 2)
		return 1;
	uint32_t value = text[0] & (0x7fu >> bytes);
	for (size_t i = 1; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 1;
		value = value << 6 | (text[i] & 0x3f);
	}
	if (value < least[bytes] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 1;
	*rune = value;
	return bytes;
}

static void print_rune(FILE *out, uint32_t rune)
{
	if (rune == '"' || rune == '\\')
		fprintf(out, "\\%c", (char)rune);
	else if (rune == '\n')
		fputs("\\n", out);
	else if (rune == '\t')
		fputs("\\t", out);
	else if (rune >= 0x20 && rune < 0x7f)
		fputc((int)rune, out);
	else if (rune < 0x10000)
		fprintf(out, "\\u%04" PRIx32, rune);
	else
		fprintf(out, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((rune - 0x10000) >> 10),
			0xdc00 + ((rune - 0x10000) & 0x3ff));
}

void reflect_json_string(FILE *out, const char *text)
{
	uint32_t rune;

	if (text == NULL) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	for (const uint8_t *c = (const uint8_t *)text; *c != '\0';) {
		c += utf8_decode(c, &rune);
		print_rune(out, rune);
	}
	fputc('"', out);
}

const char *reflect_iso_time(char *out, uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	char date[32];

	if (wall_ms / 1000 > 253402300799u || gmtime_r(&seconds, &tm) == NULL)
		return NULL;
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, REFLECT_TEXT_BYTES, "%s.%03uZ", date, (unsigned int)(wall_ms % 1000));
	return out;
}

static void print_hex(FILE *out, const ProtobufCBinaryData *bytes)
{
	fputc('"', out);
	for (size_t i = 0; i < bytes->len; i++)
		fprintf(out, "%02x", bytes->data[i]);
	fputc('"', out);
}

static void print_message(FILE *out, const ProtobufCMessage *message)
{
	char text[REFLECT_TEXT_BYTES];

	if (reflect_has_text(message->descriptor))
		reflect_json_string(out, reflect_text_write(message, text));
	else
		reflect_json(out, message);
}

/* An enum's word; a number that has none stays a number. */
static void print_enum(FILE *out, const ProtobufCEnumDescriptor *type, int value)
{
	const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);

	if (known != NULL)
		reflect_json_string(out, known->name);
	else
		fprintf(out, "%d", value);
}

static void print_value(FILE *out, const ProtobufCFieldDescriptor *field, const void *value)
{
	switch ((int)field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)value ? "true" : "false", out);
		break;
	case PROTOBUF_C_TYPE_ENUM: print_enum(out, field->descriptor, *(const int *)value); break;
	case PROTOBUF_C_TYPE_STRING: reflect_json_string(out, *(const char *const *)value); break;
	case PROTOBUF_C_TYPE_MESSAGE:
		print_message(out, *(const ProtobufCMessage *const *)value);
		break;
	case PROTOBUF_C_TYPE_BYTES: print_hex(out, value); break;
	case PROTOBUF_C_TYPE_UINT64: fprintf(out, "%" PRIu64, *(const uint64_t *)value); break;
	default: fprintf(out, "%" PRIu32, *(const uint32_t *)value); break;
	}
}

static bool is_moment(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_UINT64 &&
	       (strcmp(field->name, "created_ms") == 0 || strcmp(field->name, "expires_ms") == 0 ||
		       strcmp(field->name, "at_ms") == 0);
}

static void print_moment(
	FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const uint64_t *wall_ms = field_value(message, field);
	char text[REFLECT_TEXT_BYTES];

	fprintf(out, ",\"%.*s\":", (int)(strlen(field->name) - strlen("_ms")), field->name);
	reflect_json_string(
		out, field_present(message, field) ? reflect_iso_time(text, *wall_ms) : NULL);
}

static void print_list(
	FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	fputc('[', out);
	for (size_t i = 0; i < field_count(message, field); i++) {
		fputs(i > 0 ? "," : "", out);
		print_value(out, field, field_element(message, field, i));
	}
	fputc(']', out);
}

static void print_field(
	FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	fprintf(out, "\"%s\":", field->name);
	if (field_is_list(field))
		print_list(out, message, field);
	else if (field_present(message, field))
		print_value(out, field, field_element(message, field, 0));
	else
		fputs("null", out);
	if (is_moment(field))
		print_moment(out, message, field);
}

void reflect_json(FILE *out, const ProtobufCMessage *message)
{
	fputc('{', out);
	for (unsigned int i = 0; i < message->descriptor->n_fields; i++) {
		fputs(i > 0 ? "," : "", out);
		print_field(out, message, &message->descriptor->fields[i]);
	}
	fputc('}', out);
}

static void print_differing(FILE *out, const ProtobufCMessage *message,
	const ProtobufCMessage *base, const ProtobufCFieldDescriptor *only);

/* Elements of a keyed list as far as they differ from the base's by the same name, else from its "default"; all
 * others whole. */
static void print_differing_list(FILE *out, const ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const ProtobufCMessage *base)
{
	fputc('[', out);
	for (size_t i = 0; i < field_count(message, field); i++) {
		const ProtobufCMessage *element =
			*(const ProtobufCMessage *const *)field_element(message, field, i);
		const char *const *name = field_value(element, &element->descriptor->fields[0]);
		const ProtobufCMessage *model =
			base != NULL ? field_named(base, field, *name) : NULL;

		if (model == NULL && base != NULL)
			model = field_named(base, field, "default");
		fputs(i > 0 ? "," : "", out);
		print_differing(out, element, model, NULL);
	}
	fputc(']', out);
}

/* One field with its name; what lies below it only as far as it differs. */
static void print_differing_field(FILE *out, const ProtobufCMessage *message,
	const ProtobufCFieldDescriptor *field, const ProtobufCMessage *base)
{
	const ProtobufCMessage *const *below = base != NULL ? field_value(base, field) : NULL;

	fprintf(out, "\"%s\":", field->name);
	if (field_is_keyed(field))
		print_differing_list(out, message, field, base);
	else if (field_is_list(field))
		print_list(out, message, field);
	else if (field_is_section(field))
		print_differing(out,
			*(const ProtobufCMessage *const *)field_element(message, field, 0),
			below != NULL ? *below : NULL, NULL);
	else
		print_value(out, field, field_element(message, field, 0));
}

/* `only` NULL: all fields. The name of an element of a keyed list is always said. */
static void print_differing(FILE *out, const ProtobufCMessage *message,
	const ProtobufCMessage *base, const ProtobufCFieldDescriptor *only)
{
	const char *separator = "";

	fputc('{', out);
	for (unsigned int i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		bool is_name = i == 0 && strcmp(field->name, "name") == 0;

		if (only != NULL && field != only)
			continue;
		if (base != NULL && !is_name ? field_equal(field, message, base)
					     : !field_is_list(field) && !field_present(message, field))
			continue;
		fputs(separator, out);
		separator = ",";
		print_differing_field(out, message, field, base);
	}
	fputc('}', out);
}

bool reflect_json_at(FILE *out, const ProtobufCMessage *message, const ProtobufCMessage *base,
	const char *path)
{
	const ProtobufCFieldDescriptor *field = NULL;
	const ProtobufCMessage *below = base;
	struct reflect_error error;

	if (path != NULL && path[0] != '\0') {
		message = reflect_find(message, path, &field, &error);
		below = base != NULL ? reflect_find(base, path, &field, &error) : NULL;
	}
	if (message == NULL)
		return false;
	print_differing(out, message, below, field);
	return field != NULL ? below == NULL || !field_equal(field, message, below)
			     : below == NULL || !reflect_equal(message, below);
}

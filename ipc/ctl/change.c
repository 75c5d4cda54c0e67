/*
 *   "mtu=1400"                     ▶ SET nat.mtu "1400"
 *   "tcp 8080 192.168.30.10:80"    ▶ ADD nat.publish {proto: "tcp", listen: "127.0.0.1:8080", ...}
 *
 * The descriptors of config.proto say which keys there are and of what type each is, so a field
 * added there can be set here without a line more. An element's words are read as their notation
 * and written again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "config.pb-c.h"
#include "reflect_core.h"

enum { KEYS_MAX = 64, SHOWN = 64 };

static int fail_key(
	const ProtobufCMessageDescriptor *type, const char *key, const char *path, char *why)
{
	const char *known[KEYS_MAX], *meant;
	char shown[SHOWN];
	size_t count = 0;

	for (; count < type->n_fields && count < KEYS_MAX; count++)
		known[count] = type->fields[count].name;
	meant = reflect_suggest(key, known, count);
	snprintf(why, CHANGE_WHY, "unknown key \"%s\"%s%s%s",
		reflect_printable(shown, sizeof(shown), path),
		meant != NULL ? ". Did you mean \"" : "", meant != NULL ? meant : "",
		meant != NULL ? "\"?" : "");
	return -EINVAL;
}

/* The field that a path such as "nat.mtu" names in a hub; NULL with `why`. */
static const ProtobufCFieldDescriptor *find_field(const char *path, char *why)
{
	const ProtobufCMessageDescriptor *type = &nl__hub__descriptor;
	const ProtobufCFieldDescriptor *field = NULL;
	const char *rest = path;
	char key[CHANGE_PATH];

	while (*rest != '\0') {
		size_t length = strcspn(rest, ".");

		snprintf(key, sizeof(key), "%.*s",
			(int)(length < sizeof(key) ? length : sizeof(key)), rest);
		rest += length;
		rest += *rest == '.';
		field = protobuf_c_message_descriptor_get_field_by_name(type, key);
		if (field == NULL) {
			fail_key(type, key, path, why);
			return NULL;
		}
		if (*rest != '\0' && (!field_is_section(field) || field_is_list(field))) {
			snprintf(why, CHANGE_WHY, "%s has no keys below it", key);
			return NULL;
		}
		type = field->descriptor;
	}
	return field;
}

/* Begins a value in what is left of the list's text. */
static struct quote open_value(struct change_list *list)
{
	struct quote q;

	quote_open(&q, list->text + list->used, sizeof(list->text) - list->used);
	return q;
}

static int close_change(struct change_list *list, Nl__Change__How how, const char *path,
	const struct quote *value, char *why)
{
	Nl__Change *change = &list->change[list->count];
	size_t room = sizeof(list->text) - list->used, bytes = strlen(path) + 1;

	if (list->count == CHANGES_MAX || value->bad || value->used + 1 + bytes > room) {
		snprintf(why, CHANGE_WHY,
			"%s: too long, or with bytes that are not printable, or more than %d "
			"changes",
			path, CHANGES_MAX);
		return -EINVAL;
	}
	nl__change__init(change);
	change->has_how = 1;
	change->how = how;
	change->value = value->out;
	list->used += value->used + 1;
	change->path = memcpy(list->text + list->used, path, bytes);
	list->used += bytes;
	list->pointer[list->count++] = change;
	return 0;
}

int change_set(struct change_list *list, const char *section, const char *word, char *why)
{
	const ProtobufCFieldDescriptor *field;
	const char *value = strchr(word, '=');
	struct quote q = open_value(list);
	char path[CHANGE_PATH], cause[QUOTE_WHY];

	if (value == NULL || value == word || value - word > CHANGE_PATH / 2) {
		snprintf(why, CHANGE_WHY, "\"%s\" is not KEY=VALUE",
			reflect_printable(cause, SHOWN, word));
		return -EINVAL;
	}
	snprintf(path, sizeof(path), "%s%s%.*s", section, section[0] != '\0' ? "." : "",
		(int)(value - word), word);
	field = find_field(path, why);
	if (field == NULL)
		return -EINVAL;
	if (field_is_section(field) && !field_is_list(field)) {
		snprintf(why, CHANGE_WHY,
			"%s has keys of its own; name one of them, as in %s.enable=true", path,
			path);
		return -EINVAL;
	}
	if (quote_value(&q, value + 1, field_is_list(field), cause) != 0) {
		snprintf(why, CHANGE_WHY, "%s: %.200s", path, cause);
		return -EINVAL;
	}
	return close_change(list, NL__CHANGE__HOW__SET, path, &q, why);
}

int change_switch(struct change_list *list, const char *path, const char *value, char *why)
{
	struct quote q = open_value(list);

	if (find_field(path, why) == NULL)
		return -EINVAL;
	quote_raw(&q, value);
	return close_change(list, NL__CHANGE__HOW__SET, path, &q, why);
}

/* A gateway is a section of the configuration's alg. */
static int fail_alg(const char *name, char *why)
{
	const ProtobufCMessageDescriptor *type = &nl__alg__descriptor;
	char shown[SHOWN];
	size_t used = (size_t)snprintf(why, CHANGE_WHY,
		"no application-level gateway \"%s\". It is one of",
		reflect_printable(shown, sizeof(shown), name));

	for (size_t i = 0, n = 0; i < type->n_fields && used < CHANGE_WHY; i++)
		if (field_is_section(&type->fields[i]))
			used += (size_t)snprintf(why + used, CHANGE_WHY - used, "%s %s",
				n++ > 0 ? "," : "", type->fields[i].name);
	return -EINVAL;
}

/* What switches a gateway: IPsec's other keys are lists, which go with ESP. */
static const char *switch_of(const ProtobufCFieldDescriptor *section)
{
	const ProtobufCMessageDescriptor *type = section->descriptor;

	return protobuf_c_message_descriptor_get_field_by_name(type, "enable") != NULL ? "enable"
										       : "esp";
}

int change_alg(struct change_list *list, const char *name, const char *value, char *why)
{
	const ProtobufCFieldDescriptor *field;
	char path[CHANGE_PATH];

	if (strlen(name) > CHANGE_PATH / 2 || strchr(name, '.') != NULL)
		return fail_alg(name, why);
	field = protobuf_c_message_descriptor_get_field_by_name(&nl__alg__descriptor, name);
	if (field == NULL || !field_is_section(field))
		return fail_alg(name, why);
	snprintf(path, sizeof(path), "alg.%s.%s", name, switch_of(field));
	return change_switch(list, path, value, why);
}

/* What a person types for an element, in this order. */
struct form {
	const char *path;
	const char *field[4];
	size_t required;
	const ProtobufCMessageDescriptor *type;
	bool has_vrf;
};

static const struct form forms[] = {
	{"nat.publish", {"proto", "listen", "to"}, 3, &nl__publish__descriptor, true},
	{"nat.static", {"inside", "outside"}, 2, &nl__static__descriptor, true},
	{"dhcp.reservations", {"mac", "address", "name"}, 2, &nl__reservation__descriptor, false},
};

static const struct form *form_of(const char *path)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(forms[i].path, path) == 0)
			return &forms[i];
	abort(); /* a verb without a form */
}

/* Takes a "vrf NAME" off the end of the words. */
static size_t take_vrf(const char *const *words, size_t count, const char **vrf)
{
	if (count < 2 || strcasecmp(words[count - 2], "vrf") != 0)
		return count;
	*vrf = words[count - 1];
	return count - 2;
}

/* The word as its notation writes it, into out (REFLECT_TEXT_BYTES); false when it is none. */
static bool read_notation(const ProtobufCMessageDescriptor *type, const char *word, char *out)
{
	ProtobufCMessage *message = reflect_new(type);
	char with_address[REFLECT_TEXT_BYTES];
	bool good;

	if (message == NULL)
		return false;
	if (type == &nl__endpoint__descriptor && strspn(word, "0123456789") == strlen(word)) {
		snprintf(with_address, sizeof(with_address), "127.0.0.1:%.8s", word);
		word = with_address;
	}
	good = reflect_text_read(message, word) == 0;
	if (good)
		reflect_text_write(message, out);
	protobuf_c_message_free_unpacked(message, NULL);
	return good;
}

/* The word as a value of the field: out gets its canonical text; false when it cannot be one. */
static bool read_field(
	const ProtobufCFieldDescriptor *field, const char *word, char *out, size_t cap)
{
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return read_notation(field->descriptor, word, out);
	if ((size_t)snprintf(out, cap, "%s", word) >= cap)
		return false;
	return field->type != PROTOBUF_C_TYPE_ENUM ||
	       protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, word) != NULL;
}

static void put_field(struct quote *q, const char *name, const char *value)
{
	quote_raw(q, q->used > 1 ? ", " : "");
	quote_raw(q, name);
	quote_raw(q, ": ");
	quote_text(q, value);
}

static const ProtobufCFieldDescriptor *field_of(const struct form *form, size_t i)
{
	return protobuf_c_message_descriptor_get_field_by_name(form->type, form->field[i]);
}

static int fail_word(const struct form *form, size_t i, const char *word, char *why)
{
	const ProtobufCFieldDescriptor *field = field_of(form, i);
	char shown[SHOWN];

	snprintf(why, CHANGE_WHY, "%s: \"%s\" is not %s", form->field[i],
		reflect_printable(shown, sizeof(shown), word),
		field->type == PROTOBUF_C_TYPE_MESSAGE ? reflect_text_help(field->descriptor)
		: field->type == PROTOBUF_C_TYPE_ENUM  ? "tcp or udp"
						       : "as short as a name");
	return -EINVAL;
}

static int fail_count(const struct form *form, char *why)
{
	size_t used = (size_t)snprintf(why, CHANGE_WHY, "%s takes", form->path);

	for (size_t i = 0; form->field[i] != NULL; i++)
		used += (size_t)snprintf(why + used, CHANGE_WHY - used,
			i < form->required ? " %s" : " [%s]", form->field[i]);
	snprintf(why + used, CHANGE_WHY - used, "%s", form->has_vrf ? " [vrf NAME]" : "");
	return -EINVAL;
}

static int finish(struct change_list *list, const struct form *form, Nl__Change__How how,
	struct quote *q, const char *vrf, char *why)
{
	if (vrf != NULL && !form->has_vrf)
		return fail_count(form, why);
	if (vrf != NULL)
		put_field(q, "vrf", vrf);
	quote_raw(q, "}");
	return close_change(list, how, form->path, q, why);
}

int change_add(struct change_list *list, const char *path, const char *const *words, size_t count,
	const char *vrf, char *why)
{
	const struct form *form = form_of(path);
	struct quote q = open_value(list);
	char value[REFLECT_SCALAR_MAX + 1];

	count = take_vrf(words, count, &vrf);
	if (count < form->required)
		return fail_count(form, why);
	quote_raw(&q, "{");
	for (size_t i = 0; i < count; i++) {
		if (form->field[i] == NULL)
			return fail_count(form, why);
		if (!read_field(field_of(form, i), words[i], value, sizeof(value)))
			return fail_word(form, i, words[i], why);
		put_field(&q, form->field[i], value);
	}
	return finish(list, form, NL__CHANGE__HOW__ADD, &q, vrf, why);
}

int change_remove(struct change_list *list, const char *path, const char *const *words,
	size_t count, const char *vrf, char *why)
{
	const struct form *form = form_of(path);
	struct quote q = open_value(list);
	char value[REFLECT_SCALAR_MAX + 1];
	size_t field = 0;

	count = take_vrf(words, count, &vrf);
	quote_raw(&q, "{");
	for (size_t i = 0; i < count; i++, field++) {
		while (form->field[field] != NULL &&
			!read_field(field_of(form, field), words[i], value, sizeof(value)))
			field++;
		if (form->field[field] == NULL)
			return fail_count(form, why);
		put_field(&q, form->field[field], value);
	}
	if (count == 0)
		return fail_count(form, why);
	return finish(list, form, NL__CHANGE__HOW__REMOVE, &q, vrf, why);
}

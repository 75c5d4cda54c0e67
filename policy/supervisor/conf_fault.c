/*
 * Theory of operation. reflect.c remembers for each value that a file gave where it stood; a value
 * that kept its default has no mark. An error stands at the value's own mark, else at the one of
 * the list that it is in, else nowhere.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "conf_fault.h"

struct conf_place conf_at(const ProtobufCMessage *section, const char *field)
{
	return (struct conf_place){section, field, REFLECT_WHOLE};
}

struct conf_place conf_at_element(const ProtobufCMessage *section, const char *field, size_t index)
{
	return (struct conf_place){section, field, index};
}

static const struct reflect_mark *mark_of(const struct conf_check *c, struct conf_place p)
{
	const struct reflect_mark *mark = reflect_where(c->marks, p.section, p.field, p.index);

	if (mark == NULL && p.index != REFLECT_WHOLE)
		mark = reflect_where(c->marks, p.section, p.field, REFLECT_WHOLE);
	return mark;
}

bool conf_is_given(const struct conf_check *c, struct conf_place p)
{
	return mark_of(c, p) != NULL;
}

int conf_fault(struct conf_check *c, struct conf_place p, const char *format, ...)
{
	const struct reflect_mark *mark = mark_of(c, p);
	va_list args;

	c->error->line = mark != NULL ? mark->line : 0;
	c->error->column = mark != NULL ? mark->column : 0;
	va_start(args, format);
	vsnprintf(c->error->text, sizeof(c->error->text), format, args);
	va_end(args);
	return -EINVAL;
}

const char *conf_where(const struct conf_check *c, struct conf_place p, char *out)
{
	const struct reflect_mark *mark = mark_of(c, p);

	if (mark != NULL)
		snprintf(out, CONF_WHERE_BYTES, "line %d", mark->line);
	else
		snprintf(out, CONF_WHERE_BYTES, "default");
	return out;
}

const char *conf_ip(char *out, uint32_t ip_be)
{
	return inet_ntop(AF_INET, &ip_be, out, INET_ADDRSTRLEN);
}

const char *conf_words(
	char *out, size_t cap, const char *word, const char *const *known, size_t count)
{
	const char *meant = reflect_suggest(word, known, count);
	size_t used;

	if (meant != NULL) {
		snprintf(out, cap, "Did you mean \"%s\"?", meant);
		return out;
	}
	used = (size_t)snprintf(out, cap, "It is one of ");
	for (size_t i = 0; i < count && used < cap; i++)
		used += (size_t)snprintf(
			out + used, cap - used, "%s%s", known[i], i + 1 < count ? ", " : ".");
	return out;
}

static const char *range_text(char *out, const struct conf_range *r, uint64_t value)
{
	Nl__Duration duration = NL__DURATION__INIT;

	duration.ms = value;
	if (r->duration)
		return reflect_text_write(&duration.base, out);
	snprintf(out, REFLECT_TEXT_BYTES, "%" PRIu64, value);
	return out;
}

int conf_ranges(struct conf_check *c, const ProtobufCMessage *section, const char *title,
	const struct conf_range *ranges, size_t count)
{
	char text[3][REFLECT_TEXT_BYTES];

	for (size_t i = 0; i < count; i++) {
		const struct conf_range *r = &ranges[i];

		if (r->value < r->least || r->value > r->most)
			return conf_fault(c, conf_at(section, r->field),
				"%s.%s %s is out of range: %s to %s", title, r->field,
				range_text(text[0], r, r->value), range_text(text[1], r, r->least),
				range_text(text[2], r, r->most));
	}
	return 0;
}

int conf_count(
	struct conf_check *c, struct conf_place p, const char *what, size_t count, size_t most)
{
	if (count <= most)
		return 0;
	return conf_fault(c, p, "%s has %zu entries: at most %zu", what, count, most);
}

int conf_ports(struct conf_check *c, const ProtobufCMessage *section, const char *what,
	const uint32_t *ports, size_t count, size_t most)
{
	int error = conf_count(c, conf_at(section, "ports"), what, count, most);

	for (size_t i = 0; i < count && error == 0; i++) {
		struct conf_place here = conf_at_element(section, "ports", i);

		if (ports[i] < 1 || ports[i] > UINT16_MAX)
			return conf_fault(c, here, "%s: %" PRIu32 " is out of range: 1 to 65535",
				what, ports[i]);
		for (size_t other = 0; other < i; other++)
			if (ports[other] == ports[i])
				return conf_fault(
					c, here, "%s: %" PRIu32 " is given twice", what, ports[i]);
	}
	return error;
}

int conf_subnet(
	struct conf_check *c, struct conf_place p, const char *what, const Nl__Subnet *subnet)
{
	uint32_t mask = subnet->prefix == 0 ? 0 : UINT32_MAX << (32 - subnet->prefix);
	Nl__Subnet meant = NL__SUBNET__INIT;
	char given[REFLECT_TEXT_BYTES], text[REFLECT_TEXT_BYTES];

	if ((ntohl(subnet->ip_be) & ~mask) == 0)
		return 0;
	meant.has_ip_be = meant.has_prefix = 1;
	meant.ip_be = subnet->ip_be & htonl(mask);
	meant.prefix = subnet->prefix;
	return conf_fault(c, p, "%s: %s is one address and a length. Write the subnet: %s", what,
		reflect_text_write(&subnet->base, given), reflect_text_write(&meant.base, text));
}

/*
 * Theory of operation. Access lists have numbers, as Cisco's standard lists do (1 to 99), and are
 * used by them. A list that is used must exist and say something; one that nobody uses does no
 * harm.
 */
#include <inttypes.h>
#include <string.h>

#include "conf_check.h"

static int check_subnets(struct conf_check *c, const Nl__AccessList *list, const char *field,
	Nl__Subnet **subnets, size_t count)
{
	char what[64], text[REFLECT_TEXT_BYTES];
	int error;

	snprintf(what, sizeof(what), "nat.access_lists: %s", field);
	error = conf_count(c, conf_at(&list->base, field), what, count, CONF_ACCESS_SUBNETS_MAX);
	for (size_t i = 0; i < count && error == 0; i++) {
		struct conf_place here = conf_at_element(&list->base, field, i);

		error = conf_subnet(c, here, what, subnets[i]);
		for (size_t other = 0; other < i && error == 0; other++)
			if (reflect_equal(&subnets[i]->base, &subnets[other]->base))
				error = conf_fault(c, here, "%s: %s is given twice", what,
					reflect_text_write(&subnets[i]->base, text));
	}
	return error;
}

static int check_list(struct conf_check *c, const Nl__Nat *nat, size_t i)
{
	const Nl__AccessList *list = nat->access_lists[i];
	struct conf_place here = conf_at_element(&nat->base, "access_lists", i);
	char line[CONF_WHERE_BYTES];
	int error;

	if (!list->has_number || list->number < 1 || list->number > CONF_ACCESS_LISTS_MAX)
		return conf_fault(c, list->has_number ? conf_at(&list->base, "number") : here,
			"nat.access_lists: number %" PRIu32 " is out of range: 1 to %d. Write "
			"{number: 10, permit: [192.168.30.0/25]}",
			list->number, CONF_ACCESS_LISTS_MAX);
	for (size_t other = 0; other < i; other++)
		if (nat->access_lists[other]->number == list->number)
			return conf_fault(c, conf_at(&list->base, "number"),
				"nat.access_lists: number %" PRIu32
				" is given twice (%s). Choose another one",
				list->number,
				conf_where(c, conf_at_element(&nat->base, "access_lists", other),
					line));
	if (list->n_permit == 0 && list->n_deny == 0)
		return conf_fault(c, here,
			"nat.access_lists: list %" PRIu32 " is empty and would deny everything: "
			"give it permit: [192.168.30.0/24]",
			list->number);
	error = check_subnets(c, list, "permit", list->permit, list->n_permit);
	return error == 0 ? check_subnets(c, list, "deny", list->deny, list->n_deny) : error;
}

bool conf_has_list(const Nl__Nat *nat, uint32_t number)
{
	for (size_t i = 0; i < nat->n_access_lists; i++)
		if (nat->access_lists[i]->number == number)
			return true;
	return false;
}

static int check_use(struct conf_check *c, const Nl__Nat *nat, const char *field, uint32_t number)
{
	if (number == 0 || conf_has_list(nat, number))
		return 0;
	return conf_fault(c, conf_at(&nat->base, field),
		"nat.%s: there is no list %" PRIu32 " in nat.access_lists. Add {number: %" PRIu32
		", permit: [192.168.30.0/24]}, or say 0",
		field, number, number);
}

int conf_check_access(struct conf_check *c, const Nl__Nat *nat)
{
	int error = conf_count(c, conf_at(&nat->base, "access_lists"), "nat.access_lists",
		nat->n_access_lists, CONF_ACCESS_LISTS_MAX);

	for (size_t i = 0; i < nat->n_access_lists && error == 0; i++)
		error = check_list(c, nat, i);
	if (error == 0)
		error = check_use(c, nat, "source_list", nat->source_list);
	return error == 0 ? check_use(c, nat, "destination_list", nat->destination_list) : error;
}

/* The words of drop.def: the constant's name for machines, the sentence for people. */
#include "drop.h"

static const char *const names[DROP_COUNT] = {
#define DROP(NAME, TEXT) #NAME,
#include "drop.def"
};

static const char *const meanings[DROP_COUNT] = {
#define DROP(NAME, TEXT) TEXT,
#include "drop.def"
};

const char *drop_name(enum drop why)
{
	return names[why];
}

const char *drop_meaning(enum drop why)
{
	return meanings[why];
}

/*
 * No memory at a worker's boot, the only time when it allocates: each allocation refused in turn (fail.h), it says -ENOMEM and so
 * never goes behind its filter half made. Built once for each worker that allocates; WORKER is its main.c.
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "conf.h"
#include "fail.h"

#define main worker_main
int main(void);
#include WORKER
#undef main

int __wrap_actor_main(const struct actor_ops *ops, void *self);
void __wrap_actor_reserve_fds(struct actor *a, int highest);

static const struct actor_ops *worker;
static void *state;
static Nl__Config *config;

int __wrap_actor_main(const struct actor_ops *ops, void *self)
{
	worker = ops;
	state = self;
	return 0;
}

/* It would ask libev, of which there is none. */
void __wrap_actor_reserve_fds(struct actor *a, int highest)
{
}

static bool boot_once(void)
{
	static struct actor a;
	static uint8_t secret[32];
	Nl__ActorBoot boot_message = NL__ACTOR_BOOT__INIT;
	int r;

	boot_message.hub = config->hubs[0];
	boot_message.has_entropy = true;
	boot_message.entropy = (ProtobufCBinaryData){sizeof(secret), secret};
	boot_message.sockets_max = 64;
	a.shards = 1;
	r = worker->boot(state, &a, &boot_message);
	fail_require(r == 0 || r == -ENOMEM, "another error than no memory\n");
	fail_keep();
	return r == 0;
}

Test(nomemory, boot)
{
	static const char text[] = "hubs: [{name: default, host: {mac: 00:AC:01:02:03:04}}]";
	struct conf_error error;

	config = conf_parse("test", text, sizeof(text) - 1, &error);
	cr_assert_not_null(config, "%s", error.text);
	worker_main();
	cr_assert_geq(fail_each(boot_once), 1);
	conf_free(config);
}

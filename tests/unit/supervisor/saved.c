/* saved.c: the layer of saved changes, there and back, and what is not accepted in it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "saved.h"

static char folder[64], path[SAVED_PATH];

static void open_folder(void)
{
	strcpy(folder, "/tmp/natlock-test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	saved_path(path, folder);
}

static void close_folder(void)
{
	unlink(path);
	cr_expect_eq(rmdir(folder), 0);
}

TestSuite(saved, .init = open_folder, .fini = close_folder);

static Nl__Config *parse(const char *text)
{
	struct conf_error error;
	Nl__Config *config = conf_parse("test", text, strlen(text), &error);

	cr_assert_not_null(config, "%s", error.text);
	return config;
}

static void write_layer(const char *text)
{
	FILE *out = fopen(path, "w");

	cr_assert_not_null(out);
	fputs(text, out);
	cr_assert_eq(fclose(out), 0);
}

Test(saved, what_is_written_is_read)
{
	static const char two[] = "hubs: {default: {}, lab: {host: {address: 192.168.30.2}}}";
	Nl__Config *file = parse(two), *kept = parse(two), *back;
	struct conf_error error;
	bool laid;

	kept->hubs[1]->nat->mtu = 1400;
	nl__ip4__free_unpacked(kept->hubs[1]->dhcp->dns[0], NULL);
	kept->hubs[1]->dhcp->n_dns = 0;
	cr_expect_eq(saved_write(path, kept, file), 1);
	back = saved_lay(path, file, &laid, &error);
	cr_assert_not_null(back, "%s", error.text);
	cr_expect(laid);
	cr_expect(reflect_equal(&back->base, &kept->base));
	conf_free(back);
	cr_expect_eq(saved_write(path, file, file), 0);
	cr_expect_neq(access(path, F_OK), 0);
	back = saved_lay(path, file, &laid, &error);
	cr_assert_not_null(back);
	cr_expect_not(laid);
	conf_free(back);
	conf_free(kept);
	conf_free(file);
}

static void refuses(const char *text, const char *says)
{
	Nl__Config *file = parse("");
	struct conf_error error;
	char line[800];
	bool laid;

	write_layer(text);
	cr_expect_null(saved_lay(path, file, &laid, &error));
	cr_expect(strstr(conf_error_text(&error, line, sizeof(line)), says), "%s", line);
	conf_free(file);
}

Test(saved, what_does_not_go_with_the_file_is_said)
{
	refuses("hubs:\n  default:\n    nat: {mtuu: 1}\n", "saved.yaml:3:11: unknown key \"mtuu\"");
	refuses("hubs: [{name: default}]", "saved.yaml:1:7: hubs is a list here");
	refuses("hubs:\n  default:\n    dhcp: {range: 10.0.0.1-10.0.0.2}\n",
		"is not inside 192.168.30.0/24");
	refuses("hubs:\n  default:\n    attach: [\"netns:/proc/1/ns/net\"]\n",
		"attach cannot be a saved change");
	refuses("hubs:\n  default:\n    options: {no_securenat: true}\n",
		"options.no_securenat cannot be a saved change");
	refuses("api: {group: all}\n", "api.group cannot be a saved change");
	refuses("{", "saved.yaml:");
}

/* A link would have whoever starts natlock read another's file and say of it what is wrong. */
Test(saved, a_link_is_not_followed)
{
	Nl__Config *file = parse("");
	struct conf_error error;
	bool laid;

	cr_assert_eq(symlink("/etc/passwd", path), 0);
	cr_expect_null(saved_lay(path, file, &laid, &error));
	cr_expect(strstr(error.text, "cannot read the saved changes"));
	conf_free(file);
}

Test(saved, a_layer_that_cannot_be_written_leaves_the_old_one)
{
	Nl__Config *file = parse(""), *kept = parse("hubs: {default: {nat: {mtu: 1400}}}"), *back;
	struct conf_error error;
	char fresh[SAVED_PATH + 8];
	bool laid;

	cr_assert_eq(saved_write(path, kept, file), 1);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	cr_assert_eq(mkdir(fresh, 0700), 0); /* in the way */
	kept->hubs[0]->nat->mtu = 1300;
	cr_expect_lt(saved_write(path, kept, file), 0);
	cr_assert_eq(rmdir(fresh), 0);
	back = saved_lay(path, file, &laid, &error);
	cr_expect_eq(back->hubs[0]->nat->mtu, 1400);
	conf_free(back);
	conf_free(kept);
	conf_free(file);
}

Test(saved, nowhere)
{
	Nl__Config *file = parse(""), *back;
	struct conf_error error;
	char none[SAVED_PATH];
	bool laid;

	saved_path(none, "");
	cr_expect_str_eq(none, "");
	back = saved_lay(none, file, &laid, &error);
	cr_assert_not_null(back);
	cr_expect_not(laid);
	cr_expect_lt(saved_write(none, file, file), 0);
	conf_free(back);
	conf_free(file);
}

/*
 * Plays scripts, each in a process of its own so that a stack that dies fails only one.
 *
 *     script PATH...            each has to pass; a directory stands for its *.script
 *     script --wrong PATH...    each has to fail, with what its first line says: "// fails: TEXT"
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "play.h"

static int main_play(const char *path)
{
	struct script *script = script_read(path);
	bool good = script && play_script(script);
	free(script);
	return good ? 0 : 1;
}

/* Plays it in a child whose words go to `words`. Returns its exit status, 128 when it was killed. */
static int main_child(const char *path, FILE *words)
{
	int status = 0;
	pid_t child;
	fflush(NULL);
	child = fork();
	if (!child) {
		if (dup2(fileno(words), STDERR_FILENO) < 0)
			_exit(2);
		exit(main_play(path));
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return 2;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* What the script says that it fails with. */
static bool main_wanted(const char *path, char *out, int n)
{
	static const char mark[] = "// fails: ";
	FILE *f = fopen(path, "r");
	bool good = f && fgets(out, n, f) && strncmp(out, mark, strlen(mark)) == 0;
	if (f)
		fclose(f);
	if (!good)
		return false;
	memmove(out, out + strlen(mark), strlen(out + strlen(mark)) + 1);
	out[strcspn(out, "\n")] = 0;
	return true;
}

static bool main_must_fail(const char *path)
{
	char wanted[200], words[4000] = "";
	FILE *f = tmpfile();
	int status = f ? main_child(path, f) : 0;
	size_t n = 0;
	if (f) {
		rewind(f);
		n = fread(words, 1, sizeof(words) - 1, f);
		fclose(f);
	}
	words[n] = 0;
	if (status == 1 && main_wanted(path, wanted, sizeof(wanted)) && strstr(words, wanted))
		return true;
	fprintf(stderr, "%s: should fail as its first line says; status %d, words:\n%s\n", path,
		status, words);
	return false;
}

static bool main_must_pass(const char *path)
{
	int status = main_child(path, stderr);
	if (status > 1)
		fprintf(stderr, "%s: died\n", path);
	return status == 0;
}

/* The files that the arguments name. False when there are none. */
static bool main_files(char **path, int n, glob_t *out)
{
	*out = (glob_t){0};
	for (int i = 0; i < n; i++) {
		char pattern[4096];
		bool file = strstr(path[i], ".script") != NULL;
		snprintf(pattern, sizeof(pattern), "%s%s", path[i], file ? "" : "/*.script");
		if (glob(pattern, out->gl_pathc ? GLOB_APPEND : 0, NULL, out) != 0)
			return false;
	}
	return out->gl_pathc != 0;
}

int main(int argc, char **argv)
{
	bool wrong = argc > 1 && strcmp(argv[1], "--wrong") == 0;
	int failed = 0, first = wrong ? 2 : 1;
	glob_t files;
	if (!main_files(argv + first, argc - first, &files)) {
		fprintf(stderr, "no scripts\n");
		return 2;
	}
	for (size_t i = 0; i < files.gl_pathc; i++)
		failed += wrong ? !main_must_fail(files.gl_pathv[i])
				: !main_must_pass(files.gl_pathv[i]);
	printf("%zu scripts, %d failed\n", files.gl_pathc, failed);
	globfree(&files);
	return failed != 0;
}

/*
 * What may follow a beginning is the set of next words of all commands that begin so. Each beginning
 * ("", "nat", "nat publish") is visited once, at the first command that has it; a shell's script is
 * a frame around one line for each beginning.
 */
#include <string.h>

#include "completion.h"
#include "verbs.h"

/* The length of the first `count` words of a command; SIZE_MAX when it has no more words than that. */
static size_t beginning(const char *words, size_t count)
{
	size_t length = 0;

	for (size_t i = 0; i < count; i++) {
		length += strcspn(words + length, " ");
		if (words[length] == '\0')
			return SIZE_MAX;
		length++;
	}
	return length;
}

/* The word behind the first `length` bytes; its length in *word. */
static const char *next_word(const char *words, size_t length, int *word)
{
	*word = (int)strcspn(words + length, " ");
	return words + length;
}

/* Whether a command before `index` begins with the same `length` bytes (at the end of a word: with
 * what ends it). */
static bool is_seen(size_t index, size_t length)
{
	for (size_t i = 0; i < index; i++)
		if (strncmp(verbs[i].words, verbs[index].words, length) == 0)
			return true;
	return false;
}

/* Each next word once, separated by blanks. */
static void print_next(FILE *out, size_t index, size_t length)
{
	const char *separator = "";

	for (size_t i = index; i < verb_count; i++) {
		const char *words = verbs[i].words, *next;
		int word;

		if (strncmp(words, verbs[index].words, length) != 0)
			continue;
		next = next_word(words, length, &word);
		if (i > index && is_seen(i, length + (size_t)word + 1))
			continue;
		fprintf(out, "%s%.*s", separator, word, next);
		separator = " ";
	}
}

/* Calls `line` for each beginning; a command has at most DEPTH words. */
static void each_beginning(
	FILE *out, void (*line)(FILE *out, const char *begins, int length, size_t index))
{
	enum { DEPTH = 3 };

	for (size_t i = 0; i < verb_count; i++) {
		for (size_t count = 0; count < DEPTH; count++) {
			size_t length = beginning(verbs[i].words, count);

			if (length != SIZE_MAX && !is_seen(i, length))
				line(out, verbs[i].words, (int)length - (length > 0), i);
		}
	}
}

static void print_formats(FILE *out)
{
	for (int i = 0; i < FORMAT_COUNT; i++)
		fprintf(out, "%s%s", i > 0 ? " " : "", format_names[i]);
}

static void bash_line(FILE *out, const char *begins, int length, size_t index)
{
	fprintf(out, "\t'%.*s') next='", length, begins);
	print_next(out, index, (size_t)length + (length > 0));
	fputs("';;\n", out);
}

static void print_bash(FILE *out)
{
	fputs("# bash completion for natlockctl, printed by: natlockctl completion bash\n"
	      "_natlockctl()\n{\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} next= i\n"
	      "\tlocal -a typed=()\n"
	      "\tCOMPREPLY=()\n"
	      "\tcase $before in\n"
	      "\t-o|--output) COMPREPLY=($(compgen -W '",
		out);
	print_formats(out);
	fputs("' -- \"$word\")); return;;\n"
	      "\t--api) COMPREPLY=($(compgen -f -- \"$word\")); return;;\n"
	      "\t--hub|--watch|--vrf|--for) return;;\n"
	      "\tesac\n"
	      "\tif [[ $word == -* ]]; then\n"
	      "\t\tCOMPREPLY=($(compgen -W '--hub --api --output --watch --save --vrf --for --json --probe --help "
	      "--version' -- \"$word\"))\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t-o|--output|--api|--hub|--watch|--vrf|--for) ((i++));;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) typed+=(\"${COMP_WORDS[i]}\");;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase ${typed[*]} in\n",
		out);
	each_beginning(out, bash_line);
	fputs("\t'config test'|'import softether') COMPREPLY=($(compgen -f -- \"$word\")); "
	      "return;;\n"
	      "\tcompletion) next='bash zsh fish';;\n"
	      "\tesac\n"
	      "\tCOMPREPLY=($(compgen -W \"$next\" -- \"$word\"))\n"
	      "}\ncomplete -F _natlockctl natlockctl\n",
		out);
}

static void zsh_line(FILE *out, const char *begins, int length, size_t index)
{
	fprintf(out, "\t'%.*s') next=(", length, begins);
	print_next(out, index, (size_t)length + (length > 0));
	fputs(");;\n", out);
}

static void print_zsh(FILE *out)
{
	fputs("#compdef natlockctl\n"
	      "# zsh completion for natlockctl, printed by: natlockctl completion zsh\n"
	      "_natlockctl() {\n"
	      "\tlocal -a next typed\n"
	      "\tlocal i\n"
	      "\tcase ${words[CURRENT-1]} in\n"
	      "\t-o|--output) compadd -- ",
		out);
	print_formats(out);
	fputs("; return;;\n"
	      "\t--api) _files; return;;\n"
	      "\t--hub|--watch|--vrf|--for) return;;\n"
	      "\tesac\n"
	      "\tif [[ ${words[CURRENT]} == -* ]]; then\n"
	      "\t\tcompadd -- --hub --api --output --watch --save --vrf --for --json --probe --help --version\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	      "\t\tcase ${words[i]} in\n"
	      "\t\t-o|--output|--api|--hub|--watch|--vrf|--for) ((i++));;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) typed+=(${words[i]});;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase \"${typed[*]}\" in\n",
		out);
	each_beginning(out, zsh_line);
	fputs("\t'config test'|'import softether') _files; return;;\n"
	      "\tcompletion) next=(bash zsh fish);;\n"
	      "\tesac\n"
	      "\tcompadd -a next\n"
	      "}\n_natlockctl \"$@\"\n",
		out);
}

static void fish_line(FILE *out, const char *begins, int length, size_t index)
{
	fprintf(out, "complete -c natlockctl -f -n '__natlockctl_typed \"%.*s\"' -a '", length,
		begins);
	print_next(out, index, (size_t)length + (length > 0));
	fputs("'\n", out);
}

static void print_fish(FILE *out)
{
	fputs("# fish completion for natlockctl, printed by: natlockctl completion fish\n"
	      "function __natlockctl_typed\n"
	      "\tset -l typed\n"
	      "\tset -l skip 0\n"
	      "\tfor word in (commandline -opc)[2..-1]\n"
	      "\t\tif test $skip = 1\n"
	      "\t\t\tset skip 0\n"
	      "\t\telse if contains -- $word -o --output --api --hub --watch --vrf --for\n"
	      "\t\t\tset skip 1\n"
	      "\t\telse if not string match -q -- '-*' $word\n"
	      "\t\t\tset -a typed $word\n"
	      "\t\tend\n"
	      "\tend\n"
	      "\ttest \"$typed\" = $argv[1]\n"
	      "end\n"
	      "complete -c natlockctl -f\n"
	      "complete -c natlockctl -s o -l output -x -a '",
		out);
	print_formats(out);
	fputs("'\n"
	      "complete -c natlockctl -l api -r -F\n"
	      "complete -c natlockctl -l hub -x\n"
	      "complete -c natlockctl -l watch -x\n"
	      "complete -c natlockctl -l vrf -x\n"
	      "complete -c natlockctl -l json\n"
	      "complete -c natlockctl -l probe\n"
	      "complete -c natlockctl -l for -x\n"
	      "complete -c natlockctl -l save\n"
	      "complete -c natlockctl -s h -l help\n"
	      "complete -c natlockctl -l version\n",
		out);
	each_beginning(out, fish_line);
	fputs("complete -c natlockctl -F -n '__natlockctl_typed \"config test\"'\n"
	      "complete -c natlockctl -F -n '__natlockctl_typed \"import softether\"'\n"
	      "complete -c natlockctl -f -n '__natlockctl_typed \"completion\"' -a 'bash zsh "
	      "fish'\n",
		out);
}

bool completion_print(FILE *out, const char *shell)
{
	static const struct {
		const char *shell;
		void (*print)(FILE *out);
	} scripts[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (strcmp(shell, scripts[i].shell) != 0)
			continue;
		scripts[i].print(out);
		return true;
	}
	return false;
}

/* The man page and the completion scripts, from the table of options.  They are kept in data/ so that a package or a
 * reader finds them without building; the test 'data' holds them against what is generated here.
 */
#include <errno.h>
#include <string.h>

#include "cli/cli_internal.h"

static bool listed(const struct cli_command *command)
{
	return command->built || !command->ours;
}

/* ---- man page ---- */

/* Text for roff: a backslash, a dash and a dot at the start of a line mean something there. */
static void roff(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (i == 0 && (text[i] == '.' || text[i] == '\''))
			buf_adds(out, "\\&");
		if (text[i] == '\\')
			buf_adds(out, "\\e");
		else if (text[i] == '-')
			buf_adds(out, "\\-");
		else
			buf_addc(out, text[i]);
	}
}

static void roff_line(struct buf *out, const char *before, const char *text)
{
	buf_adds(out, before);
	roff(out, text, strlen(text));
	buf_addc(out, '\n');
}

static void roff_paragraph(struct buf *out, const char *text, size_t len)
{
	bool as_is = len > 2 && text[0] == '\b';

	if (as_is) {
		text += 2;
		len -= 2;
		buf_adds(out, ".nf\n");
	}
	while (len) {
		const char *newline = memchr(text, '\n', len);
		size_t line = newline ? (size_t)(newline - text) : len;

		roff(out, text, line);
		buf_addc(out, '\n');
		text += line + (newline != NULL);
		len -= line + (newline != NULL);
	}
	if (as_is)
		buf_adds(out, ".fi\n");
}

static void roff_description(struct buf *out, const char *text)
{
	bool first = true;

	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t len = end ? (size_t)(end - text) : strlen(text);

		if (!first)
			buf_adds(out, ".PP\n");
		roff_paragraph(out, text, len);
		text += len + strspn(text + len, "\n");
		first = false;
	}
}

static void roff_option(struct buf *out, const struct cli_option *option)
{
	_cleanup_buf_ struct buf metavar = BUF_INIT, help = BUF_INIT;

	cli_option_metavar(&metavar, option);
	buf_adds(out, ".TP\n");
	if (option->short_name) {
		roff_line(out, ".BR ", option->short_name);
		out->data[--out->len] = '\0';
		buf_adds(out, " \", \" ");
	} else {
		buf_adds(out, ".BR ");
	}
	roff(out, option->name, strlen(option->name));
	if (option->negative) {
		buf_adds(out, " \" / \" ");
		roff(out, option->negative, strlen(option->negative));
	}
	if (metavar.len) {
		buf_adds(out, " \" ");
		roff(out, buf_text(&metavar), metavar.len);
		buf_addc(out, '"');
	}
	buf_addc(out, '\n');
	buf_adds(&help, option->help);
	if (option->shown_default)
		buf_printf(&help, " [default: %s]", option->shown_default);
	roff_line(out, "", buf_text(&help));
}

static void roff_command(struct buf *out, const char *path, const struct cli_command *command)
{
	_cleanup_buf_ struct buf full = BUF_INIT, usage = BUF_INIT;

	buf_printf(&full, "%s %s", path, command->name);
	buf_printf(&usage, "%s [OPTIONS]", buf_text(&full));
	for (const struct cli_argument *a = command->arguments; a && a->name; a++) {
		buf_addc(&usage, ' ');
		cli_argument_metavar(&usage, a);
	}
	if (command->commands)
		buf_adds(&usage, " COMMAND [ARGS]...");
	roff_line(out, ".SS ", buf_text(&usage));
	roff_description(out, command->description);
	for (const struct cli_option *o = command->options; o->name; o++)
		roff_option(out, o);
	for (const struct cli_command *c = command->commands; c && c->name; c++)
		if (listed(c))
			roff_command(out, buf_text(&full), c);
}

static void generate_man(struct buf *out)
{
	static const char head[] =
		".\\\" Made from the table of options (src/cli/options.c): change that, then run tools/update-data.\n"
		".TH MILLRACE 1 \"\" \"Millrace " MILLRACE_VERSION "\" \"User Commands\"\n"
		".SH NAME\n"
		"millrace \\- build and manipulate BuildStream projects\n"
		".SH SYNOPSIS\n"
		".B millrace\n"
		"[OPTIONS] COMMAND [ARGS]...\n"
		".SH DESCRIPTION\n"
		"Millrace reads BuildStream 2 projects and builds them, with the commands, the cache keys and the cache\n"
		"directory of BuildStream " CLI_PEER_VERSION ".\n"
		"Jobs run in a small number of long\\-lived worker processes.\n"
		".SH OPTIONS\n"
		"These stand before the command.\n";
	static const char tail[] =
		".SH ENVIRONMENT\n"
		".TP\n"
		".B XDG_CONFIG_HOME\n"
		"Where buildstream2.conf or buildstream.conf, the user configuration, is looked for (default: ~/.config).\n"
		".TP\n"
		".B XDG_CACHE_HOME\n"
		"Where the cache directory buildstream is, unless user configuration says otherwise (default: ~/.cache).\n"
		".TP\n"
		".B BST_ERROR_FILE\n"
		"A file to which a failing run appends one JSON object per line: kind, domain, reason, element, message.\n"
		".TP\n"
		".B PAGER\n"
		"The program that shows logs on a terminal.\n"
		".SH EXIT STATUS\n"
		"0 on success, 2 if the command line was not understood, 255 for any other error; millrace shell returns\n"
		"the status of the command it ran.\n";

	buf_adds(out, head);
	for (const struct cli_option *o = cli_root.options; o->name; o++)
		roff_option(out, o);
	roff_option(out, &cli_help_option);
	buf_adds(out, ".SH COMMANDS\n");
	for (const struct cli_command *c = cli_root.commands; c->name; c++)
		if (listed(c))
			roff_command(out, "millrace", c);
	buf_adds(out, tail);
}

/* ---- completion scripts ---- */

static const char bash_script[] =
	"# bash completion for millrace: every press of the tab key asks the program itself.\n"
	"_millrace_completion() {\n"
	"    local IFS=$'\\n'\n"
	"    COMPREPLY=( $( env COMP_WORDS=\"${COMP_WORDS[*]}\" \\\n"
	"                   COMP_CWORD=$COMP_CWORD \\\n"
	"                   _BST_COMPLETION=complete $1 2>/dev/null ) )\n"
	"    return 0\n"
	"}\n"
	"\n"
	"complete -F _millrace_completion -o nospace millrace\n";

static const char zsh_script[] =
	"#compdef millrace\n"
	"# zsh completion for millrace: every press of the tab key asks the program itself.  Answers that end with a\n"
	"# blank are whole words, others (directories) go on.\n"
	"_millrace() {\n"
	"    local -a answers whole partial\n"
	"    local answer\n"
	"    answers=(\"${(@f)$(env COMP_WORDS=\"${words[*]}\" COMP_CWORD=$((CURRENT - 1)) \\\n"
	"                         _BST_COMPLETION=complete ${words[1]} 2>/dev/null)}\")\n"
	"    for answer in $answers; do\n"
	"        if [[ $answer == *' ' ]]; then whole+=(\"${answer% }\"); elif [[ -n $answer ]]; then partial+=(\"$answer\"); fi\n"
	"    done\n"
	"    (( ${#whole} )) && compadd -- $whole\n"
	"    (( ${#partial} )) && compadd -S '' -- $partial\n"
	"}\n"
	"\n"
	"_millrace \"$@\"\n";

static const char fish_script[] =
	"# fish completion for millrace.  What depends on the project is asked from the program itself.\n"
	"function __millrace_ask\n"
	"    set -l words (commandline -opc) (commandline -ct)\n"
	"    env COMP_WORDS=\"$words\" COMP_CWORD=(math (count $words) - 1) _BST_COMPLETION=complete $words[1] 2>/dev/null |\n"
	"        string trim --right\n"
	"end\n"
	"\n"
	"# Whether the command line's commands are exactly these.\n"
	"function __millrace_at\n"
	"    set -l seen\n"
	"    for word in (commandline -opc)[2..-1]\n"
	"        string match -q -- '-*' $word; or set -a seen $word\n"
	"    end\n"
	"    test \"$seen[1..\"(count $argv)\"]\" = \"$argv\"\n"
	"end\n"
	"\n"
	"complete -c millrace -f -a '(__millrace_ask)'\n";

/* In single quotes for fish. */
static void fish_quoted(struct buf *out, const char *text)
{
	buf_addc(out, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *text);
	}
	buf_addc(out, '\'');
}

static void fish_option(struct buf *out, const char *condition, const struct cli_option *option)
{
	const char *const names[] = { option->name, option->negative };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!names[i])
			continue;
		buf_printf(out, "complete -c millrace -n '%s' -l %s", condition, names[i] + 2);
		if (i == 0 && option->short_name)
			buf_printf(out, " -s %s", option->short_name + 1);
		if (cli_takes_value(option))
			buf_adds(out, " -x -a '(__millrace_ask)'");
		buf_adds(out, " -d ");
		fish_quoted(out, option->help);
		buf_addc(out, '\n');
	}
}

static void fish_command(struct buf *out, const char *path, const struct cli_command *command)
{
	_cleanup_buf_ struct buf full = BUF_INIT, condition = BUF_INIT;

	buf_printf(&full, "%s%s%s", path, *path ? " " : "", command->name);
	buf_printf(&condition, "__millrace_at %s", buf_text(&full));
	for (const struct cli_option *o = command->options; o->name; o++)
		fish_option(out, buf_text(&condition), o);
	for (const struct cli_command *c = command->commands; c && c->name; c++)
		if (listed(c))
			fish_command(out, buf_text(&full), c);
}

static void generate_fish(struct buf *out)
{
	buf_adds(out, fish_script);
	for (const struct cli_option *o = cli_root.options; o->name; o++)
		fish_option(out, "__fish_use_subcommand", o);
	for (const struct cli_command *c = cli_root.commands; c->name; c++)
		if (listed(c))
			fish_command(out, "", c);
}

int cli_generate(struct buf *out, const char *what)
{
	if (str_eq(what, "man"))
		generate_man(out);
	else if (str_eq(what, "fish"))
		generate_fish(out);
	else if (str_eq(what, "bash"))
		buf_adds(out, bash_script);
	else if (str_eq(what, "zsh"))
		buf_adds(out, zsh_script);
	else
		return -EINVAL;
	return 0;
}

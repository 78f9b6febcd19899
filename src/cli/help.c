/* --help and usage lines in click's layout (click/formatting.py). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli_internal.h"

#define COLUMN_MAX 30 /* a longer first column goes on a line of its own */

size_t cli_text_len(const char *text)
{
	size_t len = 0;

	for (; *text; text++)
		len += ((unsigned char)*text & 0xc0) != 0x80;
	return len;
}

size_t cli_terminal_columns(void)
{
	const char *text = getenv("COLUMNS");
	long columns = text ? strtol(text, NULL, 10) : 0;
	struct winsize size;

	if (columns > 0 && columns < 100000)
		return (size_t)columns;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

size_t cli_help_width(void)
{
	return MAX(MIN(cli_terminal_columns(), (size_t)80) - 2, (size_t)50);
}

/* repr() of the characters that need no thought: printable text stays, others are escaped. */
void cli_repr(struct buf *out, const char *text)
{
	char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';

	buf_addc(out, quote);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		const char *escape = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : c == '\\' ? "\\\\" : NULL;

		if (escape)
			buf_adds(out, escape);
		else if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else if (c == (unsigned char)quote)
			buf_printf(out, "\\%c", c);
		else
			buf_addc(out, (char)c);
	}
	buf_addc(out, quote);
}

/* Length in bytes of the next piece that may not be broken: to the next blank, or to a hyphen inside a word of letters
 * (textwrap breaks "non-interactive" behind its hyphen). */
static size_t piece_len(const char *text)
{
	size_t i = 0;

	while (text[i] && text[i] != ' ') {
		if (i >= 2 && text[i] == '-' && isalpha((unsigned char)text[i - 1]) &&
		    (isalnum((unsigned char)text[i - 2]) || text[i - 2] == '_') && isalnum((unsigned char)text[i + 1]) &&
		    isalpha((unsigned char)text[i + 2]))
			return i + 1;
		i++;
	}
	return i;
}

static size_t columns_of(const char *text, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

void cli_wrap(struct buf *out, const char *text, size_t width, const char *first_indent, const char *indent)
{
	size_t column = cli_text_len(first_indent);
	bool fresh = true; /* nothing but the indentation on this line */

	buf_adds(out, first_indent);
	while (*text) {
		size_t blanks = strspn(text, " "), len = piece_len(text + blanks);
		size_t columns = columns_of(text + blanks, len);

		if (!fresh && column + blanks + columns > width) {
			buf_printf(out, "\n%s", indent);
			column = cli_text_len(indent);
			blanks = 0;
			text += strspn(text, " ");
		}
		buf_add(out, text, blanks + len);
		column += blanks + columns;
		text += blanks + len;
		fresh = false;
	}
}

/* Joins the lines of a paragraph, which ends at "\n\n" or the text's end. */
static void add_paragraph(struct buf *out, const char *text, size_t len, size_t width)
{
	_cleanup_free_ char *copy = xstrndup(text, len);

	if (copy[0] == '\b') { /* as it is, but indented */
		for (char *line = copy + 2, *next; line; line = next) {
			next = strchr(line, '\n');
			if (next)
				*next++ = '\0';
			buf_printf(out, "  %s\n", line);
		}
		return;
	}
	for (char *p = copy; *p; p++)
		if (*p == '\n')
			*p = ' ';
	cli_wrap(out, copy, width, "  ", "  ");
	buf_addc(out, '\n');
}

static void add_description(struct buf *out, const char *text, size_t width)
{
	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t len = end ? (size_t)(end - text) : strlen(text);

		buf_addc(out, '\n');
		add_paragraph(out, text, len, width);
		text += len + strspn(text + len, "\n");
	}
}

static void first_column(struct buf *out, const struct cli_option *option)
{
	if (option->short_name)
		buf_printf(out, "%s, ", option->short_name);
	buf_adds(out, option->name);
	if (option->negative)
		buf_printf(out, " / %s", option->negative);
	size_t before = out->len;

	buf_addc(out, ' ');
	cli_option_metavar(out, option);
	if (out->len == before + 1)
		out->data[--out->len] = '\0';
}

/* One row of a two-column list. */
static void add_row(struct buf *out, const char *first, const char *second, size_t column, size_t width)
{
	_cleanup_buf_ struct buf pad = BUF_INIT;
	size_t len = cli_text_len(first);

	buf_printf(&pad, "%*s", (int)(column + 2), "");
	buf_printf(out, "  %s", first);
	if (!*second) {
		buf_addc(out, '\n');
		return;
	}
	if (len + 2 <= column)
		buf_printf(out, "%*s", (int)(column - len), "");
	else
		buf_printf(out, "\n%s", buf_text(&pad));
	/* Wrapped without the indentation, as click does: the first line must have the same room as the others. */
	_cleanup_buf_ struct buf text = BUF_INIT;

	cli_wrap(&text, second, MAX(width - column - 2, (size_t)10), "", "");
	for (const char *p = buf_text(&text); *p; p++) {
		buf_addc(out, *p);
		if (*p == '\n')
			buf_adds(out, buf_text(&pad));
	}
	buf_addc(out, '\n');
}

static void add_option_row(struct buf *out, const struct cli_option *option, size_t column, size_t width)
{
	_cleanup_buf_ struct buf first = BUF_INIT, second = BUF_INIT;

	first_column(&first, option);
	buf_adds(&second, option->help);
	if (option->shown_default)
		buf_printf(&second, "  [default: %s]", option->shown_default);
	add_row(out, buf_text(&first), buf_text(&second), column, width);
}

static size_t option_columns(const struct cli_option *option)
{
	_cleanup_buf_ struct buf first = BUF_INIT;

	first_column(&first, option);
	return cli_text_len(buf_text(&first));
}

static void add_options(struct buf *out, const struct cli_command *command, size_t width)
{
	size_t column = command->no_help ? 0 : option_columns(&cli_help_option);

	for (const struct cli_option *o = command->options; o->name; o++)
		column = MAX(column, option_columns(o));
	if (!column)
		return;
	column = MIN(column, (size_t)COLUMN_MAX) + 2;
	buf_adds(out, "\nOptions:\n");
	for (const struct cli_option *o = command->options; o->name; o++)
		add_option_row(out, o, column, width);
	if (!command->no_help)
		add_option_row(out, &cli_help_option, column, width);
}

static void add_commands(struct buf *out, const struct cli_command *command, size_t width)
{
	size_t column = 0;

	for (const struct cli_command *c = command->commands; c->name; c++)
		if (c->built || !c->ours)
			column = MAX(column, strlen(c->name));
	buf_adds(out, "\nCommands:\n");
	for (const struct cli_command *c = command->commands; c->name; c++)
		if (c->built || !c->ours)
			add_row(out, c->name, c->summary, column + 2, width);
}

void cli_usage(struct buf *out, const char *prog, const struct cli_command *const *chain, size_t depth, size_t width)
{
	const struct cli_command *command = chain[depth - 1];
	_cleanup_buf_ struct buf prefix = BUF_INIT, indent = BUF_INIT, rest = BUF_INIT;

	buf_printf(&prefix, "Usage: %s ", prog);
	for (size_t i = 1; i < depth; i++)
		buf_printf(&prefix, "%s ", chain[i]->name);
	buf_adds(&rest, "[OPTIONS]");
	for (const struct cli_argument *a = command->arguments; a && a->name; a++) {
		buf_addc(&rest, ' ');
		cli_argument_metavar(&rest, a);
	}
	if (command->commands)
		buf_adds(&rest, " COMMAND [ARGS]...");
	buf_printf(&indent, "%*s", (int)cli_text_len(buf_text(&prefix)), "");
	cli_wrap(out, buf_text(&rest), width, buf_text(&prefix), buf_text(&indent));
	buf_addc(out, '\n');
}

void cli_help(struct buf *out, const char *prog, const struct cli_command *const *chain, size_t depth, size_t width)
{
	const struct cli_command *command = chain[depth - 1];

	cli_usage(out, prog, chain, depth, width);
	add_description(out, command->description, width);
	add_options(out, command, width);
	if (command->commands)
		add_commands(out, command, width);
}

/* cli_main: from argv to an exit code. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/cli_internal.h"

#define EXIT_USAGE 2
#define EXIT_ERROR 255

static void put(int fd, const struct buf *text)
{
	if (text->len)
		fs_write_all(fd, buf_text(text), text->len);
}

static int complete(void)
{
	const char *words = getenv("COMP_WORDS"), *cword = getenv("COMP_CWORD");
	_cleanup_buf_ struct buf out = BUF_INIT;

	if (words && cword)
		cli_complete(&out, words, strtol(cword, NULL, 10));
	put(STDOUT_FILENO, &out);
	return 0;
}

static int usage_error(const struct cli_parse *parse, const char *prog)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const struct cli_command *command = parse->chain[parse->depth - 1];

	cli_usage(&text, prog, parse->chain, parse->depth, cli_help_width());
	if (!command->no_help) {
		buf_printf(&text, "Try '%s", prog);
		for (size_t i = 1; i < parse->depth; i++)
			buf_printf(&text, " %s", parse->chain[i]->name);
		buf_adds(&text, " --help' for help.\n");
	}
	buf_printf(&text, "\nError: %s\n", buf_text(&parse->error));
	put(STDERR_FILENO, &text);
	return EXIT_USAGE;
}

static int print_help(const struct cli_parse *parse, const char *prog, int fd)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	cli_help(&text, prog, parse->chain, parse->depth, cli_help_width());
	put(fd, &text);
	return fd == STDOUT_FILENO ? 0 : EXIT_USAGE;
}

/* `help [COMMAND...]`: on stderr, as the peer. */
static int run_help(const struct cli_parse *parse, const char *prog)
{
	const struct session_strings *words = &parse->values.request.arguments;
	const struct cli_command *chain[CLI_DEPTH_MAX] = { &cli_root };
	_cleanup_buf_ struct buf text = BUF_INIT;
	size_t depth = 1;

	for (size_t i = 0; i < words->count; i++) {
		const struct cli_command *next = cli_find_command(chain[depth - 1], words->items[i]);

		if (!next) {
			buf_printf(&text, "Not a valid command: '%s", prog);
			for (i = 0; i < words->count; i++)
				buf_printf(&text, " %s", words->items[i]);
			buf_adds(&text, "'\n");
			put(STDERR_FILENO, &text);
			return EXIT_ERROR;
		}
		chain[depth++] = next;
	}
	cli_help(&text, prog, chain, depth, cli_help_width());
	if (chain[depth - 1]->commands) {
		buf_printf(&text, "\nFor usage on a specific command: %s help ", prog);
		for (size_t i = 0; i < words->count; i++)
			buf_printf(&text, "%s ", words->items[i]);
		buf_adds(&text, "COMMAND\n");
	}
	put(STDERR_FILENO, &text);
	return 0;
}

static int run_init(struct cli_values *values, struct session_frontend *table)
{
	_cleanup_buf_ struct buf created = BUF_INIT;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	int r = cli_init(values, &created, &diag);

	put(STDERR_FILENO, &created);
	if (r == 0)
		return 0;
	if (r > 0) {
		fs_write_all(STDERR_FILENO, "\nAborted!\n", strlen("\nAborted!\n"));
		return 1; /* click's code for it */
	}
	table->error(table->data, NULL, &diag);
	return EXIT_ERROR;
}

static void command_name(struct buf *out, const struct cli_parse *parse)
{
	for (size_t i = 1; i < parse->depth; i++)
		buf_printf(out, "%s%s", i > 1 ? " " : "", parse->chain[i]->name);
}

static int not_built(const struct cli_parse *parse, struct session_frontend *table)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_buf_ struct buf name = BUF_INIT;

	command_name(&name, parse);
	diag_set(&diag, "app", "not-built-yet", "The command '%s' is not built yet in Millrace " MILLRACE_VERSION,
		 buf_text(&name));
	table->error(table->data, NULL, &diag);
	return EXIT_ERROR;
}

/* Conflicting options end here, as plain text with exit code 255. */
static int check_request(struct cli_parse *parse)
{
	_cleanup_buf_ struct buf error = BUF_INIT, warning = BUF_INIT;
	int r = cli_check_request(&parse->values.request, &error, &warning);

	if (warning.len)
		buf_addc(&warning, '\n');
	put(STDERR_FILENO, &warning);
	if (r == 0)
		return 0;
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	diag_set(&diag, "app", NULL, "%s", buf_text(&error));
	cli_error_record("main", &diag);
	buf_addc(&error, '\n');
	put(STDERR_FILENO, &error);
	return EXIT_ERROR;
}

static int run_command(struct cli_parse *parse, const char *prog, cli_run_fn *run)
{
	struct cli_values *values = &parse->values;
	struct session_globals *globals = &values->request.globals;
	bool terminal = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
	struct cli_frontend frontend;
	int code = check_request(parse);

	if (code)
		return code;
	globals->interactive = terminal && !values->no_interactive;
	globals->colors = values->colors == SESSION_UNSET ? terminal : values->colors;
	if (values->request.command == SESSION_HELP)
		return run_help(parse, prog);
	cli_frontend_init(&frontend, values);
	struct session_frontend table = cli_frontend_table(&frontend);

	if (values->request.command == SESSION_INIT)
		code = run_init(values, &table);
	else if (!parse->chain[parse->depth - 1]->built || !run)
		code = not_built(parse, &table);
	else
		code = run(&values->request, &table);
	cli_frontend_release(&frontend);
	return code;
}

/* A terminal left non-blocking by another program makes every write a game of chance: say so at once. */
static int check_streams(void)
{
	static const struct {
		int fd;
		const char *name;
	} streams[] = { { STDOUT_FILENO, "<stdout>" }, { STDERR_FILENO, "<stderr>" } };

	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		int flags = fcntl(streams[i].fd, F_GETFL);
		_cleanup_buf_ struct buf text = BUF_INIT;

		if (flags < 0 || !(flags & O_NONBLOCK))
			continue;
		buf_printf(&text, "%s is currently set to O_NONBLOCK, try opening a new shell\n", streams[i].name);
		put(STDERR_FILENO, &text);
		return EXIT_ERROR;
	}
	return 0;
}

static int print_version(void)
{
	static const char version[] = CLI_PEER_VERSION " (Millrace " MILLRACE_VERSION ")\n";

	return fs_write_all(STDOUT_FILENO, version, sizeof(version) - 1) < 0 ? EXIT_ERROR : 0;
}

int cli_main(int argc, char **argv, cli_run_fn *run)
{
	const char *prog = argc > 0 && *argv[0] ? fs_basename(argv[0]) : "millrace";
	struct arena arena = ARENA_INIT;
	struct cli_parse parse = { .arena = &arena };
	int code;

	if (getenv("_BST_COMPLETION"))
		return complete();
	code = check_streams();
	if (code)
		return code;
	int r = cli_parse(&parse, (const char *const *)argv + 1, argc > 0 ? (size_t)argc - 1 : 0);

	if (r < 0)
		code = usage_error(&parse, prog);
	else if (r == CLI_PARSE_VERSION)
		code = print_version();
	else if (r == CLI_PARSE_HELP || r == CLI_PARSE_BARE_GROUP)
		code = print_help(&parse, prog, r == CLI_PARSE_HELP ? STDOUT_FILENO : STDERR_FILENO);
	else
		code = run_command(&parse, prog, run);
	cli_parse_release(&parse);
	arena_release(&arena);
	return code;
}

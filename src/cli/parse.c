/* argv to request, by click's rules (click/parser.py, core.py), so that whatever scripts write for the peer works:
 * options of a command may stand before, between and behind its arguments; those of a group only before the command;
 * "--" ends them; "--x=v", "--x v", "-xv", "-xyz" for flags.  Values are converted after a level was read as a whole,
 * --help and --version first; of an option that may be given once the last value counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "cli/cli_internal.h"

void cli_scan_release(struct cli_scan *scan)
{
	free(scan->seen);
	free(scan->words);
	*scan = (struct cli_scan){ 0 };
}

static struct cli_occurrence *add_seen(struct cli_scan *scan, const struct cli_option *option, bool negative)
{
	scan->seen = util_grow(scan->seen, &scan->cap_seen, scan->n_seen + 1, sizeof(*scan->seen));
	scan->seen[scan->n_seen] = (struct cli_occurrence){ .option = option, .negative = negative };
	return &scan->seen[scan->n_seen++];
}

static void add_word(struct cli_scan *scan, const char *word)
{
	scan->words = util_grow(scan->words, &scan->cap_words, scan->n_words + 1, sizeof(*scan->words));
	scan->words[scan->n_words++] = word;
}

static const struct cli_option *each_option(const struct cli_command *command, size_t i)
{
	size_t n = 0;

	for (const struct cli_option *o = command->options; o->name; o++, n++)
		if (n == i)
			return o;
	return i == n && !command->no_help ? &cli_help_option : NULL;
}

static bool name_is(const char *name, const char *text, size_t len)
{
	return name && strlen(name) == len && memcmp(name, text, len) == 0;
}

static const struct cli_option *find_option(const struct cli_command *command, const char *text, size_t len,
					    bool *negative)
{
	const struct cli_option *o;

	*negative = false;
	for (size_t i = 0; (o = each_option(command, i)); i++) {
		if (name_is(o->name, text, len) || name_is(o->short_name, text, len))
			return o;
		if (name_is(o->negative, text, len)) {
			*negative = true;
			return o;
		}
	}
	return NULL;
}

static int no_such_option(const struct cli_command *command, const char *text, size_t len, bool suggest_long,
			  struct buf *error)
{
	_cleanup_free_ char *name = xstrndup(text, len);
	struct suggest suggest;
	const struct cli_option *o;

	buf_adds(error, "No such option ");
	cli_repr(error, name);
	buf_addc(error, '.');
	if (!suggest_long)
		return -EINVAL;
	suggest_init(&suggest, name);
	for (size_t i = 0; (o = each_option(command, i)); i++) {
		suggest_offer(&suggest, o->name);
		if (o->negative)
			suggest_offer(&suggest, o->negative);
	}
	if (suggest.count)
		buf_addc(error, ' ');
	suggest_format(&suggest, error);
	return -EINVAL;
}

/* Where the scanner is: args[at] is read next; attached is a value that came with its option ("=v", "-xv"). */
struct cursor {
	const char *const *args;
	size_t at, count;
	const char *attached;
};

static int take_values(struct cursor *cursor, struct cli_occurrence *seen, const char *name, size_t name_len,
		       struct buf *error)
{
	int wanted = cli_value_count(seen->option), got = 0;

	if (cursor->attached) {
		seen->values[got++] = cursor->attached;
		cursor->attached = NULL;
	}
	while (got < wanted && cursor->at < cursor->count)
		seen->values[got++] = cursor->args[cursor->at++];
	if (got == wanted)
		return 0;
	if (wanted == 1)
		buf_printf(error, "Option '%.*s' requires an argument.", (int)name_len, name);
	else
		buf_printf(error, "Option '%.*s' requires %d arguments.", (int)name_len, name, wanted);
	return -EINVAL;
}

static int scan_short(struct cli_scan *scan, const struct cli_command *command, const char *arg,
		      struct cursor *cursor, struct buf *error)
{
	for (size_t i = 1; arg[i]; i++) {
		char name[3] = { '-', arg[i], '\0' };
		bool negative;
		const struct cli_option *option = find_option(command, name, 2, &negative);

		if (!option) {
			size_t len = 1; /* a whole UTF-8 character in the message */

			while (((unsigned char)arg[i + len] & 0xc0) == 0x80)
				len++;
			_cleanup_free_ char *whole = xasprintf("-%.*s", (int)len, arg + i);

			return no_such_option(command, whole, strlen(whole), false, error);
		}
		struct cli_occurrence *seen = add_seen(scan, option, negative);

		if (!cli_takes_value(option))
			continue;
		if (arg[i + 1])
			cursor->attached = arg + i + 1;
		return take_values(cursor, seen, name, 2, error);
	}
	return 0;
}

static int scan_option(struct cli_scan *scan, const struct cli_command *command, const char *arg, struct cursor *cursor,
		       struct buf *error)
{
	const char *equals = strchr(arg, '=');
	size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
	bool negative, is_long = arg[1] == '-';
	const struct cli_option *option = is_long ? find_option(command, arg, len, &negative) : NULL;

	if (!is_long)
		return scan_short(scan, command, arg, cursor, error);
	if (!option)
		return no_such_option(command, arg, len, true, error);
	struct cli_occurrence *seen = add_seen(scan, option, negative);

	if (cli_takes_value(option)) {
		cursor->attached = equals ? equals + 1 : NULL;
		return take_values(cursor, seen, arg, len, error);
	}
	if (!equals)
		return 0;
	buf_printf(error, "Option '%.*s' does not take a value.", (int)len, arg);
	return -EINVAL;
}

int cli_scan(struct cli_scan *scan, const struct cli_command *command, const char *const *args, size_t count,
	     struct buf *error)
{
	struct cursor cursor = { .args = args, .count = count };

	while (cursor.at < count) {
		const char *arg = args[cursor.at++];

		if (strcmp(arg, "--") == 0)
			break;
		if (arg[0] == '-' && arg[1]) {
			int r = scan_option(scan, command, arg, &cursor, error);

			if (r < 0)
				return r;
			continue;
		}
		if (command->commands) {
			cursor.at--;
			break;
		}
		add_word(scan, arg);
	}
	while (cursor.at < count)
		add_word(scan, args[cursor.at++]);
	return 0;
}

static const struct cli_option *seen_eager(const struct cli_scan *scan)
{
	for (size_t i = 0; i < scan->n_seen; i++)
		if (scan->seen[i].option->kind == CLI_SHOW_HELP || scan->seen[i].option->kind == CLI_SHOW_VERSION)
			return scan->seen[i].option;
	return NULL;
}

static bool seen_before(const struct cli_scan *scan, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (scan->seen[j].option == scan->seen[i].option)
			return true;
	return false;
}

static int store_options(struct cli_parse *parse, const struct cli_scan *scan)
{
	for (size_t i = 0; i < scan->n_seen; i++)
		if (!seen_before(scan, i)) {
			int r = cli_store_option(parse, scan->seen[i].option, scan->seen, scan->n_seen);

			if (r < 0)
				return r;
		}
	return 0;
}

static int no_such_command(const struct cli_command *group, const char *name, struct buf *error)
{
	struct suggest suggest;

	buf_adds(error, "No such command ");
	cli_repr(error, name);
	buf_addc(error, '.');
	suggest_init(&suggest, name);
	for (const struct cli_command *c = group->commands; c->name; c++)
		if (c->built || !c->ours)
			suggest_offer(&suggest, c->name);
	if (suggest.count)
		buf_addc(error, ' ');
	suggest_format(&suggest, error);
	return -EINVAL;
}

/* Reads one level; more is the number of words that go to the next level, from rest on. */
static int parse_level(struct cli_parse *parse, struct cli_scan *scan, const char *const *args, size_t count)
{
	const struct cli_command *command = parse->chain[parse->depth - 1];
	int r;

	if (command->commands && !count)
		return CLI_PARSE_BARE_GROUP;
	r = cli_scan(scan, command, args, count, &parse->error);
	if (r < 0)
		return r;
	const struct cli_option *eager = seen_eager(scan);

	if (eager)
		return eager->kind == CLI_SHOW_HELP ? CLI_PARSE_HELP : CLI_PARSE_VERSION;
	r = store_options(parse, scan);
	if (r < 0)
		return r;
	if (!command->commands)
		return cli_store_arguments(parse, command, scan->words, scan->n_words);
	if (!scan->n_words) {
		buf_adds(&parse->error, "Missing command.");
		return -EINVAL;
	}
	const struct cli_command *next = cli_find_command(command, scan->words[0]);

	if (!next)
		return no_such_command(command, scan->words[0], &parse->error);
	parse->chain[parse->depth++] = next;
	parse->values.request.command = next->id;
	parse->values.request.deps = next->deps;
	return CLI_PARSE_RUN;
}

static void set_defaults(struct cli_values *values)
{
	struct session_globals *globals = &values->request.globals;

	globals->on_error = globals->fetchers = globals->builders = globals->pushers = globals->max_jobs =
		globals->network_retries = globals->error_lines = globals->message_lines = globals->verbose =
			globals->debug = globals->strict = globals->pull_buildtrees = globals->cache_buildtrees =
				globals->workers = globals->jobs = SESSION_UNSET;
	values->colors = SESSION_UNSET;
	values->request.deps = SESSION_UNSET;
	values->request.integrate = true;
	values->request.min_version = "2.8";
	values->request.element_path = "elements";
}

int cli_parse(struct cli_parse *parse, const char *const *args, size_t count)
{
	struct cli_scan scan = { 0 };
	const char **words = NULL;
	int r = CLI_PARSE_RUN;

	set_defaults(&parse->values);
	parse->chain[0] = &cli_root;
	parse->depth = 1;
	for (size_t level = 0; r == CLI_PARSE_RUN && level < parse->depth; level++) {
		r = parse_level(parse, &scan, args, count);
		/* What is left for the command is in scan.words, behind its name; keep that until it was read. */
		free(words);
		words = scan.words;
		args = words ? words + 1 : NULL;
		count = scan.n_words ? scan.n_words - 1 : 0;
		scan.words = NULL;
		cli_scan_release(&scan);
	}
	free(words);
	return r;
}

void cli_parse_release(struct cli_parse *parse)
{
	buf_release(&parse->error);
}

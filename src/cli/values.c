/* From the words of argv to checked values in the request, and what must not be combined. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli_internal.h"

/* "Invalid value for '--config' / '-c': ", as click names the option. */
static void invalid_option(struct buf *error, const struct cli_option *option)
{
	buf_printf(error, "Invalid value for '%s'", option->name);
	if (option->short_name)
		buf_printf(error, " / '%s'", option->short_name);
	buf_adds(error, ": ");
}

/* Python's int(): blanks around, a sign, single underscores between digits. */
static bool parse_int(const char *text, int *ret)
{
	long long value = 0;
	bool negative = false, digit = false;

	text += strspn(text, " \t\n\r\f\v");
	if (*text == '-' || *text == '+')
		negative = *text++ == '-';
	for (; *text; text++) {
		if (*text == '_' && digit && text[1] >= '0' && text[1] <= '9')
			continue;
		if (*text < '0' || *text > '9')
			break;
		digit = true;
		value = value * 10 + (*text - '0');
		if (value > INT_MAX)
			return false;
	}
	text += strspn(text, " \t\n\r\f\v");
	if (!digit || *text)
		return false;
	*ret = (int)(negative ? -value : value);
	return true;
}

static int store_int(struct cli_parse *parse, const struct cli_option *option, const char *text, int *dest)
{
	int value;

	if (!parse_int(text, &value)) {
		invalid_option(&parse->error, option);
		cli_repr(&parse->error, text);
		buf_adds(&parse->error, " is not a valid integer.");
		return -EINVAL;
	}
	if (value < option->minimum) {
		invalid_option(&parse->error, option);
		buf_printf(&parse->error, "%d is not in the range x>=%d.", value, option->minimum);
		return -EINVAL;
	}
	*dest = value;
	return 0;
}

static int store_choice(struct cli_parse *parse, const struct cli_option *option, const char *text, int *dest)
{
	for (const struct cli_choice *c = option->choices; c->name; c++)
		if (strcmp(c->name, text) == 0) {
			*dest = c->value;
			return 0;
		}
	invalid_option(&parse->error, option);
	cli_repr(&parse->error, text);
	buf_adds(&parse->error, " is not one of ");
	for (const struct cli_choice *c = option->choices; c->name; c++)
		buf_printf(&parse->error, "%s'%s'", c == option->choices ? "" : ", ", c->name);
	buf_addc(&parse->error, '.');
	return -EINVAL;
}

/* What is wrong with path for this kind; NULL: nothing.  noun is what click calls it. */
static const char *path_fault(const char *path, enum cli_kind kind, const char **noun)
{
	struct stat st;

	*noun = kind == CLI_FILE ? "File" : kind == CLI_MOUNT ? "Path" : "Directory";
	if (kind == CLI_PATH || kind == CLI_OUTPUT_FILE)
		return NULL;
	if (stat(path, &st) < 0)
		return kind == CLI_FILE || kind == CLI_MOUNT ? "does not exist." : NULL;
	if (kind == CLI_FILE && S_ISDIR(st.st_mode))
		return "is a directory.";
	if ((kind == CLI_DIRECTORY || kind == CLI_WRITABLE_DIRECTORY) && S_ISREG(st.st_mode))
		return "is a file.";
	if (kind == CLI_WRITABLE_DIRECTORY && access(path, W_OK) < 0)
		return "is not writable.";
	return access(path, R_OK) < 0 ? "is not readable." : NULL;
}

static int check_path(struct cli_parse *parse, const struct cli_option *option, const char *path)
{
	const char *noun, *fault = path_fault(path, option->kind, &noun);

	if (!fault)
		return 0;
	invalid_option(&parse->error, option);
	buf_printf(&parse->error, "%s ", noun);
	cli_repr(&parse->error, path);
	buf_printf(&parse->error, " %s", fault);
	return -EINVAL;
}

static size_t count_of(const struct cli_option *option, const struct cli_occurrence *seen, size_t n_seen)
{
	size_t count = 0;

	for (size_t i = 0; i < n_seen; i++)
		count += seen[i].option == option;
	return count;
}

static int store_many(struct cli_parse *parse, const struct cli_option *option, const struct cli_occurrence *seen,
		      size_t n_seen, void *dest)
{
	struct session_pairs *pairs = dest;
	struct session_strings *strings = dest;
	struct session_remotes *remotes = dest;
	size_t count = count_of(option, seen, n_seen);

	switch ((int)option->kind) {
	case CLI_PAIR:
	case CLI_MOUNT:
		pairs->items = ARENA_ARRAY(parse->arena, struct session_pair, count);
		break;
	case CLI_ELEMENTS:
		strings->items = ARENA_ARRAY(parse->arena, const char *, count);
		break;
	default:
		remotes->items = ARENA_ARRAY(parse->arena, struct session_remote, count);
	}
	for (size_t i = 0; i < n_seen; i++) {
		_cleanup_buf_ struct buf reason = BUF_INIT;
		int r = 0;

		if (seen[i].option != option)
			continue;
		if (option->kind == CLI_PAIR || option->kind == CLI_MOUNT) {
			r = option->kind == CLI_MOUNT ? check_path(parse, option, seen[i].values[0]) : 0;
			pairs->items[pairs->count++] = (struct session_pair){ seen[i].values[0], seen[i].values[1] };
		} else if (option->kind == CLI_ELEMENTS) {
			strings->items[strings->count++] = seen[i].values[0];
		} else if (cli_parse_remote(parse->arena, &remotes->items[remotes->count++], seen[i].values[0],
					    option->kind, &reason) < 0) {
			invalid_option(&parse->error, option);
			buf_printf(&parse->error, "Failed to interpret remote: %s", buf_text(&reason));
			r = -EINVAL;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int cli_store_option(struct cli_parse *parse, const struct cli_option *option, const struct cli_occurrence *seen,
		     size_t n_seen)
{
	void *dest = (char *)&parse->values + option->dest;
	const struct cli_occurrence *last = NULL;

	if (cli_is_multiple(option))
		return store_many(parse, option, seen, n_seen, dest);
	for (size_t i = 0; i < n_seen; i++)
		if (seen[i].option == option)
			last = &seen[i];
	assert(last);
	switch ((int)option->kind) {
	case CLI_FLAG:
		*(bool *)dest = true;
		return 0;
	case CLI_FLAG_INT:
		*(int *)dest = 1;
		return 0;
	case CLI_TOGGLE:
		if (option->dest == offsetof(struct cli_values, request.integrate))
			*(bool *)dest = !last->negative;
		else
			*(int *)dest = !last->negative;
		return 0;
	case CLI_INT:
		return store_int(parse, option, last->values[0], dest);
	case CLI_CHOICE:
		return store_choice(parse, option, last->values[0], dest);
	case CLI_TEXT:
		break;
	default:
		if (check_path(parse, option, last->values[0]) < 0)
			return -EINVAL;
	}
	*(const char **)dest = last->values[0];
	return 0;
}

static int store_words(struct cli_parse *parse, const struct cli_argument *argument, const char *const *words,
		       size_t count)
{
	struct session_strings *strings = (void *)((char *)&parse->values + argument->dest);

	if (argument->required && !count) {
		buf_printf(&parse->error, "Missing argument '");
		cli_argument_metavar(&parse->error, argument);
		buf_adds(&parse->error, "'.");
		return -EINVAL;
	}
	strings->items = ARENA_ARRAY(parse->arena, const char *, count);
	strings->count = count;
	for (size_t i = 0; i < count; i++) {
		const char *noun, *fault = NULL;

		if (argument->kind == CLI_WRITABLE_DIRECTORY)
			fault = path_fault(words[i], argument->kind, &noun);
		if (fault) {
			buf_adds(&parse->error, "Invalid value for '");
			cli_argument_metavar(&parse->error, argument);
			buf_printf(&parse->error, "': %s ", noun);
			cli_repr(&parse->error, words[i]);
			buf_printf(&parse->error, " %s", fault);
			return -EINVAL;
		}
		strings->items[i] = words[i];
	}
	return 0;
}

int cli_store_arguments(struct cli_parse *parse, const struct cli_command *command, const char *const *words,
			size_t count)
{
	size_t at = 0;

	for (const struct cli_argument *a = command->arguments; a && a->name; a++) {
		size_t take = a->many ? count - at : MIN((size_t)1, count - at);
		int r = store_words(parse, a, words + at, take);

		if (r < 0)
			return r;
		at += take;
	}
	if (at == count)
		return 0;
	buf_printf(&parse->error, "Got unexpected extra argument%s (", count - at > 1 ? "s" : "");
	for (size_t i = at; i < count; i++)
		buf_printf(&parse->error, "%s%s", i > at ? " " : "", words[i]);
	buf_addc(&parse->error, ')');
	return -EINVAL;
}

/* The last extension of path's last component, with its dot; "" if there is none (os.path.splitext). */
static const char *extension(const char *path, size_t len, size_t *ret_len)
{
	size_t i = len;

	while (i > 0 && path[i - 1] != '/' && path[i - 1] != '.')
		i--;
	*ret_len = 0;
	if (!i || path[i - 1] == '/')
		return "";
	size_t first = i - 1; /* leading dots of a name begin no extension */

	while (first > 0 && path[first - 1] == '.')
		first--;
	if (!first || path[first - 1] == '/')
		return "";
	*ret_len = len - (i - 1);
	return path + i - 1;
}

/* The compression that an archive's name tells; -EINVAL and error for "x.tar.foo". */
static int compression_of(const char *tar, struct buf *error)
{
	static const struct cli_choice known[] = {
		{ ".tar", SESSION_COMPRESSION_NONE },
		{ ".gz", SESSION_COMPRESSION_GZ },
		{ ".xz", SESSION_COMPRESSION_XZ },
		{ ".bz2", SESSION_COMPRESSION_BZ2 },
	};
	size_t len, inner_len;
	const char *ext = extension(tar, strlen(tar), &len);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].name) == len && memcmp(known[i].name, ext, len) == 0)
			return known[i].value;
	const char *inner = extension(tar, strlen(tar) - len, &inner_len);

	if (inner_len != 4 || memcmp(inner, ".tar", 4) != 0)
		return SESSION_COMPRESSION_NONE;
	buf_printf(error,
		   "ERROR: Invalid file extension given with '--tar': Expected compression with unknown file extension "
		   "('%s'), supported extensions are ('.tar'), ('.gz'), ('.xz'), ('.bz2')",
		   ext);
	return -EINVAL;
}

static int conflict(struct buf *error, const char *text)
{
	buf_adds(error, text);
	return -EINVAL;
}

static int check_artifact_checkout(struct session_request *request, struct buf *error, struct buf *warning)
{
	if (request->hardlinks && request->tar)
		return conflict(error, "ERROR: options --hardlinks and --tar conflict");
	if (request->tar && request->location)
		return conflict(error, "ERROR: options --directory and --tar conflict");
	if (!request->tar && request->compression)
		return conflict(error, "ERROR: --compression can only be provided if --tar is provided");
	if (!request->tar)
		return 0;
	int told = compression_of(request->tar, error);

	if (told < 0)
		return told;
	if (request->compression && told && (int)request->compression != told)
		buf_adds(warning, "WARNING: File extension and compression differ. "
				  "File extension has been overridden by --compression");
	if (!request->compression)
		request->compression = (enum session_compression)told;
	return 0;
}

static int check_source_checkout(struct session_request *request, struct buf *error)
{
	if (request->tar && request->location && strcmp(request->location, "source-checkout") != 0)
		return conflict(error, "ERROR: options --directory and --tar conflict");
	if (request->compression && !request->tar)
		return conflict(error, "ERROR: --compression specified without --tar");
	if (!request->location)
		request->location = "source-checkout";
	return 0;
}

int cli_check_request(struct session_request *request, struct buf *error, struct buf *warning)
{
	if (request->use_buildtree) /* build trees make sense in build shells only */
		request->shell_build = true;
	if (request->command == SESSION_ARTIFACT_CHECKOUT)
		return check_artifact_checkout(request, error, warning);
	if (request->command == SESSION_SOURCE_CHECKOUT)
		return check_source_checkout(request, error);
	return 0;
}

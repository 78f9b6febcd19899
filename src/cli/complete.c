/* Shell completion by the peer's protocol (_frontend/complete.py): COMP_WORDS holds the line, COMP_CWORD the number of
 * the word being typed; the answers come one a line, with a blank behind those that are whole.
 *
 * For a program called "bst" only what the peer has is offered.
 */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/cli_internal.h"

#define LINE_MAX_BYTES (1u << 20)
#define PROJECT_CONF_MAX (1u << 20)
#define REF_DEPTH_MAX 16

struct strings {
	const char **items;
	size_t count, cap;
};

struct completion {
	struct arena *arena;
	struct strings words; /* all the words before the one being typed, without the program's name */
	const char *incomplete;
	bool peer; /* the program is called bst */
	struct strings choices;
};

static void add_string(struct strings *strings, const char *text)
{
	strings->items = util_grow(strings->items, &strings->cap, strings->count + 1, sizeof(*strings->items));
	strings->items[strings->count++] = text;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Splits a line as a POSIX shell would (shlex, posix mode); an unclosed quote ends with the line. */
static void split_words(struct arena *arena, const char *line, struct strings *ret)
{
	_cleanup_buf_ struct buf word = BUF_INIT;
	bool inside = false;
	char quote = 0;

	for (; *line; line++) {
		if (!quote && strchr(" \t\r\n", *line)) {
			if (inside)
				add_string(ret, arena_strdup(arena, buf_text(&word)));
			buf_clear(&word);
			inside = false;
			continue;
		}
		inside = true;
		if (quote && *line == quote)
			quote = 0;
		else if (!quote && (*line == '\'' || *line == '"'))
			quote = *line;
		else if (*line == '\\' && quote != '\'') {
			if (!line[1])
				break;
			if (quote && line[1] != quote && line[1] != '\\')
				buf_addc(&word, '\\');
			buf_addc(&word, *++line);
		} else
			buf_addc(&word, *line);
	}
	if (inside)
		add_string(ret, arena_strdup(arena, buf_text(&word)));
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static const char *join(struct arena *arena, const char *a, const char *b)
{
	if (b[0] == '/')
		return b;
	if (!*b)
		return arena_printf(arena, "%s%s", a, str_ends(a, "/") ? "" : "/");
	return arena_printf(arena, "%s%s%s", a, !*a || str_ends(a, "/") ? "" : "/", b);
}

/* The names of a directory's entries, sorted, each joined to prefix if that is not NULL. */
static void list_directory(struct arena *arena, const char *path, const char *prefix, struct strings *ret)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		const char *name = arena_strdup(arena, entry->d_name);

		add_string(ret, prefix ? join(arena, prefix, name) : name);
	}
	if (dir)
		closedir(dir);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_text);
}

enum path_filter { PATH_ANY, PATH_DIRECTORIES, PATH_ELEMENTS };

/* Paths below base that begin as what is being typed; directories end with "/", others with a blank. */
static void complete_path(struct completion *c, const char *base, enum path_filter filter)
{
	const char *slash = strrchr(c->incomplete, '/'), *base_path = NULL;
	struct strings entries = { 0 };

	if (slash)
		base_path = join(c->arena, base,
				 arena_strndup(c->arena, c->incomplete, (size_t)(slash - c->incomplete)));
	if (slash == c->incomplete)
		base_path = "/"; /* the peer looks in base here and finds nothing of use */
	if (!slash && is_directory(join(c->arena, base, c->incomplete)))
		base_path = join(c->arena, base, c->incomplete);
	if (base_path)
		list_directory(c->arena, base_path, base_path, &entries);
	else
		list_directory(c->arena, base, NULL, &entries);

	const char *base_slash = join(c->arena, base, "");
	size_t cut = strlen(base_slash);

	for (size_t i = 0; i < entries.count; i++) {
		const char *entry = entries.items[i];
		bool directory = is_directory(base_path ? entry : join(c->arena, base, entry));

		if (filter == PATH_DIRECTORIES && !directory)
			continue;
		if (filter == PATH_ELEMENTS && !directory && !str_ends(entry, ".bst"))
			continue;
		if (str_starts(entry, base_slash))
			entry += cut;
		add_string(&c->choices, arena_printf(c->arena, "%s%s", entry, directory ? "/" : " "));
	}
	free(entries.items);
}

/* The value of a plain "name: value" line at the top level of project.conf: a full YAML load would be too slow for
 * every press of the tab key, and too strict for a project that is just being written. */
static const char *conf_value(struct arena *arena, const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		const char *value = line + len + 1;

		value += strspn(value, " \t");
		size_t value_len = strcspn(value, "\r\n");
		const char *comment = strstr(value, " #");

		if (comment && (size_t)(comment - value) < value_len)
			value_len = (size_t)(comment - value);
		while (value_len && strchr(" \t", value[value_len - 1]))
			value_len--;
		if (value_len >= 2 && (*value == '\'' || *value == '"') && value[value_len - 1] == *value) {
			value++;
			value_len -= 2;
		}
		return arena_strndup(arena, value, value_len);
	}
	return "";
}

/* The directory of the project that the words name or that we stand in; NULL: none. */
static const char *project_directory(struct completion *c)
{
	for (size_t i = 0; i + 1 < c->words.count; i++)
		if (str_eq(c->words.items[i], "-C") || str_eq(c->words.items[i], "--directory"))
			return c->words.items[i + 1];
	char *cwd = getcwd(NULL, 0);
	const char *found = NULL;

	for (char *dir = cwd; dir && *dir && !found;) {
		const char *conf = join(c->arena, dir, "project.conf");

		if (access(conf, F_OK) == 0) {
			found = arena_strdup(c->arena, dir);
			break;
		}
		char *slash = strrchr(dir, '/');

		if (!slash || (slash == dir && !dir[1]))
			break;
		slash[slash == dir] = '\0';
	}
	free(cwd);
	return found;
}

static void complete_element(struct completion *c)
{
	_cleanup_buf_ struct buf conf = BUF_INIT;
	const char *directory = project_directory(c);

	if (!directory ||
	    fs_read_file(&conf, AT_FDCWD, join(c->arena, directory, "project.conf"), PROJECT_CONF_MAX) < 0)
		return;
	const char *element_path = conf_value(c->arena, buf_text(&conf), "element-path");

	if (*element_path)
		directory = join(c->arena, directory, element_path);
	complete_path(c, directory, PATH_ELEMENTS);
}

/* Artifact refs are files <cachedir>/artifacts/refs/<project>/<element>/<key>. */
static void list_refs(struct completion *c, const char *directory, const char *prefix, int depth)
{
	struct strings names = { 0 };

	list_directory(c->arena, directory, NULL, &names);
	for (size_t i = 0; depth < REF_DEPTH_MAX && i < names.count; i++) {
		const char *path = join(c->arena, directory, names.items[i]);
		const char *ref = *prefix ? join(c->arena, prefix, names.items[i]) : names.items[i];

		if (is_directory(path))
			list_refs(c, path, ref, depth + 1);
		else
			add_string(&c->choices, ref);
	}
	free(names.items);
}

static const char *home_path(struct arena *arena, const char *path)
{
	const char *home = getenv("HOME");

	return path[0] == '~' && path[1] == '/' && home ? join(arena, home, path + 2) : path;
}

/* The cache directory, from a plain "cachedir: value" line of the user configuration. */
static const char *cache_directory(struct completion *c)
{
	_cleanup_buf_ struct buf conf = BUF_INIT;
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME"), *cache = getenv("XDG_CACHE_HOME");
	const char *config_home, *config = NULL;

	if (!home)
		home = "/";
	config_home = xdg && *xdg ? xdg : join(c->arena, home, ".config");
	for (size_t i = 0; i + 1 < c->words.count; i++)
		if (str_eq(c->words.items[i], "-c") || str_eq(c->words.items[i], "--config"))
			config = c->words.items[i + 1];
	const char *const candidates[] = { config, join(c->arena, config_home, "buildstream2.conf"),
					   join(c->arena, config_home, "buildstream.conf") };

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		if (!candidates[i] || fs_read_file(&conf, AT_FDCWD, candidates[i], PROJECT_CONF_MAX) < 0)
			continue;
		const char *value = conf_value(c->arena, buf_text(&conf), "cachedir");

		if (*value)
			return home_path(c->arena, value);
		break;
	}
	return join(c->arena, cache && *cache ? cache : join(c->arena, home, ".cache"), "buildstream");
}

static void complete_artifact(struct completion *c)
{
	complete_element(c);
	list_refs(c, join(c->arena, cache_directory(c), "artifacts/refs"), "", 0);
}

static bool offered(const struct completion *c, const struct cli_command *command)
{
	return command->ours ? !c->peer && command->built : true;
}

static void add_commands(struct completion *c, const struct cli_command *group)
{
	for (const struct cli_command *k = group->commands; k && k->name; k++)
		if (offered(c, k))
			add_string(&c->choices, arena_printf(c->arena, "%s ", k->name));
}

/* `help artifact <tab>`: the commands of the group that was named. */
static void complete_help(struct completion *c)
{
	const struct cli_command *group = &cli_root;

	for (size_t i = 1; group && i < c->words.count; i++)
		group = cli_find_command(group, c->words.items[i]);
	if (group && group->commands)
		add_commands(c, group);
}

static void complete_value(struct completion *c, enum cli_kind kind, const struct cli_choice *choices)
{
	switch (kind) {
	case CLI_CHOICE:
		assert(choices);
		for (; choices->name; choices++)
			add_string(&c->choices, arena_printf(c->arena, "%s ", choices->name));
		break;
	case CLI_FILE:
	case CLI_OUTPUT_FILE:
	case CLI_PATH:
		complete_path(c, ".", PATH_ANY);
		break;
	case CLI_DIRECTORY:
	case CLI_WRITABLE_DIRECTORY:
		complete_path(c, ".", PATH_DIRECTORIES);
		break;
	case CLI_ELEMENT:
	case CLI_ELEMENTS:
		complete_element(c);
		break;
	case CLI_ARTIFACTS:
		complete_artifact(c);
		break;
	case CLI_COMMAND_NAMES:
		complete_help(c);
		break;
	case CLI_FLAG:
	case CLI_FLAG_INT:
	case CLI_TOGGLE:
	case CLI_INT:
	case CLI_TEXT:
	case CLI_PAIR:
	case CLI_MOUNT:
	case CLI_REMOTE:
	case CLI_REMOTE_PULL:
	case CLI_REMOTE_PUSH:
	case CLI_WORDS:
	case CLI_SHOW_HELP:
	case CLI_SHOW_VERSION:
		break;
	}
}

/* The command that the words lead to, and how many positional words it has; NULL: they lead nowhere. */
static const struct cli_command *resolve(const struct completion *c, size_t *ret_words)
{
	const struct cli_command *command = &cli_root;
	const char *const *args = c->words.items;
	size_t count = c->words.count;
	struct cli_scan scan = { 0 }, former = { 0 };

	for (;;) {
		_cleanup_buf_ struct buf error = BUF_INIT;

		cli_scan_release(&former);
		former = scan; /* args may point into it */
		scan = (struct cli_scan){ 0 };
		if (cli_scan(&scan, command, args, count, &error) < 0)
			scan.n_words = 0; /* half an option: complete it where it stands */
		*ret_words = scan.n_words;
		if (!command->commands || !scan.n_words)
			break;
		command = cli_find_command(command, scan.words[0]);
		args = scan.words + 1;
		count = scan.n_words - 1;
		if (!command)
			break;
	}
	cli_scan_release(&former);
	cli_scan_release(&scan);
	return command;
}

static bool was_given(const struct strings *words, const char *name)
{
	for (size_t i = 0; i < words->count; i++)
		if (str_eq(words->items[i], name))
			return true;
	return false;
}

static void add_option_names(struct completion *c, const struct cli_command *command)
{
	for (const struct cli_option *o = command->options; o->name; o++) {
		const char *const names[] = { o->name, o->short_name, o->negative };

		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (names[i] && !(o->ours && c->peer) && (cli_is_multiple(o) || !was_given(&c->words, names[i])))
				add_string(&c->choices, arena_printf(c->arena, "%s ", names[i]));
	}
}

/* Whether the last words are this option, still wanting a value. */
static bool awaits_value(const struct completion *c, const struct cli_option *option)
{
	const char *last = NULL;
	int seen = 0;

	for (size_t i = c->words.count; i > 0 && seen < cli_value_count(option); i--) {
		if (str_eq(c->words.items[i - 1], "="))
			continue;
		if (c->words.items[i - 1][0] == '-')
			last = c->words.items[i - 1];
		seen++;
	}
	return last && (str_eq(last, option->name) || str_eq(last, option->short_name));
}

static void find_choices(struct completion *c)
{
	size_t n_words;
	const struct cli_command *command = resolve(c, &n_words);
	const char *equals = strchr(c->incomplete, '=');

	if (!command)
		return;
	if (c->incomplete[0] == '-' && equals) {
		add_string(&c->words, arena_strndup(c->arena, c->incomplete, (size_t)(equals - c->incomplete)));
		c->incomplete = equals + 1;
	} else if (str_eq(c->incomplete, "=")) {
		c->incomplete = "";
	}
	if (c->incomplete[0] == '-') {
		add_option_names(c, command);
		return;
	}
	for (const struct cli_option *o = command->options; o->name; o++)
		if (cli_takes_value(o) && awaits_value(c, o)) {
			complete_value(c, o->kind, o->choices);
			return;
		}
	size_t at = 0;

	for (const struct cli_argument *a = command->arguments; a && a->name; a++, at++)
		if (a->many || n_words <= at) {
			complete_value(c, a->kind, NULL);
			return;
		}
	add_commands(c, command);
}

void cli_complete(struct buf *out, const char *words, long cword)
{
	struct arena arena = ARENA_INIT;
	struct completion c = { .arena = &arena, .incomplete = "" };
	struct strings all = { 0 };

	if (strlen(words) < LINE_MAX_BYTES)
		split_words(&arena, words, &all);
	if (cword >= 0 && (size_t)cword < all.count)
		c.incomplete = all.items[cword];
	for (size_t i = 1; i < all.count && (long)i < cword; i++)
		add_string(&c.words, all.items[i]);
	c.peer = all.count && str_eq(fs_basename(all.items[0]), "bst");
	find_choices(&c);
	for (size_t i = 0; i < c.choices.count; i++)
		if (str_starts(c.choices.items[i], c.incomplete))
			buf_printf(out, "%s\n", c.choices.items[i]);
	free(c.words.items);
	free(c.choices.items);
	free(all.items);
	arena_release(&arena);
}

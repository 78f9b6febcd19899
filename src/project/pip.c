/* Plugins in installed Python packages, found without Python.
 *
 * Searched: the directory of the user's setting, the virtual environment, the environments of `bst` and `python3` in
 * PATH, the distribution's packages.  A package is its *.dist-info directory: METADATA names the version,
 * entry_points.txt the module of each kind.
 */
#include "project/project_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

enum { MOST_BYTES = 1 << 20 };

static const char *const groups[PLUGIN_TYPES] = {
	[PLUGIN_ELEMENT] = "buildstream.plugins.elements",
	[PLUGIN_SOURCE] = "buildstream.plugins.sources",
	[PLUGIN_MIRROR] = "buildstream.plugins.sourcemirrors",
};

/* ---- requirements: name[extras] specifier, ... (PEP 508 and 440, the parts that packages of plugins use) ---- */

static char plain(char c)
{
	return c == '_' || c == '.' ? '-' : (char)tolower((unsigned char)c);
}

/* Names are equal if they differ in case and in runs of "-", "_" and "." only. */
static bool same_name(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t i = 0, k = 0;

	while (i < a_len && k < b_len) {
		char c = plain(a[i]);

		if (c != plain(b[k]))
			return false;
		i++, k++;
		while (c == '-' && i < a_len && plain(a[i]) == '-')
			i++;
		while (c == '-' && k < b_len && plain(b[k]) == '-')
			k++;
	}
	return i == a_len && k == b_len;
}

static size_t name_length(const char *requirement)
{
	size_t len = 0;

	while (isalnum((unsigned char)requirement[len]) || (requirement[len] && strchr("-_.", requirement[len])))
		len++;
	return len;
}

/* Compares release numbers; at most count components of b if count is not 0. */
static int compare_versions(const char *a, const char *b, unsigned count)
{
	for (unsigned i = 0; count == 0 ? (*a || *b) : i < count; i++) {
		char *end;
		long left = isdigit((unsigned char)*a) ? strtol(a, &end, 10) : (end = (char *)a, 0);

		a = *end == '.' ? end + 1 : "";
		long right = isdigit((unsigned char)*b) ? strtol(b, &end, 10) : (end = (char *)b, 0);
		b = *end == '.' ? end + 1 : "";
		if (left != right)
			return left < right ? -1 : 1;
	}
	return 0;
}

static unsigned components(const char *version)
{
	unsigned count = 1;

	for (; *version && *version != ',' && *version != '*' && *version != ' '; version++)
		count += *version == '.';
	return *version == '*' ? count - 1 : count;
}

/* One clause such as ">=2.0".  Negative if it cannot be understood. */
static int clause_holds(const char *clause, const char *version)
{
	static const char *const operators[] = { "===", "==", "!=", "<=", ">=", "~=", "<", ">" };
	const char *wanted;
	size_t op = 0;
	int order;
	bool prefix;

	while (op < ARRAY_SIZE(operators) && !str_starts(clause, operators[op]))
		op++;
	if (op == ARRAY_SIZE(operators))
		return -EINVAL;
	wanted = clause + strlen(operators[op]);
	wanted += strspn(wanted, " ");
	if (!isdigit((unsigned char)*wanted))
		return -EINVAL;
	prefix = str_ends(wanted, "*");
	order = compare_versions(version, wanted, prefix ? components(wanted) : 0);
	switch (op) {
	case 0:
	case 1:
		return order == 0;
	case 2:
		return order != 0;
	case 3:
		return order <= 0;
	case 4:
		return order >= 0;
	case 5:
		return order >= 0 && components(wanted) > 1 &&
		       compare_versions(version, wanted, components(wanted) - 1) == 0;
	case 6:
		return order < 0;
	default:
		return order > 0;
	}
}

static int specifier_holds(struct arena *arena, const char *requirement, const char *version)
{
	char *rest = arena_strdup(arena, requirement + name_length(requirement)), *clause;
	int holds = 1;

	rest += strspn(rest, " ");
	if (*rest == '[')
		rest = strchr(rest, ']') ? strchr(rest, ']') + 1 : rest;
	while ((clause = strsep(&rest, ",;")) != NULL) {
		int r;

		clause += strspn(clause, " (");
		clause[strcspn(clause, ") ")] = '\0';
		if (!*clause)
			continue;
		if ((r = clause_holds(clause, version)) < 0)
			return r;
		holds = holds && r;
	}
	return holds;
}

/* ---- directories with packages ---- */

typedef ITEMS(const char *) string_list;

static void add_glob(struct arena *arena, const char *prefix, const char *pattern, string_list *ret)
{
	glob_t found;

	if (glob(arena_printf(arena, "%s%s", prefix, pattern), 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			*items_add(ret) = arena_strdup(arena, found.gl_pathv[i]);
	globfree(&found);
}

static void add_environment(struct arena *arena, const char *prefix, string_list *ret)
{
	add_glob(arena, prefix, "/lib/python3*/site-packages", ret);
	add_glob(arena, prefix, "/lib/python3*/dist-packages", ret);
	add_glob(arena, prefix, "/lib/python3/dist-packages", ret);
}

/* The environment of a program in PATH: <prefix>/bin/<program>.  A virtual environment's python is a symlink out of
 * it, so links are not followed first. */
static void add_program(struct arena *arena, const char *program, string_list *ret)
{
	char *path = arena_strdup(arena, getenv("PATH") ? getenv("PATH") : ""), *directory, resolved[PATH_MAX];

	while ((directory = strsep(&path, ":")) != NULL) {
		const char *file = arena_printf(arena, "%s/%s", directory, program);

		if (!*directory || access(file, X_OK) != 0)
			continue;
		add_environment(arena, arena_printf(arena, "%s/..", directory), ret);
		if (realpath(file, resolved) && strrchr(resolved, '/')) {
			*strrchr(resolved, '/') = '\0';
			add_environment(arena, arena_printf(arena, "%s/..", resolved), ret);
		}
	}
}

static void package_directories(struct project_loader *load, string_list *ret)
{
	const char *environment = getenv("VIRTUAL_ENV");

	if (load->context->python_site)
		*items_add(ret) = load->context->python_site;
	if (environment && *environment)
		add_environment(load->arena, environment, ret);
	add_program(load->arena, "bst", ret);
	add_program(load->arena, "python3", ret);
	add_environment(load->arena, "/usr/local", ret);
	add_environment(load->arena, "/usr", ret);
}

struct package {
	const char *directory; /* that it is installed in */
	const char *info;      /* its .dist-info */
	const char *name, *version;
};

/* <name>-<version>.dist-info */
static bool is_package(struct arena *arena, const char *directory, const char *entry, const char *wanted,
		       size_t wanted_len, struct package *ret)
{
	const char *dash;

	if (!str_ends(entry, ".dist-info"))
		return false;
	dash = memrchr(entry, '-', strlen(entry) - strlen(".dist-info"));
	if (!dash || !same_name(entry, (size_t)(dash - entry), wanted, wanted_len))
		return false;
	ret->directory = directory;
	ret->info = arena_printf(arena, "%s/%s", directory, entry);
	ret->name = arena_strndup(arena, wanted, wanted_len);
	ret->version = arena_strndup(arena, dash + 1, strlen(dash + 1) - strlen(".dist-info"));
	return true;
}

static bool find_package(struct project_loader *load, const char *requirement, struct package *ret)
{
	size_t len = name_length(requirement);
	string_list directories = { 0 };
	bool found = false;

	package_directories(load, &directories);
	for (size_t i = 0; i < directories.count && !found; i++) {
		DIR *dir = opendir(directories.at[i]);
		struct dirent *entry;

		if (!dir)
			continue;
		while (!found && (entry = readdir(dir)) != NULL)
			found = is_package(load->arena, directories.at[i], entry->d_name, requirement, len, ret);
		closedir(dir);
	}
	free(directories.at);
	return found;
}

/* The module of `kind = module:object` in [group], or NULL. */
static const char *entry_point(struct arena *arena, const char *text, const char *group, const char *kind)
{
	char *copy = arena_strdup(arena, text), *line;
	bool in_group = false;

	while ((line = strsep(&copy, "\n")) != NULL) {
		size_t len = strlen(kind);

		line += strspn(line, " \t");
		if (*line == '[') {
			in_group = strncmp(line + 1, group, strlen(group)) == 0 && line[1 + strlen(group)] == ']';
		} else if (in_group && strncmp(line, kind, len) == 0 && strchr(" \t=", line[len]) && line[len]) {
			line += len;
			line += strspn(line, " \t=");
			line[strcspn(line, ": \t\r[")] = '\0';
			return line;
		}
	}
	return NULL;
}

int pip_find(struct project_loader *load, enum plugin_type type, const struct plugin_entry *entry,
	     struct plugin_paths *ret, struct diag *diag)
{
	struct arena *arena = load->arena;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct package package = { 0 };
	char *module, *dot;
	int holds;

	/* Sound or not does not depend on what is installed. */
	if (name_length(entry->from) == 0 || specifier_holds(arena, entry->from, "0") < 0) {
		diag_set(diag, "plugin", "package-malformed-requirement", "Malformed package-name '%s' encountered",
			 entry->from);
		goto fail;
	}
	if (!find_package(load, entry->from, &package)) {
		diag_set(diag, "plugin", "package-not-found",
			 "Failed to load %s plugin '%s': No package metadata was found for %.*s", plugin_type_name(type),
			 entry->kind, (int)name_length(entry->from), entry->from);
		goto fail;
	}
	holds = specifier_holds(arena, entry->from, package.version);
	if (holds <= 0) {
		diag_set(diag, "plugin", "package-version-conflict",
			 "Version conflict encountered while loading %s plugin '%s'", plugin_type_name(type), entry->kind);
		diag_detail(diag, "%s %s is installed but %s is required", package.name, package.version, entry->from);
		goto fail;
	}
	fs_read_file(&text, AT_FDCWD, arena_printf(arena, "%s/entry_points.txt", package.info), MOST_BYTES);
	module = (char *)entry_point(arena, buf_text(&text), groups[type], entry->kind);
	if (!module) {
		diag_set(diag, "plugin", "plugin-not-found", "Pip package %s does not contain a %s plugin named '%s'",
			 entry->from, plugin_type_name(type), entry->kind);
		goto fail;
	}
	for (char *c = module; *c; c++)
		*c = *c == '.' ? '/' : *c;
	module = arena_printf(arena, "%s/%s", package.directory, module);
	ret->defaults = arena_printf(arena, "%s.yaml", module);
	if (access(ret->defaults, F_OK) != 0)
		ret->defaults = NULL;
	dot = strrchr(module, '/');
	ret->directory = arena_strndup(arena, module, (size_t)(dot - module));
	ret->package = arena_printf(arena, "%s %s", package.name, package.version);
	return 0;
fail:
	yaml_where(diag, entry->node);
	return -EINVAL;
}

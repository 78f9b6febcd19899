/* dpkg_build: a source package built by its own debian/rules.  What each of its binary packages holds goes into the public
 * data, where dpkg_deploy takes it from.
 *
 * The plugin means to warn of files that two packages have with different content, but compares each with itself. */
#include "elements/dpkg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "yaml/yaml.h"

struct kinds_strings dpkg_name_packages(struct build *build, const struct kinds_strings *commands, const char *packages)
{
	static const char mark[] = "<PACKAGES>";
	const char **items = ARENA_ARRAY(build->job->arena, const char *, commands->count);

	for (uint32_t i = 0; i < commands->count; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		const char *at = commands->items[i];

		for (const char *hit; (hit = strstr(at, mark)); at = hit + strlen(mark)) {
			buf_add(&text, at, (size_t)(hit - at));
			buf_adds(&text, packages);
		}
		buf_adds(&text, at);
		items[i] = arena_strndup(build->job->arena, buf_text(&text), text.len);
	}
	return (struct kinds_strings){ items, commands->count };
}

/* ---- debian/control ---- */

struct packages {
	const char **names;
	size_t count, cap;
};

/* Goes behind the name; NULL if no name stands there.  As the plugin's "Package:\s*(.+)\n" finds it: blanks and line ends
 * before the name do not belong to it unless there is nothing else. */
static const char *take_name(struct arena *arena, const char *text, struct packages *packages)
{
	const char *start = text + strspn(text, " \t\n\r\f\v");

	for (;; start--) {
		const char *end = strchr(start, '\n');

		if (end && end > start) {
			packages->names = util_grow(packages->names, &packages->cap, packages->count + 1, sizeof *packages->names);
			packages->names[packages->count++] = arena_strndup(arena, start, (size_t)(end - start));
			return end + 1;
		}
		if (start == text)
			return NULL;
	}
}

static int read_control(struct build *build, const char *debian, struct packages *packages, struct diag *diag)
{
	static const char field[] = "Package:";
	char *path = arena_printf(build->job->arena, "%s/control", debian);
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *at;
	int r = build_get_text(build, path, &text);

	if (r < 0)
		return diag_errno(diag, "element", NULL, -r, "Cannot read %s", path);
	at = buf_text(&text);
	while ((at = strstr(at, field))) {
		const char *behind = take_name(build->job->arena, at + strlen(field), packages);

		at = behind ? behind : at + strlen(field);
	}
	return 0;
}

static const char *join(struct arena *arena, const struct packages *packages)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; i < packages->count; i++)
		buf_printf(&text, "%s%s", i ? " " : "", packages->names[i]);
	return arena_strdup(arena, buf_text(&text));
}

/* ---- what was built ---- */

struct listing {
	struct arena *arena;
	const struct yaml_node **items;
	size_t count, cap;
};

/* What begins with DEBIAN, whatever follows, is about the package and not in it. */
static int list_one(void *data, const char *path, const struct cas_entry *entry)
{
	struct listing *listing = data;

	if (str_starts(path, "DEBIAN"))
		return 0;
	listing->items = util_grow(listing->items, &listing->cap, listing->count + 1, sizeof *listing->items);
	listing->items[listing->count++] = yaml_str(listing->arena, arena_printf(listing->arena, "/%s", path), NULL);
	return 0;
}

struct result {
	const struct yaml_node *rules, *data, *scripts; /* maps by package */
};

static const struct yaml_node *read_scripts(struct build *build, const char *directory)
{
	static const char *const names[] = { "preinst", "postinst", "prerm", "postrm" };
	struct arena *arena = build->job->arena;
	const struct yaml_node *map = yaml_empty_map(arena, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;

		if (build_get_text(build, arena_printf(arena, "%s/DEBIAN/%s", directory, names[i]), &text) == 0)
			map = yaml_map_set(arena, map, names[i], yaml_scalar(arena, buf_text(&text), text.len, NULL));
	}
	return map;
}

static int look_at(struct build *build, const char *debian, const char *package, struct result *result, struct diag *diag)
{
	struct arena *arena = build->job->arena;
	char *directory = arena_printf(arena, "%s/%s", debian, package);
	struct listing listing = { .arena = arena };
	_cleanup_buf_ struct buf control = BUF_INIT;
	const struct yaml_node *files, *data, *scripts;
	int r = cas_tree_type(build->tree, directory);

	if (r == CAS_DIRECTORY)
		r = cas_tree_walk(build->tree, directory, list_one, &listing);
	else if (r >= 0)
		r = -ENOTDIR;
	if (r < 0) {
		free(listing.items);
		return diag_set(diag, "virtual-fs", r == -ENOENT ? "directory-not-found" : "not-a-directory",
				"'%s' not found in [CAS:/%s]", package, debian);
	}
	files = yaml_list(arena, listing.items, (uint32_t)listing.count, NULL);
	free(listing.items);
	result->rules = yaml_map_set(arena, result->rules, package, files);
	r = build_get_text(build, arena_printf(arena, "%s/DEBIAN/control", directory), &control);
	if (r < 0) {
		diag_set(diag, "element", NULL, "%s: package %s doesn't have a DEBIAN/control in [CAS:/%s]!",
			 build->element->name, package, directory);
		return ELEMENTS_FAILED;
	}
	data = yaml_map_set(arena, yaml_empty_map(arena, NULL), "name", yaml_str(arena, package, NULL));
	data = yaml_map_set(arena, data, "control", yaml_scalar(arena, buf_text(&control), control.len, NULL));
	result->data = yaml_map_set(arena, result->data, package, data);
	scripts = read_scripts(build, directory);
	if (scripts->count)
		result->scripts = yaml_map_set(arena, result->scripts, package, scripts);
	return 0;
}

static int publish(struct build *build, const struct result *result, struct diag *diag)
{
	const struct yaml_node *public_data = build->result->public_data, *bst = NULL;
	struct arena *arena = build->job->arena;
	int r = public_data ? yaml_get_map(public_data, "bst", &bst, diag) : 0;

	if (r < 0)
		return r;
	bst = yaml_map_set(arena, bst ? bst : yaml_empty_map(arena, NULL), "split-rules", result->rules);
	bst = yaml_map_set(arena, bst, "dpkg-data", result->data);
	if (result->scripts->count)
		bst = yaml_map_set(arena, bst, "package-scripts", result->scripts);
	build->result->public_data =
		yaml_map_set(arena, public_data ? public_data : yaml_empty_map(arena, NULL), "bst", bst);
	return 0;
}

static int look_at_all(struct build *build, const char *debian, const struct packages *packages, struct diag *diag)
{
	const struct yaml_node *empty = yaml_empty_map(build->job->arena, NULL);
	struct result result = { empty, empty, empty };
	int r = 0;

	for (size_t i = 0; r == 0 && i < packages->count; i++)
		r = look_at(build, debian, packages->names[i], &result, diag);
	if (r == 0)
		r = publish(build, &result, diag);
	return r;
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_build *config = build->element->config;
	char *debian = arena_printf(build->job->arena, "%s/debian", build->marked[0]);
	struct kinds_strings commands[KINDS_STEPS];
	struct packages packages = { 0 };
	int r = read_control(build, debian, &packages, diag);

	*collect = build->marked[1];
	if (r >= 0) {
		const char *names = join(build->job->arena, &packages);

		for (int i = 0; i < KINDS_STEPS; i++)
			commands[i] = dpkg_name_packages(build, &config->commands[i], names);
		r = manual_run(build, commands, false, diag);
	}
	if (r == 0)
		r = look_at_all(build, debian, &packages, diag);
	free(packages.names);
	return r;
}

const struct elements_kind elements_dpkg_build = { "dpkg_build", manual_configure, manual_stage, assemble };

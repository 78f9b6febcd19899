/* bazelize: dependencies as a Bazel project: their files, and targets that name them. */
#include "elements/elements_internal.h"

#include <stdlib.h>
#include <string.h>

#include "artifacts/artifacts.h"
#include "yaml/yaml.h"

struct texts {
	const char **at;
	size_t count, cap;
};

static void append(struct texts *texts, const char *text)
{
	texts->at = util_grow(texts->at, &texts->cap, texts->count + 1, sizeof *texts->at);
	texts->at[texts->count++] = text;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once. */
static void settle(struct texts *texts)
{
	size_t kept = 0;

	if (texts->count)
		qsort(texts->at, texts->count, sizeof *texts->at, by_text);
	for (size_t i = 0; i < texts->count; i++)
		if (!kept || !str_eq(texts->at[kept - 1], texts->at[i]))
			texts->at[kept++] = texts->at[i];
	texts->count = kept;
}

/* ---- targets ---- */

enum rule { FILEGROUP, CC_LIBRARY, PY_LIBRARY };
static const struct {
	const char *name, *package, *suffix;
} rules[] = {
	[FILEGROUP] = { "filegroup", NULL, "" },
	[CC_LIBRARY] = { "cc_library", "@rules_cc//cc:defs.bzl", "_cc" },
	[PY_LIBRARY] = { "py_library", "@rules_python//python:defs.bzl", "_py" },
};

enum list { SRCS, HDRS, DATA, IMPORTS, INCLUDES, DEPS, LISTS }; /* in the order they are written */
static const char *const list_names[] = { "srcs", "hdrs", "data", "imports", "includes", "deps" };

struct target {
	enum rule rule;
	const char *name, *include; /* include: `includes` as one text */
	struct texts lists[LISTS];
	bool bound;
};

struct targets {
	struct target *at;
	size_t count, cap;
};

static bool has_files(const struct target *target)
{
	return target->lists[IMPORTS].count || target->lists[SRCS].count || target->lists[HDRS].count;
}

static void release(struct targets *targets)
{
	for (size_t i = 0; i < targets->count; i++)
		for (size_t k = 0; k < LISTS; k++)
			free(targets->at[i].lists[k].at);
	free(targets->at);
}

/* ".lo", ".a", ".o", ".so" or ".so.1.2" at the end of all suffixes. */
static bool is_library(const char *ext)
{
	const char *hit;

	if (str_ends(ext, ".lo") || str_ends(ext, ".a") || str_ends(ext, ".o"))
		return true;
	for (hit = strstr(ext, ".so"); hit; hit = strstr(hit + 1, ".so")) {
		const char *at = hit + strlen(".so");

		while (*at == '.' && at[1] >= '0' && at[1] <= '9')
			at += 1 + strspn(at + 1, "0123456789");
		if (!*at)
			return true;
	}
	return false;
}

static bool is_header(const char *ext)
{
	static const char *const ends[] = { ".h", ".hxx", ".hpp", ".hh", ".H", ".inc", ".inl" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (str_ends(ext, ends[i]))
			return true;
	return false;
}

/* As pathlib joins the suffixes: leading dots belong to the name, and a name that ends in a dot has none. */
static const char *suffixes(const char *base)
{
	const char *name = base + strspn(base, "."), *dot = strchr(name, '.');

	return !dot || str_ends(base, ".") ? "" : dot;
}

static void sort_file(struct target *cc, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *ext = suffixes(base);

	if (is_library(ext) && str_starts(base, "lib"))
		append(&cc->lists[SRCS], path);
	else if (is_header(ext))
		append(&cc->lists[HDRS], path);
}

static void sort_module(struct arena *arena, struct target *py, const char *path)
{
	static const char site[] = "site-packages/";
	const char *hit = strstr(path, site);

	if (!hit)
		return;
	append(&py->lists[IMPORTS], arena_strndup(arena, path, (size_t)(hit - path) + strlen(site)));
	if (str_ends(path, ".py"))
		append(&py->lists[SRCS], path);
}

/* ---- from one dependency ---- */

/* Its direct runtime dependencies, with those of stacks in place of the stacks. */
static void add_dependencies(struct build *build, uint32_t id, uint8_t *seen, struct texts *names)
{
	const struct graph *graph = build->job->graph;
	const struct graph_element *element = &graph->elements[id];

	for (uint32_t i = 0; i < element->dep_count; i++) {
		uint32_t dep = element->deps[i].element;

		if (!(element->deps[i].type & GRAPH_RUNTIME) || seen[dep])
			continue;
		seen[dep] = 1;
		if (str_eq(graph->elements[dep].ops->name, "stack"))
			add_dependencies(build, dep, seen, names);
		else
			append(names, graph->elements[dep].normal_name);
	}
}

static int read_includes(struct build *build, const struct elements_dep *dep, struct target *cc, struct diag *diag)
{
	static const char *const keys[] = { "includes", NULL };
	const struct yaml_node *public_data = dep_public(build->job, dep), *data = NULL, *includes;
	int r = public_data ? yaml_get_map(public_data, "bazelize-data", &data, diag) : 0;

	if (r > 0)
		r = yaml_validate_keys(data, keys, diag);
	includes = r >= 0 && data ? yaml_get(data, "includes") : NULL;
	if (includes && yaml_is_scalar(includes))
		cc->include = includes->text;
	for (uint32_t i = 0; includes && yaml_is_list(includes) && i < includes->count; i++)
		if (yaml_is_scalar(includes->items[i]))
			append(&cc->lists[INCLUDES], includes->items[i]->text);
	return MIN(r, 0);
}

struct manifest {
	struct arena *arena;
	struct texts files;
};

/* Bazel cannot have blanks in names; what lies below such a directory is left out, too. */
static int list_file(void *data, const char *path, const struct cas_entry *entry)
{
	struct manifest *manifest = data;

	if (entry->type != CAS_DIRECTORY && !strchr(path, ' '))
		append(&manifest->files, arena_strdup(manifest->arena, path));
	return 0;
}

static struct target *new_target(struct build *build, struct targets *targets, enum rule rule, const char *name)
{
	struct target *target;

	targets->at = util_grow(targets->at, &targets->cap, targets->count + 1, sizeof *targets->at);
	target = &targets->at[targets->count++];
	*target = (struct target){ .rule = rule, .bound = true };
	target->name = arena_printf(build->job->arena, "%s%s", name, rules[rule].suffix);
	return target;
}

static int make_targets(struct build *build, const struct elements_dep *dep, const struct texts *files,
			struct targets *targets, struct diag *diag)
{
	const struct graph_element *element = &build->job->graph->elements[dep->element];
	struct arena *arena = build->job->arena;
	uint8_t *seen = arena_alloc(arena, build->job->graph->element_count);
	struct texts names = { 0 };
	int r = 0;

	add_dependencies(build, dep->element, seen, &names);
	for (int rule = FILEGROUP; r >= 0 && rule <= PY_LIBRARY; rule++) {
		struct target *target = new_target(build, targets, (enum rule)rule, element->normal_name);

		for (size_t i = 0; i < names.count; i++)
			append(&target->lists[rule == FILEGROUP ? DATA : DEPS],
			       arena_printf(arena, "%s%s", names.at[i], rules[rule].suffix));
		if (rule != FILEGROUP)
			append(&target->lists[DATA], element->normal_name);
		for (size_t i = 0; i < files->count; i++) {
			if (rule == FILEGROUP)
				append(&target->lists[SRCS], files->at[i]);
			else if (rule == CC_LIBRARY)
				sort_file(target, files->at[i]);
			else
				sort_module(arena, target, files->at[i]);
		}
		settle(&target->lists[SRCS]);
		settle(&target->lists[IMPORTS]);
		if (rule == CC_LIBRARY)
			r = read_includes(build, dep, target, diag);
	}
	free(names.at);
	return r;
}

/* ---- which targets stay ---- */

static bool is_bound(const struct targets *targets, const char *name)
{
	for (size_t i = 0; i < targets->count; i++)
		if (targets->at[i].bound && str_eq(targets->at[i].name, name))
			return true;
	return false;
}

static void keep_bound(const struct targets *targets, struct texts *names)
{
	size_t kept = 0;

	for (size_t i = 0; i < names->count; i++)
		if (is_bound(targets, names->at[i]))
			names->at[kept++] = names->at[i];
	names->count = kept;
	settle(names);
}

static bool needs_bound(const struct targets *targets, const struct target *target)
{
	for (size_t i = 0; i < target->lists[DEPS].count; i++)
		if (is_bound(targets, target->lists[DEPS].at[i]))
			return true;
	return false;
}

/* Targets without files go, unless they lead to others.  Plugins before BST_ARTIFACT_VERSION 4: all libraries without
 * files, and no groups. */
static void drop_empty(struct targets *targets, bool old)
{
	bool dropped = true;

	while (dropped) {
		dropped = false;
		for (size_t i = 0; i < targets->count; i++) {
			struct target *target = &targets->at[i];
			bool stays = old ? target->rule == FILEGROUP : needs_bound(targets, target);

			if (!target->bound || has_files(target) || stays)
				continue;
			target->bound = false;
			dropped = true;
		}
	}
	for (size_t i = 0; i < targets->count; i++) {
		keep_bound(targets, &targets->at[i].lists[DEPS]);
		keep_bound(targets, &targets->at[i].lists[DATA]);
	}
}

/* ---- writing ---- */

/* By the parts between dots, as lists: a dot comes before every other character. */
static int by_parts(const void *a, const void *b)
{
	const unsigned char *x = *(const unsigned char *const *)a, *y = *(const unsigned char *const *)b;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	if (*x == *y || !*x || !*y)
		return (*x > 0) - (*y > 0);
	if (*x == '.' || *y == '.')
		return *x == '.' ? -1 : 1;
	return *x < *y ? -1 : 1;
}

static void write_list(struct buf *out, const char *name, struct texts *texts)
{
	if (!texts->count)
		return;
	if (texts->count == 1) {
		buf_printf(out, "    %s = [\"%s\"],\n", name, texts->at[0]);
		return;
	}
	qsort(texts->at, texts->count, sizeof *texts->at, by_parts);
	buf_printf(out, "    %s = [\n", name);
	for (size_t i = 0; i < texts->count; i++)
		buf_printf(out, "        \"%s\",\n", texts->at[i]);
	buf_adds(out, "    ],\n");
}

static void write_target(struct buf *out, struct target *target)
{
	buf_printf(out, "\n%s(\n    name = \"%s\",\n", rules[target->rule].name, target->name);
	for (size_t i = 0; i < LISTS; i++) {
		if (i == INCLUDES && target->include && *target->include)
			buf_printf(out, "    includes = \"%s\",\n", target->include);
		write_list(out, list_names[i], &target->lists[i]);
	}
	buf_adds(out, ")\n");
}

static int by_name(const void *a, const void *b)
{
	const struct target *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void write_project(struct buf *out, struct targets *targets)
{
	if (targets->count)
		qsort(targets->at, targets->count, sizeof *targets->at, by_name);
	for (int rule = CC_LIBRARY; rule <= PY_LIBRARY; rule++)
		for (size_t i = 0; i < targets->count; i++)
			if (targets->at[i].bound && targets->at[i].rule == (enum rule)rule) {
				buf_printf(out, "load(\"%s\", \"%s\")\n", rules[rule].package, rules[rule].name);
				break;
			}
	buf_adds(out, "\npackage(default_visibility = [\"//visibility:public\"])\n");
	for (size_t i = 0; i < targets->count; i++)
		if (targets->at[i].bound)
			write_target(out, &targets->at[i]);
}

/* ---- the element ---- */

/* The direct build dependencies, each once; count of them. */
static uint32_t direct(struct build *build, const struct elements_dep **list)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < build->element->dep_count; i++) {
		const struct graph_dep *dep = &build->element->deps[i];

		if (!(dep->type & GRAPH_BUILD))
			continue;
		for (uint32_t k = 0; k < build->job->dep_count; k++)
			if (build->job->deps[k].element == dep->element)
				list[count++] = &build->job->deps[k];
	}
	return count;
}

/* Where a dependency is staged by itself. */
static const char *own_place(struct build *build, const struct elements_dep *dep)
{
	const struct graph *graph = build->job->graph;
	const struct graph_element *element = &graph->elements[dep->element];
	const char *build_root = graph_variable(build->element, "build-root");
	_cleanup_buf_ struct buf name = BUF_INIT;
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, dep->key.hash);
	artifact_name(&name, graph->projects[element->project].name, element->normal_name, hex);
	return arena_printf(build->job->arena, "%s/%s", build_root ? build_root : "", buf_text(&name));
}

static int stage(struct build *build, struct diag *diag)
{
	const struct kinds_bazelize *config = build->element->config;
	const struct part part = { config->include, config->exclude, config->include_orphans };
	const struct elements_dep **list = ARENA_ARRAY(build->job->arena, const struct elements_dep *, build->element->dep_count);
	const char *install_root = graph_variable(build->element, "install-root");
	uint32_t count = direct(build, list);
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < count; i++) {
		const char *const places[] = { own_place(build, list[i]), install_root ? install_root : "/" };

		for (size_t k = 0; r >= 0 && k < ARRAY_SIZE(places); k++)
			r = stage_parts(build->job, build->overlaps, build->tree, &list[i], 1, places[k], &part, diag);
	}
	return r;
}

static int gather(struct build *build, struct targets *targets, struct diag *diag)
{
	const struct elements_dep **list = ARENA_ARRAY(build->job->arena, const struct elements_dep *, build->element->dep_count);
	uint32_t count = direct(build, list);
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < count; i++) {
		struct manifest manifest = { .arena = build->job->arena };

		r = cas_tree_walk(build->tree, own_place(build, list[i]), list_file, &manifest);
		if (r >= 0)
			r = make_targets(build, list[i], &manifest.files, targets, diag);
		free(manifest.files.at);
	}
	if (r >= 0)
		drop_empty(targets, kinds_artifact_version(build->element) < 4);
	return r;
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const char *install_root = graph_variable(build->element, "install-root");
	struct arena *arena = build->job->arena;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct targets targets = { 0 };
	int r = gather(build, &targets, diag);

	if (r >= 0)
		write_project(&text, &targets);
	release(&targets);
	*collect = install_root;
	if (r >= 0)
		r = build_put_text(build, arena_printf(arena, "%s/WORKSPACE", install_root), "", 0, false);
	if (r >= 0)
		r = build_put_text(build, arena_printf(arena, "%s/BUILD.bazel", install_root), buf_text(&text), text.len, false);
	return r < 0 ? build_error(diag, r, "Failed to write the Bazel project") : ELEMENTS_BUILT;
}

const struct elements_kind elements_bazelize = { "bazelize", NULL, stage, assemble };

/* dpkg_deploy: what dpkg_build left in public data becomes directories that `dpkg-deb --build` understands.
 *
 * Which files come into a package is bit by bit what the plugin makes of it, and that is less than it wants: it asks for
 * each name whether it is in a generator of wanted names, and a generator can be read only once.  So a name is found only
 * behind those found before it, and the first one that is not found, which a directory never is after its content, ends it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "elements/dpkg.h"
#include "yaml/yaml.h"

/* ---- the generator ---- */

struct generator { /* of the input's files that a split domain has, and of those that none has */
	struct arena *arena;
	struct elements_split *split;
	const char **names;
	size_t count, cap, next;
};

static int generate(void *data, const char *path, const struct cas_entry *entry)
{
	struct generator *generator = data;

	if (!elements_split_match(generator->split, path))
		return 0;
	generator->names = util_grow(generator->names, &generator->cap, generator->count + 1, sizeof *generator->names);
	generator->names[generator->count++] = arena_strdup(generator->arena, path);
	return 0;
}

static bool is_in(struct generator *generator, const char *name)
{
	while (generator->next < generator->count)
		if (str_eq(generator->names[generator->next++], name))
			return true;
	return false;
}

static void generator_release(struct generator *generator)
{
	elements_split_free(generator->split);
	free(generator->names);
}

/* ---- importing ---- */

struct import {
	struct build *build;
	struct generator *generator;
	const char *target;             /* directory of the package, in the build root */
	const char *const *made;        /* packages whose directories were made here, in this order */
	size_t made_count;
};

static bool was_made(const struct import *import, const char *name)
{
	for (size_t i = 0; i < import->made_count; i++)
		if (str_eq(import->made[i], name))
			return true;
	return false;
}

static int import_directory(struct import *import, const struct digest *digest, const char *prefix);

static int import_entry(struct import *import, const struct cas_entry *entry, const char *prefix)
{
	struct arena *arena = import->build->job->arena;
	const char *path = arena_printf(arena, "%s%s%s", prefix, *prefix ? "/" : "", entry->name);
	const char *to = arena_printf(arena, "%s/%s", import->target, path);
	struct cas_tree *tree = import->build->tree;
	int r = 0, there = cas_tree_type(tree, to);

	if (entry->type == CAS_DIRECTORY) {
		const struct cas_directory *content;
		struct digest digest = entry->digest, made;
		bool kept;

		r = cas_tree_mkdir(tree, to);
		if (r >= 0)
			r = import_directory(import, &digest, path);
		kept = is_in(import->generator, path);
		if (r < 0 || kept || there >= 0)
			return r;
		r = cas_tree_digest(tree, to, &made);
		if (r >= 0)
			r = cas_directory_get(import->build->job->cas, &made, &content);
		return r >= 0 && !content->count ? cas_tree_remove(tree, to) : r;
	}
	if (!is_in(import->generator, path))
		return 0;
	if (there >= 0)
		r = there == CAS_DIRECTORY ? -EISDIR : cas_tree_remove(tree, to);
	return r == -EISDIR ? 0 : r < 0 ? r : cas_tree_put(tree, to, entry);
}

/* Directories, then files, then links, each by name; what was made here comes last. */
static int import_directory(struct import *import, const struct digest *digest, const char *prefix)
{
	static const enum cas_type order[] = { CAS_DIRECTORY, CAS_FILE, CAS_SYMLINK };
	const struct cas_directory *shared;
	struct cas_directory directory;
	struct arena *arena = import->build->job->arena;
	int r = cas_directory_get(import->build->job->cas, digest, &shared);

	if (r < 0)
		return r;
	directory = *shared;
	directory.entries = arena_memdup(arena, shared->entries, shared->count * sizeof *shared->entries);
	for (uint32_t i = 0; i < directory.count; i++) {
		directory.entries[i].name = arena_strdup(arena, shared->entries[i].name);
		if (shared->entries[i].target)
			directory.entries[i].target = arena_strdup(arena, shared->entries[i].target);
	}
	for (size_t pass = 0; r >= 0 && pass < ARRAY_SIZE(order); pass++)
		for (uint32_t i = 0; r >= 0 && i < directory.count; i++)
			if (directory.entries[i].type == order[pass] && (*prefix || !was_made(import, directory.entries[i].name)))
				r = import_entry(import, &directory.entries[i], prefix);
	for (size_t i = 0; r >= 0 && !*prefix && i < import->made_count; i++) {
		const struct cas_entry *entry =
			cas_directory_find(&directory, import->made[i], strlen(import->made[i]));

		if (entry && i + 1 < import->made_count) /* the last is the one that is being filled */
			r = import_entry(import, entry, prefix);
	}
	return r;
}

/* ---- one package ---- */

struct deploy {
	struct build *build;
	const struct elements_dep *input;
	const char *build_root;
	const struct yaml_node *bst; /* of the input's public data */
	const char **made;
	size_t made_count;
};

static int put_text(struct deploy *deploy, const char *package, const char *name, const struct buf *text, bool executable)
{
	char *path = arena_printf(deploy->build->job->arena, "%s/%s/DEBIAN/%s", deploy->build_root, package, name);

	return build_put_text(deploy->build, path, buf_text(text), text->len, executable);
}

/* "^Package:\s*\S+" of the text's beginning becomes the package's name. */
static void add_control(struct buf *out, const char *text, const char *name)
{
	static const char field[] = "Package:", blanks[] = " \t\n\r\f\v";
	const char *value = text + strlen(field);

	if (str_starts(text, field) && value[strspn(value, blanks)]) {
		buf_printf(out, "Package: %s", name);
		text = value + strspn(value, blanks);
		text += strcspn(text, blanks);
	}
	buf_printf(out, "%s\n", text);
}

static int write_control(struct deploy *deploy, const char *package, const struct yaml_node *data, struct diag *diag)
{
	const struct graph *graph = deploy->build->job->graph;
	const char *name = arena_printf(deploy->build->job->arena, "%s-%s",
					graph->elements[deploy->input->element].normal_name, package);
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *control = NULL;
	int r = yaml_get_str(data, "name", &name, diag);

	if (r >= 0)
		r = yaml_get_str(data, "control", &control, diag);
	if (r < 0)
		return r;
	if (!control) {
		diag_set(diag, "element", NULL, "%s: Cannot reconstitute package %s", deploy->build->element->name, package);
		diag_detail(diag, "There is no public.bst.dpkg-data.%s.control", package);
		return -EINVAL;
	}
	add_control(&text, control, name);
	return put_text(deploy, package, "control", &text, false);
}

static int add_md5(struct deploy *deploy, const char *path, const struct digest *digest, struct buf *out)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	char sum[HASH_HEX_MAX + 1];
	int r = cas_get(deploy->build->job->cas, digest, &bytes);

	if (r < 0)
		return r;
	hash_data(hash_kind("md5"), sum, buf_text(&bytes), bytes.len);
	buf_printf(out, "%s  %s\n", sum, path);
	return 0;
}

/* For what the generator has left. */
static int write_md5sums(struct deploy *deploy, const char *package, struct generator *generator)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = 0;

	for (; r >= 0 && generator->next < generator->count; generator->next++) {
		const char *name = generator->names[generator->next];
		struct cas_entry entry;

		if (cas_tree_lookup(deploy->build->tree, arena_printf(generator->arena, "%s/%s", deploy->build_root, name),
				    false, &entry) >= 0 &&
		    entry.type == CAS_FILE)
			r = add_md5(deploy, name, &entry.digest, &text);
	}
	return r < 0 ? r : put_text(deploy, package, "md5sums", &text, false);
}

/* The plugin looks for each script beside the packages instead of in its own. */
static int write_scripts(struct deploy *deploy, const char *package, struct diag *diag)
{
	static const char *const names[] = { "postinst", "preinst", "postrm", "prerm" };
	const struct yaml_node *scripts = NULL;
	int r = yaml_get_map(deploy->bst, "package-scripts", &scripts, diag);

	for (size_t i = 0; r > 0 && yaml_get(scripts, package) && i < ARRAY_SIZE(names); i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		const char *script = "";
		int got = yaml_get_str(scripts, names[i], &script, diag);

		buf_adds(&text, script);
		if (got < 0 || (*script && (got = put_text(deploy, package, names[i], &text, true)) < 0))
			r = got;
	}
	return MIN(r, 0);
}

static int import_files(struct deploy *deploy, const char *package, struct generator *generator)
{
	struct build *build = deploy->build;
	const char *target = arena_printf(build->job->arena, "%s/%s", deploy->build_root, package);
	struct import import = { build, generator, target, deploy->made, deploy->made_count };
	struct digest source;
	int r = cas_tree_mkdir(build->tree, target);

	if (r >= 0)
		r = cas_tree_digest(build->tree, deploy->build_root, &source);
	return r < 0 ? r : import_directory(&import, &source, "");
}

static int lay_out_package(struct deploy *deploy, const char *package, const struct yaml_node *data, struct diag *diag)
{
	struct build *build = deploy->build;
	const struct graph_element *input = &build->job->graph->elements[deploy->input->element];
	struct generator generator = { .arena = build->job->arena };
	const struct yaml_node *rules = NULL;
	int r = yaml_get_map(deploy->bst, "split-rules", &rules, diag);

	if (r >= 0 && (!rules || !yaml_get(rules, package)))
		return diag_set(diag, "element", NULL, "%s: Input element %s does not have bst.split-rules.%s",
				build->element->name, input->name, package);
	if (r >= 0)
		r = elements_split_new(&generator.split, dep_public(build->job, deploy->input), &package, 1, NULL, 0, true, diag);
	if (r >= 0 && deploy->input->has_files)
		r = cas_walk(build->job->cas, &deploy->input->files, generate, &generator);
	deploy->made[deploy->made_count++] = package;
	if (r >= 0)
		r = import_files(deploy, package, &generator);
	if (r >= 0)
		r = write_control(deploy, package, data, diag);
	if (r >= 0)
		r = write_md5sums(deploy, package, &generator);
	if (r >= 0)
		r = write_scripts(deploy, package, diag);
	generator_release(&generator);
	return r;
}

/* ---- the element ---- */

static const struct elements_dep *find_input(struct build *build)
{
	const struct kinds_dpkg_deploy *config = build->element->config;

	for (uint32_t i = 0; i < build->job->dep_count; i++)
		if (build->job->deps[i].element == config->input)
			return &build->job->deps[i];
	return NULL;
}

/* "bst" of the input's public data, and "dpkg-data" in it. */
static int get_data(struct build *build, const struct yaml_node **bst, const struct yaml_node **data, struct diag *diag)
{
	const struct elements_dep *input = find_input(build);
	const struct yaml_node *public_data = input ? dep_public(build->job, input) : NULL;
	int r = public_data ? yaml_get_map(public_data, "bst", bst, diag) : 0;

	*data = NULL;
	if (r > 0)
		r = yaml_get_map(*bst, "dpkg-data", data, diag);
	if (r < 0)
		return r;
	if (!*data)
		return diag_set(diag, "element", NULL, "%s: input element %s does not have any bst.dpkg-data public data",
				build->element->name, input ? build->job->graph->elements[input->element].name : "");
	assert(*bst);
	return 0;
}

static int stage(struct build *build, struct diag *diag)
{
	struct deploy deploy = { .build = build, .input = find_input(build) };
	const struct yaml_node *data = NULL;
	int r = script_stage(build, diag);

	if (r != 0)
		return r;
	deploy.build_root = graph_variable(build->element, "build-root");
	r = get_data(build, &deploy.bst, &data, diag);
	if (r < 0 || !data)
		return r;
	deploy.made = ARENA_ARRAY(build->job->arena, const char *, data->count);
	for (uint32_t i = 0; r >= 0 && i < data->count; i++) {
		const struct yaml_node *package;

		r = yaml_need_map(data, data->entries[i].key, &package, diag);
		if (r >= 0)
			r = lay_out_package(&deploy, data->entries[i].key, package, diag);
	}
	return r < 0 ? build_error(diag, r, "Failed to lay out the packages") : 0;
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_dpkg_deploy *config = build->element->config;
	const struct yaml_node *bst = NULL, *data = NULL;
	struct kinds_command_group group = { .name = "build-commands" };
	_cleanup_buf_ struct buf names = BUF_INIT;
	int r = get_data(build, &bst, &data, diag);

	*collect = config->script.install_root;
	if (r < 0 || !data)
		return r;
	for (uint32_t i = 0; i < data->count; i++)
		buf_printf(&names, "%s%s", i ? " " : "", data->entries[i].key);
	group.commands = dpkg_name_packages(build, &config->build_commands, buf_text(&names));
	return script_run(build, &group, 1, collect, diag);
}

const struct elements_kind elements_dpkg_deploy = { "dpkg_deploy", script_configure_image, stage, assemble };

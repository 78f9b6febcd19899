/* flatpak_image: what a flatpak is made of, as `flatpak build-export` wants it: files/, metadata, export/.  flatpak_repo is a
 * script (kinds/flatpak.c). */
#include "elements/elements_internal.h"

#include <errno.h>
#include <string.h>

#include "yaml/yaml.h"

static const char INPUT[] = "/buildstream/allfiles";
static const char INSTALL_ROOT[] = "/buildstream/install";

static int configure(struct build *build, struct diag *diag)
{
	(void)diag;
	build->cwd = "/";
	build->environment = build->element->environment;
	build->environment_count = build->element->environment_count;
	build->marked[build->marked_count++] = INPUT;
	build->marked[build->marked_count++] = INSTALL_ROOT;
	return 0;
}

/* Split rules hold for what becomes the flatpak, not for the tools. */
static int stage_place(struct build *build, const struct kinds_layout_place *place, struct diag *diag)
{
	const struct kinds_flatpak_image *config = build->element->config;
	struct part part = { config->include, config->exclude, true };
	char *brief = arena_printf(build->job->arena, "Staging dependencies at: %s", place->location);
	struct activity activity = build_begin(build, brief, NULL);
	uint32_t count = 0;
	const struct elements_dep **deps = build_select(build, place->items, place->count, &count);
	int r = deps ? stage_parts(build->job, build->overlaps, build->tree, deps, count, place->location,
				   str_eq(place->location, INPUT) ? &part : NULL, diag) : -ENOENT;

	return build_end(build, &activity, r);
}

static int stage(struct build *build, struct diag *diag)
{
	const struct kinds_flatpak_image *config = build->element->config;
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < config->layout.count; i++)
		r = stage_place(build, &config->layout.places[i], diag);
	return r < 0 ? build_error(diag, r, "Failed to stage dependencies") : r;
}

/* The plugin's loop over the components ends before it runs what it made: only the last one is composed. */
static int compose_appstream(struct build *build, struct diag *diag)
{
	const struct kinds_flatpak_image *config = build->element->config;
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	const char *id;
	char *command;

	if (!config->component_ids.count)
		return 0;
	id = config->component_ids.items[config->component_ids.count - 1];
	command = arena_printf(build->job->arena,
			       "appstreamcli compose --components %s --result-root %s --prefix %s --data-dir %s/%s%sshare "
			       "--origin %s %s",
			       id, INSTALL_ROOT, config->directory, INPUT, config->directory + strspn(config->directory, "/"),
			       str_ends(config->directory, "/") ? "" : "/", id, INPUT);
	batch.root_read_only = true;
	build_command(build, &batch, command);
	return build_run(build, &batch, diag);
}

static bool is_directory(struct build *build, const char *path)
{
	return cas_tree_type(build->tree, path) == CAS_DIRECTORY;
}

/* Merges one directory of the tree into another; 0 also if there is nothing to merge. */
static int merge(struct build *build, const char *from, const char *to, struct diag *diag)
{
	struct digest digest;
	int r = cas_tree_type(build->tree, from);

	if (r < 0 && r != -ENOTDIR)
		return r == -ENOENT ? 0 : r;
	if (r != CAS_DIRECTORY)
		return diag_set(diag, "virtual-fs", "not-a-directory", "Cannot open %s: it is no directory", from);
	r = cas_tree_digest(build->tree, from, &digest);
	return r < 0 ? r : cas_tree_merge(build->tree, to, &digest, NULL, diag);
}

/* Configuration in the style of Python's configparser. */
static void format_metadata(const struct yaml_node *metadata, struct buf *out)
{
	for (uint32_t i = 0; i < metadata->count; i++) {
		const struct yaml_node *section = metadata->entries[i].value;

		buf_printf(out, "[%s]\n", metadata->entries[i].key);
		for (uint32_t k = 0; k < section->count; k++) {
			buf_printf(out, "%s = ", section->entries[k].key);
			for (const char *at = section->entries[k].value->text; *at; at++)
				buf_adds(out, *at == '\n' ? "\n\t" : (const char[]){ *at, '\0' });
			buf_addc(out, '\n');
		}
		buf_addc(out, '\n');
	}
}

static int make_extension_points(struct build *build, const struct yaml_node *metadata, struct diag *diag)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < metadata->count; i++) {
		const char *directory = NULL;

		if (!str_starts(metadata->entries[i].key, "Extension "))
			continue;
		r = yaml_need_str(metadata->entries[i].value, "directory", &directory, diag);
		if (r >= 0)
			r = cas_tree_mkdir(build->tree,
					   arena_printf(build->job->arena, "%s/files/%s", INSTALL_ROOT, directory));
	}
	return r;
}

static int lay_out(struct build *build, struct diag *diag)
{
	const struct kinds_flatpak_image *config = build->element->config;
	struct arena *arena = build->job->arena;
	const char *files = arena_printf(arena, "%s/files", INSTALL_ROOT);
	bool application = yaml_get(config->metadata, "Application") != NULL;
	bool runtime = !application && !yaml_get(config->metadata, "ExtensionOf");
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = cas_tree_mkdir(build->tree, INPUT);

	if (r >= 0)
		r = cas_tree_mkdir(build->tree, files);
	if (r >= 0 && application)
		r = cas_tree_mkdir(build->tree, arena_printf(arena, "%s/export", INSTALL_ROOT));
	if (r >= 0)
		r = make_extension_points(build, config->metadata, diag);
	if (r >= 0)
		r = merge(build, arena_printf(arena, "%s/%s", INPUT, config->directory), files, diag);
	if (r >= 0 && runtime && is_directory(build, arena_printf(arena, "%s/etc", INPUT)))
		r = merge(build, arena_printf(arena, "%s/etc", INPUT), arena_printf(arena, "%s/etc", files), diag);
	format_metadata(config->metadata, &text);
	if (r >= 0)
		r = build_put_text(build, arena_printf(arena, "%s/metadata", INSTALL_ROOT), buf_text(&text), text.len, false);
	return r;
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	int r = compose_appstream(build, diag);

	*collect = INSTALL_ROOT;
	if (r == ELEMENTS_FAILED) {
		build->failed_collect = INSTALL_ROOT;
		return r;
	}
	if (r >= 0)
		r = lay_out(build, diag);
	return r < 0 ? build_error(diag, r, "Failed to lay out the flatpak") : ELEMENTS_BUILT;
}

const struct elements_kind elements_flatpak_image = { "flatpak_image", configure, stage, assemble };

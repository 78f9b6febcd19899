/* flatpak_image and flatpak_repo. */
#include <string.h>

#include "kinds/script.h"

/* ---- flatpak_image */

/* Every section must be a map of texts. */
static int check_metadata(const struct kinds_context *ctx, const struct yaml_node *metadata)
{
	for (uint32_t i = 0; i < metadata->count; i++) {
		const struct yaml_node *section = metadata->entries[i].value;

		if (!yaml_is_map(section))
			return yaml_error(ctx->diag, section, "invalid-data",
					  "Value of '%s' is not of the expected type 'dict'",
					  metadata->entries[i].key);
		for (uint32_t k = 0; k < section->count; k++)
			if (!yaml_is_scalar(section->entries[k].value))
				return yaml_error(ctx->diag, section->entries[k].value, "invalid-data",
						  "Value of '%s' is not of the expected type 'scalar'",
						  section->entries[k].key);
	}
	if (!yaml_get(metadata, "Application") && !yaml_get(metadata, "Runtime")) {
		diag_set(ctx->diag, "element", NULL,
			 "Either Application or Runtime section must be present in metadata");
		yaml_where(ctx->diag, metadata);
		return -1;
	}
	return 0;
}

static int image_configure(const struct kinds_context *ctx, struct graph_element *element,
			   const struct yaml_node *config)
{
	static const char *const names[] = { "directory", "include", "exclude", "metadata", "component-ids", NULL };
	struct kinds_flatpak_image *image = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "directory", &image->directory, ctx->diag);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "include", &image->include);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "exclude", &image->exclude);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "component-ids", &image->component_ids);
	if (r >= 0)
		r = yaml_need_map(config, "metadata", &image->metadata, ctx->diag);
	return r < 0 ? r : check_metadata(ctx, image->metadata);
}

static int image_dependencies(const struct kinds_context *ctx, struct graph_element *element)
{
	static const char *const names[] = { "location", NULL };
	struct kinds_flatpak_image *image = element->config;
	uint32_t room = kinds_count_deps(element);
	struct kinds_dep_walk walk = { 0 };
	struct kinds_dep dep;

	for (; kinds_next_dep(element, &walk, &dep); room--) {
		struct kinds_layout_item item = { dep.dep->element, dep.dep->path };
		const char *location = "/buildstream/allfiles";

		if (dep.config && dep.config->count) {
			int r = yaml_validate_keys(dep.config, names, ctx->diag);

			if (r >= 0)
				r = yaml_need_str(dep.config, "location", &location, ctx->diag);
			if (r < 0)
				return r;
		}
		kinds_layout_add(ctx->arena, &image->layout, location, &item, room);
	}
	return 0;
}

static void image_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_flatpak_image *image = element->config;

	buf_addc(out, '{');
	if (image->component_ids.count) {
		buf_adds(out, "\"component-ids\":");
		kinds_json_strings(out, &image->component_ids);
		buf_addc(out, ',');
	}
	buf_adds(out, "\"directory\":");
	json_str(out, image->directory);
	buf_adds(out, ",\"exclude\":");
	kinds_json_sorted(out, &image->exclude, false);
	buf_adds(out, ",\"include\":");
	kinds_json_sorted(out, &image->include, false);
	buf_adds(out, ",\"metadata\":");
	kinds_json_node(out, image->metadata);
	buf_adds(out, ",\"version\":4}");
}

const struct kinds_element_work kinds_flatpak_image_work = {
	.config_size = sizeof(struct kinds_flatpak_image),
	.configure = image_configure,
	.dependencies = image_dependencies,
	.key = image_key,
};

/* ---- flatpak_repo */

/* What is put together while the dependencies are read. */
struct repo_work {
	const struct kinds_context *ctx;
	struct kinds_flatpak_repo *repo;
	uint32_t *images;
	uint32_t room; /* commands and images still to come, at most */
	const char *branch, *arch;
};

static void add_group(struct repo_work *work, const char *name, const char *command)
{
	struct kinds_script *script = &work->repo->script;
	const char **items = ARENA_ARRAY(work->ctx->arena, const char *, 1);
	uint32_t at = 0;

	items[0] = command;
	/* A name that is there already gets the new commands in its old place, as in a Python dictionary. */
	while (at < script->group_count && strcmp(script->groups[at].name, name) != 0)
		at++;
	script->groups[at] = (struct kinds_command_group){ name, { items, 1 } };
	if (at == script->group_count)
		script->group_count++;
}

static void add_image(struct repo_work *work, uint32_t id, const char *path, bool of_stack)
{
	const struct graph_element *image = &work->ctx->graph->elements[id];
	struct arena *arena = work->ctx->arena;
	const char *place = arena_printf(arena, "/buildstream/input/%s", image->normal_name);
	struct kinds_layout_item item = { id, of_stack ? arena_printf(arena, "%s (%s)", path, image->name) : path };

	work->images[work->repo->image_count++] = id;
	kinds_layout_add(arena, &work->repo->script.layout, place, &item, work->room);
	add_group(work, arena_printf(arena, "export %s", item.path),
		  arena_printf(arena,
			       "flatpak build-export --files=files --arch=%s /buildstream/repo %s %s",
			       work->arch, place, work->branch));
}

static const char *const repo_names[] = { "copy-refs", "repo-mode", "arch", "branch", NULL };

static int repo_configure(const struct kinds_context *ctx, struct graph_element *element,
			  const struct yaml_node *config)
{
	struct kinds_flatpak_repo *repo = element->config;
	int r = yaml_validate_keys(config, repo_names, ctx->diag);

	/* The rest needs the dependencies, which come later. */
	repo->config = config;
	kinds_script_root(&repo->script, element);
	repo->script.install_root = "/buildstream/repo";
	repo->script.root_read_only = true;
	return r;
}

static int repo_dependency(struct repo_work *work, const struct kinds_dep *dep)
{
	static const char *const names[] = { "flatpak-image", "flatpak-stack", "branch", "arch", NULL };
	struct diag *diag = work->ctx->diag;
	const char *branch = work->branch, *arch = work->arch;
	const struct graph_element *element = &work->ctx->graph->elements[dep->dep->element];
	bool image = false, stack = false;
	int r = yaml_validate_keys(dep->config, names, diag);

	if (r >= 0)
		r = yaml_get_bool(dep->config, "flatpak-image", &image, diag);
	if (r >= 0)
		r = yaml_get_bool(dep->config, "flatpak-stack", &stack, diag);
	if (r >= 0)
		r = yaml_get_str(dep->config, "branch", &work->branch, diag);
	if (r >= 0)
		r = yaml_get_str(dep->config, "arch", &work->arch, diag);
	if (r >= 0 && image == stack) {
		diag_set(diag, "element", NULL,
			 image ? "Dependency specified as both a flatpak image and a stack" :
				 "Dependency specified as neither a flatpak image and a stack");
		yaml_where(diag, dep->config);
		r = -1;
	}
	if (r >= 0 && image)
		add_image(work, dep->dep->element, dep->dep->path, false);
	for (uint32_t i = 0; r >= 0 && stack && i < element->dep_count; i++)
		if (element->deps[i].type & GRAPH_BUILD)
			add_image(work, element->deps[i].element, dep->dep->path, true);
	work->branch = branch;
	work->arch = arch;
	return r;
}

static uint32_t count_images(const struct kinds_context *ctx, const struct graph_element *element)
{
	struct kinds_dep_walk walk = { 0 };
	struct kinds_dep dep;
	uint32_t count = 0;

	while (kinds_next_dep(element, &walk, &dep))
		count += 1 + ctx->graph->elements[dep.dep->element].dep_count;
	return count;
}

static int copy_refs(struct repo_work *work, const struct yaml_node *list)
{
	static const char *const names[] = { "src", "dest", NULL };
	struct diag *diag = work->ctx->diag;
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < list->count; i++) {
		const struct yaml_node *item;
		const char *src = NULL, *dest = NULL;

		r = yaml_item_map(list, i, &item, diag);
		if (r >= 0)
			r = yaml_validate_keys(item, names, diag);
		if (r >= 0)
			r = yaml_need_str(item, "src", &src, diag);
		if (r >= 0)
			r = yaml_need_str(item, "dest", &dest, diag);
		if (r >= 0)
			add_group(work, arena_printf(work->ctx->arena, "copy ref %s -> %s", src, dest),
				  arena_printf(work->ctx->arena,
					       "flatpak build-commit-from --src-ref=%s /buildstream/repo %s", src,
					       dest));
	}
	return r;
}

static int repo_begin(struct repo_work *work, const struct yaml_node *config, const struct graph_element *element,
		      const struct yaml_node **ret_refs)
{
	struct diag *diag = work->ctx->diag;
	const char *mode = NULL;
	int r = yaml_need_list(config, "copy-refs", ret_refs, diag);

	if (r >= 0)
		r = yaml_need_str(config, "arch", &work->arch, diag);
	if (r >= 0)
		r = yaml_need_str(config, "branch", &work->branch, diag);
	if (r >= 0)
		r = yaml_need_str(config, "repo-mode", &mode, diag);
	if (r < 0)
		return r;
	work->room = count_images(work->ctx, element);
	work->images = ARENA_ARRAY(work->ctx->arena, uint32_t, work->room + 1);
	work->repo->images = work->images;
	work->repo->script.groups = ARENA_ARRAY(work->ctx->arena, struct kinds_command_group,
						work->room + (*ret_refs)->count + 1);
	add_group(work, "init repository",
		  arena_printf(work->ctx->arena, "ostree init --repo=/buildstream/repo --mode=%s", mode));
	return 0;
}

static int repo_dependencies(const struct kinds_context *ctx, struct graph_element *element)
{
	struct kinds_flatpak_repo *repo = element->config;
	struct repo_work work = { .ctx = ctx, .repo = repo };
	struct kinds_dep_walk walk = { 0 };
	const struct yaml_node *refs = NULL;
	struct kinds_dep dep;
	int r = repo_begin(&work, repo->config, element, &refs);

	while (r >= 0 && kinds_next_dep(element, &walk, &dep)) {
		struct kinds_layout_item item = { dep.dep->element, dep.dep->path };

		if (dep.config && dep.config->count)
			r = repo_dependency(&work, &dep);
		else
			kinds_layout_add(ctx->arena, &repo->script.layout, "/", &item, work.room);
	}
	if (r >= 0 && !repo->image_count)
		r = kinds_element_error(ctx, element, NULL, "No flatpak images specified for this repo");
	return r < 0 ? r : copy_refs(&work, refs);
}

const struct kinds_element_work kinds_flatpak_repo_work = {
	.config_size = sizeof(struct kinds_flatpak_repo),
	.configure = repo_configure,
	.dependencies = repo_dependencies,
	.key = kinds_script_key,
};

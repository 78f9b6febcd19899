/* Kinds that pack what was built: bazelize, ostree, snap_image, tar_element. */
#include "kinds/kinds_internal.h"

#include <string.h>

/* ---- bazelize */

static int bazelize_configure(const struct kinds_context *ctx, struct graph_element *element,
			      const struct yaml_node *config)
{
	static const char *const names[] = { "include", "exclude", "include-orphans", NULL };
	struct kinds_bazelize *bazelize = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = kinds_need_strings(ctx, config, "include", &bazelize->include);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "exclude", &bazelize->exclude);
	if (r >= 0)
		r = yaml_need_bool(config, "include-orphans", &bazelize->include_orphans, ctx->diag);
	return r;
}

static void bazelize_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_bazelize *bazelize = element->config;

	buf_adds(out, "{\"exclude\":");
	kinds_json_sorted(out, &bazelize->exclude, false);
	buf_adds(out, ",\"include\":");
	kinds_json_sorted(out, &bazelize->include, false);
	buf_adds(out, ",\"include-orphans\":");
	json_bool(out, bazelize->include_orphans);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_bazelize_work = {
	.config_size = sizeof(struct kinds_bazelize),
	.configure = bazelize_configure,
	.key = bazelize_key,
};

/* ---- ostree */

static int ostree_configure(const struct kinds_context *ctx, struct graph_element *element,
			    const struct yaml_node *config)
{
	static const char *const names[] = { "ostree-branch", "initial-commands", NULL };
	struct kinds_ostree_element *ostree = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "ostree-branch", &ostree->branch, ctx->diag);
	return r < 0 ? r : kinds_need_strings(ctx, config, "initial-commands", &ostree->initial_commands);
}

static int ostree_dependencies(const struct kinds_context *ctx, struct graph_element *element)
{
	static const char *const names[] = { "sysroot", NULL };
	struct kinds_ostree_element *ostree = element->config;
	uint32_t room = kinds_count_deps(element);
	struct kinds_dep_walk walk = { 0 };
	struct kinds_dep dep;

	for (; kinds_next_dep(element, &walk, &dep); room--) {
		struct kinds_layout_item item = { dep.dep->element, dep.dep->path };
		bool sysroot = false;

		if (dep.config && dep.config->count) {
			int r = yaml_validate_keys(dep.config, names, ctx->diag);

			if (r >= 0)
				r = yaml_get_bool(dep.config, "sysroot", &sysroot, ctx->diag);
			if (r < 0)
				return r;
		}
		kinds_layout_add(ctx->arena, &ostree->places, sysroot ? "sysroot" : "env", &item, room);
	}
	return 0;
}

static void ostree_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_ostree_element *ostree = element->config;

	buf_adds(out, "{\"branch\":");
	json_str(out, ostree->branch);
	buf_adds(out, ",\"initial-commands\":");
	kinds_json_strings(out, &ostree->initial_commands);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_ostree_element_work = {
	.config_size = sizeof(struct kinds_ostree_element),
	.configure = ostree_configure,
	.dependencies = ostree_dependencies,
	.key = ostree_key,
};

/* ---- snap_image */

static int snap_configure(const struct kinds_context *ctx, struct graph_element *element,
			  const struct yaml_node *config)
{
	static const char *const names[] = { "directory", "include", "exclude", "metadata", "include-orphans", NULL };
	struct kinds_snap_image *snap = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "directory", &snap->directory, ctx->diag);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "include", &snap->include);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "exclude", &snap->exclude);
	if (r >= 0)
		r = yaml_need_bool(config, "include-orphans", &snap->include_orphans, ctx->diag);
	return r < 0 ? r : yaml_need_node(config, "metadata", &snap->metadata, ctx->diag);
}

static void snap_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_snap_image *snap = element->config;

	buf_adds(out, "{\"directory\":");
	json_str(out, snap->directory);
	buf_adds(out, ",\"exclude\":");
	kinds_json_sorted(out, &snap->exclude, false);
	buf_adds(out, ",\"include\":");
	kinds_json_sorted(out, &snap->include, false);
	buf_adds(out, ",\"include-orphans\":");
	json_bool(out, snap->include_orphans);
	buf_adds(out, ",\"metadata\":");
	kinds_json_node(out, snap->metadata);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_snap_image_work = {
	.config_size = sizeof(struct kinds_snap_image),
	.configure = snap_configure,
	.key = snap_key,
};

/* ---- tar_element */

static int tar_configure(const struct kinds_context *ctx, struct graph_element *element,
			 const struct yaml_node *config)
{
	static const char *const names[] = { "filename", "compression", NULL };
	static const char *const compressions[] = { "none", "gzip", "xz", "bzip2" };
	struct kinds_tar_element *tar = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "filename", &tar->filename, ctx->diag);
	if (r >= 0)
		r = yaml_need_str(config, "compression", &tar->compression, ctx->diag);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(compressions); i++)
		if (strcmp(tar->compression, compressions[i]) == 0)
			return 0;
	return kinds_element_error(ctx, element, NULL, "Invalid compression option %s", tar->compression);
}

static void tar_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_tar_element *tar = element->config;

	buf_adds(out, "{\"compression\":");
	json_str(out, tar->compression);
	buf_adds(out, ",\"filename\":");
	json_str(out, tar->filename);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_tar_element_work = {
	.config_size = sizeof(struct kinds_tar_element),
	.configure = tar_configure,
	.key = tar_key,
};

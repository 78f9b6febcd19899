/* Kinds that look at their dependencies' public data or files: check_forbidden, collect_integration, collect_manifest,
 * and collect_initial_scripts, which freedesktop-sdk and GNOME bring themselves. */
#include "kinds/kinds_internal.h"

#include <string.h>

/* ---- check_forbidden */

static int forbidden_configure(const struct kinds_context *ctx, struct graph_element *element,
			       const struct yaml_node *config)
{
	static const char *const names[] = { "forbidden", NULL };
	struct kinds_check_forbidden *check = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	return r < 0 ? r : kinds_need_strings(ctx, config, "forbidden", &check->forbidden);
}

static void forbidden_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_check_forbidden *check = element->config;

	buf_adds(out, "{\"forbidden\":");
	kinds_json_sorted(out, &check->forbidden, true);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_check_forbidden_work = {
	.config_size = sizeof(struct kinds_check_forbidden),
	.configure = forbidden_configure,
	.key = forbidden_key,
};

/* ---- collect_integration */

static int integration_configure(const struct kinds_context *ctx, struct graph_element *element,
				 const struct yaml_node *config)
{
	static const char *const names[] = { "script-path", "ignore", NULL };
	struct kinds_collect_integration *collect = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "script-path", &collect->script_path, ctx->diag);
	return r < 0 ? r : kinds_get_strings(ctx, config, "ignore", &collect->ignore);
}

static bool in_build_scope(const struct graph *graph, const struct graph_walk *walk, const char *name)
{
	for (uint32_t i = 0; i < walk->count; i++)
		if (strcmp(graph->elements[walk->ids[i]].name, name) == 0)
			return true;
	return false;
}

static int integration_preflight(const struct kinds_context *ctx, struct graph_element *element)
{
	const struct kinds_collect_integration *collect = element->config;
	struct graph_walk walk = { 0 };
	int r = 0;

	if (element->source_count)
		return kinds_element_error(ctx, element, NULL, "collect-integration elements may not have sources");
	if (collect->ignore.count)
		graph_walk_scope(&walk, ctx->graph, (uint32_t)(element - ctx->graph->elements), GRAPH_SCOPE_BUILD);
	for (uint32_t i = 0; r >= 0 && i < collect->ignore.count; i++)
		if (!in_build_scope(ctx->graph, &walk, collect->ignore.items[i]))
			r = kinds_element_error(ctx, element, NULL, "element %s is not in dependencies",
						collect->ignore.items[i]);
	graph_walk_release(&walk);
	return r;
}

static void integration_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_collect_integration *collect = element->config;

	buf_adds(out, "{\"ignore\":");
	kinds_json_sorted(out, &collect->ignore, true);
	buf_adds(out, ",\"script-path\":");
	json_str(out, collect->script_path);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_collect_integration_work = {
	.config_size = sizeof(struct kinds_collect_integration),
	.configure = integration_configure,
	.preflight = integration_preflight,
	.key = integration_key,
};

/* ---- collect_manifest */

static int read_spdx(const struct kinds_context *ctx, struct kinds_collect_manifest *manifest,
		     const struct yaml_node *info)
{
	static const char *const names[] = { "creators", "created", "data-license", "doc-namespace", "name", NULL };
	int r = yaml_validate_keys(info, names, ctx->diag);

	if (r >= 0)
		r = kinds_get_strings(ctx, info, "creators", &manifest->creators);
	manifest->has_creators = r > 0;
	if (r >= 0)
		r = yaml_get_int(info, "created", &manifest->created, ctx->diag);
	manifest->has_created = r > 0;
	if (r >= 0)
		r = yaml_get_str(info, "data-license", &manifest->data_license, ctx->diag);
	if (r >= 0)
		r = yaml_get_str(info, "doc-namespace", &manifest->doc_namespace, ctx->diag);
	if (r >= 0)
		r = yaml_get_str(info, "name", &manifest->name, ctx->diag);
	return r;
}

/* The plugin does not validate its own keys, only those of spdx-info. */
static int manifest_configure(const struct kinds_context *ctx, struct graph_element *element,
			      const struct yaml_node *config)
{
	static const char *const types[] = { "manifest", "spdx", NULL };
	struct kinds_collect_manifest *manifest = element->config;
	const struct yaml_node *info = NULL;
	int type = 0;
	int r = yaml_get_str(config, "path", &manifest->path, ctx->diag);

	if (ctx->plugin && ctx->plugin->behaviour == KINDS_MANIFEST_PLAIN)
		return r;
	if (r >= 0)
		r = yaml_get_enum(config, "output-type", types, &type, ctx->diag);
	if (r >= 0)
		r = yaml_get_map(config, "spdx-info", &info, ctx->diag);
	if (r >= 0 && info)
		r = read_spdx(ctx, manifest, info);
	manifest->spdx = type == 1;
	manifest->bare = ctx->plugin && ctx->plugin->behaviour == KINDS_MANIFEST_BARE;
	manifest->source_provenance = true;
	if (r >= 0)
		r = yaml_get_bool(config, "use-source-provenance", &manifest->source_provenance, ctx->diag);
	return r;
}

static void manifest_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_collect_manifest *manifest = element->config;

	buf_addc(out, '{');
	if (manifest->spdx)
		buf_adds(out, "\"output_type\":\"spdx\",");
	buf_adds(out, "\"path\":");
	json_str(out, manifest->path);
	if (manifest->source_provenance)
		buf_adds(out, ",\"source_provenance\":true");
	if (manifest->spdx) {
		buf_adds(out, ",\"spdx_info\":[");
		if (manifest->has_creators)
			kinds_json_strings(out, &manifest->creators);
		else
			buf_adds(out, "null");
		buf_addc(out, ',');
		json_str(out, manifest->data_license);
		buf_addc(out, ',');
		if (manifest->has_created)
			json_int(out, manifest->created);
		else
			buf_adds(out, "null");
		buf_addc(out, ',');
		json_str(out, manifest->doc_namespace);
		buf_addc(out, ',');
		json_str(out, manifest->name);
		buf_addc(out, ']');
	}
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_collect_manifest_work = {
	.config_size = sizeof(struct kinds_collect_manifest),
	.configure = manifest_configure,
	.key = manifest_key,
};

/* ---- collect_initial_scripts */

static int scripts_configure(const struct kinds_context *ctx, struct graph_element *element,
			     const struct yaml_node *config)
{
	static const char *const names[] = { "path", NULL };
	struct kinds_collect_scripts *collect = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	return r < 0 ? r : yaml_need_str(config, "path", &collect->path, ctx->diag);
}

static void scripts_key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_collect_scripts *collect = element->config;

	buf_adds(out, "{\"path\":");
	json_str(out, collect->path);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_collect_scripts_work = {
	.config_size = sizeof(struct kinds_collect_scripts),
	.configure = scripts_configure,
	.key = scripts_key,
};

/* filter: some split domains of its one build dependency. */
#include "kinds/kinds_internal.h"

static int configure(const struct kinds_context *ctx, struct graph_element *element, const struct yaml_node *config)
{
	static const char *const names[] = { "include", "exclude", "include-orphans", "pass-integration", NULL };
	struct kinds_filter *filter = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = kinds_need_strings(ctx, config, "include", &filter->include);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "exclude", &filter->exclude);
	if (r >= 0)
		r = yaml_need_bool(config, "include-orphans", &filter->include_orphans, ctx->diag);
	if (r >= 0)
		r = yaml_get_bool(config, "pass-integration", &filter->pass_integration, ctx->diag);
	if (r >= 0) {
		filter->include_node = yaml_get(config, "include");
		filter->exclude_node = yaml_get(config, "exclude");
	}
	return r;
}

static void list_dependencies(const struct kinds_context *ctx, const struct graph_element *element, unsigned type)
{
	for (uint32_t i = 0; i < element->dep_count; i++)
		if (element->deps[i].type & type)
			diag_detail(ctx->diag, "%s\n", ctx->graph->elements[element->deps[i].element].name);
}

static int preflight(const struct kinds_context *ctx, struct graph_element *element)
{
	const struct graph_dep *build = NULL;
	unsigned count = 0;

	for (uint32_t i = 0; i < element->dep_count; i++) {
		if (element->deps[i].type & GRAPH_BUILD) {
			build = &element->deps[i];
			count++;
		}
	}
	if (count != 1) {
		kinds_element_error(ctx, element, "filter-bdepend-wrong-count",
				    "FilterElement element must have exactly 1 build-dependency, actually have %u",
				    count);
		diag_detail(ctx->diag, "Full list of build-depends:\n");
		list_dependencies(ctx, element, GRAPH_BUILD);
		return -1;
	}
	if (build->type & GRAPH_RUNTIME) {
		kinds_element_error(ctx, element, "filter-bdepend-also-rdepend",
				    "FilterElement element's build dependency must not also be a runtime dependency");
		diag_detail(ctx->diag, "Full list of runtime depends:\n");
		list_dependencies(ctx, element, GRAPH_RUNTIME);
		return -1;
	}
	if (ctx->graph->elements[build->element].ops->flags & KINDS_NO_ARTIFACT) {
		kinds_element_error(ctx, element, "filter-bdepend-no-artifact",
				    "FilterElement element's build dependency must produce an artifact");
		diag_detail(ctx->diag, "%s does not produce an artifact, so there is nothing to filter",
			    ctx->graph->elements[build->element].name);
		return -1;
	}
	return 0;
}

static void key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_filter *filter = element->config;

	buf_adds(out, "{\"exclude\":");
	kinds_json_sorted(out, &filter->exclude, false);
	buf_adds(out, ",\"include\":");
	kinds_json_sorted(out, &filter->include, false);
	buf_adds(out, ",\"orphans\":");
	json_bool(out, filter->include_orphans);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_filter_work = {
	.config_size = sizeof(struct kinds_filter),
	.configure = configure,
	.preflight = preflight,
	.key = key,
};

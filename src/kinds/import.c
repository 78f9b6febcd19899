/* import: its sources are its artifact. */
#include "kinds/kinds_internal.h"

static int configure(const struct kinds_context *ctx, struct graph_element *element, const struct yaml_node *config)
{
	static const char *const names[] = { "source", "target", NULL };
	struct kinds_import *import = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "source", &import->source, ctx->diag);
	if (r >= 0)
		r = yaml_need_str(config, "target", &import->target, ctx->diag);
	return r;
}

static int preflight(const struct kinds_context *ctx, struct graph_element *element)
{
	if (element->source_count == 0)
		return kinds_element_error(ctx, element, NULL, "An import element must have at least one source.");
	return 0;
}

static void key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_import *import = element->config;

	buf_adds(out, "{\"source\":");
	json_str(out, import->source);
	buf_adds(out, ",\"target\":");
	json_str(out, import->target);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_import_work = {
	.config_size = sizeof(struct kinds_import),
	.configure = configure,
	.preflight = preflight,
	.key = key,
};

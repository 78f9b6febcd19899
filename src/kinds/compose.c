/* compose: the dependencies' files, integrated and filtered by split domains. */
#include "kinds/kinds_internal.h"

static int configure(const struct kinds_context *ctx, struct graph_element *element, const struct yaml_node *config)
{
	static const char *const names[] = { "integrate", "include", "exclude", "include-orphans", NULL };
	struct kinds_compose *compose = element->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_bool(config, "integrate", &compose->integrate, ctx->diag);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "include", &compose->include);
	if (r >= 0)
		r = kinds_need_strings(ctx, config, "exclude", &compose->exclude);
	if (r >= 0)
		r = yaml_need_bool(config, "include-orphans", &compose->include_orphans, ctx->diag);
	/* Nothing runs when nothing is integrated, and then environment and sandbox leave the key (compat, trap 20). */
	compose->base.runs_commands = compose->integrate;
	return r;
}

static void key(const struct graph_element *element, struct buf *out)
{
	const struct kinds_compose *compose = element->config;

	buf_addc(out, '{');
	if (compose->exclude.count) {
		buf_adds(out, "\"exclude\":");
		kinds_json_sorted(out, &compose->exclude, false);
		buf_addc(out, ',');
	}
	buf_adds(out, "\"include\":");
	kinds_json_sorted(out, &compose->include, false);
	buf_adds(out, ",\"integrate\":");
	json_bool(out, compose->integrate);
	buf_adds(out, ",\"orphans\":");
	json_bool(out, compose->include_orphans);
	buf_addc(out, '}');
}

const struct kinds_element_work kinds_compose_work = {
	.config_size = sizeof(struct kinds_compose),
	.configure = configure,
	.key = key,
};

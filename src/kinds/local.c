/* local and workspace: trees on this machine, whose digest is the key. */
#include "kinds/kinds_internal.h"

#include <assert.h>
#include <errno.h>

static int tree(const struct kinds_context *ctx, const char *path, bool mtimes, struct digest *ret)
{
	assert(ctx->host && ctx->host->tree_digest);
	return ctx->host->tree_digest(ctx->host->data, path, mtimes, ret, ctx->diag);
}

static void json_hash(struct buf *out, const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, digest->hash);
	json_str(out, hex);
}

static int local_configure(const struct kinds_context *ctx, struct graph_source *source,
			   const struct yaml_node *config)
{
	static const char *const names[] = { "path", KINDS_SOURCE_KEYS, NULL };
	struct kinds_local *local = source->config;
	const struct yaml_node *path = NULL;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_scalar(config, "path", &path, ctx->diag);
	if (r >= 0)
		r = kinds_project_path(ctx, path, KINDS_PATH_ANY, &local->path, &local->fullpath);
	local->digest.size_bytes = -1;
	source->has_ref = true;
	return r;
}

static int local_read(const struct kinds_context *ctx, struct graph_source *source)
{
	struct kinds_local *local = source->config;

	return tree(ctx, local->fullpath, false, &local->digest);
}

static void local_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_local *local = source->config;

	json_hash(out, &local->digest);
}

static uint32_t tree_info(struct arena *arena, const struct graph_source *source, const char *path, const char *medium,
			  const struct digest *digest, const struct kinds_source_info **ret)
{
	struct kinds_source_info info = { .url = path, .medium = medium, .version_type = "cas-digest" };
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, digest->hash);
	info.version = arena_printf(arena, "%s/%lld", hex, (long long)digest->size_bytes);
	return kinds_one_info(arena, source, &info, ret);
}

static uint32_t local_info(struct arena *arena, const struct graph_source *source, const struct kinds_source_info **ret)
{
	const struct kinds_local *local = source->config;

	return tree_info(arena, source, local->path, "local", &local->digest, ret);
}

const struct kinds_source_work kinds_local_work = {
	.config_size = sizeof(struct kinds_local),
	.configure = local_configure,
	.read_files = local_read,
	.key = local_key,
	.info = local_info,
};

/* A workspace is never written into a .bst file: kinds_workspace_source makes it. */
static int workspace_configure(const struct kinds_context *ctx, struct graph_source *source,
			       const struct yaml_node *config)
{
	static const char *const names[] = { "path", "last_build", "kind", NULL };
	struct kinds_workspace *workspace = source->config;
	const char *last_build = NULL;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "path", &workspace->path, ctx->diag);
	if (r >= 0)
		r = yaml_need_str(config, "last_build", &last_build, ctx->diag);
	source->has_ref = true;
	return r;
}

static int workspace_read(const struct kinds_context *ctx, struct graph_source *source)
{
	struct kinds_workspace *workspace = source->config;

	return tree(ctx, workspace->path, true, &workspace->digest);
}

static void workspace_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_workspace *workspace = source->config;

	json_hash(out, &workspace->digest);
}

static uint32_t workspace_info(struct arena *arena, const struct graph_source *source,
			       const struct kinds_source_info **ret)
{
	const struct kinds_workspace *workspace = source->config;

	return tree_info(arena, source, workspace->path, "workspace", &workspace->digest, ret);
}

const struct kinds_source_work kinds_workspace_work = {
	.config_size = sizeof(struct kinds_workspace),
	.configure = workspace_configure,
	.read_files = workspace_read,
	.key = workspace_key,
	.info = workspace_info,
};

int kinds_workspace_source(const struct kinds_context *ctx, struct graph_source *source, const char *path)
{
	struct kinds_workspace *workspace = ARENA_NEW(ctx->arena, struct kinds_workspace);

	workspace->path = path;
	*source = (struct graph_source){ .ops = kinds_find_source("workspace"), .config = workspace, .has_ref = true };
	return 0;
}

const char *kinds_local_path(const struct graph_source *source)
{
	if (source->ops->work == &kinds_workspace_work)
		return ((const struct kinds_workspace *)source->config)->path;
	return source->ops->work == &kinds_local_work ? ((const struct kinds_local *)source->config)->fullpath : NULL;
}

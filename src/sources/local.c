/* local and workspace: trees of this machine, straight into the store. */
#include "sources/sources_internal.h"

#include <fcntl.h>

static int local_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		      struct digest *ret)
{
	const struct kinds_local *local = source->config;
	struct digest digest;
	int r;

	if (local->digest.size_bytes >= 0 && cas_has_tree(ctx->cas, &local->digest) > 0) {
		*ret = local->digest;
		return 0;
	}
	r = cas_import(ctx->cas, AT_FDCWD, local->fullpath, 0, NULL, &digest, ctx->diag);
	if (r < 0)
		return r;
	/* the key was made from what stood there at loading; something else must not be cached under it */
	if (local->digest.size_bytes >= 0 && !digest_eq(&digest, &local->digest)) {
		diag_set(ctx->diag, "source", "changed", "Local source %s changed while Millrace was running", local->path);
		return -1;
	}
	*ret = digest;
	return 0;
}

const struct sources_ops sources_local = { .kind = "local", .tree = local_tree };

static int workspace_tree(struct sources_context *ctx, const struct graph_source *source,
			  const struct digest *previous, struct digest *ret)
{
	const struct kinds_workspace *workspace = source->config;

	return cas_import(ctx->cas, AT_FDCWD, workspace->path, CAS_IMPORT_MTIMES, NULL, ret, ctx->diag);
}

const struct sources_ops sources_workspace = { .kind = "workspace", .tree = workspace_tree };

/* remote: one downloaded file, under its name. */
#include "sources/sources_internal.h"

#include <string.h>

static int remote_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		       struct digest *ret)
{
	const struct kinds_remote *remote = source->config;
	struct cas_entry entry = { .type = CAS_FILE, .executable = remote->executable };
	_cleanup_close_ int fd = sources_download_open(ctx, source);
	struct cas_tree *tree;
	int r;

	if (fd < 0)
		return fd;
	r = cas_put_fd(ctx->cas, fd, &entry.digest);
	if (r == 0)
		r = cas_tree_new(&tree, ctx->cas, NULL);
	if (r)
		return r;
	r = cas_tree_put(tree, remote->filename, &entry);
	if (r == 0)
		r = cas_tree_digest(tree, "", ret);
	cas_tree_free(tree);
	return r;
}

const struct sources_ops sources_remote = {
	.kind = "remote",
	.have = sources_download_have,
	.fetch = sources_download_fetch,
	.tree = remote_tree,
	.track = sources_download_track,
};

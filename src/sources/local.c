/* local and workspace: trees of this machine, straight into the store. */
#include "sources/sources_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int local_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		      struct digest *ret)
{
	const struct kinds_local *local = source->config;
	struct digest digest;
	int r;

	if (local->digest.size_bytes >= 0 &&
	    (cas_has_tree(ctx->cas, &local->digest) > 0 ||
	     (ctx->statcache && cas_import_again(ctx->cas, local->fullpath, ctx->statcache, &local->digest)))) {
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

struct times {
	struct cas_tree *files;
	const char *from, *to;
};

/* A file that no later source has changed. */
static int keep_times(void *data, const char *path, const struct cas_entry *entry)
{
	const struct times *times = data;
	_cleanup_free_ char *from = xasprintf("%s/%s", times->from, path), *to = xasprintf("%s/%s", times->to, path);
	struct timespec both[2];
	struct cas_entry now;
	struct stat st;

	if (entry->type != CAS_FILE || cas_tree_lookup(times->files, path, false, &now) < 0 || now.type != CAS_FILE ||
	    !digest_eq(&now.digest, &entry->digest) || now.executable != entry->executable || lstat(from, &st) < 0 ||
	    !S_ISREG(st.st_mode))
		return 0;
	both[0] = st.st_atim;
	both[1] = st.st_mtim;
	if (fchmodat(AT_FDCWD, to, st.st_mode & 0777, 0) < 0 || utimensat(AT_FDCWD, to, both, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

/* A file that stands alone is new, as under bst; what is in a directory is a copy. */
static int local_workspace(struct sources_context *ctx, const struct graph_source *source, const struct digest *files,
			   const char *directory)
{
	const struct kinds_local *local = source->config;
	struct times times = { .from = local->fullpath, .to = directory };
	struct stat st;
	int r;

	if (lstat(local->fullpath, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	r = cas_tree_new(&times.files, ctx->cas, files);
	if (r == 0)
		r = cas_walk(ctx->cas, &local->digest, keep_times, &times);
	cas_tree_free(times.files);
	return r < 0 ? diag_errno(ctx->diag, "source", NULL, -r, "Cannot set the times of what comes from %s", local->path) : 0;
}

const struct sources_ops sources_local = { .kind = "local", .tree = local_tree, .workspace = local_workspace };

static int workspace_tree(struct sources_context *ctx, const struct graph_source *source,
			  const struct digest *previous, struct digest *ret)
{
	const struct kinds_workspace *workspace = source->config;

	return cas_import(ctx->cas, AT_FDCWD, workspace->path, CAS_IMPORT_MTIMES, NULL, ret, ctx->diag);
}

const struct sources_ops sources_workspace = { .kind = "workspace", .tree = workspace_tree };

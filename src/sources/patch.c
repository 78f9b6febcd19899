/* patch, patch_queue and quilt: changes to what the earlier sources left, made by the host's patch, git and quilt. */
#include "sources/sources_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"

typedef int apply_fn(struct sources_context *ctx, const struct graph_source *source, const char *directory);

/* Checks the earlier sources out, lets apply change them, and takes the result. */
static int change_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		       apply_fn *apply, struct digest *ret)
{
	_cleanup_free_ char *directory = NULL;
	int r = sources_scratch(ctx, &directory);

	if (r < 0)
		return r;
	r = cas_checkout(ctx->cas, previous, AT_FDCWD, directory, NULL, ctx->diag);
	if (r == 0)
		r = apply(ctx, source, directory);
	if (r == 0)
		r = cas_import(ctx->cas, AT_FDCWD, directory, CAS_IMPORT_MOVE, NULL, ret, ctx->diag);
	fs_remove_all(AT_FDCWD, directory);
	return r;
}

static int apply_patch(struct sources_context *ctx, const struct graph_source *source, const char *directory)
{
	const struct kinds_patch *patch = source->config;
	_cleanup_free_ char *strip = xasprintf("-p%d", patch->strip_level);
	_cleanup_free_ char *fail = xasprintf("Failed to apply patch %s", patch->path);
	const char *argv[] = { "patch", strip, "-i", patch->fullpath, "-d", directory, NULL };

	return sources_run(ctx, argv, fail, NULL);
}

static int patch_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		      struct digest *ret)
{
	const struct kinds_patch *patch = source->config;
	const struct cas_directory *directory;
	int r = cas_directory_get(ctx->cas, previous, &directory);

	if (r < 0)
		return r;
	if (!directory->count) {
		diag_set(ctx->diag, "source", "patch-no-files", "Nothing to patch in directory '%s'",
			 source->directory ? source->directory : "/");
		return -ENOENT;
	}
	sources_say(ctx, "Applying local patch: %s", patch->path);
	return change_tree(ctx, source, previous, apply_patch, ret);
}

const struct sources_ops sources_patch = { .kind = "patch", .tree = patch_tree };

static int apply_queue(struct sources_context *ctx, const struct graph_source *source, const char *directory)
{
	const struct kinds_patch_queue *queue = source->config;
	_cleanup_free_ char *fail = xasprintf("Failed to apply patches from %s", queue->path);
	_cleanup_free_ char *git_dir = xasprintf("%s/.git", directory);
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < queue->count; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", queue->fullpath, queue->names[i]);
		const char *argv[] = { "git",	  "-C",	 directory, "--git-dir", git_dir, "--work-tree",
				       directory, "apply", path,	    NULL };

		r = sources_run(ctx, argv, fail, NULL);
	}
	return r;
}

static int queue_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		      struct digest *ret)
{
	const struct kinds_patch_queue *queue = source->config;

	sources_say(ctx, "Applying patch queue: %s", queue->path);
	return change_tree(ctx, source, previous, apply_queue, ret);
}

const struct sources_ops sources_patch_queue = { .kind = "patch_queue", .tree = queue_tree };

/* ---- quilt ---- */

static int apply_series(struct sources_context *ctx, const struct graph_source *source, const char *directory)
{
	const struct kinds_quilt *quilt = source->config;
	_cleanup_free_ char *patches = xasprintf("%s/%s", directory, quilt->path);
	_cleanup_free_ char *variable = xasprintf("QUILT_PATCHES=%s", quilt->path), *tool = NULL, *fail = NULL;
	const char *environment[] = { variable, NULL };
	const char *argv[] = { NULL, "push", "-a", NULL };
	struct sources_command command = { .argv = argv, .environment = environment, .alone = true, .directory = directory };
	struct stat st;
	int r = sources_host_tool(ctx, "quilt", &tool);

	if (r < 0)
		return r;
	if (stat(patches, &st) < 0 || !S_ISDIR(st.st_mode))
		return diag_set(ctx->diag, "source", "no-dir-found", "Directory does not exist '%s'", quilt->path);
	fail = xasprintf("Error occurred while calling ['%s', 'push', '-a']", tool);
	argv[0] = tool;
	command.fail = fail;
	return sources_command(ctx, &command);
}

static int quilt_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		      struct digest *ret)
{
	const struct kinds_quilt *quilt = source->config;

	sources_say(ctx, "quilt: Applying patches: %s", quilt->path);
	return change_tree(ctx, source, previous, apply_series, ret);
}

const struct sources_ops sources_quilt = { .kind = "quilt", .tree = quilt_tree };

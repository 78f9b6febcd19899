/* bzr: one revision of a branch, by the host's bzr.
 *
 *     <sourcedir>/bzr/<mirror directory of url>              a repository without files
 *     <sourcedir>/bzr/<mirror directory of url>/<branch>     the branch that is tracked
 *     <sourcedir>/bzr/locks/<mirror directory of url>.lock   held (flock) while one of them changes or is looked at
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/sources_internal.h"

struct branch {
	struct sources_context *ctx;
	const struct kinds_bzr *bzr;
	struct arena arena;
	const char *mirror, *directory, *revision;
};

/* The branch's name becomes a path below the mirror. */
static bool is_inside(const char *name)
{
	for (const char *at = name; *at; at += strcspn(at, "/"), at += *at == '/')
		if (str_eq(at, "..") || str_starts(at, "../"))
			return false;
	return *name && *name != '/';
}

static int find(struct branch *branch, struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_bzr *bzr = source->config;

	*branch = (struct branch){ .ctx = ctx, .bzr = bzr };
	if (!is_inside(bzr->track) || !bzr->ref) {
		diag_set(ctx->diag, "source", "invalid-ref", "Not a branch and revision that bzr could fetch: '%s' '%s'",
			 bzr->track, bzr->ref ? bzr->ref : "");
		return -EINVAL;
	}
	branch->mirror = sources_mirror_directory(ctx, &branch->arena, "bzr", bzr->original_url, "");
	branch->directory = arena_printf(&branch->arena, "%s/%s", branch->mirror, bzr->track);
	branch->revision = arena_printf(&branch->arena, "--revision=revno:%s", bzr->ref);
	return 0;
}

static int lock(const struct branch *branch)
{
	_cleanup_free_ char *locks = xasprintf("%s/bzr/locks", branch->ctx->sourcedir);
	_cleanup_free_ char *path = xasprintf("%s/%s.lock", locks, fs_basename(branch->mirror));
	int r = fs_mkdir_p(AT_FDCWD, locks, 0755);

	if (r < 0)
		return diag_errno(branch->ctx->diag, "source", NULL, -r, "Cannot make the directory %s", locks);
	return sources_lock(branch->ctx, open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), path);
}

static bool has_revision(const struct branch *branch)
{
	const char *argv[] = { "bzr", "revno", branch->revision, branch->directory, NULL };
	const struct sources_command command = { .argv = argv, .probe = true };

	return access(branch->directory, F_OK) == 0 && sources_command(branch->ctx, &command) == 0;
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	struct sources_context quiet = *ctx;
	struct branch branch;
	bool ret;

	quiet.diag = NULL;
	ret = find(&branch, &quiet, source) == 0 && access(branch.directory, F_OK) == 0;
	if (ret) {
		_cleanup_close_ int fd = lock(&branch);

		ret = fd >= 0 && has_revision(&branch);
	}
	arena_release(&branch.arena);
	return ret;
}

/* ---- fetching ---- */

static int run(const struct branch *branch, const char *const *argv, const char *fail)
{
	const struct sources_command command = { .argv = argv, .fail = fail };
	int r = sources_command(branch->ctx, &command);

	if (r == -EIO)
		branch->ctx->temporary = true;
	return r;
}

/* All of the branch, or what is new in it. */
static int fetch_from(struct branch *branch, const char *url)
{
	const char *place = arena_printf(&branch->arena, "%s/%s", url, branch->bzr->track);
	const char *directory = arena_printf(&branch->arena, "--directory=%s", branch->directory);
	const char *init[] = { "bzr", "init-repo", "--no-trees", branch->mirror, NULL };
	const char *make[] = { "bzr", "branch", place, branch->directory, NULL };
	const char *pull[] = { "bzr", "pull", directory, place, NULL };
	int r = sources_check_argument(branch->ctx, "bzr", url);

	if (r < 0)
		return r;
	sources_say(branch->ctx, "Fetching %s", url);
	if (access(arena_printf(&branch->arena, "%s/.bzr", branch->mirror), F_OK) < 0)
		r = run(branch, init, "Failed to initialize bzr repository");
	if (r == 0 && access(branch->directory, F_OK) < 0)
		r = run(branch, make,
			arena_printf(&branch->arena, "Failed to branch from %s to %s", place, branch->directory));
	else if (r == 0)
		r = run(branch, pull, arena_printf(&branch->arena, "Failed to pull new changes for %s", branch->directory));
	if (r < 0 || has_revision(branch))
		return r;
	return diag_set(branch->ctx->diag, "source", "ref-not-mirrored", "Failed to ensure ref '%s' was mirrored",
			branch->bzr->ref);
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	struct branch branch;
	const char *fallback[2];
	_cleanup_close_ int fd = -1;
	int r = find(&branch, ctx, source);

	if (r == 0) {
		fd = lock(&branch);
		r = fd;
	}
	if (r >= 0) {
		const char *const *url =
			sources_urls(ctx, branch.bzr->original_url, branch.bzr->url, false, fallback);

		for (r = -EINVAL; r < 0 && r != -ECANCELED && *url; url++)
			r = fetch_from(&branch, *url);
	}
	arena_release(&branch.arena);
	return r;
}

/* ---- staging ---- */

static int check_out(const struct branch *branch, const char *directory)
{
	_cleanup_free_ char *fail = xasprintf("Failed to checkout revision %s from branch %s to %s", branch->bzr->ref,
					      branch->directory, directory);
	_cleanup_free_ char *metadata = xasprintf("%s/.bzr", directory);
	const char *argv[] = { "bzr", "checkout", "--lightweight", branch->revision, branch->directory, directory, NULL };
	int r = sources_run(branch->ctx, argv, fail, NULL);

	return r < 0 ? r : fs_remove_all(AT_FDCWD, metadata);
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	_cleanup_free_ char *directory = NULL;
	struct branch branch;
	int r = find(&branch, ctx, source);

	if (r == 0)
		r = sources_scratch(ctx, &directory);
	if (r == 0)
		r = check_out(&branch, directory);
	if (r == 0)
		r = cas_import(ctx->cas, AT_FDCWD, directory, CAS_IMPORT_MOVE, NULL, ret, ctx->diag);
	if (directory)
		fs_remove_all(AT_FDCWD, directory);
	arena_release(&branch.arena);
	return r;
}

/* ---- workspaces ---- */

/* A light checkout of the origin's branch, as bst makes it, but at the ref, where the files are: bst's `switch` takes them
 * along to the newest revision.  It is made beside the files, which are there already, and moved to them. */
static int make_checkout(struct branch *branch, const char *directory, const char *beside)
{
	const char *url = arena_printf(&branch->arena, "%s/%s", branch->bzr->url, branch->bzr->track);
	const char *to = arena_printf(&branch->arena, "--directory=%s", beside);
	const char *copy[] = { "bzr", "branch", branch->revision, branch->directory, beside, NULL };
	const char *turn[] = { "bzr", "switch", branch->revision, to, url, NULL };
	const char *from = arena_printf(&branch->arena, "%s/.bzr", beside), *target = arena_printf(&branch->arena, "%s/.bzr", directory);
	int r = sources_check_argument(branch->ctx, "bzr", url);

	if (r == 0)
		r = sources_run(branch->ctx, copy, arena_printf(&branch->arena, "Failed to branch revision %s from branch %s to %s",
								branch->bzr->ref, branch->directory, directory), NULL);
	if (r == 0)
		r = sources_run(branch->ctx, turn,
				arena_printf(&branch->arena, "Failed to switch workspace's parent branch to %s", url), NULL);
	if (r == 0 && rename(from, target) < 0)
		r = diag_errno(branch->ctx->diag, "source", NULL, errno, "Cannot put bzr's directory at %s", target);
	return r;
}

static int workspace(struct sources_context *ctx, const struct graph_source *source, const struct digest *files UNUSED,
		     const char *directory)
{
	_cleanup_free_ char *beside = xasprintf("%s/.bzr.millrace", directory);
	_cleanup_close_ int fd = -1;
	struct branch branch;
	int r = find(&branch, ctx, source);

	if (r == 0) {
		fd = lock(&branch);
		r = fd < 0 ? fd : make_checkout(&branch, directory, beside);
	}
	(void)fs_remove_all(AT_FDCWD, beside);
	arena_release(&branch.arena);
	return r;
}

const struct sources_ops sources_bzr = { .kind = "bzr", .have = have, .fetch = fetch, .tree = tree, .workspace = workspace };

/* ostree: the files of one commit of an OSTree repository, by the host's ostree.
 *
 *     <sourcedir>/ostree/<mirror directory of url>      a repository of mode archive; each URL fetched from is a remote of it
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/sources_internal.h"

static const char *mirror_of(struct sources_context *ctx, const struct kinds_ostree_source *ostree, struct arena *arena)
{
	return sources_mirror_directory(ctx, arena, "ostree", ostree->original_url, "");
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_ostree_source *ostree = source->config;
	struct sources_context quiet = *ctx;
	struct arena arena = { 0 };
	const char *mirror = mirror_of(ctx, ostree, &arena);
	const char *argv[] = { "ostree", "show", "--repo", mirror, ostree->ref, NULL };
	const struct sources_command command = { .argv = argv, .probe = true };
	bool ret;

	quiet.diag = NULL;
	ret = sources_check_argument(&quiet, "ostree", ostree->ref) == 0 && access(mirror, F_OK) == 0 &&
	      sources_command(&quiet, &command) == 0;
	arena_release(&arena);
	return ret;
}

/* ---- fetching ---- */

static int make_mirror(struct sources_context *ctx, const char *mirror)
{
	const char *init[] = { "ostree", "init", "--repo", mirror, "--mode", "archive-z2", NULL };
	/* how full the disk may be is not ostree's to say */
	const char *config[] = { "ostree", "config", "--repo", mirror, "set", "core.min-free-space-percent", "0", NULL };
	int r;

	if (access(mirror, F_OK) == 0)
		return 0;
	r = sources_run(ctx, init, "Unable to create local mirror for repository", NULL);
	return r < 0 ? r : sources_run(ctx, config, "Unable to disable minimum disk space checks", NULL);
}

static int fetch_from(struct sources_context *ctx, const struct kinds_ostree_source *ostree, const char *mirror,
		      const char *url)
{
	_cleanup_buf_ struct buf remote = BUF_INIT;
	_cleanup_free_ char *add_fail = xasprintf("Failed to configure origin %s", url), *pull_fail = NULL;
	const char *add[] = { "ostree", "remote", "add", "--if-not-exists", "--repo", mirror, NULL, url, "--no-gpg-verify", NULL,
			      NULL };
	const char *pull[] = { "ostree", "pull", "--repo", mirror, NULL, ostree->ref, NULL };
	int r = sources_check_argument(ctx, "ostree", url);

	if (r < 0)
		return r;
	if (str_eq(url, ostree->original_url))
		buf_adds(&remote, "origin");
	else
		sources_mirror_name(&remote, url);
	add[6] = pull[4] = remote.data;
	if (ostree->gpg_key_path) {
		add[8] = "--gpg-import";
		add[9] = ostree->gpg_key_path;
	}
	pull_fail = xasprintf("Failed to fetch ref '%s' from origin: %s", ostree->ref, remote.data);
	sources_say(ctx, "Fetching remote ref: %s from origin: %s", ostree->ref, url);
	r = sources_run(ctx, add, add_fail, NULL);
	if (r == 0)
		r = sources_run(ctx, pull, pull_fail, NULL);
	if (r == -EIO)
		ctx->temporary = true;
	return r;
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_ostree_source *ostree = source->config;
	_cleanup_free_ char *parent = xasprintf("%s/ostree", ctx->sourcedir);
	_cleanup_close_ int fd = -1;
	struct arena arena = { 0 };
	const char *mirror = mirror_of(ctx, ostree, &arena), *fallback[2];
	int r = sources_check_argument(ctx, "ostree", ostree->ref);

	if (r == 0)
		r = fs_mkdir_p(AT_FDCWD, parent, 0755);
	if (r == 0) {
		fd = sources_lock(ctx, open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), parent);
		r = fd;
	}
	if (r >= 0)
		r = make_mirror(ctx, mirror);
	if (r == 0) {
		const char *const *url = sources_urls(ctx, ostree->original_url, ostree->url, false, fallback);

		for (r = -EINVAL; r < 0 && r != -ECANCELED && *url; url++)
			r = fetch_from(ctx, ostree, mirror, *url);
	}
	arena_release(&arena);
	return r;
}

/* ---- staging ---- */

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	const struct kinds_ostree_source *ostree = source->config;
	_cleanup_free_ char *directory = NULL, *files = NULL;
	_cleanup_free_ char *fail = xasprintf("Failed to checkout ref '%s' from origin: %s", ostree->ref, ostree->url);
	struct arena arena = { 0 };
	const char *argv[] = { "ostree", "checkout", "--repo", mirror_of(ctx, ostree, &arena), "--user-mode", ostree->ref, NULL,
			       NULL };
	int r = sources_scratch(ctx, &directory);

	if (r == 0) {
		files = xasprintf("%s/checkout", directory);
		argv[6] = files;
		sources_say(ctx, "Staging ref: %s from origin: %s", ostree->ref, ostree->url);
		r = sources_run(ctx, argv, fail, NULL);
		if (r == 0)
			r = cas_import(ctx->cas, AT_FDCWD, files, CAS_IMPORT_MOVE, NULL, ret, ctx->diag);
		fs_remove_all(AT_FDCWD, directory);
	}
	arena_release(&arena);
	return r;
}

const struct sources_ops sources_ostree = { .kind = "ostree", .have = have, .fetch = fetch, .tree = tree };

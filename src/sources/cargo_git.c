/* Crates from git repositories: see cargo_git.h. */
#include "sources/cargo_git.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "sources/git_repo.h"

enum { SHA1_HEX = 40 };

/* The directory is named by the repository that Cargo.lock names, whichever mirror of it is fetched from. */
static int find(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate,
		struct arena *arena, struct git_repo *ret)
{
	int r;

	*ret = (struct git_repo){ .depth = 0 };
	if (strlen(crate->commit) != SHA1_HEX || strspn(crate->commit, "0123456789abcdef") != SHA1_HEX) {
		diag_set(ctx->diag, "source", "invalid-ref", "Not a commit that could be fetched for crate '%s': '%s'",
			 crate->name, crate->commit);
		return -EINVAL;
	}
	r = git_repo_find(ctx, arena, source->ops->name, crate->repo, crate->repo_url, crate->commit, ret);
	ret->mirror.url = crate->mirror;
	ret->mirror.translated = crate->mirror_url;
	ret->depth = 1;
	return r;
}

bool cargo_git_have(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate)
{
	struct sources_context quiet = *ctx;
	struct arena arena = { 0 };
	struct git_repo repo;
	bool ret;

	quiet.diag = NULL; /* fetch will say it */
	ret = find(&quiet, source, crate, &arena, &repo) == 0 && git_repo_have(&quiet, &repo);
	arena_release(&arena);
	return ret;
}

int cargo_git_fetch(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate)
{
	struct arena arena = { 0 };
	struct git_repo repo;
	int r = find(ctx, source, crate, &arena, &repo);

	if (r == 0)
		r = git_repo_fetch(ctx, &repo);
	arena_release(&arena);
	return r;
}

/* The commit's files and its .git, as one tree. */
static int check_out(struct sources_context *ctx, const struct git_repo *repo, struct digest *ret)
{
	_cleanup_free_ char *directory = NULL, *git_dir = NULL;
	int r = sources_scratch(ctx, &directory);

	if (r < 0)
		return r;
	git_dir = xasprintf("%s/.git", directory);
	r = git_repo_layout(ctx, repo, git_dir);
	if (r == 0)
		r = git_repo_files(ctx, repo, git_dir, directory);
	if (r == 0)
		r = git_repo_copy_commit(ctx, repo, git_dir);
	if (r == 0)
		r = cas_import(ctx->cas, AT_FDCWD, directory, CAS_IMPORT_MOVE, NULL, ret, ctx->diag);
	fs_remove_all(AT_FDCWD, directory);
	return r;
}

int cargo_git_tree(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate,
		   struct digest *ret)
{
	struct arena arena = { 0 };
	struct digest repository = { 0 };
	struct git_repo repo;
	int r = find(ctx, source, crate, &arena, &repo);

	if (r == 0) {
		sources_say(ctx, "Checking out %s", repo.commit);
		r = check_out(ctx, &repo, &repository);
	}
	if (r == 0)
		r = cargo_pick_crate(ctx, &repository, crate->name, ret);
	arena_release(&arena);
	return r;
}

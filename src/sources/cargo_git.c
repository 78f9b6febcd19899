/* Crates from git repositories: see cargo_git.h. */
#include "sources/cargo_git.h"

#include <errno.h>
#include <string.h>

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

static int check_out(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate,
		     struct digest *ret)
{
	struct arena arena = { 0 };
	struct git_repo repo;
	int r = find(ctx, source, crate, &arena, &repo);

	if (r == 0) {
		sources_say(ctx, "Checking out %s", repo.commit);
		r = git_repo_tree(ctx, &repo, git_repo_copy_commit, ret);
	}
	arena_release(&arena);
	return r;
}

/* Workspaces have many crates: each repository is checked out once. */
int cargo_git_tree(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate,
		   struct cargo_repositories *seen, struct digest *ret)
{
	struct digest repository = { 0 };
	size_t i = 0;
	int r;

	while (i < seen->count && !(str_eq(seen->trees[i].repo, crate->repo) && str_eq(seen->trees[i].commit, crate->commit)))
		i++;
	if (i == seen->count) {
		r = check_out(ctx, source, crate, &repository);
		if (r < 0)
			return r;
		seen->trees = util_grow(seen->trees, &seen->cap, seen->count + 1, sizeof *seen->trees);
		seen->trees[seen->count++] = (struct cargo_repository){ crate->repo, crate->commit, repository };
	}
	return cargo_pick_crate(ctx, &seen->trees[i].tree, crate->name, ret);
}

/* Crates of cargo2 that come from a git repository instead of a registry.
 *
 *     <sourcedir>/cargo2/<mirror directory of repo>.git         a bare clone, shared by all crates of the repository
 *
 * What is staged is the crate's directory in the repository.  A crate that is a member of a workspace has inherited values
 * written into its Cargo.toml, since the workspace does not come along; the repository's own crate keeps a .git that
 * has its commit alone.
 */
#ifndef SOURCES_CARGO_GIT_H
#define SOURCES_CARGO_GIT_H

#include "sources/sources_internal.h"

bool cargo_git_have(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate);
int cargo_git_fetch(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate);
/* The crate's directory, from the clone.  seen remembers from crate to crate the repositories that were checked out: zeroed at
 * first, freed (its trees) by the caller in the end. */
struct cargo_repositories {
	struct cargo_repository {
		const char *repo, *commit;
		struct digest tree;
	} *trees;
	size_t count, cap;
};
int cargo_git_tree(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate,
		   struct cargo_repositories *seen, struct digest *ret);

/* cargo_workspace.c: finds the crate called name in the repository's tree; ret is its directory, as told above. */
int cargo_pick_crate(struct sources_context *ctx, const struct digest *repository, const char *name, struct digest *ret);

#endif

/* Repositories as git_repo and go_module keep and stage them: at one commit, known by a tag and a depth or by its SHA-1. */
#ifndef SOURCES_GIT_REPO_H
#define SOURCES_GIT_REPO_H

#include "sources/git_mirror.h"

struct git_repo {
	struct git_mirror mirror;
	const char *tag;    /* "refs/tags/<tag>", or NULL */
	unsigned depth;     /* commits that are needed with it; 0: all */
	const char *commit; /* 40 hexadecimal digits */
};

/* Fills ret from url and ref ("[<tag>-<n>-g]<commit>"), strings in arena; <0 with diag set. */
int git_repo_find(struct sources_context *ctx, struct arena *arena, const char *kind, const char *url,
		  const char *translated, const char *ref, struct git_repo *ret);
/* The same for a source, of which find knows what it wants: have and fetch of its kind. */
typedef int git_repo_find_fn(struct sources_context *ctx, const struct graph_source *source, struct arena *arena,
			     struct git_repo *ret);
bool git_repo_source_have(struct sources_context *ctx, const struct graph_source *source, git_repo_find_fn *find);
int git_repo_source_fetch(struct sources_context *ctx, const struct graph_source *source, git_repo_find_fn *find);
bool git_repo_have(struct sources_context *ctx, const struct git_repo *repo);
int git_repo_fetch(struct sources_context *ctx, const struct git_repo *repo);

/* Writes the layout of an empty repository, as the peer's library has it, to git_dir, which is made; HEAD is the commit. */
int git_repo_layout(struct sources_context *ctx, const struct git_repo *repo, const char *git_dir);
/* Writes the commit's files to directory, by way of such a layout.  Line ends as .gitattributes says; no other filters, and
 * no configuration of the user's. */
int git_repo_files(struct sources_context *ctx, const struct git_repo *repo, const char *git_dir, const char *directory);

/* The commit's files with such a .git, as one tree; add (one of those below) puts objects into that. */
typedef int git_repo_add_fn(struct sources_context *ctx, const struct git_repo *repo, const char *git_dir);
int git_repo_tree(struct sources_context *ctx, const struct git_repo *repo, git_repo_add_fn *add, struct digest *ret);

/* git_objects.c: copies to git_dir what `git describe` and `git log` need: the commits from the tag (or only the one),
 * their trees and symlinks, and the tag's own objects; with .git/shallow and the tag's ref. */
int git_repo_copy_history(struct sources_context *ctx, const struct git_repo *repo, const char *git_dir);
/* The commit alone, without even its tree. */
int git_repo_copy_commit(struct sources_context *ctx, const struct git_repo *repo, const char *git_dir);

#endif

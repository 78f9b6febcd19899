/* Bare clones of git repositories, as the kinds of the git family keep them below <sourcedir>/<kind>.
 *
 * All work is done by the host's git.  A mirror is locked (flock on its directory) while something is fetched into it:
 * two jobs, or two Millraces, may want the same one.  Refs and URLs that git would take for options are refused.
 */
#ifndef SOURCES_GIT_MIRROR_H
#define SOURCES_GIT_MIRROR_H

#include "sources/sources_internal.h"

struct git_mirror {
	const char *url;        /* as written, alias and all */
	const char *translated; /* without alias; NULL: ask ctx->urls, or it has none */
	const char *ref;        /* anything that git resolves to a commit */
	const char *path;       /* below the source's directory: "" for the source itself, else a submodule's */
	const char *directory;  /* where the mirror is */
};

/* A ref or URL that could be read as an option, or that is not there: <0 with diag set. */
int git_check_ref(struct sources_context *ctx, const char *ref);

/* Runs git in the repository `directory`; arguments end with NULL, 16 at most.  Results as of sources_command. */
int git_run(struct sources_context *ctx, const char *directory, const char *const *arguments, const char *fail,
	    struct buf *output);
int git_probe(struct sources_context *ctx, const char *directory, const char *const *arguments, struct buf *output);

bool git_has_ref(struct sources_context *ctx, const char *directory, const char *ref);
/* An empty bare repository, if there is none yet. */
int git_ensure_repository(struct sources_context *ctx, const char *directory);
/* Waits for the mirror's lock; the descriptor to close, or <0. */
int git_lock(struct sources_context *ctx, const char *directory);

/* Brings mirror->ref to the mirror, from the first URL that has it: an exact tag alone where that can be, else all
 * branches and tags. */
int git_mirror_fetch(struct sources_context *ctx, const struct git_mirror *mirror);
/* "<tag>-0-g<commit>" says that the tag itself is meant (the last "-0-g" counts): the tag, heap, and where the commit
 * stands in ref; or NULL. */
char *git_exact_tag(const char *ref, const char **commit);
/* Does the remote say that the tag is this commit, directly or peeled?  1, 0 or <0. */
int git_advertises(struct sources_context *ctx, const char *directory, const char *url, const char *tag,
		   const char *commit);
/* Writes the files of ref to a directory that exists. */
int git_checkout(struct sources_context *ctx, const char *mirror, const char *ref, const char *directory);

/* Makes directory, where ref has been written, a clone of the mirror (in `repository`) whose origin is the mirror's URL. */
int git_adopt(struct sources_context *ctx, const struct git_mirror *mirror, const char *repository, const char *directory);

struct git_submodule {
	const char *path, *url, *ref; /* as .gitmodules and the tree have it */
};
/* The submodules of a commit that really are there, in .gitmodules' order; arrays and strings in arena. */
int git_submodules(struct sources_context *ctx, const char *directory, const char *ref, struct arena *arena,
		   struct git_submodule **ret, uint32_t *ret_count);

#endif

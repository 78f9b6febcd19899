/* What source kinds share. */
#ifndef SOURCES_SOURCES_INTERNAL_H
#define SOURCES_SOURCES_INTERNAL_H

#include "kinds/kinds.h"
#include "kinds/source_configs.h"
#include "sources/sources.h"

/* The acting half of a source kind. */
struct sources_file;

/* What a source of one file is: everything of it in arena; <0 with diag set. */
typedef int sources_file_of_fn(struct sources_context *ctx, const struct graph_source *source, struct arena *arena,
			       struct sources_file *ret);

struct sources_ops {
	const char *kind;
	sources_file_of_fn *file_of; /* for sources_one_file_have and _fetch; NULL: not of one file */
	/* Is the original on disk, so that tree works without the network?  NULL: always. */
	bool (*have)(struct sources_context *ctx, const struct graph_source *source);
	/* Brings the original to disk. NULL: nothing to do. */
	int (*fetch)(struct sources_context *ctx, const struct graph_source *source);
	/* The same for kinds that look at the earlier sources to fetch (KINDS_PREVIOUS_FETCH): previous is the tree so far in
	 * their directory. */
	int (*fetch_onto)(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous);
	/* Puts the source's tree into the CAS.  previous: for kinds that are staged onto the earlier sources
	 * (KINDS_PREVIOUS_STAGE), the tree so far in their directory, which ret replaces; else NULL. */
	int (*tree)(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		    struct digest *ret);
	/* What an opened workspace has besides the files, in the source's own directory, whose tree is `files`.  NULL: nothing. */
	int (*workspace)(struct sources_context *ctx, const struct graph_source *source, const struct digest *files,
			 const char *directory);
	/* NULL: nothing to track. */
	int (*track)(struct sources_context *ctx, const struct graph_source *source, struct sources_tracked *ret);
};

extern const struct sources_ops sources_local, sources_workspace, sources_remote, sources_tar, sources_zip,
	sources_patch, sources_patch_queue, sources_git, sources_git_tag, sources_git_module, sources_git_repo,
	sources_cpan, sources_pypi, sources_gnu, sources_anitya, sources_gen_cargo_lock, sources_docker,
	sources_cargo, sources_cargo2, sources_go_module, sources_deb, sources_quilt, sources_pip, sources_bzr,
	sources_ostree, sources_bazel_file, sources_bazel_source;

/* NULL: a kind that is not brought here. */
const struct sources_ops *sources_ops_of(const struct graph_source *source);

/* Puts a file with this text at path, with its parents; <0 with nothing in diag. */
int sources_put_text(struct sources_context *ctx, struct cas_tree *tree, const char *path, const struct buf *text);

void sources_say(struct sources_context *ctx, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A warning about ctx->source.  token: "git:unlisted-submodule", NULL if a project cannot make it fatal.  0, or -EINVAL with
 * diag (domain "plugin", the token as reason) where the project did. */
int sources_warn(struct sources_context *ctx, const char *token, const char *detail, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* ---- downloads (download.c): files under <sourcedir>/<kind>/<mirror directory>/<sha256> ---- */

struct sources_file {
	const char *directory;    /* where it is kept, as <sha256> */
	const char *original_url; /* as written, alias and all */
	const char *url;          /* translated */
	const char *sha256;       /* what it must be */
	bool community;           /* errors in the words of buildstream-plugins-community */
};
bool sources_file_have(const struct sources_file *file);
int sources_file_open(struct sources_context *ctx, const struct sources_file *file);
int sources_file_fetch(struct sources_context *ctx, const struct sources_file *file);

/* have and fetch for sources of one file, of which the kind's file_of says what it is. */
bool sources_one_file_have(struct sources_context *ctx, const struct graph_source *source);
int sources_one_file_fetch(struct sources_context *ctx, const struct graph_source *source);

/* The same for sources whose configuration starts with struct kinds_download. */
/* A read-only descriptor of the downloaded file, its content not checked again; <0 with diag set if it is not there. */
int sources_download_open(struct sources_context *ctx, const struct graph_source *source);
bool sources_download_have(struct sources_context *ctx, const struct graph_source *source);
int sources_download_fetch(struct sources_context *ctx, const struct graph_source *source);
int sources_download_track(struct sources_context *ctx, const struct graph_source *source, struct sources_tracked *ret);
/* ---- where originals are kept (mirror.c) ---- */

/* "https://x/y.tar" -> "https___x_y_tar": every character (not byte) outside [A-Za-z0-9%] becomes '_'. */
void sources_mirror_name(struct buf *ret, const char *url);

/* <sourcedir>/<kind>/<mirror name of url><suffix>, in arena. */
const char *sources_mirror_directory(struct sources_context *ctx, struct arena *arena, const char *kind, const char *url,
				     const char *suffix);
/* Waits until fd, just opened and called name, is locked by us alone; returns it, to be closed.  <0 with diag set: closed. */
int sources_lock(struct sources_context *ctx, int fd, const char *name);

/* Is there anything in the directory? */
bool sources_directory_filled(const char *path);

/* The URLs to try in order, NULL-terminated: what ctx->urls says, or the one there is (translated, else original), which
 * is put into fallback.  Valid until the next call. */
const char *const *sources_urls(struct sources_context *ctx, const char *original, const char *translated, bool tracking,
				const char *fallback[2]);

/* ---- commands (command.c) ---- */

struct sources_command {
	const char *const *argv;
	const char *const *environment; /* NAME=value to set, NULL-terminated; may be NULL */
	bool alone;                     /* ... and of our own environment it gets PATH only */
	const char *directory;          /* where it runs; NULL: here */
	int input;                      /* its stdin; 0: nothing */
	bool probe;                     /* a status other than 0 is an answer, not a failure */
	const char *fail;               /* the message if it fails */
	struct buf *output;             /* gets what it wrote to stdout; may be NULL */
	int output_fd;                  /* or this does; 0: not */
};
/* Runs a command, waiting through ctx->wait.  0 if it ends with status 0, its status with `probe`, else <0 with diag set:
 * `fail`, and the output as detail. */
int sources_command(struct sources_context *ctx, const struct sources_command *command);
/* Where PATH has a program; heap.  -ENOENT with diag set (domain "prog-not-found") if nowhere. */
int sources_host_tool(struct sources_context *ctx, const char *name, char **ret);
/* Refuses text that a tool would take for an option, or that is not there: <0 with diag set. */
int sources_check_argument(struct sources_context *ctx, const char *tool, const char *text);
/* Runs argv (searched in PATH) with its output collected; waits through ctx->wait.  0 if it ends with status 0; else
 * diag says `fail` with the output as detail. output (may be NULL) gets what it wrote to stdout. */
int sources_run(struct sources_context *ctx, const char *const *argv, const char *fail, struct buf *output);
/* A new directory below ctx->tmpdir; ret is its absolute path, heap. */
int sources_scratch(struct sources_context *ctx, char **ret);

/* The wait of the context, or poll. */
int sources_wait(struct sources_context *ctx, struct pollfd *fds, nfds_t count, int64_t deadline_us);

#endif

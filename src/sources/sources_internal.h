/* What source kinds share. */
#ifndef SOURCES_SOURCES_INTERNAL_H
#define SOURCES_SOURCES_INTERNAL_H

#include "kinds/kinds.h"
#include "kinds/source_configs.h"
#include "sources/sources.h"

/* The acting half of a source kind. */
struct sources_ops {
	const char *kind;
	/* Is the original on disk, so that tree works without the network?  NULL: always. */
	bool (*have)(struct sources_context *ctx, const struct graph_source *source);
	/* Brings the original to disk. NULL: nothing to do. */
	int (*fetch)(struct sources_context *ctx, const struct graph_source *source);
	/* Puts the source's tree into the CAS.  previous: for kinds that are staged onto the earlier sources
	 * (KINDS_PREVIOUS_STAGE), the tree so far in their directory, which ret replaces; else NULL. */
	int (*tree)(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		    struct digest *ret);
	/* NULL: nothing to track. */
	int (*track)(struct sources_context *ctx, const struct graph_source *source, struct sources_tracked *ret);
};

extern const struct sources_ops sources_local, sources_workspace, sources_remote, sources_tar, sources_zip,
	sources_patch, sources_patch_queue;

void sources_say(struct sources_context *ctx, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- downloads (download.c): files under <sourcedir>/<kind>/<mirror directory>/<sha256> ---- */

/* A read-only descriptor of the downloaded file, its content not checked again; <0 with diag set if it is not there. */
int sources_download_open(struct sources_context *ctx, const struct graph_source *source);
bool sources_download_have(struct sources_context *ctx, const struct graph_source *source);
int sources_download_fetch(struct sources_context *ctx, const struct graph_source *source);
int sources_download_track(struct sources_context *ctx, const struct graph_source *source, struct sources_tracked *ret);
/* "https://x/y.tar" -> "https___x_y_tar": every character (not byte) outside [A-Za-z0-9%] becomes '_'. */
void sources_mirror_name(struct buf *ret, const char *url);

/* ---- commands (command.c) ---- */

/* Runs argv (searched in PATH) with its output collected; waits through ctx->wait.  0 if it ends with status 0; else
 * diag says `fail` with the output as detail. output (may be NULL) gets what it wrote to stdout. */
int sources_run(struct sources_context *ctx, const char *const *argv, const char *fail, struct buf *output);
/* A new directory below ctx->tmpdir; ret is its absolute path, heap. */
int sources_scratch(struct sources_context *ctx, char **ret);

/* The wait of the context, or poll. */
int sources_wait(struct sources_context *ctx, struct pollfd *fds, nfds_t count, int64_t deadline_us);

#endif

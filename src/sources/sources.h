/* sources/sources.h: sources in action: looked up, fetched, tracked, staged; in a worker.
 *
 * The pure half of a source kind (configuration, key) is in room kinds; here is what touches network, archives and the CAS.
 * One file per kind, each a struct sources_ops found by the kind's name.
 *
 * The unit of work is one element: sources_cached looks whether the tree of all its sources is in the CAS; sources_fetch
 * brings it there.  The order is the peer's: record of the element's sources, records of single sources, their original
 * location (a download already on disk, then the network).  What is found or made is recorded where the peer records it
 * (elementsources/<key>, source_protos/<kind>/<key>), the downloads under <sourcedir>/<kind>/<mirror directory>/<sha256>.
 * Each source becomes a tree in the CAS by itself, without passing through a directory where the kind allows (local files
 * and archives go straight into the store); the trees are then merged in order at the sources' `directory`.
 *
 * Network and archives live in modules that are opened on first use (base/module.h).
 *
 * Errors have domain "source", those of merging several sources "element" (as in the peer); `temporary` says that trying again may help (network).
 */
#ifndef SOURCES_SOURCES_H
#define SOURCES_SOURCES_H

#include <poll.h>

#include "base/diag.h"
#include "cas/cas.h"
#include "graph/graph.h"

struct sources_context {
	struct cas *cas;
	const struct graph *graph;
	uint32_t element;
	const char *sourcedir;       /* absolute */
	const char *tmpdir;          /* absolute; scratch of kinds that need a directory; made if absent */
	struct cas_statcache *statcache; /* with which the project was loaded; NULL: local trees are looked at anew */
	struct diag *diag;           /* what went wrong */
	bool temporary;              /* ... and trying again may help */
	const struct graph_source *source; /* at hand: the one that warnings are about */

	/* Hooks, each may be NULL. */
	void *data;
	/* URLs to try for a source, in order (mirrors first, as configured), NULL-terminated; original is as written in the
	 * project, translated as in its configuration.  NULL function: translated only. */
	const char *const *(*urls)(void *data, const char *original, const char *translated, bool tracking);
	/* Waits as poll(2) does, until a deadline (util_now_us's clock, negative: none); -ECANCELED gives up.  NULL: poll. */
	int (*wait)(void *data, struct pollfd *fds, nfds_t count, int64_t deadline_us);
	/* A line for the log: "Fetching https://...". */
	void (*say)(void *data, const char *text);
	/* A warning that is not fatal in the element's project. */
	void (*warn)(void *data, const char *text, const char *detail);
	/* Bytes done and expected (0: unknown). */
	void (*progress)(void *data, uint64_t done, uint64_t total);
	/* Asks the remote source caches.  1 and the tree (all of it in the CAS), 0 if they do not have it, <0.  kind NULL:
	 * the element's sources. */
	int (*pull)(void *data, const char *kind, const struct key *key, struct digest *ret);
};

/* Key of element's sources together, and of one source alone (compat: source keys).  False without a ref. */
bool sources_element_key(const struct graph *graph, uint32_t element, struct key *ret);
bool sources_key(const struct graph_source *source, struct key *ret);

/* Is the tree of the element's sources there?  1 and its digest, or 0.  Local records only. */
int sources_cached(struct cas *cas, const struct graph *graph, uint32_t element, struct digest *ret);
/* Could it be made without the network: each source in the cache or its original on disk?  1 or 0. */
int sources_have_originals(struct sources_context *ctx);
/* Must something be downloaded to have every source's original on disk, whatever is in the cache? */
bool sources_lack_originals(struct sources_context *ctx);

enum {
	SOURCES_ORIGINAL = 1, /* fetch the original locations even if trees are cached (bst source fetch --... originals) */
};
/* Makes it so that sources_cached holds.  Returns 0 with the tree, 1 if it was cached already (tree filled too),
 * -ECANCELED, or <0 with ctx->diag set.  An element without sources has DIGEST_EMPTY. */
int sources_fetch(struct sources_context *ctx, unsigned flags, struct digest *ret);
/* The tree for a build: as sources_fetch from what is cached or on disk, but never from the network. */
int sources_stage(struct sources_context *ctx, struct digest *ret);

/* What `workspace open` needs when the element's tree has been written to directory (absolute): files that still are as a local
 * source has them get its times and modes, and where git's kinds were staged there is a .git to work with.  0, or <0 with diag
 * set.  Nothing is fetched: a source whose original is not on disk stays as it is. */
int sources_open_workspace(struct sources_context *ctx, const struct digest *tree, const char *directory);

/* What tracking found for one source. */
struct sources_tracked {
	struct buf ref;    /* the new ref as text; empty if the kind has nothing to track */
	struct buf notice; /* a warning for the log; mostly empty */
};
/* Asks the original location of source number i for its newest ref. */
int sources_track(struct sources_context *ctx, uint32_t i, struct sources_tracked *ret);
void sources_tracked_release(struct sources_tracked *tracked);

/* Is there an acting half for this kind? */
bool sources_known(const char *kind);

#endif

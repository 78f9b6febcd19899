/* elements/elements.h: the acting half of element kinds: how an artifact is assembled.
 *
 * A build job hands over the element (graph data), what the pipeline knows about its build dependencies, the tree of its
 * sources and a sandbox host; elements_build stages, integrates, runs commands and collects, and hands back digests of
 * trees in the CAS.  Nothing is looked up on disk by name here: no refs, no project files, no downloads; writing the
 * artifact record is the job's business.
 *
 * Semantics are BuildStream 2's Element.configure_sandbox/stage/assemble of each kind (compat: staging, running commands),
 * with its messages' texts.  Configurations come from kinds/element_configs.h.
 *
 * Used by workers.  Not thread-safe.
 */
#ifndef ELEMENTS_ELEMENTS_H
#define ELEMENTS_ELEMENTS_H

#include "base/arena.h"
#include "base/diag.h"
#include "cas/cas.h"
#include "graph/graph.h"
#include "sandbox/sandbox.h"

struct yaml_node;

/* One element of the build scope, as the pipeline state (or a unit test) has it. */
struct elements_dep {
	uint32_t element;
	bool has_files;                      /* false: the artifact has no files (nothing is staged) */
	struct digest files;
	const struct yaml_node *public_data; /* dynamic public data; NULL: as in the graph */
	struct key key;                      /* strong key, for messages */
};

enum elements_message { /* what goes to the element's log; names as the peer prints them */
	ELEMENTS_START, ELEMENTS_SUCCESS, ELEMENTS_FAILURE, ELEMENTS_STATUS, ELEMENTS_INFO, ELEMENTS_WARN, ELEMENTS_LOG
};

struct elements_hooks {
	void *data;
	/* brief: one line; detail: more lines or NULL.  element: the one spoken about (the built one, or a dependency being
	 * staged).  START is always followed by SUCCESS or FAILURE of the same brief; activities nest.  elapsed_us: of the
	 * activity that ended.  keyless: the peer prints the line without the key ("probe.bst: Running commands"). */
	void (*message)(void *data, enum elements_message type, uint32_t element, bool keyless, const char *brief,
			const char *detail, int64_t elapsed_us);
	/* Waits until pidfd is readable.  Returns 0, or <0 to give up: everything in the sandbox is then killed and
	 * elements_build returns that value.  NULL: waits without end. */
	int (*wait)(void *data, int pidfd);
	/* Before the commands of a batch are started; may wait.  Returns 0, or <0 to give up.  A jobserver that is put into
	 * *ret (NULL before) must stay as it is until elements_build returns.  NULL: commands start at once. */
	int (*commands)(void *data, const struct sandbox_jobserver **ret);
	/* Called for each file written to or read from a sandbox's root; <0 gives up, as for wait.  May be NULL. */
	int (*check)(void *data);
};

enum elements_buildtrees { ELEMENTS_BUILDTREES_AUTO, ELEMENTS_BUILDTREES_ALWAYS, ELEMENTS_BUILDTREES_NEVER };

struct elements_job {
	const struct graph *graph;
	uint32_t element;
	struct cas *cas;
	struct sandbox_host *sandbox_host;
	struct arena *arena;               /* for results; lives as long as they do */
	const struct elements_dep *deps;   /* all of graph_walk_scope(BUILD), in that order */
	uint32_t dep_count;
	struct digest sources;             /* tree of all its sources; DIGEST_EMPTY if it has none */
	bool incremental;                  /* an open workspace that was built before: */
	struct digest build_directory;     /* staged instead of sources; those are only recorded */
	enum elements_buildtrees buildtrees; /* cache-buildtrees of the user configuration */
	unsigned key_length;               /* digits of keys in messages; 0: 8 */
	int log_fd;                        /* output of commands; readable too, to find the failed one */
	struct elements_hooks hooks;
};

struct elements_result {
	bool success;
	const char *error, *error_detail;  /* "succeeded", or what the artifact records; detail "" if none */
	bool has_files, has_buildtree, has_sources, has_buildroot;
	struct digest files, buildtree, sources, buildroot;
	const struct yaml_node *public_data; /* dynamic public data of the built element */
	/* For the artifact's buildsandbox record, if has_buildroot: */
	const struct graph_pair *environment; /* as configured for the sandbox, sorted by name */
	uint32_t environment_count;           /* 0: the kind configures none */
	const char *working_directory;
	const char *const *marked;
	uint32_t marked_count;
	const struct digest *subsandboxes;    /* trees of digest-environment */
	uint32_t subsandbox_count;
	/* What happened in sandboxes, for statistics and --debug: */
	enum sandbox_way way;                 /* of the last batch */
	uint32_t batches;
	int64_t prepare_us, run_us, capture_us;
	const char *failed_command;           /* label of the command that failed, NULL if none or not known */
	int exit_code;                        /* its exit code */
};

enum elements_outcome {
	ELEMENTS_BUILT,          /* an artifact to cache */
	ELEMENTS_FAILED,         /* a build failure: to be cached too; diag set */
	ELEMENTS_NOT_COLLECTED,  /* to be cached (without files), but the job fails: diag set */
};
/* Builds one element.  <0 with diag: no artifact may be cached (missing objects, fatal warnings, sandbox trouble). */
int elements_build(const struct elements_job *job, struct elements_result *ret, struct diag *diag);

/* ---- pieces that other jobs need (checkout, shell, list-contents) ---- */

/* Configures and stages a build, with integration, and stops before its commands.  The caller frees the sandbox, also when
 * this fails (NULL then, or half staged); texts live in job->arena and the graph. */
struct elements_prepared {
	struct sandbox *sandbox;
	const struct graph_pair *environment; /* as configured for the sandbox, sorted by name */
	uint32_t environment_count;           /* 0: the kind configures none */
	const char *cwd;
};
int elements_prepare(const struct elements_job *job, struct elements_prepared *ret, struct diag *diag);

/* Merges artifacts into tree at location, in the order given, warns about overlaps and unstaged files as the peer does.
 * job: graph, element (on whose behalf), cas, hooks, arena are used; deps: what is staged. */
int elements_stage(const struct elements_job *job, struct cas_tree *tree, const struct elements_dep *deps,
		   uint32_t dep_count, const char *location, struct diag *diag);
/* Appends the integration commands of these elements (in RUN order) to a batch. */
int elements_integrate(const struct elements_job *job, struct sandbox_batch *batch, const struct elements_dep *deps,
		       uint32_t dep_count, struct diag *diag);

/* Which files of an artifact the split rules of its public data select.  include/exclude: domains; empty include: all. */
struct elements_split;
int elements_split_new(struct elements_split **ret, const struct yaml_node *public_data, const char *const *include,
		       uint32_t include_count, const char *const *exclude, uint32_t exclude_count, bool orphans,
		       struct diag *diag);
/* path without leading slash. */
bool elements_split_match(const struct elements_split *split, const char *path);
void elements_split_free(struct elements_split *split);

#endif

/* session/session_internal.h: what the files of room session share. */
#ifndef SESSION_SESSION_INTERNAL_H
#define SESSION_SESSION_INTERNAL_H

#include "artifacts/artifacts.h"
#include "base/arena.h"
#include "cas/cas.h"
#include "graph/graph.h"
#include "keys/keys.h"
#include "project/project.h"
#include "sandbox/sandbox.h"
#include "session/session.h"
#include "state/state.h"

/* A list of element ids, in arena or heap as said where it is used. */
struct session_ids {
	uint32_t *ids;
	uint32_t count;
	size_t cap;
};
void session_ids_add(struct session_ids *list, uint32_t id);
void session_ids_release(struct session_ids *list);

/* A target that was given as an artifact's name; see artifact_targets.c. */
struct session_artifact {
	uint32_t element; /* its stand-in in the graph */
	const char *name;
	struct key key;
	bool cached;
	struct artifact artifact; /* if cached; in the session's arena */
	struct session_artifact *next;
};

struct session {
	const struct session_request *request;
	struct session_frontend *frontend;
	struct diag diag;
	struct arena arena; /* lives as long as the session */
	int64_t start_us;
	int64_t keys_us; /* what computing keys took */

	struct project_context context;
	bool has_context;
	struct project_loader *loader;
	struct graph graph;
	struct keys *keys;
	struct keys_of_element *all_keys; /* by element id */
	struct graph_walk walk;

	struct cas *cas; /* opened when first needed: session_open_cache */
	struct cas_statcache *statcache;
	bool cas_session; /* a marker is set: we write */
	enum { SESSION_NO_PIPELINE, SESSION_NO_JOBS, SESSION_RAN_JOBS } ran_jobs; /* what pipelines did so far */
	struct sandbox_host *layers; /* of what runs, while it does: room is made there first */
	struct state *state;

	struct session_ids targets;  /* element targets, as loaded */
	struct session_ids except;
	struct session_strings artifact_names; /* targets that are artifact names or globs of them, as given */
	struct session_artifact *artifacts;    /* those loaded */
};

/* --- open.c: configuration, loading, keys --- */

/* User configuration with the command line's options over it; tells the frontend. */
int session_configure(struct session *session);
enum session_load_flags {
	SESSION_LOAD_ARTIFACTS = 1, /* targets may be artifact names */
	SESSION_LOAD_NO_KEYS = 2,   /* no keys wanted */
	SESSION_LOAD_ONE = 4,       /* no default targets but the element of a workspace */
	SESSION_LOAD_WITH_DEFAULTS = 16, /* the project's default targets (or all its elements), too */
	SESSION_LOAD_BRIEF = 32,    /* of elements, no more than names, dependencies and keys are wanted */
	SESSION_LOAD_ALONE = 8      /* no worker will be forked, so the graph need not be frozen */
};
/* Loads the request's targets and computes keys.  Afterwards graph is frozen, targets and except are filled. */
int session_load(struct session *session, unsigned flags);
/* Is the element's strong key its strict one?  False in a non-strict plan: there an artifact found under the weak key will do,
 * and the strong key is not known before that was looked for (session_query) or all dependencies have theirs
 * (session_settle_key).  What a person named by its key is always strict. */
bool session_is_strict(const struct session *session, uint32_t element);
/* Parent, non-strict plan: computes the strong key of an element that will be built, now that its dependencies may have
 * theirs.  False if there is nothing new. */
bool session_settle_key(struct session *session, uint32_t element);
/* The project alone, without any element, and without a word. */
int session_load_project(struct session *session);
/* Forgets all that was loaded and loads other targets; session->request has them from then on. */
int session_reload(struct session *session, const struct session_strings *targets, unsigned flags);
/* junctions.c: fetches and stages what loading needs (PROJECT_NEEDS) and goes on loading until it is done. */
int session_junctions(struct session *session);
/* The store (and, for commands that write, a session marker with crash recovery). */
int session_open_cache(struct session *session, bool writes);
void session_release(struct session *session);
/* Loader, graph, keys and state: as before session_load. */
void session_unload(struct session *session);

/* artifact_targets.c: makes graph elements of artifact names, before the graph is frozen; their keys afterwards. */
int session_artifact_targets(struct session *session);
void session_artifact_keys(struct session *session);
/* Was this element made of an artifact's name? */
bool session_is_artifact(const struct session *session, uint32_t element);

/* --- checkout.c --- */

/* Can what --tar or location names be written? */
int session_check_location(struct session *session, const char *location);
/* False also for what is no directory, or not there. */
bool session_directory_empty(const char *path);

/* --- care.c --- */

/* How much may be in the cache, and what to do when it is full; right after it was opened. */
void session_limits(struct session *session);
/* For sessions that write, and have a quota: what is there now? */
int session_count(struct session *session);
/* To what the objects should come down, of low_bytes (CAS_QUOTA_INFINITE: no limit): what layers in use leave.  They are scratch:
 * they may not take more than half of it from what they serve. */
int64_t session_objects_target(int64_t low_bytes, int64_t layers_bytes);
/* Options for every sandbox host of a session. */
struct sandbox_host_options session_host_options(const struct session *session);

/* --- select.c --- */

/* The elements of --deps, in the peer's order, minus --except. */
int session_select(struct session *session, enum session_deps deps, struct session_ids *ret);
/* The targets, each element that only shows another one's files (filter) replaced by that one. */
void session_redirect(struct session *session, struct session_ids *ret);
/* Error with all elements listed whose sources have no ref ("inconsistent-pipeline"), or 0. */
int session_assert_consistent(struct session *session, const struct session_ids *ids);

/* --- query.c: what is in the caches --- */

/* Fills state (made here if it is not there) for these elements: artifact outcome, sources at hand.
 * sources_of_cached: look for sources also where the artifact is cached. */
int session_query(struct session *session, const struct session_ids *ids, bool sources_of_cached);
/* Non-strict plan, after session_query of ids (dependencies first): strong keys of what will have to be built for these
 * roots, as far as those of their dependencies are known.  deps: NONE if roots are not wanted with what they need to run. */
void session_settle_keys(struct session *session, const struct session_ids *ids, const struct session_ids *roots,
			 enum session_deps deps);
/* As `show` tells it; only after session_query of all elements in the pipeline. */
enum session_state session_element_state(struct session *session, uint32_t element);
/* Name below artifacts/refs for the strict (or strong) key, in buf.  False if the key is not known. */
bool session_artifact_name(const struct session *session, uint32_t element, struct buf *ret);
/* The same for a key that the caller knows. */
void session_artifact_name_of(const struct session *session, uint32_t element, const struct key *key, struct buf *ret);
/* The cached record of an element, memory in arena.  1, or 0 if it is not cached. */
int session_read_artifact(struct session *session, struct arena *arena, uint32_t element, struct artifact *ret);

/* --- build.c --- */

/* For commands that need sources: makes it so that the sources of all these are in the store, in state too; their
 * originals on disk as well, if wanted. */
int session_need_sources(struct session *session, const struct session_ids *ids, bool originals);

/* --- source_scripts.c --- */

/* Adds "build-<normal name>", a shell script that does what building the element does, to the tree.  1; 0 for kinds of
 * which no script can be made. */
int session_script(struct session *session, struct cas_tree *tree, uint32_t element);
/* Adds "build.sh", which runs these elements' scripts in order. */
int session_script_all(struct session *session, struct cas_tree *tree, const struct session_ids *elements);

/* --- shell.c: a shell in the sandbox of a build that failed, while the pipeline pauses --- */

bool session_shell_offered(const struct session *session, uint32_t element);
/* Until the person leaves it.  What goes wrong is said. */
void session_shell_failed(struct session *session, uint32_t element);

/* --- say.c: messages of the session itself --- */

void session_say(struct session *session, enum session_message_type type, const char *text, const char *detail);
/* The same about an element (GRAPH_NONE: none); elapsed_us negative if the message is not timed. */
void session_tell(struct session *session, enum session_message_type type, const char *text, const char *detail,
		  uint32_t element, int64_t elapsed_us);
/* A timed activity: START now, SUCCESS or FAIL at the end. */
struct session_activity {
	struct session *session;
	const char *text;
	int64_t start_us;
	uint32_t element;
};
struct session_activity session_begin(struct session *session, const char *text, uint32_t element);
void session_end(struct session_activity *activity, bool success);
/* The same for an activity of count steps, of total (0: not known before); said if it took long. */
void session_end_counted(struct session_activity *activity, bool success, uint32_t count, uint32_t total);
/* Fills what show, headings and summaries print of an element (bits of enum session_show_field); text in arena. */
void session_describe(struct session *session, struct arena *arena, uint32_t element, uint64_t needs,
		      struct session_element *ret);
void session_heading(struct session *session, const struct session_ids *elements);

/* --- commands: each returns an exit code or negative with session->diag set --- */
typedef int session_command_fn(struct session *session);
session_command_fn session_show, session_build, session_artifact_checkout, session_artifact_log,
	session_artifact_list_contents, session_artifact_show, session_artifact_delete, session_source_fetch,
	session_source_checkout, session_workspace_open, session_workspace_close, session_workspace_reset,
	session_workspace_list, session_shell, session_graph, session_rdeps, session_path, session_inspect,
	session_why, session_cache_du, session_cache_gc, session_cache_fsck;

#endif

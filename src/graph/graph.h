/* graph/graph.h: a loaded project as plain data, by number.
 *
 * Elements, projects and their edges live in arrays indexed by uint32_t ids; everything hangs in one arena.  The loader
 * (room project) fills it, room keys adds the fixed texts it needs, then graph_freeze makes the arena read-only, workers
 * are forked and inherit it by copy-on-write.  What changes after that (refs found by tracking, keys, artifact digests)
 * lives in room state, never here: a change nobody listed crashes a test.
 *
 * Only data and walks; no files, no YAML types (public data is carried as an opaque pointer for the rooms that know it).
 * Read by any process; written by the parent while loading only.
 */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/digest.h"

#define GRAPH_NONE UINT32_MAX

struct yaml_node;
struct kinds_element; /* ops of an element kind, room kinds */
struct kinds_source;  /* ops of a source kind, room kinds */

enum graph_dep_type { GRAPH_BUILD = 1, GRAPH_RUNTIME = 2, GRAPH_ALL = 3 };

struct graph_dep {
	uint32_t element;
	uint8_t type;     /* enum graph_dep_type, as bits */
	bool strict;
	const char *path; /* as written first: "name.bst" or "junction.bst:name.bst"; kinds put it into layouts */
	const struct yaml_node *const *configs; /* `config` blocks, expanded, in order */
	uint32_t config_count;
};

struct graph_pair { /* of environment, variables: sorted by name (code points) */
	const char *name, *value;
};

struct graph_source {
	const struct kinds_source *ops;
	const char *directory;   /* as written, not expanded; NULL or "" if none */
	void *config;            /* what ops->configure made, in the graph's arena */
	const char *key_json;    /* unique key as JSON text, NULL while there is no ref */
	uint32_t key_json_len;
	bool has_ref;            /* or needs none (local, patch, ...) */
	const struct yaml_node *node; /* expanded configuration, for error provenance */
	const struct yaml_node *provenance; /* what people wrote about its origin: a map of texts, or NULL; for show */
};

struct graph_sandbox {
	const char *build_os, *build_arch; /* canonical, as in keys: "linux", "x86-64" */
	int64_t build_uid, build_gid;      /* -1: not set */
	const char *remote_apis_socket;    /* path or NULL */
	bool action_cache_enable_update;
};

struct graph_element {
	const char *name;        /* within its project: "core/foo.bst" */
	const char *full_name;   /* "junction.bst:core/foo.bst"; for display, logs, workspaces */
	const char *normal_name; /* refs and logs: "core-foo" */
	const char *description;
	uint32_t project;
	const struct kinds_element *ops;
	void *config;            /* what ops->configure made */
	const struct yaml_node *config_node; /* composed and expanded `config` mapping, for show */
	struct graph_dep *deps;  /* direct ones in the peer's sorted order */
	uint32_t dep_count;
	struct graph_source *sources;
	uint32_t source_count;
	const struct graph_pair *variables; /* all, resolved; sorted by name */
	uint32_t variable_count;
	const struct graph_pair *environment; /* expanded, nocache ones included; sorted by name */
	uint32_t environment_count;
	const char *const *environment_nocache;
	uint32_t environment_nocache_count;
	struct graph_sandbox sandbox;
	const struct yaml_node *public_data; /* expanded, with bst.split-rules; what an artifact starts from */
	const char *workspace;   /* absolute path of the open workspace, or NULL */
	const char *last_build;  /* key (64 hex digits) of the workspace's last build, or NULL */
	uint32_t max_jobs;       /* what %{max-jobs} is for it */
	bool is_target;
	bool has_all_refs;       /* false: no key can be computed ("no reference") */
	const char *file;        /* display name of its .bst, and position, for errors */
	uint32_t file_line, file_column;
};

struct graph_project {
	const char *name;
	const char *directory;      /* absolute */
	const char *junction;       /* full name of the junction element, NULL for the top level */
	uint32_t parent;            /* project id, GRAPH_NONE for the top level */
	const char *const *fatal_warnings; /* sorted, duplicates kept */
	uint32_t fatal_warning_count;
	bool strict;                /* strict build plan */
};

struct graph {
	struct arena arena;
	struct graph_element *elements;
	uint32_t element_count;
	size_t element_cap;
	struct graph_project *projects;
	uint32_t project_count;
	size_t project_cap;
	uint32_t generation; /* raised whenever loading resumes; dispatch asserts it */
	bool frozen;
};

void graph_init(struct graph *graph);
void graph_release(struct graph *graph);
/* Appends a zeroed element or project, returns its id. */
uint32_t graph_add_element(struct graph *graph);
uint32_t graph_add_project(struct graph *graph);
/* Moves both arrays into the arena and makes it read-only; graph_thaw undoes that (loading resumes), raising
 * generation. */
void graph_freeze(struct graph *graph);
void graph_thaw(struct graph *graph);

enum graph_scope { GRAPH_SCOPE_NONE, GRAPH_SCOPE_BUILD, GRAPH_SCOPE_RUN, GRAPH_SCOPE_ALL };

/* Room to walk in, reusable for many walks (marks are generation numbers, so nothing is cleared between them). */
struct graph_walk {
	uint32_t *ids; /* result of the last walk, dependencies before dependants; valid until the next walk */
	uint32_t count;
	uint32_t *marks, mark; /* private */
	size_t cap, marks_cap;
	void *stack;           /* private: walks are iterative, chains of 100,000 elements must not overflow a stack */
	size_t stack_cap;
};
/* The peer's traversals (_element.py `dependencies`, _pipeline.py): BUILD: for each direct build dependency in order its
 * runtime closure, post-order, each once, the element itself left out; RUN: runtime closure, the element last;
 * ALL: build and runtime closure, the element last; NONE: the element alone. */
void graph_walk_scope(struct graph_walk *walk, const struct graph *graph, uint32_t element, enum graph_scope scope);
/* The same for several targets, each element once (BUILD leaves out no target that another one needs). */
void graph_walk_targets(struct graph_walk *walk, const struct graph *graph, const uint32_t *targets, uint32_t count,
			enum graph_scope scope);
void graph_walk_release(struct graph_walk *walk);

/* Element with this full name, or GRAPH_NONE (linear; for command lines use the loader's table). */
uint32_t graph_find(const struct graph *graph, const char *full_name);
/* Resolved variable of an element, or NULL. */
const char *graph_variable(const struct graph_element *element, const char *name);
/* The name of an element in refs and logs: '/' becomes '-', then the last extension goes ("core/foo.bst": "core-foo"). */
const char *graph_normal_name(struct arena *arena, const char *name);

#endif

/* project/project.h: from a directory and a command line to a filled graph.
 *
 * Finds and composes project.conf, user configuration, includes, options, junctions, links, overrides, plugin origins,
 * elements and sources, and fills struct graph: everything that decides a cache key before keys are computed.
 *
 * Never touches the network and never runs anything.  Where a junction's sources are not on this machine, loading
 * stops with PROJECT_NEEDS and a batch of needs; the caller has them fetched and staged and calls project_load again,
 * which goes on where it stopped.
 *
 * Files read: project.conf, project.refs, junction.refs, *.bst, includes, plugins' default YAML, plugins' .py (only to
 * recognise them), .bst2/workspaces.yml, buildstream2.conf or buildstream.conf.
 *
 * Runs in the parent, before any worker is forked.  Everything returned lives in the graph's arena or in the loader, as
 * long as both do.  Nothing prints: warnings are collected, errors go into the caller's diag with the peer's domain and
 * reason.
 */
#ifndef PROJECT_PROJECT_H
#define PROJECT_PROJECT_H

#include "base/arena.h"
#include "base/diag.h"
#include "graph/graph.h"

struct yaml_node;
struct cas_statcache;
struct keys;
struct keys_of_element;
struct kinds_plugin;

/* ---- user configuration ---------------------------------------------------------------------------------------- */

enum project_on_error { PROJECT_ON_ERROR_CONTINUE, PROJECT_ON_ERROR_QUIT, PROJECT_ON_ERROR_TERMINATE };
enum project_uri_policy {
	PROJECT_URI_ALL,
	PROJECT_URI_ALIASES,
	PROJECT_URI_MIRRORS,
	PROJECT_URI_USER,
};
enum project_buildtrees { PROJECT_BUILDTREES_ALWAYS, PROJECT_BUILDTREES_AUTO, PROJECT_BUILDTREES_NEVER };
enum project_remote_type { PROJECT_REMOTE_INDEX = 1, PROJECT_REMOTE_STORAGE = 2, PROJECT_REMOTE_ALL = 3 };
#define PROJECT_QUOTA_INFINITE INT64_MAX

struct project_remote { /* one server of `artifacts`, `source-caches`, `storage-service`, `remote-execution` */
	const char *url;           /* NULL: not configured */
	const char *instance_name; /* NULL: none */
	enum project_remote_type type;
	bool push;
	const char *server_cert, *client_cert, *client_key, *access_token; /* absolute paths or NULL */
	int64_t access_token_reload_interval_min;                          /* minutes; -1: not set */
	int64_t keepalive_time_s, retry_limit, retry_delay_ms, request_timeout_s; /* -1: not set */
};

struct project_remotes {
	bool override_project_caches;
	const struct project_remote *servers;
	uint32_t count;
};

/* `remote-execution`; a service's url is NULL where it is not configured. */
struct project_execution {
	struct project_remote execution, storage, action_cache;
};

/* User configuration: the built-in defaults with the user's file composed over them.  Plain data; the session changes
 * fields that command line options override after project_context_load and before project_loader_new. */
struct project_context {
	struct arena arena;
	const char *config_file; /* absolute path of the file in use, NULL: built-in defaults only */

	const char *cachedir, *sourcedir, *logdir; /* absolute */
	const char *workspacedir;                  /* absolute, or "." */

	int64_t quota_bytes, reserved_bytes; /* percentages resolved for the volume of cachedir */
	double low_watermark;                /* 0 .. 1, ratio of the quota */
	const char *quota_text;
	int64_t layers_bytes;                /* from the command line; 0: not said */
	bool pull_buildtrees;
	enum project_buildtrees cache_buildtrees;
	struct project_remote storage_service;

	enum project_on_error on_error;
	int64_t fetchers, builders, pushers, network_retries;

	int64_t max_jobs; /* as configured; 0: number of CPUs, at most 8 */
	bool retry_failed;
	const char *build_dependencies; /* "none", "run" or "all" */
	enum project_uri_policy fetch_source, track_source;

	int64_t key_length, error_lines, message_lines;
	bool verbose, debug, throttle_ui_updates;
	const char *element_format, *message_format;

	struct project_remotes artifacts, source_caches;
	struct project_execution execution; /* of all projects; see project_info for a project's own */

	const struct yaml_node *projects; /* per-project sections, keys checked; NULL if none */
	const char *python_site;          /* directory to search for `pip` plugin origins before Python's own; NULL */
};

/* Loads config_file, or with NULL buildstream2.conf, else buildstream.conf in $XDG_CONFIG_HOME (~/.config), else only
 * defaults.  `~` and environment variables are expanded in directories.  0, or negative with diag: domain "load",
 * reason "missing-file", "invalid-data", "invalid-yaml", ... ; unknown keys are errors.  Creates nothing on disk. */
int project_context_load(struct project_context *context, const char *config_file, struct diag *diag);
/* "infinity" (PROJECT_QUOTA_INFINITE), "12", "12K", "12G", "12.5%" (of the volume of cachedir) in bytes; <0 if it is none of
 * these. */
int project_parse_size(const struct project_context *context, const char *text, int64_t *ret);
void project_context_release(struct project_context *context);
/* What %{max-jobs} is: context->max_jobs, or for 0 the CPUs this process may use, at most 8. */
int64_t project_max_jobs(const struct project_context *context);

/* ---- what to load ---------------------------------------------------------------------------------------------- */

struct project_option { /* -o NAME VALUE */
	const char *name, *value;
};

struct project_request {
	const char *directory; /* where to start looking upwards for project.conf (-C); NULL: "." */
	const struct project_option *options;
	uint32_t option_count;
	const char *default_mirror; /* NULL: not given */
	int strict;                 /* --strict 1, --no-strict 0, -1: as the user configuration says (strict) */
	/* As on a command line: "a.bst", "junction.bst:a.bst", globs; none: the project's default targets.  Names that
	 * do not end in ".bst" are an error of domain "stream", reason "invalid-element-names". */
	const char *const *targets;
	uint32_t target_count;
	const char *const *except;
	uint32_t except_count;
	/* Without targets: only the element of the workspace in whose directory we are, if we are in one. */
	bool no_default_targets;
	/* No targets wanted: load nothing but project.conf (both passes) and what it needs. */
	bool project_only;
	/* No keys wanted: key_json of sources stays NULL and files that local sources hash are not read. */
	bool no_keys;
	/* Of elements, only names, descriptions, dependencies and keys are wanted: what else they consist of may be forgotten
	 * as soon as their keys are known.  Heeded for large graphs whose plan is strict. */
	bool brief;
	struct cas_statcache *statcache; /* digests of files not changed since, or NULL */
	/* Absolute directory for images of parsed files (yaml/cache.h), made when first written to; NULL: none. */
	const char *parsed_files;
	bool timed; /* fill project_times */
	bool with_default_targets; /* those that would be loaded if no targets were given, after the given ones */
	/* For tests, and for computing keys of another machine: uname's machine and system; NULL: the host's. */
	const char *machine, *system;
};

/* One junction whose sources must be on disk before loading can go on.  `element` is in the graph: a junction element
 * with configured sources.  Fetch them if need be, stage them together into a directory beside `directory` and rename it
 * there; a directory that exists counts as complete. */
struct project_need {
	uint32_t element;
	const char *directory; /* absolute: <parent project>/.bst/staged-junctions/<junction file>/<weak key> */
};

enum { PROJECT_NEEDS = 1 };

struct project_warning {
	const char *token;  /* "ref-not-in-track" and such, NULL for plain warnings */
	const char *text;   /* one line */
	const char *detail; /* more lines or NULL */
};

struct project_loader;
/* context and request must outlive the loader. */
struct project_loader *project_loader_new(const struct project_context *context, const struct project_request *request);
void project_loader_free(struct project_loader *loader);

/* Fills graph (from graph_init; not frozen).  Returns 0 when everything is loaded, PROJECT_NEEDS (see project_needs),
 * or negative with diag.  After PROJECT_NEEDS call it again with the same graph, thawed if it was frozen meanwhile.
 * What it fills: all of struct graph_element and graph_project. */
int project_load(struct project_loader *loader, struct graph *graph, struct diag *diag);
/* The batch after PROJECT_NEEDS; valid until the next project_load. */
const struct project_need *project_needs(const struct project_loader *loader, uint32_t *ret_count);

/* ---- what was loaded ------------------------------------------------------------------------------------------- */

/* Element ids of targets (in order, without repetitions, links and overrides followed) and of --except ones. */
const uint32_t *project_targets(const struct project_loader *loader, uint32_t *ret_count);
const uint32_t *project_except(const struct project_loader *loader, uint32_t *ret_count);
/* Element with this full name ("junction.bst:dir/a.bst"), or GRAPH_NONE. */
uint32_t project_find(struct project_loader *loader, const char *full_name);
/* Full name of the element whose open workspace the directory belongs to, or NULL. */
const char *project_workspace_element(const struct project_loader *loader);
/* The mapping `workspaces` of .bst2/workspaces.yml, by full name of the element; NULL if there is none. */
const struct yaml_node *project_workspaces(const struct project_loader *loader);
/* Absolute path of the top-level project, NULL before the first project_load found it. */
const char *project_directory(const struct project_loader *loader);
const struct project_warning *project_warnings(const struct project_loader *loader, uint32_t *ret_count);
/* Keys of all elements of a large graph, which a second thread computed while they were made; it has ended.  The caller
 * takes both (keys_free, free).  NULL: they were not computed, or the graph has grown since. */
struct keys *project_take_keys(struct project_loader *loader, struct keys_of_element **ret_all);
/* Where the time of loading went, in microseconds, if the request was timed. */
struct project_times {
	int64_t configuration_us; /* user's and projects' files, options, includes */
	int64_t elements_us;      /* reading elements and their dependencies */
	int64_t order_us;         /* circles, the order of dependencies, numbers */
	int64_t compose_us;       /* variables, composition, expansion, configuration of kinds and sources */
	int64_t digests_us;       /* of local sources and patches, and source keys */
	int64_t keys_us;          /* keys that were not done when the last element was */
	int64_t parse_us;         /* finding, reading and parsing files: part of the first two */
	uint32_t files_parsed, files_known; /* parsed now; taken from an earlier run's image */
};
void project_times(const struct project_loader *loader, struct project_times *ret);
/* Paths of all files read so far, absolute, in the order of first reading. */
const char *const *project_files(const struct project_loader *loader, uint32_t *ret_count);

/* URLs to try for a source of an element, in order: mirrors and alias as the user's policy says (`fetch: source`,
 * `track: source`).  original as written in the project, translated as kinds made it.  NULL-terminated, in arena, which is
 * not the graph's: workers call this with the loader they inherited. */
const char *const *project_urls(const struct project_loader *loader, uint32_t element, const char *original,
				const char *translated, bool tracking, struct arena *arena);

/* Resolved variables or environment of an element in the order in which project, kind and element define them (the graph has
 * them by name).  The array in arena. */
enum project_definitions { PROJECT_VARIABLES, PROJECT_ENVIRONMENT };
const struct graph_pair *project_defined(struct project_loader *loader, uint32_t element, enum project_definitions what,
					 struct arena *arena, uint32_t *ret_count);

struct project_plugin { /* a kind that was used, and what it was taken for */
	bool is_source;
	const char *kind;
	const struct kinds_plugin *plugin; /* NULL: of the core */
};
/* All of a project, element kinds first, each group in the order of first use; the array in arena. */
const struct project_plugin *project_plugins(const struct project_loader *loader, uint32_t project, struct arena *arena,
					     uint32_t *ret_count);

struct project_host_file { /* of `shell: host-files` */
	const char *path, *host_path;
	bool optional;
};

/* What the rest of the program needs to know about a project besides graph_project. */
struct project_info {
	const char *element_path;  /* absolute */
	const char *ref_storage;   /* "inline" or "project.refs" */
	const struct graph_pair *options; /* name and value as text (bool: 1 or 0), sorted by name */
	uint32_t option_count;
	const char *const *shell_command;
	uint32_t shell_command_count;
	const struct graph_pair *shell_environment; /* environment variables expanded */
	uint32_t shell_environment_count;
	const struct project_host_file *shell_host_files;
	uint32_t shell_host_file_count;
	const struct project_remote *artifacts, *source_caches; /* recommended by project.conf */
	uint32_t artifact_count, source_cache_count;
	struct project_remotes user_artifacts, user_source_caches; /* `projects.NAME` of the user configuration */
	struct project_execution execution; /* of the top-level project: from there, else the user's for all projects */
	const struct yaml_node *provenance_attributes;
};
/* project: id in the graph. */
const struct project_info *project_info(const struct project_loader *loader, uint32_t project);

#endif

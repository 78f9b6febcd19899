/* session/frontend.h: how a session speaks to the person in front of it.
 *
 * A table of functions that cli provides (cli/cli.h) and session calls; session and every room below it print nothing
 * themselves.  Everything passed is plain data that the callee copies if it wants to keep it; text is UTF-8 and NUL
 * terminated, NULL means "none" where a comment allows it.  Called from the parent process's main thread only.
 * Every member is set: session never tests for NULL.
 *
 * Usual order: configure, then message (START), heading, status/jobs/messages, message (SUCCESS or FAIL), summary,
 * and error if the session failed.  `show` is configure, show_needs, show_element..., flush.
 */
#ifndef SESSION_FRONTEND_H
#define SESSION_FRONTEND_H

#include "base/diag.h"

/* The peer's message types (_message.py).  LOG goes to log files only. */
enum session_message_type {
	SESSION_MESSAGE_DEBUG,
	SESSION_MESSAGE_STATUS,
	SESSION_MESSAGE_INFO,
	SESSION_MESSAGE_WARN,
	SESSION_MESSAGE_ERROR,
	SESSION_MESSAGE_BUG,
	SESSION_MESSAGE_LOG,
	SESSION_MESSAGE_START,
	SESSION_MESSAGE_SUCCESS,
	SESSION_MESSAGE_FAIL,
	SESSION_MESSAGE_SKIPPED,
	SESSION_MESSAGE_TYPES
};

struct session_message {
	enum session_message_type type;
	const char *text;   /* one line, usually */
	const char *detail; /* more lines, shown indented; or NULL */
	const char *action; /* queue's action name, "Build"; NULL: outside any job ("main") */
	/* The element whose job this is, and the one that speaks (a dependency being staged); either may be NULL.  The
	 * terminal shows the first if there is one, the job's log the second. */
	const char *task_element, *element;
	const char *task_key, *key; /* full keys of the two, 64 hex digits; NULL: not known yet */
	bool task_key_weak, key_weak; /* the key is not the strict one: shown dimmed */
	int64_t elapsed_us;    /* SUCCESS and FAIL: how long it took; negative: none */
	int64_t wallclock_us;  /* since 1970; 0: now */
	const char *logfile;   /* the job's log file, or NULL */
	bool scheduler;        /* the job's own START, SUCCESS, FAIL: shows the log file, FAIL the log's last lines */
	int pid;               /* 0: this process */
};

/* What user configuration says about display; options of the command line win and are applied by the frontend.
 * Defaults: SESSION_DISPLAY_DEFAULT. */
struct session_display {
	int key_length;             /* logging.key-length */
	bool verbose, debug;        /* logging.verbose, logging.debug */
	int error_lines;            /* logging.error-lines: log lines shown of a failed job */
	int message_lines;          /* logging.message-lines: detail lines shown of a message */
	const char *element_format; /* logging.element-format, loaded as YAML does (no outer newlines) */
	const char *message_format; /* logging.message-format, likewise */
	bool throttle;              /* logging.throttle-ui-updates */
	const char *logdir;         /* absolute; log file names are shown relative to it */
};
#define SESSION_DISPLAY_ELEMENT_FORMAT "%{state: >12} %{full-key} %{name} %{workspace-dirs}"
#define SESSION_DISPLAY_MESSAGE_FORMAT "[%{elapsed}][%{key}][%{element}] %{action} %{message}"
#define SESSION_DISPLAY_DEFAULT                                                                                \
	{                                                                                                      \
		.key_length = 8, .verbose = true, .error_lines = 20, .message_lines = 20, .throttle = true,    \
		.element_format = SESSION_DISPLAY_ELEMENT_FORMAT, .message_format = SESSION_DISPLAY_MESSAGE_FORMAT, \
		.logdir = ""                                                                                   \
	}

/* What `show` may print of an element; bits of show_needs in this order. */
enum session_show_field {
	SESSION_SHOW_NAME,
	SESSION_SHOW_KIND,
	SESSION_SHOW_KEY,
	SESSION_SHOW_FULL_KEY,
	SESSION_SHOW_DESCRIPTION,
	SESSION_SHOW_STATE,
	SESSION_SHOW_CONFIG,
	SESSION_SHOW_VARS,
	SESSION_SHOW_ENV,
	SESSION_SHOW_PUBLIC,
	SESSION_SHOW_WORKSPACED,
	SESSION_SHOW_WORKSPACE_DIRS,
	SESSION_SHOW_DEPS,
	SESSION_SHOW_BUILD_DEPS,
	SESSION_SHOW_RUNTIME_DEPS,
	SESSION_SHOW_SOURCE_INFO,
	SESSION_SHOW_ARTIFACT_CAS_DIGEST,
	SESSION_SHOW_FIELDS
};
#define SESSION_SHOW_BIT(field) (1u << (field))
/* The fields for which caches must be asked (the peer's need_state); with none of them caches stay untouched. */
#define SESSION_SHOW_NEEDS_CACHE                                                       \
	(SESSION_SHOW_BIT(SESSION_SHOW_STATE) | SESSION_SHOW_BIT(SESSION_SHOW_KEY) |   \
	 SESSION_SHOW_BIT(SESSION_SHOW_FULL_KEY) | SESSION_SHOW_BIT(SESSION_SHOW_ARTIFACT_CAS_DIGEST))

enum session_state {
	SESSION_STATE_NO_REFERENCE,
	SESSION_STATE_JUNCTION,
	SESSION_STATE_WAITING,
	SESSION_STATE_FAILED,
	SESSION_STATE_CACHED,
	SESSION_STATE_FETCH_NEEDED,
	SESSION_STATE_BUILDABLE,
	SESSION_STATES
};

/* One element for show, the heading's pipeline and the summary's resolved keys.  Only what show_needs asked for must
 * be set; anything NULL prints as empty. */
struct session_element {
	const char *name; /* full name, with junctions */
	const char *kind;
	const char *description; /* as written; its line breaks are shown as blanks */
	const char *full_key;    /* 64 hex digits; NULL: not known, question marks are shown */
	bool key_weak;           /* not the strict key */
	enum session_state state;
	/* YAML text as the peer's roundtrip dump writes it, with its final newline: */
	const char *config, *vars, *env, *public_data, *source_info;
	const char *workspace; /* NULL: no workspace; else its absolute path */
	/* Full names of direct dependencies, a YAML list as above; the final newline is not shown. */
	const char *deps, *build_deps, *runtime_deps;
	const char *artifact_cas_digest; /* "hash/size"; NULL: not cached */
};

/* One queue's tally, for the status area and the summary. */
struct session_queue {
	const char *action;   /* "Fetch": the summary's "Fetch Queue" */
	const char *complete; /* "Sources Fetched": the status area's words */
	uint32_t processed, skipped, failed;
};

struct session_named { /* a title and its value */
	const char *name, *value;
};

/* One loaded project for the heading. */
struct session_project {
	const char *name;
	const char *junction;  /* full name of its junction element; NULL: the toplevel project */
	const char *loaded_by; /* provenance, or NULL */
	const char **duplicates, **internals; /* descriptions; or NULL */
	size_t n_duplicates, n_internals;
	struct session_named *options, *element_plugins, *source_plugins; /* sorted as the peer sorts them */
	size_t n_options, n_element_plugins, n_source_plugins;
	const char **artifact_servers, **source_servers; /* one description each, lines separated by '\n' */
	size_t n_artifact_servers, n_source_servers;
};

struct session_heading {
	const char *project_name, *project_directory; /* NULL: no project */
	const char **targets;
	size_t n_targets;
	const char *config_file; /* NULL: default configuration */
	const char *cachedir, *logdir, *sourcedir, *builddir;
	bool strict;
	int fetchers, builders, pushers, network_retries;
	const char *storage_service;                               /* description or NULL */
	const char *exec_service, *exec_storage, *exec_action_cache; /* remote execution: exec_service NULL: none */
	const char *scheduler; /* ours: "pool of 8 workers" and so on; or NULL */
	const struct session_project *projects;
	size_t n_projects;
	const struct session_element *elements; /* the whole pipeline in stage order */
	size_t n_elements;
};

struct session_summary {
	uint32_t total_elements, session_elements;
	const struct session_queue *queues; /* none: nothing is printed, as the peer does */
	size_t n_queues;
	const char **failed_elements; /* full names, each once; their last failure message is repeated */
	size_t n_failed_elements;
	const struct session_element *resolved; /* elements whose key became known on the way, sorted by name */
	size_t n_resolved;
};

/* For the live status area; all of it each time (cheap). */
struct session_status {
	const char *project_name;
	int64_t elapsed_us; /* since the session's start, suspensions excluded */
	uint32_t total_elements, session_elements;
	const struct session_queue *queues;
	size_t n_queues;
	const char *cache_usage; /* "44.2G / 64G (69%)", or NULL while unknown */
	int cache_percent;       /* for its colour */
};

struct session_job {
	uint32_t id;        /* unique while it runs */
	const char *action; /* "Build" */
	const char *name;   /* the element's full name, or an activity */
	int64_t started_us; /* on session_status.elapsed_us's clock */
};

/* What the person chose when asked. */
enum session_answer {
	SESSION_ANSWER_CONTINUE,
	SESSION_ANSWER_QUIT,
	SESSION_ANSWER_TERMINATE,
	SESSION_ANSWER_RETRY,
	SESSION_ANSWER_SHELL /* drop into a shell in the failed build's sandbox, then ask again */
};

struct session_failure { /* for ask_failure */
	const char *action, *element;
	const char *logfile; /* NULL: no "log" choice */
	bool sandbox;        /* a shell can be offered */
};

enum session_artifact_state { /* artifact show */
	SESSION_ARTIFACT_CACHED,
	SESSION_ARTIFACT_FAILED,
	SESSION_ARTIFACT_AVAILABLE,
	SESSION_ARTIFACT_NOT_CACHED
};

enum session_entry_kind { SESSION_ENTRY_DIRECTORY, SESSION_ENTRY_SYMLINK, SESSION_ENTRY_EXECUTABLE, SESSION_ENTRY_FILE };
struct session_entry { /* artifact list-contents, one file */
	enum session_entry_kind kind;
	const char *path;
	const char *target; /* of a symlink */
	uint64_t size_bytes;
};

struct session_frontend {
	void *data; /* passed back as the first argument */

	/* Once, when user configuration is known. -EINVAL and diag ("app") if a format makes no sense. */
	int (*configure)(void *data, const struct session_display *display, struct diag *diag);

	void (*message)(void *data, const struct session_message *message);
	void (*heading)(void *data, const struct session_heading *heading);
	void (*summary)(void *data, const struct session_summary *summary);

	/* The bits (SESSION_SHOW_BIT) that format asks for; format NULL or "": the configured element-format.  The format
	 * is kept for show_element.  Negative and diag if it is not a valid one. */
	int64_t (*show_needs)(void *data, const char *format, struct diag *diag);
	/* One element of `show`, on stdout. */
	void (*show_element)(void *data, const struct session_element *element);

	void (*artifact_state)(void *data, const char *name, enum session_artifact_state state);
	/* Contents of one artifact; count 0 says so. */
	void (*artifact_contents)(void *data, const char *name, const struct session_entry *entries, size_t count,
				  bool long_listing);
	/* Text for stdout as it is (logs, listings, JSON). */
	void (*output)(void *data, const char *text, size_t len_bytes);
	/* A log for a person: through $PAGER on a terminal, else as output. */
	void (*page)(void *data, const char *text, size_t len_bytes);
	/* A line for stderr outside the message format ("No open workspaces to close"). */
	void (*notice)(void *data, const char *text);

	/* The error that ends the invocation: "prefix: where: message" and detail on stderr (prefix may be NULL), and the
	 * "main" line in BST_ERROR_FILE.  At most once; the exit status is then 255. */
	void (*error)(void *data, const char *prefix, const struct diag *diag);
	/* The "main" line alone: the session failed because of its tasks and everything was said already. */
	void (*session_failed)(void *data, const struct diag *diag);
	/* One failed task: the "task" line in BST_ERROR_FILE.  The person is told through message (FAIL). */
	void (*task_failed)(void *data, const struct diag *diag);

	/* The live status area: does nothing unless both streams are terminals. */
	void (*status)(void *data, const struct session_status *status);
	void (*job_started)(void *data, const struct session_job *job);
	/* maximum 0: unknown. */
	void (*job_progress)(void *data, uint32_t id, uint64_t current, uint64_t maximum);
	void (*job_ended)(void *data, uint32_t id);

	/* ^C, and a failed job, on a terminal.  Blocks; session has stopped its clock and its jobs meanwhile. */
	enum session_answer (*ask_interrupt)(void *data);
	enum session_answer (*ask_failure)(void *data, const struct session_failure *failure);

	/* The process is about to stop (^Z): writes out messages and takes the status area away, so that the shell finds a
	 * clean line; the next status draws it again. */
	void (*suspend)(void *data);

	/* Writes out what was held back (stdout of show, throttled messages) and clears the status area. */
	void (*flush)(void *data);
};

#endif

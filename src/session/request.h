/* session/request.h: what one invocation was asked to do.
 *
 * Plain data, filled by cli from argv and read by session; nobody changes it afterwards.  All text is UTF-8, NUL
 * terminated and lives as long as the request's maker says (cli: argv or its arena, until the program ends).
 * Choices that were checked while parsing (enums, integers, remotes) arrive checked; paths arrive as written, except
 * where a comment says otherwise.  What was not given on the command line is SESSION_UNSET or NULL, so that user
 * configuration can decide; where a command has a fixed default (show --deps all), cli has filled it in.
 */
#ifndef SESSION_REQUEST_H
#define SESSION_REQUEST_H

#include <limits.h>

#include "base/util.h"

/* An int or tri-state flag that was not given. */
#define SESSION_UNSET INT_MIN

enum session_command {
	SESSION_COMMAND_NONE, /* a group without command (cli prints help; session never sees it) */
	SESSION_HELP,         /* cli alone */
	SESSION_INIT,         /* cli alone */
	SESSION_BUILD,
	SESSION_SHOW,
	SESSION_SHELL,
	SESSION_SOURCE_FETCH,
	SESSION_SOURCE_PUSH,
	SESSION_SOURCE_TRACK,
	SESSION_SOURCE_CHECKOUT,
	SESSION_WORKSPACE_OPEN,
	SESSION_WORKSPACE_CLOSE,
	SESSION_WORKSPACE_RESET,
	SESSION_WORKSPACE_LIST,
	SESSION_ARTIFACT_SHOW,
	SESSION_ARTIFACT_CHECKOUT,
	SESSION_ARTIFACT_PULL,
	SESSION_ARTIFACT_PUSH,
	SESSION_ARTIFACT_LOG,
	SESSION_ARTIFACT_LIST_CONTENTS,
	SESSION_ARTIFACT_DELETE,
	/* Ours, not the peer's: */
	SESSION_INSPECT,
	SESSION_WHY,
	SESSION_GRAPH,
	SESSION_RDEPS,
	SESSION_PATH,
	SESSION_CACHE_DU,
	SESSION_CACHE_GC,
	SESSION_CACHE_FSCK,
	SESSION_COMMANDS_COUNT
};

enum session_on_error { SESSION_ON_ERROR_CONTINUE, SESSION_ON_ERROR_QUIT, SESSION_ON_ERROR_TERMINATE };
enum session_deps { SESSION_DEPS_NONE, SESSION_DEPS_BUILD, SESSION_DEPS_RUN, SESSION_DEPS_ALL };
enum session_buildtrees { SESSION_BUILDTREES_ALWAYS, SESSION_BUILDTREES_AUTO, SESSION_BUILDTREES_NEVER };
enum session_order { SESSION_ORDER_STAGE, SESSION_ORDER_ALPHA };
enum session_scheduler { SESSION_SCHEDULER_POOL, SESSION_SCHEDULER_FORK, SESSION_SCHEDULER_INLINE };
enum session_compression {
	SESSION_COMPRESSION_NONE,
	SESSION_COMPRESSION_GZ,
	SESSION_COMPRESSION_XZ,
	SESSION_COMPRESSION_BZ2
};
enum session_output { SESSION_OUTPUT_TEXT, SESSION_OUTPUT_DOT, SESSION_OUTPUT_JSON };
enum session_remote_type { SESSION_REMOTE_ALL, SESSION_REMOTE_INDEX, SESSION_REMOTE_STORAGE };

/* A remote given on the command line: URL or "url=U,push=True,...", as the peer's _remotespec.py reads it. */
struct session_remote {
	const char *url; /* never empty */
	const char *instance_name;
	enum session_remote_type type;
	bool push; /* true unless said otherwise or the option is for pulling only */
	/* Absolute paths, or NULL: */
	const char *server_cert, *client_key, *client_cert, *access_token;
};
struct session_remotes {
	struct session_remote *items;
	size_t count;
	bool ignore_project; /* --ignore-project-{artifact,source}-remotes */
};

struct session_pair { /* -o NAME VALUE, --mount HOSTPATH PATH */
	const char *first, *second;
};
struct session_pairs {
	struct session_pair *items;
	size_t count;
};
struct session_strings {
	const char **items;
	size_t count;
};

/* The options before the command. */
struct session_globals {
	const char *config;    /* -c: an existing readable file; NULL: search */
	const char *directory; /* -C: as written; NULL: the current directory */
	int on_error;          /* enum session_on_error or SESSION_UNSET */
	int fetchers, builders, pushers, max_jobs, network_retries; /* any int, or SESSION_UNSET */
	int error_lines, message_lines;                             /* likewise; also taken by the frontend itself */
	int verbose, debug, strict;                                 /* 0, 1 or SESSION_UNSET */
	int pull_buildtrees;                                        /* 1 or SESSION_UNSET */
	int cache_buildtrees; /* enum session_buildtrees or SESSION_UNSET */
	struct session_pairs options; /* -o, in order; a later one wins */
	const char *default_mirror;
	bool interactive; /* both output streams are terminals and --no-interactive is absent */
	bool colors;      /* decided: terminal or --colors */
	/* Ours: */
	enum session_scheduler scheduler;
	int workers; /* >= 1 or SESSION_UNSET (builders + 4) */
	bool stats;  /* say at the end where the time went */
	const char *layers; /* how much layers may take, as a quota is written; NULL: 20G */
	int jobs;    /* budget of compilers for all builds together, 0: none, SESSION_UNSET: the processors */
};

struct session_request {
	enum session_command command;
	struct session_globals globals;

	/* ELEMENTS, ARTIFACTS or the one TARGET/ELEMENT; empty: default targets. */
	struct session_strings targets;

	int deps;                      /* enum session_deps; SESSION_UNSET only for build (then user configuration) */
	struct session_strings except; /* --except: show, source fetch|push|track|checkout */
	struct session_remotes artifact_remotes, source_remotes;
	bool retry_failed; /* build -r */

	enum session_order order; /* show */
	const char *format;       /* show --format; NULL or empty: element-format of the user configuration */

	/* shell */
	bool shell_build; /* -b, also set by -t */
	bool isolate, use_buildtree;
	struct session_pairs mounts;      /* HOSTPATH (exists) PATH */
	struct session_strings arguments; /* COMMAND...; empty: an interactive shell */

	/* artifact checkout, source checkout, workspace open, init */
	const char *location;         /* --directory; for source checkout "source-checkout" if absent; else NULL */
	const char *tar;              /* --tar: "-" is stdout; then location is unused */
	enum session_compression compression; /* given or told from the tar's name */
	bool force;
	bool integrate; /* artifact checkout: true unless --no-integrate */
	bool hardlinks;
	bool include_build_scripts;

	bool cross_junctions; /* source track -J */
	bool no_checkout;     /* workspace open */
	bool remove_dir;      /* workspace close */
	bool all;             /* workspace close|reset -a */
	bool soft;            /* workspace reset */
	const char *out;      /* artifact log --out; NULL: stdout */
	bool long_listing;    /* artifact list-contents -l */

	int output;                   /* graph, rdeps, path: enum session_output */
	bool direct;                  /* rdeps: direct dependants alone */
	struct session_pairs against; /* why: project options to compare with; none: the newest cached artifact */

	bool dry_run; /* cache gc */

	/* init (cli alone) */
	const char *project_name, *min_version, *element_path;
};

#endif

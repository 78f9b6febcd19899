/* The table of commands and options: BuildStream 2.8.1's, and ours.
 *
 * Names, metavariables, choices and defaults are the peer's (_frontend/cli.py); the sentences are our own.  Everything
 * that knows about options is made from here: the parser, --help, completion, the man page, the completion scripts.
 */
#include <string.h>

#include "cli/cli_internal.h"

#define REQUEST(member) offsetof(struct cli_values, request.member)
#define GLOBAL(member) offsetof(struct cli_values, request.globals.member)

static const struct cli_choice on_error_choices[] = {
	{ "continue", SESSION_ON_ERROR_CONTINUE },
	{ "quit", SESSION_ON_ERROR_QUIT },
	{ "terminate", SESSION_ON_ERROR_TERMINATE },
	{ 0 },
};
static const struct cli_choice buildtrees_choices[] = {
	{ "always", SESSION_BUILDTREES_ALWAYS },
	{ "auto", SESSION_BUILDTREES_AUTO },
	{ "never", SESSION_BUILDTREES_NEVER },
	{ 0 },
};
static const struct cli_choice scheduler_choices[] = {
	{ "pool", SESSION_SCHEDULER_POOL },
	{ "fork", SESSION_SCHEDULER_FORK },
	{ "inline", SESSION_SCHEDULER_INLINE },
	{ 0 },
};
static const struct cli_choice deps_choices[] = {
	{ "none", SESSION_DEPS_NONE },
	{ "build", SESSION_DEPS_BUILD },
	{ "run", SESSION_DEPS_RUN },
	{ "all", SESSION_DEPS_ALL },
	{ 0 },
};
static const struct cli_choice order_choices[] = {
	{ "stage", SESSION_ORDER_STAGE },
	{ "alpha", SESSION_ORDER_ALPHA },
	{ 0 },
};
static const struct cli_choice compression_choices[] = {
	{ "gz", SESSION_COMPRESSION_GZ },
	{ "xz", SESSION_COMPRESSION_XZ },
	{ "bz2", SESSION_COMPRESSION_BZ2 },
	{ 0 },
};

static const struct cli_choice output_choices[] = {
	{ "text", SESSION_OUTPUT_TEXT },
	{ "dot", SESSION_OUTPUT_DOT },
	{ "json", SESSION_OUTPUT_JSON },
	{ 0 },
};

const struct cli_option cli_help_option = {
	.name = "--help", .short_name = "-h", .kind = CLI_SHOW_HELP, .help = "Show this message and exit."
};

static const struct cli_option main_options[] = {
	{ .name = "--version", .kind = CLI_SHOW_VERSION, .help = "Print the version and exit" },
	{ .name = "--config", .short_name = "-c", .kind = CLI_FILE, .dest = GLOBAL(config),
	  .help = "User configuration file to read" },
	{ .name = "--directory", .short_name = "-C", .kind = CLI_DIRECTORY, .dest = GLOBAL(directory),
	  .help = "Directory of the project (default: the current one)" },
	{ .name = "--on-error", .kind = CLI_CHOICE, .choices = on_error_choices, .dest = GLOBAL(on_error),
	  .help = "What to do when a job fails" },
	{ .name = "--fetchers", .kind = CLI_INT, .minimum = INT_MIN + 1, .dest = GLOBAL(fetchers),
	  .help = "How many downloads may run at once" },
	{ .name = "--builders", .kind = CLI_INT, .minimum = INT_MIN + 1, .dest = GLOBAL(builders),
	  .help = "How many builds may run at once" },
	{ .name = "--pushers", .kind = CLI_INT, .minimum = INT_MIN + 1, .dest = GLOBAL(pushers),
	  .help = "How many uploads may run at once" },
	{ .name = "--max-jobs", .kind = CLI_INT, .minimum = INT_MIN + 1, .dest = GLOBAL(max_jobs),
	  .help = "How many processes one build may use (%{max-jobs})" },
	{ .name = "--network-retries", .kind = CLI_INT, .minimum = INT_MIN + 1, .dest = GLOBAL(network_retries),
	  .help = "How often a failed network job is tried again" },
	{ .name = "--no-interactive", .kind = CLI_FLAG, .dest = offsetof(struct cli_values, no_interactive),
	  .help = "Never ask; without this, questions are asked on a terminal" },
	{ .name = "--verbose", .negative = "--no-verbose", .kind = CLI_TOGGLE, .dest = GLOBAL(verbose),
	  .help = "Print status messages too" },
	{ .name = "--debug", .negative = "--no-debug", .kind = CLI_TOGGLE, .dest = GLOBAL(debug),
	  .help = "Print what helps to find faults" },
	{ .name = "--error-lines", .kind = CLI_INT, .minimum = INT_MIN + 1, .dest = GLOBAL(error_lines),
	  .help = "How many lines of a failed job's log to print" },
	{ .name = "--message-lines", .kind = CLI_INT, .minimum = INT_MIN + 1, .dest = GLOBAL(message_lines),
	  .help = "How many lines of a detailed message to print" },
	{ .name = "--log-file", .kind = CLI_OUTPUT_FILE, .metavar = "FILENAME",
	  .dest = offsetof(struct cli_values, log_file), .help = "Write the main log to this file as well" },
	{ .name = "--colors", .negative = "--no-colors", .kind = CLI_TOGGLE, .dest = offsetof(struct cli_values, colors),
	  .help = "Colour the output, or never; without this, it is coloured on a terminal" },
	{ .name = "--strict", .negative = "--no-strict", .kind = CLI_TOGGLE, .dest = GLOBAL(strict),
	  .help = "Whether a changed dependency makes an element be rebuilt" },
	{ .name = "--option", .short_name = "-o", .kind = CLI_PAIR, .metavar = "OPTION VALUE", .dest = GLOBAL(options),
	  .help = "Set a project option" },
	{ .name = "--default-mirror", .kind = CLI_TEXT, .dest = GLOBAL(default_mirror),
	  .help = "The mirror to try before all others" },
	{ .name = "--pull-buildtrees", .kind = CLI_FLAG_INT, .dest = GLOBAL(pull_buildtrees),
	  .help = "Pull artifacts together with their build trees" },
	{ .name = "--cache-buildtrees", .kind = CLI_CHOICE, .choices = buildtrees_choices,
	  .dest = GLOBAL(cache_buildtrees), .help = "When to keep build trees in artifacts" },
	{ .name = "--scheduler", .kind = CLI_CHOICE, .choices = scheduler_choices, .dest = GLOBAL(scheduler), .ours = true,
	  .shown_default = "pool",
	  .help = "Run jobs in a pool of long-lived workers, in a process forked for each, or in this process" },
	{ .name = "--workers", .kind = CLI_INT, .minimum = 1, .dest = GLOBAL(workers), .ours = true,
	  .help = "How many worker processes to keep (default: builders + 4)" },
	{ .name = "--jobs", .kind = CLI_INT, .minimum = 0, .dest = GLOBAL(jobs), .ours = true,
	  .help = "How many processes all builds together may use: one budget from which their makes draw (default: the "
		  "processors; 0: each for itself)" },
	{ .name = "--layers", .kind = CLI_TEXT, .metavar = "SIZE", .dest = GLOBAL(layers), .ours = true, .shown_default = "20G",
	  .help = "How much of the disk (12G, 5%) the trees written out for sandboxes may take, half of the quota at most" },
	{ .name = "--stats", .kind = CLI_FLAG, .dest = GLOBAL(stats), .ours = true,
	  .help = "Say at the end where the time went, worker by worker" },
	{ 0 },
};

#define DEPS_OPTION(what, shown)                                                                            \
	{ .name = "--deps", .short_name = "-d", .kind = CLI_CHOICE, .choices = deps_choices, .dest = REQUEST(deps), \
	  .shown_default = shown, .help = "Which dependencies to " what }
#define EXCEPT_OPTION(help_text)                                                                    \
	{ .name = "--except", .kind = CLI_ELEMENTS, .metavar = "PATH", .dest = REQUEST(except), .help = help_text }
#define ARTIFACT_REMOTE(remote_kind, help_text)                                                        \
	{ .name = "--artifact-remote", .kind = remote_kind, .dest = REQUEST(artifact_remotes), .help = help_text }, \
	{ .name = "--ignore-project-artifact-remotes", .kind = CLI_FLAG,                                       \
	  .dest = REQUEST(artifact_remotes.ignore_project),                                                    \
	  .help = "Leave out the artifact servers that projects recommend" }
#define SOURCE_REMOTE(remote_kind, help_text)                                                          \
	{ .name = "--source-remote", .kind = remote_kind, .dest = REQUEST(source_remotes), .help = help_text }, \
	{ .name = "--ignore-project-source-remotes", .kind = CLI_FLAG,                                         \
	  .dest = REQUEST(source_remotes.ignore_project),                                                      \
	  .help = "Leave out the source servers that projects recommend" }
#define FORCE_OPTION(help_text)                                                                    \
	{ .name = "--force", .short_name = "-f", .kind = CLI_FLAG, .dest = REQUEST(force), .help = help_text }
#define COMPRESSION_OPTION                                                                            \
	{ .name = "--compression", .kind = CLI_CHOICE, .choices = compression_choices, .dest = REQUEST(compression), \
	  .help = "How to compress the archive" }

static const struct cli_option no_options[] = { { 0 } };

static const struct cli_option init_options[] = {
	{ .name = "--project-name", .kind = CLI_TEXT, .dest = REQUEST(project_name), .help = "Name of the project" },
	{ .name = "--min-version", .kind = CLI_TEXT, .dest = REQUEST(min_version), .shown_default = "2.8",
	  .help = "The oldest BuildStream format the project needs" },
	{ .name = "--element-path", .kind = CLI_PATH, .dest = REQUEST(element_path), .shown_default = "elements",
	  .help = "Subdirectory for the elements" },
	FORCE_OPTION("Replace a project.conf that is there already"),
	{ 0 },
};

static const struct cli_option build_options[] = {
	DEPS_OPTION("build", NULL),
	ARTIFACT_REMOTE(CLI_REMOTE, "A server to pull artifacts from and push them to"),
	SOURCE_REMOTE(CLI_REMOTE, "A server to pull cached sources from and push them to"),
	{ .name = "--retry-failed", .short_name = "-r", .kind = CLI_FLAG, .dest = REQUEST(retry_failed),
	  .help = "Build elements again whose failed build is cached" },
	{ 0 },
};

static const struct cli_option show_options[] = {
	EXCEPT_OPTION("Leave out this element and what only it needs"),
	DEPS_OPTION("show", "all"),
	{ .name = "--order", .kind = CLI_CHOICE, .choices = order_choices, .dest = REQUEST(order),
	  .shown_default = "stage", .help = "Order of staging, or of the alphabet" },
	{ .name = "--format", .short_name = "-f", .kind = CLI_TEXT, .metavar = "FORMAT", .dest = REQUEST(format),
	  .help = "What to print for each element" },
	{ 0 },
};

static const struct cli_option shell_options[] = {
	{ .name = "--build", .short_name = "-b", .kind = CLI_FLAG, .dest = REQUEST(shell_build),
	  .help = "Stage what is needed to build the element" },
	{ .name = "--mount", .kind = CLI_MOUNT, .metavar = "HOSTPATH PATH", .dest = REQUEST(mounts),
	  .help = "Show a file or directory of the host in the sandbox" },
	{ .name = "--isolate", .kind = CLI_FLAG, .dest = REQUEST(isolate),
	  .help = "Isolate the sandbox as for a build" },
	{ .name = "--use-buildtree", .short_name = "-t", .kind = CLI_FLAG, .dest = REQUEST(use_buildtree),
	  .help = "Stage the artifact's build tree; it must be cached, or be pulled with --pull-buildtrees" },
	ARTIFACT_REMOTE(CLI_REMOTE, "A server to pull artifacts from and push them to"),
	SOURCE_REMOTE(CLI_REMOTE, "A server to pull cached sources from and push them to"),
	{ 0 },
};

static const struct cli_option fetch_options[] = {
	EXCEPT_OPTION("Do not fetch this element and what only it needs"),
	DEPS_OPTION("fetch", "none"),
	SOURCE_REMOTE(CLI_REMOTE_PULL, "A server to pull cached sources from"),
	{ 0 },
};
static const struct cli_option source_push_options[] = {
	EXCEPT_OPTION("Do not push this element and what only it needs"),
	DEPS_OPTION("push", "none"),
	SOURCE_REMOTE(CLI_REMOTE_PUSH, "A server to push sources to"),
	{ 0 },
};
static const struct cli_option track_options[] = {
	EXCEPT_OPTION("Do not track this element and what only it needs"),
	DEPS_OPTION("track", "none"),
	{ .name = "--cross-junctions", .short_name = "-J", .kind = CLI_FLAG, .dest = REQUEST(cross_junctions),
	  .help = "Track elements of other projects too" },
	{ 0 },
};
static const struct cli_option source_checkout_options[] = {
	FORCE_OPTION("Allow files to be overwritten"),
	EXCEPT_OPTION("Leave out this element and what only it needs"),
	DEPS_OPTION("check out", "none"),
	{ .name = "--tar", .kind = CLI_PATH, .metavar = "LOCATION", .dest = REQUEST(tar),
	  .help = "Write an archive of the sources instead of a directory" },
	COMPRESSION_OPTION,
	{ .name = "--include-build-scripts", .kind = CLI_FLAG, .dest = REQUEST(include_build_scripts),
	  .help = "Add scripts that run the elements' build commands" },
	{ .name = "--directory", .kind = CLI_DIRECTORY, .dest = REQUEST(location),
	  .help = "Where to put the sources (default: source-checkout)" },
	SOURCE_REMOTE(CLI_REMOTE_PULL, "A server to pull cached sources from"),
	{ 0 },
};

static const struct cli_option workspace_open_options[] = {
	{ .name = "--no-checkout", .kind = CLI_FLAG, .dest = REQUEST(no_checkout),
	  .help = "Use the directory as it is instead of putting the sources there" },
	FORCE_OPTION("Go on if the directory is not empty or the element has a workspace already"),
	{ .name = "--directory", .kind = CLI_DIRECTORY, .dest = REQUEST(location),
	  .help = "The workspace's directory; only with a single element" },
	SOURCE_REMOTE(CLI_REMOTE_PULL, "A server to pull cached sources from"),
	{ 0 },
};
static const struct cli_option workspace_close_options[] = {
	{ .name = "--remove-dir", .kind = CLI_FLAG, .dest = REQUEST(remove_dir),
	  .help = "Remove the workspace's directory as well" },
	{ .name = "--all", .short_name = "-a", .kind = CLI_FLAG, .dest = REQUEST(all),
	  .help = "Close every open workspace" },
	{ 0 },
};
static const struct cli_option workspace_reset_options[] = {
	{ .name = "--soft", .kind = CLI_FLAG, .dest = REQUEST(soft),
	  .help = "Keep the files; only let the next build configure again" },
	{ .name = "--all", .short_name = "-a", .kind = CLI_FLAG, .dest = REQUEST(all),
	  .help = "Reset every open workspace; not together with ELEMENTS" },
	{ 0 },
};

static const struct cli_option artifact_show_options[] = {
	DEPS_OPTION("show", "none"),
	ARTIFACT_REMOTE(CLI_REMOTE_PULL, "A server to look for artifacts"),
	{ 0 },
};
static const struct cli_option artifact_checkout_options[] = {
	FORCE_OPTION("Allow files to be overwritten"),
	DEPS_OPTION("check out", "run"),
	{ .name = "--integrate", .negative = "--no-integrate", .kind = CLI_TOGGLE, .dest = REQUEST(integrate),
	  .help = "Whether to run the integration commands" },
	{ .name = "--hardlinks", .kind = CLI_FLAG, .dest = REQUEST(hardlinks),
	  .help = "Make hard links to the cache instead of copies where possible" },
	{ .name = "--tar", .kind = CLI_PATH, .metavar = "LOCATION", .dest = REQUEST(tar),
	  .help = "Write an archive instead of a directory; '-' is the standard output" },
	COMPRESSION_OPTION,
	{ .name = "--directory", .kind = CLI_DIRECTORY, .dest = REQUEST(location),
	  .help = "Where to put the artifact (default: the target's name)" },
	ARTIFACT_REMOTE(CLI_REMOTE_PULL, "A server to pull artifacts from"),
	{ 0 },
};
static const struct cli_option artifact_pull_options[] = {
	DEPS_OPTION("pull", "none"),
	ARTIFACT_REMOTE(CLI_REMOTE_PULL, "A server to pull artifacts from"),
	{ 0 },
};
static const struct cli_option artifact_push_options[] = {
	DEPS_OPTION("push", "none"),
	ARTIFACT_REMOTE(CLI_REMOTE_PUSH, "A server to push artifacts to"),
	{ 0 },
};
static const struct cli_option artifact_log_options[] = {
	{ .name = "--out", .kind = CLI_PATH, .dest = REQUEST(out),
	  .help = "Copy the logs into this new directory instead of printing them" },
	{ 0 },
};
static const struct cli_option artifact_list_options[] = {
	{ .name = "--long", .short_name = "-l", .kind = CLI_FLAG, .dest = REQUEST(long_listing),
	  .help = "Print modes, kinds and sizes too" },
	{ 0 },
};
static const struct cli_option artifact_delete_options[] = { DEPS_OPTION("delete", "none"), { 0 } };

static const struct cli_argument elements_argument[] = {
	{ .name = "ELEMENTS", .kind = CLI_ELEMENT, .many = true, .dest = REQUEST(targets) }, { 0 }
};
static const struct cli_argument required_elements[] = {
	{ .name = "ELEMENTS", .kind = CLI_ELEMENT, .many = true, .required = true, .dest = REQUEST(targets) }, { 0 }
};
static const struct cli_argument element_argument[] = {
	{ .name = "ELEMENT", .kind = CLI_ELEMENT, .dest = REQUEST(targets) }, { 0 }
};
static const struct cli_argument required_element[] = {
	{ .name = "ELEMENT", .kind = CLI_ELEMENT, .required = true, .dest = REQUEST(targets) }, { 0 }
};
static const struct cli_argument artifact_target[] = {
	{ .name = "TARGET", .kind = CLI_ARTIFACTS, .dest = REQUEST(targets) }, { 0 }
};
static const struct cli_argument artifacts_argument[] = {
	{ .name = "ARTIFACTS", .kind = CLI_ARTIFACTS, .many = true, .dest = REQUEST(targets) }, { 0 }
};
static const struct cli_argument shell_arguments[] = {
	/* The peer completes artifacts here, as for every argument it calls "target". */
	{ .name = "TARGET", .kind = CLI_ARTIFACTS, .dest = REQUEST(targets) },
	{ .name = "COMMAND", .kind = CLI_WORDS, .many = true, .dest = REQUEST(arguments) },
	{ 0 },
};
static const struct cli_argument init_arguments[] = {
	{ .name = "TARGET_DIRECTORY", .kind = CLI_WRITABLE_DIRECTORY, .dest = REQUEST(targets) }, { 0 }
};
static const struct cli_argument help_arguments[] = {
	{ .name = "COMMAND", .kind = CLI_COMMAND_NAMES, .many = true, .dest = REQUEST(arguments) }, { 0 }
};

#define NO_TARGETS(doing)                                                                                       \
	"Without ELEMENTS, this " doing " the project's default targets, or all its elements if it names none; in " \
	"a workspace's directory, the workspace's element."
#define DEPS_TABLE(doing)                                                              \
	"`--deps` says which dependencies to " doing ":\n\n"                           \
	"\b\n"                                                                         \
	"    none:  the element alone\n"                                               \
	"    run:   the element and what it needs at run time\n"                       \
	"    build: what it needs to be built, without the element itself\n"           \
	"    all:   everything it depends on, and the element"

static const char show_description[] =
	"Show elements in the pipeline\n\n" NO_TARGETS("shows") "\n\n"
	"By default the elements are shown together with all they depend on. " DEPS_TABLE("show") "\n\n"
	"**FORMAT**\n\n"
	"`--format` says what to print for each element; it may contain these symbols:\n\n"
	"\b\n"
	"    %{name}                full name\n"
	"    %{kind}                kind\n"
	"    %{description}         description, on one line\n"
	"    %{key}                 cache key, abbreviated\n"
	"    %{full-key}            cache key\n"
	"    %{state}               cached, failed, buildable, waiting, fetch needed,\n"
	"                           no reference or junction\n"
	"    %{config}              configuration\n"
	"    %{vars}                variables\n"
	"    %{env}                 environment\n"
	"    %{public}              public data\n"
	"    %{workspaced}          whether a workspace is open\n"
	"    %{workspace-dirs}      the workspace's directory\n"
	"    %{deps}                direct dependencies\n"
	"    %{build-deps}          direct build dependencies\n"
	"    %{runtime-deps}        direct runtime dependencies\n"
	"    %{source-info}         where the sources come from\n"
	"    %{artifact-cas-digest} digest of the built artifact\n\n"
	"What stands between the braces is a Python format, so widths and alignment work:\n\n"
	"\b\n"
	"    --format 'Name: %{name: ^20} Key: %{key: ^8} State: %{state}'\n\n"
	"In bash, a newline is written with the '$' quotes:\n\n"
	"\b\n"
	"    --format $'---------- %{name} ----------\\n%{vars}'";

static const struct cli_command source_commands[] = {
	{ .name = "checkout", .id = SESSION_SOURCE_CHECKOUT, .summary = "Checkout sources of an element",
	  .description = "Check out the sources of an element into a directory or an archive\n\n"
			 "In a workspace's directory, the default is the workspace's element.",
	  .options = source_checkout_options, .arguments = element_argument, .deps = SESSION_DEPS_NONE,
	  .built = true },
	{ .name = "fetch", .id = SESSION_SOURCE_FETCH, .summary = "Fetch sources in a pipeline",
	  .description = "Fetch the sources that a build needs\n\n" NO_TARGETS("fetches for") "\n\n" DEPS_TABLE("fetch"),
	  .options = fetch_options, .arguments = elements_argument, .deps = SESSION_DEPS_NONE, .built = true },
	{ .name = "push", .id = SESSION_SOURCE_PUSH, .summary = "Push sources in a pipeline",
	  .description = "Push sources to a source server\n\n" NO_TARGETS("pushes for") "\n\n" DEPS_TABLE("push"),
	  .options = source_push_options, .arguments = elements_argument, .deps = SESSION_DEPS_NONE },
	{ .name = "track", .id = SESSION_SOURCE_TRACK, .summary = "Track new source references",
	  .description = "Look for new versions of sources and write their references into the project\n\n"
			 NO_TARGETS("tracks") "\n\n" DEPS_TABLE("track"),
	  .options = track_options, .arguments = elements_argument, .deps = SESSION_DEPS_NONE },
	{ 0 },
};

static const struct cli_command workspace_commands[] = {
	{ .name = "close", .id = SESSION_WORKSPACE_CLOSE, .summary = "Close workspaces",
	  .description = "Close workspaces", .options = workspace_close_options, .arguments = elements_argument, .built = true },
	{ .name = "list", .id = SESSION_WORKSPACE_LIST, .summary = "List open workspaces",
	  .description = "List the open workspaces", .options = no_options, .built = true },
	{ .name = "open", .id = SESSION_WORKSPACE_OPEN, .summary = "Open a new workspace",
	  .description = "Open a workspace, to change the sources of an element by hand",
	  .options = workspace_open_options, .arguments = required_elements, .built = true },
	{ .name = "reset", .id = SESSION_WORKSPACE_RESET, .summary = "Reset a workspace to its original state",
	  .description = "Reset workspaces to their original state\n\n"
			 "Name the ELEMENTS, or give `--all` to reset every workspace; not both.",
	  .options = workspace_reset_options, .arguments = elements_argument, .built = true },
	{ 0 },
};

static const struct cli_command artifact_commands[] = {
	{ .name = "checkout", .id = SESSION_ARTIFACT_CHECKOUT, .summary = "Checkout contents of an artifact",
	  .description = "Check out the files of an artifact into a directory or an archive\n\n"
			 "In a workspace's directory, the default is the workspace's element.",
	  .options = artifact_checkout_options, .arguments = artifact_target, .deps = SESSION_DEPS_RUN, .built = true },
	{ .name = "delete", .id = SESSION_ARTIFACT_DELETE, .summary = "Remove artifacts from the local cache",
	  .description = "Remove artifacts from the local cache", .options = artifact_delete_options,
	  .arguments = artifacts_argument, .deps = SESSION_DEPS_NONE, .built = true },
	{ .name = "list-contents", .id = SESSION_ARTIFACT_LIST_CONTENTS, .summary = "List the contents of an artifact",
	  .description = "List the files of artifacts\n\n"
			 "ARTIFACTS are names of elements, which end in '.bst', or of artifacts, `<project>/<element>/<key>`.",
	  .options = artifact_list_options, .arguments = artifacts_argument, .built = true },
	{ .name = "log", .id = SESSION_ARTIFACT_LOG, .summary = "Show logs of artifacts",
	  .description = "Show the build logs of artifacts", .options = artifact_log_options,
	  .arguments = artifacts_argument, .built = true },
	{ .name = "pull", .id = SESSION_ARTIFACT_PULL, .summary = "Pull a built artifact",
	  .description = "Pull built artifacts from artifact servers\n\n" NO_TARGETS("pulls") "\n\n"
			 "With `--artifact-remote` only that server is asked.\n\n" DEPS_TABLE("pull"),
	  .options = artifact_pull_options, .arguments = artifacts_argument, .deps = SESSION_DEPS_NONE },
	{ .name = "push", .id = SESSION_ARTIFACT_PUSH, .summary = "Push a built artifact",
	  .description = "Push built artifacts to artifact servers, after pulling what is missing\n\n"
			 NO_TARGETS("pushes") "\n\n" DEPS_TABLE("push"),
	  .options = artifact_push_options, .arguments = artifacts_argument, .deps = SESSION_DEPS_NONE },
	{ .name = "show", .id = SESSION_ARTIFACT_SHOW, .summary = "Show the cached state of artifacts",
	  .description = "Show whether artifacts are cached, here or on a server", .options = artifact_show_options,
	  .arguments = artifacts_argument, .deps = SESSION_DEPS_NONE, .built = true },
	{ 0 },
};

static const char artifact_description[] =
	"Manipulate cached artifacts\n\n"
	"Where a command takes ARTIFACTS, these may be\n\n"
	"\b\n"
	"- names of elements: the artifact for the element's present key\n"
	"- names of artifacts: <project name>/<element name>/<cache key>\n\n"
	"In both, `?` stands for one character, `*` for any number of them except `/`, and `**` for any number of any "
	"characters. A pattern that ends in `.bst` is looked for among the project's elements, every other one among the "
	"artifacts in the local cache:\n\n"
	"\b\n"
	"- `myproject/he*/827637*`\n"
	"- `core/*.bst` (the elements in the directory core)\n"
	"- `**.bst` (all elements)\n"
	"- `myproject/**` (all artifacts of myproject)";

static const struct cli_option du_options[] = {
	{ .name = "--long", .short_name = "-l", .kind = CLI_FLAG, .dest = REQUEST(long_listing),
	  .help = "A line for each artifact, not for each element" },
	{ 0 }
};
static const struct cli_option gc_options[] = {
	{ .name = "--dry-run", .short_name = "-n", .kind = CLI_FLAG, .dest = REQUEST(dry_run),
	  .help = "Only say what would be removed" },
	{ 0 }
};

static const struct cli_command cache_commands[] = {
	{ .name = "du", .id = SESSION_CACHE_DU, .ours = true, .summary = "Show what the cache is filled with",
	  .description = "Show what the cache is filled with, element by element, the one used last first\n\n"
			 "SIZE is what its artifacts name in all, OWN what would be free without them: what nothing else names. "
			 "What `cache gc` would remove now is marked.",
	  .options = du_options, .built = true },
	{ .name = "fsck", .id = SESSION_CACHE_FSCK, .ours = true, .summary = "Verify the cache",
	  .description = "Read every object of the cache and drop those that are not what their name says; then drop the "
			 "artifacts and sources of which something is missing, so that they are made again\n\n"
			 "Exits with 1 if something was dropped.",
	  .options = no_options, .built = true },
	{ .name = "gc", .id = SESSION_CACHE_GC, .ours = true, .summary = "Make room in the cache",
	  .description = "Remove layers, then the artifacts and sources that were not used for longest, until the cache is "
			 "at its low watermark; and every object that nothing names any more\n\n"
			 "Nothing goes that a running session uses, be it one of bst. Builds do the same by themselves when the "
			 "quota of the user configuration is used up.",
	  .options = gc_options, .built = true },
	{ 0 },
};

static const struct cli_argument path_arguments[] = {
	{ .name = "ELEMENTS", .kind = CLI_ELEMENT, .many = true, .required = true, .dest = REQUEST(targets) }, { 0 }
};

#define OUTPUT_OPTION                                                                                              \
	{ .name = "--format", .short_name = "-f", .kind = CLI_CHOICE, .choices = output_choices, .dest = REQUEST(output), \
	  .shown_default = "text", .help = "Lines for a person, a graph for Graphviz, or JSON" }
static const struct cli_option graph_options[] = {
	EXCEPT_OPTION("Leave out an element and what only it needs"), DEPS_OPTION("print", "all"), OUTPUT_OPTION, { 0 }
};
static const struct cli_option inspect_options[] = {
	EXCEPT_OPTION("Leave out an element and what only it needs"), DEPS_OPTION("describe", "all"), { 0 }
};
static const struct cli_option path_options[] = { OUTPUT_OPTION, { 0 } };
static const struct cli_option rdeps_options[] = {
	{ .name = "--direct", .kind = CLI_FLAG, .dest = REQUEST(direct), .help = "Only what names the element itself" },
	OUTPUT_OPTION, { 0 }
};
static const struct cli_option why_options[] = {
	{ .name = "--against", .kind = CLI_PAIR, .metavar = "OPTION VALUE", .dest = REQUEST(against),
	  .help = "Compare with the key that the element has when this project option is set" },
	{ 0 }
};

static const struct cli_command main_commands[] = {
	{ .name = "artifact", .summary = "Manipulate cached artifacts.", .description = artifact_description,
	  .options = no_options, .commands = artifact_commands, .built = true },
	{ .name = "build", .id = SESSION_BUILD, .summary = "Build elements in a pipeline",
	  .description = "Build elements in a pipeline\n\n" NO_TARGETS("builds") "\n\n" DEPS_TABLE("build") "\n\n"
			 "What these need to be built is built as well.",
	  .options = build_options, .arguments = elements_argument, .deps = SESSION_UNSET, .built = true },
	{ .name = "cache", .ours = true, .summary = "Look after the local cache",
	  .description = "Look after the local cache", .options = no_options, .commands = cache_commands, .built = true },
	{ .name = "graph", .id = SESSION_GRAPH, .ours = true, .summary = "Print the graph of dependencies",
	  .description = "Print the graph of dependencies, for a person, for Graphviz or as JSON\n\n" NO_TARGETS("prints")
			 "\n\n" DEPS_TABLE("print"),
	  .options = graph_options, .arguments = elements_argument, .deps = SESSION_DEPS_ALL, .built = true },
	{ .name = "help", .id = SESSION_HELP, .summary = "Print usage information",
	  .description = "Print how a command is used", .options = no_options, .arguments = help_arguments,
	  .built = true, .no_help = true },
	{ .name = "init", .id = SESSION_INIT, .summary = "Initialize a new BuildStream project",
	  .description = "Initialize a new BuildStream project\n\n"
			 "Writes a project.conf into the target directory (the current one if none is given) and makes the "
			 "directory for the elements.\n\n"
			 "Unless `--project-name` is given, this asks for what it needs.",
	  .options = init_options, .arguments = init_arguments, .built = true },
	{ .name = "inspect", .id = SESSION_INSPECT, .ours = true, .summary = "Describe project and elements as JSON",
	  .description = "Describe projects, elements, dependencies, sources, variables and keys as JSON\n\n"
			 NO_TARGETS("describes") "\n\n" DEPS_TABLE("describe"),
	  .options = inspect_options, .arguments = elements_argument, .deps = SESSION_DEPS_ALL, .built = true },
	{ .name = "path", .id = SESSION_PATH, .ours = true, .summary = "Print why one element depends on another",
	  .description = "Print the shortest path of dependencies from one element to another\n\n"
			 "Name two ELEMENTS: first the one that depends, then the one it depends on.",
	  .options = path_options, .arguments = path_arguments, .built = true },
	{ .name = "rdeps", .id = SESSION_RDEPS, .ours = true, .summary = "Print what depends on an element",
	  .description = "Print what depends on elements, directly or not\n\n"
			 "Dependants are looked for among all that the project's default targets need, or all its elements "
			 "if it names none.",
	  .options = rdeps_options, .arguments = required_elements, .built = true },
	{ .name = "shell", .id = SESSION_SHELL, .summary = "Shell into an element's sandbox environment",
	  .description = "Run a command in an element's sandbox\n\n"
			 "In a workspace's directory, the default is the workspace's element.\n\n"
			 "The element's artifact and what it needs at run time are staged; they must be cached. With `--build` "
			 "it is what building the element needs. Without COMMAND an interactive shell is started.\n\n"
			 "Put '--' before a COMMAND that has options of its own:\n\n"
			 "\b\n"
			 "    shell example.bst -- df -h",
	  .options = shell_options, .arguments = shell_arguments, .built = true },
	{ .name = "show", .id = SESSION_SHOW, .summary = "Show elements in the pipeline", .description = show_description,
	  .options = show_options, .arguments = elements_argument, .deps = SESSION_DEPS_ALL, .built = true },
	{ .name = "source", .summary = "Manipulate sources for an element",
	  .description = "Manipulate the sources of elements", .options = no_options, .commands = source_commands,
	  .built = true },
	{ .name = "why", .id = SESSION_WHY, .ours = true, .summary = "Explain why an element must be built",
	  .description = "Explain what in an element's key has changed\n\n"
			 "The element is compared with its newest cached artifact, or with itself under other project "
			 "options.",
	  .options = why_options, .arguments = required_element, .built = true },
	{ .name = "workspace", .summary = "Manipulate developer workspaces",
	  .description = "Manipulate developer workspaces", .options = no_options, .commands = workspace_commands,
	  .built = true },
	{ 0 },
};

const struct cli_command cli_root = {
	.name = "millrace",
	.summary = "Build and manipulate BuildStream projects",
	.description = "Build and manipulate BuildStream projects\n\n"
		       "Most of these options override what the user configuration file says.",
	.options = main_options,
	.commands = main_commands,
	.built = true,
};

const struct cli_command *cli_find_command(const struct cli_command *group, const char *name)
{
	for (const struct cli_command *c = group->commands; c && c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static const struct kind_info {
	const char *metavar; /* "" for what takes no value */
	uint8_t values;
	bool multiple;
} kinds[] = {
	[CLI_FLAG] = { "", 0, false },
	[CLI_FLAG_INT] = { "", 0, false },
	[CLI_TOGGLE] = { "", 0, false },
	[CLI_INT] = { "INTEGER", 1, false },
	[CLI_TEXT] = { "TEXT", 1, false },
	[CLI_CHOICE] = { NULL, 1, false },
	[CLI_PAIR] = { "NAME VALUE", 2, true },
	[CLI_MOUNT] = { "HOSTPATH PATH", 2, true },
	[CLI_FILE] = { "FILE", 1, false },
	[CLI_OUTPUT_FILE] = { "FILENAME", 1, false },
	[CLI_DIRECTORY] = { "DIRECTORY", 1, false },
	[CLI_WRITABLE_DIRECTORY] = { "DIRECTORY", 1, false },
	[CLI_PATH] = { "PATH", 1, false },
	[CLI_ELEMENT] = { "PATH", 1, false },
	[CLI_ELEMENTS] = { "PATH", 1, true },
	[CLI_ARTIFACTS] = { "PATH", 1, false },
	[CLI_REMOTE] = { "REMOTE", 1, true },
	[CLI_REMOTE_PULL] = { "REMOTE", 1, true },
	[CLI_REMOTE_PUSH] = { "REMOTE", 1, true },
	[CLI_WORDS] = { "TEXT", 1, false },
	[CLI_COMMAND_NAMES] = { "TEXT", 1, false },
	[CLI_SHOW_HELP] = { "", 0, false },
	[CLI_SHOW_VERSION] = { "", 0, false },
};

int cli_value_count(const struct cli_option *option)
{
	return kinds[option->kind].values;
}

bool cli_takes_value(const struct cli_option *option)
{
	return kinds[option->kind].values > 0;
}

bool cli_is_multiple(const struct cli_option *option)
{
	return kinds[option->kind].multiple;
}

void cli_option_metavar(struct buf *out, const struct cli_option *option)
{
	if (option->kind != CLI_CHOICE) {
		buf_adds(out, option->metavar ? option->metavar : kinds[option->kind].metavar);
		return;
	}
	for (const struct cli_choice *c = option->choices; c->name; c++) {
		buf_addc(out, c == option->choices ? '[' : '|');
		buf_adds(out, c->name);
	}
	buf_addc(out, ']');
}

void cli_argument_metavar(struct buf *out, const struct cli_argument *argument)
{
	if (argument->kind == CLI_COMMAND_NAMES) { /* the peer gives this one a metavar of its own */
		buf_adds(out, argument->name);
		return;
	}
	buf_printf(out, argument->required ? "%s" : "[%s]", argument->name);
	if (argument->many)
		buf_adds(out, "...");
}

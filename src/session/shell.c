/* `shell`: a command in the sandbox of an element, on our own terminal.
 *
 * Three sorts: what the element needs to run, itself included (with integration); what building it needs, with its sources
 * staged; or its sandbox as it was when its build ended (--use-buildtree). */
#include "session/staging.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kinds/kinds.h"

enum sort { SHELL_RUN, SHELL_BUILD, SHELL_BUILDTREE };

struct shell {
	struct session_staging staging;
	enum sort sort;
	bool isolate;
	const struct session_strings *asked; /* the command, if the person gave one */
	const struct project_info *project; /* of the top level; NULL: there is none */
	struct artifact artifact;           /* with --use-buildtree */
	const char *cwd;
	const struct graph_pair *environment; /* of the sandbox */
	uint32_t environment_count;
	struct sandbox_shell terms;
};

/* --- is everything there? --- */

static int check_dependencies(struct session *session, const struct session_ids *ids)
{
	_cleanup_buf_ struct buf missing = BUF_INIT;

	for (uint32_t i = 0; i < ids->count; i++) {
		uint32_t outcome = state_get(session->state, ids->ids[i])->artifact.outcome;

		if (outcome != STATE_ARTIFACT_SUCCESS && outcome != STATE_ARTIFACT_FAILURE)
			buf_printf(&missing, "%s%s", missing.len ? "\n" : "", session->graph.elements[ids->ids[i]].full_name);
	}
	if (!missing.len)
		return 0;
	diag_set(&session->diag, "app", "shell-missing-deps",
		 "Elements need to be built or downloaded before staging a shell environment");
	diag_detail(&session->diag, "%s", buf_text(&missing));
	return -EINVAL;
}

static int check_buildtree(struct shell *shell)
{
	struct session *session = shell->staging.session;

	if (session_read_artifact(session, &session->arena, shell->staging.target, &shell->artifact) != 1)
		return diag_set(&session->diag, "app", "missing-buildtree-artifact-not-cached",
				"Artifact not cached locally or in available remotes");
	if (!shell->artifact.has_buildroot)
		return diag_set(&session->diag, "app", "missing-buildtree-artifact-created-without-buildtree",
				"Artifact was created without buildtree");
	if (!artifact_has_part(&shell->artifact, session->cas, ARTIFACT_BUILDROOT))
		return diag_set(&session->diag, "app", "missing-buildtree-artifact-buildtree-not-cached",
				"Buildtree is not cached locally or in available remotes");
	if (!shell->artifact.build_success)
		session_say(session, SESSION_MESSAGE_WARN, "using a buildtree from a failed build.", NULL);
	return 0;
}

/* --- the sandbox --- */

static int stage_buildtree(struct shell *shell)
{
	struct session *session = shell->staging.session;
	const struct artifact *artifact = &shell->artifact;
	struct sandbox_spec spec = {
		.config = &session->graph.elements[shell->staging.target].sandbox,
		.marked = artifact->marked_directories,
		.marked_count = artifact->marked_directory_count,
	};
	int r = sandbox_new(&shell->staging.sandbox, shell->staging.host, &spec, &session->diag);

	if (r == 0)
		r = cas_tree_merge(sandbox_tree(shell->staging.sandbox), "", &artifact->buildroot, NULL, &session->diag);
	if (r < 0)
		return r;
	shell->environment = artifact->environment;
	shell->environment_count = artifact->environment_count;
	if (artifact->has_sandbox && artifact->working_directory && *artifact->working_directory)
		shell->cwd = artifact->working_directory;
	if (shell->environment_count)
		return 0;
	return artifact_get_environment(session->cas, artifact, &session->arena, &shell->environment,
					&shell->environment_count, &session->diag);
}

static int stage_build(struct shell *shell)
{
	struct session *session = shell->staging.session;
	struct session_ids target = { 0 };
	struct elements_prepared prepared;
	int r;

	session_ids_add(&target, shell->staging.target);
	r = session_need_sources(session, &target, false);
	session_ids_release(&target);
	if (r == 0)
		r = session_staging_deps(&shell->staging);
	if (r < 0)
		return r;
	shell->staging.job.sources = session->graph.elements[shell->staging.target].source_count ?
					     state_get(session->state, shell->staging.target)->sources : DIGEST_EMPTY;
	r = elements_prepare(&shell->staging.job, &prepared, &session->diag);
	shell->staging.sandbox = prepared.sandbox;
	if (r < 0)
		return r;
	shell->cwd = prepared.cwd;
	shell->environment = prepared.environment;
	shell->environment_count = prepared.environment_count;
	return 0;
}

static int stage_run(struct shell *shell)
{
	int r = session_staging_deps(&shell->staging);

	if (r == 0)
		r = session_staging_artifacts(&shell->staging);
	return r < 0 ? r : session_staging_integrate(&shell->staging);
}

/* --- what the command gets --- */

static void set_variable(struct graph_pair *pairs, uint32_t *count, const char *name, const char *value)
{
	for (uint32_t i = 0; i < *count; i++)
		if (str_eq(pairs[i].name, name)) {
			pairs[i].value = value;
			return;
		}
	pairs[(*count)++] = (struct graph_pair){ name, value };
}

/* "[key@name:${PWD}]$ " */
static const char *prompt(struct shell *shell)
{
	struct session *session = shell->staging.session;
	const struct key *key = &state_get(session->state, shell->staging.target)->strong;
	int digits = (int)MIN(MAX(session->context.key_length, 0), DIGEST_HEX);
	char hex[DIGEST_HEX + 1];

	memset(hex, '?', DIGEST_HEX);
	hex[DIGEST_HEX] = '\0';
	if (key_known(key))
		digest_to_hex(hex, key->hash);
	return arena_printf(&session->arena, "[%.*s@%s:${PWD}]$ ", digits, hex,
			    session->graph.elements[shell->staging.target].full_name);
}

static void make_environment(struct shell *shell)
{
	struct session *session = shell->staging.session;
	const struct project_info *project = shell->project;
	const struct graph_element *element = &session->graph.elements[shell->staging.target];
	uint32_t extra = 1 + (project ? project->shell_environment_count : 0), count;
	const struct graph_pair *base = shell->environment_count ? shell->environment : element->environment;
	struct graph_pair *pairs;

	count = shell->environment_count ? shell->environment_count : element->environment_count;
	pairs = ARENA_ARRAY(&session->arena, struct graph_pair, count + extra);
	if (count)
		memcpy(pairs, base, count * sizeof(*pairs));
	set_variable(pairs, &count, "PS1", prompt(shell));
	for (uint32_t i = 0; shell->terms.open && project && i < project->shell_environment_count; i++)
		set_variable(pairs, &count, project->shell_environment[i].name, project->shell_environment[i].value);
	shell->environment = pairs;
	shell->environment_count = count;
}

static void add_mount(struct shell *shell, struct sandbox_mount *mounts, const char *source, const char *target, bool optional)
{
	struct session *session = shell->staging.session;
	struct stat st;

	if (stat(source, &st) == 0) {
		mounts[shell->terms.mount_count++] = (struct sandbox_mount){ source, target };
	} else if (!optional) {
		_cleanup_free_ char *text = xasprintf("Not mounting non-existing host file: %s", source);

		session_tell(session, SESSION_MESSAGE_WARN, text, NULL, shell->staging.target, -1);
	}
}

/* The project's host files, then --mount. */
static void make_mounts(struct shell *shell)
{
	struct session *session = shell->staging.session;
	const struct session_pairs *asked = &session->request->mounts;
	uint32_t from_project = shell->project ? shell->project->shell_host_file_count : 0;
	struct sandbox_mount *mounts = ARENA_ARRAY(&session->arena, struct sandbox_mount, from_project + asked->count + 1);

	shell->terms.mounts = mounts;
	for (uint32_t i = 0; i < from_project; i++) {
		const struct project_host_file *file = &shell->project->shell_host_files[i];

		add_mount(shell, mounts, file->host_path, file->path, file->optional);
	}
	for (size_t i = 0; i < asked->count; i++) {
		_cleanup_free_ char *source = realpath(asked->items[i].first, NULL);

		add_mount(shell, mounts, source ? arena_strdup(&session->arena, source) : asked->items[i].first,
			  asked->items[i].second, false);
	}
}

static void make_command(struct shell *shell, struct sandbox_command *command)
{
	static const char *const fallback[] = { "sh", "-i" };
	const struct session_strings *asked = shell->asked;

	*command = (struct sandbox_command){ .argv = fallback, .argc = ARRAY_SIZE(fallback), .cwd = shell->cwd,
					     .environment = shell->environment,
					     .environment_count = shell->environment_count };
	if (asked && asked->count) {
		command->argv = asked->items;
		command->argc = (uint32_t)asked->count;
	} else if (shell->project && shell->project->shell_command_count) {
		command->argv = shell->project->shell_command;
		command->argc = shell->project->shell_command_count;
	}
}

/* --- running it --- */

/* The shell made itself the terminal's foreground; without this our next use of the terminal would stop us. */
static void take_terminal_back(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;

	if (!isatty(STDIN_FILENO))
		return;
	sigaction(SIGTTOU, &ignore, &before);
	(void)tcsetpgrp(STDIN_FILENO, getpgrp());
	sigaction(SIGTTOU, &before, NULL);
}

/* The exit status of the command, or <0. */
static int execute(struct shell *shell, const struct sandbox_command *command)
{
	struct session *session = shell->staging.session;
	struct sandbox_batch batch = { .root_read_only = true, .first = *command, .any = true, .shell = &shell->terms };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, on_int, on_quit;
	struct sandbox_result result;
	int r;

	/* ^C is for the command alone. */
	sigaction(SIGINT, &ignore, &on_int);
	sigaction(SIGQUIT, &ignore, &on_quit);
	r = sandbox_start(shell->staging.sandbox, &batch, STDERR_FILENO, &session->diag);
	if (r == SANDBOX_SUCCESS) {
		r = sandbox_finish(shell->staging.sandbox, &result, &session->diag);
		take_terminal_back();
		r = r < 0 ? r : result.exit_code;
	} else if (r > 0) {
		r = -ENOENT;
	}
	sigaction(SIGINT, &on_int, NULL);
	sigaction(SIGQUIT, &on_quit, NULL);
	return r;
}

static int run(struct shell *shell)
{
	struct session *session = shell->staging.session;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct sandbox_command command;
	int r;

	shell->cwd = "/";
	r = shell->sort == SHELL_BUILDTREE ? stage_buildtree(shell) : shell->sort == SHELL_BUILD ? stage_build(shell) : stage_run(shell);
	if (r < 0)
		return r;
	shell->terms.open = !shell->isolate;
	make_environment(shell);
	if (shell->terms.open)
		make_mounts(shell);
	make_command(shell, &command);
	for (uint32_t i = 0; i < command.argc; i++)
		buf_printf(&text, "%s%s", i ? " " : "", command.argv[i]);
	session_tell(session, SESSION_MESSAGE_STATUS, "Running command", buf_text(&text), shell->staging.target, -1);
	session->frontend->flush(session->frontend->data);
	return execute(shell, &command);
}

static int find_target(struct shell *shell)
{
	struct session *session = shell->staging.session;
	const struct session_request *request = session->request;

	if (session->targets.count != 1)
		return diag_set(&session->diag, "app", NULL, "Missing argument \"TARGET\".");
	shell->staging.target = session->targets.ids[0];
	if (session_is_artifact(session, shell->staging.target) && !request->use_buildtree) {
		diag_set(&session->diag, "app", "only-buildtrees-supported", "Only buildtrees are supported with artifact names");
		diag_detail(&session->diag, "Use the --build and --use-buildtree options to shell into a cached build tree");
		return -EINVAL;
	}
	shell->asked = &request->arguments;
	shell->isolate = request->isolate;
	shell->sort = request->use_buildtree ? SHELL_BUILDTREE : request->shell_build ? SHELL_BUILD : SHELL_RUN;
	if (project_directory(session->loader))
		shell->project = project_info(session->loader, 0);
	return session_select(session, request->use_buildtree ? SESSION_DEPS_NONE :
			      request->shell_build ? SESSION_DEPS_BUILD : SESSION_DEPS_RUN, &shell->staging.ids);
}

int session_shell(struct session *session)
{
	struct shell shell = { .staging = { .session = session } };
	int r = session_load(session, SESSION_LOAD_ARTIFACTS | SESSION_LOAD_ONE);

	if (r == 0)
		r = find_target(&shell);
	if (r == 0)
		r = session_open_cache(session, true);
	if (r == 0)
		r = session_query(session, &shell.staging.ids, false);
	if (r == 0)
		r = session->request->use_buildtree ? check_buildtree(&shell) : check_dependencies(session, &shell.staging.ids);
	if (r == 0)
		r = session_staging_init(&shell.staging);
	if (r == 0)
		r = run(&shell);
	/* Whatever went wrong, to the peer's frontend it is an error of its own. */
	if (r < 0 && session->diag.domain)
		session->diag.domain = "app";
	session_staging_release(&shell.staging);
	return r;
}

bool session_shell_offered(const struct session *session, uint32_t element)
{
	return kinds_runs_commands(&session->graph.elements[element]) &&
	       state_get(session->state, element)->artifact.outcome == STATE_ARTIFACT_FAILURE;
}

void session_shell_failed(struct session *session, uint32_t element)
{
	struct shell shell = {
		.staging = { .session = session, .target = element },
		.sort = SHELL_BUILDTREE,
		.isolate = true,
		.project = project_info(session->loader, 0),
	};
	int r = check_buildtree(&shell);

	if (r == 0)
		r = session_staging_init(&shell.staging);
	if (r == 0)
		r = run(&shell);
	session_staging_release(&shell.staging);
	if (r < 0) {
		_cleanup_free_ char *text = xasprintf("Error while attempting to create interactive shell: %s",
						      buf_text(&session->diag.message));

		session_say(session, SESSION_MESSAGE_WARN, text, NULL);
	}
	diag_release(&session->diag);
}

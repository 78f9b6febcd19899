/* The build job: stage, run, collect (room elements), then cache what came of it as an artifact.
 *
 * A build that fails is an artifact too, so that it need not fail twice; `retry-failed` builds it again.  The record is
 * written last, after everything it names is in the store: a crash before that leaves objects nobody names, which expire.
 */
#include "jobs/jobs_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "kinds/kinds.h"
#include "yaml/yaml.h"

struct build {
	struct worker_job *job;
	const struct jobs_context *context;
	const struct graph_element *element;
	struct jobs_log log;
	struct elements_dep *deps;
	uint32_t dep_count;
	const uint32_t *dep_ids; /* BUILD scope, in order */
	struct jobs_tokens tokens;
};

void jobs_artifact_state(struct state_artifact *ret, const struct artifact *artifact)
{
	*ret = (struct state_artifact){
		.outcome = artifact->build_success ? STATE_ARTIFACT_SUCCESS : STATE_ARTIFACT_FAILURE,
		.flags = artifact->was_workspaced ? STATE_ARTIFACT_WORKSPACED : 0,
	};
	if (artifact->has_buildtree)
		ret->flags |= STATE_ARTIFACT_BUILDTREE;
	if (artifact->has_files)
		ret->files = artifact->files;
	if (artifact->has_public_data)
		ret->public_data = artifact->public_data;
	(void)digest_from_hex(ret->strong_key.hash, artifact->strong_key);
}

int jobs_public_data(struct cas *cas, const struct state_artifact *artifact, struct arena *arena,
		     const struct yaml_node **ret, struct diag *diag)
{
	struct artifact record = { .has_public_data = state_digest_known(&artifact->public_data),
				   .public_data = artifact->public_data };

	*ret = NULL;
	return record.has_public_data ? artifact_get_public(cas, &record, arena, ret, diag) : 0;
}

/* Kinds that stage none of their dependencies never look at their public data; a stack over a whole system has thousands. */
static bool stages_dependencies(const struct graph_element *element)
{
	return !str_eq(element->ops->name, "stack") && !str_eq(element->ops->name, "import");
}

static int take_dep(struct build *build, uint32_t id, struct elements_dep *dep)
{
	const struct state_element *state = state_get(build->job->state, id);
	int r;

	*dep = (struct elements_dep){ .element = id, .key = state->strong };
	if (state->artifact.outcome != STATE_ARTIFACT_SUCCESS)
		return diag_set(&build->job->diag, "element", "missing-artifact",
				"%s is needed by %s, but its artifact is not in the cache",
				build->context->graph->elements[id].full_name, build->element->full_name);
	if (key_known(&state->artifact.strong_key))
		dep->key = state->artifact.strong_key;
	dep->has_files = state_digest_known(&state->artifact.files) || digest_eq(&state->artifact.files, &DIGEST_EMPTY);
	dep->files = state->artifact.files;
	if (!stages_dependencies(build->element))
		return 0;
	r = jobs_public_data(build->context->cas, &state->artifact, build->job->arena, &dep->public_data, &build->job->diag);
	if (r < 0)
		diag_element(&build->job->diag, build->context->graph->elements[id].full_name);
	return r;
}

static int take_deps(struct build *build)
{
	struct graph_walk walk = { 0 };
	uint32_t *ids;
	int r = 0;

	graph_walk_scope(&walk, build->context->graph, build->job->element, GRAPH_SCOPE_BUILD);
	ids = arena_memdup(build->job->arena, walk.ids, walk.count * sizeof(*ids));
	build->dep_ids = ids;
	build->dep_count = walk.count;
	build->deps = ARENA_ARRAY(build->job->arena, struct elements_dep, walk.count + 1u);
	graph_walk_release(&walk);
	for (uint32_t i = 0; r == 0 && i < build->dep_count; i++)
		r = take_dep(build, ids[i], &build->deps[i]);
	return r;
}

/* --- hooks that elements_build calls --- */

static void on_message(void *data, enum elements_message type, uint32_t element, bool keyless, const char *brief,
		       const char *detail, int64_t elapsed_us)
{
	static const enum wire_kind kinds[] = {
		[ELEMENTS_START] = WIRE_START,   [ELEMENTS_SUCCESS] = WIRE_SUCCESS, [ELEMENTS_FAILURE] = WIRE_FAILURE,
		[ELEMENTS_STATUS] = WIRE_STATUS, [ELEMENTS_INFO] = WIRE_INFO,       [ELEMENTS_WARN] = WIRE_WARN,
		[ELEMENTS_LOG] = WIRE_LOG,
	};
	struct build *build = data;
	bool timed = type == ELEMENTS_SUCCESS || type == ELEMENTS_FAILURE;

	jobs_log_say(&build->log, kinds[type], element, keyless, brief, detail, timed ? elapsed_us : -1);
}

static int on_wait(void *data, int pidfd)
{
	struct build *build = data;
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	int64_t start_us = util_now_us();
	int r;

	jobs_log_release(&build->log);
	r = worker_wait(build->job, &fd, 1, -1);

	build->job->command_us += util_now_us() - start_us;
	return MIN(r, 0);
}

static int on_commands(void *data, const struct sandbox_jobserver **ret)
{
	struct build *build = data;
	int64_t start_us = util_now_us();
	int r;

	jobs_log_release(&build->log);
	r = jobs_tokens_take(&build->tokens, build->job, ret);
	build->job->budget_us += util_now_us() - start_us;
	return r;
}

static int on_check(void *data)
{
	return worker_check(((struct build *)data)->job);
}

/* --- caching --- */

static struct artifact_dep *record_deps(struct build *build)
{
	const struct graph *graph = build->context->graph;
	struct artifact_dep *deps = ARENA_ARRAY(build->job->arena, struct artifact_dep, build->dep_count + 1u);

	for (uint32_t i = 0; i < build->dep_count; i++) {
		const struct graph_element *dep = &graph->elements[build->dep_ids[i]];
		char *hex = arena_bytes(build->job->arena, DIGEST_HEX + 1);

		digest_to_hex(hex, build->deps[i].key.hash);
		deps[i] = (struct artifact_dep){ graph->projects[dep->project].name, dep->name, hex, dep->workspace != NULL };
	}
	return deps;
}

static void set_keys(struct build *build, struct artifact *artifact)
{
	const struct state_element *state = state_get(build->job->state, build->job->element);
	const struct {
		const struct key *key;
		const char **to;
	} keys[] = {
		{ &state->strong, &artifact->strong_key },
		{ &state->strict, &artifact->strict_key },
		{ &state->weak, &artifact->weak_key },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char *hex = arena_bytes(build->job->arena, DIGEST_HEX + 1);

		digest_to_hex(hex, keys[i].key->hash);
		*keys[i].to = hex;
	}
}

static void set_sandbox(struct artifact *artifact, const struct elements_result *result, struct arena *arena)
{
	artifact->has_sandbox = true;
	artifact->environment = arena_memdup(arena, result->environment,
					     result->environment_count * sizeof(*result->environment));
	artifact->environment_count = result->environment_count;
	artifact->working_directory = result->working_directory;
	artifact->subsandboxes = arena_memdup(arena, result->subsandboxes,
					      result->subsandbox_count * sizeof(*result->subsandboxes));
	artifact->subsandbox_count = result->subsandbox_count;
	artifact->marked_directories = arena_memdup(arena, result->marked, result->marked_count * sizeof(*result->marked));
	artifact->marked_directory_count = result->marked_count;
}

/* The blobs that the record names; the log as it is at this moment. */
static int put_blobs(struct build *build, const struct elements_result *result, struct artifact *artifact,
		     struct artifact_log *log)
{
	struct cas *cas = build->context->cas;
	const struct graph_element *e = build->element;
	int r = artifact_put_public(cas, result->public_data, &artifact->public_data);

	if (r == 0)
		r = artifact_put_low_meta(cas, e->environment, e->environment_count, &e->sandbox, &artifact->low_meta);
	if (r == 0)
		r = artifact_put_high_meta(cas, e->variables, e->variable_count, &artifact->high_meta);
	if (r == 0)
		r = jobs_log_put(&build->log, cas, &log->digest);
	if (r < 0)
		return diag_errno(&build->job->diag, "cas", NULL, -r, "Could not store the artifact of %s", e->full_name);
	artifact->has_public_data = artifact->has_low_meta = artifact->has_high_meta = true;
	log->name = strrchr(build->log.path, '/') + 1;
	artifact->logs = log;
	artifact->log_count = 1;
	return 0;
}

static void set_trees(struct artifact *artifact, const struct elements_result *result)
{
	artifact->has_files = result->has_files;
	artifact->files = result->files;
	artifact->has_buildtree = result->has_buildtree;
	artifact->buildtree = result->buildtree;
	artifact->has_sources = result->has_sources;
	artifact->sources = result->sources;
	artifact->has_buildroot = result->has_buildroot;
	artifact->buildroot = result->buildroot;
}

static int cache_artifact(struct build *build, const struct elements_result *result)
{
	struct worker_job *job = build->job;
	const struct graph_element *e = build->element;
	struct artifact artifact = {
		.version = ARTIFACT_VERSION,
		.build_success = result->success,
		.build_error = result->error,
		.build_error_details = result->error_detail,
		.was_workspaced = e->workspace != NULL,
		.deps = record_deps(build),
		.dep_count = build->dep_count,
	};
	struct artifact_log log;
	struct state_artifact state;
	_cleanup_buf_ struct buf proto = BUF_INIT;
	int r;

	set_keys(build, &artifact);
	set_trees(&artifact, result);
	set_sandbox(&artifact, result, job->arena);
	r = put_blobs(build, result, &artifact, &log);
	if (r < 0)
		return r;
	r = artifact_write(&artifact, build->context->cas, build->context->graph->projects[e->project].name, e->normal_name,
			   false, &job->diag);
	if (r < 0)
		return r;
	jobs_artifact_state(&state, &artifact);
	artifact_encode(&artifact, &proto);
	digest_of(&state.proto, proto.data, proto.len);
	return state_change_artifact(&job->changes, job->element, &state);
}

static int cache_with_messages(struct build *build, const struct elements_result *result)
{
	int64_t start_us = util_now_us();
	int r;

	jobs_log_say(&build->log, WIRE_START, build->job->element, false, "Caching artifact", NULL, -1);
	r = cache_artifact(build, result);
	jobs_log_say(&build->log, r < 0 ? WIRE_FAILURE : WIRE_SUCCESS, build->job->element, false, "Caching artifact", NULL,
		     util_now_us() - start_us);
	return r;
}

/* --- the job --- */

/* What failed before and is not to be tried again: its log once more, then the same failure (the peer's CachedFailure). */
static int replay_failure(struct build *build)
{
	struct worker_job *job = build->job;
	const struct state_artifact *cached = &state_get(job->state, job->element)->artifact;
	_cleanup_buf_ struct buf bytes = BUF_INIT, text = BUF_INIT;
	struct artifact artifact;

	if (cas_get(build->context->cas, &cached->proto, &bytes) < 0 ||
	    artifact_decode(&artifact, job->arena, bytes.data, bytes.len) < 0)
		return diag_set(&job->diag, "element", "cached-failure", "%s failed to build before", build->element->full_name);
	for (uint32_t i = 0; i < artifact.log_count; i++)
		if (cas_get(build->context->cas, &artifact.logs[i].digest, &text) < 0)
			break;
	jobs_log_release(&build->log);
	(void)fs_write_all(build->log.fd, buf_text(&text), text.len);
	diag_set(&job->diag, "element", "cached-failure", "%s", artifact.build_error);
	if (*artifact.build_error_details)
		diag_detail(&job->diag, "%s", artifact.build_error_details);
	return -EINVAL;
}

static int build_element(struct build *build)
{
	struct worker_job *job = build->job;
	const struct state_element *state = state_get(job->state, job->element);
	struct elements_job spec = {
		.graph = build->context->graph,
		.element = job->element,
		.cas = build->context->cas,
		.sandbox_host = build->context->sandbox,
		.arena = job->arena,
		.deps = build->deps,
		.dep_count = build->dep_count,
		.sources = build->element->source_count ? state->sources : DIGEST_EMPTY,
		.buildtrees = build->context->buildtrees,
		.log_fd = build->log.fd,
		.hooks = { build, on_message, on_wait, on_commands, on_check },
	};
	struct elements_result result = { 0 };
	int outcome, r = 0;

	if (build->element->workspace)
		r = jobs_incremental(build->context, job->element, record_deps(build), build->dep_count, &spec.sources,
				     &spec.build_directory);
	if (r < 0)
		return diag_errno(&job->diag, "element", NULL, -r, "Could not stage the changes since the last build of %s",
				  build->element->full_name);
	spec.incremental = r > 0;
	outcome = elements_build(&spec, &result, &job->diag);
	jobs_tokens_release(&build->tokens);
	if (outcome < 0)
		return outcome;
	r = cache_with_messages(build, &result);
	if (r < 0)
		return r;
	return outcome == ELEMENTS_BUILT ? 0 : -EINVAL;
}

int jobs_build(struct worker_job *job)
{
	struct build build = { .job = job, .context = job->context };
	const struct state_element *state = state_get(job->state, job->element);
	int r;

	build.element = &build.context->graph->elements[job->element];
	r = jobs_log_open(&build.log, job, "Build", !kinds_runs_commands(build.element));
	if (r < 0)
		return r;
	if (state->artifact.outcome == STATE_ARTIFACT_FAILURE && !(job->flags & JOBS_RETRY_FAILED) && job->attempt == 1)
		return jobs_log_close(&build.log, replay_failure(&build));
	r = take_deps(&build);
	if (r == 0)
		r = build_element(&build);
	if (r < 0 && r != -ECANCELED)
		diag_element(&job->diag, build.element->full_name);
	return jobs_log_close(&build.log, r);
}

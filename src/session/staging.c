/* Cached artifacts in a sandbox: see staging.h. */
#include "session/staging.h"

#include <errno.h>
#include <unistd.h>

#include "jobs/jobs.h"

static int uncached(struct session *session, uint32_t element)
{
	int r;

	/* Nothing is known of an artifact that is only a name, not even which sandbox it is for. */
	if (session_is_artifact(session, element)) {
		r = diag_set(&session->diag, "stream", "missing-sandbox-config",
			     "Error while staging dependencies into a sandbox: 'Artifact %s is not cached'",
			     session->graph.elements[element].full_name);
		diag_detail(&session->diag, "Try building or pulling the artifact first");
		return r;
	}
	r = diag_set(&session->diag, "stream", "uncached-checkout-attempt",
		     "Error while staging dependencies into a sandbox: 'No artifacts to stage'");

	diag_detail(&session->diag, "No artifacts have been cached yet for that element\n"
				    "Try building the element first with `bst build`\n");
	return r;
}

int session_staging_deps(struct session_staging *staging)
{
	struct session *session = staging->session;

	staging->deps = ARENA_ARRAY(&session->arena, struct elements_dep, staging->ids.count + 1u);
	for (uint32_t i = 0; i < staging->ids.count; i++) {
		uint32_t id = staging->ids.ids[i];
		const struct state_element *state = state_get(session->state, id);
		struct elements_dep *dep = &staging->deps[i];
		int r;

		if (state->artifact.outcome != STATE_ARTIFACT_SUCCESS && state->artifact.outcome != STATE_ARTIFACT_FAILURE)
			return uncached(session, id);
		*dep = (struct elements_dep){ .element = id, .files = state->artifact.files, .key = state->artifact.strong_key };
		dep->has_files = state_digest_known(&dep->files);
		r = jobs_public_data(session->cas, &state->artifact, &session->arena, &dep->public_data, &session->diag);
		if (r < 0)
			return r;
	}
	staging->job.deps = staging->deps;
	staging->job.dep_count = staging->ids.count;
	return 0;
}

static void on_message(void *data, enum elements_message type, uint32_t element, bool keyless, const char *brief,
		       const char *detail, int64_t elapsed_us)
{
	static const enum session_message_type types[] = {
		[ELEMENTS_START] = SESSION_MESSAGE_START, [ELEMENTS_SUCCESS] = SESSION_MESSAGE_SUCCESS,
		[ELEMENTS_FAILURE] = SESSION_MESSAGE_FAIL, [ELEMENTS_STATUS] = SESSION_MESSAGE_STATUS,
		[ELEMENTS_INFO] = SESSION_MESSAGE_INFO, [ELEMENTS_WARN] = SESSION_MESSAGE_WARN,
		[ELEMENTS_LOG] = SESSION_MESSAGE_LOG,
	};
	struct session_staging *staging = data;

	(void)keyless;
	session_tell(staging->session, types[type], brief, detail, element, elapsed_us);
}

int session_staging_init(struct session_staging *staging)
{
	struct session *session = staging->session;
	struct sandbox_host_options options = session_host_options(session);
	int r = sandbox_host_new(&staging->host, &options, &session->diag);

	staging->job = (struct elements_job){
		.graph = &session->graph,
		.element = staging->target,
		.cas = session->cas,
		.sandbox_host = staging->host,
		.arena = &session->arena,
		.log_fd = STDERR_FILENO,
		.hooks = { staging, on_message, NULL, NULL },
	};
	return r;
}

int session_staging_artifacts(struct session_staging *staging)
{
	struct session *session = staging->session;
	struct sandbox_spec spec = { .config = &session->graph.elements[staging->target].sandbox };
	struct session_activity activity;
	int r = sandbox_new(&staging->sandbox, staging->host, &spec, &session->diag);

	if (r < 0)
		return r;
	activity = session_begin(session, "Staging dependencies", staging->target);
	r = elements_stage(&staging->job, sandbox_tree(staging->sandbox), staging->deps, staging->ids.count, "/",
			   &session->diag);
	session_end(&activity, r >= 0);
	return MIN(r, 0);
}

static int run_batch(struct session_staging *staging, struct sandbox_batch *batch)
{
	struct session *session = staging->session;
	struct sandbox_result result;
	int r = sandbox_start(staging->sandbox, batch, STDERR_FILENO, &session->diag);

	if (r == SANDBOX_NOTHING || r < 0)
		return MIN(r, 0);
	if (r == SANDBOX_SUCCESS)
		r = sandbox_finish(staging->sandbox, &result, &session->diag);
	if (r == SANDBOX_SUCCESS || r < 0)
		return MIN(r, 0);
	if (r != SANDBOX_COMMAND_MISSING)
		diag_set(&session->diag, "stream", NULL, "Error while staging dependencies into a sandbox: '%s'",
			 "Command failed");
	return -EINVAL;
}

int session_staging_integrate(struct session_staging *staging)
{
	struct session *session = staging->session;
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	struct session_activity activity = session_begin(session, "Integrating sandbox", staging->target);
	int r = elements_integrate(&staging->job, &batch, staging->deps, staging->ids.count, &session->diag);

	if (r >= 0 && batch.any)
		r = sandbox_staged(staging->sandbox, &session->diag);
	if (r >= 0 && batch.any)
		r = run_batch(staging, &batch);
	sandbox_batch_release(&batch);
	session_end(&activity, r >= 0);
	return MIN(r, 0);
}

void session_staging_release(struct session_staging *staging)
{
	sandbox_free(staging->sandbox);
	sandbox_host_free(staging->host);
	session_ids_release(&staging->ids);
}

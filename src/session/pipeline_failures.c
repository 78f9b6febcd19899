/* What becomes of jobs, failed ones above all: what is said of them, and what a person answers. */
#include "session/pipeline_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "kinds/kinds.h"

/* Why a job failed, from its result or from the line about its worker's death. */
static void set_failure(struct pipeline_run *run, const struct driver_job *job, const struct wire_result *result, const char *lost)
{
	diag_release(&run->last);
	if (lost) {
		diag_set(&run->last, "jobs", "worker-died", "%s", lost);
	} else {
		assert(result);
		diag_set(&run->last, result->domain ? result->domain : "stream", result->reason, "%s",
			 result->text ? result->text : "Failed");
		if (result->detail)
			diag_detail(&run->last, "%s", result->detail);
	}
	if (job->element != SCHED_NONE)
		diag_element(&run->last, run->session->graph.elements[job->element].full_name);
}

/* A worker that died has said nothing itself. */
static void say_lost(struct pipeline_run *run, const struct driver_job *job, enum driver_end end, const char *lost)
{
	struct wire_message message = { .element = job->element, .kind = end == DRIVER_FAILED ? WIRE_FAILURE : WIRE_WARN,
					.elapsed_us = driver_elapsed_us(run->driver) - job->started_us, .text = lost };

	if (end == DRIVER_CANCELLED)
		return;
	if (end != DRIVER_FAILED) {
		message.elapsed_us = -1;
		message.detail = end == DRIVER_RETRIED ? "The job will be tried again" : "The job goes to another worker";
	}
	pipeline_on_message(run, job, &message);
}

bool pipeline_asks_about_failures(const struct session *session)
{
	const struct session_globals *g = &session->request->globals;

	return g->interactive && g->on_error == SESSION_UNSET;
}

static void retry(struct pipeline_run *run, const struct driver_job *job)
{
	if (!run->retried)
		run->retried = xcalloc(run->session->graph.element_count, sizeof(*run->retried));
	run->retried[job->element] = true;
	sched_retry_failed(driver_sched(run->driver), job->element, job->queue);
}

static void ask_failure(struct pipeline_run *run, const struct driver_job *job, const char *log)
{
	struct session *session = run->session;
	struct session_failure failure = {
		.action = pipeline_queues[job->queue].action,
		.element = session->graph.elements[job->element].full_name,
		.logfile = log,
	};
	enum session_answer answer;

	if (!pipeline_asks_about_failures(session) || job->element == SCHED_NONE || driver_terminating(run->driver))
		return;
	failure.sandbox = job->queue == SCHED_BUILD && session_shell_offered(session, job->element);
	driver_pause(run->driver);
	do {
		answer = session->frontend->ask_failure(session->frontend->data, &failure);
		if (answer != SESSION_ANSWER_SHELL)
			continue;
		/* The other jobs go on meanwhile: one that stood still might hold the lock that making this sandbox waits for. */
		driver_resume(run->driver);
		session_shell_failed(session, job->element);
		driver_pause(run->driver);
	} while (answer == SESSION_ANSWER_SHELL);
	switch (answer) {
	case SESSION_ANSWER_QUIT:
		driver_quit(run->driver);
		break;
	case SESSION_ANSWER_TERMINATE:
		driver_terminate(run->driver);
		break;
	case SESSION_ANSWER_RETRY:
		retry(run, job);
		break;
	case SESSION_ANSWER_CONTINUE: /* of an earlier "quit" nothing is taken back */
	case SESSION_ANSWER_SHELL:
	default:
		break;
	}
	driver_resume(run->driver);
}

/* The next build of a workspace goes on where this one ended, in whatever state that is. */
static void note_last_build(struct pipeline_run *run, uint32_t element)
{
	struct session *session = run->session;
	const struct graph_element *e = &session->graph.elements[element];
	const struct state_element *state = state_get(session->state, element);
	struct session_workspace *workspace = session_workspaces_find(&run->workspaces, e->full_name);
	char hex[DIGEST_HEX + 1];

	if (!workspace || (state->artifact.outcome != STATE_ARTIFACT_SUCCESS && state->artifact.outcome != STATE_ARTIFACT_FAILURE))
		return;
	digest_to_hex(hex, state->artifact.strong_key.hash);
	workspace->last_build = arena_strdup(&session->arena, hex);
	if (session_workspaces_save(&run->workspaces) < 0)
		session_say(session, SESSION_MESSAGE_WARN, buf_text(&session->diag.message), NULL);
}

/* How long it took, for the next run's order.  What only copies takes no time worth knowing. */
static void remember(struct pipeline_run *run, const struct driver_job *job)
{
	const struct graph_element *e = &run->session->graph.elements[job->element];
	enum session_history_kind kind = job->queue == SCHED_FETCH ? HISTORY_FETCH : HISTORY_BUILD;

	if (job->queue != SCHED_FETCH && (job->queue != SCHED_BUILD || !kinds_runs_commands(e)))
		return;
	session_history_add(&run->pipeline->plan->history, kind, run->session->graph.projects[e->project].name, e->full_name,
			    (driver_elapsed_us(run->driver) - job->started_us) / 1000);
}

void pipeline_on_ended(void *data, const struct driver_job *job, enum driver_end end, const struct wire_result *result,
		       const char *lost)
{
	struct pipeline_run *run = data;
	struct session *session = run->session;

	session->frontend->job_ended(session->frontend->data, (uint32_t)job->id);
	session_stats_add(&run->stats, job, result, driver_elapsed_us(run->driver));
	run->lost |= lost != NULL;
	if (lost)
		say_lost(run, job, end, lost);
	if (job->queue == SCHED_BUILD && result && session->graph.elements[job->element].workspace)
		note_last_build(run, job->element);
	if (end == DRIVER_DONE)
		remember(run, job);
	if (end != DRIVER_FAILED)
		return;
	set_failure(run, job, result, lost);
	session->frontend->task_failed(session->frontend->data, &run->last);
	ask_failure(run, job, result ? result->log : NULL);
}

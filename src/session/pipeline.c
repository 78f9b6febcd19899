/* A plan through scheduler and workers, and what there is to say about it: see pipeline.h. */
#include "session/pipeline_internal.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "kinds/kinds.h"

const struct pipeline_queue pipeline_queues[SCHED_QUEUES] = {
	[SCHED_FETCH] = { "Fetch", "Sources Fetched", JOBS_FETCH },
	[SCHED_BUILD] = { "Build", "Built", JOBS_BUILD },
};

enum { TICK_US = 100000 };

/* --- words for the frontend --- */

/* An element's name and key, as far as they are known. */
static void name_element(struct session *session, uint32_t element, char hex[DIGEST_HEX + 1], const char **ret_name,
			 const char **ret_key)
{
	const struct key *key;

	if (element >= session->graph.element_count)
		return;
	*ret_name = session->graph.elements[element].full_name;
	key = &state_get(session->state, element)->strong;
	if (!key_known(key))
		return;
	digest_to_hex(hex, key->hash);
	*ret_key = hex;
}

void pipeline_on_message(void *data, const struct driver_job *job, const struct wire_message *message)
{
	static const enum session_message_type types[WIRE_KIND_END] = {
		[WIRE_DEBUG] = SESSION_MESSAGE_DEBUG,     [WIRE_STATUS] = SESSION_MESSAGE_STATUS,
		[WIRE_INFO] = SESSION_MESSAGE_INFO,       [WIRE_WARN] = SESSION_MESSAGE_WARN,
		[WIRE_ERROR] = SESSION_MESSAGE_ERROR,     [WIRE_BUG] = SESSION_MESSAGE_BUG,
		[WIRE_LOG] = SESSION_MESSAGE_LOG,         [WIRE_START] = SESSION_MESSAGE_START,
		[WIRE_SUCCESS] = SESSION_MESSAGE_SUCCESS, [WIRE_FAILURE] = SESSION_MESSAGE_FAIL,
		[WIRE_SKIPPED] = SESSION_MESSAGE_SKIPPED,
	};
	struct pipeline_run *run = data;
	struct session *session = run->session;
	char hex[DIGEST_HEX + 1], task_hex[DIGEST_HEX + 1];
	struct session_message out = {
		.type = types[message->kind],
		.text = message->text,
		.detail = message->detail,
		.action = message->action ? message->action : pipeline_queues[job->queue].action,
		.elapsed_us = message->elapsed_us,
		.logfile = message->log,
		.scheduler = message->log != NULL,
	};

	/* The one that speaks need not be the one whose job this is. */
	name_element(session, job->element, task_hex, &out.task_element, &out.task_key);
	name_element(session, message->element, hex, &out.element, &out.key);
	session->frontend->message(session->frontend->data, &out);
	if (session->request->globals.scheduler == SESSION_SCHEDULER_INLINE) /* no ticks while a job runs */
		session->frontend->flush(session->frontend->data);
}

static void on_progress(void *data, const struct driver_job *job, const struct wire_progress *progress)
{
	struct pipeline_run *run = data;

	run->session->frontend->job_progress(run->session->frontend->data, (uint32_t)job->id, progress->done, progress->total);
}

static void on_started(void *data, const struct driver_job *job)
{
	struct pipeline_run *run = data;
	struct session *session = run->session;
	struct session_job shown = {
		.id = (uint32_t)job->id,
		.action = pipeline_queues[job->queue].action,
		.name = job->element == SCHED_NONE ? "cache" : session->graph.elements[job->element].full_name,
		.started_us = job->started_us,
	};

	session->ran_jobs = SESSION_RAN_JOBS;
	session->frontend->job_started(session->frontend->data, &shown);
}

/* In a non-strict plan the strong key follows from what the dependencies turned out to be: known by now, if ever. */
static void settle_key(struct pipeline_run *run, uint32_t element)
{
	struct session *session = run->session;
	struct state_changes changes = STATE_CHANGES_INIT;

	if (element == SCHED_NONE || session_is_strict(session, element) || !session_settle_key(session, element))
		return;
	(void)state_change_strong_key(&changes, element, &session->all_keys[element].strong);
	driver_commit(run->driver, &changes);
	state_changes_release(&changes);
}

/* Of the build that is about to be dispatched.  tokens 0: it runs no commands, or there is no budget.  most 1: no jobserver. */
static void find_parallelism(struct pipeline_run *run, const struct driver_job *job)
{
	struct session *session = run->session;
	const struct graph_element *element = &session->graph.elements[job->element];

	run->parallelism = (struct jobs_parallelism){ 0 };
	if (!run->tokens || !kinds_runs_commands(element))
		return;
	jobs_parallelism(element, run->cpus,
			 jobs_programs_of(&run->programs, session->cas, &session->graph, session->state, job->element),
			 &run->parallelism);
	if (run->parallelism.tokens > 1)
		run->parallelism.most = 1;
}

static uint32_t jobserver_flags(const struct jobs_parallelism *parallelism)
{
	if (parallelism->most <= 1)
		return 0;
	return JOBS_JOBSERVER | (parallelism->fifo ? JOBS_JOBSERVER_FIFO : 0);
}

static uint32_t on_flags(void *data, const struct driver_job *job)
{
	struct pipeline_run *run = data;

	settle_key(run, job->element);
	if (job->queue != SCHED_BUILD)
		return job->queue == SCHED_FETCH ? run->pipeline->fetch_flags : 0;
	find_parallelism(run, job);
	return (run->session->context.retry_failed || (run->retried && run->retried[job->element]) ? JOBS_RETRY_FAILED : 0) |
	       jobserver_flags(&run->parallelism);
}

/* Right after its flags. */
static bool on_tokens(void *data, const struct driver_job *job UNUSED, struct driver_tokens *ret)
{
	struct pipeline_run *run = data;
	const struct jobs_parallelism *found = &run->parallelism;

	*ret = (struct driver_tokens){ found->tokens, found->most, jobserver_flags(found) & JOBS_JOBSERVER_FIFO };
	return found->tokens > 0;
}

/* Now that the sources are there it can be guessed how long the build takes: before the element comes to that queue. */
static uint32_t on_result(void *data, const struct driver_job *job, const struct wire_result *result)
{
	struct pipeline_run *run = data;

	if (result->outcome == WIRE_DONE && result->source_files)
		session_plan_fetched(run->pipeline->plan, run->session, driver_sched(run->driver), job->element, result->source_files);
	return 0;
}

/* --- person and clock --- */

static enum driver_answer on_interrupt(void *data)
{
	struct pipeline_run *run = data;

	switch (run->session->frontend->ask_interrupt(run->session->frontend->data)) {
	case SESSION_ANSWER_QUIT:
		return DRIVER_QUIT;
	case SESSION_ANSWER_TERMINATE:
		return DRIVER_TERMINATE;
	case SESSION_ANSWER_CONTINUE:
	case SESSION_ANSWER_RETRY:
	case SESSION_ANSWER_SHELL:
	default:
		return DRIVER_CONTINUE;
	}
}

static void on_suspend(void *data, bool stopping)
{
	struct pipeline_run *run = data;

	if (stopping)
		run->session->frontend->suspend(run->session->frontend->data);
}

enum { QUEUES_MAX = SCHED_QUEUES };

static size_t tally(struct pipeline_run *run, struct session_queue queues[QUEUES_MAX])
{
	size_t n = 0;

	for (int q = 0; q < SCHED_QUEUES; q++) {
		struct sched_counts counts;

		if (!(run->pipeline->queues & SCHED_BIT(q)))
			continue;
		sched_counts(driver_sched(run->driver), (enum sched_queue)q, &counts);
		queues[n++] = (struct session_queue){ pipeline_queues[q].action, pipeline_queues[q].complete, counts.processed,
						      counts.skipped, counts.failed };
	}
	return n;
}

static void on_tick(void *data)
{
	struct pipeline_run *run = data;
	struct session *session = run->session;
	struct session_queue queues[QUEUES_MAX];
	struct sched_totals totals;
	struct session_status status = {
		.project_name = session->graph.projects[0].name,
		.elapsed_us = driver_elapsed_us(run->driver),
		.total_elements = run->pipeline->total,
		.queues = queues,
		.n_queues = tally(run, queues),
	};

	sched_totals(driver_sched(run->driver), &totals);
	status.session_elements = totals.session;
	session->frontend->status(session->frontend->data, &status);
}

static void on_trace(void *data, const char *text)
{
	struct pipeline_run *run = data;

	session_say(run->session, SESSION_MESSAGE_DEBUG, text, NULL);
}

static const struct driver_events events = {
	.flags = on_flags,
	.tokens = on_tokens,
	.started = on_started,
	.message = pipeline_on_message,
	.progress = on_progress,
	.result = on_result,
	.ended = pipeline_on_ended,
	.interrupt = on_interrupt,
	.suspend = on_suspend,
	.tick = on_tick,
	.trace = on_trace,
};

/* --- start and end --- */

static void configure_sched(const struct pipeline_run *run, struct sched_config *config)
{
	static const enum sched_on_error policies[] = {
		[PROJECT_ON_ERROR_CONTINUE] = SCHED_ON_ERROR_CONTINUE,
		[PROJECT_ON_ERROR_QUIT] = SCHED_ON_ERROR_QUIT,
		[PROJECT_ON_ERROR_TERMINATE] = SCHED_ON_ERROR_TERMINATE,
	};
	static const enum sched_mode modes[] = {
		[SESSION_SCHEDULER_POOL] = SCHED_POOL,
		[SESSION_SCHEDULER_FORK] = SCHED_FORK,
		[SESSION_SCHEDULER_INLINE] = SCHED_INLINE,
	};
	const struct project_context *context = &run->session->context;
	const struct session_globals *g = &run->session->request->globals;

	sched_config_default(config, (uint32_t)MAX(context->builders, 1), (uint32_t)MAX(context->fetchers, 1),
			     (uint32_t)MAX(context->pushers, 1));
	config->mode = modes[g->scheduler];
	config->queues = run->pipeline->queues;
	if (!(config->queues & SCHED_BIT(SCHED_BUILD)))
		config->imperative = SCHED_QUEUES; /* a fetch that was told to quit starts nothing more */
	/* A person is asked about each failure, after which it is too late to stop what a policy has begun. */
	config->on_error = pipeline_asks_about_failures(run->session) ? SCHED_ON_ERROR_CONTINUE : policies[context->on_error];
	config->network_retries = (uint32_t)MAX(context->network_retries, 0);
	if (g->workers != SESSION_UNSET)
		config->max_workers = (uint32_t)g->workers;
}

static enum elements_buildtrees buildtrees(const struct project_context *context)
{
	static const enum elements_buildtrees table[] = {
		[PROJECT_BUILDTREES_ALWAYS] = ELEMENTS_BUILDTREES_ALWAYS,
		[PROJECT_BUILDTREES_AUTO] = ELEMENTS_BUILDTREES_AUTO,
		[PROJECT_BUILDTREES_NEVER] = ELEMENTS_BUILDTREES_NEVER,
	};

	return table[context->cache_buildtrees];
}

static bool will_run_commands(const struct pipeline_run *run)
{
	const struct graph *graph = &run->session->graph;

	for (uint32_t i = 0; i < graph->element_count; i++)
		if (run->pipeline->plan->needs[i] & SCHED_BIT(SCHED_BUILD) && kinds_runs_commands(&graph->elements[i]))
			return true;
	return false;
}

/* Finds what the last builds of open workspaces left; here, because jobs look up nothing. */
static void find_last_builds(struct pipeline_run *run)
{
	struct session *session = run->session;
	struct jobs_last_build *found = ARENA_ARRAY(&session->arena, struct jobs_last_build, run->workspaces.count + 1u);

	run->context.last_builds = found;
	for (uint32_t id = 0; id < session->graph.element_count; id++) {
		const struct graph_element *e = &session->graph.elements[id];
		struct jobs_last_build *last = &found[run->context.last_build_count];
		_cleanup_buf_ struct buf name = BUF_INIT;

		if (!e->workspace || !e->last_build || !(run->pipeline->plan->needs[id] & SCHED_BIT(SCHED_BUILD)))
			continue;
		artifact_name(&name, session->graph.projects[e->project].name, e->normal_name, e->last_build);
		if (artifact_cached(&last->artifact, &session->arena, session->cas, buf_text(&name)) != 1 ||
		    !last->artifact.has_buildtree || !artifact_has_part(&last->artifact, session->cas, ARTIFACT_BUILDTREE) ||
		    !last->artifact.has_sources || !artifact_has_part(&last->artifact, session->cas, ARTIFACT_SOURCES))
			continue;
		last->element = id;
		run->context.last_build_count++;
	}
}

static int prepare(struct pipeline_run *run)
{
	struct session *session = run->session;
	struct sandbox_host_options options = session_host_options(session);
	int r;

	/* Scripts around the peer count on its build area being there, and empty, after any build. */
	r = fs_mkdir_p(cas_cachedir_fd(session->cas), "build", 0755);
	if (r < 0)
		return diag_errno(&session->diag, "stream", NULL, -r, "Could not make the directory %s/build",
				  session->context.cachedir);
	run->context = (struct jobs_context){
		.graph = &session->graph,
		.cas = session->cas,
		.statcache = session->statcache,
		.loader = session->loader,
		.parent = getpid(),
		.logdir = session->context.logdir,
		.sourcedir = session->context.sourcedir,
		.tmpdir = arena_printf(&session->arena, "%s/millrace/tmp", session->context.cachedir),
		.fifo_prefix = arena_printf(&session->arena, "%s/millrace/tmp/jobserver-%d-", session->context.cachedir, (int)getpid()),
		.key_length = (uint32_t)session->context.key_length,
		.network_retries = (uint32_t)MAX(session->context.network_retries, 0),
		.buildtrees = buildtrees(&session->context),
	};
	r = session_workspaces_load(&run->workspaces, session);
	if (r < 0)
		return r;
	if (run->workspaces.count)
		find_last_builds(run);
	r = sandbox_host_new(&run->context.sandbox, &options, &session->diag);
	session->layers = run->context.sandbox;
	/* Found out once, before workers are forked, and not in each of them. */
	if (r == 0 && will_run_commands(run))
		(void)sandbox_host_way(run->context.sandbox);
	return r;
}

static uint32_t count_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)MAX(CPU_COUNT(&set), 1) : 1;
}

/* A budget is worth its while where builds that run side by side could start more processes than it has tokens. */
static uint32_t choose_budget(const struct pipeline_run *run, const struct sched_config *config)
{
	const struct session_globals *g = &run->session->request->globals;
	uint64_t tokens = g->jobs == SESSION_UNSET ? run->cpus : (uint64_t)MAX(g->jobs, 0);
	uint64_t builders = MIN(config->limits[SCHED_PROCESS] ? config->limits[SCHED_PROCESS] : UINT32_MAX,
				config->max_workers);
	uint64_t most = builders * (uint64_t)MAX(project_max_jobs(&run->session->context), 1);

	if (config->mode == SCHED_INLINE || builders < 2 || most <= tokens)
		return 0;
	return (uint32_t)MIN(tokens, 65536u);
}

static int start(struct pipeline_run *run)
{
	struct session *session = run->session;
	struct driver_config config = {
		.plan = &run->pipeline->plan->graph,
		.worker = { .types = jobs_types, .type_count = JOBS_TYPES, .graph = &session->graph, .state = session->state,
			    .context = &run->context, .trace = session->context.debug },
		.events = &events,
		.data = run,
		.interactive = session->request->globals.interactive,
		.tick_us = TICK_US, /* without a terminal too: messages are written in bundles meanwhile */
	};
	int r;

	configure_sched(run, &config.sched);
	run->cpus = count_cpus();
	config.tokens = run->tokens = choose_budget(run, &config.sched);
	config.fifo_prefix = run->context.fifo_prefix;
	for (int q = 0; q < SCHED_QUEUES; q++)
		config.job_types[q] = pipeline_queues[q].job;
	r = driver_new(&run->driver, &config);
	return r < 0 ? diag_errno(&session->diag, "stream", NULL, -r, "Could not start the scheduler") : 0;
}

static void summarize(struct pipeline_run *run)
{
	struct session *session = run->session;
	struct session_queue queues[QUEUES_MAX];
	struct session_summary summary = { .total_elements = run->pipeline->total, .queues = queues };
	struct sched *sched = driver_sched(run->driver);
	struct sched_totals totals;

	sched_totals(sched, &totals);
	summary.session_elements = totals.session;
	summary.n_queues = tally(run, queues);
	for (uint32_t id = sched_next_failed(sched, 0); id != SCHED_NONE; id = sched_next_failed(sched, id + 1)) {
		summary.failed_elements = xreallocarray(summary.failed_elements, summary.n_failed_elements + 1, sizeof(char *));
		summary.failed_elements[summary.n_failed_elements++] = session->graph.elements[id].full_name;
	}
	session->frontend->summary(session->frontend->data, &summary);
	free(summary.failed_elements);
}

static int conclude(struct pipeline_run *run, enum sched_outcome outcome)
{
	struct session *session = run->session;

	switch (outcome) {
	case SCHED_END_SUCCESS:
		return 0;
	case SCHED_END_TERMINATED:
		session_say(session, SESSION_MESSAGE_WARN, "Terminated", NULL);
		return diag_set(&session->diag, "stream", "terminated", "Terminated");
	case SCHED_END_NO_WORKERS:
		return diag_set(&session->diag, "stream", NULL, "No worker process could be started");
	case SCHED_END_FAILED:
	default:
		return diag_set(&session->diag, "stream", NULL, "%s", "");
	}
}

int session_run_pipeline(const struct session_pipeline *pipeline)
{
	struct session *session = pipeline->session;
	struct pipeline_run run = { .pipeline = pipeline, .session = session };
	enum sched_outcome outcome = SCHED_END_FAILED;
	struct session_activity activity = { session, pipeline->activity, session->start_us, GRAPH_NONE };
	int r = prepare(&run);

	if (r == 0)
		r = start(&run);
	session->ran_jobs = MAX(session->ran_jobs, SESSION_NO_JOBS);
	if (r == 0) {
		session_stats_begin(&run.stats);
		r = driver_run(run.driver, &outcome);
		if (r < 0)
			diag_errno(&session->diag, "stream", NULL, -r, "The event loop failed");
	}
	if (r == 0)
		r = conclude(&run, outcome);
	if (pipeline->activity)
		session_end(&activity, r == 0);
	if (run.driver && pipeline->activity)
		summarize(&run);
	if (run.driver && session->request->globals.stats)
		session_stats_report(&run.stats, session, run.driver);
	driver_free(run.driver);
	if (run.lost && run.context.sandbox)
		sandbox_host_sweep(run.context.sandbox);
	sandbox_host_free(run.context.sandbox);
	session->layers = NULL;
	session_stats_release(&run.stats);
	jobs_programs_release(&run.programs);
	free(run.retried);
	session_workspaces_release(&run.workspaces);
	diag_release(&run.last);
	return r;
}

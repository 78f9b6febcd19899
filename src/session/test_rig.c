/* session/test_rig.c: see test_rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session/test_rig.h"

/* --- what its jobs do --- */

static int run_fetch(struct worker_job *job)
{
	const struct project *project = job->context;

	if (project->behaviour[job->element] == TEMPORARY && job->attempt < 3) {
		job->temporary = true;
		return diag_set(&job->diag, "source", NULL, "the network is down");
	}
	if (project->behaviour[job->element] == FETCH_DIES)
		raise(SIGKILL);
	return state_change_fetched(&job->changes, job->element, STATE_FETCHED_YES);
}

/* True the first time in all processes. */
static bool first_time(const struct project *project, uint32_t element)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%u", project->marks, element);
	return mkdir(path, 0700) == 0;
}

static int check_dependencies(struct worker_job *job)
{
	const struct project *project = job->context;

	if (state_get(job->state, job->element)->fetched != STATE_FETCHED_YES)
		return diag_set(&job->diag, "element", NULL, "built before it was fetched");
	for (uint32_t i = project->start[job->element]; i < project->start[job->element + 1]; i++) {
		const struct state_element *dep = state_get(job->state, project->deps[i]);

		if (dep->artifact.outcome != STATE_ARTIFACT_SUCCESS || dep->artifact.files.size_bytes != project->deps[i] + 1)
			return diag_set(&job->diag, "element", NULL, "dependency %u is not seen", project->deps[i]);
	}
	return 0;
}

static int run_build(struct worker_job *job)
{
	const struct project *project = job->context;
	struct state_artifact artifact = { .outcome = STATE_ARTIFACT_SUCCESS };
	int r = check_dependencies(job);

	if (r < 0)
		return r;
	worker_message(job, WIRE_START, "Build", NULL, NULL, -1);
	switch (project->behaviour[job->element]) {
	case BAD:
		return diag_set(&job->diag, "sandbox", "command-failed", "Command failed");
	case DIES_ONCE:
		if (first_time(project, job->element))
			raise(SIGKILL);
		break;
	case DIES:
		raise(SIGKILL);
		break;
	case WAITS:
		return worker_wait(job, NULL, 0, -1);
	case SLOW: {
		int64_t before_us = util_now_us();

		usleep(100000);
		worker_message(job, WIRE_SUCCESS, "Build", NULL, NULL, util_now_us() - before_us);
		break;
	}
	case DEAF:
		signal(SIGTERM, SIG_IGN);
		while (getppid() > 0)
			pause();
		break;
	case GOOD:
	case TEMPORARY:
	case OWN_KEY:
	case FETCH_DIES:
		break;
	}
	artifact.files.size_bytes = job->element + 1;
	return state_change_artifact(&job->changes, job->element, &artifact);
}

static const struct worker_type types[] = { { .name = "fetch", .run = run_fetch }, { .name = "build", .run = run_build } };

/* --- the run --- */

static void on_started(void *data, const struct driver_job *job)
{
	struct run *run = data;

	run->started++;
	run->open++;
	if (job->queue == SCHED_BUILD && run->signals_left > 0 && run->signal_at_start &&
	    run->config.sched.mode != SCHED_INLINE) {
		run->signals_left--;
		kill(getpid(), run->signal_at_start);
	}
}

static void on_message(void *data, const struct driver_job *job, const struct wire_message *message)
{
	struct run *run = data;

	assert_true(job->id == message->job);
	if (message->kind == WIRE_START)
		run->messages++;
	run->longest_us = MAX(run->longest_us, message->elapsed_us);
	/* Inline, the job is running now: the signal finds it waiting. */
	if (run->config.sched.mode == SCHED_INLINE && run->signals_left > 0 && run->signal_at_start) {
		run->signals_left--;
		kill(getpid(), run->signal_at_start);
	}
}

static void on_progress(void *data UNUSED, const struct driver_job *job UNUSED, const struct wire_progress *progress UNUSED)
{
}

static uint32_t on_result(void *data, const struct driver_job *job, const struct wire_result *result)
{
	struct run *run = data;
	struct state_changes changes = STATE_CHANGES_INIT;
	struct key key = { { 7, (uint8_t)job->element } };

	/* Some keys become known only now; workers see them with the next dispatch. */
	if (job->queue == SCHED_FETCH && result->outcome == WIRE_DONE &&
	    run->project.behaviour[job->element] == OWN_KEY) {
		state_change_strong_key(&changes, job->element, &key);
		driver_commit(run->driver, &changes);
		state_changes_release(&changes);
	}
	return 0;
}

static void on_ended(void *data, const struct driver_job *job UNUSED, enum driver_end end,
		     const struct wire_result *result, const char *lost)
{
	struct run *run = data;

	assert_true(run->open-- > 0);
	assert_true((result == NULL) == (lost != NULL));
	run->ends[end]++;
	if (end == DRIVER_FAILED && run->signal_on_failure)
		kill(getpid(), run->signal_on_failure);
	if (lost) {
		run->lost++;
		snprintf(run->lost_text, sizeof(run->lost_text), "%s", lost);
	}
}

static enum driver_answer on_interrupt(void *data)
{
	struct run *run = data;

	run->interrupts++;
	usleep((useconds_t)run->thinks_us);
	return run->answer;
}

static void on_tick(void *data)
{
	struct run *run = data;

	run->ticks++;
	if (run->second_signal && driver_signal(run->driver) != 0)
		kill(getpid(), run->second_signal);
}

static const struct driver_events events = {
	.started = on_started, .message = on_message, .progress = on_progress, .result = on_result, .ended = on_ended,
	.interrupt = on_interrupt, .tick = on_tick,
};

/* A graph in which element i depends on up to three earlier ones. */
static void make_project(struct project *project, uint32_t count)
{
	uint32_t edges = 0;

	project->count = count;
	for (uint32_t e = 0; e < count; e++) {
		project->start[e] = edges;
		for (uint32_t back = 1; back <= 9; back += 4)
			if (e >= back && (e + back) % 3)
				project->deps[edges++] = e - back;
		project->needs[e] = SCHED_BIT(SCHED_FETCH) | SCHED_BIT(SCHED_BUILD);
	}
	project->start[count] = edges;
}

char marks[64];

struct run *new_run(enum sched_mode mode, uint32_t count)
{
	struct run *run = xcalloc(1, sizeof(*run));

	make_project(&run->project, count);
	run->project.marks = marks;
	run->plan = (struct sched_graph){ .count = count, .build_start = run->project.start,
					  .build_deps = run->project.deps, .needs = run->project.needs };
	graph_init(&run->graph);
	run->state = state_new(count);
	sched_config_default(&run->config.sched, 3, 4, 2);
	run->config.sched.mode = mode;
	if (mode == SCHED_INLINE) {
		run->config.sched.max_workers = 1;
		run->config.sched.limits[SCHED_SUBPROCESS] = 1;
	}
	run->config.plan = &run->plan;
	run->config.worker = (struct worker_config){ .types = types, .type_count = 2, .graph = &run->graph,
						     .state = run->state, .context = &run->project };
	run->config.job_types[SCHED_FETCH] = 0;
	run->config.job_types[SCHED_BUILD] = 1;
	run->config.events = &events;
	run->config.data = run;
	run->config.retry_delay_us = 1000;
	run->config.sched.on_error = SCHED_ON_ERROR_CONTINUE;
	return run;
}

static void mark_fetched(struct run *run)
{
	struct state_changes changes = STATE_CHANGES_INIT;

	for (uint32_t e = 0; run->fetched && e < run->project.count; e++)
		assert_int_equal(state_change_fetched(&changes, e, STATE_FETCHED_YES), 0);
	driver_commit(run->driver, &changes);
	state_changes_release(&changes);
}

void go(struct run *run)
{
	int64_t before_us = util_now_us();

	assert_int_equal(driver_new(&run->driver, &run->config), 0);
	mark_fetched(run);
	assert_int_equal(driver_run(run->driver, &run->outcome), 0);
	run->took_us = util_now_us() - before_us;
	assert_int_equal(run->open, 0); /* every job that started has ended */
	assert_null(sched_check(driver_sched(run->driver)));
}

void end_run(struct run *run)
{
	driver_free(run->driver);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	state_free(run->state);
	graph_release(&run->graph);
	free(run);
}

int make_marks(void **unused UNUSED)
{
	snprintf(marks, sizeof(marks), "/tmp/test_driver.XXXXXX");
	return mkdtemp(marks) ? 0 : -1;
}

int drop_marks(void **unused UNUSED)
{
	return rmdir(marks);
}

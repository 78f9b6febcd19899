/* session/test_driver.c: whole pipelines through scheduler, pool, wire and state, in all three modes; failures, deaths,
 * retries, signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session/driver.h"
#include "session/jobserver.h"

enum { MAX_ELEMENTS = 400 };

/* --- a project of the test's own: every element builds; its build reads what its dependencies' builds wrote --- */

struct project {
	uint32_t count;
	uint32_t start[MAX_ELEMENTS + 1], deps[MAX_ELEMENTS * 3];
	uint8_t needs[MAX_ELEMENTS];
	const char *marks; /* a directory where jobs leave files that outlive their worker */
	/* by element: what its build does */
	enum { GOOD, BAD, DIES_ONCE, DIES, TEMPORARY, WAITS, DEAF, OWN_KEY, FETCH_DIES, SLOW } behaviour[MAX_ELEMENTS];
};

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

struct run {
	struct project project;
	struct sched_graph plan;
	struct graph graph;
	struct state *state;
	struct driver *driver;
	struct driver_config config;
	uint32_t started, ends[DRIVER_RETURNED + 1], messages, interrupts, ticks, lost;
	uint32_t open; /* started and not ended */
	uint64_t last_open;
	enum driver_answer answer;
	int64_t thinks_us, longest_us; /* before the answer comes; told of a job */
	int signal_at_start; /* sent to ourselves when the first build starts */
	uint32_t signals_left;
	int second_signal; /* sent when the first was heeded */
	int signal_on_failure; /* sent when a job has failed */
	bool fetched; /* all sources are there */
	char lost_text[256];
	enum sched_outcome outcome;
	int64_t took_us;
};

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

static char marks[64];

static struct run *new_run(enum sched_mode mode, uint32_t count)
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

static void go(struct run *run)
{
	int64_t before_us = util_now_us();

	assert_int_equal(driver_new(&run->driver, &run->config), 0);
	mark_fetched(run);
	assert_int_equal(driver_run(run->driver, &run->outcome), 0);
	run->took_us = util_now_us() - before_us;
	assert_int_equal(run->open, 0); /* every job that started has ended */
	assert_null(sched_check(driver_sched(run->driver)));
}

static void end_run(struct run *run)
{
	driver_free(run->driver);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	state_free(run->state);
	graph_release(&run->graph);
	free(run);
}

/* --- tests --- */

static void test_pipeline(void **unused UNUSED)
{
	for (enum sched_mode mode = SCHED_POOL; mode <= SCHED_INLINE; mode++) {
		struct run *run = new_run(mode, mode == SCHED_FORK ? 60 : MAX_ELEMENTS);

		for (uint32_t e = 0; e < run->project.count; e += 5)
			run->project.behaviour[e] = OWN_KEY;
		run->config.tick_us = 50;
		go(run);
		assert_int_equal(run->outcome, SCHED_END_SUCCESS);
		assert_int_equal(run->ends[DRIVER_DONE], 2 * run->project.count);
		assert_int_equal(run->messages, run->project.count);
		assert_true(run->ticks > 0);
		for (uint32_t e = 0; e < run->project.count; e++) {
			assert_int_equal(state_get(run->state, e)->artifact.outcome, STATE_ARTIFACT_SUCCESS);
			assert_int_equal(key_known(&state_get(run->state, e)->strong), e % 5 == 0);
		}
		if (mode == SCHED_POOL)
			assert_true(driver_pool_stats(run->driver)->spawned <= 7);
		if (mode == SCHED_FORK)
			assert_int_equal(driver_pool_stats(run->driver)->spawned, 2 * run->project.count);
		end_run(run);
	}
}

/* The journal is much smaller than what is written: what all have read is written again. */
static void test_journal_is_reused(void **unused UNUSED)
{
	struct run *run = new_run(SCHED_POOL, MAX_ELEMENTS);

	assert_int_equal(state_open(run->state, 16384), 0);
	go(run);
	assert_int_equal(run->outcome, SCHED_END_SUCCESS);
	assert_int_equal(run->ends[DRIVER_DONE], 2 * MAX_ELEMENTS);
	assert_true(state_position(run->state) > 16384 || state_epoch(run->state) > 1);
	end_run(run);
}

/* It runs full while somebody is at a long job: it starts anew, workers are replaced, nothing is lost. */
static void test_journal_starts_anew(void **unused UNUSED)
{
	struct run *run = new_run(SCHED_POOL, MAX_ELEMENTS);

	for (uint32_t e = 10; e < MAX_ELEMENTS; e += 100)
		run->project.behaviour[e] = SLOW;
	assert_int_equal(state_open(run->state, 4096), 0);
	go(run);
	assert_int_equal(run->outcome, SCHED_END_SUCCESS);
	assert_int_equal(run->ends[DRIVER_DONE], 2 * MAX_ELEMENTS);
	assert_true(state_epoch(run->state) > 1);
	assert_true(driver_pool_stats(run->driver)->spawned > 7);
	end_run(run);
}

static void test_failures(void **unused UNUSED)
{
	for (enum sched_mode mode = SCHED_POOL; mode <= SCHED_INLINE; mode++) {
		struct run *run = new_run(mode, 40);

		run->project.behaviour[0] = BAD;
		run->project.behaviour[7] = TEMPORARY; /* twice, then well: within the two retries */
		go(run);
		assert_int_equal(run->outcome, SCHED_END_FAILED);
		assert_int_equal(run->ends[DRIVER_FAILED], 1);
		assert_int_equal(run->ends[DRIVER_RETRIED], 2);
		end_run(run);
	}
}

static void test_deaths(void **unused UNUSED)
{
	for (enum sched_mode mode = SCHED_POOL; mode <= SCHED_FORK; mode++) {
		struct run *run = new_run(mode, 40);

		for (uint32_t e = 3; e < 40; e += 6)
			run->project.behaviour[e] = DIES_ONCE;
		run->project.behaviour[39] = DIES;
		go(run);
		assert_int_equal(run->outcome, SCHED_END_FAILED);
		assert_int_equal(run->ends[DRIVER_FAILED], 1); /* the one that always dies */
		assert_true(strstr(run->lost_text, "was killed by signal 9"));
		assert_int_equal(run->lost, 6 + 2 + (run->ends[DRIVER_RETURNED]));
		assert_int_equal(state_get(run->state, 38)->artifact.outcome, STATE_ARTIFACT_SUCCESS);
		assert_int_equal(run->ends[DRIVER_DONE], 2 * 40 - 1);
		end_run(run);
		for (uint32_t e = 3; e < 40; e += 6) {
			char path[128];

			snprintf(path, sizeof(path), "%s/%u", marks, e);
			rmdir(path);
		}
	}
}

/* A worker that holds many jobs dies of the first: each of the others has its own fate. */
static void test_deaths_of_many(void **unused UNUSED)
{
	for (int terminate = 0; terminate < 2; terminate++) {
		struct run *run = new_run(SCHED_POOL, 8);

		run->plan.build_start = run->plan.build_deps = NULL;
		run->project.behaviour[0] = FETCH_DIES;
		run->config.sched.window = 8;
		run->config.sched.max_workers = run->config.sched.limits[SCHED_SUBPROCESS] = 1;
		run->config.sched.limits[SCHED_DOWNLOAD] = 8;
		run->config.sched.queues = SCHED_BIT(SCHED_FETCH);
		run->config.sched.death_retries = terminate ? 0 : 1;
		run->config.sched.on_error = terminate ? SCHED_ON_ERROR_TERMINATE : SCHED_ON_ERROR_CONTINUE;
		for (uint32_t e = 0; e < 8; e++)
			run->project.needs[e] = SCHED_BIT(SCHED_FETCH);
		go(run);
		assert_int_equal(run->outcome, SCHED_END_FAILED);
		assert_int_equal(run->ends[DRIVER_FAILED], 1);
		/* Dropped, as nothing starts after terminate; else they go to the next worker. */
		assert_int_equal(run->ends[DRIVER_CANCELLED], terminate ? 7 : 0);
		assert_int_equal(run->ends[DRIVER_RETRIED], terminate ? 0 : 1);
		assert_int_equal(run->ends[DRIVER_RETURNED] > 0, !terminate);
		assert_int_equal(run->ends[DRIVER_DONE], terminate ? 0 : 7);
		end_run(run);
	}
}

/* Nothing new to do: the same answer at once.  Something new: it is done. */
static void test_run_again(void **unused UNUSED)
{
	struct run *run = new_run(SCHED_POOL, 8);
	enum sched_outcome again;

	run->project.behaviour[7] = BAD;
	go(run);
	assert_int_equal(run->outcome, SCHED_END_FAILED);
	assert_int_equal(driver_run(run->driver, &again), 0);
	assert_int_equal(again, SCHED_END_FAILED);
	assert_int_equal(run->started, 16);
	assert_int_equal(sched_retry_failed(driver_sched(run->driver), 7, SCHED_BUILD), SCHED_OK);
	assert_int_equal(driver_run(run->driver, &again), 0);
	assert_int_equal(run->started, 17);
	end_run(run);
}

/* Longer than any machine is too busy for. */
enum { PATIENT_US = 30000000 };

/* on-error terminate is a terminate like any other: a signal then finds no more patience. */
static void test_terminate_on_error(void **unused UNUSED)
{
	for (int signalled = 0; signalled < 2; signalled++) {
		struct run *run = new_run(SCHED_POOL, 8);

		run->plan.build_start = run->plan.build_deps = NULL;
		memset(run->project.start, 0, sizeof(run->project.start));
		for (uint32_t e = 0; e < 8; e++) {
			run->project.behaviour[e] = e == 2 ? BAD : DEAF;
			run->project.needs[e] = SCHED_BIT(SCHED_BUILD);
		}
		run->fetched = true;
		run->config.sched.on_error = SCHED_ON_ERROR_TERMINATE;
		run->signal_on_failure = signalled ? SIGTERM : 0;
		if (signalled)
			run->config.patience_us = PATIENT_US;
		go(run);
		assert_int_equal(run->outcome, SCHED_END_FAILED);
		assert_int_equal(run->ends[DRIVER_FAILED], 1);
		if (signalled)
			assert_true(run->took_us < PATIENT_US); /* left alone, the deaf would have had so much */
		end_run(run);
	}
}

/* Every third worker dies when it first comes to a boundary: everything is built in the end, and each death is one that the
 * driver saw. */
static void test_deaths_at_boundaries(void **unused UNUSED)
{
	static const char *const boundaries[] = { "start", "ready", "dispatch", "begin", "message", "messaged", "return", "result" };
	static const int signals[] = { SIGKILL, SIGABRT, SIGTERM };
	char told[64], log[128];
	struct stat st;

	snprintf(log, sizeof(log), "%s/log", marks);
	setenv("MILLRACE_TEST_DIE_LOG", log, 1);
	for (size_t i = 0; i < ARRAY_SIZE(boundaries) * ARRAY_SIZE(signals); i++) {
		struct run *run = new_run(SCHED_POOL, 60);

		snprintf(told, sizeof(told), "%s:%d:3", boundaries[i / ARRAY_SIZE(signals)], signals[i % ARRAY_SIZE(signals)]);
		setenv("MILLRACE_TEST_DIE", told, 1);
		run->config.sched.death_retries = 20;
		go(run);
		assert_int_equal(run->outcome, SCHED_END_SUCCESS);
		assert_int_equal(run->ends[DRIVER_DONE], 120);
		assert_int_equal(run->ends[DRIVER_FAILED], 0);
		assert_int_equal(stat(log, &st), 0); /* somebody did die */
		assert_true(run->lost <= st.st_size);
		unlink(log);
		end_run(run);
	}
	unsetenv("MILLRACE_TEST_DIE");
	unsetenv("MILLRACE_TEST_DIE_LOG");
}

/* ^C and friends while builds wait for ever: gone within a second, also those that do not listen. */
static void test_terminate(void **unused UNUSED)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (enum sched_mode mode = SCHED_POOL; mode <= SCHED_INLINE; mode++)
		for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
			struct run *run = new_run(mode, 40);

			for (uint32_t e = 0; e < 40; e++)
				run->project.behaviour[e] = mode != SCHED_INLINE && i == 0 ? DEAF : WAITS;
			run->signal_at_start = signals[i];
			run->signals_left = 1;
			go(run);
			assert_int_equal(run->outcome, SCHED_END_TERMINATED);
			assert_int_equal(driver_signal(run->driver), signals[i]);
			assert_true(run->took_us < PATIENT_US); /* a second, and what a busy machine adds */
			assert_int_equal(run->ends[DRIVER_FAILED], 0);
			end_run(run);
		}
}

/* Under nohup a hangup is nothing. */
static void test_nohup(void **unused UNUSED)
{
	struct run *run = new_run(SCHED_POOL, 20);

	signal(SIGHUP, SIG_IGN);
	run->signal_at_start = SIGHUP;
	run->signals_left = 1;
	go(run);
	assert_int_equal(run->outcome, SCHED_END_SUCCESS);
	assert_int_equal(driver_signal(run->driver), 0);
	end_run(run);
	signal(SIGHUP, SIG_DFL);
}

static void test_second_signal(void **unused UNUSED)
{
	struct run *run = new_run(SCHED_POOL, 40);

	for (uint32_t e = 0; e < 40; e++)
		run->project.behaviour[e] = DEAF;
	run->signal_at_start = SIGTERM;
	run->signals_left = 1;
	run->second_signal = SIGINT;
	run->config.tick_us = 10000;
	run->config.patience_us = PATIENT_US;
	go(run);
	assert_int_equal(run->outcome, SCHED_END_TERMINATED);
	assert_true(run->took_us < PATIENT_US); /* those that do not listen would have had so much otherwise */
	end_run(run);
}

static void test_interrupt(void **unused UNUSED)
{
	struct run *run;

	run = new_run(SCHED_POOL, 40);
	run->config.interactive = true;
	run->answer = DRIVER_CONTINUE;
	run->signal_at_start = SIGINT;
	run->signals_left = 3;
	go(run);
	assert_int_equal(run->outcome, SCHED_END_SUCCESS);
	assert_true(run->interrupts >= 1);
	assert_int_equal(run->ends[DRIVER_DONE], 80);
	end_run(run);

	/* The time in which a person thinks is no time of the jobs. */
	run = new_run(SCHED_POOL, 3);
	run->config.interactive = true;
	run->answer = DRIVER_CONTINUE;
	run->thinks_us = 1500000;
	run->signal_at_start = SIGINT;
	run->signals_left = 1;
	run->project.behaviour[0] = SLOW;
	go(run);
	assert_int_equal(run->interrupts, 1);
	assert_true(run->took_us > 1500000 && run->longest_us < 1000000);
	end_run(run);

	run = new_run(SCHED_POOL, 40);
	run->config.interactive = true;
	run->answer = DRIVER_QUIT;
	run->signal_at_start = SIGINT;
	run->signals_left = 1;
	go(run);
	assert_int_equal(run->interrupts, 1);
	assert_true(run->ends[DRIVER_DONE] < 80);
	end_run(run);

	run = new_run(SCHED_POOL, 40);
	run->config.interactive = true;
	run->answer = DRIVER_TERMINATE;
	run->signal_at_start = SIGINT;
	run->signals_left = 1;
	for (uint32_t e = 0; e < 40; e++)
		run->project.behaviour[e] = WAITS;
	go(run);
	assert_int_equal(run->outcome, SCHED_END_TERMINATED);
	end_run(run);
}

/* ^Z: somebody else wakes us up again. */
static void test_stop(void **unused UNUSED)
{
	struct run *run = new_run(SCHED_POOL, 40);
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) { /* a process of its own, so that stopping it is seen from here */
		run->signal_at_start = SIGTSTP;
		run->signals_left = 1;
		go(run);
		status = run->outcome == SCHED_END_SUCCESS && driver_elapsed_us(run->driver) < run->took_us - 100000 ? 0 : 1;
		driver_free(run->driver);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	usleep(150000);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	state_free(run->state);
	graph_release(&run->graph);
	free(run);
}

/* A named pipe holds the tokens given, is gone with its build, and those that others left long ago go too; nothing else does. */
static void test_named_pipes(void **unused UNUSED)
{
	const struct timespec long_ago[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
	char top[] = "/tmp/test_fifos.XXXXXX", prefix[64], path[96], bytes[8];
	struct jobserver_build build = { .want = 2, .most = 3, .fifo = 42 };
	struct jobserver_pipe tube;
	struct jobserver *server;
	struct loop *loop;
	struct stat st;
	int top_fd, fd;

	assert_non_null(mkdtemp(top));
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkfifoat(top_fd, "jobserver-17-1", 0600), 0);
	assert_int_equal(mkfifoat(top_fd, "jobserver-18-1", 0600), 0);
	close(openat(top_fd, "jobserver-19-1", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); /* no pipe */
	assert_int_equal(mkfifoat(top_fd, "other-17-1", 0600), 0);
	assert_int_equal(utimensat(top_fd, "jobserver-17-1", long_ago, 0), 0);
	assert_int_equal(utimensat(top_fd, "jobserver-19-1", long_ago, 0), 0);
	assert_int_equal(utimensat(top_fd, "other-17-1", long_ago, 0), 0);
	snprintf(prefix, sizeof(prefix), "%s/jobserver-20-", top);
	snprintf(path, sizeof(path), "%s42", prefix);
	assert_int_equal(loop_new(&loop), 0);
	server = jobserver_new(loop, 4, 2, prefix);
	assert_int_equal(jobserver_join(server, 1, &build, &tube), 0);
	assert_int_equal(tube.tokens, 2);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 2);
	close(fd);
	assert_int_equal(fstatat(top_fd, "jobserver-17-1", &st, 0), -1);
	jobserver_leave(server, 1);
	assert_int_equal(stat(path, &st), -1);
	build.fifo = 18; /* a name that is taken is not taken over */
	snprintf(path, sizeof(path), "%s18", prefix);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(jobserver_join(server, 0, &build, &tube), -EEXIST);
	assert_int_equal(jobserver_given(server), 0);
	jobserver_free(server);
	loop_free(loop);
	assert_int_equal(unlinkat(top_fd, "jobserver-18-1", 0) | unlinkat(top_fd, "jobserver-19-1", 0) | unlinkat(top_fd, "other-17-1", 0), 0);
	assert_int_equal(unlink(path), 0); /* still there */
	close(top_fd);
	assert_int_equal(rmdir(top), 0);
}

static int make_marks(void **unused UNUSED)
{
	snprintf(marks, sizeof(marks), "/tmp/test_driver.XXXXXX");
	return mkdtemp(marks) ? 0 : -1;
}

static int drop_marks(void **unused UNUSED)
{
	return rmdir(marks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipeline), cmocka_unit_test(test_journal_is_reused), cmocka_unit_test(test_journal_starts_anew),
		cmocka_unit_test(test_failures), cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_deaths_of_many), cmocka_unit_test(test_run_again),
		cmocka_unit_test(test_terminate_on_error),
		cmocka_unit_test(test_deaths_at_boundaries),
		cmocka_unit_test(test_terminate), cmocka_unit_test(test_second_signal), cmocka_unit_test(test_nohup),
		cmocka_unit_test(test_interrupt), cmocka_unit_test(test_stop),
		cmocka_unit_test(test_named_pipes),
	};

	signal(SIGHUP, SIG_DFL); /* whoever runs the tests under nohup */
	return cmocka_run_group_tests(tests, make_marks, drop_marks);
}

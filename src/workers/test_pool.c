/* workers/test_pool.c: real processes: jobs in all three modes, and every way a worker can end at every boundary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/workers_internal.h"

enum { ELEMENTS = 16, SLOTS = 4 };

/* --- jobs --- */

enum job_type {
	JOB_EMPTY,
	JOB_CHANGE, /* reports an artifact whose files digest has size element + 1 */
	JOB_SEES,   /* done if the state knows the artifact of element flags, nothing to do otherwise */
	JOB_SPEAK,  /* flags messages */
	JOB_FAIL,
	JOB_RETRY, /* fails for now on the first attempt */
	JOB_WAIT,  /* until cancelled */
	JOB_CHECK, /* computes until cancelled */
	JOB_DEAF,  /* ignores everything for ever */
	JOB_DIE,   /* by signal flags; 0: exits */
	JOB_GARBAGE,
	JOB_CLOSE,
	JOB_OTHER,   /* changes another's element */
	JOB_FALSE,   /* speaks of a job it does not have */
	JOB_CHILD,   /* leaves children, one in a session of its own, and waits; their pids in the file it was given */
	JOB_LITTER,  /* the same, but ends */
	JOB_PING,    /* waits flags ms */
	JOB_FDS,     /* done if it has no descriptor above 2 but its own */
	JOB_SIGNALS, /* done if signals are as promised */
	JOB_HUNGRY,  /* takes much memory in its arena, speaks, changes */
	JOB_TYPES
};

static int worker_fd = -1; /* known through the seam */
static char pid_path[64];

static int run_change(struct worker_job *job)
{
	struct state_artifact artifact = { .outcome = STATE_ARTIFACT_SUCCESS };

	artifact.files.size_bytes = job->element + 1;
	return state_change_artifact(&job->changes, job->element, &artifact);
}

static int run_sees(struct worker_job *job)
{
	const struct state_element *element = state_get(job->state, job->flags);

	return element->artifact.outcome == STATE_ARTIFACT_SUCCESS && element->artifact.files.size_bytes == job->flags + 1
		       ? 0 : 1;
}

static int run_speak(struct worker_job *job)
{
	for (uint32_t i = 0; i < job->flags; i++)
		worker_say(job, WIRE_INFO, "message %u of %u", i + 1, job->flags);
	worker_progress(job, 1, 2, 0, NULL);
	return 0;
}

static int run_fail(struct worker_job *job)
{
	state_change_fetched(&job->changes, job->element, STATE_FETCHED_NO);
	diag_where(&job->diag, "a.bst", 3, 4);
	return diag_set(&job->diag, "source", "missing-file", "no such thing");
}

static int run_retry(struct worker_job *job)
{
	state_change_fetched(&job->changes, job->element, STATE_FETCHED_YES); /* dropped with the failed attempt */
	job->temporary = true;
	return job->attempt > 1 ? 0 : diag_set(&job->diag, "source", NULL, "net down");
}

static int run_wait(struct worker_job *job)
{
	return worker_wait(job, NULL, 0, -1);
}

static int run_check(struct worker_job *job)
{
	int r;

	while ((r = worker_check(job)) == 0)
		;
	return r;
}

static int run_deaf(struct worker_job *job)
{
	signal(SIGTERM, job->flags ? SIG_IGN : SIG_DFL);
	while (getppid() > 0)
		pause();
	return 0;
}

static int run_die(struct worker_job *job)
{
	if (job->flags == 0)
		_exit(9);
	raise((int)job->flags);
	return 0;
}

static int run_garbage(struct worker_job *job UNUSED)
{
	send(worker_fd, "this is no message at all", 25, 0);
	pause();
	return 0;
}

static int run_close(struct worker_job *job UNUSED)
{
	close(worker_fd);
	while (getppid() > 0)
		pause();
	return 0;
}

static int run_other(struct worker_job *job)
{
	return state_change_fetched(&job->changes, job->element + 1, STATE_FETCHED_YES);
}

static int run_false(struct worker_job *job)
{
	job->id++;
	worker_say(job, WIRE_INFO, "I am another");
	pause();
	return 0;
}

static void leave_children(void)
{
	FILE *file = fopen(pid_path, "w");
	int noted[2];
	char byte;

	if (!file || pipe2(noted, O_CLOEXEC) < 0)
		_exit(1);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (i == 1)
				setsid();
			if (i == 1 && fork() > 0) /* a daemon: its parent is gone at once */
				_exit(0);
			fprintf(file, "%d\n", (int)getpid());
			fflush(file);
			if (write(noted[1], "x", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
	}
	for (int i = 0; i < 2; i++) /* both have written their names */
		while (read(noted[0], &byte, 1) < 0 && errno == EINTR)
			;
	close(noted[0]);
	close(noted[1]);
	fclose(file);
}

static int run_child(struct worker_job *job)
{
	leave_children();
	worker_say(job, WIRE_INFO, "children are there");
	if (job->flags)
		return run_deaf(job);
	return worker_wait(job, NULL, 0, -1);
}

static int run_litter(struct worker_job *job)
{
	leave_children();
	return 0;
}

static int run_ping(struct worker_job *job)
{
	return worker_wait(job, NULL, 0, util_now_us() + job->flags * 1000);
}

static int run_fds(struct worker_job *job)
{
	DIR *dir = opendir("/proc/self/fd");
	char link[256], path[64];
	_cleanup_buf_ struct buf extra = BUF_INIT;
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		int fd = (int)strtol(entry->d_name, NULL, 10);
		ssize_t len;

		if (fd <= 2 || fd == worker_fd || fd == dirfd(dir))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, link, sizeof(link) - 1);
		link[MAX(len, 0)] = '\0';
		if (!strstr(link, "memfd:millrace-state") && fcntl(fd, F_GETFD) & FD_CLOEXEC)
			buf_printf(&extra, "%s ", link); /* those without were there before the test */
	}
	closedir(dir);
	return extra.len > 0 ? diag_set(&job->diag, "plugin", NULL, "descriptors too many: %s", extra.data) : 0;
}

static int run_signals(struct worker_job *job)
{
	struct sigaction action;
	sigset_t mask;
	int death;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigaction(SIGINT, NULL, &action);
	prctl(PR_GET_PDEATHSIG, &death);
	if (sigismember(&mask, SIGINT) || sigismember(&mask, SIGTERM) || action.sa_handler != SIG_DFL || death != SIGTERM ||
	    getpgrp() != getpid())
		return diag_set(&job->diag, "plugin", NULL, "signals are not as promised");
	return 0;
}

static int run_hungry(struct worker_job *job)
{
	/* Much, now and then: pages that come and go with each job are what would take the time here. */
	for (int i = 0; i < (job->id % 32 ? 2 : 40); i++)
		memset(arena_alloc(job->arena, 5000), 1, 5000);
	worker_say(job, WIRE_INFO, "%s", arena_printf(job->arena, "job %llu", (unsigned long long)job->id));
	return run_change(job);
}

static const struct worker_type types[JOB_TYPES] = {
	[JOB_EMPTY] = { .name = "empty", .run = NULL },
	[JOB_CHANGE] = { .name = "change", .run = run_change },
	[JOB_SEES] = { .name = "sees", .run = run_sees },
	[JOB_SPEAK] = { .name = "speak", .run = run_speak },
	[JOB_FAIL] = { .name = "fail", .run = run_fail },
	[JOB_RETRY] = { .name = "retry", .run = run_retry },
	[JOB_WAIT] = { .name = "wait", .run = run_wait },
	[JOB_CHECK] = { .name = "check", .run = run_check },
	[JOB_DEAF] = { .name = "deaf", .run = run_deaf },
	[JOB_DIE] = { .name = "die", .run = run_die },
	[JOB_GARBAGE] = { .name = "garbage", .run = run_garbage },
	[JOB_CLOSE] = { .name = "close", .run = run_close },
	[JOB_OTHER] = { .name = "other", .run = run_other },
	[JOB_FALSE] = { .name = "false", .run = run_false },
	[JOB_CHILD] = { .name = "child", .run = run_child },
	[JOB_LITTER] = { .name = "litter", .run = run_litter },
	[JOB_PING] = { .name = "ping", .run = run_ping },
	[JOB_FDS] = { .name = "fds", .run = run_fds },
	[JOB_SIGNALS] = { .name = "signals", .run = run_signals },
	[JOB_HUNGRY] = { .name = "hungry", .run = run_hungry },
};
static struct worker_type filled_types[JOB_TYPES];

static int run_empty(struct worker_job *job UNUSED)
{
	return 0;
}

/* --- a bench with a pool on it --- */

struct bench {
	struct loop *loop;
	struct graph graph;
	struct state *state;
	struct pool *pool;
	uint64_t jobs;
	/* the last of each */
	struct wire_result result;
	char result_text[256];
	uint32_t result_slot, result_incarnation, results;
	char message_text[256];
	uint32_t messages, debugs, progresses;
	enum pool_end gone_why;
	uint64_t gone_begun;
	char gone_text[256];
	uint32_t gone_slot, gones;
};

static void on_message(void *data, uint32_t slot UNUSED, const struct wire_message *message)
{
	struct bench *bench = data;

	if (message->kind == WIRE_DEBUG) {
		bench->debugs++;
		return;
	}
	bench->messages++;
	snprintf(bench->message_text, sizeof(bench->message_text), "%s", message->text);
}

static void on_progress(void *data, uint32_t slot UNUSED, const struct wire_progress *progress UNUSED)
{
	((struct bench *)data)->progresses++;
}

static void on_result(void *data, uint32_t slot, uint32_t incarnation, const struct wire_result *result)
{
	struct bench *bench = data;

	assert_int_equal(state_commit(bench->state, incarnation, result->changes, result->change_bytes, result->change_count),
			 0);
	bench->results++;
	bench->result = *result;
	bench->result_slot = slot;
	bench->result_incarnation = incarnation;
	snprintf(bench->result_text, sizeof(bench->result_text), "%s", result->text ? result->text : "");
}

static void on_gone(void *data, uint32_t slot, enum pool_end why, uint64_t begun, const char *text)
{
	struct bench *bench = data;

	bench->gones++;
	bench->gone_slot = slot;
	bench->gone_why = why;
	bench->gone_begun = begun;
	snprintf(bench->gone_text, sizeof(bench->gone_text), "%s", text);
}

static const struct pool_events events = {
	.message = on_message, .progress = on_progress, .result = on_result, .gone = on_gone,
};

static void on_signal(struct loop *loop UNUSED, const struct signalfd_siginfo *info, void *data)
{
	struct bench *bench = data;

	if (info->ssi_signo == SIGUSR1)
		pool_cancel(bench->pool, bench->jobs);
}

static void open_bench(struct bench *bench, enum pool_mode mode)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGUSR1 };
	struct pool_config config = {
		.mode = mode, .max_workers = SLOTS, .events = &events, .data = bench,
		.ping_after_us = 20000, .ping_deadline_us = 1500000, .cancel_grace_us = 1500000, .term_grace_us = 300000,
	};

	memset(bench, 0, sizeof(*bench));
	memcpy(filled_types, types, sizeof(types));
	filled_types[JOB_EMPTY].run = run_empty;
	graph_init(&bench->graph);
	assert_int_equal(loop_new(&bench->loop), 0);
	assert_int_equal(loop_signals(bench->loop, signals, ARRAY_SIZE(signals), on_signal, bench), 0);
	bench->state = state_new(ELEMENTS);
	assert_int_equal(state_open(bench->state, 0), 0);
	config.loop = bench->loop;
	config.worker = (struct worker_config){ .types = filled_types, .type_count = JOB_TYPES, .graph = &bench->graph,
						.state = bench->state, .trace = true };
	bench->pool = pool_new(&config);
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void close_bench(struct bench *bench)
{
	pool_free(bench->pool);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* neither zombies nor survivors */
	assert_int_equal(errno, ECHILD);
	loop_free(bench->loop);
	state_free(bench->state);
	graph_release(&bench->graph);
}

static uint64_t dispatch(struct bench *bench, uint32_t slot, enum job_type type, uint32_t element, uint32_t flags)
{
	struct wire_dispatch job = { .job = ++bench->jobs, .type = type, .element = element, .attempt = 1, .flags = flags };

	pool_dispatch(bench->pool, slot, &job);
	return bench->jobs;
}

/* Turns until *counter reaches want; gives up after two minutes. */
static void until(struct bench *bench, const uint32_t *counter, uint32_t want)
{
	int64_t end_us = util_now_us() + 120 * 1000000LL; /* a busy machine is no failure */

	while (*counter < want) {
		assert_true(loop_turn(bench->loop, 100000) >= 0);
		if (util_now_us() > end_us)
			fail_msg("nothing happened for two minutes");
	}
}

static void run_one(struct bench *bench, uint32_t slot, enum job_type type, uint32_t element, uint32_t flags)
{
	uint32_t want = bench->results + 1;

	dispatch(bench, slot, type, element, flags);
	until(bench, &bench->results, want);
	assert_true(bench->result.job == bench->jobs);
}

static void refill(struct bench *bench, uint32_t slot, enum pool_mode mode)
{
	uint32_t gones = bench->gones;

	if (mode != POOL_FORK)
		return;
	pool_retire(bench->pool, slot);
	until(bench, &bench->gones, gones + 1);
	assert_int_equal(bench->gone_why, POOL_RETIRED);
	assert_int_equal(pool_spawn(bench->pool, slot), 0);
}

/* --- tests --- */

static void all_modes(void (*test)(struct bench *bench, enum pool_mode mode))
{
	for (enum pool_mode mode = POOL_WORKERS; mode <= POOL_INLINE; mode++) {
		struct bench bench;

		open_bench(&bench, mode);
		if (mode != POOL_INLINE)
			assert_int_equal(pool_spawn(bench.pool, 0), 0);
		test(&bench, mode);
		close_bench(&bench);
	}
}

static void outcomes(struct bench *bench, enum pool_mode mode)
{
	struct wire_dispatch again;

	run_one(bench, 0, JOB_EMPTY, 1, 0);
	assert_int_equal(bench->result.outcome, WIRE_DONE);
	assert_true(bench->result.ended_us >= bench->result.started_us);
	refill(bench, 0, mode);
	run_one(bench, 0, JOB_SEES, 1, 7);
	assert_int_equal(bench->result.outcome, WIRE_NOTHING);
	refill(bench, 0, mode);
	run_one(bench, 0, JOB_CHANGE, 7, 0);
	assert_int_equal(state_get(bench->state, 7)->artifact.files.size_bytes, 8);
	refill(bench, 0, mode);
	run_one(bench, 0, JOB_SEES, 1, 7);
	assert_int_equal(bench->result.outcome, WIRE_DONE);
	refill(bench, 0, mode);
	run_one(bench, 0, JOB_FAIL, 2, 0);
	assert_int_equal(bench->result.outcome, WIRE_FAILED);
	assert_string_equal(bench->result_text, "no such thing");
	assert_int_equal(state_get(bench->state, 2)->fetched, STATE_FETCHED_NO);
	refill(bench, 0, mode);
	run_one(bench, 0, JOB_RETRY, 3, 0);
	assert_int_equal(bench->result.outcome, WIRE_TEMPORARY);
	assert_int_equal(bench->result.change_count, 0);
	assert_int_equal(state_get(bench->state, 3)->fetched, STATE_FETCHED_UNKNOWN);
	refill(bench, 0, mode);
	again = (struct wire_dispatch){ .job = ++bench->jobs, .type = JOB_RETRY, .element = 3, .attempt = 2 };
	pool_dispatch(bench->pool, 0, &again);
	until(bench, &bench->results, bench->results + 1);
	assert_int_equal(bench->result.outcome, WIRE_DONE);
	refill(bench, 0, mode);
	run_one(bench, 0, JOB_SPEAK, 1, 40);
	assert_int_equal(bench->messages, 40);
	assert_int_equal(bench->progresses, 1);
	assert_string_equal(bench->message_text, "message 40 of 40");
}

static void test_outcomes(void **unused UNUSED)
{
	all_modes(outcomes);
}

static void cancelling(struct bench *bench, enum pool_mode mode)
{
	static const enum job_type jobs[] = { JOB_WAIT, JOB_CHECK };
	int64_t start_us;

	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		uint64_t job = dispatch(bench, 0, jobs[i], 1, 0);

		if (mode == POOL_INLINE) { /* a signal arrives while the job blocks the loop */
			if (fork() == 0) {
				usleep(30000);
				kill(getppid(), SIGUSR1);
				_exit(0);
			}
		} else {
			while (pool_begun(bench->pool, 0) != job)
				usleep(100);
			assert_true(pool_cancel(bench->pool, job));
			assert_true(pool_cancel(bench->pool, job)); /* twice is once */
		}
		start_us = util_now_us();
		until(bench, &bench->results, bench->results + 1);
		assert_true(util_now_us() - start_us < 60 * 1000000LL);
		assert_int_equal(bench->result.outcome, WIRE_CANCELLED);
		assert_false(pool_cancel(bench->pool, job));
		refill(bench, 0, mode);
		if (mode == POOL_INLINE)
			wait(NULL);
	}
	assert_int_equal(bench->gones, mode == POOL_FORK ? 2 : 0);
	run_one(bench, 0, JOB_EMPTY, 1, 0);
}

static void test_cancelling(void **unused UNUSED)
{
	all_modes(cancelling);
}

/* What one worker's job changed, another's later job sees; the sender does not get it back. */
static void test_state_travels(void **unused UNUSED)
{
	struct bench bench;

	open_bench(&bench, POOL_WORKERS);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		assert_int_equal(pool_spawn(bench.pool, slot), 0);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t element = i % (ELEMENTS - 1);

		run_one(&bench, i % SLOTS, JOB_CHANGE, element, 0);
		bench.debugs = 0;
		run_one(&bench, i % SLOTS, JOB_SEES, element + 1, element); /* the sender */
		assert_int_equal(bench.result.outcome, WIRE_DONE);
		assert_int_equal(bench.result.applied, 0);
		assert_int_equal(bench.debugs, 0);
		run_one(&bench, (i + 1) % SLOTS, JOB_SEES, element + 1, element);
		assert_int_equal(bench.result.outcome, WIRE_DONE);
		assert_true(bench.result.applied >= 1);
		assert_int_equal(bench.debugs, bench.result.applied); /* --debug shows each record */
	}
	/* A worker forked later has it all without following anything. */
	pool_retire(bench.pool, 2);
	until(&bench, &bench.gones, 1);
	assert_int_equal(pool_spawn(bench.pool, 2), 0);
	run_one(&bench, 2, JOB_SEES, 5, 4);
	assert_int_equal(bench.result.outcome, WIRE_DONE);
	assert_int_equal(bench.result.applied, 0);
	close_bench(&bench);
}

struct death {
	enum job_type type;
	uint32_t flags;
	enum pool_end why;
	const char *text; /* part of the line */
};

static void test_deaths(void **unused UNUSED)
{
	static const struct death deaths[] = {
		{ JOB_DIE, SIGKILL, POOL_DIED, "was killed by signal 9" },
		{ JOB_DIE, SIGSEGV, POOL_DIED, "was killed by signal 11" },
		{ JOB_DIE, 0, POOL_DIED, "exited with status 9" },
		{ JOB_DIE, SIGSTOP, POOL_SILENT, "did not answer" },
		{ JOB_DEAF, 0, POOL_SILENT, "did not answer" },
		{ JOB_GARBAGE, 0, POOL_MALFORMED, "sent a malformed message" },
		{ JOB_CLOSE, 0, POOL_CLOSED, "closed its socket" },
		{ JOB_OTHER, 0, POOL_MALFORMED, "a change that it may not make" },
		{ JOB_FALSE, 0, POOL_MALFORMED, "a job that it does not have" },
	};
	struct bench bench;
	size_t fds;

	open_bench(&bench, POOL_WORKERS);
	assert_int_equal(pool_spawn(bench.pool, 1), 0);
	run_one(&bench, 1, JOB_EMPTY, 0, 0);
	fds = count_fds();
	for (size_t i = 0; i < ARRAY_SIZE(deaths); i++) {
		uint32_t incarnation = 0;

		assert_int_equal(pool_spawn(bench.pool, 0), 0);
		assert_true(pool_incarnation(bench.pool, 0) > incarnation);
		incarnation = pool_incarnation(bench.pool, 0);
		run_one(&bench, 0, JOB_CHANGE, (uint32_t)i, 0);
		dispatch(&bench, 0, deaths[i].type, 3, deaths[i].flags);
		until(&bench, &bench.gones, bench.gones + 1);
		assert_int_equal(bench.gone_slot, 0);
		assert_int_equal(bench.gone_why, deaths[i].why);
		assert_true(bench.gone_begun == bench.jobs);
		if (!strstr(bench.gone_text, deaths[i].text))
			fail_msg("%s: expected %s", bench.gone_text, deaths[i].text);
		/* The other worker goes on, and knows what the dead one had achieved. */
		run_one(&bench, 1, JOB_SEES, 0, (uint32_t)i);
		assert_int_equal(bench.result.outcome, WIRE_DONE);
		assert_int_equal(count_fds(), fds);
	}
	close_bench(&bench);
}

/* A long job that waits is no reason to be killed: pings are answered. */
static void test_long_job(void **unused UNUSED)
{
	struct bench bench;

	open_bench(&bench, POOL_WORKERS);
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	run_one(&bench, 0, JOB_PING, 0, 900); /* two ping deadlines */
	assert_int_equal(bench.result.outcome, WIRE_DONE);
	assert_true(pool_stats(bench.pool)->pings >= 2);
	assert_int_equal(bench.gones, 0);
	close_bench(&bench);
}

/* Whoever slept (^Z by other means, a busy machine) must not take the others for silent: their answers lie unread. */
static void test_we_slept(void **unused UNUSED)
{
	struct bench bench;

	open_bench(&bench, POOL_WORKERS);
	bench.pool->config.ping_deadline_us = 100000;
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	dispatch(&bench, 0, JOB_WAIT, 0, 0);
	for (uint64_t pings = 0; pings < 3 && bench.gones == 0; pings = pool_stats(bench.pool)->pings) {
		while (pool_stats(bench.pool)->pings == pings && bench.gones == 0)
			assert_true(loop_turn(bench.loop, 5000) >= 0);
		usleep(300000);
	}
	assert_int_equal(bench.gones, 0);
	pool_cancel(bench.pool, bench.jobs);
	until(&bench, &bench.results, 1);
	assert_int_equal(bench.result.outcome, WIRE_CANCELLED);
	close_bench(&bench);
}

/* Every boundary x signal: the jobs that were dispatched end exactly once, by result or with their worker, and a job that
 * was not begun is not said to be. */
static enum worker_boundary die_at;
static int die_by;

static void die_hook(enum worker_boundary boundary, uint32_t incarnation UNUSED, uint64_t job UNUSED, int fd)
{
	static const int caught[] = { SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSYS };

	worker_fd = fd;
	if (boundary == WORKER_AT_START) /* cmocka's handlers would go on with the tests, in the worker */
		for (size_t i = 0; i < ARRAY_SIZE(caught); i++)
			signal(caught[i], SIG_DFL);
	if (boundary == die_at && die_by)
		raise(die_by);
}

static void die_once(enum worker_boundary boundary, int signal)
{
	struct bench bench;
	bool begun;

	open_bench(&bench, POOL_WORKERS);
	die_at = boundary;
	die_by = signal;
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	die_by = 0; /* in the parent: the next one lives */
	if (boundary == WORKER_AT_CANCEL || boundary == WORKER_AT_WAIT || boundary == WORKER_AT_PING)
		dispatch(&bench, 0, JOB_WAIT, 1, 0);
	else if (boundary == WORKER_AT_QUIT)
		pool_retire(bench.pool, 0);
	else
		dispatch(&bench, 0, JOB_SPEAK, 1, 2);
	if (boundary == WORKER_AT_CANCEL)
		pool_cancel(bench.pool, bench.jobs);
	until(&bench, &bench.gones, 1);
	assert_int_equal(bench.results, boundary == WORKER_AT_RESULT ? 1 : 0);
	begun = boundary >= WORKER_AT_BEGIN && boundary != WORKER_AT_RESULT && boundary != WORKER_AT_QUIT;
	if (boundary != WORKER_AT_CANCEL) /* may come before the job began */
		assert_true(bench.gone_begun == (begun ? bench.jobs : 0));
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	run_one(&bench, 0, JOB_EMPTY, 1, 0);
	close_bench(&bench);
}

static void test_boundaries(void **unused UNUSED)
{
	static const int signals[] = { SIGKILL, SIGSEGV, SIGSTOP };

	for (enum worker_boundary boundary = WORKER_AT_START; boundary < WORKER_BOUNDARY_END; boundary++)
		for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
			/* An idle worker that stops is not missed before it is asked to work or to leave. */
			if (signals[i] == SIGSTOP && boundary == WORKER_AT_RESULT)
				continue;
			die_once(boundary, signals[i]);
		}
}

static bool all_dead(void)
{
	FILE *file = fopen(pid_path, "r");
	int pid, count = 0, alive = 0;

	while (file && fscanf(file, "%d", &pid) == 1) {
		count++;
		alive += kill(pid, 0) == 0;
	}
	if (file)
		fclose(file);
	assert_int_equal(count, 2);
	return alive == 0;
}

static void no_survivors(struct bench *bench)
{
	for (int i = 0; i < 400 && !all_dead(); i++)
		assert_true(loop_turn(bench->loop, 5000) >= 0);
	assert_true(all_dead());
	unlink(pid_path);
}

static void test_descendants(void **unused UNUSED)
{
	struct bench bench;
	int64_t start_us;

	snprintf(pid_path, sizeof(pid_path), "/tmp/test_pool.%d", (int)getpid());
	open_bench(&bench, POOL_WORKERS);

	/* cancelled politely */
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	dispatch(&bench, 0, JOB_CHILD, 1, 0);
	until(&bench, &bench.messages, 1);
	pool_cancel(bench.pool, bench.jobs);
	until(&bench, &bench.results, 1);
	assert_int_equal(bench.result.outcome, WIRE_CANCELLED);
	no_survivors(&bench);

	/* ends well, but leaves children */
	run_one(&bench, 0, JOB_LITTER, 1, 0);
	no_survivors(&bench);
	assert_int_equal(bench.gones, 0);

	/* does not heed the cancel, nor SIGTERM; that it does not answer a ping either is not to be found out first */
	bench.pool->config.ping_deadline_us = 60 * 1000000LL;
	start_us = util_now_us();
	dispatch(&bench, 0, JOB_CHILD, 1, 1);
	until(&bench, &bench.messages, 2);
	pool_cancel(bench.pool, bench.jobs);
	until(&bench, &bench.gones, 1);
	assert_int_equal(bench.gone_why, POOL_KILLED);
	no_survivors(&bench);
	assert_true(util_now_us() - start_us < 60 * 1000000LL);

	/* the worker is killed by somebody else */
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	dispatch(&bench, 0, JOB_CHILD, 1, 0);
	until(&bench, &bench.messages, 3);
	kill(pool_pid(bench.pool, 0), SIGKILL);
	until(&bench, &bench.gones, 2);
	assert_int_equal(bench.gone_why, POOL_DIED);
	no_survivors(&bench);

	/* everything at once */
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	assert_int_equal(pool_spawn(bench.pool, 1), 0);
	dispatch(&bench, 0, JOB_CHILD, 1, 0);
	until(&bench, &bench.messages, 4);
	pool_kill(bench.pool);
	until(&bench, &bench.gones, 4);
	no_survivors(&bench);
	assert_int_equal(pool_spawn(bench.pool, 2), -ESHUTDOWN);
	while (pool_alive(bench.pool) > 0)
		assert_true(loop_turn(bench.loop, 5000) >= 0);
	close_bench(&bench);
}

/* The parent itself is killed: nothing of it is left. */
static void test_parent_killed(void **unused UNUSED)
{
	int fds[2];
	pid_t pid;
	char c;

	snprintf(pid_path, sizeof(pid_path), "/tmp/test_pool.%d", (int)getpid());
	assert_int_equal(pipe(fds), 0);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	pid = fork();
	if (pid == 0) {
		struct bench bench;

		open_bench(&bench, POOL_WORKERS);
		pool_spawn(bench.pool, 0);
		dispatch(&bench, 0, JOB_CHILD, 1, 0);
		until(&bench, &bench.messages, 1);
		if (write(fds[1], "x", 1) == 1)
			pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	/* The worker and what it started hold the pipe too: the end of all of them is the end of file. */
	assert_int_equal(read(fds[0], &c, 1), 0);
	close(fds[0]);
	waitpid(pid, NULL, 0);
	assert_true(all_dead());
	unlink(pid_path);
}

static void test_suspend(void **unused UNUSED)
{
	struct bench bench;
	char path[64], state = '?';
	FILE *file;

	open_bench(&bench, POOL_WORKERS);
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	bench.pool->config.ping_deadline_us = 200000;
	pool_suspend(bench.pool); /* first, or a slow test would find the job done */
	dispatch(&bench, 0, JOB_PING, 1, 50);
	for (int i = 0; i < 120; i++) /* longer than the ping deadline */
		assert_true(loop_turn(bench.loop, 5000) >= 0);
	assert_int_equal(bench.results, 0);
	assert_int_equal(bench.gones, 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pool_pid(bench.pool, 0));
	file = fopen(path, "r");
	assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
	fclose(file);
	assert_int_equal(state, 'T');
	pool_resume(bench.pool);
	until(&bench, &bench.results, 1);
	assert_int_equal(bench.gones, 0);
	close_bench(&bench);
}

/* A newer project or a new journal: the process is replaced before the next job, unseen. */
static void test_replaced(void **unused UNUSED)
{
	struct bench bench;
	uint32_t first;

	open_bench(&bench, POOL_WORKERS);
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	assert_int_equal(pool_spawn(bench.pool, 1), 0);
	run_one(&bench, 0, JOB_CHANGE, 3, 0);
	first = bench.result_incarnation;
	bench.graph.generation++;
	run_one(&bench, 0, JOB_SEES, 4, 3);
	assert_int_equal(bench.result.outcome, WIRE_DONE);
	assert_true(bench.result_incarnation > first);
	first = bench.result_incarnation;
	assert_int_equal(state_roll(bench.state), 0);
	run_one(&bench, 0, JOB_CHANGE, 5, 0);
	assert_true(bench.result_incarnation > first);
	run_one(&bench, 1, JOB_SEES, 4, 5);
	assert_int_equal(bench.result.outcome, WIRE_DONE);
	/* In the middle of a queue: what is under way ends in the old one, the rest in the new. */
	dispatch(&bench, 0, JOB_PING, 1, 30);
	assert_int_equal(state_roll(bench.state), 0);
	dispatch(&bench, 0, JOB_SEES, 4, 5);
	until(&bench, &bench.results, bench.results + 2);
	assert_int_equal(bench.result.outcome, WIRE_DONE);
	assert_int_equal(bench.gones, 0);
	close_bench(&bench);
}

/* Several jobs in one worker: in order; one that waits can be cancelled; a death returns what had not begun. */
static void test_window(void **unused UNUSED)
{
	struct bench bench;
	uint64_t second;

	open_bench(&bench, POOL_WORKERS);
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	for (uint32_t i = 0; i < POOL_WINDOW_MAX; i++)
		dispatch(&bench, 0, i % 2 ? JOB_SEES : JOB_CHANGE, i / 2, i / 2);
	until(&bench, &bench.results, POOL_WINDOW_MAX);
	assert_int_equal(bench.result.outcome, WIRE_NOTHING); /* dispatched before the change was known: as of then */
	assert_true(bench.result.job == bench.jobs);

	dispatch(&bench, 0, JOB_PING, 1, 50);
	second = dispatch(&bench, 0, JOB_WAIT, 1, 0);
	assert_true(pool_cancel(bench.pool, second));
	until(&bench, &bench.results, POOL_WINDOW_MAX + 2);
	assert_int_equal(bench.result.outcome, WIRE_CANCELLED);

	dispatch(&bench, 0, JOB_DIE, 1, SIGKILL);
	dispatch(&bench, 0, JOB_EMPTY, 2, 0);
	until(&bench, &bench.gones, 1);
	assert_true(bench.gone_begun == bench.jobs - 1);
	close_bench(&bench);
}

static void test_manners(void **unused UNUSED)
{
	struct bench bench;

	open_bench(&bench, POOL_WORKERS);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		assert_int_equal(pool_spawn(bench.pool, slot), 0);
	run_one(&bench, SLOTS - 1, JOB_FDS, 0, 0);
	assert_string_equal(bench.result_text, "");
	run_one(&bench, SLOTS - 1, JOB_SIGNALS, 0, 0);
	assert_string_equal(bench.result_text, "");
	close_bench(&bench);
}

/* Anonymous memory of a worker, in KiB: what it shares with the parent counts too, since pages that the parent copies for
 * itself later would otherwise seem to be new here. */
static long anonymous_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid); /* counted now; status shows an estimate */
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file) && sscanf(line, "Anonymous: %ld", &kib) != 1)
		;
	if (file)
		fclose(file);
	assert_true(kib > 0);
	return kib;
}

/* A worker that has done a hundred thousand jobs, and followed what another changed meanwhile, holds no more than one that
 * has done a few thousand. */
static void test_memory_stays_flat(void **unused UNUSED)
{
	enum { JOBS = 100000, WINDOW = 10 };
	struct bench bench;
	long early = 0, late;

#ifdef __SANITIZE_ADDRESS__
	skip(); /* what is freed stays in its quarantine */
#endif
	open_bench(&bench, POOL_WORKERS);
	assert_int_equal(pool_spawn(bench.pool, 0), 0);
	assert_int_equal(pool_spawn(bench.pool, 1), 0);
	for (uint32_t done = 0; done < JOBS; done += WINDOW) {
		uint32_t want = bench.results + WINDOW + 1;

		for (uint32_t i = 0; i < WINDOW; i++)
			dispatch(&bench, 0, JOB_HUNGRY, (done + i) % ELEMENTS, 0);
		dispatch(&bench, 1, JOB_HUNGRY, done % ELEMENTS, 0);
		until(&bench, &bench.results, want);
		if (done == 4000) /* past what the allocator keeps for itself */
			early = anonymous_kib(pool_pid(bench.pool, 0));
	}
	late = anonymous_kib(pool_pid(bench.pool, 0));
	if (late > early + 512) /* 5 bytes a job */
		fail_msg("%ld KiB after 4,000 jobs, %ld after %d", early, late, JOBS);
	close_bench(&bench);
}

/* Many workers, many jobs, random deaths: every job ends exactly once. */
static void test_many(void **unused UNUSED)
{
	struct bench bench;
	size_t fds = count_fds();
	uint32_t done = 0;

	open_bench(&bench, POOL_WORKERS);
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t slot = i % SLOTS, results = bench.results, gones = bench.gones;

		if (pool_pid(bench.pool, slot) < 0)
			assert_int_equal(pool_spawn(bench.pool, slot), 0);
		dispatch(&bench, slot, i % 23 == 0 ? JOB_DIE : JOB_CHANGE, i % ELEMENTS, SIGKILL);
		while (bench.results == results && bench.gones == gones)
			assert_true(loop_turn(bench.loop, 1000000) >= 0);
		done++;
	}
	assert_int_equal(bench.results + bench.gones, done);
	assert_int_equal(bench.gones, (2000 + 22) / 23);
	close_bench(&bench);
	assert_int_equal(count_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),    cmocka_unit_test(test_cancelling),
		cmocka_unit_test(test_state_travels), cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_long_job),    cmocka_unit_test(test_we_slept),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_descendants), cmocka_unit_test(test_parent_killed),
		cmocka_unit_test(test_suspend),	    cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_window),	    cmocka_unit_test(test_manners),
		cmocka_unit_test(test_memory_stays_flat), cmocka_unit_test(test_many),
	};

	worker_test_hook = die_hook;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* workers/test_pool.c: real processes: jobs in all three modes, and what they see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/test_bench.h"

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
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_cancelling),
		cmocka_unit_test(test_state_travels),
		cmocka_unit_test(test_long_job),
		cmocka_unit_test(test_suspend),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_manners),
		cmocka_unit_test(test_memory_stays_flat),
		cmocka_unit_test(test_many),
	};

	worker_test_hook = die_hook;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* session/test_driver.c: whole pipelines through scheduler, pool, wire and state, in all three modes; failures, deaths,
 * retries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session/test_rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipeline), cmocka_unit_test(test_journal_is_reused), cmocka_unit_test(test_journal_starts_anew),
		cmocka_unit_test(test_failures), cmocka_unit_test(test_deaths), cmocka_unit_test(test_deaths_of_many),
		cmocka_unit_test(test_run_again), cmocka_unit_test(test_deaths_at_boundaries),
	};

	return cmocka_run_group_tests(tests, make_marks, drop_marks);
}

/* Workers that come, go and die; jobs that are sure of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sched/test_fixture.h"

static void workers_are_spawned_on_demand(void **state)
{
	struct fixture f;

	load(&f, "a b c d:a:b:c", B);
	begin(&f);
	expect_slow(&f, "spawn 0, spawn 1");
	assert_int_equal(counts(&f, SCHED_BUILD).running, 2);
	assert_int_equal(sched_worker_ready(f.s, 1), SCHED_OK);
	expect_slow(&f, "build a on 1");
	ok(&f, 'a');
	expect_slow(&f, "build b on 1"); /* no need to wait for worker 0 */
	assert_int_equal(sched_worker_ready(f.s, 0), SCHED_OK);
	expect_slow(&f, "build c on 0");
	assert_int_equal(sched_worker_ready(f.s, 0), SCHED_STALE);
	end(&f);
}

static void workers_that_die(void **state)
{
	struct fixture f;

	load(&f, "a", B);
	begin(&f);
	expect(&f, "build a on 0");
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_RETURNED);
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_STALE);
	expect(&f, "build a on 0");
	assert_int_equal(sched_job_started(f.s, f.job[0]), SCHED_OK);
	assert_int_equal(sched_job_started(f.s, f.job[0]), SCHED_STALE);
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_RETRIED);
	expect(&f, "build a on 0 again 2");
	assert_int_equal(sched_job_started(f.s, f.job[0]), SCHED_OK);
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_FAILED);
	assert_int_equal(finish(&f, 'a', SCHED_SUCCESS, 0), SCHED_STALE);
	expect(&f, "finished failed");
	end(&f);
}

static void a_job_that_kills_before_it_starts(void **state)
{
	struct fixture f;
	int fate = SCHED_RETURNED, times = 0;

	load(&f, "a", B);
	begin(&f);
	while (fate == SCHED_RETURNED || fate == SCHED_RETRIED) {
		commands(&f, true);
		fate = sched_worker_died(f.s, 0);
		assert_in_range(++times, 1, 20);
	}
	assert_int_equal(fate, SCHED_FAILED);
	expect(&f, "finished failed");
	end(&f);
}

static void spawns_that_fail(void **state)
{
	struct fixture f;

	load(&f, "a", B);
	f.config.spawn_retries = 1;
	begin(&f);
	expect_slow(&f, "spawn 0");
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_OK);
	expect_slow(&f, "spawn 0");
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_OK);
	expect_slow(&f, "finished no-workers");
	assert_int_equal(element(&f, 'a').state, SCHED_READY);
	end(&f);
}

static void fork_mode_serves_one_job_each(void **state)
{
	struct fixture f;

	load(&f, "a b c:a:b", B);
	f.config.mode = SCHED_FORK;
	f.config.max_workers = 1;
	begin(&f);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	expect(&f, "retire 0");
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_OK);
	expect(&f, "build b on 0");
	end(&f);
}

static void inline_mode_has_one_worker(void **state)
{
	struct fixture f;

	load(&f, "a b c:a:b", B);
	f.config.mode = SCHED_INLINE;
	begin(&f);
	expect_slow(&f, "build a on 0");
	ok(&f, 'a');
	expect_slow(&f, "build b on 0");
	ok(&f, 'b');
	expect_slow(&f, "build c on 0");
	ok(&f, 'c');
	expect_slow(&f, "finished success");
	end(&f);
}

static void workers_of_an_earlier_run(void **state)
{
	struct fixture f;

	load(&f, "a b:a", B);
	begin(&f);
	assert_int_equal(sched_worker_ready(f.s, 3), SCHED_OK);
	expect_slow(&f, "build a on 3");
	end(&f);
}

static void window_is_for_small_jobs(void **state)
{
	struct fixture f;

	load(&f, "a b c d:a:b", Q);
	memset(f.flags, SCHED_REQUIRED, 4);
	f.needs[2] = B;
	f.config.max_workers = 1;
	f.config.window = 2;
	begin(&f);
	expect(&f, "build c on 0"); /* nothing is queued behind a build */
	ok(&f, 'c');
	expect(&f, "query a on 0, query b on 0");
	assert_int_equal(sched_job_started(f.s, f.job[0]), SCHED_OK);
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_RETRIED);
	expect(&f, "query a on 0 again 2, query b on 0");
	ok(&f, 'a');
	expect(&f, "query d on 0");
	end(&f);
}

static void two_shared_jobs_die_with_their_worker(void **state)
{
	struct fixture f;
	struct sched_job_view view;

	load(&f, "a b", Q);
	f.flags[0] = SCHED_REQUIRED;
	f.config.max_workers = 1;
	f.config.window = 2;
	f.config.death_retries = 0;
	f.config.on_error = SCHED_ON_ERROR_TERMINATE;
	begin(&f);
	expect(&f, "query a on 0, query b on 0");
	assert_true(sched_worker_jobs(f.s, 0, 1, &view));
	assert_int_equal(view.element, 1);
	assert_int_equal(sched_job_started(f.s, f.job[0]), SCHED_OK);
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_FAILED); /* b is dropped: on_error is terminate */
	expect(&f, "finished failed");
	assert_int_equal(counts(&f, SCHED_QUERY).skipped, 1);
	end(&f);
}

/* What is sure of a worker that is being spawned goes back to its place when a limit falls, or on quit. */
static void claims_are_given_back(void **state)
{
	struct fixture f;

	load(&f, "a b c d:a:b:c", B);
	begin(&f);
	expect_slow(&f, "spawn 0, spawn 1");
	sched_set_limit(f.s, SCHED_PROCESS, 1);
	assert_int_equal(counts(&f, SCHED_BUILD).running, 0);
	assert_int_equal(counts(&f, SCHED_BUILD).waiting, 3);
	sched_set_limit(f.s, SCHED_PROCESS, 3);
	expect_slow(&f, "spawn 2");
	sched_set_limit(f.s, SCHED_PROCESS, 4);
	assert_int_equal(counts(&f, SCHED_BUILD).running, 3); /* more room is no reason */
	sched_quit(f.s);
	expect_slow(&f, "finished success");
	sched_continue(f.s);
	assert_int_equal(sched_worker_ready(f.s, 2), SCHED_OK);
	expect_slow(&f, "build a on 2"); /* in their old order */
	assert_int_equal(sched_worker_ready(f.s, 0), SCHED_OK);
	expect_slow(&f, "build b on 0");
	end(&f);
}

static void claimed_jobs_are_nobodys(void **state)
{
	struct fixture f;
	struct sched_job_view view;

	load(&f, "a", F);
	begin(&f);
	expect_slow(&f, "spawn 0");
	assert_true(sched_running(f.s, 0, &view));
	assert_int_equal(view.worker, SCHED_NONE);
	assert_int_equal(sched_job_started(f.s, view.job), SCHED_STALE);
	assert_int_equal(sched_job_done(f.s, view.job, SCHED_SUCCESS, 0), SCHED_STALE);
	assert_int_equal(sched_worker_ready(f.s, 0), SCHED_OK);
	expect(&f, "fetch a on 0");
	assert_int_equal(sched_job_done(f.s, f.job[0] + 65536, SCHED_SUCCESS, 0), SCHED_STALE);
	assert_int_equal(sched_job_started(f.s, f.job[0]), SCHED_OK);
	assert_true(sched_job(f.s, f.job[0], &view));
	assert_true(view.started);
	assert_false(view.cancelled);
	ok(&f, 'a');
	expect(&f, "finished success");
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_are_spawned_on_demand),
		cmocka_unit_test(workers_that_die),
		cmocka_unit_test(a_job_that_kills_before_it_starts),
		cmocka_unit_test(spawns_that_fail),
		cmocka_unit_test(fork_mode_serves_one_job_each),
		cmocka_unit_test(inline_mode_has_one_worker),
		cmocka_unit_test(workers_of_an_earlier_run),
		cmocka_unit_test(window_is_for_small_jobs),
		cmocka_unit_test(two_shared_jobs_die_with_their_worker),
		cmocka_unit_test(claims_are_given_back),
		cmocka_unit_test(claimed_jobs_are_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

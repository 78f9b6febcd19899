/* Every comparison at its bound, every number to the last one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sched/test_fixture.h"

static void all_required(struct fixture *f)
{
	memset(f->flags, SCHED_REQUIRED, f->graph.count);
}

/* ---- limits ---- */

static void only_a_tighter_limit_takes_claims_back(void **state)
{
	struct fixture f;

	load(&f, "a b c", F);
	all_required(&f);
	f.config.limits[SCHED_DOWNLOAD] = SCHED_UNLIMITED;
	begin(&f);
	expect_slow(&f, "spawn 0, spawn 1, spawn 2");
	assert_int_equal(counts(&f, SCHED_FETCH).running, 3);
	sched_set_limit(f.s, SCHED_DOWNLOAD, 2); /* there was none */
	assert_int_equal(counts(&f, SCHED_FETCH).running, 0);
	expect_slow(&f, "");
	assert_int_equal(counts(&f, SCHED_FETCH).running, 2);
	sched_set_limit(f.s, SCHED_DOWNLOAD, 2); /* the same */
	assert_int_equal(counts(&f, SCHED_FETCH).running, 2);
	sched_set_limit(f.s, SCHED_DOWNLOAD, SCHED_UNLIMITED); /* none */
	assert_int_equal(counts(&f, SCHED_FETCH).running, 2);
	expect_slow(&f, "");
	assert_int_equal(counts(&f, SCHED_FETCH).running, 3);
	end(&f);
}

static void idle_workers_above_the_limit_go_at_once(void **state)
{
	struct fixture f;
	struct sched_totals totals;

	load(&f, "a b c", B);
	all_required(&f);
	f.config.limits[SCHED_PROCESS] = 3;
	begin(&f);
	expect(&f, "build a on 0, build b on 1, build c on 2");
	ok(&f, 'a');
	ok(&f, 'b');
	ok(&f, 'c');
	expect(&f, "finished success");
	sched_set_limit(f.s, SCHED_SUBPROCESS, 3);
	expect(&f, "");
	sched_set_limit(f.s, SCHED_SUBPROCESS, 2);
	expect(&f, "retire 2");
	sched_set_limit(f.s, SCHED_SUBPROCESS, 1);
	expect(&f, "retire 1");
	sched_totals(f.s, &totals);
	assert_int_equal(totals.workers, 3); /* until they are gone */
	assert_int_equal(sched_worker_died(f.s, 1), SCHED_OK);
	assert_int_equal(sched_worker_died(f.s, 2), SCHED_OK);
	sched_totals(f.s, &totals);
	assert_int_equal(totals.workers, 1);
	assert_int_equal(totals.jobs, 3);
	assert_int_equal(totals.elements, 3);
	assert_int_equal(totals.session, 3);
	assert_int_equal(totals.unfinished, 0);
	end(&f);
}

/* One that is leaving still counts: its place is free when it is gone. */
static void no_spawn_beside_one_that_leaves(void **state)
{
	struct fixture f;

	load(&f, "a b", B);
	all_required(&f);
	begin(&f);
	expect_slow(&f, "spawn 0, spawn 1");
	sched_set_limit(f.s, SCHED_SUBPROCESS, 1);
	expect_slow(&f, "");
	assert_int_equal(counts(&f, SCHED_BUILD).running, 1);
	assert_int_equal(sched_worker_ready(f.s, 0), SCHED_OK);
	expect_slow(&f, "retire 0");
	assert_int_equal(sched_worker_died(f.s, 1), SCHED_OK); /* could not be spawned */
	expect_slow(&f, "");
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_OK);
	expect_slow(&f, "spawn 0");
	end(&f);
}

/* ---- configuration ---- */

static void what_is_no_queue_of_elements_is_left_out(void **state)
{
	struct fixture f;

	load(&f, "a", 0xff);
	f.config.queues = 0xff;
	begin(&f);
	assert_int_equal(element(&f, 'a').needs, SCHED_ALL_QUEUES);
	assert_int_equal(element(&f, 'a').queue, SCHED_TRACK);
	for (enum sched_queue queue = SCHED_TRACK; queue < SCHED_EXPIRE; queue++) {
		commands(&f, true);
		assert_int_equal(element(&f, 'a').queue, queue);
		assert_int_equal(element(&f, 'a').state, SCHED_ACTIVE);
		assert_int_equal(element(&f, 'a').attempt, 1);
		ok(&f, 'a');
	}
	expect(&f, "finished success");
	assert_int_equal(element(&f, 'a').queue, SCHED_QUEUES);
	assert_int_equal(element(&f, 'a').needs, 0);
	assert_int_equal(element(&f, 'a').state, SCHED_DONE);
	end(&f);
}

static void windows_are_for_pools(void **state)
{
	static const enum sched_mode modes[] = { SCHED_FORK, SCHED_INLINE };
	struct fixture f;

	for (size_t i = 0; i < 2; i++) {
		load(&f, "a b", Q);
		all_required(&f);
		f.config.mode = modes[i];
		f.config.max_workers = 1;
		f.config.window = 4;
		begin(&f);
		expect(&f, "query a on 0");
		end(&f);
	}
	load(&f, "a b", Q);
	all_required(&f);
	f.config.max_workers = 1;
	f.config.window = 0; /* one */
	begin(&f);
	expect(&f, "query a on 0");
	end(&f);
}

static void retries_are_bounded_whatever_was_asked_for(void **state)
{
	struct fixture f;
	uint32_t retried = 0;
	int fate;

	load(&f, "a", F);
	f.config.network_retries = UINT32_MAX;
	begin(&f);
	for (commands(&f, true); (fate = finish(&f, 'a', SCHED_TEMPORARY, 0)) == SCHED_RETRIED; commands(&f, true)) {
		commands(&f, true);
		assert_int_equal(sched_retry_due(f.s, 0), SCHED_OK);
		assert_in_range(++retried, 1, 30000);
	}
	assert_int_equal(fate, SCHED_FAILED);
	assert_int_equal(retried, 30000);
	end(&f);

	load(&f, "a", B);
	f.config.death_retries = UINT32_MAX;
	begin(&f);
	for (retried = 0; retried < 201; retried++) {
		commands(&f, true);
		assert_int_equal(sched_job_started(f.s, f.job[0]), SCHED_OK);
		assert_int_equal(sched_worker_died(f.s, 0), retried < 200 ? SCHED_RETRIED : SCHED_FAILED);
	}
	end(&f);
}

/* ---- weights ---- */

static void a_weight_counts_from_the_next_time(void **state)
{
	struct fixture f;

	load(&f, "a b:a c:a d:b:c", B);
	f.config.limits[SCHED_PROCESS] = 1;
	begin(&f);
	expect(&f, "build a on 0");
	sched_set_weight(f.s, 2, 9);
	ok(&f, 'a');
	expect(&f, "build c on 0");
	end(&f);
}

/* ---- the end, and what comes after ---- */

static void nothing_new_finishes_nothing_again(void **state)
{
	struct fixture f;

	load(&f, "a", B);
	begin(&f);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	assert_false(sched_finished(f.s));
	expect(&f, "finished success");
	assert_true(sched_finished(f.s));
	assert_int_equal(sched_change(f.s, 0, B, false), SCHED_STALE);
	assert_int_equal(sched_retry_due(f.s, 0), SCHED_STALE);
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_BUILD), SCHED_STALE);
	assert_true(sched_finished(f.s));
	expect(&f, "");
	end(&f);
}

static void give_up(struct fixture *f)
{
	f->config.spawn_retries = 1;
	begin(f);
	for (int i = 0; i < 2; i++) {
		expect_slow(f, "spawn 0");
		assert_int_equal(sched_worker_died(f->s, 0), SCHED_OK);
	}
	expect_slow(f, "finished no-workers");
}

static void who_comes_after_all_is_welcome(void **state)
{
	struct fixture f;

	load(&f, "a", B);
	give_up(&f);
	assert_int_equal(sched_worker_ready(f.s, 3), SCHED_OK);
	expect_slow(&f, "build a on 3");
	ok(&f, 'a');
	expect_slow(&f, "finished success");
	end(&f);
}

static void to_continue_is_to_try_again(void **state)
{
	struct fixture f;

	load(&f, "a", B);
	give_up(&f);
	sched_continue(f.s); /* nobody has quit */
	expect_slow(&f, "");
	sched_quit(f.s);
	sched_continue(f.s);
	expect_slow(&f, "spawn 0");
	end(&f);
}

/* Nothing is left to do, so it does not matter that nobody is there to do it. */
static void without_workers_and_without_work(void **state)
{
	struct fixture f;

	load(&f, "a", B);
	give_up(&f);
	sched_quit(f.s);
	sched_request_expiry(f.s); /* none starts after quit */
	assert_false(sched_finished(f.s));
	expect_slow(&f, "finished success");
	sched_continue(f.s);
	expect_slow(&f, "spawn 0");
	end(&f);
}

static void to_quit_twice_is_once(void **state)
{
	struct fixture f;

	load(&f, "a", B | U);
	f.config.max_workers = 1;
	begin(&f);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	sched_quit(f.s); /* its push goes on all the same */
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_OK);
	expect_slow(&f, "spawn 0");
	assert_int_equal(counts(&f, SCHED_PUSH).running, 1);
	sched_quit(f.s);
	assert_int_equal(counts(&f, SCHED_PUSH).running, 1);
	sched_terminate(f.s);
	assert_int_equal(counts(&f, SCHED_PUSH).running, 0);
	sched_terminate(f.s);
	expect_slow(&f, "finished terminated");
	end(&f);
}

/* ---- retries that a person asks for, in every state ---- */

static void what_is_dropped_lies_ahead(void **state)
{
	struct fixture f;

	load(&f, "a", B | U);
	begin(&f);
	expect(&f, "build a on 0");
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	expect(&f, "push a on 0");
	assert_int_equal(finish(&f, 'a', SCHED_SUCCESS, U | B), SCHED_OK); /* both behind it */
	expect(&f, "finished failed");
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_BUILD), SCHED_OK);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	expect(&f, "push a on 0");
	ok(&f, 'a');
	expect(&f, "finished success");
	assert_int_equal(counts(&f, SCHED_PUSH).processed, 2);
	end(&f);
}

static void retried_while_its_push_waits(void **state)
{
	struct fixture f;

	load(&f, "a", B | U);
	begin(&f);
	expect(&f, "build a on 0");
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	assert_int_equal(element(&f, 'a').state, SCHED_READY);
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_BUILD), SCHED_OK);
	expect(&f, "push a on 0");
	ok(&f, 'a');
	expect(&f, "build a on 0");
	assert_int_equal(counts(&f, SCHED_BUILD).failed, 0);
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	expect(&f, "push a on 0");
	assert_int_equal(finish(&f, 'a', SCHED_TEMPORARY, 0), SCHED_RETRIED);
	expect(&f, "retry a in 2");
	assert_int_equal(element(&f, 'a').state, SCHED_DELAYED);
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_BUILD), SCHED_OK);
	expect(&f, "");
	assert_int_equal(sched_retry_due(f.s, 0), SCHED_OK);
	expect(&f, "push a on 0 again 2");
	ok(&f, 'a');
	expect(&f, "build a on 0");
	end(&f);
}

/* The earliest queue that was asked for counts, whatever the order. */
static void retried_in_two_queues(void **state)
{
	struct fixture f;

	for (int i = 0; i < 2; i++) {
		load(&f, "a", B | U | SCHED_BIT(SCHED_SOURCE_PUSH));
		begin(&f);
		expect(&f, "build a on 0");
		assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
		expect(&f, "push a on 0");
		assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
		expect(&f, "source-push a on 0");
		assert_int_equal(sched_retry_failed(f.s, 0, i ? SCHED_PUSH : SCHED_BUILD), SCHED_OK);
		assert_int_equal(sched_retry_failed(f.s, 0, i ? SCHED_BUILD : SCHED_PUSH), SCHED_OK);
		ok(&f, 'a');
		expect(&f, "build a on 0");
		assert_int_equal(counts(&f, SCHED_BUILD).failed, 0);
		assert_int_equal(counts(&f, SCHED_PUSH).failed, 0);
		assert_int_equal(counts(&f, SCHED_PUSH).total, 0);
		assert_int_equal(sched_next_failed(f.s, 0), SCHED_NONE);
		end(&f);
	}
}

/* It failed before anybody required it; then its keys are said to be unknown again, then it is required. */
static void retried_without_keys(void **state)
{
	struct fixture f;

	load(&f, "a b:a", P | B);
	f.needs[0] = B | U;
	f.config.eager = T | Q | P | F | B;
	begin(&f);
	expect(&f, "build a on 0, pull b on 1");
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	assert_int_equal(element(&f, 'a').state, SCHED_AT_REST);
	assert_int_equal(sched_change(f.s, 0, B | U, true), SCHED_OK);
	assert_int_equal(element(&f, 'a').state, SCHED_AT_REST);
	assert_int_equal(finish(&f, 'b', SCHED_SKIPPED, 0), SCHED_OK);
	assert_int_equal(element(&f, 'a').state, SCHED_KEYLESS);
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_PUSH), SCHED_STALE);
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_BUILD), SCHED_OK);
	assert_int_equal(counts(&f, SCHED_BUILD).failed, 0);
	assert_int_equal(element(&f, 'a').state, SCHED_KEYLESS);
	assert_int_equal(element(&f, 'a').queue, SCHED_BUILD);
	expect(&f, "finished success");
	assert_int_equal(sched_change(f.s, 0, B | U, false), SCHED_OK);
	expect(&f, "build a on 0");
	end(&f);
}

/* ---- deaths of workers with several jobs ---- */

static void the_verdict_is_that_of_the_job_that_had_started(void **state)
{
	struct fixture f;

	load(&f, "a b", Q);
	all_required(&f);
	f.config.max_workers = 1;
	f.config.window = 2;
	begin(&f);
	expect(&f, "query a on 0, query b on 0");
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_RETURNED);
	expect(&f, "query a on 0, query b on 0");
	assert_int_equal(sched_job_started(f.s, f.job[1]), SCHED_OK);
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_RETRIED);
	expect(&f, "query a on 0, query b on 0 again 2");
	assert_int_equal(sched_job_started(f.s, f.job[0]), SCHED_OK);
	assert_int_equal(sched_job_started(f.s, f.job[1]), SCHED_OK);
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_FAILED); /* b, which comes after a */
	expect(&f, "query a on 0 again 2");
	assert_int_equal(counts(&f, SCHED_QUERY).failed, 1);
	end(&f);
}

/* A worker whose second job ends first still knows which is its last. */
static void jobs_end_out_of_order(void **state)
{
	struct fixture f;
	struct sched_job_view view;

	load(&f, "a b c d", Q);
	all_required(&f);
	f.config.max_workers = 1;
	f.config.window = 3;
	f.config.limits[SCHED_PROCESS] = 9;
	begin(&f);
	expect(&f, "query a on 0, query b on 0, query c on 0");
	ok(&f, 'c');
	expect(&f, "query d on 0");
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(sched_worker_jobs(f.s, 0, i, &view));
		assert_int_equal(view.element, i == 2 ? 3 : i);
		assert_int_equal(view.queue, SCHED_QUERY);
		assert_int_equal(view.attempt, 1);
		assert_int_equal(view.worker, 0);
		assert_true(view.job == f.job[view.element]);
	}
	assert_false(sched_worker_jobs(f.s, 0, 3, &view));
	ok(&f, 'b');
	ok(&f, 'a');
	ok(&f, 'd');
	assert_false(sched_running(f.s, 0, &view));
	expect(&f, "finished success");
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_tighter_limit_takes_claims_back),
		cmocka_unit_test(idle_workers_above_the_limit_go_at_once),
		cmocka_unit_test(no_spawn_beside_one_that_leaves),
		cmocka_unit_test(what_is_no_queue_of_elements_is_left_out),
		cmocka_unit_test(windows_are_for_pools),
		cmocka_unit_test(retries_are_bounded_whatever_was_asked_for),
		cmocka_unit_test(a_weight_counts_from_the_next_time),
		cmocka_unit_test(nothing_new_finishes_nothing_again),
		cmocka_unit_test(who_comes_after_all_is_welcome),
		cmocka_unit_test(to_continue_is_to_try_again),
		cmocka_unit_test(without_workers_and_without_work),
		cmocka_unit_test(to_quit_twice_is_once),
		cmocka_unit_test(what_is_dropped_lies_ahead),
		cmocka_unit_test(retried_while_its_push_waits),
		cmocka_unit_test(retried_in_two_queues),
		cmocka_unit_test(retried_without_keys),
		cmocka_unit_test(the_verdict_is_that_of_the_job_that_had_started),
		cmocka_unit_test(jobs_end_out_of_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

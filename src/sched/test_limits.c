/* Limits, expiry, fairness; what people see of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sched/test_fixture.h"

static void limits_hold_and_change(void **state)
{
	struct fixture f;

	load(&f, "a b c d e f:a:b:c:d:e", B);
	begin(&f);
	expect(&f, "build a on 0, build b on 1");
	sched_set_limit(f.s, SCHED_PROCESS, 4);
	expect(&f, "build c on 2, build d on 3");
	sched_set_limit(f.s, SCHED_SUBPROCESS, 1);
	expect(&f, "");
	ok(&f, 'a');
	ok(&f, 'b');
	expect(&f, "retire 0, retire 1");
	ok(&f, 'c');
	expect(&f, "retire 2");
	ok(&f, 'd');
	expect(&f, "build e on 3");
	end(&f);
}

static void expiry_is_alone_and_does_not_starve(void **state)
{
	struct fixture f;

	load(&f, "a b c d:a:b:c", B);
	begin(&f);
	expect(&f, "build a on 0, build b on 1");
	sched_request_expiry(f.s);
	sched_request_expiry(f.s);
	assert_int_equal(counts(&f, SCHED_EXPIRE).total, 1);
	ok(&f, 'a');
	expect(&f, "");
	ok(&f, 'b');
	expect(&f, "expire - on 0");
	assert_int_equal(sched_job_done(f.s, f.expiry, SCHED_FAILURE, 0), SCHED_FAILED);
	expect(&f, "build c on 0");
	assert_int_equal(counts(&f, SCHED_EXPIRE).failed, 1);
	end(&f);
}

static void builds_do_not_starve_fetches(void **state)
{
	struct fixture f;

	load(&f, "a b c d e:a:b:c:d", B);
	f.needs[2] = f.needs[3] = F | B;
	f.config.max_workers = 2;
	begin(&f);
	expect(&f, "build a on 0, fetch c on 1");
	ok(&f, 'c');
	expect(&f, "fetch d on 1");
	end(&f);
}

/* Only who has a worker already leaves the last one to others: whoever shares the cache is no rival in that. */
static void who_has_no_worker_need_not_yield(void **state)
{
	struct fixture f;

	load(&f, "a b c", 0);
	f.needs[2] = B;
	f.flags[0] = f.flags[1] = SCHED_REQUIRED | SCHED_HELD;
	f.config.max_workers = 2;
	begin(&f);
	expect(&f, "build c on 0");
	assert_int_equal(sched_change(f.s, 0, U, false), SCHED_OK);
	assert_int_equal(sched_change(f.s, 1, F, false), SCHED_OK);
	expect(&f, "push a on 1");
	ok(&f, 'a');
	expect(&f, "fetch b on 1");
	end(&f);
}

static void heavy_goes_first(void **state)
{
	struct fixture f;

	load(&f, "a b c d e:a:b:c:d", B);
	f.weights[1] = 5;
	f.weights[3] = INT32_MAX;
	f.config.limits[SCHED_PROCESS] = 1;
	begin(&f);
	expect(&f, "build d on 0");
	sched_set_weight(f.s, 2, 9); /* it is in the queue already */
	ok(&f, 'd');
	expect(&f, "build b on 0");
	ok(&f, 'b');
	expect(&f, "build a on 0"); /* as heavy as c, and was ready before it */
	end(&f);
}

/* Claims whose workers never came go back to where they were taken from, in their order. */
static void unclaimed_keep_their_places(void **state)
{
	struct fixture f;

	load(&f, "a b c d e", B);
	f.weights[4] = 1;
	f.config.limits[SCHED_PROCESS] = 4;
	f.config.max_workers = 4;
	for (int e = 0; e < 5; e++)
		f.flags[e] = SCHED_REQUIRED;
	begin(&f);
	expect_slow(&f, "spawn 0, spawn 1, spawn 2, spawn 3"); /* for e, a, b and c */
	sched_set_limit(f.s, SCHED_PROCESS, 1);
	assert_null(sched_check(f.s));
	assert_int_equal(sched_worker_ready(f.s, 0), SCHED_OK);
	expect_slow(&f, "build e on 0");
	ok(&f, 'e');
	expect(&f, "build a on 0");
	ok(&f, 'a');
	expect(&f, "build b on 0");
	ok(&f, 'b');
	expect(&f, "build c on 0");
	ok(&f, 'c');
	expect(&f, "build d on 0");
	end(&f);
}

static void suspend_and_resume(void **state)
{
	struct fixture f;

	load(&f, "a b:a", B);
	begin(&f);
	expect(&f, "build a on 0");
	sched_suspend(f.s);
	ok(&f, 'a');
	expect(&f, "");
	sched_resume(f.s);
	expect(&f, "build b on 0");
	sched_suspend(f.s);
	ok(&f, 'b');
	expect(&f, "");
	sched_resume(f.s);
	expect(&f, "finished success");
	end(&f);
}

static void views(void **state)
{
	struct fixture f;
	struct sched_job_view view;

	load(&f, "a b c:a:b", B);
	begin(&f);
	expect(&f, "build a on 0, build b on 1");
	assert_true(sched_running(f.s, 1, &view));
	assert_false(sched_running(f.s, 2, &view));
	assert_false(sched_running(f.s, SCHED_NONE, &view));
	assert_true(sched_job(f.s, f.job[1], &view));
	assert_int_equal(view.worker, 1);
	assert_true(sched_worker_jobs(f.s, 0, 0, &view));
	assert_int_equal(view.element, 0);
	assert_false(sched_worker_jobs(f.s, 0, 1, &view));
	assert_false(sched_job(f.s, 0, &view));
	end(&f);
}

static void expiry_survives_its_worker(void **state)
{
	struct fixture f;

	load(&f, "a", 0);
	begin(&f);
	expect(&f, "finished success");
	sched_request_expiry(f.s);
	expect_slow(&f, "spawn 0");
	sched_request_expiry(f.s); /* it waits for its worker: no second one */
	assert_int_equal(counts(&f, SCHED_EXPIRE).total, 1);
	sched_quit(f.s); /* it goes back, but is not forgotten */
	expect_slow(&f, "finished success");
	sched_continue(f.s);
	assert_int_equal(sched_worker_ready(f.s, 0), SCHED_OK);
	expect(&f, "expire - on 0");
	sched_request_expiry(f.s); /* that one runs: another */
	assert_int_equal(counts(&f, SCHED_EXPIRE).total, 2);
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_RETURNED);
	assert_int_equal(counts(&f, SCHED_EXPIRE).waiting, 1);
	expect(&f, "expire - on 0");
	assert_int_equal(sched_job_started(f.s, f.expiry), SCHED_OK);
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_FAILED);
	expect(&f, "finished success");
	assert_int_equal(counts(&f, SCHED_EXPIRE).failed, 1);
	end(&f);
}

static void expiry_that_kills_before_it_starts(void **state)
{
	struct fixture f;
	uint32_t times = 0;

	load(&f, "a", 0);
	begin(&f);
	sched_request_expiry(f.s);
	do {
		commands(&f, true);
		assert_in_range(++times, 1, 20);
	} while (sched_worker_died(f.s, 0) == SCHED_RETURNED);
	assert_int_equal(times, 9);
	expect(&f, "finished success");
	sched_request_expiry(f.s); /* a new one starts with a clean slate */
	expect(&f, "expire - on 0");
	assert_int_equal(sched_worker_died(f.s, 0), SCHED_RETURNED);
	expect(&f, "expire - on 0");
	assert_int_equal(sched_job_done(f.s, f.expiry, SCHED_SUCCESS, 0), SCHED_OK);
	expect(&f, "finished success");
	end(&f);
}

/* The file of names is complete, and the table of cells too. */
static void names_and_cells(void **state)
{
	struct fixture f;
	uint64_t all = 0, bugs = 0;

	load(&f, "a", B);
	begin(&f);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	for (uint32_t i = 0; i < sched_cell_count(); i++) {
		const char *table, *of, *event;
		bool possible;
		uint64_t hits;

		sched_cell(f.s, i, &table, &of, &event, &possible, &hits);
		assert_non_null(table);
		assert_non_null(of);
		assert_non_null(event);
		all += hits;
		bugs += !possible && hits;
	}
	assert_int_equal(all, 9); /* element: required, claimed, passed; job: dispatch, success; worker: spawn, ready, get, leave */
	assert_int_equal(bugs, 0);
	for (unsigned queue = 0; queue < SCHED_QUEUES; queue++)
		assert_non_null(sched_queue_name(queue));
	assert_string_equal(sched_queue_name(SCHED_QUEUES), "end");
	assert_string_equal(sched_resource_name(SCHED_SUBPROCESS), "subprocess");
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_hold_and_change),
		cmocka_unit_test(expiry_is_alone_and_does_not_starve),
		cmocka_unit_test(builds_do_not_starve_fetches),
		cmocka_unit_test(who_has_no_worker_need_not_yield),
		cmocka_unit_test(heavy_goes_first),
		cmocka_unit_test(unclaimed_keep_their_places),
		cmocka_unit_test(suspend_and_resume),
		cmocka_unit_test(views),
		cmocka_unit_test(expiry_survives_its_worker),
		cmocka_unit_test(expiry_that_kills_before_it_starts),
		cmocka_unit_test(names_and_cells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

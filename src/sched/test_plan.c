/* What is required, what is ready, what becomes of failures, retries, quit and terminate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sched/test_fixture.h"

static void chain_is_built_in_order(void **state)
{
	struct fixture f;

	load(&f, "a b:a c:b", B);
	begin(&f);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	expect(&f, "build b on 0");
	ok(&f, 'b');
	expect(&f, "build c on 0");
	assert_true(element(&f, 'b').ready);
	ok(&f, 'c');
	expect(&f, "finished success");
	expect(&f, "");
	assert_int_equal(counts(&f, SCHED_BUILD).processed, 3);
	assert_int_equal(counts(&f, SCHED_FETCH).skipped, 3);
	end(&f);
}

static void diamond_waits_for_both(void **state)
{
	struct fixture f;

	load(&f, "a b:a c:a d:b:c", B);
	begin(&f);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	expect(&f, "build b on 0, build c on 1");
	ok(&f, 'c');
	expect(&f, "");
	ok(&f, 'b');
	expect(&f, "build d on 0");
	ok(&f, 'd');
	expect(&f, "finished success");
	end(&f);
}

static void build_waits_for_runtime_closure(void **state)
{
	struct fixture f;

	/* d builds with c, c runs with b, b runs with a. */
	load(&f, "a b;a c;b d:c", B);
	f.config.limits[SCHED_PROCESS] = 9;
	f.config.max_workers = 9;
	begin(&f);
	expect(&f, "build c on 0, build b on 1, build a on 2");
	ok(&f, 'c');
	ok(&f, 'b');
	expect(&f, "");
	assert_true(element(&f, 'c').built);
	assert_false(element(&f, 'c').ready);
	ok(&f, 'a');
	expect(&f, "build d on 0");
	end(&f);
}

static void cached_target_needs_nothing_below(void **state)
{
	struct fixture f;

	load(&f, "a b:a", B | P);
	begin(&f);
	expect(&f, "pull b on 0");
	assert_int_equal(finish(&f, 'b', SCHED_SUCCESS, F | B), SCHED_OK);
	expect(&f, "finished success");
	assert_false(element(&f, 'a').required);
	assert_int_equal(counts(&f, SCHED_BUILD).skipped, 1);
	end(&f);
}

static void pull_miss_makes_dependencies_required(void **state)
{
	struct fixture f;

	load(&f, "a b:a c;a d:b", B | P | F);
	f.flags[2] = 0;
	begin(&f);
	expect(&f, "pull d on 0");
	assert_int_equal(finish(&f, 'd', SCHED_SKIPPED, 0), SCHED_OK);
	expect(&f, "fetch d on 0, pull b on 1");
	assert_int_equal(finish(&f, 'b', SCHED_SUCCESS, F | B), SCHED_OK);
	expect(&f, "");
	ok(&f, 'd');
	expect(&f, "build d on 0");
	assert_false(element(&f, 'a').required);
	assert_false(element(&f, 'c').required);
	ok(&f, 'd');
	expect(&f, "finished success");
	end(&f);
}

static void pulled_element_waits_for_its_runtime_dependencies(void **state)
{
	struct fixture f;

	load(&f, "a b;a c:b", B | P);
	f.needs[2] = B;
	begin(&f);
	expect(&f, "pull b on 0, pull a on 1");
	assert_int_equal(finish(&f, 'b', SCHED_SUCCESS, B), SCHED_OK);
	expect(&f, "");
	assert_int_equal(finish(&f, 'a', SCHED_SKIPPED, 0), SCHED_OK);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	expect(&f, "build c on 0");
	end(&f);
}

static void late_keys(void **state)
{
	struct fixture f;

	load(&f, "a b:a", T | F | B);
	f.flags[0] |= SCHED_HELD;
	f.flags[1] |= SCHED_HELD;
	begin(&f);
	expect(&f, "track a on 0, track b on 1");
	ok(&f, 'b');
	expect(&f, "");
	ok(&f, 'a');
	assert_int_equal(sched_change(f.s, 0, B, false), SCHED_OK);
	assert_int_equal(element(&f, 'b').state, SCHED_KEYLESS);
	assert_int_equal(sched_change(f.s, 1, B, false), SCHED_OK);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	expect(&f, "build b on 0");
	ok(&f, 'b');
	assert_int_equal(sched_change(f.s, 1, B, false), SCHED_STALE);
	expect(&f, "finished success");
	end(&f);
}

static void keyless_for_ever_finishes(void **state)
{
	struct fixture f;
	struct sched_totals totals;

	load(&f, "a b:a", B);
	f.flags[1] |= SCHED_HELD;
	begin(&f);
	expect(&f, "finished success");
	sched_totals(f.s, &totals);
	assert_int_equal(totals.session, 2); /* they came to the eager queues */
	assert_int_equal(totals.unfinished, 2);
	assert_int_equal(sched_change(f.s, 1, B, false), SCHED_OK);
	expect(&f, "build a on 0");
	end(&f);
}

static void excluded_elements_block_or_not(void **state)
{
	struct fixture f;

	load(&f, "a b c:a:b", B);
	f.flags[0] = f.flags[1] = SCHED_OUTSIDE;
	f.needs[0] = 0;
	begin(&f);
	expect(&f, "finished success"); /* b is not cached and will not be built */
	assert_int_equal(element(&f, 'c').state, SCHED_BLOCKED);
	end(&f);
}

static void failure_blocks_dependants_only(void **state)
{
	struct fixture f;
	struct sched_totals totals;

	load(&f, "a b c:a d:b e:c:d", B);
	begin(&f);
	expect(&f, "build a on 0, build b on 1");
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	ok(&f, 'b');
	expect(&f, "build d on 0");
	ok(&f, 'd');
	expect(&f, "finished failed");
	sched_totals(f.s, &totals);
	assert_int_equal(totals.failures, 1);
	assert_int_equal(totals.unfinished, 2);
	assert_int_equal(sched_next_failed(f.s, 0), 0);
	assert_int_equal(sched_next_failed(f.s, 1), SCHED_NONE);
	end(&f);
}

static void quit_carries_running_jobs_to_their_end(void **state)
{
	struct fixture f;

	load(&f, "a b c d:a:b:c", B | U);
	f.config.on_error = SCHED_ON_ERROR_QUIT;
	begin(&f);
	expect(&f, "build a on 0, build b on 1");
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	expect(&f, "push a on 0"); /* failures are shared, and pushes come behind the build */
	ok(&f, 'b');
	expect(&f, "push b on 1");
	ok(&f, 'a');
	ok(&f, 'b');
	expect(&f, "finished failed");
	sched_continue(f.s);
	expect(&f, "build c on 0");
	end(&f);
}

static void terminate_cancels(void **state)
{
	struct fixture f;

	load(&f, "a b c d:a:b:c", B);
	f.config.on_error = SCHED_ON_ERROR_TERMINATE;
	begin(&f);
	expect(&f, "build a on 0, build b on 1");
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	expect(&f, "cancel b on 1");
	assert_int_equal(finish(&f, 'b', SCHED_CANCELLED, 0), SCHED_DROPPED);
	expect(&f, "finished failed");
	assert_int_equal(counts(&f, SCHED_BUILD).skipped, 1);
	end(&f);
}

static void terminate_by_user(void **state)
{
	struct fixture f;

	load(&f, "a b c:a:b", B);
	begin(&f);
	expect(&f, "build a on 0, build b on 1");
	sched_suspend(f.s);
	sched_terminate(f.s);
	expect(&f, "cancel a on 0, cancel b on 1");
	ok(&f, 'a'); /* it was quicker */
	assert_int_equal(sched_worker_died(f.s, 1), SCHED_DROPPED);
	assert_int_equal(finish(&f, 'b', SCHED_CANCELLED, 0), SCHED_STALE);
	expect(&f, "finished terminated");
	end(&f);
}

static void unasked_cancellation_is_a_failure(void **state)
{
	struct fixture f;

	load(&f, "a", B);
	begin(&f);
	expect(&f, "build a on 0");
	assert_int_equal(finish(&f, 'a', SCHED_CANCELLED, 0), SCHED_FAILED);
	expect(&f, "finished failed");
	end(&f);
}

static void network_jobs_are_retried(void **state)
{
	struct fixture f;

	load(&f, "a", F | B);
	f.config.network_retries = 1;
	begin(&f);
	expect(&f, "fetch a on 0");
	assert_int_equal(finish(&f, 'a', SCHED_TEMPORARY, 0), SCHED_RETRIED);
	assert_int_equal(sched_retry_due(f.s, 0), SCHED_STALE); /* not told yet */
	expect(&f, "retry a in 2");
	sched_quit(f.s); /* what was begun is carried on */
	expect(&f, "");
	assert_int_equal(sched_retry_due(f.s, 0), SCHED_OK);
	assert_int_equal(sched_retry_due(f.s, 0), SCHED_STALE);
	expect(&f, "fetch a on 0 again 2");
	assert_int_equal(finish(&f, 'a', SCHED_TEMPORARY, 0), SCHED_FAILED);
	expect(&f, "finished failed");
	assert_int_equal(counts(&f, SCHED_FETCH).failed, 1);
	end(&f);
}

static void builds_are_not_retried(void **state)
{
	struct fixture f;

	load(&f, "a", B);
	begin(&f);
	expect(&f, "build a on 0");
	assert_int_equal(finish(&f, 'a', SCHED_TEMPORARY, 0), SCHED_FAILED);
	end(&f);
}

static void user_retries(void **state)
{
	struct fixture f;

	load(&f, "a b:a", B | U);
	begin(&f);
	expect(&f, "build a on 0");
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	expect(&f, "push a on 0");
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_FETCH), SCHED_STALE);
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_BUILD), SCHED_OK); /* once the push is over */
	ok(&f, 'a');
	expect(&f, "build a on 0");
	assert_int_equal(counts(&f, SCHED_BUILD).failed, 0);
	assert_int_equal(counts(&f, SCHED_BUILD).total, 2);
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	expect(&f, "push a on 0");
	ok(&f, 'a');
	expect(&f, "finished failed");
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_BUILD), SCHED_OK);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	expect(&f, "push a on 0, build b on 1");
	ok(&f, 'a');
	ok(&f, 'b');
	expect(&f, "push b on 0");
	ok(&f, 'b');
	expect(&f, "finished success");
	end(&f);
}

/* A timer that goes off before anybody was told of it belongs to nobody. */
static void an_early_timer_is_nobodys(void **state)
{
	struct fixture f;

	load(&f, "a", F);
	f.config.network_retries = 3;
	begin(&f);
	expect(&f, "fetch a on 0");
	for (uint32_t attempt = 2; attempt < 4; attempt++) {
		assert_int_equal(finish(&f, 'a', SCHED_TEMPORARY, 0), SCHED_RETRIED);
		assert_int_equal(sched_retry_due(f.s, 0), SCHED_STALE);
		expect(&f, attempt == 2 ? "retry a in 2" : "retry a in 3");
		assert_int_equal(sched_retry_due(f.s, 0), SCHED_OK);
		assert_int_equal(sched_retry_due(f.s, 0), SCHED_STALE);
		expect(&f, attempt == 2 ? "fetch a on 0 again 2" : "fetch a on 0 again 3");
	}
	end(&f);
}

/* It failed to build before anybody required it, and rests before the push that nobody required either. */
static void a_person_retries_what_rests(void **state)
{
	struct fixture f;
	struct sched_element_view view;

	load(&f, "a b", 0);
	f.needs[0] = B | U;
	f.config.eager = T | Q | P | F | B;
	begin(&f);
	expect(&f, "build a on 0");
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	expect(&f, "finished failed");
	sched_element_view(f.s, 0, &view);
	assert_int_equal(view.state, SCHED_AT_REST);
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_PUSH), SCHED_STALE);
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_BUILD), SCHED_OK);
	expect(&f, "build a on 0");
	ok(&f, 'a');
	expect(&f, "finished success");
	end(&f);
}

static void terminated_for_good(void **state)
{
	struct fixture f;

	load(&f, "a b:a", F | B);
	begin(&f);
	expect(&f, "fetch b on 0, fetch a on 1");
	assert_int_equal(finish(&f, 'a', SCHED_FAILURE, 0), SCHED_FAILED);
	sched_terminate(f.s);
	sched_quit(f.s);
	sched_continue(f.s);
	assert_int_equal(sched_retry_failed(f.s, 0, SCHED_FETCH), SCHED_STALE);
	expect(&f, "cancel b on 0");
	assert_int_equal(finish(&f, 'b', SCHED_TEMPORARY, 0), SCHED_DROPPED);
	expect(&f, "finished failed");
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain_is_built_in_order),
		cmocka_unit_test(diamond_waits_for_both),
		cmocka_unit_test(build_waits_for_runtime_closure),
		cmocka_unit_test(cached_target_needs_nothing_below),
		cmocka_unit_test(pull_miss_makes_dependencies_required),
		cmocka_unit_test(pulled_element_waits_for_its_runtime_dependencies),
		cmocka_unit_test(late_keys),
		cmocka_unit_test(keyless_for_ever_finishes),
		cmocka_unit_test(excluded_elements_block_or_not),
		cmocka_unit_test(failure_blocks_dependants_only),
		cmocka_unit_test(quit_carries_running_jobs_to_their_end),
		cmocka_unit_test(terminate_cancels),
		cmocka_unit_test(terminate_by_user),
		cmocka_unit_test(unasked_cancellation_is_a_failure),
		cmocka_unit_test(network_jobs_are_retried),
		cmocka_unit_test(builds_are_not_retried),
		cmocka_unit_test(user_retries),
		cmocka_unit_test(an_early_timer_is_nobodys),
		cmocka_unit_test(a_person_retries_what_rests),
		cmocka_unit_test(terminated_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Small graphs, scripted events, expected commands.  The simulator (tests/sim) does the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "sched/sched.h"

#define ELEMENTS 16
enum { B = 1u << SCHED_BUILD, P = 1u << SCHED_PULL, F = 1u << SCHED_FETCH, T = 1u << SCHED_TRACK, U = 1u << SCHED_PUSH,
       Q = 1u << SCHED_QUERY };

struct fixture {
	struct sched *s;
	struct sched_config config;
	uint32_t build_start[ELEMENTS + 1], build_deps[ELEMENTS * ELEMENTS], run_start[ELEMENTS + 1], run_deps[ELEMENTS * ELEMENTS];
	uint8_t needs[ELEMENTS], flags[ELEMENTS];
	uint32_t weights[ELEMENTS];
	struct sched_graph graph;
	uint64_t job[ELEMENTS];      /* last dispatched, by element */
	uint32_t worker[ELEMENTS];
	uint64_t expiry;
	struct buf said;
};

/* "a b:a c:a;b": one word per element, in alphabetical order; ':' before each build dependency, ';' before each runtime
 * one.  All need `needs`; only the last is required. */
static void load(struct fixture *f, const char *text, uint8_t needs)
{
	uint32_t n = 0, b = 0, r = 0;

	memset(f, 0, sizeof(*f));
	for (const char *c = text; *c; c++) {
		if (*c == ' ')
			continue;
		if (*c == ':') {
			f->build_deps[b++] = (uint32_t)(*++c - 'a');
		} else if (*c == ';') {
			f->run_deps[r++] = (uint32_t)(*++c - 'a');
		} else {
			assert_int_equal(*c - 'a', n);
			n++;
		}
		f->build_start[n] = b;
		f->run_start[n] = r;
	}
	memset(f->needs, needs, n);
	f->flags[n - 1] = SCHED_REQUIRED;
	f->graph = (struct sched_graph){ n, f->build_start, f->build_deps, f->run_start, f->run_deps,
					 f->needs, f->flags, f->weights };
	sched_config_default(&f->config, 2, 2, 2);
	f->config.on_error = SCHED_ON_ERROR_CONTINUE;
	f->config.queues = SCHED_ALL_QUEUES;
}

static void begin(struct fixture *f)
{
	f->s = sched_new(&f->config, &f->graph);
}

static void end(struct fixture *f)
{
	assert_null(sched_check(f->s));
	sched_free(f->s);
	buf_release(&f->said);
}

static const char *const outcomes[] = { "no-workers", "failed", "terminated", "success" };

static void say(struct fixture *f, const struct sched_command *c)
{
	char name = c->element == SCHED_NONE ? '-' : (char)('a' + c->element);

	if (f->said.len)
		buf_adds(&f->said, ", ");
	switch (c->type) {
	case SCHED_SPAWN:
		buf_printf(&f->said, "spawn %u", c->worker);
		break;
	case SCHED_DISPATCH:
		assert_true(c->attempt >= 1 && c->job != 0);
		buf_printf(&f->said, "%s %c on %u", sched_queue_name(c->queue), name, c->worker);
		if (c->attempt > 1)
			buf_printf(&f->said, " again %u", c->attempt);
		if (c->element == SCHED_NONE) {
			f->expiry = c->job;
		} else {
			f->job[c->element] = c->job;
			f->worker[c->element] = c->worker;
		}
		break;
	case SCHED_CANCEL:
		buf_printf(&f->said, "cancel %c on %u", name, c->worker);
		break;
	case SCHED_RETIRE:
		buf_printf(&f->said, "retire %u", c->worker);
		break;
	case SCHED_RETRY_IN:
		buf_printf(&f->said, "retry %c in %u", name, c->attempt);
		break;
	case SCHED_FINISHED:
		buf_printf(&f->said, "finished %s", outcomes[c->outcome]);
		break;
	}
}

/* Commands as text; spawned workers are ready at once. */
static const char *commands(struct fixture *f, bool spawn_at_once)
{
	struct sched_command command;

	buf_clear(&f->said);
	while (sched_next(f->s, &command)) {
		assert_null(sched_check(f->s));
		if (command.type == SCHED_SPAWN && spawn_at_once)
			assert_int_equal(sched_worker_ready(f->s, command.worker), SCHED_OK);
		else
			say(f, &command);
	}
	assert_null(sched_check(f->s));
	return buf_text(&f->said);
}
#define expect(f, text) assert_string_equal(commands(f, true), text)
#define expect_slow(f, text) assert_string_equal(commands(f, false), text)

static int finish(struct fixture *f, char name, enum sched_result result, uint32_t drop)
{
	return sched_job_done(f->s, f->job[name - 'a'], result, drop);
}
#define ok(f, name) assert_int_equal(finish(f, name, SCHED_SUCCESS, 0), SCHED_OK)

static struct sched_counts counts(struct fixture *f, enum sched_queue queue)
{
	struct sched_counts c;

	sched_counts(f->s, queue, &c);
	return c;
}

static struct sched_element_view element(struct fixture *f, char name)
{
	struct sched_element_view v;

	sched_element_view(f->s, (uint32_t)(name - 'a'), &v);
	return v;
}

/* ---- plans ---- */

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

/* ---- failures ---- */

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

/* ---- workers ---- */

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

/* ---- resources ---- */

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

static void heavy_goes_first(void **state)
{
	struct fixture f;

	load(&f, "a b c d:a:b:c", B);
	f.weights[1] = 5;
	f.config.limits[SCHED_PROCESS] = 1;
	begin(&f);
	expect(&f, "build b on 0");
	sched_set_weight(f.s, 2, 9); /* it is in the queue already */
	ok(&f, 'b');
	expect(&f, "build a on 0");
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
		cmocka_unit_test(workers_are_spawned_on_demand),
		cmocka_unit_test(workers_that_die),
		cmocka_unit_test(a_job_that_kills_before_it_starts),
		cmocka_unit_test(spawns_that_fail),
		cmocka_unit_test(fork_mode_serves_one_job_each),
		cmocka_unit_test(inline_mode_has_one_worker),
		cmocka_unit_test(workers_of_an_earlier_run),
		cmocka_unit_test(window_is_for_small_jobs),
		cmocka_unit_test(limits_hold_and_change),
		cmocka_unit_test(expiry_is_alone_and_does_not_starve),
		cmocka_unit_test(builds_do_not_starve_fetches),
		cmocka_unit_test(who_has_no_worker_need_not_yield),
		cmocka_unit_test(an_early_timer_is_nobodys),
		cmocka_unit_test(a_person_retries_what_rests),
		cmocka_unit_test(heavy_goes_first),
		cmocka_unit_test(suspend_and_resume),
		cmocka_unit_test(views),
		cmocka_unit_test(expiry_survives_its_worker),
		cmocka_unit_test(expiry_that_kills_before_it_starts),
		cmocka_unit_test(claims_are_given_back),
		cmocka_unit_test(claimed_jobs_are_nobodys),
		cmocka_unit_test(two_shared_jobs_die_with_their_worker),
		cmocka_unit_test(terminated_for_good),
		cmocka_unit_test(names_and_cells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

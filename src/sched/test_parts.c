/* The scheduler's small parts: ready queues, sets of slots, empty graphs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "sched/sched_internal.h"

static void no_elements_no_edges(void **state)
{
	struct sched_config config;
	struct sched_command command;
	uint8_t needs[2] = { SCHED_BIT(SCHED_BUILD), SCHED_BIT(SCHED_BUILD) };
	struct sched_graph graph = { .count = 0 };
	struct sched *s;

	sched_config_default(&config, 100000, 1, 1);
	assert_int_equal(config.max_workers, 4096);
	sched_free(NULL);
	s = sched_new(&config, &graph);
	assert_true(sched_next(s, &command));
	assert_int_equal(command.outcome, SCHED_END_SUCCESS);
	sched_free(s);
	graph = (struct sched_graph){ .count = 2, .needs = needs }; /* all required, all equal, no edges */
	s = sched_new(&config, &graph);
	assert_null(sched_check(s));
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(sched_next(s, &command));
		assert_int_equal(command.type, SCHED_SPAWN);
		assert_int_equal(command.incarnation, i + 1);
	}
	assert_false(sched_next(s, &command));
	sched_free(s);
	config.max_workers = 0; /* one at least */
	s = sched_new(&config, &graph);
	assert_true(sched_next(s, &command));
	assert_int_equal(command.type, SCHED_SPAWN);
	assert_false(sched_next(s, &command));
	sched_free(s);
}

/* Whatever is pushed, pushed back and taken: always the first of the heaviest line, as a look at all of them says. */
static void ready_keeps_order(void **state)
{
	static const uint32_t spreads[] = { 1, 3, 200, 100000, INT32_MAX };
	uint64_t random = 7;

	for (size_t i = 0; i < ARRAY_SIZE(spreads); i++) {
		enum { COUNT = 200 };
		struct element elements[COUNT] = { 0 };
		int64_t places[COUNT] = { 0 }, next = 1, back = -1; /* 0: not in it */
		struct ready ready = { 0 };

		for (int step = 0; step < 5000; step++) {
			uint32_t e = random_below(&random, COUNT), first = SCHED_NONE;

			if (!places[e]) {
				elements[e].weight = random_below(&random, spreads[i]);
				elements[e].line = (uint16_t)ready_line(elements[e].weight);
				places[e] = random_below(&random, 3) ? next++ : back--;
				(places[e] > 0 ? ready_push : ready_push_back)(&ready, elements, e);
				continue;
			}
			for (e = 0; e < COUNT; e++) {
				if (places[e] && (first == SCHED_NONE || elements[e].line < elements[first].line ||
						  (elements[e].line == elements[first].line && places[e] < places[first])))
					first = e;
			}
			assert_int_equal(ready_pop(&ready, elements), first);
			places[first] = 0;
		}
	}
}

/* Every line is there, none twice; more weight is never further back; within a line there is no more than a 64th between. */
static void lines_are_weights_heaviest_first(void **state)
{
	uint32_t before = READY_LINES, least = 0;

	for (uint64_t weight = 0; weight <= INT32_MAX; weight += weight < 300 ? 1 : weight / 300) {
		uint32_t line = ready_line((uint32_t)weight);

		assert_true(line == before || line + 1 == before);
		if (line != before)
			least = (uint32_t)weight;
		assert_true((weight - least) * 64 <= least);
		before = line;
	}
	assert_int_equal(ready_line(0), READY_LINES - 1);
	assert_int_equal(ready_line(127), READY_LINES - 128);
	assert_int_equal(ready_line(128), ready_line(129));
	assert_int_equal(ready_line(INT32_MAX), 0);
}

static void slots_find_and_count(void **state)
{
	struct slots slots = { 0 };

	slots_add(&slots, 63);
	slots_add(&slots, 64);
	slots_add(&slots, 4095);
	slots_remove(&slots, 5); /* not in it */
	assert_int_equal(slots.count, 3);
	assert_int_equal(slots_lowest(&slots), 63);
	assert_int_equal(slots_highest(&slots), 4095);
	assert_int_equal(slots_from(&slots, 64), 64);
	assert_int_equal(slots_from(&slots, 65), 4095);
	assert_int_equal(slots_from(&slots, 4096), 63);
	slots_remove(&slots, 4095);
	assert_int_equal(slots_from(&slots, 65), 63);
	assert_false(slots_has(&slots, 4095));
	slots_remove(&slots, 63);
	assert_int_equal(slots_lowest(&slots), 64);
	assert_int_equal(slots_highest(&slots), 64);
}

static void critical_paths(void **state)
{
	/* c runs with a and builds with b; d builds with c; e stands alone. */
	static const uint32_t build_start[] = { 0, 0, 0, 1, 2, 2 }, build_deps[] = { 1, 2 };
	static const uint32_t run_start[] = { 0, 0, 0, 1, 1, 1 }, run_deps[] = { 0 };
	static const uint32_t cycle_start[] = { 0, 1, 2, 2 }, cycle_deps[] = { 1, 0 };
	struct sched_graph graph = { .count = 5, .build_start = build_start, .build_deps = build_deps,
				     .run_start = run_start, .run_deps = run_deps };
	static const uint32_t later_build[] = { 0, 0, 1, 1 }, later_run[] = { 0, 1, 1, 1 }, later_deps[] = { 2 };
	uint32_t durations[] = { 1, 10, 100, 1000, 5 }, weights[5];

	sched_weigh(&graph, durations, weights);
	assert_int_equal(weights[3], 1000);
	assert_int_equal(weights[2], 1100);
	assert_int_equal(weights[1], 1110);
	assert_int_equal(weights[0], 1001); /* d waits for it, c does not */
	assert_int_equal(weights[4], 5);
	durations[3] = UINT32_MAX;
	sched_weigh(&graph, durations, weights);
	assert_int_equal(weights[2], INT32_MAX);
	/* 0 runs with 2 and 1 builds with 0: so 1 waits for 2 as well, whose number is higher */
	durations[3] = 1000;
	graph = (struct sched_graph){ .count = 3, .build_start = later_build, .build_deps = run_deps,
				      .run_start = later_run, .run_deps = later_deps };
	sched_weigh(&graph, durations, weights);
	assert_int_equal(weights[1], 10);
	assert_int_equal(weights[0], 11);
	assert_int_equal(weights[2], 110);
	graph = (struct sched_graph){ .count = 3, .build_start = cycle_start, .build_deps = cycle_deps };
	sched_weigh(&graph, durations, weights);
	assert_int_equal(weights[0], 0);
	assert_int_equal(weights[2], 100);
	graph = (struct sched_graph){ .count = 2 };
	sched_weigh(&graph, durations, weights);
	assert_int_equal(weights[1], 10);
}

/* Ids that nobody was given, whatever slot they name. */
static void count_change(void *data, uint32_t element, uint32_t weight)
{
	uint32_t *told = data;

	told[element] = weight;
}

/* Durations that grow, one after the other, come to what all of them would have weighed from the beginning. */
static void weighed_again_is_weighed_anew(void **state)
{
	enum { COUNT = 60 };
	uint32_t build_start[COUNT + 1], build_deps[COUNT * 2], run_start[COUNT + 1], run_deps[COUNT], durations[COUNT],
		weights[COUNT], anew[COUNT], told[COUNT];
	uint64_t random = 11;

	for (int round = 0; round < 50; round++) {
		struct sched_graph graph = { .count = COUNT, .build_start = build_start, .build_deps = build_deps,
					     .run_start = run_start, .run_deps = run_deps };
		uint32_t b = 0, r = 0;

		for (uint32_t e = 0; e < COUNT; e++) {
			build_start[e] = b;
			run_start[e] = r;
			if (e > 1) {
				build_deps[b++] = random_below(&random, e / 2);
				build_deps[b++] = e / 2 + random_below(&random, e - e / 2);
			}
			if (e > 0 && random_below(&random, 2))
				run_deps[r++] = random_below(&random, e);
			durations[e] = random_below(&random, 100);
		}
		build_start[COUNT] = b;
		run_start[COUNT] = r;
		sched_weigh(&graph, durations, weights);
		memcpy(told, weights, sizeof(told));
		for (int step = 0; step < 40; step++) {
			uint32_t e = random_below(&random, COUNT);

			sched_weigh_again(&graph, durations, weights, e, durations[e] + random_below(&random, 200), count_change, told);
			sched_weigh(&graph, durations, anew);
			assert_memory_equal(weights, anew, sizeof(anew));
			assert_memory_equal(weights, told, sizeof(told));
		}
		sched_weigh_again(&graph, durations, weights, COUNT - 1, UINT32_MAX, count_change, told);
		assert_int_equal(weights[COUNT - 1], INT32_MAX); /* cut, as all that it uses */
		assert_int_equal(weights[build_deps[build_start[COUNT - 1]]], INT32_MAX);
		assert_memory_equal(weights, told, sizeof(told));
	}
}

static void strange_ids_are_stale(void **state)
{
	uint8_t needs[1] = { SCHED_BIT(SCHED_BUILD) };
	struct sched_graph graph = { .count = 1, .needs = needs };
	struct sched_config config;
	struct sched *s;

	sched_config_default(&config, 1, 1, 1);
	s = sched_new(&config, &graph);
	for (uint64_t slot = 0; slot < 65536; slot++) {
		assert_int_equal(sched_job_done(s, UINT64_C(7) << 16 | slot, SCHED_SUCCESS, 0), SCHED_STALE);
		assert_int_equal(sched_job_started(s, UINT64_C(7) << 16 | slot), SCHED_STALE);
	}
	sched_free(s);
}

/* Whoever counts as built stays so: what was known about it cannot become unknown. */
static void what_is_built_is_never_held(void **state)
{
	static const uint32_t start[] = { 0, 0, 1 }, deps[] = { 0 };
	static const uint8_t flags[] = { 0, SCHED_REQUIRED };
	uint8_t needs[2] = { SCHED_BIT(SCHED_PUSH), SCHED_BIT(SCHED_PULL) | SCHED_BIT(SCHED_BUILD) };
	struct sched_graph graph = { .count = 2, .build_start = start, .build_deps = deps, .needs = needs, .flags = flags };
	struct sched_config config;
	struct sched_command command;
	struct sched *s;

	sched_config_default(&config, 1, 1, 1);
	s = sched_new(&config, &graph);
	assert_int_equal(sched_change(s, 0, SCHED_BIT(SCHED_PUSH), true), SCHED_OK);
	while (sched_next(s, &command) && command.type != SCHED_DISPATCH)
		assert_int_equal(sched_worker_ready(s, command.worker), SCHED_OK);
	assert_int_equal(command.queue, SCHED_PULL);
	/* The pull misses: so 1 must be built, 0 becomes required, and is pushed at once. */
	assert_int_equal(sched_job_done(s, command.job, SCHED_SKIPPED, 0), SCHED_OK);
	for (uint32_t pushed = 0; !pushed;) {
		assert_true(sched_next(s, &command));
		if (command.type == SCHED_SPAWN)
			assert_int_equal(sched_worker_ready(s, command.worker), SCHED_OK);
		pushed = command.type == SCHED_DISPATCH && command.queue == SCHED_PUSH;
	}
	assert_int_equal(command.element, 0);
	sched_free(s);
}

/* What counts is how many spawns failed in a row. */
static void one_good_spawn_forgives_all(void **state)
{
	uint8_t needs[4] = { SCHED_BIT(SCHED_BUILD), SCHED_BIT(SCHED_BUILD), SCHED_BIT(SCHED_BUILD), SCHED_BIT(SCHED_BUILD) };
	struct sched_graph graph = { .count = 4, .needs = needs };
	struct sched_config config;
	struct sched_command command;
	struct sched *s;

	sched_config_default(&config, 1, 1, 1);
	config.spawn_retries = 1;
	config.max_workers = 1;
	s = sched_new(&config, &graph);
	for (int round = 0; round < 3; round++) {
		assert_true(sched_next(s, &command));
		assert_int_equal(command.type, SCHED_SPAWN);
		assert_int_equal(sched_worker_died(s, command.worker), SCHED_OK);
		assert_true(sched_next(s, &command));
		assert_int_equal(command.type, SCHED_SPAWN);
		assert_int_equal(sched_worker_ready(s, command.worker), SCHED_OK);
		assert_true(sched_next(s, &command));
		assert_int_equal(command.type, SCHED_DISPATCH);
		assert_int_equal(sched_job_done(s, command.job, SCHED_SUCCESS, 0), SCHED_OK);
		assert_int_equal(sched_worker_died(s, command.worker), SCHED_OK);
	}
	sched_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_elements_no_edges),
		cmocka_unit_test(ready_keeps_order),
		cmocka_unit_test(lines_are_weights_heaviest_first),
		cmocka_unit_test(critical_paths),
		cmocka_unit_test(weighed_again_is_weighed_anew),
		cmocka_unit_test(strange_ids_are_stale),
		cmocka_unit_test(one_good_spawn_forgives_all),
		cmocka_unit_test(what_is_built_is_never_held),
		cmocka_unit_test(slots_find_and_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

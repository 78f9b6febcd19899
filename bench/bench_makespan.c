/* Does it help to know what is long?  A real graph, built in virtual time by the shipping scheduler.
 *
 * usage: bench_makespan GRAPH [--seeds N]       GRAPH: see tests/sim/data
 *
 * Durations are drawn: most builds short, few very long (1 s .. about 20 minutes, median 15 s), as in distributions.  For
 * each number of builders: the makespan of first in, first out; of critical paths by true durations (what a second run
 * of the same stack knows), by durations that are off by up to a factor of two either way, and by the number of steps
 * alone (nothing known); and the bound no schedule can beat: the longer of the critical path and all work shared out
 * evenly.  Means over the seeds, in seconds; one line of JSON for each number of builders.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct job {
	uint64_t id, end_ms;
	uint32_t element;
};

static uint32_t draw_ms(uint64_t *random)
{
	uint64_t ms = 1000 + random_below(random, 28000);

	while (random_below(random, 5) == 0 && ms < 600000)
		ms *= 2 + random_below(random, 2);
	return (uint32_t)ms;
}

static void finish_first(struct sched *s, struct job *running, uint32_t *count, uint64_t *now_ms)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < *count; i++) {
		if (running[i].end_ms < running[first].end_ms)
			first = i;
	}
	*now_ms = running[first].end_ms;
	sched_job_done(s, running[first].id, SCHED_SUCCESS, 0);
	running[first] = running[--*count];
}

static uint64_t makespan_ms(const struct sim_graph *g, const uint32_t *durations, const uint32_t *weights, uint32_t builders)
{
	struct sched_config config;
	struct sched_command c;
	struct job running[64];
	uint32_t count = 0;
	uint64_t now_ms = 0;
	struct sched *s;

	sched_config_default(&config, builders, 1, 1);
	s = sched_new(&config, &(struct sched_graph){ g->count, g->build_start, g->build_deps, g->run_start, g->run_deps,
						      g->needs, NULL, weights });
	for (;;) {
		while (sched_next(s, &c)) {
			if (c.type == SCHED_SPAWN)
				sched_worker_ready(s, c.worker);
			if (c.type == SCHED_DISPATCH)
				running[count++] = (struct job){ c.job, now_ms + durations[c.element], c.element };
			if (c.type == SCHED_FINISHED) {
				sched_free(s);
				return now_ms;
			}
		}
		finish_first(s, running, &count, &now_ms);
	}
}

enum policy { FIFO, TRUE_PATHS, ROUGH_PATHS, STEPS, BOUND, POLICIES };

static void one_seed(const struct sim_graph *g, uint64_t seed, uint32_t builders, double *sums_s)
{
	uint32_t *durations = xcalloc(g->count, 4), *guesses = xcalloc(g->count, 4), *weights = xcalloc(g->count, 4);
	const struct sched_graph edges = { g->count, g->build_start, g->build_deps, g->run_start, g->run_deps,
					   NULL, NULL, NULL };
	uint64_t random = seed, all = 0, longest = 0;

	for (uint32_t e = 0; e < g->count; e++) {
		durations[e] = draw_ms(&random);
		guesses[e] = (uint32_t)((uint64_t)durations[e] * (50 + random_below(&random, 151)) / 100);
		all += durations[e];
	}
	sums_s[FIFO] += (double)makespan_ms(g, durations, NULL, builders) / 1e3;
	sched_weigh(&edges, durations, weights);
	for (uint32_t e = 0; e < g->count; e++)
		longest = MAX(longest, weights[e]);
	sums_s[BOUND] += (double)MAX(longest, all / builders) / 1e3;
	sums_s[TRUE_PATHS] += (double)makespan_ms(g, durations, weights, builders) / 1e3;
	sched_weigh(&edges, guesses, weights);
	sums_s[ROUGH_PATHS] += (double)makespan_ms(g, durations, weights, builders) / 1e3;
	for (uint32_t e = 0; e < g->count; e++)
		guesses[e] = 1;
	sched_weigh(&edges, guesses, weights);
	sums_s[STEPS] += (double)makespan_ms(g, durations, weights, builders) / 1e3;
	free(durations);
	free(guesses);
	free(weights);
}

int main(int argc, char **argv)
{
	static const uint32_t builders[] = { 2, 4, 8, 16, 32 };
	uint64_t seeds = argc > 3 && str_eq(argv[2], "--seeds") ? strtoull(argv[3], NULL, 10) : 20;
	struct sim_graph g;

	if (argc < 2)
		return 2;
	sim_graph_load(&g, argv[1]);
	g.needs = xcalloc(g.count, 1);
	memset(g.needs, SCHED_BIT(SCHED_BUILD), g.count);
	for (uint32_t i = 0; i < ARRAY_SIZE(builders); i++) {
		double sums_s[POLICIES] = { 0 };
		double n = (double)MAX(seeds, UINT64_C(1));

		for (uint64_t seed = 1; seed <= seeds; seed++)
			one_seed(&g, seed, builders[i], sums_s);
		printf("{\"elements\": %u, \"builders\": %u, \"fifo_s\": %.0f, \"paths_s\": %.0f, \"rough_paths_s\": %.0f, "
		       "\"steps_s\": %.0f, \"bound_s\": %.0f}\n", g.count, builders[i], sums_s[FIFO] / n,
		       sums_s[TRUE_PATHS] / n, sums_s[ROUGH_PATHS] / n, sums_s[STEPS] / n, sums_s[BOUND] / n);
	}
	sim_graph_release(&g);
	return 0;
}

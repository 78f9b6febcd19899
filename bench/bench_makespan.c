/* Does it help to know what is long?  A real graph, built in virtual time by the shipping scheduler, or by sleeping workers.
 *
 * usage: bench_makespan GRAPH [--seeds N] [--builders N]... [--run DIVISOR]      GRAPH: see tests/sim/data
 *
 * A line of the graph may end with a third column, milliseconds: recorded durations.  Without, durations are drawn: most builds
 * short, few very long (1 s .. about 20 minutes, median 15 s), as in distributions, and sums are means over the seeds.  For
 * each number of builders: the makespan of first in, first out; of critical paths by true durations (what a second run
 * of the same stack knows), by durations that are off by up to a factor of two either way, and by the number of steps
 * alone (nothing known); and the bound no schedule can beat: the longer of the critical path and all work shared out
 * evenly.  In seconds; one line of JSON for each number of builders.
 *
 * --run: for true, through scheduler, pool and wire, in workers that sleep for the durations divided by that number; first in,
 * first out and critical paths, in recorded durations' seconds.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_driver.h"
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

/* What each element takes, and what is guessed of it. */
struct times {
	uint32_t *durations_ms, *guesses_ms, *weights;
};

static struct sched_graph edges_of(const struct sim_graph *g)
{
	return (struct sched_graph){ g->count, g->build_start, g->build_deps, g->run_start, g->run_deps, NULL, NULL, NULL };
}

static void policies(const struct sim_graph *g, struct times *t, uint32_t builders, double *sums_s)
{
	const struct sched_graph edges = edges_of(g);
	uint64_t all = 0, longest = 0;

	for (uint32_t e = 0; e < g->count; e++)
		all += t->durations_ms[e];
	sums_s[FIFO] += (double)makespan_ms(g, t->durations_ms, NULL, builders) / 1e3;
	sched_weigh(&edges, t->durations_ms, t->weights);
	for (uint32_t e = 0; e < g->count; e++)
		longest = MAX(longest, t->weights[e]);
	sums_s[BOUND] += (double)MAX(longest, all / builders) / 1e3;
	sums_s[TRUE_PATHS] += (double)makespan_ms(g, t->durations_ms, t->weights, builders) / 1e3;
	sched_weigh(&edges, t->guesses_ms, t->weights);
	sums_s[ROUGH_PATHS] += (double)makespan_ms(g, t->durations_ms, t->weights, builders) / 1e3;
	for (uint32_t e = 0; e < g->count; e++)
		t->guesses_ms[e] = 1;
	sched_weigh(&edges, t->guesses_ms, t->weights);
	sums_s[STEPS] += (double)makespan_ms(g, t->durations_ms, t->weights, builders) / 1e3;
}

/* recorded_ms NULL: durations are drawn. */
static void one_seed(const struct sim_graph *g, const uint32_t *recorded_ms, uint64_t seed, uint32_t builders, double *sums_s)
{
	struct times t = { xcalloc(g->count, 4), xcalloc(g->count, 4), xcalloc(g->count, 4) };
	uint64_t random = seed;

	for (uint32_t e = 0; e < g->count; e++) {
		t.durations_ms[e] = recorded_ms ? recorded_ms[e] : draw_ms(&random);
		t.guesses_ms[e] = (uint32_t)((uint64_t)t.durations_ms[e] * (50 + random_below(&random, 151)) / 100);
	}
	policies(g, &t, builders, sums_s);
	free(t.durations_ms);
	free(t.guesses_ms);
	free(t.weights);
}

static void on_paper(const struct sim_graph *g, const uint32_t *recorded_ms, uint32_t builders, uint64_t seeds)
{
	double sums_s[POLICIES] = { 0 }, n = (double)MAX(seeds, UINT64_C(1));

	for (uint64_t seed = 1; seed <= seeds; seed++)
		one_seed(g, recorded_ms, seed, builders, sums_s);
	printf("{\"elements\": %u, \"builders\": %u, \"fifo_s\": %.1f, \"paths_s\": %.1f, \"rough_paths_s\": %.1f, "
	       "\"steps_s\": %.1f, \"bound_s\": %.1f}\n", g->count, builders, sums_s[FIFO] / n,
	       sums_s[TRUE_PATHS] / n, sums_s[ROUGH_PATHS] / n, sums_s[STEPS] / n, sums_s[BOUND] / n);
}

/* --- for true --- */

struct sleeping {
	const uint32_t *durations_ms;
	uint32_t divisor;
};

static int sleep_job(struct worker_job *job)
{
	const struct sleeping *sleeping = job->context;

	worker_wait(job, NULL, 0, util_now_us() + (int64_t)sleeping->durations_ms[job->element] * 1000 / sleeping->divisor);
	return 0;
}

static const struct worker_type types[] = { { .name = "sleep", .run = sleep_job } };

static void on_started(void *data UNUSED, const struct driver_job *job UNUSED)
{
}

static void on_ended(void *data UNUSED, const struct driver_job *job UNUSED, enum driver_end end,
		     const struct wire_result *result UNUSED, const char *lost UNUSED)
{
	if (end != DRIVER_DONE)
		bug("a job that sleeps ended as %d", (int)end);
}

static const struct driver_events events = {
	.started = on_started, .ended = on_ended, BENCH_QUIET_EVENTS
};

/* Seconds that the recorded durations would have taken. */
static double run_s(const struct sim_graph *g, struct sleeping *sleeping, const uint32_t *weights, uint32_t builders)
{
	struct sched_graph plan = edges_of(g);
	struct driver_config config = { .plan = &plan, .events = &events };
	struct state *state = state_new(g->count);
	enum sched_outcome outcome;
	struct driver *driver;
	struct graph graph;
	int64_t us;

	plan.needs = g->needs;
	plan.weights = weights;
	graph_init(&graph);
	sched_config_default(&config.sched, builders, 1, 1);
	config.worker = (struct worker_config){ .types = types, .type_count = 1, .graph = &graph, .state = state,
						.context = sleeping };
	if (driver_new(&driver, &config) < 0)
		bug("no driver");
	us = util_now_us();
	if (driver_run(driver, &outcome) < 0 || outcome != SCHED_END_SUCCESS)
		bug("the run ended as %d", (int)outcome);
	us = util_now_us() - us;
	driver_free(driver);
	state_free(state);
	graph_release(&graph);
	return (double)us / 1e6 * sleeping->divisor;
}

/* The two orders in turns, as often as seeds says; the best of each. */
static void for_true(const struct sim_graph *g, const uint32_t *durations_ms, uint32_t divisor, uint32_t builders, uint64_t rounds)
{
	const struct sched_graph edges = edges_of(g);
	struct sleeping sleeping = { durations_ms, divisor };
	uint32_t *weights = xcalloc(g->count, 4);
	double fifo_s = 1e9, paths_s = 1e9;

	sched_weigh(&edges, durations_ms, weights);
	for (uint64_t i = 0; i < MAX(rounds, UINT64_C(1)); i++) {
		fifo_s = MIN(fifo_s, run_s(g, &sleeping, NULL, builders));
		paths_s = MIN(paths_s, run_s(g, &sleeping, weights, builders));
	}
	printf("{\"elements\": %u, \"builders\": %u, \"divisor\": %u, \"fifo_s\": %.1f, \"paths_s\": %.1f}\n", g->count, builders,
	       divisor, fifo_s, paths_s);
	fflush(stdout);
	free(weights);
}

/* The third column, or NULL if the first element has none. */
static uint32_t *read_durations(const char *path, uint32_t count)
{
	static char line[1 << 16];
	uint32_t *durations_ms = xcalloc(count, 4), e = 0;
	bool any = true;
	FILE *f = fopen(path, "r");

	while (f && any && e < count && fgets(line, sizeof(line), f)) {
		const char *column = line[0] == '#' ? NULL : strchr(line, ';');

		if (!column)
			continue; /* a comment, the number of elements */
		column = strchr(column + 1, ';');
		any = column != NULL;
		durations_ms[e++] = any ? (uint32_t)strtoul(column + 1, NULL, 10) : 0;
	}
	if (f)
		fclose(f);
	if (!any || e < count) {
		free(durations_ms);
		return NULL;
	}
	return durations_ms;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seeds", 1, NULL, 's' }, { "builders", 1, NULL, 'b' }, { "run", 1, NULL, 'r' }, { 0 } };
	uint32_t builders[32] = { 2, 4, 8, 16, 32 }, count = 0, seeds = 20, divisor = 0;
	struct sim_graph g;
	uint32_t *recorded_ms;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 's': seeds = bench_number(optarg, 100000); break;
		case 'b': builders[count++ % ARRAY_SIZE(builders)] = bench_number(optarg, 64); break;
		case 'r': divisor = bench_number(optarg, 1000000); break;
		default: return 2;
		}
	if (optind + 1 != argc)
		return 2;
	sim_graph_load(&g, argv[optind]);
	g.needs = xcalloc(g.count, 1);
	memset(g.needs, SCHED_BIT(SCHED_BUILD), g.count);
	recorded_ms = read_durations(argv[optind], g.count);
	if (divisor && !recorded_ms) {
		fprintf(stderr, "bench_makespan: no durations were recorded for %s\n", argv[optind]);
		return 2;
	}
	for (uint32_t i = 0; i < (count ? MIN(count, (uint32_t)ARRAY_SIZE(builders)) : 5); i++) {
		if (divisor)
			for_true(&g, recorded_ms, divisor, builders[i], seeds);
		else
			on_paper(&g, recorded_ms, builders[i], seeds);
	}
	free(recorded_ms);
	sim_graph_release(&g);
	return 0;
}

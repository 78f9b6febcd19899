/* CPU that the scheduler takes for each job, from a thousand to a million elements.
 *
 * usage: bench_sched [--elements N]...     default: 1000 10000 100000 1000000
 *
 * The shipping scheduler, with workers that answer at once: what is left is the parent's own work for SPAWN, DISPATCH,
 * started and done.  Three shapes: wide (everything on a few bases), layers (three build and one runtime dependency in
 * the layer before), chain.  Each element has a fetch and a build, or a pull that misses, a fetch and a build.  Weights are
 * critical paths of random durations, as in a session, or random themselves, which makes every step a walk to somewhere
 * else in memory.  Prints one line of JSON for each run: per job, and what sched_new costs per element.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "sched/sched.h"

enum shape { WIDE, LAYERS, CHAIN, SHAPES };
static const char *const shape_names[SHAPES] = { "wide", "layers", "chain" };

struct graph {
	uint32_t *build_start, *build_deps, *run_start, *run_deps, *weights;
	uint8_t *needs, *flags;
};

static double cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static uint32_t dep(enum shape shape, uint32_t e, uint32_t k, uint64_t *random)
{
	uint32_t layer = 1000;

	if (shape == CHAIN)
		return k == 0 ? e - 1 : SCHED_NONE;
	if (shape == WIDE)
		return e >= 8 ? k : SCHED_NONE;
	if (e < layer)
		return SCHED_NONE;
	return e / layer * layer - layer + (random_below(random, layer / 4) + k * (layer / 4)) % layer;
}

static void weigh(struct graph *g, uint32_t n, bool paths)
{
	uint32_t *durations = xcalloc(n, 4);
	uint64_t random = 2;

	for (uint32_t e = 0; e < n; e++)
		durations[e] = random_below(&random, 100000);
	if (paths)
		sched_weigh(&(struct sched_graph){ .count = n, .build_start = g->build_start, .build_deps = g->build_deps,
						   .run_start = g->run_start, .run_deps = g->run_deps }, durations, g->weights);
	else
		memcpy(g->weights, durations, (size_t)n * 4);
	free(durations);
}

static void make(struct graph *g, enum shape shape, uint32_t n, uint8_t needs)
{
	uint64_t random = 1;
	uint32_t b = 0, r = 0;

	g->build_start = xcalloc((size_t)n + 1, 4);
	g->run_start = xcalloc((size_t)n + 1, 4);
	g->build_deps = xcalloc((size_t)n * 3 + 1, 4);
	g->run_deps = xcalloc((size_t)n + 1, 4);
	g->weights = xcalloc(n, 4);
	g->needs = xcalloc(n, 1);
	g->flags = xcalloc(n, 1);
	memset(g->needs, needs, n);
	for (uint32_t e = 0; e < n; e++) {
		for (uint32_t k = 0; k < 4 && e > 0; k++) {
			uint32_t d = dep(shape, e, k, &random);

			if (d != SCHED_NONE && k < 3)
				g->build_deps[b++] = d;
			else if (d != SCHED_NONE)
				g->run_deps[r++] = d;
		}
		g->build_start[e + 1] = b;
		g->run_start[e + 1] = r;
		g->flags[e] = SCHED_REQUIRED;
	}
}

static void release(struct graph *g)
{
	free(g->build_start);
	free(g->run_start);
	free(g->build_deps);
	free(g->run_deps);
	free(g->weights);
	free(g->needs);
	free(g->flags);
}

/* Carries out all commands until there are none; returns true when it has finished. */
static bool turn(struct sched *s, uint64_t *running, uint32_t *count)
{
	struct sched_command c;

	while (sched_next(s, &c)) {
		if (c.type == SCHED_SPAWN)
			sched_worker_ready(s, c.worker);
		else if (c.type == SCHED_DISPATCH)
			running[(*count)++] = c.job;
		else if (c.type == SCHED_FINISHED)
			return true;
	}
	return false;
}

static void run(enum shape shape, uint32_t n, uint8_t needs, bool paths, const char *what)
{
	struct sched_config config;
	struct graph g;
	struct sched_totals totals;
	uint64_t running[64];
	uint32_t count = 0;
	double start, made, ended;
	struct sched *s;

	make(&g, shape, n, needs);
	weigh(&g, n, paths);
	sched_config_default(&config, 8, 8, 4);
	config.on_error = SCHED_ON_ERROR_CONTINUE;
	start = cpu_us();
	s = sched_new(&config, &(struct sched_graph){ n, g.build_start, g.build_deps, g.run_start, g.run_deps, g.needs,
						      g.flags, g.weights });
	made = cpu_us();
	while (!turn(s, running, &count)) {
		uint64_t job = running[0]; /* the one that has run longest ends */

		memmove(running, running + 1, --count * sizeof(*running));
		sched_job_started(s, job);
		sched_job_done(s, job, SCHED_SUCCESS, 0);
	}
	ended = cpu_us();
	sched_totals(s, &totals);
	if (totals.unfinished || totals.failures)
		bug("bench_sched: %u unfinished", totals.unfinished);
	printf("{\"shape\": \"%s\", \"weights\": \"%s\", \"jobs_per_element\": \"%s\", \"elements\": %u, \"jobs\": %llu, \"us_per_job\": %.3f, "
	       "\"us_per_element_new\": %.3f}\n", shape_names[shape],
	       paths ? "paths" : "random", what, n, (unsigned long long)totals.jobs,
	       (ended - made) / (double)totals.jobs, (made - start) / n);
	fflush(stdout);
	sched_free(s);
	release(&g);
}

static void run_all(uint32_t n)
{
	for (unsigned i = 0; i < SHAPES * 2; i++) {
		run(i / 2, n, SCHED_BIT(SCHED_FETCH) | SCHED_BIT(SCHED_BUILD), i % 2 == 0, "fetch, build");
		run(i / 2, n, SCHED_BIT(SCHED_PULL) | SCHED_BIT(SCHED_FETCH) | SCHED_BIT(SCHED_BUILD), i % 2 == 0,
		    "pull, fetch, build");
	}
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = { 1000, 10000, 100000, 1000000 };
	bool any = false;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!str_eq(argv[i], "--elements"))
			return 2;
		run_all((uint32_t)strtoul(argv[i + 1], NULL, 10));
		any = true;
	}
	for (unsigned i = 0; !any && i < ARRAY_SIZE(sizes); i++)
		run_all(sizes[i]);
	return 0;
}

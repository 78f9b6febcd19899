/* Random graphs: chains, wide ones, diamonds (layers), trees, and random mixtures. */
#include <stdlib.h>

#include "sim.h"

struct edges {
	uint32_t *list, count, cap;
};

/* Picks up to `want` different dependencies of the element at place i in the order, by shape. */
static uint32_t pick_deps(uint32_t shape, uint32_t i, uint32_t want, uint64_t *random, uint32_t *ret)
{
	uint32_t n = 0, layer = 8;

	for (uint32_t k = 0; k < want && i > 0; k++) {
		uint32_t d;
		bool twice = false;

		if (shape == 0)
			d = i - 1; /* chain */
		else if (shape == 1)
			d = random_below(random, MIN(i, 3u)); /* wide: a few bases */
		else if (shape == 2)
			d = i < layer ? 0 : i / layer * layer - 1 - random_below(random, layer); /* layers */
		else if (shape == 3)
			d = (i - 1) / 2; /* tree */
		else
			d = random_below(random, i);
		for (uint32_t j = 0; j < n; j++)
			twice |= ret[j] == d;
		if (!twice && d < i)
			ret[n++] = d;
	}
	return n;
}

static void make_row(uint32_t count, const uint32_t *name, const uint32_t *place, uint32_t shape, uint32_t most,
		     uint64_t *random, uint32_t **ret_start, uint32_t **ret_deps)
{
	uint32_t *start = xcalloc(count + 1, sizeof(*start)), *deps = xcalloc((size_t)count * 4 + 1, sizeof(*deps));

	for (uint32_t e = 0; e < count; e++) {
		uint32_t at = start[e];
		uint32_t n = pick_deps(shape, place[e], random_below(random, most + 1), random, deps + at);

		for (uint32_t k = 0; k < n; k++)
			deps[at + k] = name[deps[at + k]];
		start[e + 1] = at + n;
	}
	*ret_start = start;
	*ret_deps = deps;
}

static uint8_t random_needs(uint64_t *random, uint32_t style)
{
	uint32_t bits = (uint32_t)random_next(random) & SCHED_ALL_QUEUES;

	if (style == 0) /* a build with everything */
		return SCHED_ALL_QUEUES & ~SCHED_BIT(SCHED_TRACK);
	if (style == 1) /* builds, some cached */
		return random_below(random, 4) ? SCHED_BIT(SCHED_FETCH) | SCHED_BIT(SCHED_BUILD) : 0;
	if (style == 2)
		return (uint8_t)(bits | SCHED_BIT(SCHED_BUILD));
	return (uint8_t)bits;
}

void sim_graph_make(struct sim_graph *graph, uint64_t *random, uint32_t count, uint32_t queues, uint32_t without)
{
	uint32_t *place = xcalloc(count, sizeof(*place)), shape = random_below(random, 6), style = random_below(random, 4);
	bool all = random_below(random, 4) == 0;

	*graph = (struct sim_graph){ .count = count };
	graph->order = xcalloc(count, sizeof(*graph->order));
	graph->needs = xcalloc(count, 1);
	graph->flags = xcalloc(count, 1);
	graph->weights = xcalloc(count, sizeof(*graph->weights));
	for (uint32_t i = 0; i < count; i++) { /* ids in no lucky order */
		uint32_t j = random_below(random, i + 1);

		graph->order[i] = graph->order[j];
		graph->order[j] = i;
	}
	for (uint32_t i = 0; i < count; i++)
		place[graph->order[i]] = i;
	make_row(count, graph->order, place, shape, shape == 0 ? 1 : 3, random, &graph->build_start, &graph->build_deps);
	make_row(count, graph->order, place, random_below(random, 6), random_below(random, 3), random, &graph->run_start,
		 &graph->run_deps);
	for (uint32_t e = 0; e < count; e++) {
		bool target = place[e] == count - 1 || random_below(random, 20) == 0;

		graph->needs[e] = random_needs(random, style) & queues;
		graph->flags[e] = all || target ? SCHED_REQUIRED : 0;
		if (random_below(random, 100) < 12 && !(without & SIM_LATE_KEYS))
			graph->flags[e] |= SCHED_HELD;
		if (random_below(random, 100) < 3 && !(without & SIM_EXCLUDED))
			graph->flags[e] |= SCHED_OUTSIDE;
		if (random_below(random, 3) == 0 && !(without & SIM_WEIGHTS))
			graph->weights[e] = random_below(random, 1000);
	}
	free(place);
}

void sim_graph_release(struct sim_graph *graph)
{
	free(graph->build_start);
	free(graph->build_deps);
	free(graph->run_start);
	free(graph->run_deps);
	free(graph->order);
	free(graph->needs);
	free(graph->flags);
	free(graph->weights);
}

/* Random graphs: chains, wide ones, diamonds (layers), trees, and random mixtures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

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

/* ---- real ones ---- */

/* "3 4 ; 5" -> 3 and 4, or 5: up to the end of the piece. */
static uint32_t read_row(char *text, uint32_t element, uint32_t *deps)
{
	char *end = text;
	uint32_t n = 0;

	for (;;) {
		unsigned long dep = strtoul(text, &end, 10);

		if (end == text)
			return n;
		if (dep >= element)
			bug("sim: element %u depends on %lu", element, dep);
		deps[n++] = (uint32_t)dep;
		text = end;
	}
}

static void read_graph(struct sim_graph *graph, FILE *f)
{
	static char line[1 << 16];
	uint32_t e = 0, cap;

	while (fgets(line, sizeof(line), f) && line[0] == '#')
		;
	graph->count = (uint32_t)strtoul(line, NULL, 10);
	cap = graph->count * 200;
	graph->build_start = xcalloc(graph->count + 1, 4);
	graph->run_start = xcalloc(graph->count + 1, 4);
	graph->build_deps = xcalloc(cap, 4);
	graph->run_deps = xcalloc(cap, 4);
	for (; e < graph->count && fgets(line, sizeof(line), f); e++) {
		char *second = strchr(line, ';');

		if (!second || graph->build_start[e] > cap - 5000 || graph->run_start[e] > cap - 5000)
			bug("sim: bad graph, element %u", e);
		*second++ = '\0';
		graph->build_start[e + 1] = graph->build_start[e] + read_row(line, e, graph->build_deps + graph->build_start[e]);
		graph->run_start[e + 1] = graph->run_start[e] + read_row(second, e, graph->run_deps + graph->run_start[e]);
	}
	if (e < graph->count)
		bug("sim: the graph ends after %u elements", e);
}

void sim_graph_load(struct sim_graph *graph, const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		exit(2);
	}
	*graph = (struct sim_graph){ 0 };
	read_graph(graph, f);
	fclose(f);
}

/* Marks an element and what it needs, breadth first, until there are `count` of them. */
static void pick_piece(const struct sim_graph *real, uint64_t *random, uint32_t count, uint32_t *ret_new)
{
	uint32_t *fifo = xcalloc(real->count, 4), head = 0, tail = 0;

	memset(ret_new, 0xff, real->count * sizeof(*ret_new));
	while (tail < count) {
		uint32_t e = random_below(random, real->count);

		if (head == tail && ret_new[e] == SCHED_NONE) {
			ret_new[e] = 0;
			fifo[tail++] = e;
		}
		for (; head < tail; head++) {
			e = fifo[head];
			for (uint32_t i = real->build_start[e]; i < real->build_start[e + 1] && tail < count; i++) {
				if (ret_new[real->build_deps[i]] == SCHED_NONE)
					ret_new[fifo[tail++] = real->build_deps[i]] = 0;
			}
			for (uint32_t i = real->run_start[e]; i < real->run_start[e + 1] && tail < count; i++) {
				if (ret_new[real->run_deps[i]] == SCHED_NONE)
					ret_new[fifo[tail++] = real->run_deps[i]] = 0;
			}
		}
	}
	free(fifo);
}

static void copy_row(const uint32_t *new, const uint32_t *old_of, uint32_t count, const uint32_t *start,
		     const uint32_t *deps, uint32_t **ret_start, uint32_t **ret_deps)
{
	size_t most = 1;

	*ret_start = xcalloc(count + 1, 4);
	for (uint32_t e = 0; e < count; e++)
		most += start[old_of[e] + 1] - start[old_of[e]];
	*ret_deps = xcalloc(most, 4);
	for (uint32_t e = 0; e < count; e++) {
		uint32_t at = (*ret_start)[e];

		for (uint32_t i = start[old_of[e]]; i < start[old_of[e] + 1]; i++) {
			if (new[deps[i]] != SCHED_NONE)
				(*ret_deps)[at++] = new[deps[i]];
		}
		(*ret_start)[e + 1] = at;
	}
}

/* The piece keeps all edges between its elements; new ids are names[place in the order]. */
static void copy_piece(struct sim_graph *graph, const struct sim_graph *real, uint64_t *random)
{
	uint32_t *new = xcalloc(real->count, 4), *old_of = xcalloc(graph->count, 4), place = 0;

	pick_piece(real, random, graph->count, new);
	for (uint32_t e = 0; e < real->count; e++) {
		if (new[e] == SCHED_NONE)
			continue;
		new[e] = graph->order[place++];
		old_of[new[e]] = e;
	}
	copy_row(new, old_of, graph->count, real->build_start, real->build_deps, &graph->build_start, &graph->build_deps);
	copy_row(new, old_of, graph->count, real->run_start, real->run_deps, &graph->run_start, &graph->run_deps);
	free(new);
	free(old_of);
}

void sim_graph_make(struct sim_graph *graph, uint64_t *random, uint32_t count, uint32_t queues, uint32_t without,
		    const struct sim_graph *real)
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
	if (real)
		copy_piece(graph, real, random);
	else
		make_row(count, graph->order, place, shape, shape == 0 ? 1 : 3, random, &graph->build_start,
			 &graph->build_deps);
	if (!real)
		make_row(count, graph->order, place, random_below(random, 6), random_below(random, 3), random,
			 &graph->run_start, &graph->run_deps);
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

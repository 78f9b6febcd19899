/* Critical paths, users before what they use. */
#include <stdlib.h>

#include "sched/sched_internal.h"

struct weigh {
	const struct sched_graph *graph;
	uint32_t *users, *tails, *stack, depth; /* tail: the longest chain that waits for it */
};

static void count_users(struct weigh *w, const uint32_t *start, const uint32_t *deps)
{
	for (uint32_t i = 0; start && i < start[w->graph->count]; i++)
		w->users[deps[i]]++;
}

/* Everything that e uses has `chain` behind it. */
static void pass_on(struct weigh *w, const uint32_t *start, const uint32_t *deps, uint32_t e, uint32_t chain)
{
	for (uint32_t i = start ? start[e] : 0; start && i < start[e + 1]; i++) {
		uint32_t d = deps[i];

		w->tails[d] = MAX(w->tails[d], chain);
		if (--w->users[d] == 0)
			w->stack[w->depth++] = d;
	}
}

void sched_weigh(const struct sched_graph *graph, const uint32_t *durations, uint32_t *ret_weights)
{
	size_t count = graph->count;
	struct weigh w = { .graph = graph };

	w.users = xcalloc(count, sizeof(*w.users));
	w.tails = xcalloc(count, sizeof(*w.tails));
	w.stack = xcalloc(count, sizeof(*w.stack));
	count_users(&w, graph->build_start, graph->build_deps);
	count_users(&w, graph->run_start, graph->run_deps);
	for (uint32_t e = 0; e < graph->count; e++) {
		ret_weights[e] = 0;
		if (!w.users[e])
			w.stack[w.depth++] = e;
	}
	while (w.depth) {
		uint32_t e = w.stack[--w.depth];
		uint64_t weight = (uint64_t)durations[e] + w.tails[e];

		ret_weights[e] = (uint32_t)MIN(weight, (uint64_t)INT32_MAX);
		/* Who builds with something waits for it; who runs with it is built without, but holds up the same users. */
		pass_on(&w, graph->build_start, graph->build_deps, e, ret_weights[e]);
		pass_on(&w, graph->run_start, graph->run_deps, e, w.tails[e]);
	}
	free(w.users);
	free(w.tails);
	free(w.stack);
}

/* ---- one that turned out to last longer ---- */

#define STEPS_MAX 100000 /* edges that one change may travel: some ms; weights are advice */

struct again {
	const uint32_t *durations;
	uint32_t *weights, *stack;
	size_t depth, cap, steps;
	void (*changed)(void *data, uint32_t element, uint32_t weight);
	void *data;
};

static void set(struct again *a, uint32_t e, uint64_t weight)
{
	a->weights[e] = (uint32_t)MIN(weight, (uint64_t)INT32_MAX);
	a->changed(a->data, e, a->weights[e]);
	a->stack = util_grow(a->stack, &a->cap, a->depth + 1, sizeof(*a->stack));
	a->stack[a->depth++] = e;
}

/* Everything in the row has at least `chain` behind it. */
static void raise_row(struct again *a, const uint32_t *start, const uint32_t *deps, uint32_t e, uint32_t chain)
{
	for (uint32_t i = start ? start[e] : 0; start && i < start[e + 1]; i++) {
		uint64_t weight = (uint64_t)a->durations[deps[i]] + chain;

		a->steps++;
		if (a->weights[deps[i]] < MIN(weight, (uint64_t)INT32_MAX))
			set(a, deps[i], weight);
	}
}

void sched_weigh_again(const struct sched_graph *graph, uint32_t *durations, uint32_t *weights, uint32_t element,
		       uint32_t duration, void (*changed)(void *data, uint32_t element, uint32_t weight), void *data)
{
	struct again a = { .durations = durations, .weights = weights, .changed = changed, .data = data };
	uint32_t tail = weights[element] - MIN(weights[element], durations[element]);

	durations[element] = duration;
	set(&a, element, (uint64_t)tail + duration);
	while (a.depth && a.steps < STEPS_MAX) {
		uint32_t e = a.stack[--a.depth];

		raise_row(&a, graph->build_start, graph->build_deps, e, weights[e]);
		raise_row(&a, graph->run_start, graph->run_deps, e, weights[e] - MIN(weights[e], durations[e]));
	}
	free(a.stack);
}

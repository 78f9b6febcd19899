/* Edges and needs for the scheduler: see plan.h. */
#include "session/plan.h"

#include <assert.h>
#include <stdlib.h>

#include "kinds/kinds.h"

/* Compressed rows of the direct dependencies that have this type bit. */
static void make_edges(struct session_plan *plan, const struct graph *graph, unsigned type, const uint32_t **ret_start,
		       const uint32_t **ret_deps)
{
	uint32_t *start = ARENA_ARRAY(&plan->arena, uint32_t, graph->element_count + 1u), *deps, total = 0;

	for (uint32_t i = 0; i < graph->element_count; i++) {
		start[i] = total;
		for (uint32_t d = 0; d < graph->elements[i].dep_count; d++)
			total += (graph->elements[i].deps[d].type & type) != 0;
	}
	start[graph->element_count] = total;
	deps = ARENA_ARRAY(&plan->arena, uint32_t, total + 1u);
	total = 0;
	for (uint32_t i = 0; i < graph->element_count; i++)
		for (uint32_t d = 0; d < graph->elements[i].dep_count; d++)
			if (graph->elements[i].deps[d].type & type)
				deps[total++] = graph->elements[i].deps[d].element;
	assert(total == start[graph->element_count]);
	*ret_start = start;
	*ret_deps = deps;
}

struct ranked {
	uint32_t weight, position, id;
};

static int by_weight(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? -1 : 1;
	return x->position > y->position ? -1 : 1; /* no two are equal */
}

/* Where weights are equal the pipeline's order decides, not the chance of who was ready first: a build with one builder
 * goes the same way every time, and the way people know. */
static void break_ties(struct session_plan *plan, const struct session_ids *elements)
{
	struct ranked *ranked = xcalloc(elements->count, sizeof(*ranked));

	for (uint32_t i = 0; i < elements->count; i++)
		ranked[i] = (struct ranked){ plan->weights[elements->ids[i]], i, elements->ids[i] };
	if (elements->count)
		qsort(ranked, elements->count, sizeof(*ranked), by_weight);
	for (uint32_t i = 0; i < elements->count; i++)
		plan->weights[ranked[i].id] = i + 1;
	free(ranked);
}

/* What unblocks most goes first.  How long an element takes nobody knows before it was built once; that commands take
 * longer than copying is certain. */
static void weigh(struct session_plan *plan, const struct session *session)
{
	enum { COPYING = 1, COMMANDS = 1000 };
	uint32_t *durations = ARENA_ARRAY(&plan->arena, uint32_t, plan->graph.count + 1u);

	for (uint32_t i = 0; i < plan->graph.count; i++)
		if (plan->needs[i] & SCHED_BIT(SCHED_BUILD))
			durations[i] = kinds_runs_commands(&session->graph.elements[i]) ? COMMANDS : COPYING;
	sched_weigh(&plan->graph, durations, plan->weights);
}

void session_plan_init(struct session_plan *plan, const struct session *session)
{
	const struct graph *graph = &session->graph;

	*plan = (struct session_plan){ .graph = { .count = graph->element_count } };
	make_edges(plan, graph, GRAPH_BUILD, &plan->graph.build_start, &plan->graph.build_deps);
	make_edges(plan, graph, GRAPH_RUNTIME, &plan->graph.run_start, &plan->graph.run_deps);
	plan->graph.needs = plan->needs = ARENA_ARRAY(&plan->arena, uint8_t, graph->element_count + 1u);
	plan->graph.flags = plan->flags = ARENA_ARRAY(&plan->arena, uint8_t, graph->element_count + 1u);
	plan->graph.weights = plan->weights = ARENA_ARRAY(&plan->arena, uint32_t, graph->element_count + 1u);
	for (uint32_t i = 0; i < graph->element_count; i++)
		plan->flags[i] = SCHED_OUTSIDE;
}

static uint8_t build_needs(const struct session *session, uint32_t id)
{
	const struct state_element *state = state_get(session->state, id);

	if (state->artifact.outcome == STATE_ARTIFACT_SUCCESS)
		return 0;
	/* A failure that is replayed needs no sources. */
	if (state->artifact.outcome == STATE_ARTIFACT_FAILURE && !session->context.retry_failed)
		return SCHED_BIT(SCHED_BUILD);
	if (state_digest_known(&state->sources) || !session->graph.elements[id].source_count)
		return SCHED_BIT(SCHED_BUILD);
	return SCHED_BIT(SCHED_FETCH) | SCHED_BIT(SCHED_BUILD);
}

void session_plan_build(struct session_plan *plan, const struct session *session, const struct session_ids *elements,
			enum session_deps deps)
{
	for (uint32_t i = 0; i < elements->count; i++) {
		uint32_t id = elements->ids[i];

		plan->needs[id] = build_needs(session, id);
		plan->flags[id] = deps == SESSION_DEPS_ALL ? SCHED_REQUIRED : 0;
	}
	for (uint32_t i = 0; i < session->targets.count; i++) {
		const struct graph_element *target = &session->graph.elements[session->targets.ids[i]];

		if (deps != SESSION_DEPS_BUILD) {
			plan->flags[session->targets.ids[i]] |= SCHED_REQUIRED;
			continue;
		}
		for (uint32_t d = 0; d < target->dep_count; d++)
			if (target->deps[d].type & GRAPH_BUILD)
				plan->flags[target->deps[d].element] |= SCHED_REQUIRED;
	}
	weigh(plan, session);
	break_ties(plan, elements);
}

void session_plan_fetch(struct session_plan *plan, const struct session *session, const struct session_ids *elements)
{
	for (uint32_t i = 0; i < elements->count; i++) {
		uint32_t id = elements->ids[i];

		plan->flags[id] = SCHED_REQUIRED;
		if (!state_digest_known(&state_get(session->state, id)->sources) && session->graph.elements[id].source_count)
			plan->needs[id] = SCHED_BIT(SCHED_FETCH);
	}
}

void session_plan_release(struct session_plan *plan)
{
	arena_release(&plan->arena);
}

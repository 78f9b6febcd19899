/* Edges and needs for the scheduler: see plan.h. */
#include "session/plan.h"

#include <assert.h>

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

/* Length of the longest way from here to a target, in elements: what unblocks most goes first, as the peer's depth sort
 * does.  Ids of dependencies need not be smaller, so the walk's order (dependencies first) is taken. */
static void weigh(struct session_plan *plan, const struct session *session, const struct session_ids *elements)
{
	const struct graph *graph = &session->graph;

	for (uint32_t i = elements->count; i-- > 0;) {
		const struct graph_element *element = &graph->elements[elements->ids[i]];
		uint32_t weight = plan->weights[elements->ids[i]];

		for (uint32_t d = 0; d < element->dep_count; d++) {
			uint32_t *below = &plan->weights[element->deps[d].element];
			uint32_t more = weight + ((element->deps[d].type & GRAPH_BUILD) != 0);

			*below = MAX(*below, more);
		}
	}
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
	weigh(plan, session, elements);
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

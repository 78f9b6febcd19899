/* Edges and needs for the scheduler: see plan.h. */
#include "session/plan.h"

#include <assert.h>

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

/* What is not known takes as long as the files of its sources let expect, or else as long as most do; if nothing is known, all take the
 * same, and only the number of steps counts. */
struct guess {
	uint32_t build_ms, fetch_ms;
};

enum { COMMANDS_MS = 1000, COPYING_MS = 1, US_A_FILE = 50000, GUESS_MAX_MS = 100000000 };

static struct guess make_guess(const struct session_history *history)
{
	uint32_t median_ms = session_history_median(history, HISTORY_BUILD);

	return (struct guess){ median_ms ? median_ms : COMMANDS_MS, session_history_median(history, HISTORY_FETCH) };
}

/* configure and the like, and the files. */
static uint32_t by_files_ms(const struct session_plan *plan, uint64_t files)
{
	return (uint32_t)MIN(COMMANDS_MS + MIN(files, UINT32_MAX) * plan->us_a_file / 1000, (uint64_t)GUESS_MAX_MS);
}

static uint32_t duration_ms(const struct session_plan *plan, const struct session *session, uint32_t id,
			    const struct guess *guess)
{
	const struct graph_element *e = &session->graph.elements[id];
	const char *project = session->graph.projects[e->project].name;
	uint32_t sum_ms = 0, known_ms, files;

	if (plan->needs[id] & SCHED_BIT(SCHED_FETCH)) {
		known_ms = session_history_get(&plan->history, HISTORY_FETCH, project, e->full_name);
		sum_ms += known_ms ? known_ms : guess->fetch_ms;
	}
	if (!(plan->needs[id] & SCHED_BIT(SCHED_BUILD)))
		return sum_ms;
	if (!kinds_runs_commands(e))
		return sum_ms + COPYING_MS;
	known_ms = session_history_get(&plan->history, HISTORY_BUILD, project, e->full_name);
	if (known_ms)
		return sum_ms + known_ms;
	files = session_history_get(&plan->history, HISTORY_FILES, project, e->full_name);
	return sum_ms + (files ? by_files_ms(plan, files) : guess->build_ms);
}

static bool needs_anything(const struct session_plan *plan)
{
	for (uint32_t i = 0; i < plan->graph.count; i++)
		if (plan->needs[i])
			return true;
	return false;
}

/* What unblocks most goes first: the longest way to the end, by what earlier runs took. */
static void weigh(struct session_plan *plan, const struct session *session)
{
	struct guess guess;

	if (!needs_anything(plan))
		return;
	session_history_open(&plan->history, cas_cachedir_fd(session->cas));
	guess = make_guess(&plan->history);
	plan->us_a_file = session_history_us_a_file(&plan->history);
	if (!plan->us_a_file)
		plan->us_a_file = US_A_FILE;
	plan->durations_ms = ARENA_ARRAY(&plan->arena, uint32_t, plan->graph.count + 1u);
	for (uint32_t i = 0; i < plan->graph.count; i++)
		plan->durations_ms[i] = duration_ms(plan, session, i, &guess);
	sched_weigh(&plan->graph, plan->durations_ms, plan->weights);
}

static void on_weight(void *data, uint32_t element, uint32_t weight)
{
	sched_set_weight(data, element, weight);
}

void session_plan_fetched(struct session_plan *plan, const struct session *session, struct sched *sched, uint32_t id, uint64_t files)
{
	const struct graph_element *e = &session->graph.elements[id];
	const char *project = session->graph.projects[e->project].name;

	session_history_add(&plan->history, HISTORY_FILES, project, e->full_name, (int64_t)MIN(files, UINT32_MAX));
	if (plan->durations_ms && !session_history_get(&plan->history, HISTORY_BUILD, project, e->full_name))
		sched_weigh_again(&plan->graph, plan->durations_ms, plan->weights, id, by_files_ms(plan, files), on_weight, sched);
}

void session_plan_init(struct session_plan *plan, const struct session *session)
{
	const struct graph *graph = &session->graph;

	*plan = (struct session_plan){ .graph = { .count = graph->element_count }, .history = { .fd = -1 } };
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
}

void session_plan_fetch(struct session_plan *plan, const struct session *session, const struct session_ids *elements)
{
	session_history_open(&plan->history, cas_cachedir_fd(session->cas));
	for (uint32_t i = 0; i < elements->count; i++) {
		uint32_t id = elements->ids[i];

		plan->flags[id] = SCHED_REQUIRED;
		if (!state_digest_known(&state_get(session->state, id)->sources) && session->graph.elements[id].source_count)
			plan->needs[id] = SCHED_BIT(SCHED_FETCH);
	}
}

void session_plan_release(struct session_plan *plan)
{
	session_history_release(&plan->history);
	arena_release(&plan->arena);
}

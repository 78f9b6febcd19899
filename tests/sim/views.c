/* What people see of each element must be what the rules say of it: nothing the scheduler tells may be wrong, needed or not. */
#include "sim.h"

static bool at_rest(const struct model *model, const struct model_element *el)
{
	return el->outside || (!el->required && !(model->config.eager & SCHED_BIT(el->stage)));
}

/* Ready ones may have a claim to a worker that is being spawned, which the rules know nothing of. */
static bool right_state(const struct model *model, uint32_t e, enum sched_state state)
{
	const struct model_element *el = &model->elements[e];
	enum sched_queue queue;

	if (el->running)
		return state == SCHED_ACTIVE;
	if (el->delayed)
		return state == SCHED_DELAYED;
	if (el->stopped)
		return state == SCHED_STOPPED;
	if (at_rest(model, el) && el->stage != SCHED_EXPIRE)
		return state == SCHED_AT_REST;
	if (el->stage == SCHED_EXPIRE)
		return el->outside ? state == SCHED_AT_REST : state == (el->failed ? SCHED_STOPPED : SCHED_DONE);
	if (el->held && el->stage != SCHED_TRACK)
		return state == SCHED_KEYLESS;
	if (model_may_run(model, e, &queue))
		return state == SCHED_READY || state == SCHED_ACTIVE;
	return state == SCHED_BLOCKED;
}

static const char *same_element(const struct model *model, uint32_t e, const struct sched *sched)
{
	const struct model_element *el = &model->elements[e];
	struct sched_element_view view;

	sched_element_view(sched, e, &view);
	if (view.required != el->required || view.built != el->built || view.ready != el->ready)
		return "required, built or ready: not what the rules say";
	if (view.failed != el->failed)
		return "failed: not what the rules say";
	if (!right_state(model, e, view.state))
		return "an element's state is not what the rules say";
	if (view.state == SCHED_AT_REST)
		return NULL; /* it has not been looked at yet, perhaps */
	if (view.queue != (el->stage == SCHED_EXPIRE ? SCHED_QUEUES : (enum sched_queue)el->stage))
		return "an element's queue is not what the rules say";
	if (view.needs != (el->needs & ~(SCHED_BIT(el->stage) - 1)))
		return "an element's needs are not what the rules say";
	if (view.state == SCHED_ACTIVE && el->running && view.attempt != el->attempts)
		return "an element's attempt is not what the rules say";
	return NULL;
}

const char *model_same(const struct model *model, const struct sched *sched, uint64_t jobs)
{
	struct sched_totals totals;
	const char *wrong = NULL;
	uint32_t failed = sched_next_failed(sched, 0);

	for (uint32_t e = 0; e < model->graph->count && !wrong; e++)
		wrong = same_element(model, e, sched);
	if (wrong)
		return wrong;
	for (uint32_t e = 0; e < model->graph->count; e++) {
		if (!model->elements[e].failed)
			continue;
		if (failed != e)
			return "the next failed element is another";
		failed = sched_next_failed(sched, e + 1);
	}
	if (failed != SCHED_NONE)
		return "an element has not failed, and is said to have";
	sched_totals(sched, &totals);
	return totals.jobs == jobs ? NULL : "jobs: miscounted";
}

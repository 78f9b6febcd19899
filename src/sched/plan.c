/* The elements: who is required, who is built, who may start; one row of counters each, one table of what may happen.
 *
 * An element becomes required once and ready once, so two first-in-first-out lists with room for every element are all
 * the memory that plan_settle needs, however long the chains are.
 */
#include <stdlib.h>

#include "sched/sched_internal.h"

static void fifo_push(struct fifo *fifo, uint32_t e)
{
	fifo->items[fifo->tail++] = e;
}

static void require(struct sched *s, uint32_t e)
{
	if (s->elements[e].flags & REQUIRED)
		return;
	s->elements[e].flags |= REQUIRED;
	fifo_push(&s->required, e);
}

static void note_ready(struct sched *s, uint32_t e)
{
	struct element *el = &s->elements[e];

	if ((el->flags & (BUILT | READY)) != BUILT || el->run_wait)
		return;
	el->flags |= READY;
	fifo_push(&s->ready, e);
}

/* Built or cached: nothing that would make it so is still to come, and none of it failed. */
static void note_built(struct sched *s, uint32_t e)
{
	struct element *el = &s->elements[e];

	if (el->flags & (BUILT | HELD) || remaining(el) & UNBUILT || el->failed & SCHED_BIT(SCHED_BUILD))
		return;
	el->flags |= BUILT;
	note_ready(s, e);
}

/* It is now known that it must be built: so its build dependencies are wanted. */
static void note_planned(struct sched *s, uint32_t e)
{
	struct element *el = &s->elements[e];

	if ((el->flags & (REQUIRED | HELD | PLANNED | OUTSIDE)) != REQUIRED || remaining(el) & UNKNOWN ||
	    !(remaining(el) & SCHED_BIT(SCHED_BUILD)))
		return;
	el->flags |= PLANNED;
	for (uint32_t i = s->build.start[e]; i < s->build.start[e + 1]; i++)
		require(s, s->build.ids[i]);
}

static void set_state(struct sched *s, struct element *el, enum sched_state state)
{
	s->done += (state == SCHED_DONE) - (el->state == SCHED_DONE);
	s->delayed += (state == SCHED_DELAYED) - (el->state == SCHED_DELAYED);
	el->state = (uint8_t)state;
}

static void enqueue(struct sched *s, uint32_t e, bool again)
{
	struct element *el = &s->elements[e];

	set_state(s, el, SCHED_READY);
	el->flags = (uint16_t)(again ? el->flags | AGAIN : el->flags & ~AGAIN);
	ready_push(ready_of(s, el), s->elements, e);
}

/* Its failures from queue q on are struck: it gets another go there. */
static void strike(struct sched *s, struct element *el, enum sched_queue q)
{
	uint32_t struck = el->failed & ~(SCHED_BIT(q) - 1);

	for (unsigned queue = 0; queue < SCHED_QUEUES; queue++) {
		s->counts[queue].failed -= struck >> queue & 1;
		s->counts[queue].total -= struck >> queue & 1;
	}
	el->failed &= (uint8_t)~struck;
	if (!el->failed)
		s->failed_elements--;
	el->back = SCHED_QUEUES;
	el->stage = (uint8_t)q;
}

/* May it come to the queue at its stage?  If not, it rests before it. */
static bool gate(struct sched *s, struct element *el)
{
	if (!(el->flags & REQUIRED) && !(s->config.eager & SCHED_BIT(el->stage))) {
		set_state(s, el, SCHED_AT_REST);
		return false;
	}
	if (el->flags & HELD && el->stage != SCHED_TRACK) {
		set_state(s, el, SCHED_KEYLESS);
		return false;
	}
	if (!(el->flags & SEEN)) {
		el->flags |= SEEN;
		s->session++;
	}
	return true;
}

/* From its stage on, past queues where it has nothing to do, to the one where it must wait its turn, or the end. */
static void advance(struct sched *s, uint32_t e)
{
	struct element *el = &s->elements[e];

	for (;;) {
		while (el->stage < END && !(s->config.queues & SCHED_BIT(el->stage)))
			el->stage++;
		note_built(s, e);
		note_planned(s, e);
		if (el->stage == END && el->back < SCHED_QUEUES) {
			strike(s, el, el->back);
			continue;
		}
		if (el->stage == END) {
			set_state(s, el, el->failed ? SCHED_STOPPED : SCHED_DONE);
			return;
		}
		if (!gate(s, el))
			return;
		s->counts[el->stage].total++;
		if (el->needs & SCHED_BIT(el->stage))
			break;
		s->counts[el->stage++].skipped++;
	}
	el->attempt = el->temporaries = el->deaths = el->returns = 0;
	if (el->stage == SCHED_BUILD && el->build_wait)
		set_state(s, el, SCHED_BLOCKED);
	else
		enqueue(s, e, false);
}

/* ---- one function per kind of cell ---- */

typedef int cell(struct sched *s, uint32_t e, const struct element_arg *arg);

static int ignore(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	return SCHED_STALE;
}

static int start(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	if (!(s->elements[e].flags & OUTSIDE))
		advance(s, e);
	return SCHED_OK;
}

static int want(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	note_planned(s, e);
	return SCHED_OK;
}

/* New needs for what lies ahead of it; what it has passed, or is in the middle of, stays as it is. */
static void set_needs(struct sched *s, struct element *el, uint32_t from, uint32_t needs)
{
	uint32_t ahead = s->config.queues & ~(SCHED_BIT(from) - 1);

	if (el->flags & BUILT)
		ahead &= ~UNBUILT; /* others may have started because it is */
	el->needs = (uint8_t)((el->needs & ~ahead) | (needs & ahead));
}

static void set_held(struct element *el, bool held)
{
	if (el->flags & BUILT)
		return;
	el->flags = (uint16_t)(held ? el->flags | HELD : el->flags & ~HELD);
}

static int change_before(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	struct element *el = &s->elements[e];

	set_held(el, arg->change.held);
	set_needs(s, el, el->stage, arg->change.needs);
	note_built(s, e);
	return start(s, e, arg);
}

static int change_during(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	struct element *el = &s->elements[e];

	if (el->stage == SCHED_TRACK)
		set_held(el, arg->change.held);
	set_needs(s, el, el->stage + 1u, arg->change.needs);
	note_built(s, e);
	note_planned(s, e);
	return SCHED_OK;
}

static int unblock(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	enqueue(s, e, false);
	return SCHED_OK;
}

static int take(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	set_state(s, &s->elements[e], SCHED_ACTIVE);
	__builtin_prefetch(&s->build.start[e]); /* wanted when its job ends, of a million in no order */
	__builtin_prefetch(&s->rev_run.start[e]);
	__builtin_prefetch(&s->rev_build.start[e]);
	return SCHED_OK;
}

static int untake(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	struct element *el = &s->elements[e];

	set_state(s, el, SCHED_READY);
	ready_push_back(ready_of(s, el), s->elements, e);
	return SCHED_OK;
}

static int pass(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	struct element *el = &s->elements[e];

	el->needs &= (uint8_t)~(arg->drop & ~(SCHED_BIT(el->stage + 1) - 1));
	el->stage++;
	advance(s, e);
	return SCHED_OK;
}

static int fail(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	struct element *el = &s->elements[e];

	if (!el->failed)
		s->failed_elements++;
	el->failed |= (uint8_t)SCHED_BIT(el->stage);
	if (el->stage < SCHED_BUILD) {
		set_state(s, el, SCHED_STOPPED);
		return SCHED_OK;
	}
	el->stage++;
	advance(s, e);
	return SCHED_OK;
}

static int delay(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	struct element *el = &s->elements[e];

	set_state(s, el, SCHED_DELAYED);
	el->flags &= (uint16_t)~ANNOUNCED;
	el->link = SCHED_NONE;
	if (s->announce_last == SCHED_NONE)
		s->announce_first = e;
	else
		s->elements[s->announce_last].link = e;
	s->announce_last = e;
	return SCHED_OK;
}

static int again(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	enqueue(s, e, true);
	return SCHED_OK;
}

static int due(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	if (!(s->elements[e].flags & ANNOUNCED))
		return SCHED_STALE;
	enqueue(s, e, true);
	return SCHED_OK;
}

static int drop(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	set_state(s, &s->elements[e], SCHED_STOPPED);
	return SCHED_OK;
}

static int retry_now(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	struct element *el = &s->elements[e];

	if (!(el->failed & SCHED_BIT(arg->queue)))
		return SCHED_STALE;
	strike(s, el, arg->queue);
	advance(s, e);
	return SCHED_OK;
}

/* It failed to build and is being pushed: it goes back when that is over. */
static int retry_later(struct sched *s, uint32_t e, const struct element_arg *arg)
{
	struct element *el = &s->elements[e];

	if (!(el->failed & SCHED_BIT(arg->queue)))
		return SCHED_STALE;
	el->back = (uint8_t)MIN((unsigned)el->back, (unsigned)arg->queue);
	return SCHED_OK;
}

#define never NULL /* our own fault */

static cell *const cells[SCHED_STATES][ELEMENT_EVENTS] = {
	/*                   REQUIRED CHANGED        DEPS_READY CLAIMED UNCLAIMED PASSED FAILED DELAYED RETURNED DROPPED DUE     RETRY */
	[SCHED_AT_REST] = { start,    change_before, ignore,    never,  never,    never, never, never,  never,   never,  ignore, retry_now },
	[SCHED_KEYLESS] = { ignore,   change_before, ignore,    never,  never,    never, never, never,  never,   never,  ignore, retry_now },
	[SCHED_BLOCKED] = { want,     change_during, unblock,   never,  never,    never, never, never,  never,   never,  ignore, ignore },
	[SCHED_READY]   = { want,     change_during, ignore,    take,   never,    never, never, never,  never,   never,  ignore, retry_later },
	[SCHED_ACTIVE]  = { want,     change_during, ignore,    never,  untake,   pass,  fail,  delay,  again,   drop,   ignore, retry_later },
	[SCHED_DELAYED] = { want,     change_during, ignore,    never,  never,    never, never, never,  never,   never,  due,    retry_later },
	[SCHED_DONE]    = { ignore,   ignore,        ignore,    never,  never,    never, never, never,  never,   never,  ignore, ignore },
	[SCHED_STOPPED] = { ignore,   ignore,        ignore,    never,  never,    never, never, never,  never,   never,  ignore, retry_now },
};

int plan_event(struct sched *s, uint32_t e, enum element_event event, const struct element_arg *arg)
{
	enum sched_state state = s->elements[e].state;
	cell *action = cells[state][event];

	s->element_hits[state][event]++;
	if (!action)
		bug("sched: element %u in state %d met event %d", e, (int)state, (int)event);
	return action(s, e, arg);
}

bool plan_possible(enum sched_state state, enum element_event event)
{
	return cells[state][event] != NULL;
}

/* ---- what one event sets off ---- */

static void tell_ready(struct sched *s, uint32_t e)
{
	for (uint32_t i = s->rev_run.start[e]; i < s->rev_run.start[e + 1]; i++) {
		uint32_t user = s->rev_run.ids[i];

		assert(s->elements[user].run_wait);
		if (--s->elements[user].run_wait == 0)
			note_ready(s, user);
	}
	for (uint32_t i = s->rev_build.start[e]; i < s->rev_build.start[e + 1]; i++) {
		uint32_t user = s->rev_build.ids[i];

		assert(s->elements[user].build_wait);
		if (--s->elements[user].build_wait == 0)
			plan_event(s, user, ELEMENT_DEPS_READY, NULL);
	}
}

static void tell_required(struct sched *s, uint32_t e)
{
	for (uint32_t i = s->run.start[e]; i < s->run.start[e + 1]; i++)
		require(s, s->run.ids[i]);
	plan_event(s, e, ELEMENT_REQUIRED, NULL);
}

void plan_settle(struct sched *s)
{
	for (;;) {
		if (s->ready.head < s->ready.tail)
			tell_ready(s, s->ready.items[s->ready.head++]);
		else if (s->required.head < s->required.tail)
			tell_required(s, s->required.items[s->required.head++]);
		else
			return;
	}
}

static void fill_element(struct sched *s, uint32_t e, const struct sched_graph *graph)
{
	s->elements[e] = (struct element){
		.state = SCHED_AT_REST,
		.needs = graph->needs[e] & s->config.queues,
		.flags = graph->flags ? graph->flags[e] & (HELD | OUTSIDE) : 0,
		.weight = graph->weights ? graph->weights[e] : 0,
		.build_wait = s->build.start[e + 1] - s->build.start[e],
		.run_wait = s->run.start[e + 1] - s->run.start[e],
		.back = SCHED_QUEUES,
	};
	assert(s->elements[e].weight <= INT32_MAX);
}

void plan_start(struct sched *s, const struct sched_graph *graph)
{
	for (uint32_t e = 0; e < s->count; e++)
		fill_element(s, e, graph);
	for (uint32_t e = 0; e < s->count; e++) {
		note_built(s, e);
		if (s->config.eager & s->config.queues)
			start(s, e, NULL);
	}
	for (uint32_t e = 0; e < s->count; e++) {
		if (!graph->flags || graph->flags[e] & SCHED_REQUIRED)
			require(s, e);
	}
	plan_settle(s);
}

/* session/plan.h: from elements and what the caches have to what the scheduler is given.
 *
 * The scheduler knows numbers only: this makes its edges and, for each element, the queues it must pass.
 */
#ifndef SESSION_PLAN_H
#define SESSION_PLAN_H

#include "sched/sched.h"
#include "session/history.h"
#include "session/session_internal.h"

/* All arrays live in one arena, owned by the plan. */
struct session_plan {
	struct arena arena;
	struct sched_graph graph;
	uint8_t *needs, *flags; /* the scheduler reads them through graph; changeable until sched_new */
	uint32_t *weights, *durations_ms; /* durations_ms: NULL unless there is something to build */
	uint64_t us_a_file;               /* a guess of how long builds take */
	struct session_history history;   /* open if there is something to build or fetch */
};

/* Edges of the whole graph; every element outside the plan, needing nothing. */
void session_plan_init(struct session_plan *plan, const struct session *session);
/* `build`: fetch and build what these need; targets are required, the rest on demand. */
void session_plan_build(struct session_plan *plan, const struct session *session, const struct session_ids *elements,
			enum session_deps deps);
/* `source fetch`: every one of these whose sources are not at hand. */
void session_plan_fetch(struct session_plan *plan, const struct session *session, const struct session_ids *elements);
/* The sources of an element have been fetched and are of so many files: it is remembered, and the scheduler is told what that
 * means for weights. */
void session_plan_fetched(struct session_plan *plan, const struct session *session, struct sched *sched, uint32_t element,
			  uint64_t files);
void session_plan_release(struct session_plan *plan);

#endif

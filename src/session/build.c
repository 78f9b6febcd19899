/* `build` and `source fetch`: load, look at what is there, run the rest. */
#include "session/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "jobs/jobs.h"
#include "kinds/kinds.h"
#include "sources/sources.h"

/* bst builds what is named, but ignores junctions when nothing was named (the default targets). */
static void drop_junctions(struct session *session)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i < session->targets.count; i++)
		if (!str_eq(session->graph.elements[session->targets.ids[i]].ops->name, "junction"))
			session->targets.ids[out++] = session->targets.ids[i];
	session->targets.count = out;
}

static enum session_deps build_deps(const struct session *session)
{
	const char *configured = session->context.build_dependencies;

	if (session->request->deps != SESSION_UNSET)
		return (enum session_deps)session->request->deps;
	if (str_eq(configured, "all"))
		return SESSION_DEPS_ALL;
	return str_eq(configured, "none") ? SESSION_DEPS_NONE : SESSION_DEPS_RUN;
}

static void whole_pipeline(struct session *session, struct session_ids *ret)
{
	graph_walk_targets(&session->walk, &session->graph, session->targets.ids, session->targets.count, GRAPH_SCOPE_ALL);
	for (uint32_t i = 0; i < session->walk.count; i++)
		session_ids_add(ret, session->walk.ids[i]);
}

/* A build asks for its targets (or what they are built from); what they need follows from what is not there. */
static void settle_keys(struct session *session, const struct session_ids *all, enum session_deps deps)
{
	struct session_ids roots = { 0 };

	for (uint32_t i = 0; i < session->targets.count; i++) {
		const struct graph_element *target = &session->graph.elements[session->targets.ids[i]];

		if (deps != SESSION_DEPS_BUILD)
			session_ids_add(&roots, session->targets.ids[i]);
		for (uint32_t d = 0; deps == SESSION_DEPS_BUILD && d < target->dep_count; d++)
			if (target->deps[d].type & GRAPH_BUILD)
				session_ids_add(&roots, target->deps[d].element);
	}
	session_settle_keys(session, all, deps == SESSION_DEPS_ALL ? all : &roots, deps);
	session_ids_release(&roots);
}

static int build(struct session *session, struct session_ids *all)
{
	enum session_deps deps = build_deps(session);
	struct session_plan plan;
	struct session_pipeline pipeline = {
		.session = session,
		.plan = &plan,
		.queues = SCHED_BIT(SCHED_FETCH) | SCHED_BIT(SCHED_BUILD),
		.activity = "Build",
	};
	int r;

	whole_pipeline(session, all);
	pipeline.total = all->count;
	r = session_assert_consistent(session, all);
	if (r == 0)
		r = session_query(session, all, false);
	if (r < 0)
		return r;
	settle_keys(session, all, deps);
	session_heading(session, all);
	session_plan_init(&plan, session);
	session_plan_build(&plan, session, all, deps);
	r = session_run_pipeline(&pipeline);
	session_plan_release(&plan);
	return r;
}

int session_build(struct session *session)
{
	struct session_ids all = { 0 };
	int r;

	session_say(session, SESSION_MESSAGE_START, "Build", NULL);
	r = session_load(session, 0);
	if (r == 0 && !session->request->targets.count)
		drop_junctions(session);
	if (r == 0)
		r = session_open_cache(session, true);
	if (r == 0)
		r = build(session, &all);
	session_ids_release(&all);
	return r;
}

static int fetch(struct session *session, struct session_ids *wanted, struct session_ids *all)
{
	struct session_plan plan;
	struct session_pipeline pipeline = {
		.session = session,
		.plan = &plan,
		.queues = SCHED_BIT(SCHED_FETCH),
		.activity = "Fetch",
	};
	int r = session_select(session, (enum session_deps)session->request->deps, wanted);

	whole_pipeline(session, all);
	pipeline.total = all->count;
	if (r == 0)
		r = session_assert_consistent(session, wanted);
	if (r == 0)
		r = session_query(session, all, true);
	if (r < 0)
		return r;
	session_settle_keys(session, all, wanted, (enum session_deps)session->request->deps);
	session_heading(session, all);
	session_plan_init(&plan, session);
	session_plan_fetch(&plan, session, wanted);
	r = session_run_pipeline(&pipeline);
	session_plan_release(&plan);
	return r;
}

int session_source_fetch(struct session *session)
{
	struct session_ids wanted = { 0 }, all = { 0 };
	int r;

	session_say(session, SESSION_MESSAGE_START, "Fetch", NULL);
	r = session_load(session, 0);
	if (r == 0)
		r = session_open_cache(session, true);
	if (r == 0)
		r = fetch(session, &wanted, &all);
	session_ids_release(&wanted);
	session_ids_release(&all);
	return r;
}

static bool lacks_originals(struct session *session, uint32_t id)
{
	struct sources_context context = { .cas = session->cas, .graph = &session->graph, .element = id,
					   .sourcedir = session->context.sourcedir };

	return sources_lack_originals(&context);
}

int session_need_sources(struct session *session, const struct session_ids *ids, bool originals)
{
	struct session_plan plan;
	struct session_pipeline pipeline = { .session = session, .plan = &plan, .queues = SCHED_BIT(SCHED_FETCH),
					     .fetch_flags = originals ? JOBS_FETCH_ORIGINAL : 0 };
	bool any = false;
	int r = session_assert_consistent(session, ids);

	if (r == 0)
		r = session_query(session, ids, true);
	if (r < 0)
		return r;
	session_plan_init(&plan, session);
	session_plan_fetch(&plan, session, ids);
	for (uint32_t i = 0; i < ids->count; i++) {
		if (originals && lacks_originals(session, ids->ids[i]))
			plan.needs[ids->ids[i]] = SCHED_BIT(SCHED_FETCH);
		any |= plan.needs[ids->ids[i]] != 0;
	}
	if (any)
		r = session_run_pipeline(&pipeline);
	session_plan_release(&plan);
	return r;
}

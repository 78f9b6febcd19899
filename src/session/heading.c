/* The heading of a session that does work: configuration, projects, the pipeline (the peer's print_heading). */
#include "session/session_internal.h"

#include <stdlib.h>
#include <string.h>

#include "kinds/kinds.h"

struct named_list {
	struct session_named *items;
	size_t count, cap;
};

static void add_named(struct named_list *list, const char *name, const char *value)
{
	for (size_t i = 0; i < list->count; i++)
		if (str_eq(list->items[i].name, name))
			return;
	list->items = util_grow(list->items, &list->cap, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = (struct session_named){ name, value };
}

/* Which plugins the elements of one project use, in the order in which they were loaded. */
static void list_plugins(struct session *session, uint32_t project, struct session_project *ret)
{
	struct named_list elements = { 0 }, sources = { 0 };
	const struct graph *graph = &session->graph;

	for (uint32_t i = 0; i < graph->element_count; i++) {
		const struct graph_element *e = &graph->elements[i];

		if (e->project != project)
			continue;
		add_named(&elements, e->ops->name, e->ops->package ? e->ops->package : "core plugin");
		for (uint32_t s = 0; s < e->source_count; s++)
			add_named(&sources, e->sources[s].ops->name,
				  e->sources[s].ops->package ? e->sources[s].ops->package : "core plugin");
	}
	ret->element_plugins = arena_memdup(&session->arena, elements.items, elements.count * sizeof(*elements.items));
	ret->n_element_plugins = elements.count;
	ret->source_plugins = arena_memdup(&session->arena, sources.items, sources.count * sizeof(*sources.items));
	ret->n_source_plugins = sources.count;
	free(elements.items);
	free(sources.items);
}

static void describe_project(struct session *session, uint32_t id, struct session_project *ret)
{
	const struct graph_project *project = &session->graph.projects[id];
	const struct project_info *info = project_info(session->loader, id);

	*ret = (struct session_project){ .name = project->name, .junction = project->junction };
	if (info) {
		ret->options = ARENA_ARRAY(&session->arena, struct session_named, info->option_count + 1u);
		ret->n_options = info->option_count;
		for (uint32_t i = 0; i < info->option_count; i++)
			ret->options[i] = (struct session_named){ info->options[i].name, info->options[i].value };
	}
	list_plugins(session, id, ret);
}

static const char *scheduler_text(struct session *session)
{
	const struct session_globals *g = &session->request->globals;

	switch (g->scheduler) {
	case SESSION_SCHEDULER_FORK:
		return "a process for each job";
	case SESSION_SCHEDULER_INLINE:
		return "inline";
	case SESSION_SCHEDULER_POOL:
	default:
		return NULL;
	}
}

void session_heading(struct session *session, const struct session_ids *ids)
{
	const struct project_context *context = &session->context;
	struct arena *arena = &session->arena;
	const struct graph *graph = &session->graph;
	struct session_element *elements = ARENA_ARRAY(arena, struct session_element, ids->count + 1u);
	struct session_project *projects = ARENA_ARRAY(arena, struct session_project, graph->project_count + 1u);
	const char **targets = ARENA_ARRAY(arena, const char *, session->targets.count + 1u);
	struct session_heading heading = {
		.project_name = graph->project_count ? graph->projects[0].name : NULL,
		.project_directory = project_directory(session->loader),
		.targets = targets,
		.n_targets = session->targets.count,
		.config_file = context->config_file,
		.cachedir = context->cachedir,
		.logdir = context->logdir,
		.sourcedir = context->sourcedir,
		.builddir = arena_printf(arena, "%s/build", context->cachedir),
		.strict = graph->project_count == 0 || graph->projects[0].strict,
		.fetchers = (int)context->fetchers,
		.builders = (int)context->builders,
		.pushers = (int)context->pushers,
		.network_retries = (int)context->network_retries,
		.scheduler = scheduler_text(session),
		.projects = projects,
		.n_projects = graph->project_count,
		.elements = elements,
		.n_elements = ids->count,
	};

	for (uint32_t i = 0; i < session->targets.count; i++)
		targets[i] = graph->elements[session->targets.ids[i]].full_name;
	for (uint32_t i = 0; i < graph->project_count; i++)
		describe_project(session, i, &projects[i]);
	for (uint32_t i = 0; i < ids->count; i++)
		session_describe(session, arena, ids->ids[i],
				 SESSION_SHOW_BIT(SESSION_SHOW_STATE) | SESSION_SHOW_BIT(SESSION_SHOW_FULL_KEY), &elements[i]);
	session->frontend->heading(session->frontend->data, &heading);
}

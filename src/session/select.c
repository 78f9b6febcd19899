/* Which elements a command is about: --deps, --except, and whether they have refs (the peer's _pipeline.py). */
#include "session/session_internal.h"
#include "kinds/kinds.h"
#include "yaml/yaml.h"

#include <errno.h>
#include <stdlib.h>

/* A growing set of element ids: bit by id, and the ids in order of arrival. */
struct set {
	bool *has;
	struct session_ids ids;
};

static struct set set_new(const struct session *session)
{
	return (struct set){ .has = xcalloc(session->graph.element_count + 1u, sizeof(bool)) };
}

static void set_release(struct set *set)
{
	free(set->has);
	session_ids_release(&set->ids);
}

static bool set_add(struct set *set, uint32_t id)
{
	if (set->has[id])
		return false;
	set->has[id] = true;
	session_ids_add(&set->ids, id);
	return true;
}

/* The border between what --except names and what the targets reach: elements of the pipeline that are met first when
 * walking down from the exceptions. */
static void find_intersection(struct session *session, const struct set *targeted, struct set *border)
{
	struct set seen = set_new(session);

	for (uint32_t i = 0; i < session->except.count; i++)
		set_add(&seen, session->except.ids[i]);
	for (uint32_t i = 0; i < seen.ids.count; i++) {
		uint32_t id = seen.ids.ids[i];
		const struct graph_element *element = &session->graph.elements[id];

		if (targeted->has[id]) {
			set_add(border, id);
			continue;
		}
		for (uint32_t d = 0; d < element->dep_count; d++)
			set_add(&seen, element->deps[d].element);
	}
	set_release(&seen);
}

/* Drops from list what only the exceptions would keep. */
static void apply_except(struct session *session, struct session_ids *list)
{
	struct set targeted = set_new(session), border = set_new(session), kept = set_new(session);
	uint32_t out = 0;

	graph_walk_targets(&session->walk, &session->graph, session->targets.ids, session->targets.count, GRAPH_SCOPE_ALL);
	for (uint32_t i = 0; i < session->walk.count; i++)
		set_add(&targeted, session->walk.ids[i]);
	find_intersection(session, &targeted, &border);
	for (uint32_t i = 0; i < session->targets.count; i++)
		if (!border.has[session->targets.ids[i]])
			set_add(&kept, session->targets.ids[i]);
	for (uint32_t i = 0; i < kept.ids.count; i++) {
		const struct graph_element *element = &session->graph.elements[kept.ids.ids[i]];

		for (uint32_t d = 0; d < element->dep_count; d++)
			if (!border.has[element->deps[d].element])
				set_add(&kept, element->deps[d].element);
	}
	for (uint32_t i = 0; i < list->count; i++)
		if (kept.has[list->ids[i]])
			list->ids[out++] = list->ids[i];
	list->count = out;
	set_release(&targeted);
	set_release(&border);
	set_release(&kept);
}

int session_select(struct session *session, enum session_deps deps, struct session_ids *ret)
{
	static const enum graph_scope scopes[] = {
		[SESSION_DEPS_NONE] = GRAPH_SCOPE_NONE,
		[SESSION_DEPS_BUILD] = GRAPH_SCOPE_BUILD,
		[SESSION_DEPS_RUN] = GRAPH_SCOPE_RUN,
		[SESSION_DEPS_ALL] = GRAPH_SCOPE_ALL,
	};

	graph_walk_targets(&session->walk, &session->graph, session->targets.ids, session->targets.count, scopes[deps]);
	for (uint32_t i = 0; i < session->walk.count; i++)
		session_ids_add(ret, session->walk.ids[i]);
	if (session->except.count)
		apply_except(session, ret);
	return 0;
}

void session_redirect(struct session *session, struct session_ids *ret)
{
	struct set found = set_new(session);

	for (uint32_t i = 0; i < session->targets.count; i++) {
		uint32_t id = session->targets.ids[i];
		const char *name = session->graph.elements[id].name;

		while (str_eq(session->graph.elements[id].ops->name, "filter")) {
			const struct graph_element *filter = &session->graph.elements[id];
			uint32_t d = 0;

			while (d < filter->dep_count && !(filter->deps[d].type & GRAPH_BUILD))
				d++;
			if (d == filter->dep_count)
				break;
			id = filter->deps[d].element;
		}
		if (id != session->targets.ids[i]) {
			_cleanup_free_ char *text = xasprintf("Element '%s' redirected to '%s'", name,
							      session->graph.elements[id].name);

			session_say(session, SESSION_MESSAGE_INFO, text, NULL);
		}
		if (set_add(&found, id))
			session_ids_add(ret, id);
	}
	set_release(&found);
}

/* "tar source at elements/a.bst [line 3 column 2]", as the peer names a source. */
static void add_source(struct buf *out, const struct graph_source *source)
{
	buf_printf(out, "    %s source at ", source->ops->name);
	yaml_provenance(out, source->node);
	buf_adds(out, " is missing ref\n");
}

static void add_inconsistent(struct buf *out, const struct graph_element *element)
{
	if (element->workspace) {
		buf_printf(out, "  %s\n", element->full_name);
		return;
	}
	buf_printf(out, "  Element: %s is inconsistent\n", element->full_name);
	for (uint32_t s = 0; s < element->source_count; s++)
		if (!element->sources[s].has_ref)
			add_source(out, &element->sources[s]);
	buf_addc(out, '\n');
}

int session_assert_consistent(struct session *session, const struct session_ids *ids)
{
	_cleanup_buf_ struct buf plain = BUF_INIT, workspaced = BUF_INIT;
	int r;

	for (uint32_t i = 0; i < ids->count; i++) {
		const struct graph_element *element = &session->graph.elements[ids->ids[i]];

		if (!element->has_all_refs)
			add_inconsistent(element->workspace ? &workspaced : &plain, element);
	}
	if (plain.len) {
		r = diag_set(&session->diag, "pipeline", "inconsistent-pipeline", "Inconsistent pipeline");
		diag_detail(&session->diag,
			    "Exact versions are missing for the following elements:\n\n%sTry tracking these elements first "
			    "with `source track`\n", buf_text(&plain));
		return r;
	}
	if (workspaced.len) {
		r = diag_set(&session->diag, "pipeline", "inconsistent-pipeline-workspaced", "Inconsistent pipeline");
		diag_detail(&session->diag,
			    "Some workspaces exist but are not closed\nTry closing them with `workspace close`\n\n%s",
			    buf_text(&workspaced));
		return r;
	}
	return 0;
}

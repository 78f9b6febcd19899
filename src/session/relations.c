/* `graph`, `rdeps`, `path`: who depends on whom, as text, dot or JSON (docs/formats/inspect.md). */
#include "session/session_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kinds/kinds.h"

static const char *type_name(unsigned type)
{
	return type == GRAPH_BUILD ? "build" : type == GRAPH_RUNTIME ? "runtime" : "all";
}

/* ---- a set of elements with the edges between them ---- */

struct view {
	const struct graph *graph;
	const uint32_t *ids;
	uint32_t count;
	bool *shown; /* by element */
	struct buf out;
};

static void view_init(struct view *view, const struct graph *graph, const uint32_t *ids, uint32_t count)
{
	*view = (struct view){ .graph = graph, .ids = ids, .count = count };
	view->shown = xcalloc(graph->element_count + 1u, sizeof(bool));
	for (uint32_t i = 0; i < count; i++)
		view->shown[ids[i]] = true;
}

static void view_release(struct view *view)
{
	free(view->shown);
	buf_release(&view->out);
}

typedef void edge_fn(struct view *view, const struct graph_element *from, const struct graph_dep *dep);

static void each_edge(struct view *view, edge_fn *fn)
{
	for (uint32_t i = 0; i < view->count; i++) {
		const struct graph_element *from = &view->graph->elements[view->ids[i]];

		for (uint32_t d = 0; d < from->dep_count; d++)
			if (view->shown[from->deps[d].element])
				fn(view, from, &from->deps[d]);
	}
}

static void text_edge(struct view *view, const struct graph_element *from, const struct graph_dep *dep)
{
	buf_printf(&view->out, "%s -> %s (%s%s)\n", from->full_name, view->graph->elements[dep->element].full_name,
		   type_name(dep->type), dep->strict ? ", strict" : "");
}

/* Names in dot: the escapes of JSON are those of dot's quoted strings for all that names hold. */
static void dot_edge(struct view *view, const struct graph_element *from, const struct graph_dep *dep)
{
	static const char *const styles[] = { [GRAPH_BUILD] = "dashed", [GRAPH_RUNTIME] = "dotted", [GRAPH_ALL] = "solid" };

	buf_adds(&view->out, "  ");
	json_str(&view->out, from->full_name);
	buf_adds(&view->out, " -> ");
	json_str(&view->out, view->graph->elements[dep->element].full_name);
	buf_printf(&view->out, " [style=%s];\n", styles[dep->type & GRAPH_ALL]);
}

static void json_edge(struct view *view, const struct graph_element *from, const struct graph_dep *dep)
{
	json_comma(&view->out);
	buf_adds(&view->out, "\n{");
	json_member(&view->out, "from");
	json_str(&view->out, from->full_name);
	json_member(&view->out, "to");
	json_str(&view->out, view->graph->elements[dep->element].full_name);
	json_member(&view->out, "type");
	json_str(&view->out, type_name(dep->type));
	json_member(&view->out, "strict");
	json_bool(&view->out, dep->strict);
	buf_addc(&view->out, '}');
}

static void print_dot(struct view *view)
{
	buf_adds(&view->out, "digraph elements {\n");
	for (uint32_t i = 0; i < view->count; i++) {
		buf_adds(&view->out, "  ");
		json_str(&view->out, view->graph->elements[view->ids[i]].full_name);
		buf_adds(&view->out, ";\n");
	}
	each_edge(view, dot_edge);
	buf_adds(&view->out, "}\n");
}

static void print_json(struct view *view)
{
	buf_adds(&view->out, "{\"format-version\":1,\n\"elements\":[");
	for (uint32_t i = 0; i < view->count; i++) {
		const struct graph_element *element = &view->graph->elements[view->ids[i]];

		json_comma(&view->out);
		buf_adds(&view->out, "\n{");
		json_member(&view->out, "name");
		json_str(&view->out, element->full_name);
		json_member(&view->out, "kind");
		json_str(&view->out, element->ops->name);
		buf_addc(&view->out, '}');
	}
	buf_adds(&view->out, "],\n\"dependencies\":[");
	each_edge(view, json_edge);
	buf_adds(&view->out, "]}\n");
}

/* Elements in their order and the edges between them; as_text says what text is. */
static void print_view(struct session *session, const uint32_t *ids, uint32_t count, void (*as_text)(struct view *view))
{
	struct view view;

	view_init(&view, &session->graph, ids, count);
	if (session->request->output == SESSION_OUTPUT_DOT)
		print_dot(&view);
	else if (session->request->output == SESSION_OUTPUT_JSON)
		print_json(&view);
	else
		as_text(&view);
	session->frontend->output(session->frontend->data, buf_text(&view.out), view.out.len);
	view_release(&view);
}

/* ---- graph ---- */

static void text_edges(struct view *view)
{
	each_edge(view, text_edge);
}

int session_graph(struct session *session)
{
	struct session_ids ids = { 0 };
	int r = session_load(session, SESSION_LOAD_ALONE | SESSION_LOAD_NO_KEYS);

	if (r == 0)
		r = session_select(session, (enum session_deps)session->request->deps, &ids);
	if (r == 0)
		print_view(session, ids.ids, ids.count, text_edges);
	session_ids_release(&ids);
	return r;
}

/* ---- rdeps ---- */

static int find_named(struct session *session, const char *name, uint32_t *ret)
{
	*ret = project_find(session->loader, name);
	if (*ret != GRAPH_NONE)
		return 0;
	return diag_set(&session->diag, "stream", NULL, "'%s' is no element of the loaded project: give an element's full name",
			name);
}

/* Marks whatever depends on a marked element.  Dependencies have smaller numbers, but for junctions, which come in any
 * order and have no dependencies. */
static void mark_dependants(const struct graph *graph, const uint32_t *order, uint32_t count, bool *marked, bool direct)
{
	bool *named = xcalloc(graph->element_count + 1u, sizeof(bool));

	memcpy(named, marked, graph->element_count * sizeof(bool));
	for (uint32_t i = 0; i < count; i++) {
		const struct graph_element *element = &graph->elements[order[i]];

		for (uint32_t d = 0; d < element->dep_count && !marked[order[i]]; d++)
			marked[order[i]] = (direct ? named : marked)[element->deps[d].element];
	}
	free(named);
}

static void text_names(struct view *view)
{
	for (uint32_t i = 0; i < view->count; i++)
		buf_printf(&view->out, "%s\n", view->graph->elements[view->ids[i]].full_name);
}

static int by_full_name(const void *a, const void *b, void *data)
{
	const struct graph *graph = data;

	return strcmp(graph->elements[*(const uint32_t *)a].full_name, graph->elements[*(const uint32_t *)b].full_name);
}

int session_rdeps(struct session *session)
{
	const struct session_strings *names = &session->request->targets;
	struct session_ids found = { 0 };
	bool *marked = NULL;
	uint32_t id;
	int r = session_load(session, SESSION_LOAD_ALONE | SESSION_LOAD_NO_KEYS | SESSION_LOAD_WITH_DEFAULTS);

	if (r < 0)
		return r;
	marked = xcalloc(session->graph.element_count + 1u, sizeof(bool));
	for (size_t i = 0; r == 0 && i < names->count; i++)
		if ((r = find_named(session, names->items[i], &id)) == 0)
			marked[id] = true;
	if (r == 0) {
		graph_walk_targets(&session->walk, &session->graph, session->targets.ids, session->targets.count, GRAPH_SCOPE_ALL);
		mark_dependants(&session->graph, session->walk.ids, session->walk.count, marked, session->request->direct);
		/* For pictures the named elements belong to it; as a list it is what depends on them. */
		for (size_t i = 0; session->request->output == SESSION_OUTPUT_TEXT && i < names->count; i++)
			marked[project_find(session->loader, names->items[i])] = false;
		for (uint32_t i = 0; i < session->walk.count; i++)
			if (marked[session->walk.ids[i]])
				session_ids_add(&found, session->walk.ids[i]);
		if (found.count)
			qsort_r(found.ids, found.count, sizeof(*found.ids), by_full_name, &session->graph);
		print_view(session, found.ids, found.count, text_names);
	}
	free(marked);
	session_ids_release(&found);
	return r;
}

/* ---- path ---- */

/* Breadth first from `from`: who led to each element; GRAPH_NONE: not reached.  True if `to` was. */
static bool search(const struct graph *graph, uint32_t from, uint32_t to, uint32_t *led_by)
{
	uint32_t *queue = xcalloc(graph->element_count + 1u, sizeof(*queue)), head = 0, tail = 0;

	for (uint32_t i = 0; i < graph->element_count; i++)
		led_by[i] = GRAPH_NONE;
	led_by[from] = from;
	queue[tail++] = from;
	while (head < tail && led_by[to] == GRAPH_NONE) {
		const struct graph_element *element = &graph->elements[queue[head]];

		for (uint32_t d = 0; d < element->dep_count; d++) {
			uint32_t next = element->deps[d].element;

			if (led_by[next] != GRAPH_NONE)
				continue;
			led_by[next] = queue[head];
			queue[tail++] = next;
		}
		head++;
	}
	free(queue);
	return led_by[to] != GRAPH_NONE;
}

static void text_path(struct view *view)
{
	for (uint32_t i = 0; i < view->count; i++) {
		const struct graph_element *element = &view->graph->elements[view->ids[i]];
		const char *type = "";

		for (uint32_t d = 0; i + 1 < view->count && d < element->dep_count; d++)
			if (element->deps[d].element == view->ids[i + 1])
				type = type_name(element->deps[d].type);
		buf_printf(&view->out, *type ? "%s (%s)\n" : "%s\n", element->full_name, type);
	}
}

static int no_path(struct session *session, uint32_t from, uint32_t to, uint32_t *led_by)
{
	const char *a = session->graph.elements[from].full_name, *b = session->graph.elements[to].full_name;

	diag_set(&session->diag, "stream", NULL, "%s does not depend on %s", a, b);
	if (search(&session->graph, to, from, led_by))
		diag_detail(&session->diag, "It is the other way round: `millrace path %s %s` shows how", b, a);
	return -ENOENT;
}

int session_path(struct session *session)
{
	const struct session_strings *names = &session->request->targets;
	struct session_ids path = { 0 };
	uint32_t from, to, *led_by;
	int r;

	if (names->count != 2)
		return diag_set(&session->diag, "app", NULL, "`path` takes two elements: the one that depends and the one it depends on");
	r = session_load(session, SESSION_LOAD_ALONE | SESSION_LOAD_NO_KEYS);
	if (r < 0 || (r = find_named(session, names->items[0], &from)) < 0 ||
	    (r = find_named(session, names->items[1], &to)) < 0)
		return r;
	led_by = xcalloc(session->graph.element_count + 1u, sizeof(*led_by));
	if (search(&session->graph, from, to, led_by)) {
		for (uint32_t at = to;; at = led_by[at]) {
			session_ids_add(&path, at);
			if (at == from)
				break;
		}
		for (uint32_t i = 0; i < path.count / 2; i++) {
			uint32_t other = path.ids[path.count - 1 - i];

			path.ids[path.count - 1 - i] = path.ids[i];
			path.ids[i] = other;
		}
		print_view(session, path.ids, path.count, text_path);
	} else {
		r = no_path(session, from, to, led_by);
	}
	free(led_by);
	session_ids_release(&path);
	return r;
}

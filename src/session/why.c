/* `why`: what in an element's key changed.
 *
 * Against other options the project is loaded a second time, and whatever differs in the texts behind the keys is told,
 * element by element, from the bottom up.  Against a cached artifact less is known: it records dependencies with their keys,
 * environment, sandbox and public data, but neither configuration nor sources; what is left over is one of these.  A
 * dependency's old key names its old artifact, so the search goes on from there to whatever changed first.
 */
#include "session/session_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kinds/kinds.h"
#include "session/facts.h"

enum { MOST_SHOWN = 20, VALUE_BYTES = 160 };

struct why {
	struct session *session;
	struct arena arena;
	struct buf out;
	size_t shown;         /* elements */
	bool any;             /* differences of the element at hand, other than keys of dependencies */
	struct facts changed; /* dependencies whose key differs: path, old key */
};

static void add_value(struct buf *out, const char *value)
{
	size_t len = value ? strlen(value) : 0;

	if (!value)
		buf_adds(out, "(not there)");
	else
		buf_printf(out, "%.*s%s", (int)MIN(len, (size_t)VALUE_BYTES), value, len > VALUE_BYTES ? "..." : "");
}

static bool is_dependency(const char *path)
{
	return str_starts(path, "dependencies.");
}

static void tell(void *data, const char *path, const char *before, const char *after)
{
	struct why *why = data;

	if (str_eq(path, "weak-cache-key"))
		return;
	if (is_dependency(path) && before && after) {
		facts_add(&why->changed, path, before);
		return;
	}
	why->any = true;
	if (is_dependency(path)) {
		buf_printf(&why->out, "  dependency %s %s\n", path + strlen("dependencies."), after ? "was added" : "was removed");
		return;
	}
	buf_printf(&why->out, "  %s: ", path);
	add_value(&why->out, before);
	buf_adds(&why->out, " -> ");
	add_value(&why->out, after);
	buf_addc(&why->out, '\n');
}

static void add_name(struct why *why, const char *name, const char *before, const struct key *after)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, after->hash);
	buf_printf(&why->out, "%s: %.8s -> %.8s\n", name, before, hex);
}

/* The text behind the strict key, as facts. */
static bool current_facts(struct why *why, struct session *session, uint32_t id, struct facts *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	bool known = keys_text(session->keys, NULL, id, KEYS_STRICT, session->all_keys, &text);

	if (known)
		facts_add_json(ret, &why->arena, "", buf_text(&text));
	facts_sort(ret);
	return known;
}

/* Compares and tells; when nothing but keys of dependencies differ, what was said of the element is taken back. */
static void compare(struct why *why, const char *name, const char *old_key, const struct key *new_key,
		    const struct facts *before, const struct facts *after)
{
	size_t start = why->out.len;

	why->any = false;
	why->changed.count = 0;
	add_name(why, name, old_key, new_key);
	facts_compare(before, after, tell, why);
	if (!why->any) {
		why->out.len = start;
		why->out.data[start] = '\0';
	}
	why->shown += why->any;
}

/* ---- against other options ---- */

static const struct session_request *other_request(struct session *session)
{
	const struct session_request *request = session->request;
	struct session_request *other = arena_memdup(&session->arena, request, sizeof(*request));
	const struct session_pairs *own = &request->globals.options, *against = &request->against;
	struct session_pair *all = ARENA_ARRAY(&session->arena, struct session_pair, own->count + against->count);

	for (size_t i = 0; i < own->count; i++)
		all[i] = own->items[i];
	for (size_t i = 0; i < against->count; i++)
		all[own->count + i] = against->items[i];
	other->globals.options = (struct session_pairs){ all, own->count + against->count };
	return other;
}

static void compare_elements(struct why *why, struct session *other, uint32_t id)
{
	struct session *session = why->session;
	const char *name = session->graph.elements[id].full_name;
	uint32_t there = project_find(other->loader, name);
	struct facts before = { 0 }, after = { 0 };
	char hex[DIGEST_HEX + 1];

	if (there == GRAPH_NONE || why->shown >= MOST_SHOWN ||
	    key_eq(&session->all_keys[id].strict, &other->all_keys[there].strict))
		return;
	digest_to_hex(hex, session->all_keys[id].strict.hash);
	if (current_facts(why, session, id, &before) && current_facts(why, other, there, &after))
		compare(why, name, hex, &other->all_keys[there].strict, &before, &after);
	facts_release(&before);
	facts_release(&after);
}

static int why_options(struct why *why, uint32_t id)
{
	struct session *session = why->session;
	struct session other = { .request = other_request(session), .frontend = session->frontend,
				 .start_us = session->start_us };
	const char *name = session->graph.elements[id].full_name;
	uint32_t there;
	int r;

	graph_init(&other.graph);
	r = session_configure(&other);
	if (r == 0)
		r = session_load(&other, SESSION_LOAD_ALONE);
	if (r < 0) {
		diag_move(&session->diag, &other.diag);
		session_release(&other);
		return r;
	}
	there = project_find(other.loader, name);
	if (there != GRAPH_NONE && key_eq(&session->all_keys[id].strict, &other.all_keys[there].strict)) {
		buf_printf(&why->out, "%s: its key is the same\n", name);
	} else {
		graph_walk_scope(&session->walk, &session->graph, id, GRAPH_SCOPE_ALL);
		for (uint32_t i = 0; i < session->walk.count; i++)
			compare_elements(why, &other, session->walk.ids[i]);
	}
	session_release(&other);
	return 0;
}

/* ---- against a cached artifact ---- */

struct newest {
	struct session *session;
	struct arena *arena;
	const char *name;
	int64_t mtime_s;
};

static int consider(void *data, const char *name, int64_t mtime_s)
{
	struct newest *newest = data;

	if (!newest->name || mtime_s >= newest->mtime_s) {
		newest->name = arena_strdup(newest->arena, name);
		newest->mtime_s = mtime_s;
	}
	return 0;
}

static void add_pairs(struct facts *facts, struct arena *arena, const char *prefix, const struct graph_pair *pairs,
		      uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		_cleanup_buf_ struct buf value = BUF_INIT;

		json_str(&value, pairs[i].value);
		facts_add(facts, arena_join(arena, prefix, ".", pairs[i].name), arena_strdup(arena, buf_text(&value)));
	}
}

static bool is_nocache(const struct graph_element *element, const char *name)
{
	for (uint32_t i = 0; i < element->environment_nocache_count; i++)
		if (strcmp(element->environment_nocache[i], name) == 0)
			return true;
	return false;
}

/* What an artifact recorded of what its key was made of. */
static void recorded_facts(struct why *why, const struct artifact *artifact, const struct graph_element *element,
			   struct facts *ret)
{
	struct session *session = why->session;
	const struct graph_pair *environment = NULL;
	const struct yaml_node *public_data = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	uint32_t count = 0;

	for (uint32_t i = 0; i < artifact->dep_count; i++)
		facts_add(ret,
			  arena_printf(&why->arena, "dependencies.%s:%s", artifact->deps[i].project,
				       artifact->deps[i].element),
			  artifact->deps[i].key);
	if (kinds_runs_commands(element) &&
	    artifact_get_environment(session->cas, artifact, &why->arena, &environment, &count, NULL) == 0)
		for (uint32_t i = 0; i < count; i++)
			if (!is_nocache(element, environment[i].name))
				add_pairs(ret, &why->arena, "environment", &environment[i], 1);
	if (artifact_get_public(session->cas, artifact, &why->arena, &public_data, NULL) == 0) {
		kinds_json_node(&text, public_data);
		facts_add_json(ret, &why->arena, "public", buf_text(&text));
	}
	facts_sort(ret);
}

/* The part of the present facts that artifacts record, too. */
static void keep_recorded(struct facts *facts)
{
	size_t out = 0;

	for (size_t i = 0; i < facts->count; i++)
		if (is_dependency(facts->items[i].path) || str_starts(facts->items[i].path, "environment.") ||
		    str_starts(facts->items[i].path, "public."))
			facts->items[out++] = facts->items[i];
	facts->count = out;
}

static uint32_t find_dependency(struct session *session, const char *path)
{
	const char *colon = strchr(path, ':');

	for (uint32_t i = 0; i < session->graph.element_count; i++) {
		const struct graph_element *element = &session->graph.elements[i];
		const char *project = session->graph.projects[element->project].name;

		if (strlen(project) == (size_t)(colon - path) && strncmp(project, path, (size_t)(colon - path)) == 0 &&
		    strcmp(element->name, colon + 1) == 0)
			return i;
	}
	return GRAPH_NONE;
}

static void explain(struct why *why, uint32_t id, const struct artifact *artifact)
{
	struct session *session = why->session;
	const struct graph_element *element = &session->graph.elements[id];
	const struct key *key = &session->all_keys[id].strict;
	struct facts before = { 0 }, after = { 0 };

	recorded_facts(why, artifact, element, &before);
	current_facts(why, session, id, &after);
	keep_recorded(&after);
	compare(why, element->full_name, artifact->strong_key, key, &before, &after);
	if (!why->any && why->changed.count == 0) {
		add_name(why, element->full_name, artifact->strong_key, key);
		buf_adds(&why->out, "  its configuration, its sources or its plugin (an artifact records none of these)\n");
		why->shown++;
	}
	facts_release(&before);
	facts_release(&after);
}

struct pending { /* an element whose key was another one */
	uint32_t id;
	const char *old_key;
};

static void follow(struct why *why, uint32_t id, struct artifact *artifact)
{
	struct session *session = why->session;
	bool *seen = xcalloc(session->graph.element_count + 1u, sizeof(bool));
	struct pending *queue = NULL;
	size_t cap = 0, count = 0;
	_cleanup_buf_ struct buf name = BUF_INIT;

	seen[id] = true;
	explain(why, id, artifact);
	for (size_t at = 0;; at++) {
		for (size_t i = 0; i < why->changed.count; i++) {
			uint32_t dep = find_dependency(session, why->changed.items[i].path + strlen("dependencies."));

			if (dep == GRAPH_NONE || seen[dep])
				continue;
			seen[dep] = true;
			queue = util_grow(queue, &cap, count + 1, sizeof(*queue));
			queue[count++] = (struct pending){ dep, why->changed.items[i].value };
		}
		why->changed.count = 0;
		if (at == count || why->shown >= MOST_SHOWN)
			break;
		buf_clear(&name);
		artifact_name(&name, session->graph.projects[session->graph.elements[queue[at].id].project].name,
			      session->graph.elements[queue[at].id].normal_name, queue[at].old_key);
		if (artifact_read(artifact, &why->arena, session->cas, buf_text(&name), NULL) == 0) {
			explain(why, queue[at].id, artifact);
			continue;
		}
		add_name(why, session->graph.elements[queue[at].id].full_name, queue[at].old_key,
			 &session->all_keys[queue[at].id].strict);
		buf_adds(&why->out, "  its artifact of then is no longer cached\n");
		why->shown++;
	}
	free(queue);
	free(seen);
}

static int why_cached(struct why *why, uint32_t id)
{
	struct session *session = why->session;
	const struct graph_element *element = &session->graph.elements[id];
	struct newest newest = { .session = session, .arena = &why->arena };
	struct artifact artifact;
	_cleanup_buf_ struct buf name = BUF_INIT;
	int r = session_open_cache(session, false);

	if (r < 0)
		return r;
	if (!key_known(&session->all_keys[id].strict))
		buf_printf(&why->out, "%s: it has no key, because a source has no ref\n", element->full_name);
	else if (session_read_artifact(session, &why->arena, id, &artifact) == 1)
		buf_printf(&why->out, "%s: %.8s is cached\n", element->full_name, artifact.strong_key);
	if (why->out.len)
		return 0;
	artifact_name(&name, session->graph.projects[element->project].name, element->normal_name, "*");
	(void)artifact_list(session->cas, buf_text(&name), consider, &newest);
	if (!newest.name || artifact_read(&artifact, &why->arena, session->cas, newest.name, NULL) < 0)
		buf_printf(&why->out, "%s: no artifact of it is cached\n", element->full_name);
	else
		follow(why, id, &artifact);
	return 0;
}

int session_why(struct session *session)
{
	struct why why = { .session = session };
	int r = session_load(session, SESSION_LOAD_ALONE);

	if (r == 0 && session->targets.count != 1)
		r = diag_set(&session->diag, "app", NULL, "`why` explains one element");
	if (r == 0)
		r = session->request->against.count ? why_options(&why, session->targets.ids[0]) :
						      why_cached(&why, session->targets.ids[0]);
	if (r == 0)
		session->frontend->output(session->frontend->data, buf_text(&why.out), why.out.len);
	facts_release(&why.changed);
	buf_release(&why.out);
	arena_release(&why.arena);
	return r;
}

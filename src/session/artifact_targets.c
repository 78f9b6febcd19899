/* Artifact names on the command line: each becomes an element of the graph that mimics what was built (the peer's
 * ArtifactElement): name, environment, sandbox, public data come from the artifact's own metadata.
 *
 * Done before graph_freeze.  What the artifact knows about itself goes into state right away, so that commands treat
 * both sorts of target alike. */
#include "session/session_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/jobs.h"
#include "kinds/element_configs.h"
#include "kinds/kinds.h"
#include "yaml/yaml.h"

/* "<project>/<normal name>/<64 hex digits>" */
static bool is_artifact_name(const char *name)
{
	const char *slash = strchr(name, '/'), *last = strrchr(name, '/');
	struct key key;

	return slash && last > slash + 1 && slash > name && strlen(last + 1) == DIGEST_HEX && digest_from_hex(key.hash, last + 1);
}

static int collect(void *data, const char *name, int64_t mtime_s)
{
	struct session_strings *names = data;

	(void)mtime_s;
	names->items = xreallocarray(names->items, names->count + 1, sizeof(*names->items));
	names->items[names->count++] = xstrdup(name);
	return 0;
}

/* All cached artifacts that a glob names, appended to out. */
static void expand(struct session *session, const char *glob, struct session_strings *out)
{
	size_t before = out->count;

	(void)artifact_list(session->cas, glob, collect, out);
	if (out->count == before)
		session_say(session, SESSION_MESSAGE_WARN,
			    arena_printf(&session->arena, "No artifact names matched the glob expression: %s", glob), NULL);
}

static uint32_t project_named(struct session *session, const char *name)
{
	uint32_t id;

	for (id = 0; id < session->graph.project_count; id++)
		if (str_eq(session->graph.projects[id].name, name))
			return id;
	id = graph_add_project(&session->graph);
	session->graph.projects[id].name = arena_strdup(&session->graph.arena, name);
	session->graph.projects[id].parent = GRAPH_NONE;
	session->graph.projects[id].strict = true;
	return id;
}

static int fill(struct session *session, struct graph_element *element, const struct artifact *artifact)
{
	struct arena *arena = &session->graph.arena;
	struct diag *diag = &session->diag;
	int r = artifact_get_public(session->cas, artifact, arena, &element->public_data, diag);

	if (r == 0)
		r = artifact_get_environment(session->cas, artifact, arena, &element->environment,
					     &element->environment_count, diag);
	if (r == 0)
		r = artifact_get_variables(session->cas, artifact, arena, &element->variables, &element->variable_count, diag);
	if (r == 0)
		r = artifact_get_sandbox(session->cas, artifact, arena, &element->sandbox, diag);
	return r;
}

/* The element for one artifact name, its build dependencies not included. */
static int add(struct session *session, const char *name, uint32_t *ret)
{
	struct arena *arena = &session->graph.arena;
	const char *slash = strchr(name, '/'), *last = strrchr(name, '/');
	char *project = arena_strndup(arena, name, (size_t)(slash - name));
	uint32_t project_id = project_named(session, project), id = graph_add_element(&session->graph);
	struct graph_element *element = &session->graph.elements[id];
	struct session_artifact *record = ARENA_NEW(&session->arena, struct session_artifact);
	struct kinds_import *config = ARENA_NEW(arena, struct kinds_import);
	int r = 0;

	/* A key is computed of this too; session_artifact_keys puts the artifact's own in its place. */
	config->source = config->target = "/";
	*element = (struct graph_element){
		.name = arena_strdup(arena, name),
		.full_name = arena_strdup(arena, name),
		.normal_name = arena_strndup(arena, slash + 1, (size_t)(last - slash - 1)),
		.project = project_id,
		.ops = kinds_find_element("import"),
		.config = config,
		.public_data = yaml_empty_map(arena, NULL),
		.sandbox = { .build_uid = -1, .build_gid = -1 },
		.is_target = true,
		.has_all_refs = true,
	};
	*record = (struct session_artifact){ .element = id, .name = element->name, .next = session->artifacts };
	session->artifacts = record;
	record->cached = artifact_cached(&record->artifact, &session->arena, session->cas, name) == 1;
	if (record->cached)
		r = fill(session, element, &record->artifact);
	(void)digest_from_hex(record->key.hash, record->cached ? record->artifact.strong_key : last + 1);
	*ret = id;
	return r;
}

/* --deps build: what it was built from, as recorded. */
static int add_dependencies(struct session *session, uint32_t id, const struct artifact *artifact)
{
	struct graph_dep *deps = ARENA_ARRAY(&session->graph.arena, struct graph_dep, artifact->dep_count + 1u);

	for (uint32_t i = 0; i < artifact->dep_count; i++) {
		const char *normal = graph_normal_name(&session->arena, artifact->deps[i].element);
		_cleanup_buf_ struct buf name = BUF_INIT;
		uint32_t dep;
		int r;

		artifact_name(&name, artifact->deps[i].project, normal, artifact->deps[i].key);
		r = add(session, buf_text(&name), &dep);
		if (r < 0)
			return r;
		deps[i] = (struct graph_dep){ .element = dep, .type = GRAPH_BUILD, .path = session->graph.elements[dep].name };
	}
	session->graph.elements[id].deps = deps;
	session->graph.elements[id].dep_count = artifact->dep_count;
	return 0;
}

static int check_names(struct session *session)
{
	enum session_deps deps = (enum session_deps)session->request->deps;

	for (size_t i = 0; i < session->artifact_names.count; i++) {
		const char *name = session->artifact_names.items[i];
		int r;

		if (strpbrk(name, "*?[") || is_artifact_name(name))
			continue;
		r = diag_set(&session->diag, "stream", "unrecognized-target-format",
			     "Specified target does not appear to be an artifact or element name: %s", name);
		diag_detail(&session->diag, "Element names and element glob expressions must end in '.bst'");
		return r;
	}
	if (session->artifact_names.count && (deps == SESSION_DEPS_ALL || deps == SESSION_DEPS_RUN))
		return diag_set(&session->diag, "stream", "deps-not-supported",
				"Error: '--deps %s' is not supported for artifact names", deps == SESSION_DEPS_ALL ? "all" : "run");
	return 0;
}

static bool is_target(const struct session *session, uint32_t element)
{
	for (uint32_t i = 0; i < session->targets.count; i++)
		if (session->targets.ids[i] == element)
			return true;
	return false;
}

/* Of the two names that reach an artifact, the one with the strong key is shown. */
static void rename_target(struct session *session, struct session_artifact *known, const char *name)
{
	struct graph_element *element = &session->graph.elements[known->element];

	known->name = element->name = element->full_name = arena_strdup(&session->graph.arena, name);
}

/* Was this very artifact named before, be it under its other key? */
static bool is_known(struct session *session, const char *name)
{
	const char *last = strrchr(name, '/');
	struct key key;

	if (!last || !digest_from_hex(key.hash, last + 1))
		return false;
	for (struct session_artifact *a = session->artifacts; a; a = a->next) {
		struct key weak;

		if (!is_target(session, a->element) || strncmp(a->name, name, (size_t)(last + 1 - name)) != 0)
			continue;
		if (memcmp(a->key.hash, key.hash, DIGEST_BYTES) == 0) {
			rename_target(session, a, name);
			return true;
		}
		if (a->cached && digest_from_hex(weak.hash, a->artifact.weak_key) &&
		    memcmp(weak.hash, key.hash, DIGEST_BYTES) == 0)
			return true;
	}
	return false;
}

static int add_targets(struct session *session, const struct session_strings *names)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->count; i++) {
		uint32_t id;

		if (is_known(session, names->items[i]))
			continue;
		r = add(session, names->items[i], &id);
		if (r == 0 && session->artifacts->cached && session->request->deps == SESSION_DEPS_BUILD)
			r = add_dependencies(session, id, &session->artifacts->artifact);
		session_ids_add(&session->targets, id);
	}
	return r;
}

int session_artifact_targets(struct session *session)
{
	struct session_strings names = { 0 };
	int r = check_names(session);

	if (r == 0 && session->artifact_names.count)
		r = session_open_cache(session, false);
	for (size_t i = 0; r == 0 && i < session->artifact_names.count; i++) {
		if (strpbrk(session->artifact_names.items[i], "*?["))
			expand(session, session->artifact_names.items[i], &names);
		else
			collect(&names, session->artifact_names.items[i], 0);
	}
	if (r == 0)
		r = add_targets(session, &names);
	for (size_t i = 0; i < names.count; i++)
		free((char *)names.items[i]);
	free(names.items);
	return r;
}

void session_artifact_keys(struct session *session)
{
	for (const struct session_artifact *a = session->artifacts; a; a = a->next) {
		struct keys_of_element *keys = &session->all_keys[a->element];

		keys->weak = keys->strict = keys->strong = a->key;
		if (a->cached)
			(void)digest_from_hex(keys->weak.hash, a->artifact.weak_key);
	}
}

bool session_is_artifact(const struct session *session, uint32_t element)
{
	for (const struct session_artifact *a = session->artifacts; a; a = a->next)
		if (a->element == element)
			return true;
	return false;
}

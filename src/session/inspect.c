/* `inspect`: projects and elements as JSON, in the schema of docs/formats/inspect.md. */
#include "session/session_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kinds/kinds.h"
#include "yaml/yaml.h"

static void add_text(struct buf *out, const char *name, const char *text)
{
	json_member(out, name);
	json_str(out, text);
}

static void add_pairs(struct buf *out, const char *name, const struct graph_pair *pairs, uint32_t count)
{
	json_member(out, name);
	buf_addc(out, '{');
	for (uint32_t i = 0; i < count; i++) {
		json_member(out, pairs[i].name);
		json_str(out, pairs[i].value);
	}
	buf_addc(out, '}');
}

static void add_node(struct buf *out, const char *name, const struct yaml_node *node)
{
	json_member(out, name);
	if (node)
		kinds_json_node(out, node);
	else
		buf_adds(out, "{}");
}

static void add_key(struct buf *out, const char *name, const struct key *key)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, key->hash);
	add_text(out, name, key_known(key) ? hex : NULL);
}

/* ---- projects ---- */

static void add_plugins(struct session *session, struct buf *out, uint32_t id)
{
	static const char *const states[] = { [KINDS_PLUGIN_KNOWN] = "known", [KINDS_PLUGIN_STABLE] = "stable",
					      [KINDS_PLUGIN_UNSTABLE] = "unstable" };
	uint32_t count;
	const struct project_plugin *plugins = project_plugins(session->loader, id, &session->arena, &count);

	json_member(out, "plugins");
	buf_addc(out, '[');
	for (uint32_t i = 0; i < count; i++) {
		json_comma(out);
		buf_addc(out, '{');
		add_text(out, "type", plugins[i].is_source ? "source" : "element");
		add_text(out, "kind", plugins[i].kind);
		add_text(out, "package", plugins[i].plugin ? plugins[i].plugin->package : NULL);
		add_text(out, "match", plugins[i].plugin ? states[plugins[i].plugin->state] : "core");
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void add_project(struct session *session, struct buf *out, uint32_t id)
{
	const struct graph_project *project = &session->graph.projects[id];
	const struct project_info *info = project_info(session->loader, id);

	json_comma(out);
	buf_adds(out, "\n{");
	add_text(out, "name", project->name);
	add_text(out, "junction", project->junction);
	add_text(out, "directory", project->directory);
	add_text(out, "element-path", info->element_path);
	add_text(out, "ref-storage", info->ref_storage);
	json_member(out, "strict");
	json_bool(out, project->strict);
	add_pairs(out, "options", info->options, info->option_count);
	add_plugins(session, out, id);
	buf_addc(out, '}');
}

/* ---- elements ---- */

static void add_deps(struct session *session, struct buf *out, const struct graph_element *element)
{
	json_member(out, "dependencies");
	buf_addc(out, '[');
	for (uint32_t i = 0; i < element->dep_count; i++) {
		const struct graph_dep *dep = &element->deps[i];

		json_comma(out);
		buf_addc(out, '{');
		add_text(out, "name", session->graph.elements[dep->element].full_name);
		add_text(out, "type", dep->type == GRAPH_BUILD ? "build" : dep->type == GRAPH_RUNTIME ? "runtime" : "all");
		json_member(out, "strict");
		json_bool(out, dep->strict);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void add_sources(struct buf *out, const struct graph_element *element)
{
	json_member(out, "sources");
	buf_addc(out, '[');
	for (uint32_t i = 0; i < element->source_count; i++) {
		const struct graph_source *source = &element->sources[i];

		json_comma(out);
		buf_addc(out, '{');
		add_text(out, "kind", source->ops->name);
		add_text(out, "directory", source->directory);
		json_member(out, "has-ref");
		json_bool(out, source->has_ref);
		add_node(out, "config", source->node);
		json_member(out, "unique-key");
		if (source->key_json)
			buf_add(out, source->key_json, source->key_json_len);
		else
			buf_adds(out, "null");
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void add_sandbox(struct buf *out, const struct graph_sandbox *sandbox)
{
	json_member(out, "sandbox");
	buf_addc(out, '{');
	add_text(out, "build-os", sandbox->build_os);
	add_text(out, "build-arch", sandbox->build_arch);
	json_member(out, "build-uid");
	json_int(out, sandbox->build_uid);
	json_member(out, "build-gid");
	json_int(out, sandbox->build_gid);
	add_text(out, "remote-apis-socket", sandbox->remote_apis_socket);
	buf_addc(out, '}');
}

static void add_element(struct session *session, struct buf *out, uint32_t id)
{
	const struct graph_element *element = &session->graph.elements[id];
	const struct keys_of_element *keys = &session->all_keys[id];

	json_comma(out);
	buf_adds(out, "\n{");
	add_text(out, "name", element->full_name);
	json_member(out, "project");
	json_int(out, element->project);
	add_text(out, "kind", element->ops->name);
	add_text(out, "description", element->description);
	add_text(out, "file", element->file);
	add_text(out, "workspace", element->workspace);
	json_member(out, "target");
	json_bool(out, element->is_target);
	json_member(out, "keys");
	buf_addc(out, '{');
	add_key(out, "weak", &keys->weak);
	add_key(out, "strict", &keys->strict);
	add_key(out, "strong", &keys->strong);
	buf_addc(out, '}');
	add_deps(session, out, element);
	add_sources(out, element);
	add_pairs(out, "variables", element->variables, element->variable_count);
	add_pairs(out, "environment", element->environment, element->environment_count);
	add_node(out, "config", element->config_node);
	add_node(out, "public", element->public_data);
	add_sandbox(out, &element->sandbox);
	buf_addc(out, '}');
}

int session_inspect(struct session *session)
{
	enum { FLUSH_BYTES = 1 << 20 };
	struct session_frontend *frontend = session->frontend;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct session_ids ids = { 0 };
	int r = session_load(session, SESSION_LOAD_ALONE);

	if (r == 0)
		r = session_select(session, (enum session_deps)session->request->deps, &ids);
	if (r < 0)
		return r;
	buf_adds(&out, "{\"format-version\":1,\n\"projects\":[");
	for (uint32_t i = 0; i < session->graph.project_count; i++)
		add_project(session, &out, i);
	buf_adds(&out, "],\n\"elements\":[");
	for (uint32_t i = 0; i < ids.count; i++) {
		add_element(session, &out, ids.ids[i]);
		if (out.len < FLUSH_BYTES)
			continue;
		frontend->output(frontend->data, out.data, out.len - 1); /* the brace decides about the next comma */
		buf_clear(&out);
		buf_addc(&out, '}');
	}
	buf_adds(&out, "]}\n");
	frontend->output(frontend->data, buf_text(&out), out.len);
	session_ids_release(&ids);
	return 0;
}

/* What the session itself says: activities, headings, descriptions of elements. */
#include "session/session_internal.h"

#include <stdlib.h>
#include <string.h>

#include "kinds/kinds.h"
#include "yaml/yaml.h"

enum { TALLY_US = 3000000 }; /* activities shorter than that end without a tally */

static void hex_of(char hex[DIGEST_HEX + 1], const struct session *session, uint32_t element, const char **ret)
{
	const struct key *key = &session->all_keys[element].strong;

	*ret = NULL;
	if (!session->all_keys || !key_known(key))
		return;
	digest_to_hex(hex, key->hash);
	*ret = hex;
}

void session_tell(struct session *session, enum session_message_type type, const char *text, const char *detail,
		  uint32_t element, int64_t elapsed_us)
{
	char hex[DIGEST_HEX + 1];
	struct session_message message = { .type = type, .text = text, .detail = detail, .elapsed_us = elapsed_us };

	if (element != GRAPH_NONE) {
		message.element = session->graph.elements[element].full_name;
		if (session->all_keys)
			hex_of(hex, session, element, &message.key);
	}
	session->frontend->message(session->frontend->data, &message);
}

void session_say(struct session *session, enum session_message_type type, const char *text, const char *detail)
{
	session_tell(session, type, text, detail, GRAPH_NONE, -1);
}

struct session_activity session_begin(struct session *session, const char *text, uint32_t element)
{
	session_tell(session, SESSION_MESSAGE_START, text, NULL, element, -1);
	return (struct session_activity){ session, text, util_now_us(), element };
}

void session_end(struct session_activity *activity, bool success)
{
	session_tell(activity->session, success ? SESSION_MESSAGE_SUCCESS : SESSION_MESSAGE_FAIL, activity->text, NULL,
		     activity->element, util_now_us() - activity->start_us);
}

void session_end_counted(struct session_activity *activity, bool success, uint32_t count, uint32_t total)
{
	int64_t elapsed_us = util_now_us() - activity->start_us;
	/* The peer's tests set this to see what people see only when they have to wait. */
	bool tell = success && (elapsed_us > TALLY_US || getenv("BST_TEST_SUITE"));
	_cleanup_buf_ struct buf detail = BUF_INIT;

	if (tell && total)
		buf_printf(&detail, "%u of %u subtasks processed", count, total);
	else if (tell)
		buf_printf(&detail, "%u subtasks processed", count);
	session_tell(activity->session, success ? SESSION_MESSAGE_SUCCESS : SESSION_MESSAGE_FAIL, activity->text,
		     detail.len ? buf_text(&detail) : NULL, activity->element, elapsed_us);
}

/* --- what show prints of an element --- */

static const char *yaml_text(struct arena *arena, const struct yaml_node *node)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	if (!node)
		return arena_strdup(arena, "{}\n");
	yaml_write(&out, node);
	return arena_strndup(arena, buf_text(&out), out.len);
}

static const char *pairs_text(struct session *session, struct arena *arena, uint32_t id, enum project_definitions what)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	uint32_t count;
	const struct graph_pair *pairs = project_defined(session->loader, id, what, arena, &count);

	for (uint32_t i = 0; i < count; i++)
		yaml_write_pair(&out, pairs[i].name, pairs[i].value);
	if (!count)
		buf_adds(&out, "{}\n");
	return arena_strndup(arena, buf_text(&out), out.len);
}

static const char *deps_text(struct session *session, struct arena *arena, const struct graph_element *element,
			     unsigned types)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	for (uint32_t i = 0; i < element->dep_count; i++) {
		const char *name = session->graph.elements[element->deps[i].element].full_name;

		if (!(element->deps[i].type & types))
			continue;
		buf_adds(&out, "- ");
		yaml_write_scalar(&out, name, strlen(name));
		buf_addc(&out, '\n');
	}
	if (!out.len)
		buf_adds(&out, "[]\n");
	return arena_strndup(arena, buf_text(&out), out.len);
}

static void add_member(struct buf *out, const char *indent, const char *name, const char *value)
{
	if (!value)
		return;
	buf_adds(out, indent);
	yaml_write_pair(out, name, value);
}

/* One source in the form of the peer's SourceInfo.serialize; what older tools look for is there twice. */
static void add_source_info(struct buf *out, const struct graph_source *source, const struct kinds_source_info *info)
{
	static const char *const on_top[] = { "homepage", "issue-tracker" };
	const struct yaml_node *provenance = info->provenance;

	add_member(out, "- ", "kind", source->ops->name);
	add_member(out, "  ", "url", info->url);
	for (size_t i = 0; provenance && i < ARRAY_SIZE(on_top); i++) {
		const struct yaml_node *value = yaml_get(provenance, on_top[i]);

		add_member(out, "  ", on_top[i], value ? value->text : NULL);
	}
	if (provenance)
		buf_adds(out, "  provenance:\n");
	for (uint32_t i = 0; provenance && i < provenance->count; i++)
		add_member(out, "    ", provenance->entries[i].key, provenance->entries[i].value->text);
	add_member(out, "  ", "medium", info->medium);
	add_member(out, "  ", "version-type", info->version_type);
	add_member(out, "  ", "version", info->version);
	add_member(out, "  ", "version-guess", info->version_guess);
	if (info->extra_count)
		buf_adds(out, "  extra-data:\n");
	for (uint32_t i = 0; i < info->extra_count; i++)
		add_member(out, "    ", info->extra[i].name, info->extra[i].value ? info->extra[i].value : "None");
}

static const char *sources_text(struct session *session, struct arena *arena, uint32_t id)
{
	const struct graph_element *element = &session->graph.elements[id];
	_cleanup_buf_ struct buf out = BUF_INIT;

	for (uint32_t i = 0; i < element->source_count; i++) {
		const struct graph_source *source = &element->sources[i];
		const struct kinds_source_info *infos;
		uint32_t count = kinds_source_infos(arena, source, &infos);

		for (uint32_t k = 0; k < count; k++)
			add_source_info(&out, source, &infos[k]);
		if (!count)
			session_tell(session, SESSION_MESSAGE_WARN,
				     arena_printf(arena, "[unavailable-source-info]: %s source of %s cannot describe its origin",
						  source->ops->name, element->full_name),
				     NULL, id, -1);
	}
	if (!out.len)
		buf_adds(&out, "[]\n");
	return arena_strndup(arena, buf_text(&out), out.len);
}

static const char *digest_text(struct session *session, struct arena *arena, uint32_t id)
{
	const struct state_artifact *artifact = &state_get(session->state, id)->artifact;
	const struct digest *files = state_digest_known(&artifact->files) ? &artifact->files : &DIGEST_EMPTY;
	char hex[DIGEST_HEX + 1];

	if (artifact->outcome != STATE_ARTIFACT_SUCCESS && artifact->outcome != STATE_ARTIFACT_FAILURE)
		return NULL;
	digest_to_hex(hex, files->hash);
	return arena_printf(arena, "%s/%lld", hex, (long long)files->size_bytes);
}

static void describe_data(struct session *session, struct arena *arena, uint32_t id, uint64_t needs, struct session_element *ret)
{
	const struct graph_element *e = &session->graph.elements[id];
	const struct {
		enum session_show_field field;
		unsigned types;
		const char **to;
	} deps[] = {
		{ SESSION_SHOW_DEPS, GRAPH_ALL, &ret->deps },
		{ SESSION_SHOW_BUILD_DEPS, GRAPH_BUILD, &ret->build_deps },
		{ SESSION_SHOW_RUNTIME_DEPS, GRAPH_RUNTIME, &ret->runtime_deps },
	};

	if (needs & SESSION_SHOW_BIT(SESSION_SHOW_CONFIG))
		ret->config = yaml_text(arena, e->config_node);
	if (needs & SESSION_SHOW_BIT(SESSION_SHOW_VARS))
		ret->vars = pairs_text(session, arena, id, PROJECT_VARIABLES);
	if (needs & SESSION_SHOW_BIT(SESSION_SHOW_ENV))
		ret->env = pairs_text(session, arena, id, PROJECT_ENVIRONMENT);
	if (needs & SESSION_SHOW_BIT(SESSION_SHOW_PUBLIC))
		ret->public_data = yaml_text(arena, e->public_data);
	for (size_t i = 0; i < ARRAY_SIZE(deps); i++)
		if (needs & SESSION_SHOW_BIT(deps[i].field))
			*deps[i].to = deps_text(session, arena, e, deps[i].types);
}

void session_describe(struct session *session, struct arena *arena, uint32_t id, uint64_t needs,
		      struct session_element *ret)
{
	const struct graph_element *e = &session->graph.elements[id];
	const struct keys_of_element *keys = session->all_keys ? &session->all_keys[id] : NULL;
	char *hex;

	*ret = (struct session_element){ .name = e->full_name, .kind = e->ops->name, .description = e->description,
					 .workspace = e->workspace };
	if (keys && key_known(&keys->strong)) {
		hex = arena_bytes(arena, DIGEST_HEX + 1);
		digest_to_hex(hex, keys->strong.hash);
		ret->full_key = hex;
	}
	ret->key_weak = keys && !key_eq(&keys->strong, &keys->strict);
	if ((needs & SESSION_SHOW_BIT(SESSION_SHOW_STATE)) && session->state)
		ret->state = session_element_state(session, id);
	if ((needs & SESSION_SHOW_BIT(SESSION_SHOW_ARTIFACT_CAS_DIGEST)) && session->state)
		ret->artifact_cas_digest = digest_text(session, arena, id);
	if (needs & SESSION_SHOW_BIT(SESSION_SHOW_SOURCE_INFO))
		ret->source_info = sources_text(session, arena, id);
	describe_data(session, arena, id, needs, ret);
}

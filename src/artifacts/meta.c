/* Metadata blobs: YAML that both tools read back.
 *
 * low diversity:  environment: {NAME: value}          high diversity:  variables: {name: value}
 *                 sandbox-config: {build-os, build-arch, build-uid, build-gid, remote-apis-socket: {path, ...}}
 */
#include <errno.h>
#include <string.h>

#include "artifacts/artifacts.h"
#include "yaml/yaml.h"

enum { BLOB_MAX = 64 << 20 };

static const struct yaml_node *finish(struct yaml_map_builder *builder, struct arena *arena)
{
	const struct yaml_node *map = yaml_map_build(builder, arena, NULL);

	yaml_map_builder_release(builder);
	return map;
}

static const struct yaml_node *pairs_map(struct arena *arena, const struct graph_pair *pairs, uint32_t count)
{
	struct yaml_map_builder builder = YAML_MAP_BUILDER_INIT;

	for (uint32_t i = 0; i < count; i++)
		yaml_map_add(&builder, pairs[i].name, strlen(pairs[i].name), yaml_str(arena, pairs[i].value, NULL));
	return finish(&builder, arena);
}

static void add_text(struct yaml_map_builder *builder, struct arena *arena, const char *key, const char *text)
{
	yaml_map_add(builder, key, strlen(key), yaml_str(arena, text, NULL));
}

static const struct yaml_node *sandbox_map(struct arena *arena, const struct graph_sandbox *sandbox)
{
	struct yaml_map_builder builder = YAML_MAP_BUILDER_INIT, socket = YAML_MAP_BUILDER_INIT;

	add_text(&builder, arena, "build-os", sandbox->build_os ? sandbox->build_os : "");
	add_text(&builder, arena, "build-arch", sandbox->build_arch ? sandbox->build_arch : "");
	if (sandbox->build_uid >= 0)
		add_text(&builder, arena, "build-uid", arena_printf(arena, "%lld", (long long)sandbox->build_uid));
	if (sandbox->build_gid >= 0)
		add_text(&builder, arena, "build-gid", arena_printf(arena, "%lld", (long long)sandbox->build_gid));
	if (sandbox->remote_apis_socket) {
		add_text(&socket, arena, "path", sandbox->remote_apis_socket);
		if (sandbox->action_cache_enable_update)
			add_text(&socket, arena, "action-cache-enable-update", "true");
		yaml_map_add(&builder, "remote-apis-socket", strlen("remote-apis-socket"),
			     finish(&socket, arena));
	}
	return finish(&builder, arena);
}

int artifact_put_public(struct cas *cas, const struct yaml_node *data, struct digest *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	yaml_write(&text, data);
	return cas_put(cas, buf_text(&text), text.len, ret);
}

int artifact_put_low_meta(struct cas *cas, const struct graph_pair *environment, uint32_t count,
			  const struct graph_sandbox *sandbox, struct digest *ret)
{
	struct yaml_map_builder builder = YAML_MAP_BUILDER_INIT;
	struct arena arena = ARENA_INIT;
	int r;

	yaml_map_add(&builder, "environment", strlen("environment"), pairs_map(&arena, environment, count));
	yaml_map_add(&builder, "sandbox-config", strlen("sandbox-config"), sandbox_map(&arena, sandbox));
	r = artifact_put_public(cas, finish(&builder, &arena), ret);
	arena_release(&arena);
	return r;
}

int artifact_put_high_meta(struct cas *cas, const struct graph_pair *variables, uint32_t count, struct digest *ret)
{
	struct yaml_map_builder builder = YAML_MAP_BUILDER_INIT;
	struct arena arena = ARENA_INIT;
	int r;

	yaml_map_add(&builder, "variables", strlen("variables"), pairs_map(&arena, variables, count));
	r = artifact_put_public(cas, finish(&builder, &arena), ret);
	arena_release(&arena);
	return r;
}

/* ---- reading ---- */

static int load(struct cas *cas, bool has, const struct digest *digest, const char *name, struct arena *arena,
		const struct yaml_node **ret, struct diag *diag)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = !has ? -ENOENT : digest->size_bytes > BLOB_MAX ? -EBADMSG : cas_get(cas, digest, &text);

	if (r == 0 && yaml_parse(arena, buf_text(&text), text.len, name, ret, diag) < 0)
		return -EBADMSG;
	if (r < 0)
		diag_errno(diag, "artifact", "missing-metadata", -r, "Cannot read %s of the artifact", name);
	return r;
}

int artifact_get_public(struct cas *cas, const struct artifact *artifact, struct arena *arena,
			const struct yaml_node **ret, struct diag *diag)
{
	return load(cas, artifact->has_public_data, &artifact->public_data, "public.yaml", arena, ret, diag);
}

static int get_pairs(const struct yaml_node *root, const char *key, struct arena *arena, const struct graph_pair **ret,
		     uint32_t *count, struct diag *diag)
{
	const struct yaml_node *map;
	struct graph_pair *pairs;

	if (yaml_need_map(root, key, &map, diag) < 0)
		return -EBADMSG;
	pairs = ARENA_ARRAY(arena, struct graph_pair, map->count);
	for (uint32_t i = 0; i < map->count; i++) {
		pairs[i].name = map->entries[i].key;
		if (yaml_need_str(map, pairs[i].name, &pairs[i].value, diag) < 0)
			return -EBADMSG;
	}
	*ret = pairs;
	*count = map->count;
	return 0;
}

int artifact_get_environment(struct cas *cas, const struct artifact *artifact, struct arena *arena,
			     const struct graph_pair **ret, uint32_t *count, struct diag *diag)
{
	const struct yaml_node *root;
	int r = load(cas, artifact->has_low_meta, &artifact->low_meta, "low-diversity-meta.yaml", arena, &root, diag);

	return r ? r : get_pairs(root, "environment", arena, ret, count, diag);
}

int artifact_get_variables(struct cas *cas, const struct artifact *artifact, struct arena *arena,
			   const struct graph_pair **ret, uint32_t *count, struct diag *diag)
{
	const struct yaml_node *root;
	int r = load(cas, artifact->has_high_meta, &artifact->high_meta, "high-diversity-meta.yaml", arena, &root, diag);

	return r ? r : get_pairs(root, "variables", arena, ret, count, diag);
}

int artifact_get_sandbox(struct cas *cas, const struct artifact *artifact, struct arena *arena,
			 struct graph_sandbox *ret, struct diag *diag)
{
	struct graph_sandbox sandbox = { .build_uid = -1, .build_gid = -1 };
	const struct yaml_node *root, *map, *socket = NULL;
	int uid = -1, gid = -1;
	int r = load(cas, artifact->has_low_meta, &artifact->low_meta, "low-diversity-meta.yaml", arena, &root, diag);

	if (r)
		return r;
	if (yaml_need_map(root, "sandbox-config", &map, diag) < 0 ||
	    yaml_need_str(map, "build-os", &sandbox.build_os, diag) < 0 ||
	    yaml_need_str(map, "build-arch", &sandbox.build_arch, diag) < 0 ||
	    yaml_get_int(map, "build-uid", &uid, diag) < 0 || yaml_get_int(map, "build-gid", &gid, diag) < 0 ||
	    yaml_get_map(map, "remote-apis-socket", &socket, diag) < 0)
		return -EBADMSG;
	if (socket && (yaml_need_str(socket, "path", &sandbox.remote_apis_socket, diag) < 0 ||
		       yaml_get_bool(socket, "action-cache-enable-update", &sandbox.action_cache_enable_update, diag) < 0))
		return -EBADMSG;
	sandbox.build_uid = uid;
	sandbox.build_gid = gid;
	*ret = sandbox;
	return 0;
}

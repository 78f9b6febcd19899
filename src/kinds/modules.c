/* Sources whose ref says which modules of a language's registry to bring: go_module, cargo, cargo2, gen_cargo_lock. */
#include "kinds/kinds_internal.h"

#include <string.h>

/* ---- go_module */

static int go_ref(const struct kinds_context *ctx, struct kinds_go_module *go, const struct yaml_node *ref)
{
	static const char *const names[] = { "go-version", "git-ref", "explicit", "subdirectory", NULL };
	static const char *const old_names[] = { "go-version", "git-ref", "explicit", NULL };
	int r = yaml_validate_keys(ref, go->bugfix ? names : old_names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(ref, "go-version", &go->go_version, ctx->diag);
	if (r >= 0)
		r = yaml_need_str(ref, "git-ref", &go->git_ref, ctx->diag);
	if (r >= 0 && go->explicit_in_key)
		r = yaml_need_bool(ref, "explicit", &go->explicit_value, ctx->diag);
	go->has_explicit = yaml_get(ref, "explicit") != NULL;
	if (r >= 0)
		r = yaml_get_str(ref, "subdirectory", &go->subdirectory, ctx->diag);
	go->has_ref = true;
	return r;
}

static int go_configure(const struct kinds_context *ctx, struct graph_source *source, const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "ref", "url", "module", NULL };
	struct kinds_go_module *go = source->config;
	const struct yaml_node *ref = NULL;
	int r = yaml_validate_keys(config, names, ctx->diag);

	go->explicit_in_key = ctx->plugin && ctx->plugin->behaviour;
	go->bugfix = !(ctx->plugin && ctx->plugin->behaviour == KINDS_GO_BUGFIX_0);
	if (r >= 0)
		r = yaml_get_map(config, "ref", &ref, ctx->diag);
	if (r > 0)
		r = go_ref(ctx, go, ref);
	if (r >= 0)
		r = yaml_need_str(config, "url", &go->original_url, ctx->diag);
	if (r >= 0)
		r = yaml_need_str(config, "module", &go->module, ctx->diag);
	if (r >= 0)
		r = kinds_translate(ctx, go->original_url, true, &go->url);
	source->has_ref = go->has_ref;
	return r;
}

static void go_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_go_module *go = source->config;

	buf_printf(out, "{\"bugfix\":%d,\"module\":", go->bugfix);
	json_str(out, go->module);
	buf_adds(out, ",\"ref\":{");
	if (go->explicit_in_key)
		buf_adds(out, go->explicit_value ? "\"explicit\":true," : "\"explicit\":false,");
	else if (go->has_explicit)
		buf_adds(out, "\"explicit\":null,");
	buf_adds(out, "\"git-ref\":");
	json_str(out, go->git_ref);
	buf_adds(out, ",\"go-version\":");
	json_str(out, go->go_version);
	if (go->subdirectory) {
		buf_adds(out, ",\"subdirectory\":");
		json_str(out, go->subdirectory);
	}
	buf_adds(out, "}}");
}

const struct kinds_source_work kinds_go_module_work = {
	.config_size = sizeof(struct kinds_go_module),
	.configure = go_configure,
	.key = go_key,
	.info = kinds_go_info,
};

/* ---- cargo, cargo2 */

/* url with all of `from` in it replaced. */
static const char *replaced(struct arena *arena, const char *url, const char *from, const char *to)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	size_t len = strlen(from);
	const char *next;

	for (; len && (next = strstr(url, from)); url = next + len) {
		buf_add(&text, url, (size_t)(next - url));
		buf_adds(&text, to);
	}
	buf_adds(&text, url);
	return arena_strdup(arena, buf_text(&text));
}

/* Of the git-mirrors that repo begins with the longest one counts. */
static int find_mirror(const struct kinds_context *ctx, const struct yaml_node *mirrors, const char *repo, const char **ret)
{
	const char *best = NULL, *to = NULL;
	int r;

	for (uint32_t i = 0; mirrors && i < mirrors->count; i++) {
		const char *from = mirrors->entries[i].key;

		if (str_starts(repo, from) && (!best || strlen(best) < strlen(from)))
			best = from;
	}
	*ret = repo;
	if (!best)
		return 0;
	r = yaml_need_str(mirrors, best, &to, ctx->diag);
	if (r >= 0)
		*ret = replaced(ctx->arena, repo, best, to);
	return r;
}

static int read_git_crate(const struct kinds_context *ctx, const struct kinds_cargo *cargo, const struct yaml_node *map,
			  struct kinds_crate *crate)
{
	const char *text;
	int r = yaml_need_str(map, "repo", &crate->repo, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(map, "commit", &crate->commit, ctx->diag);
	if (r >= 0)
		r = yaml_get_map(map, "query", &crate->query, ctx->diag);
	for (uint32_t i = 0; r >= 0 && crate->query && i < crate->query->count; i++)
		r = yaml_need_str(crate->query, crate->query->entries[i].key, &text, ctx->diag);
	if (r >= 0)
		r = kinds_translate(ctx, crate->repo, false, &crate->repo_url);
	if (r >= 0)
		r = find_mirror(ctx, cargo->git_mirrors, crate->repo, &crate->mirror);
	return r < 0 ? r : kinds_translate(ctx, crate->mirror, false, &crate->mirror_url);
}

static int read_crates(const struct kinds_context *ctx, const struct yaml_node *list, struct kinds_cargo *cargo)
{
	int r = 0;

	cargo->crates = ARENA_ARRAY(ctx->arena, struct kinds_crate, list->count);
	cargo->crate_count = list->count;
	for (uint32_t i = 0; r >= 0 && i < list->count; i++) {
		struct kinds_crate *crate = &cargo->crates[i];
		const struct yaml_node *map;
		const char *kind = "registry";

		r = yaml_item_map(list, i, &map, ctx->diag);
		if (r >= 0)
			r = yaml_get_str(map, "kind", &kind, ctx->diag);
		crate->is_git = cargo->second && strcmp(kind, "git") == 0;
		if (r >= 0)
			r = yaml_need_str(map, "name", &crate->name, ctx->diag);
		if (r >= 0)
			r = yaml_need_str(map, "version", &crate->version, ctx->diag);
		if (r >= 0)
			r = yaml_get_map(map, "provenance", &crate->provenance, ctx->diag);
		if (r >= 0)
			r = crate->is_git ? read_git_crate(ctx, cargo, map, crate) :
					    yaml_get_str(map, "sha", &crate->sha, ctx->diag);
	}
	return r;
}

/* The key has the url as written; downloads append to it, so there it ends in "/", or in ":" if it is an alias. */
static const char *with_slash(struct arena *arena, const char *url)
{
	return str_ends(url, ":") || str_ends(url, "/") ? url : arena_printf(arena, "%s/", url);
}

static bool crates_known(const struct kinds_cargo *cargo)
{
	for (uint32_t i = 0; i < cargo->crate_count; i++)
		if (!cargo->crates[i].is_git && !cargo->crates[i].sha)
			return false;
	/* An empty ref is none for cargo; cargo2 takes it for what it is. */
	return cargo->second || cargo->crate_count;
}

static int read_cargo(const struct kinds_context *ctx, const struct graph_source *source,
		      const struct yaml_node *config, struct kinds_cargo *cargo)
{
	uint32_t behaviour = ctx->plugin ? ctx->plugin->behaviour : 0;
	int r = yaml_get_str(config, "url", &cargo->original_url, ctx->diag);

	if (r == 0)
		r = kinds_plugin_url(ctx, source, &cargo->original_url);
	cargo->key_letter = behaviour ? 'x' : 'a';
	cargo->cargo_lock = "Cargo.lock";
	if (r >= 0)
		r = yaml_get_str(config, "cargo-lock", &cargo->cargo_lock, ctx->diag);
	cargo->vendor_dir = cargo->second && behaviour != KINDS_CARGO2_CRATES_X ? ".vendored-crates" : "crates";
	if (r >= 0)
		r = yaml_get_str(config, "vendor-dir", &cargo->vendor_dir, ctx->diag);
	if (r >= 0)
		r = yaml_get_map(config, "git-mirrors", &cargo->git_mirrors, ctx->diag);
	return r;
}

static int cargo_configure(const struct kinds_context *ctx, struct graph_source *source,
			   const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "url", "ref", "cargo-lock", "vendor-dir", NULL };
	static const char *const names2[] = { KINDS_SOURCE_KEYS, "url", "ref", "cargo-lock", "vendor-dir",
					      "git-mirrors", NULL };
	struct kinds_cargo *cargo = source->config;
	const struct yaml_node *ref = NULL;
	int r;

	cargo->second = source->ops->variant == KINDS_CARGO2;
	r = yaml_validate_keys(config, cargo->second ? names2 : names, ctx->diag);
	if (r >= 0)
		r = read_cargo(ctx, source, config, cargo);
	if (r >= 0) {
		cargo->base_url = with_slash(ctx->arena, cargo->original_url);
		r = kinds_translate(ctx, cargo->base_url, true, &cargo->url);
	}
	if (r >= 0)
		r = yaml_get_list(config, "ref", &ref, ctx->diag);
	if (r >= 0 && ref)
		r = read_crates(ctx, ref, cargo);
	source->has_ref = r >= 0 && crates_known(cargo);
	return r;
}

static void json_crate(struct buf *out, const struct kinds_cargo *cargo, const struct kinds_crate *crate)
{
	if (crate->is_git) {
		buf_adds(out, "{\"commit\":");
		json_str(out, crate->commit);
		buf_adds(out, ",\"kind\":\"git\",\"name\":");
		json_str(out, crate->name);
		if (crate->query && crate->query->count) {
			buf_adds(out, ",\"query\":");
			kinds_json_node(out, crate->query);
		}
		buf_adds(out, ",\"repo\":");
		json_str(out, crate->repo);
	} else {
		buf_adds(out, cargo->second ? "{\"kind\":\"registry\",\"name\":" : "{\"name\":");
		json_str(out, crate->name);
		buf_adds(out, ",\"sha\":");
		json_str(out, crate->sha);
	}
	buf_adds(out, ",\"version\":");
	json_str(out, crate->version);
	buf_addc(out, '}');
}

static void cargo_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_cargo *cargo = source->config;

	buf_addc(out, '[');
	json_str(out, cargo->original_url);
	buf_addc(out, ',');
	json_str(out, cargo->cargo_lock);
	buf_addc(out, ',');
	json_str(out, cargo->vendor_dir);
	buf_adds(out, ",[");
	for (uint32_t i = 0; i < cargo->crate_count; i++) {
		if (i > 0)
			buf_addc(out, ',');
		json_crate(out, cargo, &cargo->crates[i]);
	}
	if (cargo->second)
		buf_printf(out, "],\"%c\"]", cargo->key_letter);
	else
		buf_adds(out, "]]");
}

const struct kinds_source_work kinds_cargo_work = {
	.config_size = sizeof(struct kinds_cargo),
	.configure = cargo_configure,
	.key = cargo_key,
	.info = kinds_cargo_info,
};

/* ---- gen_cargo_lock */

static int lock_configure(const struct kinds_context *ctx, struct graph_source *source,
			  const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "ref", NULL };
	struct kinds_gen_cargo_lock *lock = source->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_get_str(config, "ref", &lock->ref, ctx->diag);
	source->has_ref = lock->ref != NULL;
	return r;
}

static void lock_key(const struct graph_source *source, struct buf *out)
{
	json_str(out, ((const struct kinds_gen_cargo_lock *)source->config)->ref);
}

const struct kinds_source_work kinds_gen_cargo_lock_work = {
	.config_size = sizeof(struct kinds_gen_cargo_lock),
	.configure = lock_configure,
	.key = lock_key,
};

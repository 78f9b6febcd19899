/* git, git_tag, git_module and git_repo. */
#include "kinds/kinds_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const git_keys[] = { KINDS_SOURCE_KEYS, "url", "track", "ref", "submodules", "checkout-submodules",
					"ref-format", "track-tags", "tags", "version", "version-guess-pattern", NULL };
static const char *const git_tag_keys[] = {
	KINDS_SOURCE_KEYS, "url",        "ref",   "full-clone", "use-lfs",             "version",    "version-guess-pattern",
	"track",           "track-extra", "track-tags", "match", "exclude",             "checkout-submodules", "submodules",
	NULL
};
static const char *const git_module_keys[] = { KINDS_SOURCE_KEYS, "url", "ref", "full-clone", "use-lfs", "version",
					       "version-guess-pattern", "path", NULL };
static const char *const git_repo_keys[] = { KINDS_SOURCE_KEYS, "ref", "url", "track", "exclude", "ref-format",
					     "version", "version-guess-pattern", NULL };
static const char *const *const valid_keys[] = {
	[KINDS_GIT] = git_keys,
	[KINDS_GIT_TAG] = git_tag_keys,
	[KINDS_GIT_MODULE] = git_module_keys,
	[KINDS_GIT_REPO] = git_repo_keys,
};

/* ---- reading */

static int read_tags(const struct kinds_context *ctx, const struct yaml_node *config, struct kinds_git *git)
{
	static const char *const names[] = { "tag", "commit", "annotated", NULL };
	const struct yaml_node *list = NULL, *item;
	int r = yaml_get_list(config, "tags", &list, ctx->diag);

	if (r <= 0)
		return r;
	git->tags = ARENA_ARRAY(ctx->arena, struct kinds_git_tag, list->count);
	for (uint32_t i = 0; r >= 0 && i < list->count; i++) {
		struct kinds_git_tag *tag = &git->tags[git->tag_count++];

		r = yaml_item_map(list, i, &item, ctx->diag);
		if (r >= 0)
			r = yaml_validate_keys(item, names, ctx->diag);
		if (r >= 0)
			r = yaml_need_str(item, "tag", &tag->tag, ctx->diag);
		if (r >= 0)
			r = yaml_need_str(item, "commit", &tag->commit, ctx->diag);
		if (r >= 0)
			r = yaml_need_bool(item, "annotated", &tag->annotated, ctx->diag);
	}
	return r;
}

static int read_submodules(const struct kinds_context *ctx, const struct yaml_node *config, struct kinds_git *git)
{
	_cleanup_free_ const struct yaml_entry **sorted = NULL;
	const struct yaml_node *map = NULL, *below;
	const char *translated;
	int r = yaml_get_map(config, "submodules", &map, ctx->diag);

	if (r <= 0)
		return r;
	git->submodules = ARENA_ARRAY(ctx->arena, struct kinds_submodule, map->count);
	sorted = xreallocarray(NULL, map->count + 1, sizeof(*sorted));
	kinds_sorted_entries(map, sorted);
	for (uint32_t i = 0; r >= 0 && i < map->count; i++) {
		struct kinds_submodule *module = &git->submodules[git->submodule_count++];

		module->path = sorted[i]->key;
		r = yaml_need_map(map, module->path, &below, ctx->diag);
		if (r >= 0)
			r = yaml_get_str(below, "url", &module->url, ctx->diag);
		if (r >= 0 && module->url && *module->url)
			r = kinds_translate(ctx, module->url, false, &translated);
		if (r >= 0)
			r = yaml_get_bool(below, "checkout", &module->checkout, ctx->diag);
		module->has_checkout = r > 0;
	}
	return r;
}

static int read_lists(const struct kinds_context *ctx, const struct yaml_node *config, struct kinds_git *git)
{
	int r = kinds_get_strings(ctx, config, "track-extra", &git->track_extra);

	if (r >= 0)
		r = kinds_get_strings(ctx, config, "match", &git->match);
	return r < 0 ? r : kinds_get_strings(ctx, config, "exclude", &git->exclude);
}

/* os.path.relpath(path, "/") for an absolute path. */
static const char *relative(struct arena *arena, const char *path)
{
	struct buf _cleanup_buf_ normal = BUF_INIT;
	const char *text;

	if (*path != '/')
		return path;
	fs_normpath(&normal, path);
	text = buf_text(&normal);
	text += strspn(text, "/");
	return arena_strdup(arena, *text ? text : ".");
}

/* REF_REGEX.match: forty hex digits at the start, or behind "...-N-g" somewhere. */
static bool is_git_repo_ref(const char *ref)
{
	static const char hex[] = "0123456789abcdef";

	if (strspn(ref, hex) >= 40)
		return true;
	for (const char *at = strstr(ref, "-g"); at; at = strstr(at + 1, "-g")) {
		const char *digit = at;

		while (digit > ref && digit[-1] >= '0' && digit[-1] <= '9')
			digit--;
		if (digit < at && digit > ref && digit[-1] == '-' && strspn(at + 2, hex) >= 40)
			return true;
	}
	return false;
}

static int check_refs(const struct kinds_context *ctx, const struct graph_source *source, const struct kinds_git *git)
{
	if ((git->variant == KINDS_GIT || git->variant == KINDS_GIT_TAG) && !git->ref && !git->track)
		return kinds_source_error(ctx, source, "missing-track-and-ref",
					  "Git sources require a ref and/or track");
	if (git->variant == KINDS_GIT_REPO && git->ref && !is_git_repo_ref(git->ref))
		return kinds_source_error(ctx, source, NULL, "ref %s is not in the expected format", git->ref);
	return 0;
}

static int read_switches(const struct kinds_context *ctx, const struct yaml_node *config, struct kinds_git *git)
{
	static const char *const formats[] = { "sha1", "git-describe", NULL };
	int format = 0;
	int r = yaml_get_bool(config, "track-tags", &git->track_tags, ctx->diag);

	if (r >= 0)
		r = yaml_get_enum(config, "ref-format", formats, &format, ctx->diag);
	git->ref_is_describe = format == 1;
	if (r >= 0)
		r = yaml_get_bool(config, "full-clone", &git->full_clone, ctx->diag);
	if (r >= 0)
		r = yaml_get_bool(config, "use-lfs", &git->use_lfs, ctx->diag);
	git->says_lfs = r > 0;
	git->checkout_submodules = true;
	if (r >= 0)
		r = yaml_get_bool(config, "checkout-submodules", &git->checkout_submodules, ctx->diag);
	return r;
}

static int configure(const struct kinds_context *ctx, struct graph_source *source, const struct yaml_node *config)
{
	struct kinds_git *git = source->config;
	int r = yaml_validate_keys(config, valid_keys[source->ops->variant], ctx->diag);

	git->variant = (enum kinds_git_variant)source->ops->variant;
	git->path = "";
	if (r >= 0)
		r = yaml_get_str(config, "ref", &git->ref, ctx->diag);
	if (r >= 0)
		r = read_tags(ctx, config, git);
	if (r >= 0)
		r = yaml_need_str(config, "url", &git->original_url, ctx->diag);
	if (r >= 0)
		r = yaml_get_str(config, "track", &git->track, ctx->diag);
	if (r >= 0)
		r = read_switches(ctx, config, git);
	if (r >= 0)
		r = kinds_get_version(ctx, config, &git->version);
	if (r >= 0 && git->variant == KINDS_GIT_MODULE)
		r = yaml_need_str(config, "path", &git->path, ctx->diag);
	if (r >= 0)
		r = check_refs(ctx, source, git);
	if (r >= 0)
		r = read_lists(ctx, config, git);
	if (r >= 0)
		r = read_submodules(ctx, config, git);
	if (r >= 0)
		r = kinds_translate(ctx, git->original_url, true, &git->url);
	git->path = relative(ctx->arena, git->path);
	source->has_ref = git->ref != NULL;
	return r;
}

/* ---- the key */

/* `git` hashes the commit alone: what stands behind the last "-g". */
static const char *strip_tag(const char *ref)
{
	const char *last = NULL;

	for (const char *at = strstr(ref, "-g"); at; at = strstr(at + 2, "-g"))
		last = at;
	return last ? last + 2 : ref;
}

/* A dictionary by tag: sorted, and of tags with one name the last counts. */
static void json_tags(struct buf *out, const struct kinds_git *git)
{
	const char *done = NULL;

	buf_adds(out, ",{\"tags\":{");
	for (;;) {
		const struct kinds_git_tag *next = NULL;

		for (uint32_t i = 0; i < git->tag_count; i++)
			if ((!done || strcmp(git->tags[i].tag, done) > 0) &&
			    (!next || strcmp(git->tags[i].tag, next->tag) <= 0))
				next = &git->tags[i];
		if (!next)
			break;
		json_member(out, next->tag);
		buf_addc(out, '[');
		json_str(out, next->commit);
		buf_addc(out, ',');
		json_bool(out, next->annotated);
		buf_addc(out, ']');
		done = next->tag;
	}
	buf_adds(out, "}}");
}

static void json_submodules(struct buf *out, const struct kinds_git *git)
{
	bool overrides = false;

	if (git->submodule_count) {
		buf_adds(out, ",{");
		for (uint32_t i = 0; i < git->submodule_count; i++) {
			json_member(out, git->submodules[i].path);
			json_str(out, git->submodules[i].url);
			overrides = overrides || git->submodules[i].has_checkout;
		}
		buf_addc(out, '}');
	}
	if (!overrides)
		return;
	buf_adds(out, ",{\"submodule_checkout_overrides\":{");
	for (uint32_t i = 0; i < git->submodule_count; i++) {
		if (!git->submodules[i].has_checkout)
			continue;
		json_member(out, git->submodules[i].path);
		json_bool(out, git->submodules[i].checkout);
	}
	buf_adds(out, "}}");
}

/* git_repo's key has no url: the commit says it all. */
static void repo_key(const struct kinds_git *git, struct buf *out)
{
	buf_adds(out, "{\"bugfix\":1,\"ref\":");
	json_str(out, git->ref);
	if (git->version.version) {
		buf_adds(out, ",\"version\":");
		json_str(out, git->version.version);
	} else if (git->version.guess_pattern) {
		buf_adds(out, ",\"version-guess-pattern\":");
		json_str(out, git->version.guess_pattern);
	}
	buf_addc(out, '}');
}

static void key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_git *git = source->config;

	if (git->variant == KINDS_GIT_REPO) {
		repo_key(git, out);
		return;
	}
	buf_addc(out, '[');
	json_str(out, git->original_url);
	buf_addc(out, ',');
	json_str(out, git->variant == KINDS_GIT && git->ref ? strip_tag(git->ref) : git->ref);
	if (git->tag_count)
		json_tags(out, git);
	if (!git->checkout_submodules)
		buf_adds(out, ",{\"checkout_submodules\":false}");
	json_submodules(out, git);
	if (git->variant == KINDS_GIT_MODULE && *git->path) {
		buf_adds(out, ",{\"path\":");
		json_str(out, git->path);
		buf_addc(out, '}');
	}
	if (git->use_lfs)
		buf_adds(out, ",\"use-lfs\"");
	kinds_json_guess(out, git->version.version, git->version.guess_pattern);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_git_work = {
	.config_size = sizeof(struct kinds_git),
	.configure = configure,
	.key = key,
	.info = kinds_git_info,
};

/* An element's sources: keys, records, the order in which they are looked for, and their merge into one tree. */
#include "sources/sources_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "artifacts/artifacts.h"
#include "base/json.h"
#include "yaml/yaml.h"

static const struct sources_ops *const kinds[] = { &sources_local, &sources_workspace, &sources_remote, &sources_tar,
						   &sources_zip,   &sources_patch,     &sources_patch_queue,
						   &sources_git,   &sources_git_tag,   &sources_git_module,
						   &sources_git_repo, &sources_cpan,       &sources_pypi,
						   &sources_gnu,      &sources_cargo,      &sources_cargo2,
						   &sources_go_module, &sources_anitya,    &sources_gen_cargo_lock,
						   &sources_docker,   &sources_deb,       &sources_quilt,
						   &sources_pip,      &sources_bzr,       &sources_ostree,
						   &sources_bazel_file, &sources_bazel_source };

static const struct sources_ops *find_ops(const char *kind)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (str_eq(kinds[i]->kind, kind))
			return kinds[i];
	return NULL;
}

bool sources_known(const char *kind)
{
	return find_ops(kind) != NULL;
}

const struct sources_ops *sources_ops_of(const struct graph_source *source)
{
	return find_ops(source->ops->name);
}

static int need_ops(struct sources_context *ctx, const struct graph_source *source, const struct sources_ops **ret)
{
	*ret = sources_ops_of(source);
	if (*ret)
		return 0;
	diag_set(ctx->diag, "source", "unsupported-kind", "Sources of kind '%s' cannot be fetched by this version",
		 source->ops->name);
	return -ENOTSUP;
}

void sources_say(struct sources_context *ctx, const char *fmt, ...)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	va_list ap;

	if (!ctx->say)
		return;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	ctx->say(ctx->data, buf_text(&text));
}

static bool is_fatal(const struct sources_context *ctx, const char *token)
{
	const struct graph_project *project = &ctx->graph->projects[ctx->graph->elements[ctx->element].project];

	for (uint32_t i = 0; i < project->fatal_warning_count; i++)
		if (str_eq(project->fatal_warnings[i], token))
			return true;
	return false;
}

int sources_warn(struct sources_context *ctx, const char *token, const char *detail, const char *fmt, ...)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	va_list ap;

	if (token)
		buf_printf(&text, "[%s]: ", token);
	if (ctx->source && ctx->source->node) {
		buf_printf(&text, "%s source at ", ctx->source->ops->name);
		yaml_provenance(&text, ctx->source->node);
		buf_adds(&text, ": ");
	}
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (token && is_fatal(ctx, token))
		return diag_set(ctx->diag, "plugin", token, "%s\n%s", buf_text(&text), detail);
	if (ctx->warn)
		ctx->warn(ctx->data, buf_text(&text), detail);
	return 0;
}

int sources_wait(struct sources_context *ctx, struct pollfd *fds, nfds_t count, int64_t deadline_us)
{
	int64_t left_us = deadline_us < 0 ? -1 : deadline_us - util_now_us();
	int r;

	if (ctx->wait)
		return ctx->wait(ctx->data, fds, count, deadline_us);
	r = poll(fds, count, deadline_us < 0 ? -1 : (int)MAX(left_us / 1000, (int64_t)0));
	return r < 0 && errno != EINTR ? -errno : MAX(r, 0);
}

/* ---- keys ---- */

bool sources_key(const struct graph_source *source, struct key *ret)
{
	if (!source->key_json)
		return false;
	digest_sha256(ret->hash, source->key_json, source->key_json_len);
	return true;
}

bool sources_element_key(const struct graph *graph, uint32_t element, struct key *ret)
{
	const struct graph_element *e = &graph->elements[element];
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_addc(&text, '[');
	for (uint32_t i = 0; i < e->source_count; i++) {
		const struct graph_source *source = &e->sources[i];

		if (!source->key_json)
			return false;
		json_comma(&text);
		buf_addc(&text, '{');
		if (source->directory && *source->directory) {
			json_member(&text, "directory");
			json_str(&text, source->directory);
		}
		json_member(&text, "key");
		buf_add(&text, source->key_json, source->key_json_len);
		json_member(&text, "name");
		json_str(&text, source->ops->name);
		buf_addc(&text, '}');
	}
	buf_addc(&text, ']');
	digest_sha256(ret->hash, text.data, text.len);
	return true;
}

int sources_put_text(struct sources_context *ctx, struct cas_tree *tree, const char *path, const struct buf *text)
{
	struct cas_entry entry = { .type = CAS_FILE };
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = xstrndup(path, slash ? (size_t)(slash - path) : 0);
	int r = cas_put(ctx->cas, buf_text(text), text->len, &entry.digest);

	if (r == 0)
		r = cas_tree_mkdir(tree, parent);
	return r < 0 ? r : cas_tree_put(tree, path, &entry);
}

/* ---- what is there ---- */

static int recorded(struct cas *cas, const char *kind, const struct key *key, struct digest *ret)
{
	struct digest digest;
	int r = source_record_read(cas, kind, key, &digest);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && cas_whole_begin(cas, digest.hash) && cas_has(cas, &digest) > 0) {
		r = 1;
	} else if (r == 0) {
		r = cas_has_tree(cas, &digest);
		if (r > 0)
			cas_whole_note(cas, digest.hash);
	}
	if (r > 0)
		*ret = digest;
	return r;
}

int sources_cached(struct cas *cas, const struct graph *graph, uint32_t element, struct digest *ret)
{
	struct key key;

	return sources_element_key(graph, element, &key) ? recorded(cas, NULL, &key, ret) : 0;
}

static bool needs_previous(const struct graph_source *source)
{
	return source->ops->flags & (KINDS_PREVIOUS_STAGE | KINDS_PREVIOUS_FETCH);
}

int sources_have_originals(struct sources_context *ctx)
{
	const struct graph_element *element = &ctx->graph->elements[ctx->element];

	for (uint32_t i = 0; i < element->source_count; i++) {
		const struct graph_source *source = &element->sources[i];
		const struct sources_ops *ops = sources_ops_of(source);
		struct digest digest;
		struct key key;

		if (ops && (!ops->have || ops->have(ctx, source)))
			continue;
		if (needs_previous(source) || !sources_key(source, &key) ||
		    recorded(ctx->cas, source->ops->name, &key, &digest) <= 0)
			return 0;
	}
	return 1;
}

bool sources_lack_originals(struct sources_context *ctx)
{
	const struct graph_element *element = &ctx->graph->elements[ctx->element];

	for (uint32_t i = 0; i < element->source_count; i++) {
		const struct sources_ops *ops = sources_ops_of(&element->sources[i]);

		if (!ops || (ops->have && !ops->have(ctx, &element->sources[i])))
			return true;
	}
	return false;
}

/* ---- making the tree ---- */

static int bring_original(struct sources_context *ctx, const struct sources_ops *ops, const struct graph_source *source,
			  const struct digest *previous, bool offline)
{
	if (!ops->have || ops->have(ctx, source))
		return 0;
	if (offline || !(ops->fetch || ops->fetch_onto)) {
		diag_set(ctx->diag, "source", "not-cached", "The original of a %s source is not in the cache",
			 source->ops->name);
		return -ENOENT;
	}
	ctx->source = source;
	return ops->fetch_onto ? ops->fetch_onto(ctx, source, previous) : ops->fetch(ctx, source);
}

/* The tree of one source that stands alone: from its record, from elsewhere, or made from its original. */
static int source_tree(struct sources_context *ctx, const struct graph_source *source, bool offline, unsigned flags,
		       struct digest *ret)
{
	const struct sources_ops *ops;
	struct key key;
	int r = need_ops(ctx, source, &ops);

	if (r < 0)
		return r;
	if (!sources_key(source, &key)) {
		diag_set(ctx->diag, "source", "no-reference", "A %s source has no ref; track it first", source->ops->name);
		return -EINVAL;
	}
	if (!(flags & SOURCES_ORIGINAL)) {
		r = recorded(ctx->cas, source->ops->name, &key, ret);
		if (r != 0)
			return r < 0 ? r : 0;
		if (!offline && ctx->pull && ops->have && !ops->have(ctx, source)) {
			r = ctx->pull(ctx->data, source->ops->name, &key, ret);
			if (r != 0)
				return r < 0 ? r : source_record_write(ctx->cas, source->ops->name, &key, ret, ctx->diag);
		}
	}
	r = bring_original(ctx, ops, source, NULL, offline);
	ctx->source = source;
	if (r == 0)
		r = ops->tree(ctx, source, NULL, ret);
	return r < 0 ? r : source_record_write(ctx->cas, source->ops->name, &key, ret, ctx->diag);
}

/* A source that works on what the earlier ones left in its directory. */
static int apply_onto(struct sources_context *ctx, struct cas_tree *tree, const char *directory,
		      const struct graph_source *source, bool offline)
{
	const struct sources_ops *ops;
	struct digest previous, result;
	int r = need_ops(ctx, source, &ops);

	if (r == 0)
		r = cas_tree_digest(tree, directory, &previous);
	if (r == 0)
		r = bring_original(ctx, ops, source, &previous, offline);
	ctx->source = source;
	if (r == 0)
		r = ops->tree(ctx, source, &previous, &result);
	return r < 0 ? r : cas_tree_set(tree, directory, &result);
}

static int add_source(struct sources_context *ctx, struct cas_tree *tree, const struct graph_source *source, bool offline,
		      unsigned flags)
{
	const char *directory = source->directory ? source->directory : "";
	struct digest digest;
	int r;

	r = cas_tree_mkdir(tree, directory);
	if (r < 0) {
		diag_errno(ctx->diag, "element", "stage-sources-fail", -r, "Cannot stage a source into directory '%s'",
			   directory);
		return r;
	}
	if (needs_previous(source))
		return apply_onto(ctx, tree, directory, source, offline);
	r = source_tree(ctx, source, offline, flags, &digest);
	if (r < 0)
		return r;
	r = cas_tree_merge(tree, directory, &digest, NULL, ctx->diag);
	if (r < 0 && ctx->diag && str_eq(ctx->diag->domain, "directory")) {
		ctx->diag->domain = "element";
		ctx->diag->reason = "stage-sources-fail";
	}
	return r;
}

static int tree_error(struct sources_context *ctx, int r)
{
	if (ctx->diag && !ctx->diag->domain && r != -ECANCELED)
		diag_errno(ctx->diag, "source", NULL, -r, "Cannot stage the sources");
	return r;
}

/* The source whose tree is the element's: merging it into nothing would give the same.  NULL: there is no such. */
static const struct graph_source *only_source(const struct graph_element *element)
{
	const struct graph_source *first = element->sources;

	return element->source_count == 1 && !needs_previous(first) && !(first->directory && *first->directory) ? first : NULL;
}

static int make_tree(struct sources_context *ctx, bool offline, unsigned flags, struct digest *ret)
{
	const struct graph_element *element = &ctx->graph->elements[ctx->element];
	const struct graph_source *only = only_source(element);
	struct cas_tree *tree;
	int r;

	if (only) {
		r = source_tree(ctx, only, offline, flags, ret);
		return r < 0 ? tree_error(ctx, r) : 0;
	}
	r = cas_tree_new(&tree, ctx->cas, NULL);
	for (uint32_t i = 0; r == 0 && i < element->source_count; i++)
		r = add_source(ctx, tree, &element->sources[i], offline, flags);
	if (r == 0)
		r = cas_tree_digest(tree, "", ret);
	cas_tree_free(tree);
	return r < 0 ? tree_error(ctx, r) : 0;
}

static int write_tree_record(struct sources_context *ctx, const struct key *key, const struct digest *files)
{
	const struct graph_source *only = only_source(&ctx->graph->elements[ctx->element]);
	struct key source_key;

	if (only && sources_key(only, &source_key))
		return source_record_write_only(ctx->cas, key, only->ops->name, &source_key, files, ctx->diag);
	return source_record_write(ctx->cas, NULL, key, files, ctx->diag);
}

static int get_tree(struct sources_context *ctx, bool offline, unsigned flags, struct digest *ret)
{
	struct key key;
	int r;

	if (!sources_element_key(ctx->graph, ctx->element, &key)) {
		diag_set(ctx->diag, "source", "no-reference", "Sources without a ref cannot be fetched; track them first");
		return -EINVAL;
	}
	if (!(flags & SOURCES_ORIGINAL)) {
		r = recorded(ctx->cas, NULL, &key, ret);
		if (r != 0)
			return r;
		if (!offline && ctx->pull) {
			r = ctx->pull(ctx->data, NULL, &key, ret);
			if (r != 0)
				return r < 0 ? r : source_record_write(ctx->cas, NULL, &key, ret, ctx->diag);
		}
	}
	r = make_tree(ctx, offline, flags, ret);
	return r < 0 ? r : write_tree_record(ctx, &key, ret);
}

int sources_fetch(struct sources_context *ctx, unsigned flags, struct digest *ret)
{
	return get_tree(ctx, false, flags, ret);
}

int sources_stage(struct sources_context *ctx, struct digest *ret)
{
	return get_tree(ctx, true, 0, ret);
}

/* ---- workspaces ---- */

int sources_open_workspace(struct sources_context *ctx, const struct digest *tree, const char *directory)
{
	const struct graph_element *element = &ctx->graph->elements[ctx->element];
	struct cas_tree *files = NULL;
	int r = cas_tree_new(&files, ctx->cas, tree);

	if (r < 0)
		diag_errno(ctx->diag, "source", NULL, -r, "Cannot read the sources' tree");
	for (uint32_t i = 0; r == 0 && i < element->source_count; i++) {
		const struct graph_source *source = &element->sources[i];
		const struct sources_ops *ops = sources_ops_of(source);
		const char *below = source->directory ? source->directory : "";
		_cleanup_free_ char *path = xasprintf("%s/%s", directory, below);
		struct digest own;

		if (!ops || !ops->workspace || (ops->have && !ops->have(ctx, source)) ||
		    cas_tree_digest(files, below, &own) < 0)
			continue;
		ctx->source = source;
		r = ops->workspace(ctx, source, &own, path);
	}
	cas_tree_free(files);
	return r;
}

/* ---- tracking ---- */

int sources_track(struct sources_context *ctx, uint32_t i, struct sources_tracked *ret)
{
	const struct graph_source *source = &ctx->graph->elements[ctx->element].sources[i];
	const struct sources_ops *ops;
	int r = need_ops(ctx, source, &ops);

	return r < 0 || !ops->track ? r : ops->track(ctx, source, ret);
}

void sources_tracked_release(struct sources_tracked *tracked)
{
	buf_release(&tracked->ref);
	buf_release(&tracked->notice);
}

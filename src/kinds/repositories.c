/* The remaining sources that fetch from somewhere: bazel_file, bazel_source, bzr, ostree. */
#include "kinds/kinds_internal.h"

/* ---- bazel_file */

static int bazel_file_configure(const struct kinds_context *ctx, struct graph_source *source,
				const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "canonical-ids", "url", "ref", "version",
					     "version-guess-pattern", NULL };
	struct kinds_bazel_file *file = source->config;
	int r = kinds_get_strings(ctx, config, "canonical-ids", &file->canonical_ids);

	if (r >= 0)
		r = yaml_need_str(config, "url", &file->original_url, ctx->diag);
	if (r >= 0)
		r = yaml_validate_keys(config, names, ctx->diag);
	if (r >= 0)
		r = kinds_get_version(ctx, config, &file->version);
	if (r >= 0)
		r = yaml_get_str(config, "ref", &file->ref, ctx->diag);
	if (r >= 0)
		r = kinds_translate(ctx, file->original_url, true, &file->url);
	source->has_ref = file->ref != NULL;
	return r;
}

static void bazel_file_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_bazel_file *file = source->config;

	buf_adds(out, "{\"canonical-ids\":");
	kinds_json_strings(out, &file->canonical_ids);
	buf_adds(out, ",\"plugin_version\":\"1\",\"ref\":");
	json_str(out, file->ref);
	buf_adds(out, ",\"url\":");
	json_str(out, file->original_url);
	if (file->version.version) {
		buf_adds(out, ",\"version\":");
		json_str(out, file->version.version);
	} else if (file->version.guess_pattern) {
		buf_adds(out, ",\"version-guess-pattern\":");
		json_str(out, file->version.guess_pattern);
	}
	buf_addc(out, '}');
}

const struct kinds_source_work kinds_bazel_file_work = {
	.config_size = sizeof(struct kinds_bazel_file),
	.configure = bazel_file_configure,
	.key = bazel_file_key,
	.info = kinds_bazel_info,
};

/* ---- bazel_source */

static int bazel_source_configure(const struct kinds_context *ctx, struct graph_source *source,
				  const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "workspace-dir", "allow-host-bazel", "repo-file",
					     "targets", "ref", NULL };
	static const char *const all_targets[] = { "//..." };
	struct kinds_bazel_source *bazel = source->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_get_bool(config, "allow-host-bazel", &bazel->allow_host_bazel, ctx->diag);
	bazel->repo_file = ".bst-sources";
	if (r >= 0)
		r = yaml_get_str(config, "repo-file", &bazel->repo_file, ctx->diag);
	if (r >= 0)
		r = kinds_get_strings(ctx, config, "targets", &bazel->targets);
	if (r >= 0 && !bazel->targets.count)
		bazel->targets = (struct kinds_strings){ all_targets, 1 };
	bazel->workspace_dir = ".";
	if (r >= 0)
		r = yaml_get_str(config, "workspace-dir", &bazel->workspace_dir, ctx->diag);
	if (r >= 0)
		r = yaml_get_str(config, "ref", &bazel->ref, ctx->diag);
	source->has_ref = bazel->ref != NULL;
	return r;
}

static void bazel_source_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_bazel_source *bazel = source->config;

	buf_addc(out, '[');
	json_bool(out, bazel->allow_host_bazel);
	buf_addc(out, ',');
	json_str(out, bazel->repo_file);
	buf_addc(out, ',');
	kinds_json_strings(out, &bazel->targets);
	buf_addc(out, ',');
	json_str(out, bazel->workspace_dir);
	buf_addc(out, ',');
	json_str(out, bazel->ref);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_bazel_source_work = {
	.config_size = sizeof(struct kinds_bazel_source),
	.configure = bazel_source_configure,
	.key = bazel_source_key,
};

/* ---- bzr */

static int bzr_configure(const struct kinds_context *ctx, struct graph_source *source, const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "url", "track", "ref", "version", NULL };
	struct kinds_bzr *bzr = source->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "url", &bzr->original_url, ctx->diag);
	if (r >= 0)
		r = yaml_need_str(config, "track", &bzr->track, ctx->diag);
	if (r >= 0)
		r = yaml_get_str(config, "ref", &bzr->ref, ctx->diag);
	if (r >= 0)
		r = kinds_translate(ctx, bzr->original_url, true, &bzr->url);
	if (r >= 0)
		r = yaml_get_str(config, "version", &bzr->version, ctx->diag);
	source->has_ref = bzr->ref != NULL;
	return r;
}

/* The one kind whose key has what it tracks (compat, trap 16). */
static void bzr_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_bzr *bzr = source->config;

	buf_addc(out, '[');
	json_str(out, bzr->original_url);
	buf_addc(out, ',');
	json_str(out, bzr->track);
	buf_addc(out, ',');
	json_str(out, bzr->ref);
	kinds_json_guess(out, bzr->version, NULL);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_bzr_work = {
	.config_size = sizeof(struct kinds_bzr),
	.configure = bzr_configure,
	.key = bzr_key,
	.info = kinds_bzr_info,
};

/* ---- ostree */

static int ostree_configure(const struct kinds_context *ctx, struct graph_source *source,
			    const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "url", "ref", "track", "gpg-key", NULL };
	struct kinds_ostree_source *ostree = source->config;
	const struct yaml_node *gpg_key = NULL;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "url", &ostree->original_url, ctx->diag);
	if (r >= 0)
		r = kinds_translate(ctx, ostree->original_url, true, &ostree->url);
	if (r >= 0)
		r = yaml_get_str(config, "ref", &ostree->ref, ctx->diag);
	if (r >= 0)
		r = yaml_get_str(config, "track", &ostree->track, ctx->diag);
	if (r >= 0 && !ostree->ref && !ostree->track)
		r = kinds_source_error(ctx, source, "missing-track-and-ref",
				       "OSTree sources require a ref and/or track");
	if (r >= 0)
		r = yaml_get_scalar(config, "gpg-key", &gpg_key, ctx->diag);
	if (r >= 0 && gpg_key)
		r = kinds_project_path(ctx, gpg_key, KINDS_PATH_FILE, &ostree->gpg_key, &ostree->gpg_key_path);
	source->has_ref = ostree->ref != NULL;
	return r;
}

static void ostree_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_ostree_source *ostree = source->config;

	buf_addc(out, '[');
	json_str(out, ostree->original_url);
	buf_addc(out, ',');
	json_str(out, ostree->ref);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_ostree_source_work = {
	.config_size = sizeof(struct kinds_ostree_source),
	.configure = ostree_configure,
	.key = ostree_key,
};

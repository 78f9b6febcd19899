/* Kinds that download one file: remote, tar, zip, deb (the peer's DownloadableFileSource). */
#include "kinds/kinds_internal.h"

#include <string.h>

#define COMMON_KEYS KINDS_SOURCE_KEYS, "url", "ref", "version-guess-pattern", "version"

static int download_configure(const struct kinds_context *ctx, struct kinds_download *download,
			      const struct yaml_node *config)
{
	int r = yaml_need_str(config, "url", &download->original_url, ctx->diag);

	if (r >= 0)
		r = yaml_get_str(config, "ref", &download->ref, ctx->diag);
	if (r >= 0)
		r = kinds_translate(ctx, download->original_url, true, &download->url);
	if (r >= 0)
		r = yaml_get_str(config, "version-guess-pattern", &download->version_guess_pattern, ctx->diag);
	if (r >= 0)
		r = yaml_get_str(config, "version", &download->version, ctx->diag);
	return r;
}

/* [url, ref, version or pattern if given -- and the bracket stays open */
static void download_key(const struct kinds_download *download, struct buf *out)
{
	buf_addc(out, '[');
	json_str(out, download->original_url);
	buf_addc(out, ',');
	json_str(out, download->ref);
	kinds_json_guess(out, download->version, download->version_guess_pattern);
}

/* remote and tar: both configurations start with the download. */
static uint32_t download_info(struct arena *arena, const struct graph_source *source,
			      const struct kinds_source_info **ret)
{
	const struct kinds_download *download = source->config;
	struct kinds_source_info info = {
		.url = download->url,
		.medium = "remote-file",
		.version_type = "sha256",
		.version = download->ref,
		.version_guess = download->version,
	};

	if (!info.version_guess)
		info.version_guess = kinds_guess_version(arena, download->original_url, download->version_guess_pattern);
	return kinds_one_info(arena, source, &info, ret);
}

static int remote_configure(const struct kinds_context *ctx, struct graph_source *source,
			    const struct yaml_node *config)
{
	static const char *const names[] = { COMMON_KEYS, "filename", "executable", NULL };
	struct kinds_remote *remote = source->config;
	const char *slash;
	int r = download_configure(ctx, &remote->download, config);

	if (r < 0)
		return r;
	/* The name comes from the translated URL, so an alias' target can change a key (compat, trap 17). */
	slash = strrchr(remote->download.url, '/');
	remote->filename = slash ? slash + 1 : remote->download.url;
	r = yaml_get_str(config, "filename", &remote->filename, ctx->diag);
	if (r >= 0)
		r = yaml_get_bool(config, "executable", &remote->executable, ctx->diag);
	if (r >= 0 && strchr(remote->filename, '/'))
		r = kinds_source_error(ctx, source, "filename-contains-directory",
				       "filename parameter cannot contain directories");
	if (r >= 0)
		r = yaml_validate_keys(config, names, ctx->diag);
	source->has_ref = remote->download.ref != NULL;
	return r;
}

static void remote_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_remote *remote = source->config;

	download_key(&remote->download, out);
	buf_addc(out, ',');
	json_str(out, remote->filename);
	buf_addc(out, ',');
	json_bool(out, remote->executable);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_remote_work = {
	.config_size = sizeof(struct kinds_remote),
	.configure = remote_configure,
	.key = remote_key,
	.info = download_info,
};

static int tar_configure(const struct kinds_context *ctx, struct graph_source *source, const struct yaml_node *config)
{
	static const char *const names[] = { COMMON_KEYS, "base-dir", NULL };
	struct kinds_tar *tar = source->config;
	int r = download_configure(ctx, &tar->download, config);

	tar->base_dir = "*";
	if (r >= 0)
		r = yaml_get_str(config, "base-dir", &tar->base_dir, ctx->diag);
	if (r >= 0)
		r = yaml_validate_keys(config, names, ctx->diag);
	source->has_ref = tar->download.ref != NULL;
	return r;
}

static void tar_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_tar *tar = source->config;

	download_key(&tar->download, out);
	buf_addc(out, ',');
	json_str(out, tar->base_dir);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_tar_work = {
	.config_size = sizeof(struct kinds_tar),
	.configure = tar_configure,
	.key = tar_key,
	.info = download_info,
};

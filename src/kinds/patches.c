/* Sources that change what was staged before them: patch, patch_queue, quilt. */
#include "kinds/kinds_internal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void json_hash(struct buf *out, const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, digest->hash);
	json_str(out, hex);
}

static int file_digest(const struct kinds_context *ctx, const char *path, struct digest *ret)
{
	assert(ctx->host && ctx->host->file_digest);
	return ctx->host->file_digest(ctx->host->data, path, ret, ctx->diag);
}

/* ---- patch */

static int patch_configure(const struct kinds_context *ctx, struct graph_source *source,
			   const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "path", "strip-level", NULL };
	struct kinds_patch *patch = source->config;
	const struct yaml_node *path = NULL;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_scalar(config, "path", &path, ctx->diag);
	if (r >= 0)
		r = kinds_project_path(ctx, path, KINDS_PATH_FILE, &patch->path, &patch->fullpath);
	patch->strip_level = 1;
	if (r >= 0)
		r = yaml_get_int(config, "strip-level", &patch->strip_level, ctx->diag);
	patch->digest.size_bytes = -1;
	source->has_ref = true;
	return r;
}

static int patch_read(const struct kinds_context *ctx, struct graph_source *source)
{
	struct kinds_patch *patch = source->config;

	return file_digest(ctx, patch->fullpath, &patch->digest);
}

static void patch_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_patch *patch = source->config;

	buf_addc(out, '[');
	json_str(out, patch->path);
	buf_addc(out, ',');
	json_hash(out, &patch->digest);
	buf_addc(out, ',');
	json_int(out, patch->strip_level);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_patch_work = {
	.config_size = sizeof(struct kinds_patch),
	.configure = patch_configure,
	.read_files = patch_read,
	.key = patch_key,
	.info = kinds_patch_info,
};

/* ---- patch_queue */

static int queue_configure(const struct kinds_context *ctx, struct graph_source *source,
			   const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "path", NULL };
	struct kinds_patch_queue *queue = source->config;
	const struct yaml_node *path = NULL;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_need_scalar(config, "path", &path, ctx->diag);
	if (r >= 0)
		r = kinds_project_path(ctx, path, KINDS_PATH_DIR, &queue->path, &queue->fullpath);
	source->has_ref = true;
	return r;
}

static int order_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of all entries, sorted; a heap array of arena strings. */
static int list_directory(const struct kinds_context *ctx, const char *path, const char ***ret, size_t *ret_count)
{
	const char **names = NULL;
	size_t count = 0, cap = 0;
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return diag_errno(ctx->diag, "source", NULL, errno, "Failed to read the directory %s", path);
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		names = util_grow(names, &cap, count + 1, sizeof(*names));
		names[count++] = arena_strdup(ctx->arena, entry->d_name);
	}
	closedir(dir);
	if (count)
		qsort(names, count, sizeof(*names), order_names);
	*ret = names;
	*ret_count = count;
	return 0;
}

static int queue_read(const struct kinds_context *ctx, struct graph_source *source)
{
	struct kinds_patch_queue *queue = source->config;
	_cleanup_free_ const char **names = NULL;
	size_t count = 0;
	int r = list_directory(ctx, queue->fullpath, &names, &count);

	if (r < 0)
		return r;
	queue->digests = ARENA_ARRAY(ctx->arena, struct digest, count);
	queue->names = count ? arena_memdup(ctx->arena, names, count * sizeof(*names)) : NULL;
	queue->count = (uint32_t)count;
	for (size_t i = 0; r >= 0 && i < count; i++) {
		struct buf _cleanup_buf_ path = BUF_INIT;

		buf_printf(&path, "%s/%s", queue->fullpath, names[i]);
		r = file_digest(ctx, buf_text(&path), &queue->digests[i]);
	}
	return r;
}

/* The files' names are not in the key, only their order. */
static void queue_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_patch_queue *queue = source->config;

	buf_addc(out, '[');
	for (uint32_t i = 0; i < queue->count; i++) {
		if (i > 0)
			buf_addc(out, ',');
		json_hash(out, &queue->digests[i]);
	}
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_patch_queue_work = {
	.config_size = sizeof(struct kinds_patch_queue),
	.configure = queue_configure,
	.read_files = queue_read,
	.key = queue_key,
	.info = kinds_queue_info,
};

/* ---- quilt */

/* The plugin checks no keys, and its series is not in the cache key. */
static int quilt_configure(const struct kinds_context *ctx, struct graph_source *source,
			   const struct yaml_node *config)
{
	struct kinds_quilt *quilt = source->config;

	quilt->path = "";
	source->has_ref = true;
	return yaml_get_str(config, "path", &quilt->path, ctx->diag);
}

static void quilt_key(const struct graph_source *source, struct buf *out)
{
	buf_addc(out, '[');
	json_str(out, ((const struct kinds_quilt *)source->config)->path);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_quilt_work = {
	.config_size = sizeof(struct kinds_quilt),
	.configure = quilt_configure,
	.key = quilt_key,
};

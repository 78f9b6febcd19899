/* Sources that find one file in a registry: cpan, pypi, gnu, anitya; and pip and docker, which ask a registry of their
 * own kind. */
#include "kinds/kinds_internal.h"

#include <string.h>

/* ---- cpan, pypi, gnu */

static const char *const cpan_keys[] = { KINDS_SOURCE_KEYS, "name", "suffix", "sha256sum", "index", "version",
					 "version-guess-pattern", NULL };
static const char *const pypi_keys[] = { KINDS_SOURCE_KEYS, "url", "name", "ref", "prereleases", "include", "exclude",
					 "version", "version-guess-pattern", NULL };
/* The plugin itself refuses its `ref` inline; it can only come from project.refs, and does not through here. */
static const char *const gnu_keys[] = { KINDS_SOURCE_KEYS, "name", "dirname", "mirror", "track", "ref", NULL };

static const struct {
	const char *const *keys;
	const char *url_key, *url;
	bool ref_is_map;
} indexes[] = {
	[KINDS_CPAN] = { cpan_keys, "index", "https://cpan.metacpan.org/", false },
	[KINDS_PYPI] = { pypi_keys, "url", "https://files.pythonhosted.org/packages/", true },
	[KINDS_GNU] = { gnu_keys, "mirror", "https://ftpmirror.gnu.org/gnu/", true },
};

static int index_ref(const struct kinds_context *ctx, const struct yaml_node *config, unsigned variant,
		     struct kinds_index_file *file)
{
	const struct yaml_node *ref = config;
	int r = 1;

	if (!indexes[variant].ref_is_map) {
		r = yaml_get_str(config, "suffix", &file->suffix, ctx->diag);
		return r < 0 ? r : yaml_get_str(config, "sha256sum", &file->sha256sum, ctx->diag);
	}
	r = yaml_get_map(config, "ref", &ref, ctx->diag);
	if (r <= 0 || !ref->count)
		return r;
	r = yaml_need_str(ref, "suffix", &file->suffix, ctx->diag);
	return r < 0 ? r : yaml_need_str(ref, "sha256sum", &file->sha256sum, ctx->diag);
}

static int index_options(const struct kinds_context *ctx, const struct yaml_node *config, unsigned variant,
			 struct kinds_index_file *file)
{
	int r = yaml_get_str(config, "dirname", &file->dirname, ctx->diag);

	if (r >= 0)
		r = yaml_get_bool(config, "prereleases", &file->prereleases, ctx->diag);
	file->tracks = true;
	if (r >= 0)
		r = yaml_get_bool(config, "track", &file->tracks, ctx->diag);
	if (r >= 0)
		r = kinds_get_strings(ctx, config, "include", &file->include);
	if (r >= 0)
		r = kinds_get_strings(ctx, config, "exclude", &file->exclude);
	if (r >= 0 && variant != KINDS_GNU)
		r = kinds_get_version(ctx, config, &file->version);
	return r;
}

static int index_configure(const struct kinds_context *ctx, struct graph_source *source,
			   const struct yaml_node *config)
{
	unsigned variant = source->ops->variant;
	struct kinds_index_file *file = source->config;
	int r = yaml_validate_keys(config, indexes[variant].keys, ctx->diag);

	if (r >= 0)
		r = yaml_need_str(config, "name", &file->name, ctx->diag);
	file->base_url = indexes[variant].url;
	file->dirname = file->name;
	if (r >= 0)
		r = yaml_get_str(config, indexes[variant].url_key, &file->base_url, ctx->diag);
	if (r >= 0)
		r = index_options(ctx, config, variant, file);
	if (r >= 0)
		r = kinds_translate(ctx, file->base_url, true, &file->url);
	if (r >= 0)
		r = index_ref(ctx, config, variant, file);
	source->has_ref = file->suffix && file->sha256sum;
	if (variant != KINDS_CPAN) /* these ask for texts that are not empty, cpan for texts */
		source->has_ref = source->has_ref && *file->suffix && *file->sha256sum;
	return r;
}

static void index_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_index_file *file = source->config;

	buf_addc(out, '[');
	json_str(out, file->suffix);
	buf_addc(out, ',');
	json_str(out, file->sha256sum);
	kinds_json_guess(out, file->version.version, file->version.guess_pattern);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_index_work = {
	.config_size = sizeof(struct kinds_index_file),
	.configure = index_configure,
	.key = index_key,
	.info = kinds_index_info,
};

/* ---- anitya */

static int anitya_ref(const struct kinds_context *ctx, const struct yaml_node *config, struct kinds_anitya *anitya)
{
	static const char *const names[] = { "version", "sha256sum", NULL };
	const struct yaml_node *ref = NULL;
	int r = yaml_get_map(config, "ref", &ref, ctx->diag);

	if (r <= 0)
		return r;
	r = yaml_validate_keys(ref, names, ctx->diag);
	if (r >= 0)
		r = yaml_need_str(ref, "version", &anitya->release, ctx->diag);
	return r < 0 ? r : yaml_need_str(ref, "sha256sum", &anitya->sha256sum, ctx->diag);
}

/* What stands for a field of the template ("{major}"), NULL if the release has no such part. */
static const char *release_part(const void *data, const char *name, size_t len, size_t *ret_len)
{
	static const char *const parts[] = { "major", "minor", "patch" };
	const char *release = data;

	*ret_len = strlen(release);
	if (len == strlen("version") && strncmp(name, "version", len) == 0)
		return release;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t part_len = strcspn(release, ".");

		if (strlen(parts[i]) == len && strncmp(name, parts[i], len) == 0) {
			*ret_len = part_len;
			return release;
		}
		if (!release[part_len])
			break;
		release += part_len + 1;
	}
	return NULL;
}

static int anitya_render(const struct kinds_context *ctx, const struct yaml_node *config, struct kinds_anitya *anitya)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *unknown;
	size_t unknown_len;

	if (kinds_render(anitya->url_template, release_part, anitya->release, &out, &unknown, &unknown_len) < 0)
		return yaml_error(ctx->diag, yaml_get(config, "url"), "invalid-data",
				  "Version '%s' cannot be put into the URL template '%s'", anitya->release,
				  anitya->url_template);
	anitya->rendered = arena_strndup(ctx->arena, buf_text(&out), out.len);
	return 0;
}

static int anitya_configure(const struct kinds_context *ctx, struct graph_source *source,
			    const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "project-id", "url", "ref", "exclude", "api-url", NULL };
	static const char *const kde_names[] = { KINDS_SOURCE_KEYS, "project-id", "url", "ref", NULL };
	bool kde = ctx->plugin && ctx->plugin->behaviour == KINDS_ANITYA_KDE;
	struct kinds_anitya *anitya = source->config;
	int r = yaml_validate_keys(config, kde ? kde_names : names, ctx->diag);

	anitya->api_url = "https://release-monitoring.org/api/v2/";
	if (r >= 0)
		r = yaml_get_str(config, "api-url", &anitya->api_url, ctx->diag);
	if (r >= 0)
		r = yaml_need_int(config, "project-id", &anitya->project_id, ctx->diag);
	if (r >= 0)
		r = yaml_need_str(config, "url", &anitya->url_template, ctx->diag);
	if (r >= 0)
		r = kinds_get_strings(ctx, config, "exclude", &anitya->exclude);
	if (r >= 0)
		r = kinds_translate(ctx,
				    arena_strndup(ctx->arena, anitya->url_template, strcspn(anitya->url_template, "{")),
				    true, &anitya->prefix_url);
	if (r >= 0)
		r = anitya_ref(ctx, config, anitya);
	source->has_ref = anitya->release && anitya->sha256sum;
	return r < 0 || !kde || !source->has_ref ? r : anitya_render(ctx, config, anitya);
}

static void anitya_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_anitya *anitya = source->config;

	buf_addc(out, '[');
	if (anitya->rendered) {
		json_str(out, anitya->rendered);
		buf_addc(out, ',');
		json_str(out, anitya->sha256sum);
		buf_addc(out, ',');
		json_str(out, anitya->release);
		buf_addc(out, ']');
		return;
	}
	json_str(out, anitya->url_template);
	buf_addc(out, ',');
	json_str(out, anitya->release);
	buf_addc(out, ',');
	json_str(out, anitya->sha256sum);
	buf_addc(out, ',');
	kinds_json_strings(out, &anitya->exclude);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_anitya_work = {
	.config_size = sizeof(struct kinds_anitya),
	.configure = anitya_configure,
	.key = anitya_key,
};

/* ---- pip */

static int pip_configure(const struct kinds_context *ctx, struct graph_source *source, const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "url", "packages", "ref", "requirements-files", NULL };
	struct kinds_pip *pip = source->config;
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = yaml_get_str(config, "ref", &pip->ref, ctx->diag);
	if (r >= 0)
		r = yaml_get_str(config, "url", &pip->original_url, ctx->diag);
	if (r == 0)
		r = kinds_plugin_url(ctx, source, &pip->original_url);
	if (r >= 0)
		r = kinds_translate(ctx, pip->original_url, true, &pip->url);
	if (r >= 0)
		r = kinds_get_strings(ctx, config, "packages", &pip->packages);
	if (r >= 0)
		r = kinds_get_strings(ctx, config, "requirements-files", &pip->requirements_files);
	if (r >= 0 && !pip->packages.count && !pip->requirements_files.count)
		r = kinds_source_error(ctx, source, NULL,
				       "Either 'packages' or 'requirements-files' must be specified");
	source->has_ref = pip->ref != NULL;
	return r;
}

static void pip_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_pip *pip = source->config;

	buf_addc(out, '[');
	json_str(out, pip->original_url);
	buf_addc(out, ',');
	json_str(out, pip->ref);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_pip_work = {
	.config_size = sizeof(struct kinds_pip),
	.configure = pip_configure,
	.key = pip_key,
	.info = kinds_pip_info,
};

/* ---- docker */

static int docker_place(const struct kinds_context *ctx, const struct graph_source *source,
			const struct yaml_node *config, struct kinds_docker *docker)
{
	int r;

	if (yaml_get(config, "url")) {
		if (yaml_get(config, "image") || yaml_get(config, "registry-url"))
			return kinds_source_error(ctx, source, NULL,
						  "May specify either 'url', or 'image' and 'registry-url'");
		r = yaml_need_str(config, "url", &docker->original_url, ctx->diag);
		return r < 0 ? r : kinds_translate(ctx, docker->original_url, true, &docker->url);
	}
	if (!yaml_get(config, "image"))
		return kinds_source_error(ctx, source, NULL, "Must define either 'url' or 'image'");
	r = yaml_need_str(config, "image", &docker->image, ctx->diag);
	if (r >= 0)
		r = yaml_get_str(config, "registry-url", &docker->original_registry_url, ctx->diag);
	if (r == 0 && !docker->original_registry_url)
		r = kinds_plugin_url(ctx, source, &docker->original_registry_url);
	return r < 0 ? r : kinds_translate(ctx, docker->original_registry_url, true, &docker->url);
}

static int docker_configure(const struct kinds_context *ctx, struct graph_source *source,
			    const struct yaml_node *config)
{
	static const char *const names[] = { KINDS_SOURCE_KEYS, "architecture", "registry-url", "image", "os", "ref",
					     "track", "url", "version", NULL };
	struct kinds_docker *docker = source->config;
	const struct {
		const char *name, **value;
	} texts[] = { { "track", &docker->tag },         { "architecture", &docker->architecture },
		      { "os", &docker->os },             { "version", &docker->version },
		      { "ref", &docker->ref } };
	int r = yaml_validate_keys(config, names, ctx->diag);

	if (r >= 0)
		r = docker_place(ctx, source, config, docker);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(texts); i++)
		r = yaml_get_str(config, texts[i].name, texts[i].value, ctx->diag);
	source->has_ref = docker->ref != NULL;
	return r;
}

static void docker_key(const struct graph_source *source, struct buf *out)
{
	const struct kinds_docker *docker = source->config;
	struct buf _cleanup_buf_ digest = BUF_INIT;

	buf_printf(&digest, "sha256:%s", docker->ref);
	buf_addc(out, '[');
	if (docker->original_url) {
		json_str(out, docker->original_url);
	} else {
		json_str(out, docker->original_registry_url);
		buf_addc(out, ',');
		json_str(out, docker->image);
	}
	buf_addc(out, ',');
	json_str(out, buf_text(&digest));
	kinds_json_guess(out, docker->version, NULL);
	buf_addc(out, ']');
}

const struct kinds_source_work kinds_docker_work = {
	.config_size = sizeof(struct kinds_docker),
	.configure = docker_configure,
	.key = docker_key,
	.info = kinds_docker_info,
};

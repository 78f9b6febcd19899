/* docker: the layers of a container image, one over the other.
 *
 *     <sourcedir>/docker/sha256:<hex>.manifest.json     what the ref names
 *     <sourcedir>/docker/sha256:<hex>.tar.gz            a layer
 *
 * A layer's ".wh.<name>" takes <name> out of the layers below it, its ".wh..wh..opq" all that they have below that
 * directory; as in the peer's plugin (buildstream-plugins, sources/docker.py), a name taken out is that member alone, and
 * devices and what is below dev/ are left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/map.h"
#include "sources/docker_registry.h"
#include "sources/unpack.h"
#include "yaml/yaml.h"

enum { LAYERS_MAX = 10000, MANIFEST_MAX = 16 << 20 };

static const char WHITEOUT[] = ".wh.", OPAQUE[] = ".wh..wh..opq";

struct layer {
	const char *digest;
	struct strmap whiteouts;  /* names taken out of the layers below */
	const char **opaque;      /* prefixes whose members go, "" for everything */
	size_t opaque_count, opaque_cap;
};

struct image {
	struct sources_context *ctx;
	const struct kinds_docker *config;
	const char *directory; /* of mirrored files */
	const char *digest;    /* "sha256:<ref>" */
	struct arena arena;
	struct layer *layers;
	uint32_t count;
};

static void image_release(struct image *image)
{
	for (uint32_t i = 0; i < image->count; i++) {
		strmap_release(&image->layers[i].whiteouts);
		free(image->layers[i].opaque);
	}
	arena_release(&image->arena);
}

static int image_init(struct image *image, struct sources_context *ctx, const struct graph_source *source)
{
	*image = (struct image){ .ctx = ctx, .config = source->config };
	image->directory = arena_printf(&image->arena, "%s/%s", ctx->sourcedir, source->ops->name);
	image->digest = arena_printf(&image->arena, "sha256:%s", image->config->ref ? image->config->ref : "");
	if (docker_digest_is_sane(image->digest))
		return 0;
	return diag_set(ctx->diag, "source", "invalid-ref", "Not the SHA-256 of an image's manifest: '%s'",
			image->config->ref ? image->config->ref : "");
}

/* ---- the manifest ---- */

static int bad_manifest(struct image *image, const char *why)
{
	return diag_set(image->ctx->diag, "source", NULL, "Unsupported manifest %s: %s", image->digest, why);
}

static int read_layer(struct image *image, const struct yaml_node *map, struct layer *ret)
{
	static const char *const types[] = { "application/vnd.docker.image.rootfs.diff.tar.gzip",
					     "application/vnd.oci.image.layer.v1.tar+gzip" };
	const char *type = "";

	if (yaml_get_str(map, "mediaType", &type, NULL) < 0 || (!str_eq(type, types[0]) && !str_eq(type, types[1])))
		return diag_set(image->ctx->diag, "source", NULL, "Unsupported layer type: %s", type);
	if (yaml_get_str(map, "digest", &ret->digest, NULL) < 0 || !ret->digest || !docker_digest_is_sane(ret->digest))
		return bad_manifest(image, "a layer has no SHA-256");
	return 0;
}

static int read_manifest(struct image *image, const struct buf *text)
{
	static const char *const types[] = { "application/vnd.docker.distribution.manifest.v2+json",
					     "application/vnd.oci.image.manifest.v1+json" };
	const struct yaml_node *root, *layers = NULL, *map;
	const char *type = "";
	int r;

	/* JSON is YAML, as far as manifests go */
	if (yaml_parse(&image->arena, buf_text(text), text->len, image->digest, &root, NULL) < 0 || !yaml_is_map(root))
		return bad_manifest(image, "it is not JSON");
	if (yaml_get_str(root, "mediaType", &type, NULL) < 0 || (!str_eq(type, types[0]) && !str_eq(type, types[1])))
		return bad_manifest(image, *type ? arena_printf(&image->arena, "its type is %s; the ref must be that of one image", type) :
						   "it does not say its type");
	if (yaml_get_list(root, "layers", &layers, NULL) < 0 || !layers || layers->count > LAYERS_MAX)
		return bad_manifest(image, "it does not list its layers");
	image->layers = ARENA_ARRAY(&image->arena, struct layer, layers->count);
	for (uint32_t i = 0; i < layers->count; i++) {
		r = yaml_item_map(layers, i, &map, NULL);
		if (r >= 0)
			r = read_layer(image, map, &image->layers[i]);
		if (r < 0)
			return r;
		image->count = i + 1;
	}
	return 0;
}

/* From disk; -ENOENT, without a word, if it is not there or is not what it was. */
static int load_manifest(struct image *image)
{
	_cleanup_free_ char *path = xasprintf("%s/%s.manifest.json", image->directory, image->digest);
	_cleanup_buf_ struct buf text = BUF_INIT;
	char hex[DIGEST_HEX + 1];
	struct digest digest;

	if (fs_read_file(&text, AT_FDCWD, path, MANIFEST_MAX) < 0)
		return -ENOENT;
	digest_of(&digest, buf_text(&text), text.len);
	digest_to_hex(hex, digest.hash);
	return str_ends(image->digest, hex) ? read_manifest(image, &text) : -ENOENT;
}

static const char *layer_path(struct image *image, const struct layer *layer)
{
	return arena_printf(&image->arena, "%s/%s.tar.gz", image->directory, layer->digest);
}

/* ---- fetching ---- */

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	struct sources_context quiet = *ctx;
	struct image image;
	bool ret;

	quiet.diag = NULL; /* fetch will say it */
	ret = image_init(&image, &quiet, source) >= 0 && load_manifest(&image) >= 0;
	for (uint32_t i = 0; ret && i < image.count; i++)
		ret = access(layer_path(&image, &image.layers[i]), R_OK) == 0;
	image_release(&image);
	return ret;
}

/* "https://host/path": the registry, and the image in it.  Otherwise both are configured. */
static void place(struct image *image, struct docker_registry *ret)
{
	const struct kinds_docker *config = image->config;
	const char *host, *path;

	ret->endpoint = config->url;
	ret->image = config->image;
	if (config->image)
		return;
	host = strstr(config->url, "://");
	host = host ? host + 3 : config->url;
	path = host + strcspn(host, "/");
	ret->endpoint = arena_strndup(&image->arena, config->url, (size_t)(path - config->url));
	path += strspn(path, "/");
	ret->image = arena_strndup(&image->arena, path, strcspn(path, "?#"));
}

static int fetch_manifest(struct image *image, struct docker_registry *registry)
{
	_cleanup_free_ char *path = xasprintf("%s/%s.manifest.json", image->directory, image->digest);
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = load_manifest(image);

	if (r != -ENOENT)
		return r;
	r = docker_get_manifest(registry, image->digest, &text);
	if (r >= 0)
		r = read_manifest(image, &text);
	if (r < 0)
		return r;
	r = fs_write_file(AT_FDCWD, path, text.data, text.len, 0644);
	return r < 0 ? diag_errno(image->ctx->diag, "source", NULL, -r, "Cannot keep the manifest %s", path) : 0;
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	struct docker_registry registry = { .ctx = ctx };
	struct image image;
	int r = image_init(&image, ctx, source);

	if (r >= 0) {
		place(&image, &registry);
		sources_say(ctx, "Fetching image %s with digest %s from %s", registry.image, image.digest, registry.endpoint);
		r = fs_mkdir_p(AT_FDCWD, image.directory, 0755);
		if (r < 0)
			diag_errno(ctx->diag, "source", NULL, -r, "Cannot make the directory %s", image.directory);
	}
	if (r >= 0)
		r = fetch_manifest(&image, &registry);
	for (uint32_t i = 0; r >= 0 && i < image.count; i++)
		if (access(layer_path(&image, &image.layers[i]), R_OK) < 0)
			r = docker_get_blob(&registry, image.layers[i].digest, image.directory);
	buf_release(&registry.token);
	image_release(&image);
	return r < 0 ? r : 0;
}

/* ---- staging ---- */

struct noting {
	struct image *image;
	struct layer *layer;
};

static int note_name(void *data, const char *name)
{
	struct noting *noting = data;
	struct layer *layer = noting->layer;
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	size_t parent_len = (size_t)(base - name); /* with its slash */

	if (str_eq(base, OPAQUE)) {
		layer->opaque = util_grow(layer->opaque, &layer->opaque_cap, layer->opaque_count + 1, sizeof *layer->opaque);
		layer->opaque[layer->opaque_count++] = arena_strndup(&noting->image->arena, name, parent_len);
	} else if (str_starts(base, WHITEOUT)) {
		const char *gone = arena_printf(&noting->image->arena, "%.*s%s", (int)parent_len, name, base + strlen(WHITEOUT));

		strmap_put(&layer->whiteouts, gone, strlen(gone), 1);
	}
	return 0;
}

struct keeping {
	const struct image *image;
	uint32_t layer;
};

static bool keep_name(void *data, const char *name)
{
	const struct keeping *keeping = data;
	const char *slash = strrchr(name, '/');

	if (str_starts(slash ? slash + 1 : name, WHITEOUT) || str_starts(name, "dev/"))
		return false;
	for (uint32_t i = keeping->layer + 1; i < keeping->image->count; i++) {
		const struct layer *above = &keeping->image->layers[i];

		if (strmap_get(&above->whiteouts, name, strlen(name)) != STRMAP_NONE)
			return false;
		for (size_t j = 0; j < above->opaque_count; j++)
			if (str_starts(name, above->opaque[j]))
				return false;
	}
	return true;
}

/* Open, and found to be what its name says. */
static int open_layer(struct image *image, const struct layer *layer)
{
	const char *path = layer_path(image, layer);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char hex[DIGEST_HEX + 1];
	struct digest digest;
	int r = fd < 0 ? -errno : digest_fd(&digest, fd);

	if (r < 0)
		return diag_errno(image->ctx->diag, "source", NULL, -r, "Error staging source: cannot read %s", path);
	digest_to_hex(hex, digest.hash);
	if (!str_ends(layer->digest, hex)) {
		unlink(path); /* so that the next fetch brings it again */
		return diag_set(image->ctx->diag, "source", NULL, "Blob %s is corrupt; got content hash of sha256:%s", path, hex);
	}
	return steal_fd(&fd);
}

static int note_layers(struct image *image)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < image->count; i++) {
		struct noting noting = { image, &image->layers[i] };
		_cleanup_close_ int fd = open_layer(image, &image->layers[i]);

		r = fd;
		if (r >= 0 && lseek(fd, 0, SEEK_SET) == 0)
			r = sources_archive_names(image->ctx, fd, ARCHIVE_TAR, note_name, &noting);
	}
	return r;
}

static int add_layers(struct image *image, struct cas_tree *tree)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < image->count; i++) {
		struct keeping keeping = { image, i };
		struct archive_rules rules = { .format = ARCHIVE_TAR, .keep = keep_name, .keep_data = &keeping };
		_cleanup_close_ int fd = open(layer_path(image, &image->layers[i]), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		struct digest digest;

		r = fd < 0 ? diag_errno(image->ctx->diag, "source", NULL, errno, "Error staging source") :
			     sources_archive_tree(image->ctx, fd, &rules, NULL, &digest);
		if (r >= 0)
			r = cas_tree_merge(tree, "", &digest, NULL, image->ctx->diag);
	}
	return r;
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	struct cas_tree *tree = NULL;
	struct image image;
	int r = image_init(&image, ctx, source);

	if (r >= 0) {
		r = load_manifest(&image);
		if (r == -ENOENT)
			diag_set(ctx->diag, "source", NULL, "Unable to load manifest: %s", image.digest);
	}
	if (r >= 0)
		r = note_layers(&image);
	if (r >= 0)
		r = cas_tree_new(&tree, ctx->cas, NULL);
	if (r >= 0)
		r = add_layers(&image, tree);
	if (r >= 0)
		r = cas_tree_digest(tree, "", ret);
	cas_tree_free(tree);
	image_release(&image);
	return r < 0 ? r : 0;
}

const struct sources_ops sources_docker = { .kind = "docker", .have = have, .fetch = fetch, .tree = tree };

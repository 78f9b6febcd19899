/* cargo and cargo2: crates of a registry, unpacked into a vendor directory, and the configuration that makes cargo use it.
 *
 *     <sourcedir>/<kind>/<mirror directory of url>/<name>/<version>/<sha256>     a crate
 */
#include <errno.h>
#include <string.h>

#include "sources/sources_internal.h"
#include "sources/unpack.h"

static bool is_plain(const char *name)
{
	return *name && *name != '.' && !strpbrk(name, "/\\");
}

/* Names become paths, and what a git crate needs (its manifest rewritten) is not here. */
static int check_crate(struct sources_context *ctx, const struct kinds_crate *crate)
{
	if (crate->is_git) {
		diag_set(ctx->diag, "source", "unsupported-crate", "Crate '%s' is from git, which this version cannot stage",
			 crate->name);
		return -ENOTSUP;
	}
	if (is_plain(crate->name) && is_plain(crate->version) && crate->sha)
		return 0;
	diag_set(ctx->diag, "source", "invalid-ref", "Not a crate that could be fetched: '%s' '%s'", crate->name,
		 crate->version);
	return -EINVAL;
}

static struct sources_file file_of(struct sources_context *ctx, const struct graph_source *source,
				   const struct kinds_crate *crate, struct arena *arena)
{
	const struct kinds_cargo *cargo = source->config;
	const char *path = arena_printf(arena, "%s/%s-%s.crate", crate->name, crate->name, crate->version);
	_cleanup_buf_ struct buf mirror = BUF_INIT;

	sources_mirror_name(&mirror, cargo->base_url);
	return (struct sources_file){
		.directory = arena_printf(arena, "%s/%s/%s/%s/%s", ctx->sourcedir, source->ops->name, buf_text(&mirror),
					  crate->name, crate->version),
		.original_url = arena_printf(arena, "%s%s", cargo->base_url, path),
		.url = arena_printf(arena, "%s%s", cargo->url, path),
		.sha256 = crate->sha,
	};
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_cargo *cargo = source->config;
	struct arena arena = { 0 };
	bool ret = true;

	for (uint32_t i = 0; ret && i < cargo->crate_count; i++) {
		const struct kinds_crate *crate = &cargo->crates[i];
		struct sources_file file;

		ret = !crate->is_git && is_plain(crate->name) && is_plain(crate->version) && crate->sha;
		if (!ret)
			break;
		file = file_of(ctx, source, crate, &arena);
		ret = sources_file_have(&file);
	}
	arena_release(&arena);
	return ret;
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_cargo *cargo = source->config;
	struct arena arena = { 0 };
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < cargo->crate_count; i++) {
		struct sources_file file;

		r = check_crate(ctx, &cargo->crates[i]);
		if (r < 0)
			break;
		file = file_of(ctx, source, &cargo->crates[i], &arena);
		if (!sources_file_have(&file))
			r = sources_file_fetch(ctx, &file);
	}
	arena_release(&arena);
	return r;
}

/* ---- staging ---- */

static int put_text(struct cas_tree *tree, struct cas *cas, const char *path, const struct buf *text)
{
	struct cas_entry entry = { .type = CAS_FILE };
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = xstrndup(path, (size_t)(slash - path));
	int r = cas_put(cas, buf_text(text), text->len, &entry.digest);

	if (r == 0)
		r = cas_tree_mkdir(tree, parent);
	return r < 0 ? r : cas_tree_put(tree, path, &entry);
}

/* What the crate unpacked to: its one directory. */
static const char *top_of(struct sources_context *ctx, const struct digest *digest, const struct kinds_crate *crate,
			  struct arena *arena)
{
	const struct cas_directory *directory;

	if (cas_directory_get(ctx->cas, digest, &directory) == 0)
		for (uint32_t i = 0; i < directory->count; i++)
			if (directory->entries[i].type == CAS_DIRECTORY)
				return arena_strdup(arena, directory->entries[i].name);
	return arena_printf(arena, "%s-%s", crate->name, crate->version);
}

static int add_crate(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate,
		     struct cas_tree *tree, struct arena *arena)
{
	static const struct archive_rules rules = { .format = ARCHIVE_TAR };
	const struct kinds_cargo *cargo = source->config;
	struct sources_file file = file_of(ctx, source, crate, arena);
	_cleanup_close_ int fd = sources_file_open(ctx, &file);
	_cleanup_buf_ struct buf checksum = BUF_INIT;
	struct digest digest;
	int r = fd < 0 ? fd : sources_archive_tree(ctx, fd, &rules, NULL, &digest);

	if (r == 0)
		r = cas_tree_mkdir(tree, cargo->vendor_dir);
	if (r == 0)
		r = cas_tree_merge(tree, cargo->vendor_dir, &digest, NULL, ctx->diag);
	if (r < 0)
		return r;
	buf_printf(&checksum, "{\"package\": \"%s\", \"files\": {}}", crate->sha);
	return put_text(tree, ctx->cas,
			arena_printf(arena, "%s/%s/.cargo-checksum.json", cargo->vendor_dir,
				     top_of(ctx, &digest, crate, arena)),
			&checksum);
}

/* Text between quotes, as TOML libraries write it. */
static void add_quoted(struct buf *ret, const char *text)
{
	buf_addc(ret, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_addc(ret, '\\');
		buf_addc(ret, *text);
	}
	buf_addc(ret, '"');
}

static int add_config(struct sources_context *ctx, const struct kinds_cargo *cargo, struct cas_tree *tree)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (cargo->second) {
		buf_adds(&text, "[source.crates-io]\nregistry = ");
		add_quoted(&text, cargo->url);
		buf_adds(&text, "\nreplace-with = \"vendored-sources\"\n\n[source.vendored-sources]\ndirectory = ");
		add_quoted(&text, cargo->vendor_dir);
		buf_addc(&text, '\n');
	} else {
		buf_printf(&text,
			   "[source.crates-io]\nregistry = \"%s\"\nreplace-with = \"vendored-sources\"\n"
			   "[source.vendored-sources]\ndirectory = \"%s\"\n",
			   cargo->url, cargo->vendor_dir);
	}
	return put_text(tree, ctx->cas, cargo->second ? ".cargo/config.toml" : ".cargo/config", &text);
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	const struct kinds_cargo *cargo = source->config;
	struct arena arena = { 0 };
	struct cas_tree *tree;
	int r = cas_tree_new(&tree, ctx->cas, NULL);

	for (uint32_t i = 0; r == 0 && i < cargo->crate_count; i++) {
		r = check_crate(ctx, &cargo->crates[i]);
		if (r == 0)
			r = add_crate(ctx, source, &cargo->crates[i], tree, &arena);
	}
	if (r == 0)
		r = add_config(ctx, cargo, tree);
	if (r == 0)
		r = cas_tree_digest(tree, "", ret);
	cas_tree_free(tree);
	arena_release(&arena);
	return r;
}

const struct sources_ops sources_cargo = { .kind = "cargo", .have = have, .fetch = fetch, .tree = tree };
const struct sources_ops sources_cargo2 = { .kind = "cargo2", .have = have, .fetch = fetch, .tree = tree };

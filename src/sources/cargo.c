/* cargo and cargo2: crates of a registry (cargo2's also of git repositories: cargo_git.h), put into a vendor directory, and
 * the configuration that makes cargo use it.
 *
 *     <sourcedir>/<kind>/<mirror directory of url>/<name>/<version>/<sha256>     a crate
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sources/cargo_git.h"
#include "sources/toml.h"
#include "sources/unpack.h"
#include "yaml/yaml.h"

static bool is_plain(const char *name)
{
	return *name && *name != '.' && !strpbrk(name, "/\\");
}

/* Names become paths. */
static bool is_sound(const struct kinds_crate *crate)
{
	return is_plain(crate->name) && is_plain(crate->version) && (crate->is_git || crate->sha);
}

static int check_crate(struct sources_context *ctx, const struct kinds_crate *crate)
{
	if (is_sound(crate))
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

static bool have_crate(struct sources_context *ctx, const struct graph_source *source, const struct kinds_crate *crate,
		       struct arena *arena)
{
	struct sources_file file;

	if (!is_sound(crate))
		return false;
	if (crate->is_git)
		return cargo_git_have(ctx, source, crate);
	file = file_of(ctx, source, crate, arena);
	return sources_file_have(&file);
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_cargo *cargo = source->config;
	struct arena arena = { 0 };
	bool ret = true;

	for (uint32_t i = 0; ret && i < cargo->crate_count; i++)
		ret = have_crate(ctx, source, &cargo->crates[i], &arena);
	arena_release(&arena);
	return ret;
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_cargo *cargo = source->config;
	struct arena arena = { 0 };
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < cargo->crate_count; i++) {
		const struct kinds_crate *crate = &cargo->crates[i];
		struct sources_file file;

		r = check_crate(ctx, crate);
		if (r < 0 || have_crate(ctx, source, crate, &arena))
			continue;
		file = file_of(ctx, source, crate, &arena);
		r = crate->is_git ? cargo_git_fetch(ctx, source, crate) : sources_file_fetch(ctx, &file);
	}
	arena_release(&arena);
	return r;
}

/* ---- staging ---- */

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

static int add_registry_crate(struct sources_context *ctx, const struct graph_source *source,
			      const struct kinds_crate *crate, struct cas_tree *tree, struct arena *arena)
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
	return sources_put_text(ctx, tree,
			arena_printf(arena, "%s/%s/.cargo-checksum.json", cargo->vendor_dir,
				     top_of(ctx, &digest, crate, arena)),
			&checksum);
}

/* What adding crates needs. */
struct vendoring {
	struct sources_context *ctx;
	const struct graph_source *source;
	struct cas_tree *tree;
	struct arena arena;
	struct cargo_repositories repositories;
};

static int add_git_crate(struct vendoring *vendoring, const struct kinds_crate *crate, const char *path)
{
	_cleanup_buf_ struct buf checksum = BUF_INIT;
	struct digest digest;
	int r = cargo_git_tree(vendoring->ctx, vendoring->source, crate, &vendoring->repositories, &digest);

	if (r == 0)
		r = cas_tree_set(vendoring->tree, path, &digest);
	buf_adds(&checksum, "{\"files\": {}, \"package\": null}");
	return r < 0 ? r :
		       sources_put_text(vendoring->ctx, vendoring->tree,
					arena_printf(&vendoring->arena, "%s/.cargo-checksum.json", path), &checksum);
}

static int add_crate(struct vendoring *vendoring, const struct kinds_crate *crate)
{
	const struct kinds_cargo *cargo = vendoring->source->config;
	const char *path = arena_printf(&vendoring->arena, "%s/%s-%s", cargo->vendor_dir, crate->name, crate->version);
	int r = check_crate(vendoring->ctx, crate);

	if (r < 0)
		return r;
	if (cargo->second && cas_tree_type(vendoring->tree, path) >= 0)
		return diag_set(vendoring->ctx->diag, "source", NULL,
				"This project requests crate %s %s from multiple sources, "
				"which is incompatible with vendoring since cargo does not support it.",
				crate->name, crate->version);
	return crate->is_git ? add_git_crate(vendoring, crate, path) :
			       add_registry_crate(vendoring->ctx, vendoring->source, crate, vendoring->tree, &vendoring->arena);
}

/* ---- cargo's configuration ---- */

/* As forms are sent: urllib's quote_plus. */
static void add_quoted(struct buf *ret, const char *text)
{
	for (; *text; text++) {
		char c = *text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_.-~", c))
			buf_addc(ret, c);
		else if (c == ' ')
			buf_addc(ret, '+');
		else
			buf_printf(ret, "%%%02X", (unsigned char)c);
	}
}

/* cargo asks for the branch, tag or revision that Cargo.toml named, in the table and in the table's name. */
static void add_git_source(struct arena *arena, const struct kinds_crate *crate, struct toml *sources)
{
	struct toml *section = toml_new(arena, TOML_TABLE);
	_cleanup_buf_ struct buf name = BUF_INIT;

	toml_put_string(arena, section, "git", crate->repo_url);
	toml_put_string(arena, section, "replace-with", "vendored-sources");
	buf_printf(&name, "git+%s", crate->repo_url);
	for (uint32_t i = 0; crate->query && i < crate->query->count; i++) {
		const struct yaml_entry *entry = &crate->query->entries[i];

		toml_put_string(arena, section, entry->key, entry->value->text);
		buf_addc(&name, i > 0 ? '&' : '?');
		add_quoted(&name, entry->key);
		buf_addc(&name, '=');
		add_quoted(&name, entry->value->text);
	}
	toml_put(arena, sources, (struct toml_text){ arena_strdup(arena, buf_text(&name)), name.len }, section);
}

static void write_config2(const struct kinds_cargo *cargo, struct arena *arena, struct buf *ret)
{
	static const struct toml_text source_key = { "source", 6 }, registry_key = { "crates-io", 9 },
				      vendored_key = { "vendored-sources", 16 };
	struct toml *root = toml_new(arena, TOML_TABLE), *sources = toml_new(arena, TOML_TABLE);
	struct toml *registry = toml_new(arena, TOML_TABLE), *vendored = toml_new(arena, TOML_TABLE);

	toml_put(arena, root, source_key, sources);
	toml_put(arena, sources, registry_key, registry);
	toml_put_string(arena, registry, "registry", cargo->url);
	toml_put_string(arena, registry, "replace-with", "vendored-sources");
	for (uint32_t i = 0; i < cargo->crate_count; i++)
		if (cargo->crates[i].is_git)
			add_git_source(arena, &cargo->crates[i], sources);
	toml_put(arena, sources, vendored_key, vendored);
	toml_put_string(arena, vendored, "directory", cargo->vendor_dir);
	toml_write(root, ret);
}

static int add_config(struct sources_context *ctx, const struct kinds_cargo *cargo, struct arena *arena,
		      struct cas_tree *tree)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (cargo->second)
		write_config2(cargo, arena, &text);
	else
		buf_printf(&text,
			   "[source.crates-io]\nregistry = \"%s\"\nreplace-with = \"vendored-sources\"\n"
			   "[source.vendored-sources]\ndirectory = \"%s\"\n",
			   cargo->url, cargo->vendor_dir);
	return sources_put_text(ctx, tree, cargo->second ? ".cargo/config.toml" : ".cargo/config", &text);
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	const struct kinds_cargo *cargo = source->config;
	struct vendoring vendoring = { .ctx = ctx, .source = source };
	int r = cas_tree_new(&vendoring.tree, ctx->cas, NULL);

	for (uint32_t i = 0; r == 0 && i < cargo->crate_count; i++)
		r = add_crate(&vendoring, &cargo->crates[i]);
	if (r == 0)
		r = add_config(ctx, cargo, &vendoring.arena, vendoring.tree);
	if (r == 0)
		r = cas_tree_digest(vendoring.tree, "", ret);
	cas_tree_free(vendoring.tree);
	free(vendoring.repositories.trees);
	arena_release(&vendoring.arena);
	return r;
}

const struct sources_ops sources_cargo = { .kind = "cargo", .have = have, .fetch = fetch, .tree = tree };
const struct sources_ops sources_cargo2 = { .kind = "cargo2", .have = have, .fetch = fetch, .tree = tree };

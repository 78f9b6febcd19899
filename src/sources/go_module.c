/* go_module: a module's files from its repository, put into vendor/, and their entry in vendor/modules.txt.
 *
 * The peer imitates what `go mod vendor` writes; this imitates the peer, quirks of its go.mod reader included.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "sources/git_repo.h"

enum { FIELDS_MAX = 8, FIELDS_REPLACE = 6 };

struct go_stage {
	struct sources_context *ctx;
	const struct kinds_go_module *go;
	struct cas_tree *tree; /* the earlier sources, with vendor/ */
	struct arena arena;
};

static int find(struct sources_context *ctx, const struct graph_source *source, struct arena *arena,
		struct git_repo *ret)
{
	const struct kinds_go_module *go = source->config;

	return git_repo_find(ctx, arena, source->ops->name, go->original_url, go->url, go->git_ref, ret);
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	return git_repo_source_have(ctx, source, find);
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	return git_repo_source_fetch(ctx, source, find);
}

/* ---- the module's files ---- */

/* The "v2" of "v2.1.0-pre+more", 0 if it is not such a version. */
static unsigned long major_version(const char *version)
{
	const char *at = version + 1;

	if (*version != 'v')
		return 0;
	for (unsigned i = 0; i < 3; i++) {
		size_t digits = strspn(at, "0123456789");

		if (!digits || (digits > 1 && *at == '0'))
			return 0;
		at += digits;
		if (i < 2 && *at++ != '.')
			return 0;
	}
	if (*at && *at != '-' && *at != '+')
		return 0;
	return strtoul(version + 1, NULL, 10);
}

/* Modules of a higher major version may have a directory of that name. */
static int module_directory(struct go_stage *stage, const struct digest *files, struct digest *ret)
{
	const struct kinds_go_module *go = stage->go;
	const char *path = go->subdirectory ? go->subdirectory : "", *version;
	struct cas_tree *tree;
	int r = cas_tree_new(&tree, stage->ctx->cas, files);

	if (r < 0)
		return r;
	if (major_version(go->go_version) >= 2) {
		version = arena_printf(&stage->arena, "%s%sv%lu", path, *path ? "/" : "", major_version(go->go_version));
		if (cas_tree_type(tree, version) == CAS_DIRECTORY)
			path = version;
	}
	r = *path && cas_tree_type(tree, path) != CAS_DIRECTORY ? -ENOENT : cas_tree_digest(tree, path, ret);
	if (r < 0)
		diag_errno(stage->ctx->diag, "source", NULL, -r, "Module %s has no directory '%s' in its repository", go->module,
			   path);
	cas_tree_free(tree);
	return r;
}

static int repository_files(struct go_stage *stage, const struct git_repo *repo, struct digest *ret)
{
	_cleanup_free_ char *directory = NULL, *git_dir = NULL;
	int r = sources_scratch(stage->ctx, &directory);

	if (r < 0)
		return r;
	git_dir = xasprintf("%s.git", directory);
	r = git_repo_layout(stage->ctx, repo, git_dir);
	if (r == 0)
		r = git_repo_files(stage->ctx, repo, git_dir, directory);
	if (r == 0)
		r = cas_import(stage->ctx->cas, AT_FDCWD, directory, CAS_IMPORT_MOVE, NULL, ret, stage->ctx->diag);
	fs_remove_all(AT_FDCWD, git_dir);
	fs_remove_all(AT_FDCWD, directory);
	return r;
}

/* ---- modules.txt ---- */

static int read_file(struct go_stage *stage, const char *path, struct buf *ret)
{
	struct cas_entry entry;
	int r = cas_tree_lookup(stage->tree, path, true, &entry);

	if (r == 0 && entry.type != CAS_FILE)
		r = -EISDIR;
	return r < 0 ? r : cas_get(stage->ctx->cas, &entry.digest, ret);
}

/* Splits a line of go.mod at blanks, in arena; at most FIELDS_MAX, more are counted only. */
static unsigned split(struct arena *arena, const char *line, size_t len, const char *fields[FIELDS_MAX])
{
	unsigned count = 0;

	for (size_t at = 0; at < len;) {
		size_t start;

		while (at < len && isspace((unsigned char)line[at]))
			at++;
		start = at;
		while (at < len && !isspace((unsigned char)line[at]))
			at++;
		if (at > start && count++ < FIELDS_MAX)
			fields[count - 1] = arena_strndup(arena, line + start, at - start);
	}
	return count;
}

struct required {
	bool is_explicit;
	const char *module, *version; /* what the main module calls it, if it is a replacement */
};

/* Two readings of go.mod: the replacement may stand behind what it replaces. */
static int read_line(struct go_stage *stage, const char *fields[FIELDS_MAX], unsigned count, bool replacements,
		     struct required *ret)
{
	const struct kinds_go_module *go = stage->go;

	if (replacements && count > 3 && str_eq(fields[0], "replace")) {
		if (count != FIELDS_REPLACE) {
			diag_set(stage->ctx->diag, "source", NULL, "Unimplemented support for replace directive: replace %s",
				 fields[1]);
			return -ENOTSUP;
		}
		if (str_eq(fields[4], go->module) && str_eq(fields[5], go->go_version)) {
			ret->module = fields[1];
			ret->version = fields[2];
		}
	}
	if (!replacements && count > 1 && *fields[1] == 'v' && str_eq(fields[0], ret->module))
		ret->is_explicit = true;
	return 0;
}

static int read_go_mod(struct go_stage *stage, struct required *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = read_file(stage, "go.mod", &text);

	*ret = (struct required){ .module = stage->go->module, .version = stage->go->go_version };
	if (r < 0)
		return diag_errno(stage->ctx->diag, "source", NULL, -r, "Cannot read go.mod of the sources before");
	for (unsigned pass = 0; pass < 2; pass++) {
		for (const char *at = buf_text(&text); r == 0 && *at;) {
			const char *fields[FIELDS_MAX];
			size_t len = strcspn(at, "\n");
			unsigned count = split(&stage->arena, at, len, fields);

			r = read_line(stage, fields, count, pass == 0, ret);
			at += len;
			at += *at == '\n';
		}
	}
	return r;
}

struct listing {
	struct buf *text;
	const char *module; /* below which the paths are */
	const char *last; /* the directory listed last, in arena */
	struct arena *arena;
};

/* Files come before directories, so the first Go file of each directory lists it in the right place. */
static int list_package(void *data, const char *path, const struct cas_entry *entry)
{
	struct listing *listing = data;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *directory;

	if (entry->type == CAS_DIRECTORY || (!str_ends(name, ".go") && !str_eq(name, "go.mod")))
		return 0;
	if (str_starts(path, ".git/") || strstr(path, "/.git/"))
		return 0;
	directory = arena_strndup(listing->arena, path, slash ? (size_t)(slash - path) : 0);
	if (listing->last && str_eq(listing->last, directory))
		return 0;
	listing->last = directory;
	buf_printf(listing->text, "%s%s%s\n", listing->module, *directory ? "/" : "", directory);
	return 0;
}

/* The "go 1.21" line of the vendored module, NULL if there is none. */
static const char *go_directive(struct go_stage *stage, const char *directory)
{
	const char *path = arena_printf(&stage->arena, "%s/go.mod", directory);
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (read_file(stage, path, &text) < 0)
		return NULL;
	for (const char *at = buf_text(&text); *at;) {
		size_t len = strcspn(at, "\r\n");

		if (str_starts(at, "go "))
			return arena_strndup(&stage->arena, at, len);
		at += len;
		at += *at != '\0';
	}
	return NULL;
}

static int append_modules_txt(struct go_stage *stage)
{
	const struct kinds_go_module *go = stage->go;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct listing listing = { .text = &text, .arena = &stage->arena };
	const char *directory, *directive;
	struct required required;
	int r = read_go_mod(stage, &required);

	if (r < 0)
		return r;
	r = read_file(stage, "vendor/modules.txt", &text);
	if (r < 0 && r != -ENOENT)
		return r;
	directory = arena_printf(&stage->arena, "vendor/%s", required.module);
	listing.module = required.module;
	directive = go_directive(stage, directory);
	if (required.is_explicit && (!str_eq(required.module, go->module) || !str_eq(required.version, go->go_version)))
		buf_printf(&text, "# %s %s => %s %s\n", required.module, required.version, go->module, go->go_version);
	else if (required.is_explicit)
		buf_printf(&text, "# %s %s\n", go->module, go->go_version);
	else
		buf_printf(&text, "# %s\n", go->module);
	if (required.is_explicit)
		buf_printf(&text, "## explicit%s%s\n", directive ? "; " : "", directive ? directive : "");
	r = cas_tree_type(stage->tree, directory) == CAS_DIRECTORY ?
		    cas_tree_walk(stage->tree, directory, list_package, &listing) :
		    0;
	return r < 0 ? r : sources_put_text(stage->ctx, stage->tree, "vendor/modules.txt", &text);
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	struct go_stage stage = { .ctx = ctx, .go = source->config };
	const char *vendor = arena_printf(&stage.arena, "vendor/%s", stage.go->module);
	struct digest files, module;
	struct git_repo repo;
	int r = find(ctx, source, &stage.arena, &repo);

	if (r == 0)
		r = cas_tree_new(&stage.tree, ctx->cas, previous);
	if (r == 0)
		r = repository_files(&stage, &repo, &files);
	if (r == 0)
		r = module_directory(&stage, &files, &module);
	if (r == 0)
		r = cas_tree_mkdir(stage.tree, vendor);
	if (r == 0)
		r = cas_tree_merge(stage.tree, vendor, &module, NULL, ctx->diag);
	if (r == 0)
		r = append_modules_txt(&stage);
	if (r == 0)
		r = cas_tree_digest(stage.tree, "", ret);
	cas_tree_free(stage.tree);
	arena_release(&stage.arena);
	return r;
}

const struct sources_ops sources_go_module = { .kind = "go_module", .have = have, .fetch = fetch, .tree = tree };

/* bazel_source: what a "repository resolved file" of bazel lists, downloaded for its --distdir.
 *
 *     <sourcedir>/bazel_source/<element>-<number of the source>-<ref>/_bst_distdir/<last part of a URL>
 *
 * The file comes from the sources before; if they have none, and the project allows it, the host's bazel writes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/starlark.h"
#include "sources/transfer.h"

enum { RESOLVED_MAX_BYTES = 64 << 20 };

struct resolved {
	struct sources_context *ctx;
	const struct kinds_bazel_source *bazel;
	struct arena arena;
	const struct digest *previous; /* the earlier sources */
	const char *mirror, *distdir;
};

static bool is_sane(const char *ref)
{
	uint8_t hash[DIGEST_BYTES];

	return ref && strlen(ref) == DIGEST_HEX && digest_from_hex(hash, ref);
}

static const char *mirror_of(struct sources_context *ctx, const struct graph_source *source, struct arena *arena)
{
	const struct graph_element *element = &ctx->graph->elements[ctx->element];
	const struct kinds_bazel_source *bazel = source->config;

	return arena_printf(arena, "%s/bazel_source/%s-%d-%s", ctx->sourcedir, element->name, (int)(source - element->sources),
			    bazel->ref);
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_bazel_source *bazel = source->config;
	struct arena arena = { 0 };
	bool ret = is_sane(bazel->ref) && sources_directory_filled(mirror_of(ctx, source, &arena));

	arena_release(&arena);
	return ret;
}

/* ---- fetching ---- */

static int run_bazel(struct resolved *resolved, const char *directory, const char *path)
{
	const struct kinds_bazel_source *bazel = resolved->bazel;
	const char *base = arena_printf(&resolved->arena, "%s.bazel", directory);
	const char **query = ARENA_ARRAY(&resolved->arena, const char *, bazel->targets.count + 6);
	const char *stop[] = { "bazel", "--output_base", base, "shutdown", NULL };
	struct sources_command command = { .argv = query, .directory = directory,
					   .fail = "Failed to generate repository file with host bazel" };
	int r;

	query[0] = "bazel";
	query[1] = "--output_base";
	query[2] = base;
	query[3] = "cquery";
	query[4] = arena_printf(&resolved->arena, "--experimental_repository_resolved_file=%s", path);
	for (uint32_t i = 0; i < bazel->targets.count; i++)
		query[5 + i] = bazel->targets.items[i];
	r = sources_command(resolved->ctx, &command);
	command.argv = stop;
	command.fail = "Failed to shutdown host bazel";
	if (r == 0)
		r = sources_command(resolved->ctx, &command);
	fs_remove_all(AT_FDCWD, base);
	return r;
}

/* Has the host's bazel write the file, which nobody can check. */
static int ask_bazel(struct resolved *resolved, const struct digest *workspace, struct buf *ret)
{
	struct sources_context *ctx = resolved->ctx;
	_cleanup_free_ char *directory = NULL, *path = NULL;
	int r = sources_warn(ctx, NULL, "", "Repository file '%s' not found, falling back to host bazel",
			     resolved->bazel->repo_file);

	if (r == 0 && !resolved->bazel->allow_host_bazel)
		r = diag_set(ctx->diag, "source", NULL, "No repository resolved file found and cannot fall back to host bazel");
	if (r == 0)
		r = sources_scratch(ctx, &directory);
	if (r < 0)
		return r;
	path = xasprintf("%s.resolved", directory);
	r = cas_checkout(ctx->cas, workspace, AT_FDCWD, directory, NULL, ctx->diag);
	if (r == 0)
		r = run_bazel(resolved, directory, path);
	if (r == 0 && (r = fs_read_file(ret, AT_FDCWD, path, RESOLVED_MAX_BYTES)) < 0)
		diag_errno(ctx->diag, "source", NULL, -r, "Cannot read what bazel wrote");
	fs_remove_all(AT_FDCWD, path);
	fs_remove_all(AT_FDCWD, directory);
	return r < 0 ? r : sources_warn(ctx, NULL, "", "Not checking ref, using host bazel affects repo file");
}

static int check_ref(struct resolved *resolved, const struct buf *text)
{
	uint8_t hash[DIGEST_BYTES];
	char hex[DIGEST_HEX + 1];

	digest_sha256(hash, buf_text(text), text->len);
	digest_to_hex(hex, hash);
	return str_eq(hex, resolved->bazel->ref) ? 0 :
						   diag_set(resolved->ctx->diag, "source", NULL,
							    "Ref %s does not match specified %s", hex, resolved->bazel->ref);
}

static int read_file(struct resolved *resolved, struct buf *ret)
{
	const struct kinds_bazel_source *bazel = resolved->bazel;
	struct sources_context *ctx = resolved->ctx;
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct cas_entry entry = { 0 };
	struct digest workspace;
	struct cas_tree *tree;
	int r = cas_tree_new(&tree, ctx->cas, resolved->previous);

	if (r < 0)
		return r;
	fs_normpath(&path, bazel->workspace_dir);
	r = cas_tree_digest(tree, str_eq(path.data, ".") ? "" : path.data, &workspace);
	if (r < 0)
		diag_errno(ctx->diag, "source", NULL, -r, "There is no workspace '%s'", bazel->workspace_dir);
	fs_normpath(&path, arena_printf(&resolved->arena, "%s/%s", bazel->workspace_dir, bazel->repo_file));
	if (r == 0 && cas_tree_lookup(tree, path.data, true, &entry) == 0 && entry.type == CAS_FILE &&
	    entry.digest.size_bytes <= RESOLVED_MAX_BYTES) {
		r = cas_get(ctx->cas, &entry.digest, ret);
		if (r == 0)
			r = check_ref(resolved, ret);
	} else if (r == 0) {
		r = ask_bazel(resolved, &workspace, ret);
	}
	cas_tree_free(tree);
	return r;
}

static int read_list(struct resolved *resolved, struct toml **ret)
{
	const char *name = resolved->bazel->repo_file;
	_cleanup_buf_ struct buf text = BUF_INIT, why = BUF_INIT;
	struct diag *diag = resolved->ctx->diag;
	struct toml *names = NULL;
	int r = read_file(resolved, &text);

	if (r == 0 && starlark_read(&resolved->arena, buf_text(&text), text.len, &names, &why) < 0)
		r = diag_set(diag, "source", NULL, "Malformed repository file '%s': %s", name, buf_text(&why));
	if (r < 0)
		return r;
	*ret = toml_get_type(names, "resolved", TOML_ARRAY);
	return *ret ? 0 : diag_set(diag, "source", NULL, "Repository file '%s' has no list called resolved", name);
}

/* 1: it came; 0: this URL does not have it; <0. */
static int download(struct resolved *resolved, const char *name, const char *url, const char *sha256)
{
	const char *path = arena_printf(&resolved->arena, "%s/%s", resolved->distdir, fs_basename(url));
	struct sources_transfer transfer = { .ctx = resolved->ctx, .url = url, .fd = -1 };
	struct curl_answer answer = { 0 };
	struct digest digest;
	char hex[DIGEST_HEX + 1];
	int r;

	sources_say(resolved->ctx, "Downloading bazel dependency '%s'", name);
	if (!*fs_basename(url) || str_eq(fs_basename(url), ".") || str_eq(fs_basename(url), ".."))
		return 0;
	transfer.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (transfer.fd < 0)
		return diag_errno(resolved->ctx->diag, "source", NULL, errno, "Cannot write %s", path);
	transfer.stream = digest_stream_new();
	r = sources_transfer(&transfer, &answer);
	digest_stream_end(transfer.stream, &digest);
	close_fd(transfer.fd);
	sources_answer_release(&answer);
	digest_to_hex(hex, digest.hash);
	if (r == CURL_CAME && (!sha256 || str_eq(hex, sha256)))
		return 1;
	unlink(path);
	if (r == -ECANCELED || r == -ELIBACC)
		return r;
	if (r == CURL_CAME)
		sources_say(resolved->ctx, "Downloaded bazel dependency %s did not match sha256", name);
	else
		sources_say(resolved->ctx, "Downloading '%s' from url '%s' failed", name, url);
	return 0;
}

static const char *text_of(const struct toml *table, const char *key)
{
	const struct toml *value = toml_get_type(table, key, TOML_STRING);

	return value && value->text.len ? value->text.at : NULL;
}

/* One repository of the list, from the first of its URLs that has it. */
static int fetch_one(struct resolved *resolved, const struct toml *entry)
{
	const struct toml *attributes = toml_get_type(entry, "original_attributes", TOML_TABLE);
	const struct toml *urls = toml_get_type(attributes, "urls", TOML_ARRAY);
	const char *name = text_of(attributes, "name"), *url = text_of(attributes, "url"), *sha256;
	int r = 0;

	if (!attributes)
		return sources_warn(resolved->ctx, NULL, "", "Bazel dependency has no 'original_attributes'");
	if (!name)
		return diag_set(resolved->ctx->diag, "source", NULL, "Bazel dependency has no name");
	if (!toml_get(attributes, "url") && !toml_get(attributes, "urls")) {
		sources_say(resolved->ctx, "Bazel dependency '%s' has no urls, assume local and skip", name);
		return 0;
	}
	sha256 = toml_get(attributes, "sha256") ? text_of(attributes, "sha256") : NULL;
	if (!toml_get(attributes, "sha256"))
		r = sources_warn(resolved->ctx, "bazel_source:missing-sha256", "", "Bazel dependency '%s' has no sha256", name);
	else if (!sha256)
		sha256 = "";
	if (r == 0 && url)
		r = download(resolved, name, url, sha256);
	for (size_t i = 0; r == 0 && urls && i < urls->count; i++)
		if (urls->items[i]->type == TOML_STRING)
			r = download(resolved, name, urls->items[i]->text.at, sha256);
	return r != 0 ? MIN(r, 0) :
			sources_warn(resolved->ctx, NULL, "", "Failed to download bazel dependency %s", name);
}

static int fetch_list(struct resolved *resolved)
{
	struct toml *list = NULL;
	int r = read_list(resolved, &list);

	if (r == 0 && (r = fs_mkdir_p(AT_FDCWD, resolved->distdir, 0755)) < 0)
		diag_errno(resolved->ctx->diag, "source", NULL, -r, "Cannot make the directory %s", resolved->distdir);
	for (size_t i = 0; r == 0 && i < list->count; i++)
		r = fetch_one(resolved, list->items[i]);
	if (r < 0)
		fs_remove_all(AT_FDCWD, resolved->mirror); /* half of it would be taken for all */
	return r;
}

static int fetch(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous)
{
	struct resolved resolved = { .ctx = ctx, .bazel = source->config, .previous = previous };
	int r;

	if (!is_sane(resolved.bazel->ref))
		return diag_set(ctx->diag, "source", "invalid-ref", "Not the SHA-256 of a file: '%s'", resolved.bazel->ref);
	resolved.mirror = mirror_of(ctx, source, &resolved.arena);
	resolved.distdir = arena_printf(&resolved.arena, "%s/_bst_distdir", resolved.mirror);
	r = fetch_list(&resolved);
	arena_release(&resolved.arena);
	return r;
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	const struct kinds_bazel_source *bazel = source->config;
	_cleanup_buf_ struct buf workspace = BUF_INIT;
	struct arena arena = { 0 };
	struct cas_tree *tree = NULL;
	struct digest files;
	int r = cas_import(ctx->cas, AT_FDCWD, mirror_of(ctx, source, &arena), 0, NULL, &files, ctx->diag);

	arena_release(&arena);
	if (r == 0)
		r = cas_tree_new(&tree, ctx->cas, previous);
	if (r < 0)
		return r;
	fs_normpath(&workspace, bazel->workspace_dir);
	r = cas_tree_merge(tree, str_eq(workspace.data, ".") ? "" : workspace.data, &files, NULL, ctx->diag);
	if (r == 0)
		r = cas_tree_digest(tree, "", ret);
	cas_tree_free(tree);
	return r;
}

const struct sources_ops sources_bazel_source = { .kind = "bazel_source", .have = have, .fetch_onto = fetch, .tree = tree };

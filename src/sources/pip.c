/* pip: source archives of Python packages, downloaded by the host's pip and staged as they are.
 *
 *     <sourcedir>/pip/<mirror directory of url>/<SHA-256 of the ref>/      the archives
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/sources_internal.h"

enum { PACKAGES_MAX = 10000 };

/* Where the peer looks for a pip that can download, in that order. */
static const char *const pythons[] = {
	"python3",   "python3.12", "python3.11", "python3.10", "python3.9", "python3.8", "python3.7", "python3.6",
	"python3.5", "python3.4",  "python3.3",	 "python3.2",  "python3.1", "python3.0", "python2.7", "python",
};

static const char *mirror_of(struct sources_context *ctx, const struct kinds_pip *pip, struct arena *arena)
{
	uint8_t hash[DIGEST_BYTES];
	char hex[DIGEST_HEX + 1];

	digest_sha256(hash, pip->ref, strlen(pip->ref));
	digest_to_hex(hex, hash);
	return arena_printf(arena, "%s/%s", sources_mirror_directory(ctx, arena, "pip", pip->original_url, ""), hex);
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_pip *pip = source->config;
	struct arena arena = { 0 };
	bool ret = pip->ref && sources_directory_filled(mirror_of(ctx, pip, &arena));

	arena_release(&arena);
	return ret;
}

/* ---- fetching ---- */

static int find_python(struct sources_context *ctx, char **ret)
{
	struct sources_context quiet = *ctx;

	quiet.diag = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(pythons); i++) {
		_cleanup_free_ char *python = NULL;
		const char *argv[] = { NULL, "-m", "pip", "download", "--help", NULL };
		const struct sources_command command = { .argv = argv, .probe = true };

		if (sources_host_tool(&quiet, pythons[i], &python) < 0)
			continue;
		argv[0] = python;
		if (sources_command(&quiet, &command) == 0) {
			*ret = steal_pointer(&python);
			return 0;
		}
	}
	return diag_set(ctx->diag, "source", NULL, "Unable to find a suitable pip command");
}

/* The lines of the ref without the blanks around all of them, in arena; NULL-terminated behind `before` others.  NULL with
 * diag set if one is empty, or an option. */
static const char **packages(struct sources_context *ctx, struct arena *arena, const char *ref, size_t before)
{
	static const char blanks[] = " \t\n\r\f\v";
	char *text = arena_strdup(arena, ref + strspn(ref, blanks));
	size_t len = strlen(text), count = 1;
	const char **ret;

	while (len && strchr(blanks, text[len - 1]))
		text[--len] = '\0';
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		count++;
	if (count > PACKAGES_MAX) {
		diag_set(ctx->diag, "source", "invalid-ref", "More than %d packages in one ref", PACKAGES_MAX);
		return NULL;
	}
	ret = ARENA_ARRAY(arena, const char *, before + count + 1);
	for (size_t i = before; text; i++) {
		char *next = strchr(text, '\n');

		if (next)
			*next++ = '\0';
		if (sources_check_argument(ctx, "pip", text) < 0)
			return NULL;
		ret[i] = text;
		text = next;
	}
	return ret;
}

static int download(struct sources_context *ctx, const struct kinds_pip *pip, const char *python, const char *url,
		    const char *directory)
{
	const char *const start[] = { python,	     "-m", "pip",    "download", "--no-binary", ":all:",
				      "--index-url", url,  "--dest", directory };
	_cleanup_buf_ struct buf fail = BUF_INIT;
	struct arena arena = { 0 };
	const char **argv = packages(ctx, &arena, pip->ref, ARRAY_SIZE(start));
	int r = argv ? 0 : -EINVAL;

	if (r == 0) {
		memcpy(argv, start, sizeof start);
		buf_adds(&fail, "Failed to install python packages: [");
		for (const char **package = argv + ARRAY_SIZE(start); *package; package++)
			buf_printf(&fail, "'%s'%s", *package, package[1] ? ", " : "]");
		sources_say(ctx, "Fetching from %s", url);
		r = sources_run(ctx, argv, buf_text(&fail), NULL);
	}
	arena_release(&arena);
	return r;
}

/* Whoever was quicker has fetched the same. */
static int keep(struct sources_context *ctx, const char *directory, const char *mirror)
{
	int r = fs_mkdir_parent(AT_FDCWD, mirror, 0755);

	if (r == 0 && rename(directory, mirror) < 0 && errno != ENOTEMPTY && errno != EEXIST)
		r = -errno;
	if (r < 0)
		diag_errno(ctx->diag, "source", NULL, -r, "Failed to move downloaded pip packages from '%s' to '%s'", directory,
			   mirror);
	return r;
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	const struct kinds_pip *pip = source->config;
	_cleanup_free_ char *directory = NULL, *python = NULL;
	const char *fallback[2], *const *url = sources_urls(ctx, pip->original_url, pip->url, false, fallback);
	struct sources_context beside = *ctx;
	struct arena arena = { 0 };
	int r = find_python(ctx, &python);

	beside.tmpdir = arena_printf(&arena, "%s/pip", ctx->sourcedir); /* so that it can be moved */
	if (r == 0)
		r = sources_scratch(&beside, &directory);
	if (r == 0) {
		chmod(directory, 0755);
		for (r = -EINVAL; r < 0 && r != -ECANCELED && *url; url++)
			r = download(ctx, pip, python, *url, directory);
		if (r == 0)
			r = keep(ctx, directory, mirror_of(ctx, pip, &arena));
		fs_remove_all(AT_FDCWD, directory);
	}
	arena_release(&arena);
	return r;
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	struct arena arena = { 0 };
	struct cas_tree *tree = NULL;
	struct digest files;
	int r = cas_import(ctx->cas, AT_FDCWD, mirror_of(ctx, source->config, &arena), 0, NULL, &files, ctx->diag);

	arena_release(&arena);
	if (r == 0)
		r = cas_tree_new(&tree, ctx->cas, NULL);
	if (r < 0)
		return r;
	r = cas_tree_set(tree, ".bst_pip_downloads", &files);
	if (r == 0)
		r = cas_tree_digest(tree, "", ret);
	cas_tree_free(tree);
	return r;
}

const struct sources_ops sources_pip = { .kind = "pip", .have = have, .fetch = fetch, .tree = tree };

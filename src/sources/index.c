/* cpan, pypi and gnu: one file of an index, unpacked without its topmost directory. */
#include <errno.h>
#include <string.h>

#include "sources/sources_internal.h"
#include "sources/unpack.h"

/* Everything of it in arena.  The directory is named by what the project calls the thing, not by a URL. */
static int file_of(struct sources_context *ctx, const struct graph_source *source, struct arena *arena,
		   struct sources_file *ret)
{
	const struct kinds_index_file *config = source->config;
	const char *suffix = config->suffix ? config->suffix : "";
	_cleanup_buf_ struct buf name = BUF_INIT;

	sources_mirror_name(&name, config->dirname ? config->dirname : config->name);
	*ret = (struct sources_file){
		.directory = arena_printf(arena, "%s/%s/%s", ctx->sourcedir, source->ops->name, buf_text(&name)),
		.original_url = arena_printf(arena, "%s%s", config->base_url, suffix),
		.url = arena_printf(arena, "%s%s", config->url, suffix),
		.sha256 = config->sha256sum,
		.community = true,
	};
	return 0;
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	static const struct archive_rules tar = { .format = ARCHIVE_TAR, .strip_top = true };
	static const struct archive_rules zip = { .format = ARCHIVE_ZIP, .strip_top = true, .no_executables = true,
						  .no_symlinks = true };
	const struct kinds_index_file *config = source->config;
	struct arena arena = { 0 };
	struct sources_file file;
	_cleanup_close_ int fd = file_of(ctx, source, &arena, &file) < 0 ? -EINVAL : sources_file_open(ctx, &file);
	bool zipped = str_ends(config->suffix, ".zip") && !str_eq(source->ops->name, "gnu");

	arena_release(&arena);
	return fd < 0 ? fd : sources_archive_tree(ctx, fd, zipped ? &zip : &tar, NULL, ret);
}

const struct sources_ops sources_cpan = { .kind = "cpan", .file_of = file_of,
	.have = sources_one_file_have, .fetch = sources_one_file_fetch, .tree = tree };
const struct sources_ops sources_pypi = { .kind = "pypi", .file_of = file_of,
	.have = sources_one_file_have, .fetch = sources_one_file_fetch, .tree = tree };
const struct sources_ops sources_gnu = { .kind = "gnu", .file_of = file_of,
	.have = sources_one_file_have, .fetch = sources_one_file_fetch, .tree = tree };

/* tar_element: dependencies as one archive. */
#include "elements/elements_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compress_module.h"
#include "base/fs.h"
#include "base/module.h"

static const struct {
	const char *name, *extension, *filter;
} compressions[] = {
	{ "none", ".tar", NULL },
	{ "gzip", ".tar.gz", "gz" }, /* the peer's holds the time of day; ours is the same each time */
	{ "xz", ".tar.xz", "xz" },
	{ "bzip2", ".tar.bz2", "bz2" },
};

static int stage(struct build *build, struct diag *diag)
{
	struct activity activity = build_begin(build, "Staging dependencies", NULL);
	int r = stage_artifacts(build->job, build->overlaps, build->tree, build_all(build), build->job->dep_count, "/input",
				diag);

	return build_end(build, &activity, r);
}

struct archive {
	int fd;
	const struct compress_module *module; /* NULL: not compressed */
	struct compress_stream *stream;
};

static int write_part(void *data, const void *bytes, size_t len)
{
	struct archive *archive = data;

	return archive->module ? archive->module->write(archive->stream, bytes, len) : fs_write_all(archive->fd, bytes, len);
}

static int open_archive(struct archive *archive, const char *filter, struct diag *diag)
{
	archive->fd = memfd_create("archive", MFD_CLOEXEC);
	if (archive->fd < 0)
		return -errno;
	if (!filter)
		return 0;
	archive->module = module_open("compress", COMPRESS_MODULE_SYMBOL, diag);
	if (!archive->module)
		return -ENOENT;
	archive->stream = archive->module->open(archive->fd, filter);
	return archive->stream ? 0 : diag_set(diag, "element", NULL, "Compression '%s' is not available", filter);
}

static int write_archive(struct build *build, const struct digest *tree, const char *filter, struct digest *ret,
			 struct diag *diag)
{
	struct archive archive = { .fd = -1 };
	int r = open_archive(&archive, filter, diag), closed;

	if (r >= 0)
		r = cas_tar(build->job->cas, tree, "", CAS_ARBITRARY_MTIME, write_part, &archive, diag);
	closed = archive.stream ? archive.module->close(archive.stream) : 0;
	if (r >= 0 && closed < 0)
		r = closed;
	if (r >= 0)
		r = cas_put_fd(build->job->cas, archive.fd, ret);
	close_fd(archive.fd);
	return r;
}

static int tar_assemble(struct build *build, const char **collect, struct diag *diag)
{
	const struct kinds_tar_element *config = build->element->config;
	struct cas_entry entry = { .type = CAS_FILE };
	struct activity activity;
	struct digest tree;
	size_t at = 0;
	int r;

	while (!str_eq(compressions[at].name, config->compression)) {
		at++;
		assert(at < ARRAY_SIZE(compressions));
	}
	activity = build_begin(build, "Creating tarball", NULL);
	r = cas_tree_mkdir(build->tree, "input");
	if (r >= 0)
		r = cas_tree_mkdir(build->tree, "output");
	if (r >= 0)
		r = cas_tree_digest(build->tree, "input", &tree);
	if (r >= 0)
		r = write_archive(build, &tree, compressions[at].filter, &entry.digest, diag);
	if (r >= 0)
		r = cas_tree_put(build->tree,
				 arena_printf(build->job->arena, "output/%s%s", config->filename, compressions[at].extension),
				 &entry);
	*collect = "/output";
	if (r < 0)
		build_error(diag, r, "Failed to write the archive");
	return build_end(build, &activity, r < 0 ? r : ELEMENTS_BUILT);
}

const struct elements_kind elements_tar = { "tar_element", NULL, stage, tar_assemble };

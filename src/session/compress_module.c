/* The module millrace-compress.so: libarchive's write filters around plain bytes. */
#include "base/compress_module.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct compress_stream {
	struct archive *archive;
};

static int failed(struct archive *archive)
{
	int err = archive_errno(archive);

	return err > 0 ? -err : -EIO;
}

static int add_filter(struct archive *archive, const char *filter)
{
	static const struct {
		const char *name;
		int (*add)(struct archive *);
	} filters[] = {
		{ "gz", archive_write_add_filter_gzip },
		{ "xz", archive_write_add_filter_xz },
		{ "bz2", archive_write_add_filter_bzip2 },
	};

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (strcmp(filters[i].name, filter) == 0)
			return filters[i].add(archive);
	return ARCHIVE_FATAL;
}

static struct compress_stream *stream_open(int fd, const char *filter)
{
	struct compress_stream *stream = xcalloc(1, sizeof(*stream));
	struct archive_entry *entry = archive_entry_new();

	stream->archive = archive_write_new();
	archive_write_set_format_raw(stream->archive);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_pathname(entry, "data");
	/* No time stamp of the day in the gzip header: equal trees make equal files. */
	if (add_filter(stream->archive, filter) != ARCHIVE_OK ||
	    (str_eq(filter, "gz") && archive_write_set_filter_option(stream->archive, "gzip", "timestamp", NULL) != ARCHIVE_OK) ||
	    archive_write_open_fd(stream->archive, fd) != ARCHIVE_OK ||
	    archive_write_header(stream->archive, entry) != ARCHIVE_OK) {
		archive_write_free(stream->archive);
		free(stream);
		stream = NULL;
	}
	archive_entry_free(entry);
	return stream;
}

static int stream_write(struct compress_stream *stream, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len) {
		la_ssize_t n = archive_write_data(stream->archive, at, len);

		if (n <= 0)
			return failed(stream->archive);
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int stream_close(struct compress_stream *stream)
{
	int r = archive_write_close(stream->archive) == ARCHIVE_OK ? 0 : failed(stream->archive);

	archive_write_free(stream->archive);
	free(stream);
	return r;
}

extern const struct compress_module millrace_compress_module;
const struct compress_module millrace_compress_module = { stream_open, stream_write, stream_close };

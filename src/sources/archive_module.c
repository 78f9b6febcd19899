/* millrace-archive.so: tar (with any compression), zip and ar through libarchive. */
#include "sources/archive_module.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK_BYTES = 1 << 17 };

static int broken(struct archive *archive, struct buf *error)
{
	const char *why = archive_error_string(archive);

	buf_adds(error, why ? why : "not an archive");
	return -EBADMSG;
}

/* Names are bytes; libarchive converts some of them, and NULL is what it answers where it cannot. */
static const char *either(const char *bytes, const char *utf8)
{
	return bytes ? bytes : utf8;
}

static bool describe(struct archive_entry *entry, struct archive_member *ret)
{
	const char *hardlink = either(archive_entry_hardlink(entry), archive_entry_hardlink_utf8(entry));
	mode_t type = archive_entry_filetype(entry);

	*ret = (struct archive_member){
		.path = either(archive_entry_pathname(entry), archive_entry_pathname_utf8(entry)),
		.mode = archive_entry_perm(entry),
		.size_bytes = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1,
	};
	if (hardlink) {
		ret->type = ARCHIVE_HARDLINK;
		ret->link = hardlink;
	} else if (type == AE_IFDIR) {
		ret->type = ARCHIVE_DIRECTORY;
	} else if (type == AE_IFLNK) {
		ret->type = ARCHIVE_SYMLINK;
		ret->link = either(archive_entry_symlink(entry), archive_entry_symlink_utf8(entry));
	} else {
		ret->type = type == AE_IFREG ? ARCHIVE_FILE : ARCHIVE_DEVICE;
	}
	return ret->path && (ret->type != ARCHIVE_SYMLINK || ret->link);
}

static int copy_data(struct archive *archive, const struct archive_sink *sink, struct buf *error)
{
	char chunk[CHUNK_BYTES];
	la_ssize_t n;
	int r = 0;

	while (r >= 0 && (n = archive_read_data(archive, chunk, sizeof chunk)) != 0) {
		if (n == ARCHIVE_RETRY)
			continue;
		if (n < 0)
			return broken(archive, error);
		r = sink->bytes(sink->data, chunk, (size_t)n);
	}
	return r < 0 ? r : sink->member_end(sink->data);
}

static int read_members(struct archive *archive, const struct archive_sink *sink, struct buf *error)
{
	struct archive_entry *entry;
	int r = 0;

	while (r >= 0) {
		struct archive_member member;
		int status = archive_read_next_header(archive, &entry);

		if (status == ARCHIVE_EOF)
			return 0;
		if (status == ARCHIVE_RETRY)
			continue;
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
			return broken(archive, error);
		if (!describe(entry, &member)) {
			buf_adds(error, "a member has no readable name");
			return -EBADMSG;
		}
		r = sink->member(sink->data, &member);
		if (r == 1)
			r = copy_data(archive, sink, error);
	}
	return r;
}

static int read_archive(int fd, enum archive_format format, const struct archive_sink *sink, struct buf *error)
{
	struct archive *archive = archive_read_new();
	/* names in UTF-8 whatever the user's locale */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = (locale_t)0;
	int r;

	if (!archive)
		bug("libarchive does not start");
	if (utf8)
		before = uselocale(utf8);
	if (format == ARCHIVE_TAR) {
		/* not _all: some of those run programs of the host */
		archive_read_support_filter_gzip(archive);
		archive_read_support_filter_bzip2(archive);
		archive_read_support_filter_compress(archive);
		archive_read_support_filter_xz(archive);
		archive_read_support_filter_lzma(archive);
		archive_read_support_filter_lzip(archive);
		archive_read_support_filter_zstd(archive);
		archive_read_support_format_tar(archive);
		archive_read_support_format_empty(archive);
	} else if (format == ARCHIVE_ZIP) {
		archive_read_support_format_zip(archive);
	} else {
		archive_read_support_format_ar(archive);
	}
	r = archive_read_open_fd(archive, fd, CHUNK_BYTES) == ARCHIVE_OK ? read_members(archive, sink, error)
									 : broken(archive, error);
	archive_read_free(archive);
	if (utf8) {
		uselocale(before);
		freelocale(utf8);
	}
	return r;
}

extern const struct archive_module millrace_archive_module;
const struct archive_module millrace_archive_module = { .read = read_archive };

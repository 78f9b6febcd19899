/* Between the program and its module millrace-archive.so: the members of an archive, one after the other.
 *
 * The module reads and unpacks; what a member may do is decided by the caller.  Nothing is written to disk.
 */
#ifndef SOURCES_ARCHIVE_MODULE_H
#define SOURCES_ARCHIVE_MODULE_H

#include "base/buf.h"

#define ARCHIVE_MODULE_SYMBOL "millrace_archive_module"

enum archive_type { ARCHIVE_FILE, ARCHIVE_DIRECTORY, ARCHIVE_SYMLINK, ARCHIVE_HARDLINK, ARCHIVE_DEVICE };

struct archive_member {
	const char *path;   /* as in the archive, bytes; "/" at the end of directories possible */
	const char *link;   /* target of SYMLINK and HARDLINK, else NULL */
	enum archive_type type;
	unsigned mode;      /* permission bits */
	int64_t size_bytes; /* -1: not known */
};

struct archive_sink {
	void *data;
	/* 1: its bytes are wanted (member_end follows them); 0: skip them; <0 stop. */
	int (*member)(void *data, const struct archive_member *member);
	int (*bytes)(void *data, const void *bytes, size_t len);
	int (*member_end)(void *data);
};

enum archive_format { ARCHIVE_TAR = 1, ARCHIVE_ZIP = 2, ARCHIVE_AR = 4 };

struct archive_module {
	/* Reads the archive at fd's current position.  0, what the sink returned, or -EBADMSG with error filled. */
	int (*read)(int fd, enum archive_format format, const struct archive_sink *sink, struct buf *error);
};

#endif

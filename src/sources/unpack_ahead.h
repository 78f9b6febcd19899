/* Reading archives in two threads: one reads, decompresses and hashes, the caller's stores what comes of it.
 *
 * For an archive of some size the two halves cost about the same, so importing takes little more than half the time.  The second
 * thread has ended when archive_read_ahead returns; it touches the module and memory of its own, nothing else.  At most some
 * 16 MB are under way. */
#ifndef SOURCES_UNPACK_AHEAD_H
#define SOURCES_UNPACK_AHEAD_H

#include "base/digest.h"
#include "sources/archive_module.h"

struct archive_ahead_sink {
	void *data;
	/* All are called in the caller's thread, in the archive's order; <0 stops.  A member of type ARCHIVE_FILE is followed
	 * either by whole, or by any number of bytes and then end; other members by neither. */
	int (*member)(void *data, const struct archive_member *member);
	int (*whole)(void *data, const void *bytes, size_t len, const struct digest *digest);
	int (*bytes)(void *data, const void *bytes, size_t len);
	int (*end)(void *data);
};

/* As module->read; small archives are read by the caller's thread alone. */
int archive_read_ahead(const struct archive_module *module, int fd, enum archive_format format,
		       const struct archive_ahead_sink *sink, struct buf *error);

#endif

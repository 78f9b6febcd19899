/* Trees made of archives, for the kinds that download some (and for the fuzzer). */
#ifndef SOURCES_UNPACK_H
#define SOURCES_UNPACK_H

#include "base/glob.h"
#include "sources/archive_module.h"
#include "sources/sources.h"

struct archive_rules {
	enum archive_format format;
	bool no_executables; /* all files 0644 */
	bool no_symlinks;    /* symlinks become files that hold their target */
	bool strip_top;      /* without the first component of each name; what has no other is left out */
	const struct glob_set *exclude; /* names that are left out, as they are after the above; NULL: none */
	bool (*keep)(void *data, const char *name); /* asked about each name, as in the archive but without a slash at the end */
	void *keep_data;
};

/* Reads the archive at fd and stores the tree below its base directory (a glob; NULL or "": all of it). */
int sources_archive_tree(struct sources_context *ctx, int fd, const struct archive_rules *rules, const char *base_dir,
			 struct digest *ret);
/* Calls visit for each member's name, without a slash at the end; <0 stops. */
int sources_archive_names(struct sources_context *ctx, int fd, enum archive_format format,
			  int (*visit)(void *data, const char *name), void *data);

#endif

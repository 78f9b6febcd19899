/* tests/fuzz/place.h: a directory for targets that load files, in memory where that is to be had; and files that change
 * with every input, written as cheaply as files can be. */
#ifndef FUZZ_PLACE_H
#define FUZZ_PLACE_H

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"

/* A new directory, for as long as the process lives.  NULL if there is none to be had. */
static inline const char *place_new(void)
{
	static char in_memory[] = "/dev/shm/fuzz-XXXXXX", on_disk[] = "/tmp/fuzz-XXXXXX";
	const char *made = mkdtemp(in_memory);

	return made ? made : mkdtemp(on_disk);
}

/* A file below root, its directory made if need be. */
static inline void place_file(const char *root, const char *name, const void *data, size_t size)
{
	char *path = xasprintf("%s/%s", root, name), *slash = strrchr(path, '/');

	*slash = '\0';
	fs_mkdir_p(AT_FDCWD, path, 0755);
	*slash = '/';
	fs_write_file(AT_FDCWD, path, data, size, 0644);
	free(path);
}

/* Other contents for a file that is there: no rename, no new inode. */
static inline void place_change(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fs_write_all(fd, data, size);
	close(fd);
}

#endif

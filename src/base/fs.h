/* base/fs.h: files, whole and safely.
 *
 * Return 0 (or a size) or -errno; nothing here prints or sets a diag.  Any process, any thread.
 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <sys/types.h>

#include "base/buf.h"

/* openat(2) for reading, with O_CLOEXEC and flags, that leaves the time of last access as it is where that is allowed: a first
 * look at thousands of files would else write as many inodes. */
int fs_open_read(int dirfd, const char *path, int flags);
/* Reads a whole file into ret (appended).  -EFBIG beyond max_bytes. dirfd may be AT_FDCWD. */
int fs_read_file(struct buf *ret, int dirfd, const char *path, size_t max_bytes);
/* Reads fd to its end, as above. */
int fs_read_fd(struct buf *ret, int fd, size_t max_bytes);
/* read(2) and pread(2) that begin again after signals: bytes read, 0 at the end, or -errno. */
ssize_t fs_read_some(int fd, void *ret, size_t size_bytes);
ssize_t fs_pread_some(int fd, void *ret, size_t size_bytes, off_t at);
/* Writes all of it, restarting after signals and short writes. */
int fs_write_all(int fd, const void *data, size_t size_bytes);
/* Writes path through a temporary file beside it and rename; mode is subject to umask. */
int fs_write_file(int dirfd, const char *path, const void *data, size_t size_bytes, mode_t mode);
/* As fs_write_file for a path that is not there yet, without a temporary name: half the price.  Fails, and has done nothing,
 * with -EEXIST if it is there, -ENOENT if its directory is not, and with others where kernel, file system or rights do not
 * allow it: then fs_write_file may. */
int fs_write_new(int dirfd, const char *path, const void *data, size_t size_bytes, mode_t mode);
/* Gives a name to a file that has none (O_TMPFILE).  Only those who may search everything may link a descriptor, before Linux
 * 6.10; others go by /proc, if it is mounted.  *way is what to try first and grows to what can be done: keep it for the next.
 * 0, -EEXIST if the name is taken, -ENOTSUP with FS_LINK_NOT, or another -errno. */
enum fs_link { FS_LINK_DESCRIPTOR, FS_LINK_PROC, FS_LINK_NOT };
int fs_link_nameless(int fd, int dirfd, const char *path, enum fs_link *way);
/* Calls fn for each name in the directory that does not begin with a dot, in no order; fn's dirfd is that directory.  Stops
 * at the first result that is negative.  0 if there is no such directory. */
int fs_each_name(int dirfd, const char *path, int (*fn)(void *data, int dirfd, const char *name), void *data);
/* Makes path and its parents; 0 if it is there already as a directory. */
int fs_mkdir_p(int dirfd, const char *path, mode_t mode);
/* The same for the directory that path is in. */
int fs_mkdir_parent(int dirfd, const char *path, mode_t mode);
/* Removes path whatever it is, directories with all below, never following links; directories without write
 * permission are made writable first.  0 also if it is not there. */
int fs_remove_all(int dirfd, const char *path);
/* Normalises a relative or absolute path as Python's os.path.normpath does, into ret (emptied first). */
void fs_normpath(struct buf *ret, const char *path);
/* Last component; never empty unless path is. */
const char *fs_basename(const char *path);

#endif

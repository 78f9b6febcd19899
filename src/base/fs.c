/* Files, whole and safely: see fs.h. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t fs_read_some(int fd, void *ret, size_t size_bytes)
{
	ssize_t n;

	do
		n = read(fd, ret, size_bytes);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t fs_pread_some(int fd, void *ret, size_t size_bytes, off_t at)
{
	ssize_t n;

	do
		n = pread(fd, ret, size_bytes, at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int fs_open_read(int dirfd, const char *path, int flags)
{
	static atomic_bool refused; /* other people's files: one attempt tells enough */
	int fd = -1;

	flags |= O_RDONLY | O_CLOEXEC;
	if (!refused) {
		fd = openat(dirfd, path, flags | O_NOATIME);
		if (fd >= 0 || errno != EPERM)
			return fd;
		refused = true;
	}
	return openat(dirfd, path, flags);
}

int fs_read_fd(struct buf *ret, int fd, size_t max_bytes)
{
	size_t start = ret->len, expected = 0;
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && (uint64_t)st.st_size <= max_bytes) {
		buf_room(ret, (size_t)st.st_size + 1);
		expected = (size_t)st.st_size; /* so much read at once is all of it: no second call to be told so */
	}
	for (;;) {
		size_t room = MAX(ret->cap - ret->len, (size_t)1) - 1;
		ssize_t n;

		if (room == 0)
			room = 16384;
		n = fs_read_some(fd, buf_room(ret, room), room);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		ret->len += (size_t)n;
		if (ret->len - start > max_bytes)
			return -EFBIG;
		if (expected && (size_t)n == expected)
			break;
	}
	ret->data[ret->len] = '\0';
	return 0;
}

int fs_read_file(struct buf *ret, int dirfd, const char *path, size_t max_bytes)
{
	_cleanup_close_ int fd = fs_open_read(dirfd, path, 0);

	if (fd < 0)
		return -errno;
	return fs_read_fd(ret, fd, max_bytes);
}

int fs_write_all(int fd, const void *data, size_t size_bytes)
{
	const char *at = data;

	while (size_bytes) {
		ssize_t n = write(fd, at, size_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		size_bytes -= (size_t)n;
	}
	return 0;
}

int fs_write_file(int dirfd, const char *path, const void *data, size_t size_bytes, mode_t mode)
{
	static unsigned counter;
	_cleanup_free_ char *temp = xasprintf("%s.%d.%u.tmp", path, (int)getpid(), counter++);
	int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode), r;

	if (fd < 0)
		return -errno;
	r = fs_write_all(fd, data, size_bytes);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(dirfd, temp, dirfd, path) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, temp, 0);
	return r;
}

static int link_by(enum fs_link way, int fd, int dirfd, const char *path)
{
	char link[32];
	int r;

	if (way == FS_LINK_DESCRIPTOR) {
		r = linkat(fd, "", dirfd, path, AT_EMPTY_PATH);
	} else {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		r = linkat(AT_FDCWD, link, dirfd, path, AT_SYMLINK_FOLLOW);
	}
	return r < 0 ? -errno : 0;
}

int fs_link_nameless(int fd, int dirfd, const char *path, enum fs_link *way)
{
	for (; *way < FS_LINK_NOT; ++*way) {
		int r = link_by(*way, fd, dirfd, path);

		if (r != -ENOENT)
			return r;
	}
	return -ENOTSUP;
}

int fs_write_new(int dirfd, const char *path, const void *data, size_t size_bytes, mode_t mode)
{
	static _Atomic enum fs_link known_way; /* of this process's rights and kernel */
	enum fs_link way = known_way;
	size_t parent_len = (size_t)(fs_basename(path) - path);
	_cleanup_free_ char *parent = parent_len ? xstrndup(path, parent_len) : xstrdup(".");
	_cleanup_close_ int fd = -1;
	int r;

	if (way == FS_LINK_NOT)
		return -ENOTSUP;
	fd = openat(dirfd, parent, O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	r = fs_write_all(fd, data, size_bytes);
	if (r == 0)
		r = fs_link_nameless(fd, dirfd, path, &way);
	known_way = way;
	return r;
}

int fs_mkdir_p(int dirfd, const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = NULL;
	struct stat st;

	if (mkdirat(dirfd, path, mode) == 0) /* mostly only the last one is new */
		return 0;
	if (errno == EEXIST && fstatat(dirfd, path, &st, 0) == 0 && S_ISDIR(st.st_mode)) /* ... or none */
		return 0;
	copy = xstrdup(path);
	for (char *at = copy + 1; *copy; at++) {
		char was = *at;

		if (was != '/' && was != '\0')
			continue;
		*at = '\0';
		if (mkdirat(dirfd, copy, mode) < 0) {
			int err = errno;
			if (fstatat(dirfd, copy, &st, 0) < 0)
				return -err;
			if (!S_ISDIR(st.st_mode))
				return -ENOTDIR;
		}
		*at = was;
		if (!was)
			break;
	}
	return 0;
}

int fs_mkdir_parent(int dirfd, const char *path, mode_t mode)
{
	size_t len = (size_t)(fs_basename(path) - path); /* with its slash */
	_cleanup_free_ char *parent = len > 1 ? xstrndup(path, len - 1) : NULL;

	return parent ? fs_mkdir_p(dirfd, parent, mode) : 0;
}

static int remove_below(int dirfd, const char *name);

static int empty_directory(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return close_fd(fd), -errno;
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		r = remove_below(dirfd(dir), entry->d_name);
	}
	if (r == 0 && errno)
		r = -errno;
	closedir(dir);
	return r;
}

static int open_directory(int dirfd, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, fd = openat(dirfd, name, flags);

	if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
		fd = openat(dirfd, name, flags);
	return fd;
}

static int remove_below(int dirfd, const char *name)
{
	struct stat st;
	int fd, r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM && errno != EACCES)
		return -errno;
	r = -errno;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return r;
	fd = open_directory(dirfd, name);
	if (fd < 0)
		return -errno;
	if (!(st.st_mode & S_IWUSR) || !(st.st_mode & S_IXUSR))
		(void)fchmod(fd, 0700);
	r = empty_directory(fd);
	if (r < 0)
		return r;
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int fs_remove_all(int dirfd, const char *path)
{
	return remove_below(dirfd, path);
}

void fs_normpath(struct buf *ret, const char *path)
{
	bool absolute = path[0] == '/';
	/* POSIX and Python keep exactly two leading slashes. */
	size_t root = absolute ? (path[1] == '/' && path[2] != '/' ? 2 : 1) : 0;

	buf_clear(ret);
	buf_add(ret, "//", root);
	while (*path) {
		size_t n = strcspn(path, "/"), start = ret->len;
		const char *last;

		if (n == 0 || (n == 1 && path[0] == '.')) {
			path += n + (path[n] == '/');
			continue;
		}
		last = memrchr(buf_text(ret) + root, '/', start - root);
		last = last ? last + 1 : buf_text(ret) + root;
		if (n == 2 && path[0] == '.' && path[1] == '.' && (absolute || start > 0) &&
		    !(start > root && str_eq(last, ".."))) {
			size_t cut = (size_t)(last - buf_text(ret));
			ret->len = cut > root ? cut - 1 : root;
			if (ret->data)
				ret->data[ret->len] = '\0';
		} else {
			if (start > root)
				buf_addc(ret, '/');
			buf_add(ret, path, n);
		}
		path += n + (path[n] == '/');
	}
	if (ret->len == 0)
		buf_addc(ret, '.');
}

const char *fs_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int fs_each_name(int dirfd, const char *path, int (*fn)(void *data, int dirfd, const char *name), void *data)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *item;
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close_fd(fd);
		return -ENOMEM;
	}
	while (r >= 0 && (item = readdir(dir)))
		if (item->d_name[0] != '.')
			r = fn(data, fd, item->d_name);
	closedir(dir);
	return r;
}

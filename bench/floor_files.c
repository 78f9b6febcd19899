/* floor_files SOURCE_DIR TARGET_DIR: the floor for filling a cache: two processes that do nothing but create in
 * TARGET_DIR the files that are in SOURCE_DIR, same names, same bytes (open, write, close; directories first).
 * Contents are read into memory before the clock starts.  Prints: files, bytes, microseconds. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"

struct file {
	char *path;
	struct buf text;
};

struct list {
	struct file *files;
	size_t count, cap;
	char **dirs;
	size_t dir_count, dir_cap;
	size_t total_bytes;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void collect(struct list *list, const char *top, const char *below)
{
	_cleanup_free_ char *where = xasprintf("%s/%s", top, below);
	DIR *dir = opendir(where);
	struct dirent *entry;

	if (!dir)
		die(where);
	list->dirs = util_grow(list->dirs, &list->dir_cap, list->dir_count + 1, sizeof(*list->dirs));
	list->dirs[list->dir_count++] = xstrdup(below);
	while ((entry = readdir(dir))) {
		char *path = xasprintf("%s/%s", below, entry->d_name);
		struct stat st;

		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..") ||
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			free(path);
		} else if (S_ISDIR(st.st_mode)) {
			collect(list, top, path);
			free(path);
		} else if (S_ISREG(st.st_mode)) {
			struct file *file;
			list->files = util_grow(list->files, &list->cap, list->count + 1, sizeof(*list->files));
			file = &list->files[list->count++];
			*file = (struct file){ .path = path };
			if (fs_read_file(&file->text, dirfd(dir), entry->d_name, SIZE_MAX / 4) < 0)
				die(path);
			list->total_bytes += file->text.len;
		} else {
			free(path);
		}
	}
	closedir(dir);
}

static void create(const struct list *list, int target, size_t from, size_t step)
{
	for (size_t i = from; i < list->count; i += step) {
		const struct file *file = &list->files[i];
		int fd = openat(target, file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

		if (fd < 0 || fs_write_all(fd, buf_text(&file->text), file->text.len) < 0 || close(fd) < 0)
			die(file->path);
	}
}

int main(int argc, char **argv)
{
	struct list list = { 0 };
	int64_t start_us;
	int target, status, bad = 0;

	if (argc != 3)
		return fprintf(stderr, "usage: floor_files SOURCE_DIR TARGET_DIR\n"), 2;
	collect(&list, argv[1], ".");
	if (fs_mkdir_p(AT_FDCWD, argv[2], 0777) < 0 || (target = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		die(argv[2]);
	start_us = util_now_us();
	for (size_t i = 1; i < list.dir_count; i++)
		if (mkdirat(target, list.dirs[i], 0777) < 0)
			die(list.dirs[i]);
	for (size_t i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid < 0)
			die("fork");
		if (pid == 0) {
			create(&list, target, i, 2);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		bad |= status;
	printf("%zu %zu %lld\n", list.count, list.total_bytes, (long long)(util_now_us() - start_us));
	return bad ? 1 : 0;
}

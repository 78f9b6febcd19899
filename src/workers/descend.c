/* workers/descend.c: everything below a process, from /proc.
 *
 * /proc/PID/stat of all processes gives pairs (pid, parent), in no order; the tree is walked from there.  A few
 * milliseconds on a busy machine: only for kills, stops and what a careless job left behind.  (/proc/PID/task/TID/children
 * would be direct, but not every kernel has it.)
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/workers_internal.h"

struct pair {
	pid_t pid, parent;
};

/* "PID (comm) S PPID ...": comm may hold anything, also ") ", so look for the last parenthesis. */
static bool parse_stat(const char *text, pid_t *ret_parent)
{
	const char *end = strrchr(text, ')');
	char state;
	int parent;

	if (!end || sscanf(end + 1, " %c %d", &state, &parent) != 2)
		return false;
	*ret_parent = parent;
	return true;
}

static bool read_parent(int proc_fd, const char *name, pid_t *ret_parent)
{
	char path[64], text[512];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%.20s/stat", name);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false; /* gone meanwhile */
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	return parse_stat(text, ret_parent);
}

static size_t read_all(struct pair **ret)
{
	DIR *proc = opendir("/proc");
	struct pair *pairs = NULL;
	size_t count = 0, cap = 0;
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		pid_t parent;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !read_parent(dirfd(proc), entry->d_name, &parent))
			continue;
		pairs = util_grow(pairs, &cap, count + 1, sizeof(*pairs));
		pairs[count++] = (struct pair){ (pid_t)strtol(entry->d_name, NULL, 10), parent };
	}
	if (proc)
		closedir(proc);
	*ret = pairs;
	return count;
}

static int by_parent(const void *a, const void *b)
{
	pid_t left = ((const struct pair *)a)->parent, right = ((const struct pair *)b)->parent;

	return (left > right) - (left < right);
}

/* Index of the first pair with this parent, in pairs sorted by parent. */
static size_t first_child(const struct pair *pairs, size_t count, pid_t parent)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pairs[middle].parent < parent)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t descend_find(pid_t root, pid_t **ret_pids)
{
	struct pair *pairs;
	size_t count = read_all(&pairs), found = 0, cap = 0;
	pid_t *pids = NULL;

	if (count > 0)
		qsort(pairs, count, sizeof(*pairs), by_parent);
	for (size_t next = 0;; next++) { /* breadth first; pids is the queue */
		pid_t parent = next == 0 ? root : pids[next - 1];

		for (size_t i = first_child(pairs, count, parent); i < count && pairs[i].parent == parent; i++) {
			pids = util_grow(pids, &cap, found + 1, sizeof(*pids));
			pids[found++] = pairs[i].pid;
		}
		if (next == found || found > count)
			break;
	}
	free(pairs);
	*ret_pids = pids;
	return found;
}

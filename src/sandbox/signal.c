/* Signals for everything inside a sandbox: the descendants of its bubblewrap, found through /proc. */
#include "sandbox/sandbox_internal.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct process {
	pid_t pid, parent;
	bool inside;
};

static bool read_parent(pid_t pid, struct process *ret)
{
	char path[40], text[512], *end = NULL;
	FILE *file;
	size_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	for (char *p = text; *p; p++) /* the name in parentheses may hold anything */
		if (*p == ')')
			end = p;
	ret->pid = pid;
	ret->inside = false;
	return end && sscanf(end + 1, " %*c %d", &ret->parent) == 1;
}

static size_t list_processes(struct process **ret)
{
	DIR *dir = opendir("/proc");
	size_t count = 0, cap = 0;
	struct dirent *entry;

	*ret = NULL;
	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0)
			continue;
		*ret = util_grow(*ret, &cap, count + 1, sizeof **ret);
		count += read_parent(pid, &(*ret)[count]);
	}
	if (dir)
		closedir(dir);
	return count;
}

/* One pass; returns how many processes got the signal. */
static size_t signal_descendants(pid_t root, int number)
{
	struct process *list;
	size_t count = list_processes(&list), reached = 0;
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < count; i++) {
			bool below = list[i].parent == root;

			for (size_t j = 0; j < count && !below && !list[i].inside; j++)
				below = list[j].inside && list[j].pid == list[i].parent;
			if (!below || list[i].inside)
				continue;
			list[i].inside = more = true;
			reached += kill(list[i].pid, number) == 0;
		}
	}
	free(list);
	return reached;
}

void sandbox_signal(struct sandbox *sandbox, int number)
{
	size_t before = 0, now;

	if (sandbox->pid <= 0)
		return;
	/* Processes born while we walked are found by walking again until there are no more of them. */
	for (int pass = 0; pass < 10; pass++) {
		now = signal_descendants(sandbox->pid, number);
		if (now == before)
			return;
		before = now;
	}
}

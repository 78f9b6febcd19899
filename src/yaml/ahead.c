/* Files that will be wanted soon, parsed by a second thread: see yaml_cache_expect in cache.h and base/ahead.h.  Its nodes
 * are in an arena of its own, which lives as long as the cache; a file costs 50 us or more to parse. */
#include "yaml/cache_internal.h"

#include <stdlib.h>

#include "base/ahead.h"

/* Fewer files are parsed before a thread has begun. */
enum { WORTH_A_THREAD = 32 };

struct expected {
	int dirfd;
	const char *path, *known_as, *name;
	uint32_t owner;
	struct ahead_file parsed; /* root is NULL if it cannot be parsed */
};

struct yaml_ahead {
	struct ahead *files;
	struct arena names; /* the caller's */
	struct arena nodes; /* the thread's, while it runs */
};

static void parse_file(void *data, void *item)
{
	struct yaml_ahead *ahead = data;
	struct expected *file = item;
	struct diag ignored = DIAG_INIT;

	if (fstatat(file->dirfd, file->path, &file->parsed.st, 0) < 0 || !S_ISREG(file->parsed.st.st_mode))
		return;
	clock_gettime(CLOCK_REALTIME, &file->parsed.asked);
	if (yaml_load_file(&ahead->nodes, file->dirfd, file->path, file->known_as, file->name, file->owner, &file->parsed.root,
			   &ignored) < 0)
		file->parsed.root = NULL; /* the caller will find out what is wrong with it */
	diag_release(&ignored);
}

struct yaml_ahead *yaml_ahead_new(void)
{
	struct yaml_ahead *ahead = xcalloc(1, sizeof(*ahead));

	ahead->files = ahead_new(parse_file, ahead, WORTH_A_THREAD);
	return ahead;
}

void yaml_ahead_expect(struct yaml_ahead *ahead, int dirfd, const char *path, const char *known_as, const char *name,
		       uint32_t owner)
{
	const char *key = arena_join(&ahead->names, name, "\n", known_as);
	struct expected *file;

	if (ahead_knows(ahead->files, key))
		return;
	file = ARENA_NEW(&ahead->names, struct expected);
	*file = (struct expected){ .dirfd = dirfd, .path = arena_strdup(&ahead->names, path), .owner = owner,
				   .known_as = arena_strdup(&ahead->names, known_as), .name = arena_strdup(&ahead->names, name) };
	ahead_expect(ahead->files, key, file);
}

void yaml_ahead_go(struct yaml_ahead *ahead)
{
	ahead_go(ahead->files);
}

bool yaml_ahead_take(struct yaml_ahead *ahead, const char *known_as, const char *name, uint32_t owner, struct ahead_file *ret)
{
	const struct expected *file = ahead_take(ahead->files, arena_join(&ahead->names, name, "\n", known_as));

	if (!file || file->owner != owner || !file->parsed.root)
		return false;
	*ret = file->parsed;
	return true;
}

void yaml_ahead_end(struct yaml_ahead *ahead)
{
	ahead_end(ahead->files);
}

void yaml_ahead_free(struct yaml_ahead *ahead)
{
	if (!ahead)
		return;
	ahead_free(ahead->files);
	arena_release(&ahead->names);
	arena_release(&ahead->nodes);
	free(ahead);
}

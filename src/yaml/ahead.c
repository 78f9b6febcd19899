/* Files that will be wanted soon, parsed by a second thread: see yaml_cache_expect in cache.h.
 *
 * The reader takes what was announced last, while the caller wants it in the order of announcement: they seldom want the
 * same file, and meet in the middle.  Its nodes are in an arena of its own, which lives as long as the cache.  All that
 * both touch is under one lock, held for a look-up at most; a file costs 50 us or more to parse.
 */
#include "yaml/cache_internal.h"

#include <pthread.h>
#include <stdlib.h>

/* Fewer files are parsed before a thread has begun. */
enum { WORTH_A_THREAD = 32 };

enum progress { WAITING, BUSY, READY, TAKEN };

struct yaml_ahead {
	pthread_t thread;
	bool running, ends;
	pthread_mutex_t lock; /* of all below but the arenas */
	pthread_cond_t changed;
	struct strmap index; /* name and path -> index of files */
	struct expected {
		int dirfd;
		const char *path, *known_as, *name;
		uint32_t owner;
		enum progress progress;
		struct ahead_file parsed; /* if READY; root is NULL if it cannot be parsed */
	} *files;
	size_t count, cap;
	uint32_t *stack;     /* what to parse: files that were WAITING when they were put here */
	size_t depth, stack_cap;
	struct arena names; /* the caller's */
	struct arena arena; /* the reader's, while it runs */
};

static const char *key_of(struct arena *arena, const char *known_as, const char *name)
{
	return arena_join(arena, name, "\n", known_as);
}

static void parse_file(struct arena *arena, const struct expected *file, struct ahead_file *ret)
{
	struct diag ignored = DIAG_INIT;

	*ret = (struct ahead_file){ 0 };
	if (fstatat(file->dirfd, file->path, &ret->st, 0) < 0 || !S_ISREG(ret->st.st_mode))
		return;
	clock_gettime(CLOCK_REALTIME, &ret->asked);
	if (yaml_load_file(arena, file->dirfd, file->path, file->known_as, file->name, file->owner, &ret->root, &ignored) < 0)
		ret->root = NULL; /* the caller will find out what is wrong with it */
	diag_release(&ignored);
}

static void *reader(void *data)
{
	struct yaml_ahead *ahead = data;

	pthread_mutex_lock(&ahead->lock);
	while (!ahead->ends) {
		struct expected file;
		uint32_t at;

		if (ahead->depth == 0) {
			pthread_cond_wait(&ahead->changed, &ahead->lock);
			continue;
		}
		at = ahead->stack[--ahead->depth];
		if (ahead->files[at].progress != WAITING)
			continue;
		ahead->files[at].progress = BUSY;
		file = ahead->files[at];
		pthread_mutex_unlock(&ahead->lock);
		parse_file(&ahead->arena, &file, &file.parsed);
		pthread_mutex_lock(&ahead->lock);
		ahead->files[at].parsed = file.parsed;
		ahead->files[at].progress = READY;
		pthread_cond_broadcast(&ahead->changed);
	}
	pthread_mutex_unlock(&ahead->lock);
	return NULL;
}

struct yaml_ahead *ahead_new(void)
{
	struct yaml_ahead *ahead = xcalloc(1, sizeof(*ahead));

	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->changed, NULL);
	return ahead;
}

void ahead_expect(struct yaml_ahead *ahead, int dirfd, const char *path, const char *known_as, const char *name,
		  uint32_t owner)
{
	struct strmap_slot *slot;
	const char *key;

	pthread_mutex_lock(&ahead->lock);
	key = key_of(&ahead->names, known_as, name);
	slot = strmap_slot(&ahead->index, key, strlen(key));
	if (slot->value == STRMAP_NONE) {
		slot->value = (uint32_t)ahead->count;
		ahead->files = util_grow(ahead->files, &ahead->cap, ahead->count + 1, sizeof(*ahead->files));
		ahead->files[ahead->count++] = (struct expected){
			.dirfd = dirfd, .path = arena_strdup(&ahead->names, path), .owner = owner,
			.known_as = arena_strdup(&ahead->names, known_as), .name = arena_strdup(&ahead->names, name) };
		ahead->stack = util_grow(ahead->stack, &ahead->stack_cap, ahead->depth + 1, sizeof(*ahead->stack));
		ahead->stack[ahead->depth++] = slot->value;
	}
	pthread_mutex_unlock(&ahead->lock);
}

void ahead_go(struct yaml_ahead *ahead)
{
	if (ahead->running) {
		pthread_cond_broadcast(&ahead->changed);
	} else if (ahead->depth >= WORTH_A_THREAD) {
		ahead->ends = false;
		ahead->running = pthread_create(&ahead->thread, NULL, reader, ahead) == 0;
	}
}

bool ahead_take(struct yaml_ahead *ahead, const char *known_as, const char *name, uint32_t owner, struct ahead_file *ret)
{
	struct expected *file;
	const char *key;
	uint32_t at;
	bool taken = false;

	pthread_mutex_lock(&ahead->lock);
	key = key_of(&ahead->names, known_as, name);
	at = strmap_get(&ahead->index, key, strlen(key));
	if (at != STRMAP_NONE && ahead->files[at].owner == owner) {
		while (ahead->files[at].progress == BUSY)
			pthread_cond_wait(&ahead->changed, &ahead->lock);
		file = &ahead->files[at];
		taken = file->progress == READY && file->parsed.root;
		*ret = file->parsed;
		file->progress = TAKEN;
	}
	pthread_mutex_unlock(&ahead->lock);
	return taken;
}

void ahead_end(struct yaml_ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	ahead->ends = true;
	ahead->depth = 0;
	pthread_cond_broadcast(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	if (ahead->running)
		pthread_join(ahead->thread, NULL);
	ahead->running = false;
}

void ahead_free(struct yaml_ahead *ahead)
{
	if (!ahead)
		return;
	ahead_end(ahead);
	pthread_cond_destroy(&ahead->changed);
	pthread_mutex_destroy(&ahead->lock);
	strmap_release(&ahead->index);
	free(ahead->files);
	free(ahead->stack);
	arena_release(&ahead->names);
	arena_release(&ahead->arena);
	free(ahead);
}

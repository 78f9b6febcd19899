/* Work begun by a second thread: see ahead.h.  All that both touch is under one lock, held for a look-up at most; it pays
 * for items that take tens of microseconds or more. */
#include "base/ahead.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"

enum progress { WAITING, BUSY, DONE, TAKEN };

struct expected {
	void *item;
	enum progress progress;
};

struct ahead {
	ahead_work *work;
	void *data;
	unsigned worth_a_thread;
	pthread_t thread;
	bool running, ends;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	struct strmap index; /* key -> index of expected */
	struct arena keys;
	struct expected *expected;
	size_t count, cap;
	uint32_t *stack; /* what to work on: items that were WAITING when they were put here */
	size_t depth, stack_cap;
};

static void *worker(void *data)
{
	struct ahead *ahead = data;

	pthread_mutex_lock(&ahead->lock);
	while (!ahead->ends) {
		void *item;
		uint32_t at;

		if (ahead->depth == 0) {
			pthread_cond_wait(&ahead->changed, &ahead->lock);
			continue;
		}
		at = ahead->stack[--ahead->depth];
		if (ahead->expected[at].progress != WAITING)
			continue;
		ahead->expected[at].progress = BUSY;
		item = ahead->expected[at].item;
		pthread_mutex_unlock(&ahead->lock);
		ahead->work(ahead->data, item);
		pthread_mutex_lock(&ahead->lock);
		ahead->expected[at].progress = DONE;
		pthread_cond_broadcast(&ahead->changed);
	}
	pthread_mutex_unlock(&ahead->lock);
	return NULL;
}

struct ahead *ahead_new(ahead_work *work, void *data, unsigned worth_a_thread)
{
	struct ahead *ahead = xcalloc(1, sizeof(*ahead));

	ahead->work = work;
	ahead->data = data;
	ahead->worth_a_thread = worth_a_thread;
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->changed, NULL);
	return ahead;
}

bool ahead_knows(struct ahead *ahead, const char *key)
{
	/* only the caller adds to the index */
	return strmap_get(&ahead->index, key, strlen(key)) != STRMAP_NONE;
}

void ahead_expect(struct ahead *ahead, const char *key, void *item)
{
	size_t len = strlen(key);

	assert(!ahead_knows(ahead, key));
	pthread_mutex_lock(&ahead->lock);
	strmap_put(&ahead->index, arena_strndup(&ahead->keys, key, len), len, (uint32_t)ahead->count);
	ahead->stack = util_grow(ahead->stack, &ahead->stack_cap, ahead->depth + 1, sizeof(*ahead->stack));
	ahead->stack[ahead->depth++] = (uint32_t)ahead->count;
	ahead->expected = util_grow(ahead->expected, &ahead->cap, ahead->count + 1, sizeof(*ahead->expected));
	ahead->expected[ahead->count++] = (struct expected){ item, WAITING };
	pthread_mutex_unlock(&ahead->lock);
}

void ahead_go(struct ahead *ahead)
{
	if (ahead->running) {
		pthread_cond_broadcast(&ahead->changed);
	} else if (ahead->depth >= ahead->worth_a_thread) {
		ahead->ends = false;
		ahead->running = pthread_create(&ahead->thread, NULL, worker, ahead) == 0;
	}
}

void *ahead_take(struct ahead *ahead, const char *key)
{
	uint32_t at = strmap_get(&ahead->index, key, strlen(key));
	void *item = NULL;

	if (at == STRMAP_NONE)
		return NULL;
	pthread_mutex_lock(&ahead->lock);
	while (ahead->expected[at].progress == BUSY)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	if (ahead->expected[at].progress == DONE)
		item = ahead->expected[at].item;
	ahead->expected[at].progress = TAKEN;
	pthread_mutex_unlock(&ahead->lock);
	return item;
}

void ahead_end(struct ahead *ahead)
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

void ahead_free(struct ahead *ahead)
{
	if (!ahead)
		return;
	ahead_end(ahead);
	pthread_cond_destroy(&ahead->changed);
	pthread_mutex_destroy(&ahead->lock);
	strmap_release(&ahead->index);
	arena_release(&ahead->keys);
	free(ahead->expected);
	free(ahead->stack);
	free(ahead);
}

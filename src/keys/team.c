/* Keys in two threads: see keys.h.
 *
 * Both take the next element of the order; its body needs nobody, and what it depends on was taken before, so waiting
 * for that cannot go round in a circle: the earliest element in work waits for none.  While the graph is still being
 * made only the helper takes, and may be ahead of what was fed; then it sleeps for a moment and looks again, because
 * being woken would cost the other thread a system call for every element.
 */
#include "keys/keys_internal.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

/* Below this a second thread costs more than it brings. */
enum { WORTH_A_THREAD = 256, SPINS = 200, NAP_NS = 50000 };

enum state { FEEDING, ALL_FED, STOPPED };

struct keys_team {
	struct keys *keys;
	struct keys_of_element *all;
	atomic_uint next;  /* index into the order */
	atomic_int state;  /* enum state */
	atomic_bool *done; /* by element */
	uint32_t settled;  /* elements of the order, from its beginning, that were seen to be done */
	pthread_t thread;
};

/* The next element to work on; false if there is none. */
static bool take(struct keys_team *team, uint32_t *ret_id)
{
	static const struct timespec nap = { .tv_nsec = NAP_NS };
	const struct keys *keys = team->keys;
	uint32_t at = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed);

	for (unsigned tries = 0; at < keys->count; tries++) {
		int state = atomic_load_explicit(&team->state, memory_order_acquire);

		if (state == STOPPED)
			return false;
		if (at < atomic_load_explicit(&keys->fed, memory_order_acquire)) {
			*ret_id = keys->order[at];
			return true;
		}
		assert(state == FEEDING);
		if (tries > SPINS)
			(void)nanosleep(&nap, NULL);
	}
	return false;
}

static void wait_for_deps(struct keys_team *team, uint32_t id)
{
	const struct graph_element *element = &team->keys->graph->elements[id];

	for (uint32_t i = 0; i < element->dep_count; i++) {
		atomic_bool *done = &team->done[element->deps[i].element];

		for (unsigned tries = 0; !atomic_load_explicit(done, memory_order_acquire); tries++)
			if (tries > SPINS)
				sched_yield();
	}
}

static void work(struct keys_team *team, struct keys_scratch *scratch)
{
	const struct keys *keys = team->keys;
	uint32_t id;

	while (take(team, &id)) {
		bool resolved;

		/* An element that was fed after nodes were forgotten cannot be seen without their being forgotten. */
		keys_cache_refresh(&scratch->cache, atomic_load_explicit(&keys->age, memory_order_relaxed));
		resolved = keys_render_body(keys, scratch, NULL, id);

		wait_for_deps(team, id);
		if (resolved)
			keys_hash_all(keys, scratch, NULL, id, team->all);
		atomic_store_explicit(&team->done[id], true, memory_order_release);
	}
}

static void *helper(void *data)
{
	struct keys_team *team = data;
	struct keys_scratch scratch;

	keys_scratch_init(&scratch, team->keys->count);
	work(team, &scratch);
	keys_scratch_release(&scratch);
	return NULL;
}

bool keys_start(struct keys *keys, struct keys_of_element *all)
{
	struct keys_team *team;

	assert(!keys->team);
	if (keys->count < WORTH_A_THREAD)
		return false;
	team = xcalloc(1, sizeof(*team));
	team->keys = keys;
	team->all = all;
	team->done = xcalloc(keys->count, sizeof(*team->done));
	keys->have_tails = true;
	if (pthread_create(&team->thread, NULL, helper, team) == 0) {
		keys->team = team;
		return true;
	}
	keys->have_tails = false;
	free(team->done);
	free(team);
	return false;
}

static void join(struct keys *keys)
{
	struct keys_team *team = keys->team;

	pthread_join(team->thread, NULL);
	keys->team = NULL;
	/* From now on the caller may change keys one by one. */
	keys->have_tails = false;
	free(team->done);
	free(team);
}

uint32_t keys_settled(struct keys *keys)
{
	struct keys_team *team = keys->team;
	uint32_t fed = atomic_load_explicit(&keys->fed, memory_order_relaxed);

	while (team->settled < fed && atomic_load_explicit(&team->done[keys->order[team->settled]], memory_order_acquire))
		team->settled++;
	return team->settled;
}

void keys_forget(struct keys *keys)
{
	atomic_fetch_add_explicit(&keys->age, 1, memory_order_relaxed);
}

void keys_finish(struct keys *keys)
{
	assert(keys->team && atomic_load(&keys->fed) == keys->count);
	atomic_store_explicit(&keys->team->state, ALL_FED, memory_order_release);
	work(keys->team, &keys->scratch);
	join(keys);
}

void keys_team_stop(struct keys *keys)
{
	if (!keys->team)
		return;
	atomic_store_explicit(&keys->team->state, STOPPED, memory_order_release);
	join(keys);
}

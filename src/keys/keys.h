/* keys/keys.h: graph + source keys + dependency keys -> cache keys.
 *
 * Pure: no files, no clock, no network.  Format: BuildStream 2's (element.py _calculate_cache_key, _cachekey.py;
 * compat.md 2): SHA-256 over a JSON dictionary with sorted members.  Three strengths:
 *   weak    names of the build dependencies' closure, with their weak keys only where this element is strict about them
 *   strict  the dependencies' strict keys
 *   strong  the dependencies' strong keys; equal to strict in a strict build plan, else it may come from a cached
 *           artifact that was found by its weak key
 *
 * keys are computed in dependency order, with scratch memory of its own; nothing is kept per element but
 * the keys and its name as JSON, because a million elements must fit.  Any process; a struct keys belongs to one thread
 * at a time, several of them may read one graph.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "base/buf.h"
#include "base/digest.h"
#include "graph/graph.h"

/* Keys of one element, by element id.  All zero: not known (no ref, or a dependency's key is unknown). */
struct keys_of_element {
	struct key weak, strict, strong;
};

/* What may have changed since loading (refs found by tracking) or is known from elsewhere (cached artifacts). */
struct keys_view {
	void *data; /* handed to the functions */
	/* Unique key of a source as JSON text, NULL while there is no ref.  NULL function: the graph's key_json. */
	const char *(*source_key)(void *data, uint32_t element, uint32_t source, uint32_t *ret_len);
	/* Non-strict plans only: true and the strong key if an artifact is cached under the strict or the weak key.
	 * NULL function: nothing is cached. */
	bool (*cached)(void *data, uint32_t element, const struct keys_of_element *keys, struct key *ret_strong);
	bool non_strict; /* strong keys are computed apart; false: strong = strict */
};

enum keys_strength { KEYS_WEAK, KEYS_STRICT, KEYS_STRONG };

struct keys;
/* Scratch for computing keys of this graph, which must stay as it is until keys_free.  Never NULL. */
struct keys *keys_new(const struct graph *graph);
void keys_free(struct keys *keys);

/* The same for a graph whose elements are numbered but not made yet, so that keys are computed beside loading.  Names and
 * fatal warnings of its projects must be there; most_deps: of all elements together.  Then
 *   keys_start   starts a thread that computes keys of what is fed into all (zeroed, one for each element, untouched by
 *                others until the end); false if it does not pay, and then nobody need feed
 *   keys_feed    element `id` is complete and stays as it is; its dependencies were fed before
 *   keys_finish  after the last element was fed: the thread has ended and all is filled on return
 *   keys_settled so many of those fed, counted from the first, have their keys: what they consist of is not read again,
 *                except for names and dependencies
 *   keys_forget  what settled elements consisted of is about to be overwritten; their nodes may come back as others
 * In between, graph->elements may not move; keys_free gives up.  The thread reads elements that were fed, nothing else. */
struct keys *keys_begin(const struct graph *graph, size_t most_deps);
bool keys_start(struct keys *keys, struct keys_of_element *all);
void keys_feed(struct keys *keys, uint32_t id);
uint32_t keys_settled(struct keys *keys);
void keys_forget(struct keys *keys);
void keys_finish(struct keys *keys);

/* Keys of every element, dependencies first.  all has graph->element_count entries and is overwritten.  view may be
 * NULL: the graph as loaded, a strict plan; then, in a large graph, a second thread helps, which has ended on return. */
void keys_all(struct keys *keys, const struct keys_view *view, struct keys_of_element *all);
/* Keys of one element from those of its build closure, which are in all already; for what changed later. */
void keys_one(struct keys *keys, const struct keys_view *view, uint32_t element, struct keys_of_element *all);

/* The whole dictionary behind a key, as it is hashed.  False (and nothing added) if the key is not known. */
bool keys_text(struct keys *keys, const struct keys_view *view, uint32_t element, enum keys_strength strength,
	       const struct keys_of_element *all, struct buf *out);

/* Key of one source in the source cache (source_protos/<kind>/<key>): hash of its unique key. */
void keys_source(struct key *ret, const char *key_json, size_t len_bytes);
/* Key of an element's sources together (elementsources/<key>).  False if a source has no ref. */
bool keys_element_sources(struct keys *keys, const struct keys_view *view, uint32_t element, struct key *ret);

#endif

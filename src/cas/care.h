/* cas/care.h: looking at all objects of a store at once, to count, to check and to remove.
 *
 * Two Millraces, or one and a bst, may be at work on the same store meanwhile.  What makes removing safe:
 *
 *  - whoever uses an object touches it (or finds that it was touched lately), and each live session's marker says since
 *    when what was touched is its own: nothing touched since the earliest of these times is removed (care_since);
 *  - the peer leaves no marker, but its daemon runs while it works: a daemon of this cache counts as a live session;
 *  - an object is moved aside, looked at once more, and put back if it was touched between;
 *  - records go before the objects that only they name, so a record that is there is whole, whenever we are killed;
 *  - one expiry at a time (care_lock).
 *
 * A vanished object never means more than "not cached".  Looking at objects through here touches nothing.
 */
#ifndef CAS_CARE_H
#define CAS_CARE_H

#include "cas/cas.h"

struct care_object {
	uint8_t hash[DIGEST_BYTES];
	int64_t size_bytes, used_ns;
	uint32_t seen, seen_as_directory; /* the walk that met it last: private */
	uint32_t owner;                   /* for the caller: 0 at first */
	bool kept;
};

struct care_census {
	struct care_object *objects;
	uint32_t count;
	int64_t bytes; /* of all */
};

/* Waits for other expiries of this cache to end.  A descriptor to close afterwards, or -errno. */
int care_lock(struct cas *cas);
/* Since when what was used is in use: the earliest time of all live sessions, or now if there is none.  Nanoseconds. */
int64_t care_since(struct cas *cas);
/* Is a daemon of the peer at work on this cache? */
bool care_peer_lives(const struct cas *cas);

/* All objects as they are now.  check (may be NULL) is called now and then; negative: give up. */
int care_census_new(struct care_census **ret, struct cas *cas, int (*check)(void *data), void *data);
void care_census_free(struct care_census *census);
struct care_object *care_census_find(struct care_census *census, const struct digest *digest);

/* Calls visit once for each object of what is walked until care_walk_begin is called again: the one of the digest, or with
 * is_directory all below it too.  Returns how many were missing, directories that cannot be read included. */
void care_walk_begin(struct care_census *census);
uint64_t care_walk(struct care_census *census, const struct digest *digest, bool is_directory,
		   void (*visit)(void *data, struct care_object *object), void *data);

/* Removes each object that is not kept and was not used since then.  Returns how many, *bytes what they took.  With pretend
 * nothing is removed. */
uint64_t care_sweep(struct care_census *census, int64_t since_ns, bool pretend, int64_t *bytes);
/* Reads and hashes every object; those that are not what their name says are removed and forgotten.  Returns how many, or
 * <0 (check). */
int64_t care_verify(struct care_census *census);
/* The peer's daemon trusts its own count in cas/disk_usage: where it is not at work, that file is removed, so that it will
 * count again. */
void care_forget_peer_count(struct cas *cas);

#endif

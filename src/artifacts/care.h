/* artifacts/care.h: which artifacts and sources are kept when the cache is full, how much each takes, and whether they are
 * whole.
 *
 * An item is what one record says, under all names it has (an artifact's strong and weak key, say); it was used when any
 * of them was used last.  Expiry keeps what is in use, then items from the one used last backwards while all that is kept
 * fits, and lets the rest go: first the names, then the objects that nothing names any more.  See cas/care.h for what makes that safe
 * beside other sessions.
 */
#ifndef ARTIFACTS_CARE_H
#define ARTIFACTS_CARE_H

#include "artifacts/artifacts.h"
#include "cas/care.h"

struct care_root {
	struct digest digest;
	bool is_directory, optional; /* optional: the item is of use without it */
};

struct care_item {
	const char **names; /* paths below cachedir */
	uint32_t name_count;
	size_t name_cap;
	bool is_artifact;   /* else sources */
	bool damaged;       /* the record cannot be read */
	bool whole;         /* after care_measure: all that is not optional is there */
	bool in_use;        /* after care_choose */
	bool goes;
	int64_t used_ns;
	uint32_t group;     /* for the caller: with which others it is measured, 0 .. */
	struct care_root *roots;
	uint32_t root_count;
};

/* The items of a cache, the one used last first. */
struct care_list {
	struct care_item *items;
	uint32_t count;
	size_t cap;
	int64_t unnamed_bytes; /* after care_measure: of objects that no item names */
	uint64_t unnamed;
	struct arena arena;
};

/* Reads all records, touching none.  0 or -errno. */
int care_list_init(struct care_list *list, struct cas *cas);
void care_list_release(struct care_list *list);
/* What the items of each group (there are group_count) take together: size_bytes in all, own_bytes what no other group names;
 * and whether each item is whole.  Arrays by group, zeroed. */
struct care_size {
	int64_t size_bytes, own_bytes;
};
void care_measure(struct care_list *list, struct care_census *census, struct care_size *sizes, uint32_t group_count);
/* Decides what goes so that no more than target_bytes of objects stay, if that can be done with what was not used since
 * since_ns; marks the objects that stay.  What is not whole goes in any case, unless it is in use. */
void care_choose(struct care_list *list, struct care_census *census, int64_t since_ns, int64_t target_bytes);
/* Removes the names of what goes.  Returns how many items those were. */
uint32_t care_forget(struct care_list *list, struct cas *cas);

struct care_result {
	uint32_t items, kept_items; /* gone and left */
	uint64_t objects, kept_objects;
	int64_t bytes, kept_bytes;  /* of objects */
};
/* Chooses and removes, by a census and what care_since said before it was taken (so that what came in meanwhile is in use).
 * To be called under care_lock, unless pretend is set: then nothing is removed.  0 or -errno. */
int care_expire(struct cas *cas, struct care_census *census, int64_t since_ns, int64_t target_bytes, bool pretend,
		struct care_result *ret);

#endif

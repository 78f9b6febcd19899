/* base/map.h: string -> 32-bit number, and interned strings.
 *
 * Open addressing, insert-only (nothing here ever needs removal but strmap_clear).  Keys are not copied: the caller
 * keeps them alive (usually in an arena).  Not thread-safe while being written.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/arena.h"

struct strmap_slot {
	const char *key;
	uint32_t len, hash, value;
};

struct strmap {
	struct strmap_slot *slots; /* private */
	uint32_t cap, count;
};
#define STRMAP_INIT { 0 }
#define STRMAP_NONE UINT32_MAX

/* The value of key (len bytes), or STRMAP_NONE. */
uint32_t strmap_get(const struct strmap *map, const char *key, size_t len);
/* Sets key to value (not STRMAP_NONE); returns the former value or STRMAP_NONE. */
uint32_t strmap_put(struct strmap *map, const char *key, size_t len, uint32_t value);
/* The slot of key, made with value STRMAP_NONE if new; valid until the next put. */
struct strmap_slot *strmap_slot(struct strmap *map, const char *key, size_t len);
void strmap_clear(struct strmap *map);
void strmap_release(struct strmap *map);
uint32_t strmap_hash(const char *key, size_t len);

/* Interned strings: equal text, equal pointer. */
struct intern {
	struct strmap map;
	const char **texts; /* by number */
	size_t cap;
	struct arena *arena; /* where texts are copied; not owned */
};
void intern_init(struct intern *intern, struct arena *arena);
const char *intern_text(struct intern *intern, const char *text, size_t len);
void intern_release(struct intern *intern);

#endif

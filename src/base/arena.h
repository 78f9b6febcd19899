/* base/arena.h: memory that lives and dies together (a loaded project, one job).
 *
 * Blocks are never moved, so pointers into an arena stay valid until arena_reset or arena_release.
 * Not thread-safe: one arena, one thread.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/util.h"

struct arena_block;

struct arena {
	struct arena_block *head; /* newest block; private */
	char *next, *end;         /* free part of head; private */
	size_t total_bytes;       /* handed out so far */
	bool shown;               /* arena_each_block: blocks may be protected, and are not reused; private */
};
#define ARENA_INIT { 0 }

/* size_bytes of zeroed memory, aligned for any type.  Never NULL. */
void *arena_alloc(struct arena *arena, size_t size_bytes);
/* The same, not zeroed and not aligned: for text. */
char *arena_bytes(struct arena *arena, size_t size_bytes);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t len_bytes);
/* The texts a, b and c (not NULL) in one: for what is made too often for arena_printf. */
char *arena_join(struct arena *arena, const char *a, const char *b, const char *c);
char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF_LIKE(2, 3);
void *arena_memdup(struct arena *arena, const void *data, size_t size_bytes);
#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc_array((arena), (count), sizeof(type)))
void *arena_alloc_array(struct arena *arena, size_t count, size_t size_bytes);

/* Makes a huge page (2 MB) the arena's first block, so that resets keep that much.  The arena must be empty. */
void arena_reserve(struct arena *arena);
/* Does p point into the arena? */
bool arena_owns(const struct arena *arena, const void *p);

/* Forgets everything but keeps one block for reuse (a worker between jobs). */
void arena_reset(struct arena *arena);
void arena_release(struct arena *arena);

/* Calls fn(start, size_bytes, data) for each block: lets the session make a loaded graph read-only (mprotect).
 * Blocks start at page boundaries and are whole pages. */
void arena_each_block(struct arena *arena, void (*fn)(void *start, size_t size_bytes, void *data), void *data);

#endif

/* base/util.h: the few words every room uses.
 *
 * Lifecycle words (see docs/HACKING.md): _init/_release for embedded structs, _new/_free for heap ones; NULL is
 * accepted by every _free; a zeroed struct is a valid empty one.  Running out of memory aborts: a worker's death is
 * handled by its parent, and sizes that come from outside are bounded before they get here.
 * Any process, any thread.
 */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CLEANUP(f) __attribute__((cleanup(f)))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define NORETURN __attribute__((noreturn))
#define NOINLINE __attribute__((noinline)) /* what it has on its stack stays out of its callers' */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define NEVER_NULL __attribute__((returns_nonnull))

/* Allocation that cannot fail: aborts with a message on stderr when memory is out. */
NEVER_NULL void *xmalloc(size_t size_bytes);
NEVER_NULL void *xcalloc(size_t count, size_t size_bytes);
NEVER_NULL void *xrealloc(void *old, size_t size_bytes);
NEVER_NULL void *xreallocarray(void *old, size_t count, size_t size_bytes);
NEVER_NULL char *xstrdup(const char *text);
NEVER_NULL char *xstrndup(const char *text, size_t len_bytes);
NEVER_NULL char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Grows *array (elements of size_bytes) so that it holds at least want elements; *cap is its capacity in elements. */
void *util_grow(void *array, size_t *cap, size_t want, size_t size_bytes);

/* Our own fault, not the user's: prints to stderr and aborts. */
void bug(const char *fmt, ...) PRINTF_LIKE(1, 2) NORETURN;

/* Cleanup attributes: `_cleanup_free_ char *x = ...;` */
void util_free_p(void *p);
void util_close_p(int *fd);
#define _cleanup_free_ CLEANUP(util_free_p)
#define _cleanup_close_ CLEANUP(util_close_p)

/* Moves a value out of a cleanup variable. */
static inline void *util_steal_p(void **p)
{
	void *value = *p;
	*p = NULL;
	return value;
}
#define steal_pointer(p) ((__typeof__(*(p)))util_steal_p((void **)(p)))
static inline int steal_fd(int *fd)
{
	int value = *fd;
	*fd = -1;
	return value;
}

/* Closes fd if it is not negative, keeps errno, returns -1. */
int close_fd(int fd);

static inline bool str_eq(const char *a, const char *b)
{
	return a == b || (a && b && __builtin_strcmp(a, b) == 0);
}
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);

/* Monotonic clock in microseconds.  Not for rooms that must be pure (sched, keys, yaml). */
int64_t util_now_us(void);

#endif

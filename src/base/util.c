/* Allocation, strings and time: see util.h. */
#include "base/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

void bug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("millrace: BUG: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}

static void *check(void *p, size_t size_bytes)
{
	if (!p)
		bug("out of memory (%zu bytes)", size_bytes);
	return p;
}

void *xmalloc(size_t size_bytes)
{
	return check(malloc(size_bytes ? size_bytes : 1), size_bytes);
}

void *xcalloc(size_t count, size_t size_bytes)
{
	enum { HUGE_BYTES = 2 << 20 };
	char *p = check(calloc(count ? count : 1, size_bytes ? size_bytes : 1), count * size_bytes);
	uintptr_t from = ((uintptr_t)p + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1);

	/* Large tables are filled in no order: a fault for each small page would cost more than filling them does. */
	if (count * size_bytes >= 2 * (size_t)HUGE_BYTES)
		(void)madvise((void *)from, ((uintptr_t)p + count * size_bytes - from) & ~(size_t)(HUGE_BYTES - 1),
			      MADV_HUGEPAGE);
	return p;
}

void *xrealloc(void *old, size_t size_bytes)
{
	return check(realloc(old, size_bytes ? size_bytes : 1), size_bytes);
}

void *xreallocarray(void *old, size_t count, size_t size_bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, size_bytes, &total))
		bug("allocation of %zu x %zu bytes", count, size_bytes);
	return xrealloc(old, total);
}

char *xstrndup(const char *text, size_t len_bytes)
{
	char *copy = xmalloc(len_bytes + 1);

	memcpy(copy, text, len_bytes);
	copy[len_bytes] = '\0';
	return copy;
}

char *xstrdup(const char *text)
{
	return xstrndup(text, strlen(text));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *out = NULL;

	va_start(ap, fmt);
	if (vasprintf(&out, fmt, ap) < 0)
		bug("out of memory in xasprintf");
	va_end(ap);
	return out;
}

void *util_grow(void *array, size_t *cap, size_t want, size_t size_bytes)
{
	size_t next = *cap;

	if (want <= *cap)
		return array;
	while (next < want)
		next = next < 8 ? 8 : next + next / 2;
	array = xreallocarray(array, next, size_bytes);
	*cap = next;
	return array;
}

void util_free_p(void *p)
{
	free(*(void **)p);
}

void util_close_p(int *fd)
{
	close_fd(*fd);
}

int close_fd(int fd)
{
	int saved = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return -1;
}

bool str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
	size_t n = strlen(text), m = strlen(suffix);

	return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

int64_t util_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

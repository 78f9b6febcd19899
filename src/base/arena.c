/* Page-aligned blocks, bump allocation: see arena.h. */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct arena_block {
	struct arena_block *prev;
	size_t size_bytes; /* of the mapping, this header included */
};

enum { HEADER_BYTES = 64, FIRST_BYTES = 64 << 10, MOST_BYTES = 2 << 20, PAGE_BYTES = 4096 };
static_assert(sizeof(struct arena_block) <= HEADER_BYTES, "header fits");

/* One first block that was given back, for the next short-lived arena of this thread: a small job has four of them. */
static _Thread_local struct arena_block *spare;

static struct arena_block *take_spare(void)
{
	struct arena_block *block = spare;

	spare = NULL;
	return block;
}

/* A block of one huge page, where the kernel has them: a quarter of what 512 small ones cost to make, and to fork. */
static struct arena_block *map_huge_block(void)
{
	enum { SIZE = MOST_BYTES };
	char *map = mmap(NULL, 2 * (size_t)SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before = (size_t)-(uintptr_t)map % SIZE;

	if (map == MAP_FAILED)
		bug("out of memory (arena block of %d bytes)", SIZE);
	if (before)
		munmap(map, before);
	munmap(map + before + SIZE, SIZE - before);
	(void)madvise(map + before, SIZE, MADV_HUGEPAGE);
	(void)madvise(map + before, SIZE, MADV_POPULATE_WRITE); /* if they are small after all, at once */
	((struct arena_block *)(map + before))->size_bytes = SIZE;
	return (struct arena_block *)(map + before);
}

static struct arena_block *map_block(size_t size)
{
	/* Populated at once: a fault for every page would cost five times as much. */
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (size < (size_t)MOST_BYTES ? MAP_POPULATE : 0);
	struct arena_block *block;

	if (size == (size_t)MOST_BYTES)
		return map_huge_block();
	block = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (block == MAP_FAILED)
		bug("out of memory (arena block of %zu bytes)", size);
	block->size_bytes = size;
	return block;
}

static void add_block(struct arena *arena, size_t need_bytes)
{
	size_t size = arena->head ? MIN(arena->head->size_bytes * 2, (size_t)MOST_BYTES) : (size_t)FIRST_BYTES;
	struct arena_block *block;

	need_bytes += HEADER_BYTES;
	if (size < need_bytes)
		size = (need_bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
	block = size == (size_t)FIRST_BYTES && spare ? take_spare() : map_block(size);
	block->prev = arena->head;
	arena->head = block;
	arena->next = (char *)block + HEADER_BYTES;
	arena->end = (char *)block + size;
}

static char *take(struct arena *arena, size_t size_bytes, size_t align)
{
	uintptr_t at = ((uintptr_t)arena->next + align - 1) & ~(uintptr_t)(align - 1);

	if (!arena->head || at + size_bytes > (uintptr_t)arena->end) {
		if (size_bytes > SIZE_MAX / 2)
			bug("arena allocation of %zu bytes", size_bytes);
		add_block(arena, size_bytes);
		at = (uintptr_t)arena->next;
	}
	arena->next = (char *)at + size_bytes;
	arena->total_bytes += size_bytes;
	return (char *)at;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
	/* Fresh pages are zero; only a reset block needs clearing, and clearing always is cheap. */
	return memset(take(arena, size_bytes, alignof(max_align_t)), 0, size_bytes);
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size_bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, size_bytes, &total))
		bug("arena array of %zu x %zu bytes", count, size_bytes);
	return arena_alloc(arena, total);
}

char *arena_bytes(struct arena *arena, size_t size_bytes)
{
	return take(arena, size_bytes, 1);
}

void *arena_memdup(struct arena *arena, const void *data, size_t size_bytes)
{
	char *copy = take(arena, size_bytes, alignof(max_align_t));

	return size_bytes ? memcpy(copy, data, size_bytes) : copy;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len_bytes)
{
	char *copy = arena_bytes(arena, len_bytes + 1);

	if (len_bytes)
		memcpy(copy, text, len_bytes);
	copy[len_bytes] = '\0';
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

char *arena_join(struct arena *arena, const char *a, const char *b, const char *c)
{
	size_t a_len = strlen(a), b_len = strlen(b), c_len = strlen(c);
	char *text = arena_bytes(arena, a_len + b_len + c_len + 1);

	memcpy(text, a, a_len);
	memcpy(text + a_len, b, b_len);
	memcpy(text + a_len + b_len, c, c_len + 1);
	return text;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
	va_list ap, again;
	int len;
	char *out;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(len >= 0);
	out = arena_bytes(arena, (size_t)len + 1);
	vsnprintf(out, (size_t)len + 1, fmt, again);
	va_end(again);
	return out;
}

static void free_block(struct arena_block *block, bool shown)
{
	if (!shown && !spare && block->size_bytes == (size_t)FIRST_BYTES)
		spare = block;
	else
		munmap(block, block->size_bytes);
}

void arena_reserve(struct arena *arena)
{
	assert(!arena->head);
	add_block(arena, MOST_BYTES - HEADER_BYTES);
}

bool arena_owns(const struct arena *arena, const void *p)
{
	uintptr_t at = (uintptr_t)p;

	for (const struct arena_block *block = arena->head; block; block = block->prev)
		if (at >= (uintptr_t)block && at - (uintptr_t)block < block->size_bytes)
			return true;
	return false;
}

void arena_reset(struct arena *arena)
{
	struct arena_block *first = arena->head;

	if (!first)
		return;
	/* Keep the oldest, smallest block: a worker's memory must stay flat whatever one job needed. */
	while (first->prev) {
		struct arena_block *prev = first->prev;
		free_block(first, arena->shown);
		first = prev;
	}
	arena->head = first;
	arena->next = (char *)first + HEADER_BYTES;
	arena->end = (char *)first + first->size_bytes;
	arena->total_bytes = 0;
}

void arena_release(struct arena *arena)
{
	for (struct arena_block *block = arena->head, *prev; block; block = prev) {
		prev = block->prev;
		free_block(block, arena->shown);
	}
	*arena = (struct arena)ARENA_INIT;
}

void arena_each_block(struct arena *arena, void (*fn)(void *start, size_t size_bytes, void *data), void *data)
{
	struct arena_block *prev;

	arena->shown = true;
	for (struct arena_block *block = arena->head; block; block = prev) {
		prev = block->prev; /* fn may make the block unreadable */
		fn(block, block->size_bytes, data);
	}
}

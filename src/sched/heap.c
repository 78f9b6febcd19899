/* Ready elements of one queue: a 4-ary heap, keys inside the entries, so that a million of them stay quick to order. */
#include "sched/sched_internal.h"

void heap_push(struct heap *heap, uint64_t key, uint32_t element)
{
	struct heap_entry *entries = heap->entries;
	uint32_t i = heap->count++;

	while (i > 0) {
		uint32_t parent = (i - 1) / 4;

		if (entries[parent].key <= key)
			break;
		entries[i] = entries[parent];
		i = parent;
	}
	entries[i] = (struct heap_entry){ .key = key, .element = element };
}

/* Which of the children of i goes first, if it goes before `key`; 0 if none does. */
static uint32_t child_before(const struct heap *heap, uint32_t i, uint64_t key)
{
	uint32_t best = 0, first = MIN(i * 4 + 1, heap->count), end = MIN(i * 4 + 5, heap->count);

	for (uint32_t child = first; child != end; child++) {
		if (heap->entries[child].key < key) {
			best = child;
			key = heap->entries[child].key;
		}
	}
	return best;
}

struct heap_entry heap_pop(struct heap *heap)
{
	struct heap_entry *entries = heap->entries, top, last;
	uint32_t i = 0, child;

	assert(heap->count > 0);
	top = entries[0];
	last = entries[--heap->count];
	while ((child = child_before(heap, i, last.key))) {
		entries[i] = entries[child];
		i = child;
	}
	entries[i] = last;
	return top;
}

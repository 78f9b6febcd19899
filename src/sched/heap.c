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

static uint32_t smallest_child(const struct heap *heap, uint32_t i)
{
	uint32_t first = i * 4 + 1, best = first, end = MIN(first + 4, heap->count);

	for (uint32_t child = first + 1; child < end; child++) {
		if (heap->entries[child].key < heap->entries[best].key)
			best = child;
	}
	return best;
}

struct heap_entry heap_pop(struct heap *heap)
{
	struct heap_entry *entries = heap->entries, top, last;
	uint32_t i = 0;

	assert(heap->count > 0);
	top = entries[0];
	last = entries[--heap->count];
	while (i * 4 + 1 < heap->count) {
		uint32_t child = smallest_child(heap, i);

		if (last.key <= entries[child].key)
			break;
		entries[i] = entries[child];
		i = child;
	}
	entries[i] = last;
	return top;
}

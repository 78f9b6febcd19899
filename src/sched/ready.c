/* Ready elements of one queue, what weighs most first: lines by weight, each a first-in-first-out list through the elements
 * themselves, and bits that say which lines have anybody in them.  What weighs within a 64th of each other stands in one
 * line: weights are durations from earlier runs, or guesses, and it makes adding, taking and a new weight cost the same
 * however many are ready, in memory that stays in the cache.  (A heap of a million entries, which was here before, was a third of
 * what a job cost.)
 */
#include "sched/sched_internal.h"

#define EXACT_BITS 6

/* Below 128 the weight itself, above that its exponent and the six bits behind the first; turned round. */
uint32_t ready_line(uint32_t weight)
{
	uint32_t shift = 31 - EXACT_BITS - (uint32_t)__builtin_clz(weight | 1u << EXACT_BITS);

	return READY_LINES - 1 - ((shift << EXACT_BITS) + (weight >> shift));
}

static bool occupied(const struct ready *ready, uint32_t line)
{
	return ready->bits[line / 64] >> line % 64 & 1;
}

static void occupy(struct ready *ready, uint32_t line)
{
	ready->bits[line / 64] |= UINT64_C(1) << line % 64;
	ready->any |= UINT64_C(1) << line / 64;
}

static void vacate(struct ready *ready, uint32_t line)
{
	ready->bits[line / 64] &= ~(UINT64_C(1) << line % 64);
	if (!ready->bits[line / 64])
		ready->any &= ~(UINT64_C(1) << line / 64);
}

static uint32_t first_line(const struct ready *ready)
{
	uint32_t word = (uint32_t)__builtin_ctzll(ready->any);

	return word * 64 + (uint32_t)__builtin_ctzll(ready->bits[word]);
}

void ready_push(struct ready *ready, struct element *elements, uint32_t e)
{
	uint32_t line = ready_line(elements[e].weight);

	elements[e].line = (uint16_t)line;
	elements[e].link = SCHED_NONE;
	if (occupied(ready, line))
		elements[ready->lines[line].last].link = e;
	else
		ready->lines[line].first = e;
	ready->lines[line].last = e;
	occupy(ready, line);
	ready->count++;
}

void ready_push_back(struct ready *ready, struct element *elements, uint32_t e)
{
	uint32_t line = elements[e].line;

	elements[e].link = occupied(ready, line) ? ready->lines[line].first : SCHED_NONE;
	if (!occupied(ready, line))
		ready->lines[line].last = e;
	ready->lines[line].first = e;
	occupy(ready, line);
	ready->count++;
}

uint32_t ready_pop(struct ready *ready, const struct element *elements)
{
	uint32_t line = first_line(ready), e = ready->lines[line].first;

	assert(ready->count > 0);
	ready->count--;
	ready->lines[line].first = elements[e].link;
	if (elements[e].link == SCHED_NONE)
		vacate(ready, line);
	else
		__builtin_prefetch(&elements[elements[e].link], 1); /* next, most likely, and anywhere in memory */
	return e;
}

/* Sets of worker slots, as bits. */
#include "sched/sched_internal.h"

void slots_add(struct slots *slots, uint32_t slot)
{
	assert(!slots_has(slots, slot));
	slots->words[slot / 64] |= UINT64_C(1) << slot % 64;
	slots->count++;
}

void slots_remove(struct slots *slots, uint32_t slot)
{
	if (!slots_has(slots, slot))
		return;
	slots->words[slot / 64] &= ~(UINT64_C(1) << slot % 64);
	slots->count--;
}

bool slots_has(const struct slots *slots, uint32_t slot)
{
	return slots->words[slot / 64] >> slot % 64 & 1;
}

uint32_t slots_lowest(const struct slots *slots)
{
	uint32_t i = 0;

	assert(slots->count);
	while (!slots->words[i])
		i++;
	return i * 64 + (uint32_t)__builtin_ctzll(slots->words[i]);
}

uint32_t slots_from(const struct slots *slots, uint32_t slot)
{
	uint32_t i = slot / 64;
	uint64_t word;

	if (slot >= MAX_WORKERS)
		return slots_lowest(slots);
	word = slots->words[i] & ~UINT64_C(0) << slot % 64;
	while (!word) {
		if (++i == ARRAY_SIZE(slots->words))
			return slots_lowest(slots);
		word = slots->words[i];
	}
	return i * 64 + (uint32_t)__builtin_ctzll(word);
}

uint32_t slots_highest(const struct slots *slots)
{
	uint32_t i = ARRAY_SIZE(slots->words) - 1;

	assert(slots->count);
	while (!slots->words[i])
		i--;
	return i * 64 + 63 - (uint32_t)__builtin_clzll(slots->words[i]);
}

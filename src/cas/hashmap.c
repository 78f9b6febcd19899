/* Hashes to pointers: see cas_internal.h. The keys are SHA-256, so their first bytes are hash enough. */
#include <stdlib.h>
#include <string.h>

#include "cas/cas_internal.h"

static const uint8_t NONE[DIGEST_BYTES];

static uint32_t first_word(const uint8_t hash[DIGEST_BYTES])
{
	uint32_t word;

	memcpy(&word, hash + 4, sizeof word);
	return word;
}

static struct hashmap_slot *find(const struct hashmap *map, const uint8_t hash[DIGEST_BYTES])
{
	uint32_t at = first_word(hash) & (map->cap - 1);

	while (memcmp(map->slots[at].hash, NONE, DIGEST_BYTES) != 0) {
		if (memcmp(map->slots[at].hash, hash, DIGEST_BYTES) == 0)
			break;
		at = (at + 1) & (map->cap - 1);
	}
	return &map->slots[at];
}

struct hashmap_slot *hashmap_get(const struct hashmap *map, const uint8_t hash[DIGEST_BYTES])
{
	struct hashmap_slot *slot;

	if (!map->cap)
		return NULL;
	slot = find(map, hash);
	return memcmp(slot->hash, NONE, DIGEST_BYTES) ? slot : NULL;
}

static void grow(struct hashmap *map)
{
	struct hashmap old = *map;

	map->cap = old.cap ? old.cap * 2 : 256;
	map->slots = xcalloc(map->cap, sizeof *map->slots);
	for (uint32_t i = 0; i < old.cap; i++)
		if (memcmp(old.slots[i].hash, NONE, DIGEST_BYTES) != 0)
			*find(map, old.slots[i].hash) = old.slots[i];
	free(old.slots);
}

void hashmap_put(struct hashmap *map, const uint8_t hash[DIGEST_BYTES], const void *value)
{
	struct hashmap_slot *slot;

	if (memcmp(hash, NONE, DIGEST_BYTES) == 0)
		return;
	if ((map->count + 1) * 3 / 2 > map->cap)
		grow(map);
	slot = find(map, hash);
	if (memcmp(slot->hash, NONE, DIGEST_BYTES) == 0) {
		memcpy(slot->hash, hash, DIGEST_BYTES);
		map->count++;
	}
	slot->value = value;
}

void hashmap_release(struct hashmap *map)
{
	free(map->slots);
	*map = (struct hashmap){ 0 };
}

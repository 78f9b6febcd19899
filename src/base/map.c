/* Open-addressed string map: see map.h. */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

uint32_t strmap_hash(const char *key, size_t len)
{
	/* 8 bytes a step, multiply and fold: keys come from the user's own project, so no keyed hash is needed. */
	uint64_t h = 0x9e3779b97f4a7c15u ^ len, word;

	for (; len >= 8; key += 8, len -= 8) {
		memcpy(&word, key, 8);
		h = (h ^ word) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, key, len);
	h = (h ^ word) * 0xff51afd7ed558ccdu;
	h ^= h >> 29;
	return (uint32_t)(h ^ h >> 32);
}

static struct strmap_slot *find(const struct strmap *map, const char *key, size_t len, uint32_t hash)
{
	uint32_t mask = map->cap - 1;

	for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
		struct strmap_slot *slot = &map->slots[i];

		if (!slot->key || (slot->hash == hash && slot->len == len && memcmp(slot->key, key, len) == 0))
			return slot;
	}
}

static void grow(struct strmap *map)
{
	struct strmap bigger = { .cap = map->cap ? map->cap * 2 : 16, .count = map->count };

	bigger.slots = xcalloc(bigger.cap, sizeof(*bigger.slots));
	for (uint32_t i = 0; i < map->cap; i++) {
		struct strmap_slot *slot = &map->slots[i];
		if (slot->key)
			*find(&bigger, slot->key, slot->len, slot->hash) = *slot;
	}
	free(map->slots);
	*map = bigger;
}

uint32_t strmap_get(const struct strmap *map, const char *key, size_t len)
{
	struct strmap_slot *slot;

	if (!map->count)
		return STRMAP_NONE;
	slot = find(map, key, len, strmap_hash(key, len));
	return slot->key ? slot->value : STRMAP_NONE;
}

struct strmap_slot *strmap_slot(struct strmap *map, const char *key, size_t len)
{
	uint32_t hash = strmap_hash(key, len);
	struct strmap_slot *slot;

	if ((map->count + 1) * 4 > map->cap * 3)
		grow(map);
	slot = find(map, key, len, hash);
	if (!slot->key) {
		*slot = (struct strmap_slot){ .key = key, .len = (uint32_t)len, .hash = hash, .value = STRMAP_NONE };
		map->count++;
	}
	return slot;
}

uint32_t strmap_put(struct strmap *map, const char *key, size_t len, uint32_t value)
{
	struct strmap_slot *slot = strmap_slot(map, key, len);
	uint32_t former = slot->value;

	slot->value = value;
	return former;
}

void strmap_clear(struct strmap *map)
{
	if (map->cap)
		memset(map->slots, 0, map->cap * sizeof(*map->slots));
	map->count = 0;
}

void strmap_release(struct strmap *map)
{
	free(map->slots);
	*map = (struct strmap)STRMAP_INIT;
}

void intern_init(struct intern *intern, struct arena *arena)
{
	*intern = (struct intern){ .arena = arena };
}

const char *intern_text(struct intern *intern, const char *text, size_t len)
{
	struct strmap_slot *slot = strmap_slot(&intern->map, text, len);

	if (slot->value == STRMAP_NONE) {
		uint32_t number = intern->map.count - 1;

		intern->texts = util_grow(intern->texts, &intern->cap, number + 1u, sizeof(*intern->texts));
		slot->key = arena_strndup(intern->arena, text, len);
		slot->value = number;
		intern->texts[number] = slot->key;
	}
	return slot->key;
}

void intern_release(struct intern *intern)
{
	strmap_release(&intern->map);
	free(intern->texts);
	*intern = (struct intern){ 0 };
}

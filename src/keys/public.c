/* Public data as JSON, remembering the texts of shared subtrees: see keys_internal.h. */
#include "keys/keys_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kinds/kinds.h"
#include "yaml/yaml.h"

static void add_node(struct keys_cache *cache, struct buf *out, const struct yaml_node *node);

static void add_map(struct keys_cache *cache, struct buf *out, const struct yaml_node *map)
{
	const struct yaml_entry *few[32], **sorted = few;

	if (map->count > ARRAY_SIZE(few))
		sorted = xreallocarray(NULL, map->count, sizeof(*sorted));
	kinds_sorted_entries(map, sorted);
	buf_addc(out, '{');
	for (uint32_t i = 0; i < map->count; i++) {
		if (i > 0)
			buf_addc(out, ',');
		json_string(out, sorted[i]->key, sorted[i]->key_len);
		buf_addc(out, ':');
		add_node(cache, out, sorted[i]->value);
	}
	buf_addc(out, '}');
	if (sorted != few)
		free(sorted);
}

static void add_plain(struct keys_cache *cache, struct buf *out, const struct yaml_node *node)
{
	if (yaml_is_map(node))
		add_map(cache, out, node);
	else
		kinds_json_node(out, node);
}

static struct keys_cached *slot_of(struct keys_cache *cache, const struct yaml_node *node)
{
	uint64_t mixed = ((uint64_t)(uintptr_t)node >> 4) * 0x9e3779b97f4a7c15u;

	if (!cache->slots)
		cache->slots = xcalloc(KEYS_CACHE_SLOTS, sizeof(*cache->slots));
	return &cache->slots[mixed >> (64 - 12)];
}

static void add_node(struct keys_cache *cache, struct buf *out, const struct yaml_node *node)
{
	struct keys_cached *slot;
	size_t from = out->len;

	if (yaml_is_scalar(node)) {
		json_string(out, node->text, node->count);
		return;
	}
	slot = slot_of(cache, node);
	if (slot->node == node && slot->text) {
		buf_add(out, slot->text, slot->len_bytes);
		return;
	}
	add_plain(cache, out, node);
	slot = slot_of(cache, node);
	if (slot->node != node) {
		free(slot->text);
		*slot = (struct keys_cached){ .node = node };
	} else if (!slot->text) {
		slot->len_bytes = out->len - from;
		slot->text = xstrndup(out->data + from, slot->len_bytes);
	}
}

void keys_json_public(struct keys_cache *cache, struct buf *out, const struct yaml_node *node)
{
	add_map(cache, out, node);
}

static void forget_texts(struct keys_cache *cache)
{
	for (size_t i = 0; cache->slots && i < KEYS_CACHE_SLOTS; i++)
		free(cache->slots[i].text);
}

void keys_cache_refresh(struct keys_cache *cache, uint32_t age)
{
	if (cache->age == age)
		return;
	cache->age = age;
	forget_texts(cache);
	if (cache->slots)
		memset(cache->slots, 0, KEYS_CACHE_SLOTS * sizeof(*cache->slots));
}

void keys_cache_release(struct keys_cache *cache)
{
	forget_texts(cache);
	free(cache->slots);
	cache->slots = NULL;
}

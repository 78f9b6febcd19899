/* New trees from old ones: nothing is ever changed in place, what stays the same is shared. */
#include "yaml/yaml_internal.h"

#include <assert.h>
#include <stdlib.h>

struct yaml_node *yaml_shallow(struct arena *arena, const struct yaml_node *node)
{
	return arena_memdup(arena, node, sizeof(*node));
}

/* A node made by the program in the name of like's file and line. */
static struct yaml_node *made_like(struct arena *arena, enum yaml_type type, const struct yaml_node *like)
{
	return yaml_new_node(arena, type, like ? like->file : NULL, like ? like->line : 0, -1);
}

const struct yaml_node *yaml_scalar(struct arena *arena, const char *text, size_t len, const struct yaml_node *like)
{
	struct yaml_node *node = made_like(arena, YAML_SCALAR, like);

	assert(!memchr(text, '\0', len));
	text = yaml_strip(text, &len);
	yaml_set_text(node, arena_strndup(arena, text, len), len);
	return node;
}

const struct yaml_node *yaml_str(struct arena *arena, const char *text, const struct yaml_node *like)
{
	return yaml_scalar(arena, text, strlen(text), like);
}

const struct yaml_node *yaml_list(struct arena *arena, const struct yaml_node *const *items, uint32_t count,
				  const struct yaml_node *like)
{
	struct yaml_node *list = made_like(arena, YAML_LIST, like);

	yaml_set_items(arena, list, items, count);
	return list;
}

const struct yaml_node *yaml_empty_map(struct arena *arena, const struct yaml_node *like)
{
	return made_like(arena, YAML_MAP, like);
}

const struct yaml_node *yaml_with_items(struct arena *arena, const struct yaml_node *old,
					const struct yaml_node *const *items, uint32_t count)
{
	struct yaml_node *list = yaml_shallow(arena, old);

	assert(old->type == YAML_LIST);
	yaml_set_items(arena, list, items, count);
	return list;
}

static const struct yaml_node *with_entries(struct arena *arena, const struct yaml_node *old,
					    const struct yaml_entry *entries, size_t count)
{
	struct yaml_node *map = yaml_shallow(arena, old);

	assert(old->type == YAML_MAP);
	yaml_set_entries(arena, map, entries, count);
	return map;
}

const struct yaml_node *yaml_with_values(struct arena *arena, const struct yaml_node *map,
					 const struct yaml_node *const *values)
{
	struct yaml_entry *entries = xmalloc((map->count + 1) * sizeof(*entries));
	const struct yaml_node *ret;

	for (uint32_t i = 0; i < map->count; i++) {
		entries[i] = map->entries[i];
		entries[i].value = values[i];
	}
	ret = with_entries(arena, map, entries, map->count);
	free(entries);
	return ret;
}

const struct yaml_node *yaml_map_set(struct arena *arena, const struct yaml_node *map, const char *key,
				     const struct yaml_node *value)
{
	struct yaml_map_builder builder = YAML_MAP_BUILDER_INIT;
	size_t key_len = strlen(key);
	int64_t at = yaml_find_entry(map, key, key_len, strmap_hash(key, key_len));
	const struct yaml_node *ret;

	for (uint32_t i = 0; i < map->count; i++)
		yaml_map_add(&builder, map->entries[i].key, map->entries[i].key_len,
			     i == at ? value : map->entries[i].value);
	if (at < 0)
		yaml_map_add(&builder, arena_strndup(arena, key, key_len), key_len, value);
	ret = with_entries(arena, map, builder.entries, builder.count);
	yaml_map_builder_release(&builder);
	return ret;
}

const struct yaml_node *yaml_map_remove(struct arena *arena, const struct yaml_node *map, const char *key)
{
	struct yaml_entry *entries;
	size_t key_len = strlen(key), count = 0;
	int64_t at = yaml_find_entry(map, key, key_len, strmap_hash(key, key_len));
	const struct yaml_node *ret;

	if (at < 0)
		return map;
	entries = xmalloc(map->count * sizeof(*entries));
	for (uint32_t i = 0; i < map->count; i++)
		if (i != at)
			entries[count++] = map->entries[i];
	ret = with_entries(arena, map, entries, count);
	free(entries);
	return ret;
}

const struct yaml_node *yaml_list_set(struct arena *arena, const struct yaml_node *list, uint32_t i,
				      const struct yaml_node *value)
{
	const struct yaml_node **items = xmalloc((list->count + 1) * sizeof(const struct yaml_node *));
	const struct yaml_node *ret;

	assert(i < list->count);
	memcpy(items, list->items, list->count * sizeof(const struct yaml_node *));
	items[i] = value;
	ret = yaml_with_items(arena, list, items, list->count);
	free(items);
	return ret;
}

const struct yaml_node *yaml_list_join(struct arena *arena, const struct yaml_node *list,
				       const struct yaml_node *other)
{
	const struct yaml_node **items, *ret;

	if (!other || !other->count)
		return list;
	items = xmalloc(((size_t)list->count + other->count) * sizeof(const struct yaml_node *));
	if (list->count)
		memcpy(items, list->items, list->count * sizeof(const struct yaml_node *));
	memcpy(items + list->count, other->items, other->count * sizeof(const struct yaml_node *));
	ret = yaml_with_items(arena, list, items, list->count + other->count);
	free(items);
	return ret;
}

/* ---- Builder ---- */

void yaml_map_add(struct yaml_map_builder *builder, const char *key, size_t key_len, const struct yaml_node *value)
{
	builder->entries = util_grow(builder->entries, &builder->cap, builder->count + 1, sizeof(*builder->entries));
	builder->entries[builder->count++] = (struct yaml_entry){ key, (uint32_t)key_len, strmap_hash(key, key_len), value };
}

void yaml_map_put(struct yaml_map_builder *builder, const char *key, size_t key_len, const struct yaml_node *value)
{
	for (size_t i = 0; i < builder->count; i++)
		if (yaml_key_is(&builder->entries[i], key, key_len)) {
			builder->entries[i].value = value;
			return;
		}
	yaml_map_add(builder, key, key_len, value);
}

const struct yaml_node *yaml_map_build(struct yaml_map_builder *builder, struct arena *arena,
				       const struct yaml_node *like)
{
	struct yaml_node *map = made_like(arena, YAML_MAP, like);

	if (like && like->type == YAML_MAP)
		map->column = like->column;
	yaml_set_entries(arena, map, builder->entries, builder->count);
	builder->count = 0;
	return map;
}

void yaml_map_builder_release(struct yaml_map_builder *builder)
{
	free(builder->entries);
	*builder = (struct yaml_map_builder)YAML_MAP_BUILDER_INIT;
}

/* ---- Walks that rebuild ---- */

struct rewrite {
	struct arena *arena;
	unsigned flags;
	yaml_rewrite_fn *fn;
	void *data;
	struct diag *diag;
};

static int rewrite(const struct rewrite *rw, const struct yaml_node **node, unsigned depth);

/* The children of one map or list; values is where they are collected (its own array, as fn may be called below). */
static int rewrite_children(const struct rewrite *rw, const struct yaml_node **node, unsigned depth)
{
	const struct yaml_node *old = *node, **values = NULL;
	int r = 0;

	for (uint32_t i = 0; i < old->count && r == 0; i++) {
		const struct yaml_node *was = old->type == YAML_MAP ? old->entries[i].value : old->items[i], *now = was;

		r = rewrite(rw, &now, depth + 1);
		if (now != was && !values) {
			values = xmalloc(old->count * sizeof(const struct yaml_node *));
			for (uint32_t k = 0; k < old->count; k++)
				values[k] = old->type == YAML_MAP ? old->entries[k].value : old->items[k];
		}
		if (values)
			values[i] = now;
	}
	if (r == 0 && values)
		*node = old->type == YAML_MAP ? yaml_with_values(rw->arena, old, values) :
						yaml_with_items(rw->arena, old, values, old->count);
	free(values);
	return r;
}

static int rewrite(const struct rewrite *rw, const struct yaml_node **node, unsigned depth)
{
	if (!((*node)->flags & rw->flags))
		return 0;
	if (depth > YAML_MAX_DEPTH)
		return yaml_error(rw->diag, *node, "invalid-data", "Maps and lists are nested more than %d levels deep",
				  YAML_MAX_DEPTH);
	if ((*node)->type == YAML_MAP && rw->fn) {
		int r = rw->fn(rw->arena, node, depth, rw->data, rw->diag);
		if (r < 0)
			return r;
	}
	return (*node)->type != YAML_SCALAR ? rewrite_children(rw, node, depth) : 0;
}

int yaml_rewrite(struct arena *arena, const struct yaml_node *node, unsigned flags, yaml_rewrite_fn *fn, void *data,
		 const struct yaml_node **ret, struct diag *diag)
{
	struct rewrite rw = { arena, flags, fn, data, diag };
	int r = rewrite(&rw, &node, 1);

	if (r == 0)
		*ret = node;
	return r;
}

static const struct yaml_node *strip_scalar(struct arena *arena, const struct yaml_node *node)
{
	struct yaml_node *copy = yaml_shallow(arena, node);
	size_t len = node->count;
	const char *text = yaml_strip(node->text, &len);

	yaml_set_text(copy, arena_strndup(arena, text, len), len);
	return copy;
}

/* Recursion is as deep as the tree, which compose and rewrite keep to YAML_MAX_DEPTH per file. */
const struct yaml_node *yaml_clone(struct arena *arena, const struct yaml_node *node)
{
	const struct yaml_node **values, *ret;

	if (!(node->flags & YAML_UNSTRIPPED))
		return node;
	if (node->type == YAML_SCALAR)
		return strip_scalar(arena, node);
	values = xmalloc(node->count * sizeof(const struct yaml_node *));
	for (uint32_t i = 0; i < node->count; i++)
		values[i] = yaml_clone(arena, node->type == YAML_MAP ? node->entries[i].value : node->items[i]);
	ret = node->type == YAML_MAP ? yaml_with_values(arena, node, values) :
				       yaml_with_items(arena, node, values, node->count);
	free(values);
	return ret;
}

/* ---- Deep copy ---- */

struct copy {
	struct arena *arena;
	const struct yaml_file *files[2]; /* the last one copied, and its copy: trees rarely mix many files */
};

static const struct yaml_file *copy_file(struct copy *copy, const struct yaml_file *file)
{
	struct yaml_file *twin;

	if (!file || copy->files[0] == file)
		return file ? copy->files[1] : NULL;
	twin = arena_memdup(copy->arena, file, sizeof(*file));
	twin->name = arena_strdup(copy->arena, file->name);
	twin->path = file->path ? arena_strdup(copy->arena, file->path) : NULL;
	twin->root = NULL;
	copy->files[0] = file;
	copy->files[1] = twin;
	return twin;
}

static const struct yaml_node *copy_node(struct copy *copy, const struct yaml_node *node)
{
	struct yaml_node *twin = yaml_shallow(copy->arena, node);

	twin->file = copy_file(copy, node->file);
	if (node->type == YAML_SCALAR) {
		twin->text = arena_strndup(copy->arena, node->text, node->count);
	} else if (node->type == YAML_LIST) {
		const struct yaml_node **items = xmalloc((node->count + 1) * sizeof(const struct yaml_node *));
		for (uint32_t i = 0; i < node->count; i++)
			items[i] = copy_node(copy, node->items[i]);
		yaml_set_items(copy->arena, twin, items, node->count);
		free(items);
	} else {
		struct yaml_map_builder builder = YAML_MAP_BUILDER_INIT;
		for (uint32_t i = 0; i < node->count; i++) {
			const struct yaml_entry *entry = &node->entries[i];
			yaml_map_add(&builder, arena_strndup(copy->arena, entry->key, entry->key_len), entry->key_len,
				     copy_node(copy, entry->value));
		}
		yaml_set_entries(copy->arena, twin, builder.entries, builder.count);
		yaml_map_builder_release(&builder);
	}
	return twin;
}

const struct yaml_node *yaml_copy(struct arena *arena, const struct yaml_node *node)
{
	struct copy copy = { .arena = arena };

	return copy_node(&copy, node);
}

bool yaml_equal(const struct yaml_node *a, const struct yaml_node *b)
{
	if (a == b)
		return true;
	if (a->type != b->type || a->count != b->count)
		return false;
	if (a->type == YAML_SCALAR)
		return memcmp(a->text, b->text, a->count) == 0;
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->type == YAML_LIST) {
			if (!yaml_equal(a->items[i], b->items[i]))
				return false;
		} else if (!yaml_key_is(&a->entries[i], b->entries[i].key, b->entries[i].key_len) ||
			   !yaml_equal(a->entries[i].value, b->entries[i].value)) {
			return false;
		}
	}
	return true;
}

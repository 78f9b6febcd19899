/* Nodes: making them, finding keys, telling where they come from.  See yaml.h. */
#include "yaml/yaml_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

static_assert(sizeof(struct yaml_node) == 32, "a node is half a cache line");

struct yaml_node *yaml_new_node(struct arena *arena, enum yaml_type type, const struct yaml_file *file, uint32_t line,
				int32_t column)
{
	struct yaml_node *node = ARENA_NEW(arena, struct yaml_node);

	node->type = (uint8_t)type;
	node->height = 1;
	node->file = file;
	node->line = line;
	node->column = column;
	return node;
}

/* Bytes of the Unicode blank (str.isspace) that text starts with, 0 if it starts with none. */
static size_t blank_at(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	if (len == 0)
		return 0;
	if (s[0] < 0x80)
		return (s[0] >= 0x09 && s[0] <= 0x0d) || (s[0] >= 0x1c && s[0] <= 0x20);
	if (s[0] == 0xc2)
		return len >= 2 && (s[1] == 0x85 || s[1] == 0xa0) ? 2 : 0;
	if (len < 3)
		return 0;
	if (s[0] == 0xe1)
		return s[1] == 0x9a && s[2] == 0x80 ? 3 : 0; /* U+1680 */
	if (s[0] == 0xe3)
		return s[1] == 0x80 && s[2] == 0x80 ? 3 : 0; /* U+3000 */
	if (s[0] != 0xe2)
		return 0;
	if (s[1] == 0x80) /* U+2000-200A, 2028, 2029, 202F */
		return s[2] <= 0x8a || s[2] == 0xa8 || s[2] == 0xa9 || s[2] == 0xaf ? 3 : 0;
	return s[1] == 0x81 && s[2] == 0x9f ? 3 : 0; /* U+205F */
}

/* The same at the end of text. */
static size_t blank_before(const char *text, size_t len)
{
	size_t width = 1;

	if (len == 0)
		return 0;
	while (width < 3 && width < len && ((unsigned char)text[len - width] & 0xc0) == 0x80)
		width++;
	return blank_at(text + len - width, width) == width ? width : 0;
}

const char *yaml_strip(const char *text, size_t *len)
{
	size_t width;

	while ((width = blank_at(text, *len)))
		text += width, *len -= width;
	while ((width = blank_before(text, *len)))
		*len -= width;
	return text;
}

bool yaml_has_outer_blank(const char *text, size_t len)
{
	return blank_at(text, len) || blank_before(text, len);
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name_char(char c)
{
	return is_name_start(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool yaml_next_ref(const char *text, size_t len, size_t *at, const char **ret_name, size_t *ret_name_len)
{
	const char *end = text + len, *p = text + *at;

	while (p < end && (p = memchr(p, '%', (size_t)(end - p)))) {
		const char *name = p + 2, *q = name;

		if (end - p >= 4 && p[1] == '{' && is_name_start(*name)) {
			while (q < end && is_name_char(*q))
				q++;
			if (q < end && *q == '}') {
				*at = (size_t)(p - text);
				*ret_name = name;
				*ret_name_len = (size_t)(q - name);
				return true;
			}
		}
		p++;
	}
	return false;
}

void yaml_set_text(struct yaml_node *node, const char *text, size_t len)
{
	const char *name;
	size_t at = 0, name_len;

	assert(len < UINT32_MAX);
	node->text = text;
	node->count = (uint32_t)len;
	node->flags = yaml_next_ref(text, len, &at, &name, &name_len) ? YAML_HAS_REF : 0;
}

/* A parent takes over what its child has. */
static void inherit(struct yaml_node *node, const struct yaml_node *child)
{
	node->flags |= child->flags;
	if (child->height >= node->height)
		node->height = child->height < UINT16_MAX ? child->height + 1 : UINT16_MAX;
}

void yaml_set_items(struct arena *arena, struct yaml_node *list, const struct yaml_node *const *items, size_t count)
{
	assert(count < UINT32_MAX);
	list->items = count ? arena_memdup(arena, items, count * sizeof(const struct yaml_node *)) : NULL;
	list->count = (uint32_t)count;
	list->flags = 0;
	list->height = 1;
	for (size_t i = 0; i < count; i++)
		inherit(list, items[i]);
}

static unsigned key_flags(const struct yaml_entry *entry)
{
	if (entry->key_len != 3 || entry->key[0] != '(' || entry->key[2] != ')')
		return 0;
	switch (entry->key[1]) {
	case '?': case '!': return YAML_HAS_CONDITION;
	case '@': return YAML_HAS_INCLUDE;
	case '>': case '<': case '=': return YAML_HAS_DIRECTIVE;
	default: return 0;
	}
}

static uint32_t index_size(uint32_t count)
{
	uint32_t size = 64;

	while (size < count * 2)
		size *= 2;
	return size;
}

size_t yaml_entries_bytes(uint32_t count)
{
	return count * sizeof(struct yaml_entry) + (count >= YAML_INDEX_FROM ? index_size(count) * sizeof(uint32_t) : 0);
}

/* The hash index: slots behind the entries, each 0 or 1 + a position. */
static void fill_index(uint32_t *slots, const struct yaml_entry *entries, uint32_t count)
{
	uint32_t mask = index_size(count) - 1;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = entries[i].hash & mask;
		while (slots[at])
			at = (at + 1) & mask;
		slots[at] = i + 1;
	}
}

void yaml_set_entries(struct arena *arena, struct yaml_node *map, const struct yaml_entry *entries, size_t count)
{
	struct yaml_entry *copy = NULL;

	assert(count < UINT32_MAX / 4);
	if (count) {
		copy = arena_alloc(arena, yaml_entries_bytes((uint32_t)count));
		memcpy(copy, entries, count * sizeof(*entries));
		if (count >= YAML_INDEX_FROM)
			fill_index((uint32_t *)(copy + count), copy, (uint32_t)count);
	}
	map->entries = copy;
	map->count = (uint32_t)count;
	map->flags = 0;
	map->height = 1;
	for (size_t i = 0; i < count; i++) {
		map->flags |= (uint8_t)key_flags(&copy[i]);
		inherit(map, copy[i].value);
	}
}

static bool entry_is(const struct yaml_entry *entry, const char *key, size_t key_len, uint32_t hash)
{
	return entry->hash == hash && entry->key_len == key_len && memcmp(entry->key, key, key_len) == 0;
}

int64_t yaml_find_entry(const struct yaml_node *map, const char *key, size_t key_len, uint32_t hash)
{
	const uint32_t *slots;
	uint32_t mask;

	assert(map->type == YAML_MAP);
	if (map->count < YAML_INDEX_FROM) {
		for (uint32_t i = 0; i < map->count; i++)
			if (entry_is(&map->entries[i], key, key_len, hash))
				return i;
		return -1;
	}
	slots = (const uint32_t *)(map->entries + map->count);
	mask = index_size(map->count) - 1;
	for (uint32_t at = hash & mask; slots[at]; at = (at + 1) & mask)
		if (entry_is(&map->entries[slots[at] - 1], key, key_len, hash))
			return slots[at] - 1;
	return -1;
}

const struct yaml_node *yaml_get_n(const struct yaml_node *map, const char *key, size_t key_len)
{
	int64_t at = yaml_find_entry(map, key, key_len, strmap_hash(key, key_len));

	return at < 0 ? NULL : map->entries[at].value;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	return yaml_get_n(map, key, strlen(key));
}

void yaml_provenance(struct buf *out, const struct yaml_node *node)
{
	const char *name = node->file ? node->file->name : "";

	if (!node->file || node->column < 0)
		buf_printf(out, "%s [synthetic node]", name);
	else
		buf_printf(out, "%s [line %u column %d]", name, node->line + 1, node->column);
}

void yaml_where(struct diag *diag, const struct yaml_node *node)
{
	if (!diag)
		return;
	buf_clear(&diag->where);
	yaml_provenance(&diag->where, node);
}

int yaml_error(struct diag *diag, const struct yaml_node *node, const char *reason, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (!diag)
		return -EINVAL;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		bug("out of memory");
	va_end(ap);
	diag_set(diag, "load", reason, "%s", text);
	yaml_where(diag, node);
	return -EINVAL;
}

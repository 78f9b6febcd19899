/* TOML values: see toml.h. */
#include <string.h>

#include "sources/toml.h"

struct toml *toml_new(struct arena *arena, enum toml_type type)
{
	struct toml *value = ARENA_NEW(arena, struct toml);

	value->type = type;
	return value;
}

struct toml *toml_new_string(struct arena *arena, const char *text)
{
	struct toml *value = toml_new(arena, TOML_STRING);

	value->text = (struct toml_text){ arena_strdup(arena, text), strlen(text) };
	return value;
}

static struct toml_entry *find(const struct toml *table, const char *key, size_t len)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->entries[i].key.len == len && memcmp(table->entries[i].key.at, key, len) == 0)
			return &table->entries[i];
	return NULL;
}

struct toml *toml_get_text(const struct toml *table, const struct toml_text *key)
{
	struct toml_entry *entry = table && table->type == TOML_TABLE ? find(table, key->at, key->len) : NULL;

	return entry ? entry->value : NULL;
}

struct toml *toml_get(const struct toml *table, const char *key)
{
	const struct toml_text text = { key, strlen(key) };

	return toml_get_text(table, &text);
}

struct toml *toml_get_type(const struct toml *table, const char *key, enum toml_type type)
{
	struct toml *value = toml_get(table, key);

	return value && value->type == type ? value : NULL;
}

bool toml_is(const struct toml *value, const char *text)
{
	return value && value->type == TOML_STRING && value->text.len == strlen(text) &&
	       memcmp(value->text.at, text, value->text.len) == 0;
}

bool toml_is_true(const struct toml *value)
{
	static const char *const zeros[] = { "false", "0", "0.0", "-0.0" };

	if (!value)
		return false;
	if (value->type == TOML_ARRAY || value->type == TOML_TABLE)
		return value->count > 0;
	for (size_t i = 0; value->type == TOML_PLAIN && i < ARRAY_SIZE(zeros); i++)
		if (str_eq(value->text.at, zeros[i]))
			return false;
	return value->text.len > 0;
}

/* Room for one more of size bytes each, in an array of the arena. */
static void *grown(struct arena *arena, void *items, struct toml *value, size_t size)
{
	void *larger;

	if (value->count < value->cap)
		return items;
	value->cap = value->cap ? 2 * value->cap : 8;
	larger = arena_alloc_array(arena, value->cap, size);
	if (value->count)
		memcpy(larger, items, value->count * size);
	return larger;
}

void toml_put(struct arena *arena, struct toml *table, struct toml_text key, struct toml *value)
{
	struct toml_entry *entry = find(table, key.at, key.len);

	if (entry) {
		entry->value = value;
		return;
	}
	table->entries = grown(arena, table->entries, table, sizeof *table->entries);
	table->entries[table->count++] = (struct toml_entry){ key, value };
}

void toml_put_string(struct arena *arena, struct toml *table, const char *key, const char *text)
{
	toml_put(arena, table, (struct toml_text){ arena_strdup(arena, key), strlen(key) }, toml_new_string(arena, text));
}

void toml_remove(struct toml *table, const char *key)
{
	struct toml_entry *entry = find(table, key, strlen(key));

	if (!entry)
		return;
	table->count--;
	memmove(entry, entry + 1, (size_t)(table->entries + table->count - entry) * sizeof *entry);
}

void toml_append(struct arena *arena, struct toml *array, struct toml *item)
{
	array->items = grown(arena, array->items, array, sizeof(struct toml *));
	array->items[array->count++] = item;
}

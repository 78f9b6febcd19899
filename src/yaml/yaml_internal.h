/* yaml/yaml_internal.h: what the files of room yaml share. */
#ifndef YAML_INTERNAL_H
#define YAML_INTERNAL_H

#include <string.h>

#include "base/map.h"
#include "yaml/yaml.h"

/* Maps with more entries carry a hash index behind the entries. */
enum { YAML_INDEX_FROM = 17 };

/* An unattached node with provenance; the caller fills in the rest. */
struct yaml_node *yaml_new_node(struct arena *arena, enum yaml_type type, const struct yaml_file *file, uint32_t line,
				int32_t column);
/* Sets text (in the arena already, NUL behind) and the flags that follow from it. */
void yaml_set_text(struct yaml_node *node, const char *text, size_t len);
/* Copies items or entries into the arena and sets count, height and flags. */
void yaml_set_items(struct arena *arena, struct yaml_node *list, const struct yaml_node *const *items, size_t count);
void yaml_set_entries(struct arena *arena, struct yaml_node *map, const struct yaml_entry *entries, size_t count);
/* Bytes that `count` entries take in the arena, their hash index included. */
size_t yaml_entries_bytes(uint32_t count);
/* A copy of node with other provenance. */
struct yaml_node *yaml_shallow(struct arena *arena, const struct yaml_node *node);
/* Position of key among the entries of map, or -1. */
int64_t yaml_find_entry(const struct yaml_node *map, const char *key, size_t key_len, uint32_t hash);

/* The next %{name} in text from *at: true with *at at the '%', the name and its length (the whole is name_len + 3). */
bool yaml_next_ref(const char *text, size_t len, size_t *at, const char **ret_name, size_t *ret_name_len);
/* Is there a Unicode blank at either end? */
bool yaml_has_outer_blank(const char *text, size_t len);

/* Text as Python's repr() shows it. */
void yaml_py_repr(struct buf *out, const char *text, size_t len);

/* Is it one of the list directives (>) (<) (=)? */
static inline bool yaml_is_directive(const struct yaml_entry *entry)
{
	return entry->key_len == 3 && entry->key[0] == '(' && entry->key[2] == ')' &&
	       (entry->key[1] == '>' || entry->key[1] == '<' || entry->key[1] == '=');
}

static inline bool yaml_key_is(const struct yaml_entry *entry, const char *key, size_t len)
{
	return entry->key_len == len && memcmp(entry->key, key, len) == 0;
}

#endif

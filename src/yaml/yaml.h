/* yaml/yaml.h: BuildStream's YAML as trees of nodes: parse, read, compose, write.
 *
 * The dialect (compat 1.1) is the event stream of libyaml with a few rules on top: one document whose root is a map,
 * every scalar is text (no null, numbers or booleans; `~` is "~"), scalar values are stripped of Unicode blanks at both
 * ends, keys are plain scalars and never stripped, a repeated key, an anchor, an alias or a foreign tag on a scalar is an
 * error.
 *
 * Nodes are plain structs in an arena and IMMUTABLE: whoever changes a tree gets a new one that shares every part that
 * stayed as it was.  So never cast const away; keep the arena as long as any tree that may share from it.  Equal pointer
 * means equal content, which callers may use for caches (yaml_vars_prepare does).  All pointers in a node lead into the
 * arena it was made in (or into one it shares from), so an arena mapped at a fixed address can be kept in a file.
 *
 * The peer strips a scalar when its node is made and again on every clone; text that variable expansion produced is not
 * stripped until somebody clones it (compat, trap 3).  Nodes with such text carry YAML_UNSTRIPPED, and composition strips
 * exactly where the peer clones: scalars, whole lists and list directives that are set; not items that a directive
 * prepends or appends.
 *
 * Errors have domain "load" and the reasons of the peer's LoadErrorReason.  Pure but for yaml_load_file; any process;
 * trees may be read by many threads, an arena is written by one.
 */
#ifndef YAML_YAML_H
#define YAML_YAML_H

#include "base/arena.h"
#include "base/diag.h"

/* Largest nesting of maps and lists in one file and in a composed tree.  The peer walks trees with Python recursion,
 * one frame per level, and CPython gives it 1,000 frames in all, so no project of its can be deeper. */
enum { YAML_MAX_DEPTH = 1000 };
/* Largest file or text. */
enum { YAML_MAX_BYTES = 64 << 20 };

enum yaml_type { YAML_SCALAR = 1, YAML_LIST, YAML_MAP };

/* What a node or anything below it holds, so that walks can skip subtrees with nothing to do. */
enum yaml_flags {
	YAML_HAS_REF = 1,       /* a scalar with a variable reference: %{name} */
	YAML_HAS_CONDITION = 2, /* a map with (?) or (!) */
	YAML_HAS_INCLUDE = 4,   /* a map with (@) */
	YAML_HAS_DIRECTIVE = 8, /* a map with (>), (<) or (=) */
	YAML_UNSTRIPPED = 16,   /* an expanded scalar that starts or ends with a blank */
	YAML_HAS_ANY = 31,
};

/* Where nodes come from.  One record per parsed file, in the arena of its nodes. */
struct yaml_file {
	const char *name;  /* as shown to people: "elements/a.bst", "junction.bst:include/x.yml" */
	const char *path;  /* as opened, or NULL */
	uint32_t owner;    /* for the loader: the id of the project it belongs to */
	const struct yaml_node *root; /* as parsed */
};

struct yaml_entry {
	const char *key; /* NUL-terminated, holds no NUL itself */
	uint32_t key_len, hash;
	const struct yaml_node *value;
};

/* 32 bytes.  A scalar's text has `count` bytes and a NUL behind; it holds no NUL itself. */
struct yaml_node {
	uint8_t type;    /* enum yaml_type */
	uint8_t flags;   /* enum yaml_flags, as bits */
	uint16_t height; /* 1 for a scalar, else 1 + the highest child; at most UINT16_MAX */
	uint32_t count;  /* bytes, items or entries */
	const struct yaml_file *file; /* NULL: made by the program, belongs to no file */
	uint32_t line;   /* 0-based; people count from 1, see yaml_where */
	int32_t column;  /* 0-based, as the peer prints it; -1: made by the program in the name of `file` */
	union {
		const char *text;
		const struct yaml_node *const *items;
		const struct yaml_entry *entries; /* in order of appearance */
	};
};

static inline bool yaml_is_scalar(const struct yaml_node *node)
{
	return node->type == YAML_SCALAR;
}
static inline bool yaml_is_list(const struct yaml_node *node)
{
	return node->type == YAML_LIST;
}
static inline bool yaml_is_map(const struct yaml_node *node)
{
	return node->type == YAML_MAP;
}

/* ---- Parsing -------------------------------------------------------------------------------------------------- */

/* Parses text of len bytes; *ret is a map, empty for an empty text.  name is what errors call it; it is copied.  Errors:
 * "invalid-yaml" with the peer's message; diag->where is the name alone, as the peer's messages carry the position. */
int yaml_parse(struct arena *arena, const char *text, size_t len, const char *name, const struct yaml_node **ret,
	       struct diag *diag);
/* Reads and parses a file.  dirfd may be AT_FDCWD; shown_path is the path that "Could not find file at PATH" names, NULL:
 * path.  owner goes into its struct yaml_file.  Errors: "missing-file", "loading-directory", "invalid-yaml". */
int yaml_load_file(struct arena *arena, int dirfd, const char *path, const char *shown_path, const char *name,
		   uint32_t owner, const struct yaml_node **ret, struct diag *diag);

/* ---- Provenance and errors ------------------------------------------------------------------------------------ */

/* Sets diag's provenance to node: "NAME [line L column C]" or "NAME [synthetic node]".  diag may be NULL. */
void yaml_where(struct diag *diag, const struct yaml_node *node);
/* Adds that text to out. */
void yaml_provenance(struct buf *out, const struct yaml_node *node);
/* diag_set in domain "load" + yaml_where(node); returns -EINVAL. */
int yaml_error(struct diag *diag, const struct yaml_node *node, const char *reason, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* ---- Reading -------------------------------------------------------------------------------------------------- */

/* The value of key, or NULL.  map must be a map. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
const struct yaml_node *yaml_get_n(const struct yaml_node *map, const char *key, size_t key_len);

/* yaml_get_X: optional.  1: found, *ret set; 0: no such key, *ret untouched (put the default there first); < 0: wrong
 * type or value, diag set ("invalid-data", "Value of 'K' is not of the expected type 'T'").
 * yaml_need_X: the same, but a missing key is an error, too ("Dictionary did not contain expected key 'K'"); 0 when found.
 * Text is that of the node: it lives as long as the tree. */
int yaml_get_scalar(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag);
int yaml_get_str(const struct yaml_node *map, const char *key, const char **ret, struct diag *diag);
int yaml_get_bool(const struct yaml_node *map, const char *key, bool *ret, struct diag *diag);
int yaml_get_int(const struct yaml_node *map, const char *key, int *ret, struct diag *diag);
int yaml_get_list(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag);
int yaml_get_map(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag);
/* One of the NULL-terminated names, as its index ("Value of 'K' should be one of 'a, b'"). */
int yaml_get_enum(const struct yaml_node *map, const char *key, const char *const *names, int *ret,
		  struct diag *diag);
/* A list of scalars as an arena array of texts ("List item is not of the expected type 'scalar'"). */
int yaml_get_strs(struct arena *arena, const struct yaml_node *map, const char *key, const char *const **ret,
		  uint32_t *ret_count, struct diag *diag);
int yaml_need_node(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag);
int yaml_need_scalar(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag);
int yaml_need_str(const struct yaml_node *map, const char *key, const char **ret, struct diag *diag);
int yaml_need_bool(const struct yaml_node *map, const char *key, bool *ret, struct diag *diag);
int yaml_need_int(const struct yaml_node *map, const char *key, int *ret, struct diag *diag);
int yaml_need_list(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag);
int yaml_need_map(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag);
int yaml_need_enum(const struct yaml_node *map, const char *key, const char *const *names, int *ret,
		   struct diag *diag);
int yaml_need_strs(struct arena *arena, const struct yaml_node *map, const char *key, const char *const **ret,
		   uint32_t *ret_count, struct diag *diag);

/* The same readings of a scalar at hand; key is how the error calls it. */
int yaml_as_bool(const struct yaml_node *scalar, const char *key, bool *ret, struct diag *diag);
int yaml_as_int(const struct yaml_node *scalar, const char *key, int *ret, struct diag *diag);
int yaml_as_enum(const struct yaml_node *scalar, const char *key, const char *const *names, int *ret,
		 struct diag *diag);
int yaml_as_strs(struct arena *arena, const struct yaml_node *list, const char *const **ret, uint32_t *ret_count,
		 struct diag *diag);
/* Item i of a list, which must be a map. */
int yaml_item_map(const struct yaml_node *list, uint32_t i, const struct yaml_node **ret, struct diag *diag);
/* 0 if every key of map is one of names (NULL-terminated), else "Unexpected key: K" at the value's provenance. */
int yaml_validate_keys(const struct yaml_node *map, const char *const *names, struct diag *diag);
/* _assert_symbol_name: letters, digits, '_' and, if wanted, '-', no digit first.  "invalid-symbol-name".  purpose as in
 * "option name"; node may be NULL. */
int yaml_check_symbol(const char *name, const char *purpose, const struct yaml_node *node, bool allow_dashes,
		      struct diag *diag);

/* ---- Making --------------------------------------------------------------------------------------------------- */

/* `like` (may be NULL) lends its file and line to what the program makes in its name.  Text is copied and stripped. */
const struct yaml_node *yaml_scalar(struct arena *arena, const char *text, size_t len, const struct yaml_node *like);
const struct yaml_node *yaml_str(struct arena *arena, const char *text, const struct yaml_node *like);
/* items are copied (the pointers). */
const struct yaml_node *yaml_list(struct arena *arena, const struct yaml_node *const *items, uint32_t count,
				  const struct yaml_node *like);
const struct yaml_node *yaml_empty_map(struct arena *arena, const struct yaml_node *like);
/* map with key set to value (in place of the old value, else appended), or without key.  The new map has map's
 * provenance.  key is copied where needed.  O(entries); for many changes use a builder. */
const struct yaml_node *yaml_map_set(struct arena *arena, const struct yaml_node *map, const char *key,
				     const struct yaml_node *value);
const struct yaml_node *yaml_map_remove(struct arena *arena, const struct yaml_node *map, const char *key);
/* list with item i replaced; list with the items of other (may be NULL) appended. */
const struct yaml_node *yaml_list_set(struct arena *arena, const struct yaml_node *list, uint32_t i,
				      const struct yaml_node *value);
const struct yaml_node *yaml_list_join(struct arena *arena, const struct yaml_node *list,
				       const struct yaml_node *other);

/* Collects entries of a new map; the keys must differ if `unique` is not asked for by _put. */
struct yaml_map_builder {
	struct yaml_entry *entries;
	size_t count, cap;
};
#define YAML_MAP_BUILDER_INIT { 0 }
/* Appends without looking for the key; key must live as long as the map. */
void yaml_map_add(struct yaml_map_builder *builder, const char *key, size_t key_len, const struct yaml_node *value);
/* Sets or appends (linear). */
void yaml_map_put(struct yaml_map_builder *builder, const char *key, size_t key_len, const struct yaml_node *value);
/* The map, with like's exact provenance if `like` is a map to stand for, and an emptied builder. */
const struct yaml_node *yaml_map_build(struct yaml_map_builder *builder, struct arena *arena,
				       const struct yaml_node *like);
void yaml_map_builder_release(struct yaml_map_builder *builder);

/* Shallow copy with new items or entries: what a walk that rebuilds a tree needs (same provenance as old). */
const struct yaml_node *yaml_with_items(struct arena *arena, const struct yaml_node *old,
					const struct yaml_node *const *items, uint32_t count);
/* A copy of the map with the same keys and other values, values[i] for entry i; arrays of map->count. */
const struct yaml_node *yaml_with_values(struct arena *arena, const struct yaml_node *map,
					 const struct yaml_node *const *values);

/* What the peer's clone() makes of it: the same tree, with expanded text stripped.  Shares all that it can: usually the
 * result is node itself. */
const struct yaml_node *yaml_clone(struct arena *arena, const struct yaml_node *node);
/* Deep copy into another arena, files included: nothing is shared. */
const struct yaml_node *yaml_copy(struct arena *arena, const struct yaml_node *node);

/* Applies fn to every map in the tree, a map before what lies below it (in fn's result), lists of maps included, and
 * returns the tree of the results.  Only subtrees that have one of the `flags` bits are visited: that is how conditions
 * (YAML_HAS_CONDITION) and includes (YAML_HAS_INCLUDE) are resolved at any depth.  fn returns 0 with *map replaced or
 * left, or < 0 with diag set. */
typedef int yaml_rewrite_fn(struct arena *arena, const struct yaml_node **map, unsigned depth, void *data,
			    struct diag *diag);
int yaml_rewrite(struct arena *arena, const struct yaml_node *node, unsigned flags, yaml_rewrite_fn *fn, void *data,
		 const struct yaml_node **ret, struct diag *diag);

/* ---- Composition (compat 1.2) --------------------------------------------------------------------------------- */

/* Composes map `source` over map `target` into *ret; neither changes.  Errors: "illegal-composite" ("PROV: Failure
 * composing ['a', 'b']: ..."), "invalid-data" (directives mixed with other keys). */
int yaml_compose(struct arena *arena, const struct yaml_node *source, const struct yaml_node *target,
		 const struct yaml_node **ret, struct diag *diag);
/* What the peer's source._composite_under(target) leaves in target: target composed over source; target's own keys
 * first, target's provenance. */
int yaml_compose_under(struct arena *arena, const struct yaml_node *source, const struct yaml_node *target,
		       const struct yaml_node **ret, struct diag *diag);
/* 0 unless a list directive is left: "trailing-list-directive", "Attempt to override non-existing list". */
int yaml_check_composited(const struct yaml_node *node, struct diag *diag);

/* ---- Writing -------------------------------------------------------------------------------------------------- */

/* Adds a map as block-style YAML that yaml_parse reads back to an equal tree (provenance aside): plain scalars where
 * that is safe, else quoted, as public data and artifact metadata are kept.  Text that libyaml would refuse in quotes
 * cannot occur in a tree. */
void yaml_write(struct buf *out, const struct yaml_node *map);
/* The escape sequence that stands for this character in double quotes: "\n", "\x07", "\U0001F600". */
void yaml_write_escape(struct buf *out, uint32_t c);
/* Adds one scalar as a value or item, for writers with a layout of their own.  An empty value is nothing at all:
 * no blank belongs before it. */
void yaml_write_scalar(struct buf *out, const char *text, size_t len);
/* Adds "key: value" and the line's end. */
void yaml_write_pair(struct buf *out, const char *key, const char *value);
/* Same shape, same text, same order of keys? */
bool yaml_equal(const struct yaml_node *a, const struct yaml_node *b);

/* Text without blanks at its ends, as Python's str.strip(): start and length within text. */
const char *yaml_strip(const char *text, size_t *len);

#endif

/* Composition: see yaml.h and compat 1.2.
 *
 * The peer changes the target in place; here every level makes a new map when something in it changed.  Where the peer
 * clones (and so strips) a value it sets, yaml_clone stands; where it moves nodes over as they are, nothing does.
 */
#include "yaml/yaml_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct hop { /* the path from the root, for errors */
	const struct hop *up;
	const struct yaml_entry *entry;
};

struct compose {
	struct arena *arena;
	const struct yaml_node *source; /* the root's, whose provenance errors start with */
	struct diag *diag;
};

static int compose_maps(const struct compose *c, const struct yaml_node *source, const struct yaml_node *target,
			const struct hop *up, unsigned depth, const struct yaml_node **ret);

static void print_path(struct buf *out, const struct hop *hop)
{
	if (!hop)
		return;
	print_path(out, hop->up);
	buf_adds(out, hop->up ? ", " : "");
	yaml_py_repr(out, hop->entry->key, hop->entry->key_len);
}

/* "PROV of the root: Failure composing ['a', 'b']: PROV of the value: WHAT PROV of the target" */
static int illegal(const struct compose *c, const struct hop *hop, const char *what, const struct yaml_node *source,
		   const struct yaml_node *target)
{
	_cleanup_buf_ struct buf path = BUF_INIT, from = BUF_INIT, to = BUF_INIT;

	print_path(&path, hop);
	yaml_provenance(&from, source);
	yaml_provenance(&to, target);
	return yaml_error(c->diag, c->source, "illegal-composite", "Failure composing [%s]: %s: %s %s", buf_text(&path),
			  buf_text(&from), what, buf_text(&to));
}

/* 1: a map of list directives only; 0: anything else; < 0: mixed with other keys. */
static int is_composite(const struct compose *c, const struct yaml_node *node)
{
	uint32_t directives = 0;

	if (node->type != YAML_MAP || !(node->flags & YAML_HAS_DIRECTIVE))
		return 0;
	for (uint32_t i = 0; i < node->count; i++)
		directives += yaml_is_directive(&node->entries[i]);
	if (directives && directives < node->count)
		return yaml_error(c->diag, node, "invalid-data",
				  "Dictionary contains list composition directives and arbitrary keys");
	return directives > 0;
}

/* The lists of a map of directives; the peer dies of a TypeError where one is no list. */
struct directives {
	const struct yaml_node *clobber, *prefix, *suffix;
};

static int read_directives(const struct compose *c, const struct yaml_node *map, struct directives *ret)
{
	*ret = (struct directives){ 0 };
	if (yaml_get_list(map, "(=)", &ret->clobber, c->diag) < 0 || yaml_get_list(map, "(<)", &ret->prefix, c->diag) < 0 ||
	    yaml_get_list(map, "(>)", &ret->suffix, c->diag) < 0)
		return -EINVAL;
	return 0;
}

/* a's items and b's, as a list that stands where `place` stands.  a and b may be NULL. */
static const struct yaml_node *joined(struct arena *arena, const struct yaml_node *place, const struct yaml_node *a,
				      const struct yaml_node *b)
{
	size_t a_count = a ? a->count : 0, b_count = b ? b->count : 0;
	const struct yaml_node **items, *ret;

	if (place == a && !b_count)
		return place;
	items = xmalloc((a_count + b_count + 1) * sizeof(const struct yaml_node *));
	if (a_count)
		memcpy(items, a->items, a_count * sizeof(const struct yaml_node *));
	if (b_count)
		memcpy(items + a_count, b->items, b_count * sizeof(const struct yaml_node *));
	ret = yaml_with_items(arena, place, items, (uint32_t)(a_count + b_count));
	free(items);
	return ret;
}

static int directives_on_list(const struct compose *c, const struct yaml_node *source, const struct yaml_node *target,
			      const struct yaml_node **ret)
{
	const struct yaml_node *list = target;
	struct directives d;

	if (read_directives(c, source, &d) < 0)
		return -EINVAL;
	if (d.clobber)
		list = joined(c->arena, target, d.clobber, NULL);
	if (d.prefix)
		list = joined(c->arena, target, d.prefix, list);
	if (d.suffix)
		list = joined(c->arena, list, list, d.suffix);
	*ret = list;
	return 0;
}

/* Prefix or suffix of a pending map of directives after another one was put over it. */
static const struct yaml_node *merged(struct arena *arena, bool clobbers, const struct yaml_node *mine,
				      const struct yaml_node *theirs, bool mine_first)
{
	if (clobbers)
		return mine || !theirs ? mine : joined(arena, theirs, NULL, NULL);
	if (!mine || !theirs)
		return mine ? mine : theirs;
	return mine_first ? joined(arena, theirs, mine, theirs) : joined(arena, theirs, theirs, mine);
}

static int directives_on_directives(const struct compose *c, const struct yaml_node *source,
				    const struct yaml_node *target, const struct yaml_node **ret)
{
	struct directives d, t;
	const struct yaml_node *map = target, *prefix, *suffix;

	if (read_directives(c, source, &d) < 0 || read_directives(c, target, &t) < 0)
		return -EINVAL;
	if (d.clobber)
		map = yaml_map_set(c->arena, map, "(=)", d.clobber);
	prefix = merged(c->arena, d.clobber, d.prefix, t.prefix, true);
	suffix = merged(c->arena, d.clobber, d.suffix, t.suffix, false);
	if (prefix != t.prefix)
		map = yaml_map_set(c->arena, map, "(<)", prefix);
	if (suffix != t.suffix)
		map = yaml_map_set(c->arena, map, "(>)", suffix);
	*ret = map;
	return 0;
}

/* ---- One value over another; old is NULL where the target has no such key ---- */

static int scalar_on(const struct compose *c, const struct hop *hop, const struct yaml_node *old,
		     const struct yaml_node **ret)
{
	const struct yaml_node *value = hop->entry->value;

	if (old && old->type != YAML_SCALAR)
		return illegal(c, hop, "Cannot compose scalar on non-scalar at", value, old);
	*ret = yaml_clone(c->arena, value);
	return 0;
}

static int list_on(const struct compose *c, const struct hop *hop, const struct yaml_node *old,
		   const struct yaml_node **ret)
{
	const struct yaml_node *value = hop->entry->value;
	int pending = old ? is_composite(c, old) : 0;
	_cleanup_buf_ struct buf what = BUF_INIT;

	if (pending < 0)
		return pending;
	if (!old || pending || old->type == YAML_LIST) {
		bool conditions = old && old->type == YAML_LIST && yaml_key_is(hop->entry, "(?)", 3);
		*ret = conditions ? joined(c->arena, old, old, value) : yaml_clone(c->arena, value);
		return 0;
	}
	buf_printf(&what, "List cannot overwrite %s at:", hop->entry->key);
	return illegal(c, hop, buf_text(&what), value, old);
}

static int directives_on(const struct compose *c, const struct hop *hop, const struct yaml_node *old,
			 const struct yaml_node **ret)
{
	const struct yaml_node *value = hop->entry->value;
	int pending;

	if (!old) {
		*ret = yaml_clone(c->arena, value);
		return 0;
	}
	if (old->type == YAML_LIST)
		return directives_on_list(c, value, old, ret);
	pending = is_composite(c, old);
	if (pending < 0)
		return pending;
	if (pending)
		return directives_on_directives(c, value, old, ret);
	return illegal(c, hop, "Cannot compose lists onto", value, old);
}

static int map_on(const struct compose *c, const struct hop *hop, unsigned depth, const struct yaml_node *old,
		  const struct yaml_node **ret)
{
	const struct yaml_node *value = hop->entry->value;

	if (old && old->type != YAML_MAP)
		return illegal(c, hop, "Cannot compose dict on non-dict at", value, old);
	return compose_maps(c, value, old, hop, depth + 1, ret);
}

static int value_on(const struct compose *c, const struct hop *hop, unsigned depth, const struct yaml_node *old,
		    const struct yaml_node **ret)
{
	const struct yaml_node *value = hop->entry->value;
	int pending;

	if (value->type == YAML_SCALAR)
		return scalar_on(c, hop, old, ret);
	if (value->type == YAML_LIST)
		return list_on(c, hop, old, ret);
	pending = is_composite(c, value);
	if (pending < 0)
		return pending;
	return pending ? directives_on(c, hop, old, ret) : map_on(c, hop, depth, old, ret);
}

/* ---- Maps ---- */

/* A target that was not there: the source itself if composing it on nothing changes nothing in it. */
static bool stands_alone(const struct yaml_node *source)
{
	return !(source->flags & (YAML_HAS_DIRECTIVE | YAML_UNSTRIPPED));
}

static int compose_entries(const struct compose *c, const struct yaml_node *source, const struct yaml_node *target,
			   const struct hop *up, unsigned depth, struct yaml_entry *entries, size_t *count)
{
	for (uint32_t i = 0; i < source->count; i++) {
		const struct yaml_entry *entry = &source->entries[i];
		struct hop hop = { up, entry };
		int64_t at = target ? yaml_find_entry(target, entry->key, entry->key_len, entry->hash) : -1;
		const struct yaml_node *value = NULL;
		int r = value_on(c, &hop, depth, at < 0 ? NULL : entries[at].value, &value);

		if (r < 0)
			return r;
		if (at < 0) {
			entries[*count] = *entry;
			at = (int64_t)(*count)++;
		}
		entries[at].value = value;
	}
	return 0;
}

static int compose_maps(const struct compose *c, const struct yaml_node *source, const struct yaml_node *target,
			const struct hop *up, unsigned depth, const struct yaml_node **ret)
{
	struct yaml_entry *entries;
	struct yaml_node *map;
	size_t count = target ? target->count : 0;
	int r;

	if (!target && stands_alone(source)) {
		*ret = source;
		return 0;
	}
	if (depth > YAML_MAX_DEPTH)
		return yaml_error(c->diag, source, "illegal-composite", "Maps and lists are nested more than %d levels deep",
				  YAML_MAX_DEPTH);
	entries = xmalloc((count + source->count + 1) * sizeof(*entries));
	if (count)
		memcpy(entries, target->entries, count * sizeof(*entries));
	r = compose_entries(c, source, target, up, depth, entries, &count);
	if (r == 0) {
		map = yaml_shallow(c->arena, target ? target : source);
		if (source->file) {
			map->file = source->file;
			map->line = source->line;
			map->column = source->column;
		}
		yaml_set_entries(c->arena, map, entries, count);
		*ret = map;
	}
	free(entries);
	return r;
}

int yaml_compose(struct arena *arena, const struct yaml_node *source, const struct yaml_node *target,
		 const struct yaml_node **ret, struct diag *diag)
{
	struct compose c = { arena, source, diag };

	assert(source->type == YAML_MAP && target->type == YAML_MAP);
	return compose_maps(&c, source, target, NULL, 1, ret);
}

int yaml_compose_under(struct arena *arena, const struct yaml_node *source, const struct yaml_node *target,
		       const struct yaml_node **ret, struct diag *diag)
{
	const struct yaml_node *both = NULL;
	struct yaml_map_builder builder = YAML_MAP_BUILDER_INIT;
	int r = yaml_compose(arena, target, source, &both, diag);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < target->count; i++) {
		const struct yaml_entry *entry = &target->entries[i];
		int64_t at = yaml_find_entry(both, entry->key, entry->key_len, entry->hash);

		yaml_map_add(&builder, entry->key, entry->key_len, both->entries[at].value);
	}
	for (uint32_t i = 0; i < source->count; i++) {
		const struct yaml_entry *entry = &source->entries[i];

		if (yaml_find_entry(target, entry->key, entry->key_len, entry->hash) < 0)
			yaml_map_add(&builder, entry->key, entry->key_len,
				     both->entries[i].value /* source's keys keep their places */);
	}
	*ret = yaml_map_build(&builder, arena, target);
	yaml_map_builder_release(&builder);
	return 0;
}

int yaml_check_composited(const struct yaml_node *node, struct diag *diag)
{
	if (!(node->flags & YAML_HAS_DIRECTIVE))
		return 0;
	for (uint32_t i = 0; i < node->count; i++) {
		const struct yaml_node *value = node->type == YAML_MAP ? node->entries[i].value : node->items[i];
		int r;

		if (node->type == YAML_MAP && yaml_is_directive(&node->entries[i]))
			return yaml_error(diag, value, "trailing-list-directive",
					  "Attempt to override non-existing list");
		r = yaml_check_composited(value, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

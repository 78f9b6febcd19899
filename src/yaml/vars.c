/* The values of variables, in two layers: see vars.h.
 *
 * Everything is by slot: a name's number.  A base knows for each slot who refers to it, so an element marks what it
 * defines, follows the users, and resolves just the marked slots, depth first with a stack of its own.
 */
#include "yaml/vars_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum mark { OPEN, ON_PATH, DONE };

struct frame {
	uint32_t slot;
	size_t at; /* how far its definition was scanned: bytes, or references if it is the base's */
};

/* One run of resolving. */
struct resolve {
	const struct yaml_vars *vars; /* for names and definitions */
	struct arena *arena;
	struct yaml_var *values;
	uint8_t *marks;
	struct frame *stack;
	size_t depth, stack_cap;
	struct buf text;
	size_t left; /* bytes that may still be produced */
};

uint32_t yaml_vars_slot(const struct yaml_vars *vars, const char *name, size_t len)
{
	uint32_t slot = strmap_get(&vars->base->names, name, len);
	int64_t at;

	if (slot != STRMAP_NONE || !vars->over)
		return slot;
	at = yaml_find_entry(vars->over, name, len, strmap_hash(name, len));
	return at < 0 ? STRMAP_NONE : vars->over_slots[at];
}

int yaml_vars_subst(const struct yaml_vars *vars, const char *text, size_t len, struct buf *out, size_t *left)
{
	const char *name;
	size_t done = 0, at = 0, name_len;

	while (yaml_next_ref(text, len, &at, &name, &name_len)) {
		uint32_t slot = yaml_vars_slot(vars, name, name_len);
		const struct yaml_var *value = slot == STRMAP_NONE ? NULL : &vars->values[slot];

		if (!value || !value->text || value->text_len > *left)
			return -EINVAL;
		*left -= value->text_len;
		buf_add(out, text + done, at - done);
		buf_add(out, value->text, value->text_len);
		at += name_len + 3;
		done = at;
	}
	buf_add(out, text + done, len - done);
	return 0;
}

/* Is the slot's definition the base's, whose references are known? */
static bool is_of_base(const struct yaml_vars *vars, uint32_t slot)
{
	return slot < vars->base->map->count && vars->definitions[slot] == vars->base->definitions[slot];
}

/* yaml_vars_subst of a definition of the base. */
static int subst_of_base(const struct yaml_vars *vars, uint32_t slot, struct buf *out, size_t *left)
{
	const struct yaml_vars_base *base = vars->base;
	const struct yaml_node *node = base->definitions[slot];
	size_t done = 0;

	for (uint32_t i = base->refs_from[slot]; i < base->refs_from[slot + 1]; i++) {
		const struct yaml_var_ref *ref = &base->refs[i];
		const struct yaml_var *value = &vars->values[ref->slot];

		if (!value->text || value->text_len > *left)
			return -EINVAL;
		*left -= value->text_len;
		buf_add(out, node->text + done, ref->at - done);
		buf_add(out, value->text, value->text_len);
		done = ref->at + ref->len_bytes;
	}
	buf_add(out, node->text + done, node->count - done);
	return 0;
}

static void push(struct resolve *rs, uint32_t slot)
{
	rs->stack = util_grow(rs->stack, &rs->stack_cap, rs->depth + 1, sizeof(*rs->stack));
	rs->stack[rs->depth++] = (struct frame){ slot, 0 };
	rs->marks[slot] = ON_PATH;
}

/* All that the slot refers to has its value: make its own. */
static bool finish(struct resolve *rs, uint32_t slot)
{
	const struct yaml_node *node = rs->vars->definitions[slot];
	struct yaml_var *value = &rs->values[slot];

	value->text = node->text;
	value->text_len = node->count;
	if (node->flags & YAML_HAS_REF) {
		buf_clear(&rs->text);
		if ((is_of_base(rs->vars, slot) ?
			     subst_of_base(rs->vars, slot, &rs->text, &rs->left) :
			     yaml_vars_subst(rs->vars, node->text, node->count, &rs->text, &rs->left)) < 0)
			return false;
		value->text = arena_strndup(rs->arena, buf_text(&rs->text), rs->text.len);
		value->text_len = (uint32_t)rs->text.len;
	}
	rs->marks[slot] = DONE;
	rs->depth--;
	return true;
}

/* The next slot that the one of this frame refers to; false: there is none. */
static bool next_used(const struct yaml_vars *vars, struct frame *frame, uint32_t *ret)
{
	const struct yaml_vars_base *base = vars->base;
	const struct yaml_node *node = vars->definitions[frame->slot];
	const char *name;
	size_t name_len;

	if (is_of_base(vars, frame->slot)) {
		uint32_t from = base->refs_from[frame->slot];

		if (frame->at == base->refs_from[frame->slot + 1] - from)
			return false;
		*ret = base->refs[from + frame->at++].slot;
		return true;
	}
	if (!yaml_next_ref(node->text, node->count, &frame->at, &name, &name_len))
		return false;
	*ret = yaml_vars_slot(vars, name, name_len);
	frame->at += name_len + 3;
	return true;
}

/* Goes on with the slot on top of the stack: to a slot it needs first, or to its end.  False: no way to resolve it. */
static bool step(struct resolve *rs)
{
	struct frame *frame = &rs->stack[rs->depth - 1];
	uint32_t slot;

	while (next_used(rs->vars, frame, &slot)) {
		if (slot == STRMAP_NONE || !rs->vars->definitions[slot] || rs->marks[slot] == ON_PATH)
			return false;
		if (rs->marks[slot] == DONE && !rs->values[slot].text)
			return false; /* given up already */
		if (rs->marks[slot] == OPEN) {
			push(rs, slot);
			return true;
		}
	}
	return finish(rs, frame->slot);
}

/* False: slot cannot be resolved; all slots on the path are given up. */
static bool resolve(struct resolve *rs, uint32_t slot)
{
	if (rs->marks[slot] == DONE)
		return rs->values[slot].text;
	push(rs, slot);
	while (rs->depth)
		if (!step(rs))
			break;
	if (!rs->depth)
		return true;
	while (rs->depth)
		rs->marks[rs->stack[--rs->depth].slot] = DONE;
	return false;
}

static void resolve_release(struct resolve *rs)
{
	free(rs->marks);
	free(rs->stack);
	buf_release(&rs->text);
}

/* ---- The base ---- */

static int check_scalars(const struct yaml_node *map, struct diag *diag)
{
	const struct yaml_node *scalar;

	for (uint32_t i = 0; i < map->count; i++)
		if (map->entries[i].value->type != YAML_SCALAR)
			return yaml_get_scalar(map, map->entries[i].key, &scalar, diag);
	return 0;
}

static uint32_t add_slot(struct yaml_vars_base *base, const char *name, size_t len, size_t *cap)
{
	struct strmap_slot *slot = strmap_slot(&base->names, name, len);

	if (slot->value != STRMAP_NONE)
		return slot->value;
	slot->value = base->count;
	if (name[len])
		slot->key = name = arena_strndup(base->arena, name, len); /* out of a reference: "name}..." */
	base->values = util_grow(base->values, cap, base->count + 1, sizeof(*base->values));
	base->values[base->count] = (struct yaml_var){ .name = name, .name_len = (uint32_t)len };
	return base->count++;
}

/* Numbers all names, defined ones first, and collects who refers to whom. */
static void number_names(struct yaml_vars_base *base)
{
	size_t cap = 0, count = 0, slots_cap = 0, name_len;
	const char *name;

	base->refs_from = xreallocarray(NULL, base->map->count + (size_t)1, sizeof(*base->refs_from));
	for (uint32_t i = 0; i < base->map->count; i++)
		add_slot(base, base->map->entries[i].key, base->map->entries[i].key_len, &slots_cap);
	for (uint32_t i = 0; i < base->map->count; i++) {
		const struct yaml_node *node = base->map->entries[i].value;

		base->refs_from[i] = (uint32_t)count;
		for (size_t at = 0; yaml_next_ref(node->text, node->count, &at, &name, &name_len); at += name_len + 3) {
			base->refs = util_grow(base->refs, &cap, count + 1, sizeof(*base->refs));
			base->refs[count++] = (struct yaml_var_ref){
				.at = (uint32_t)at, .len_bytes = (uint32_t)name_len + 3,
				.slot = add_slot(base, name, name_len, &slots_cap) };
		}
	}
	base->refs_from[base->map->count] = (uint32_t)count;
}

/* References, grouped by the slot that is used. */
static void index_users(struct yaml_vars_base *base)
{
	uint32_t count = base->refs_from[base->map->count];
	uint32_t *from = ARENA_ARRAY(base->arena, uint32_t, base->count + 2);

	base->users = ARENA_ARRAY(base->arena, uint32_t, count + (size_t)1);
	for (uint32_t i = 0; i < count; i++)
		from[base->refs[i].slot + 2]++;
	for (uint32_t s = 0; s < base->count; s++)
		from[s + 2] += from[s + 1];
	for (uint32_t user = 0; user < base->map->count; user++)
		for (uint32_t i = base->refs_from[user]; i < base->refs_from[user + 1]; i++)
			base->users[from[base->refs[i].slot + 1]++] = user;
	base->users_from = from;
}

static int by_name(const void *a, const void *b, void *data)
{
	const struct yaml_var *values = data, *x = &values[*(const uint32_t *)a], *y = &values[*(const uint32_t *)b];
	int order = memcmp(x->name, y->name, MIN(x->name_len, y->name_len));

	return order ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

static void sort_names(struct yaml_vars_base *base)
{
	base->sorted = ARENA_ARRAY(base->arena, uint32_t, base->map->count + 1);
	base->sorted_count = base->map->count;
	for (uint32_t i = 0; i < base->map->count; i++)
		base->sorted[i] = i;
	qsort_r(base->sorted, base->sorted_count, sizeof(*base->sorted), by_name, base->values);
}

static void resolve_base(struct yaml_vars_base *base)
{
	struct yaml_vars view = { .base = base, .values = base->values, .definitions = base->definitions,
				  .count = base->count };
	struct resolve rs = { .vars = &view, .arena = base->arena, .values = base->values,
			      .marks = xcalloc(base->count + 1, 1), .left = YAML_VARS_MAX_BYTES };

	base->pending = ARENA_ARRAY(base->arena, uint32_t, base->map->count + 1);
	for (uint32_t i = 0; i < base->map->count; i++)
		if (!resolve(&rs, i))
			base->pending[base->pending_count++] = i;
	resolve_release(&rs);
}

int yaml_vars_base_new(struct arena *arena, const struct yaml_node *map, struct yaml_vars_base **ret,
		       struct diag *diag)
{
	struct yaml_vars_base *base;
	int r = check_scalars(map, diag);

	if (r < 0)
		return r;
	base = xcalloc(1, sizeof(*base));
	base->arena = arena;
	base->map = map;
	number_names(base);
	base->words = base->count / 64 + 1;
	base->none_changed = ARENA_ARRAY(arena, uint64_t, base->words);
	base->definitions = ARENA_ARRAY(arena, const struct yaml_node *, base->count + 1);
	for (uint32_t i = 0; i < map->count; i++)
		base->definitions[i] = map->entries[i].value;
	index_users(base);
	sort_names(base);
	resolve_base(base);
	*ret = base;
	return 0;
}

void yaml_vars_base_free(struct yaml_vars_base *base)
{
	if (!base)
		return;
	strmap_release(&base->names);
	free(base->values);
	free(base->refs);
	free(base->refs_from);
	free(base->prepared);
	free(base);
}

/* ---- One element ---- */

/* The node that decides for `key`: the element's or the base's. */
static const struct yaml_node *effective(const struct yaml_vars_base *base, const struct yaml_node *over,
					 const char *key)
{
	const struct yaml_node *node = over ? yaml_get(over, key) : NULL;

	return node ? node : yaml_get(base->map, key);
}

/* `notparallel: True` makes max-jobs 1, whatever it was. */
static int apply_notparallel(struct arena *arena, const struct yaml_vars_base *base, const struct yaml_node **over,
			     struct diag *diag)
{
	const struct yaml_node *node = effective(base, *over, "notparallel"), *old;
	bool notparallel = false;
	struct yaml_node *one;

	if (!node)
		return 0;
	if (yaml_as_bool(node, "notparallel", &notparallel, diag) < 0)
		return -EINVAL;
	if (!notparallel)
		return 0;
	old = effective(base, *over, "max-jobs");
	one = yaml_shallow(arena, old ? old : yaml_str(arena, "1", node));
	yaml_set_text(one, "1", 1);
	*over = yaml_map_set(arena, *over ? *over : yaml_empty_map(arena, NULL), "max-jobs", one);
	return 0;
}

static int check_over(struct arena *arena, const struct yaml_vars_base *base, const struct yaml_node *over,
		      struct diag *diag)
{
	const struct yaml_node *both = NULL;
	bool notparallel;
	uint32_t i = 0;

	while (i < over->count && over->entries[i].value->type == YAML_SCALAR)
		i++;
	if (i == over->count)
		return 0;
	/* Only a scalar can end well: this finds the error that the peer meets first. */
	if (yaml_compose(arena, over, base->map, &both, diag) < 0 ||
	    yaml_get_bool(both, "notparallel", &notparallel, diag) < 0)
		return -EINVAL;
	return check_scalars(both, diag);
}

/* What an element adds, while it is being put together. */
struct layer {
	struct yaml_vars *vars;
	struct arena *arena, *scratch;
	struct yaml_var *values;
	const struct yaml_node **definitions;
	uint64_t *changed;
	uint32_t *queue, queued;
};

static void mark_changed(struct layer *layer, uint32_t slot)
{
	if (yaml_bit(layer->changed, slot))
		return;
	yaml_set_bit(layer->changed, slot);
	layer->values[slot].text = NULL;
	layer->values[slot].text_len = 0;
	layer->queue[layer->queued++] = slot;
}

/* Gives slots to the element's own names and puts its definitions in their places. */
static void define(struct layer *layer)
{
	const struct yaml_vars_base *base = layer->vars->base;
	const struct yaml_node *over = layer->vars->over;
	uint32_t *slots = ARENA_ARRAY(layer->scratch, uint32_t, (over ? over->count : 0) + 1);

	layer->vars->over_slots = slots;
	for (uint32_t i = 0; over && i < over->count; i++) {
		const struct yaml_entry *entry = &over->entries[i];
		const struct yaml_node *node = yaml_clone(layer->arena, entry->value), *old = NULL;
		uint32_t slot = strmap_get(&base->names, entry->key, entry->key_len);

		if (slot == STRMAP_NONE) {
			slot = layer->vars->count++;
			layer->values[slot] = (struct yaml_var){ .name = entry->key, .name_len = entry->key_len };
		} else {
			old = base->definitions[slot];
		}
		slots[i] = slot;
		layer->definitions[slot] = node;
		if (!old || old->count != node->count || memcmp(old->text, node->text, node->count) != 0)
			mark_changed(layer, slot);
	}
}

/* Whatever uses a changed variable changes, too. */
static void follow_users(struct layer *layer)
{
	const struct yaml_vars_base *base = layer->vars->base;

	for (uint32_t i = 0; i < base->pending_count; i++)
		mark_changed(layer, base->pending[i]);
	for (uint32_t q = 0; q < layer->queued; q++) {
		uint32_t slot = layer->queue[q];

		for (uint32_t u = slot < base->count ? base->users_from[slot] : 0;
		     slot < base->count && u < base->users_from[slot + 1]; u++)
			mark_changed(layer, base->users[u]);
	}
}

/* Changed after all?  A value that came out as the base's is shared with it. */
static void settle(struct layer *layer, uint32_t slot)
{
	const struct yaml_vars_base *base = layer->vars->base;
	const struct yaml_var *mine = &layer->values[slot], *theirs;

	if (slot >= base->count)
		return;
	theirs = &base->values[slot];
	assert(mine->text); /* resolved just now */
	if (!theirs->text || theirs->text_len != mine->text_len || memcmp(theirs->text, mine->text, mine->text_len) != 0)
		return;
	layer->values[slot] = *theirs;
	layer->changed[slot / 64] &= ~((uint64_t)1 << (slot % 64));
}

static int resolve_changed(struct layer *layer, struct diag *diag)
{
	struct resolve rs = { .vars = layer->vars, .arena = layer->arena, .values = layer->values,
			      .left = YAML_VARS_MAX_BYTES };
	uint32_t count = layer->vars->count, failed = STRMAP_NONE;

	rs.marks = xcalloc(count + 1, 1);
	for (uint32_t s = 0; s < count; s++)
		rs.marks[s] = yaml_bit(layer->changed, s) ? OPEN : DONE;
	for (uint32_t s = 0; s < count && failed == STRMAP_NONE; s++)
		if (rs.marks[s] == OPEN && layer->definitions[s] && !resolve(&rs, s))
			failed = s;
	for (uint32_t q = 0; q < layer->queued && failed == STRMAP_NONE; q++)
		if (layer->definitions[layer->queue[q]])
			settle(layer, layer->queue[q]);
	resolve_release(&rs);
	return failed == STRMAP_NONE ? 0 : yaml_vars_explain(layer->vars, failed, NULL, diag);
}

static int init_layer(struct yaml_vars *vars, struct arena *arena, struct arena *scratch, struct diag *diag)
{
	const struct yaml_vars_base *base = vars->base;
	uint32_t most = base->count + (vars->over ? vars->over->count : 0);
	struct layer layer = { .vars = vars, .arena = arena, .scratch = scratch };
	int r;

	layer.values = ARENA_ARRAY(scratch, struct yaml_var, most + 1);
	layer.definitions = ARENA_ARRAY(scratch, const struct yaml_node *, most + 1);
	layer.changed = ARENA_ARRAY(scratch, uint64_t, most / 64 + 1);
	layer.queue = xmalloc((most + 1) * sizeof(*layer.queue));
	if (base->count) {
		memcpy(layer.values, base->values, base->count * sizeof(*layer.values));
		memcpy(layer.definitions, base->definitions, base->count * sizeof(const struct yaml_node *));
	}
	vars->values = layer.values;
	vars->definitions = layer.definitions;
	vars->changed = layer.changed;
	define(&layer);
	follow_users(&layer);
	r = resolve_changed(&layer, diag);
	free(layer.queue);
	return r;
}

int yaml_vars_init(struct yaml_vars *vars, struct arena *arena, const struct yaml_vars_base *base,
		   const struct yaml_node *over, struct diag *diag)
{
	return yaml_vars_init_in(vars, arena, arena, base, over, diag);
}

int yaml_vars_init_in(struct yaml_vars *vars, struct arena *arena, struct arena *scratch,
		      const struct yaml_vars_base *base, const struct yaml_node *over, struct diag *diag)
{
	if (over && check_over(arena, base, over, diag) < 0)
		return -EINVAL;
	if (apply_notparallel(arena, base, &over, diag) < 0)
		return -EINVAL;
	*vars = (struct yaml_vars){ .base = base, .count = base->count, .over = over };
	if ((over && over->count) || base->pending_count)
		return init_layer(vars, arena, scratch, diag);
	vars->values = base->values;
	vars->definitions = base->definitions;
	vars->changed = base->none_changed;
	return 0;
}

/* ---- Asking ---- */

const char *yaml_vars_get(const struct yaml_vars *vars, const char *name, uint32_t *ret_len)
{
	uint32_t slot = yaml_vars_slot(vars, name, strlen(name));

	if (slot == STRMAP_NONE || !vars->values[slot].text)
		return NULL;
	if (ret_len)
		*ret_len = vars->values[slot].text_len;
	return vars->values[slot].text;
}

const struct yaml_node *yaml_vars_definition(const struct yaml_vars *vars, const char *name)
{
	uint32_t slot = yaml_vars_slot(vars, name, strlen(name));

	return slot == STRMAP_NONE ? NULL : vars->definitions[slot];
}

/* Slots that the base does not list: its undefined names that the element defines, and the element's own. */
static uint32_t *own_slots(const struct yaml_vars *vars, struct arena *arena, uint32_t *ret_count)
{
	uint32_t *slots = ARENA_ARRAY(arena, uint32_t, vars->count - vars->base->map->count + 1), count = 0;

	for (uint32_t s = vars->base->map->count; s < vars->count; s++)
		if (vars->definitions[s])
			slots[count++] = s;
	qsort_r(slots, count, sizeof(*slots), by_name, (void *)(uintptr_t)vars->values);
	*ret_count = count;
	return slots;
}

/* The first of the base's sorted slots from `low` on that comes behind slot `own`. */
static uint32_t behind(const struct yaml_vars *vars, uint32_t low, uint32_t own)
{
	const struct yaml_vars_base *base = vars->base;
	uint32_t high = base->sorted_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (by_name(&base->sorted[middle], &own, (void *)(uintptr_t)vars->values) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct yaml_var *yaml_vars_sorted(const struct yaml_vars *vars, struct arena *arena, uint32_t *ret_count)
{
	const struct yaml_vars_base *base = vars->base;
	uint32_t own_count = 0, n = 0, i = 0, k = 0;
	uint32_t *own = own_slots(vars, arena, &own_count);
	struct yaml_var *all = ARENA_ARRAY(arena, struct yaml_var, base->sorted_count + own_count + 1);

	for (; k <= own_count; k++) {
		uint32_t end = k < own_count ? behind(vars, i, own[k]) : base->sorted_count;

		while (i < end)
			all[n++] = vars->values[base->sorted[i++]];
		if (k < own_count)
			all[n++] = vars->values[own[k]];
	}
	*ret_count = n;
	return all;
}

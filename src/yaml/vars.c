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
	size_t at; /* how far its definition was scanned */
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
		if (yaml_vars_subst(rs->vars, node->text, node->count, &rs->text, &rs->left) < 0)
			return false;
		value->text = arena_strndup(rs->arena, buf_text(&rs->text), rs->text.len);
		value->text_len = (uint32_t)rs->text.len;
	}
	rs->marks[slot] = DONE;
	rs->depth--;
	return true;
}

/* Goes on with the slot on top of the stack: to a slot it needs first, or to its end.  False: no way to resolve it. */
static bool step(struct resolve *rs)
{
	struct frame *frame = &rs->stack[rs->depth - 1];
	const struct yaml_node *node = rs->vars->definitions[frame->slot];
	const char *name;
	size_t name_len;

	while (yaml_next_ref(node->text, node->count, &frame->at, &name, &name_len)) {
		uint32_t slot = yaml_vars_slot(rs->vars, name, name_len);

		if (slot == STRMAP_NONE || !rs->vars->definitions[slot] || rs->marks[slot] == ON_PATH)
			return false;
		if (rs->marks[slot] == DONE && !rs->values[slot].text)
			return false; /* given up already */
		frame->at += name_len + 3;
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

struct use { /* `user` refers to `used` */
	uint32_t used, user;
};

/* Numbers all names, defined ones first, and collects who refers to whom. */
static struct use *number_names(struct yaml_vars_base *base, size_t *ret_count)
{
	struct use *uses = NULL;
	size_t cap = 0, count = 0, slots_cap = 0, name_len;
	const char *name;

	for (uint32_t i = 0; i < base->map->count; i++)
		add_slot(base, base->map->entries[i].key, base->map->entries[i].key_len, &slots_cap);
	for (uint32_t i = 0; i < base->map->count; i++) {
		const struct yaml_node *node = base->map->entries[i].value;

		for (size_t at = 0; yaml_next_ref(node->text, node->count, &at, &name, &name_len); at += name_len + 3) {
			uses = util_grow(uses, &cap, count + 1, sizeof(*uses));
			uses[count++] = (struct use){ add_slot(base, name, name_len, &slots_cap), i };
		}
	}
	*ret_count = count;
	return uses;
}

/* uses, grouped by the slot that is used. */
static void index_users(struct yaml_vars_base *base, const struct use *uses, size_t count)
{
	uint32_t *from = ARENA_ARRAY(base->arena, uint32_t, base->count + 2);

	base->users = ARENA_ARRAY(base->arena, uint32_t, count + 1);
	for (size_t i = 0; i < count; i++)
		from[uses[i].used + 2]++;
	for (uint32_t s = 0; s < base->count; s++)
		from[s + 2] += from[s + 1];
	for (size_t i = 0; i < count; i++)
		base->users[from[uses[i].used + 1]++] = uses[i].user;
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
	struct use *uses;
	size_t use_count;
	int r = check_scalars(map, diag);

	if (r < 0)
		return r;
	base = xcalloc(1, sizeof(*base));
	base->arena = arena;
	base->map = map;
	uses = number_names(base, &use_count);
	base->words = base->count / 64 + 1;
	base->none_changed = ARENA_ARRAY(arena, uint64_t, base->words);
	base->definitions = ARENA_ARRAY(arena, const struct yaml_node *, base->count + 1);
	for (uint32_t i = 0; i < map->count; i++)
		base->definitions[i] = map->entries[i].value;
	index_users(base, uses, use_count);
	free(uses);
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

const struct yaml_var *yaml_vars_sorted(const struct yaml_vars *vars, struct arena *arena, uint32_t *ret_count)
{
	const struct yaml_vars_base *base = vars->base;
	uint32_t own_count, n = 0, i = 0, k = 0;
	uint32_t *own = own_slots(vars, arena, &own_count);
	struct yaml_var *all = ARENA_ARRAY(arena, struct yaml_var, base->sorted_count + own_count + 1);

	while (i < base->sorted_count || k < own_count) {
		bool take_base = k == own_count ||
				 (i < base->sorted_count &&
				  by_name(&base->sorted[i], &own[k], (void *)(uintptr_t)vars->values) < 0);
		all[n++] = vars->values[take_base ? base->sorted[i++] : own[k++]];
	}
	*ret_count = n;
	return all;
}

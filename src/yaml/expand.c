/* Trees with their variables expanded: see vars.h. */
#include "yaml/vars_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct expand {
	const struct yaml_vars *vars;
	struct arena *arena;
	struct diag *diag;
	struct buf text;
	size_t left;
};

static size_t pointer_hash(const void *p)
{
	return (size_t)((uint64_t)(uintptr_t)p * 0x9e3779b97f4a7c15u >> 20);
}

static struct prepared *find_prepared(const struct yaml_vars_base *base, const struct yaml_node *node)
{
	for (size_t i = pointer_hash(node);; i++) {
		struct prepared *at = &base->prepared[i & (base->prepared_cap - 1)];
		if (!at->node || at->node == node)
			return at;
	}
}

/* The expansion that all elements share, if this one changes nothing in it. */
static const struct yaml_node *shared_expansion(const struct yaml_vars *vars, const struct yaml_node *node)
{
	const struct prepared *at;

	if (!vars->base->prepared_count)
		return NULL;
	at = find_prepared(vars->base, node);
	if (!at->node)
		return NULL;
	for (uint32_t w = 0; w < vars->base->words; w++)
		if (at->uses[w] & vars->changed[w])
			return NULL;
	return at->expanded;
}

/* The expanded text as a node that stands where `old` stood; not stripped, as in the peer. */
static const struct yaml_node *expanded_scalar(struct arena *arena, const struct yaml_node *old, const struct buf *text)
{
	struct yaml_node *node = yaml_shallow(arena, old);

	yaml_set_text(node, arena_strndup(arena, buf_text(text), text->len), text->len);
	if (yaml_has_outer_blank(node->text, node->count))
		node->flags |= YAML_UNSTRIPPED;
	return node;
}

static int expand(struct expand *ex, const struct yaml_node *node, const struct yaml_node **ret);

static int expand_scalar(struct expand *ex, const struct yaml_node *node, const struct yaml_node **ret)
{
	size_t before = ex->left;

	buf_clear(&ex->text);
	if (yaml_vars_subst(ex->vars, node->text, node->count, &ex->text, &ex->left) < 0) {
		ex->left = before;
		return yaml_vars_explain(ex->vars, STRMAP_NONE, node, ex->diag);
	}
	*ret = expanded_scalar(ex->arena, node, &ex->text);
	return 0;
}

static int expand_children(struct expand *ex, const struct yaml_node *node, const struct yaml_node **ret)
{
	const struct yaml_node **values = xmalloc(node->count * sizeof(const struct yaml_node *));
	int r = 0;

	for (uint32_t i = 0; i < node->count && r == 0; i++)
		r = expand(ex, node->type == YAML_MAP ? node->entries[i].value : node->items[i], &values[i]);
	if (r == 0)
		*ret = node->type == YAML_MAP ? yaml_with_values(ex->arena, node, values) :
						yaml_with_items(ex->arena, node, values, node->count);
	free(values);
	return r;
}

static int expand(struct expand *ex, const struct yaml_node *node, const struct yaml_node **ret)
{
	const struct yaml_node *shared;

	if (!(node->flags & YAML_HAS_REF)) {
		*ret = node;
		return 0;
	}
	shared = shared_expansion(ex->vars, node);
	if (shared) {
		*ret = shared;
		return 0;
	}
	return node->type == YAML_SCALAR ? expand_scalar(ex, node, ret) : expand_children(ex, node, ret);
}

int yaml_vars_expand(const struct yaml_vars *vars, struct arena *arena, const struct yaml_node *node,
		     const struct yaml_node **ret, struct diag *diag)
{
	struct expand ex = { .vars = vars, .arena = arena, .diag = diag, .left = YAML_VARS_MAX_BYTES };
	int r = expand(&ex, node, ret);

	buf_release(&ex.text);
	return r;
}

int yaml_vars_expand_str(const struct yaml_vars *vars, struct arena *arena, const struct yaml_node *scalar,
			 const char **ret, struct diag *diag)
{
	const struct yaml_node *node = NULL;
	int r;

	assert(scalar->type == YAML_SCALAR);
	r = yaml_vars_expand(vars, arena, scalar, &node, diag);
	if (r != 0)
		return r;
	assert(node);
	*ret = node->text;
	return 0;
}

/* ---- Preparing ---- */

static void remember(struct yaml_vars_base *base, const struct yaml_node *node, const struct yaml_node *expanded,
		     const uint64_t *uses)
{
	if ((base->prepared_count + 1) * 2 > base->prepared_cap) {
		struct prepared *old = base->prepared;
		size_t old_cap = base->prepared_cap;

		base->prepared_cap = old_cap ? old_cap * 2 : 64;
		base->prepared = xcalloc(base->prepared_cap, sizeof(*base->prepared));
		for (size_t i = 0; i < old_cap; i++)
			if (old[i].node)
				*find_prepared(base, old[i].node) = old[i];
		free(old);
	}
	*find_prepared(base, node) = (struct prepared){ node, expanded, uses };
	base->prepared_count++;
}

static const struct yaml_node *prepare(struct yaml_vars_base *base, const struct yaml_node *node, uint64_t *uses,
				       size_t *left);

static const struct yaml_node *prepare_scalar(struct yaml_vars_base *base, const struct yaml_node *node,
					      uint64_t *uses, size_t *left)
{
	struct yaml_vars view = { .base = base, .values = base->values, .definitions = base->definitions,
				  .count = base->count };
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *name;
	size_t name_len;

	if (yaml_vars_subst(&view, node->text, node->count, &text, left) < 0)
		return NULL;
	for (size_t at = 0; yaml_next_ref(node->text, node->count, &at, &name, &name_len); at += name_len + 3)
		yaml_set_bit(uses, strmap_get(&base->names, name, name_len));
	return expanded_scalar(base->arena, node, &text);
}

static const struct yaml_node *prepare_children(struct yaml_vars_base *base, const struct yaml_node *node,
						uint64_t *uses, size_t *left)
{
	const struct yaml_node **values = xmalloc(node->count * sizeof(const struct yaml_node *)), *ret = NULL;
	bool complete = true;

	for (uint32_t i = 0; i < node->count; i++) {
		const struct yaml_node *child = node->type == YAML_MAP ? node->entries[i].value : node->items[i];

		values[i] = prepare(base, child, uses, left);
		complete = complete && values[i];
	}
	if (complete)
		ret = node->type == YAML_MAP ? yaml_with_values(base->arena, node, values) :
					       yaml_with_items(base->arena, node, values, node->count);
	free(values);
	return ret;
}

/* NULL: something in it cannot be resolved with the base alone.  Adds what it uses to uses. */
static const struct yaml_node *prepare(struct yaml_vars_base *base, const struct yaml_node *node, uint64_t *uses,
				       size_t *left)
{
	const struct yaml_node *expanded;
	uint64_t *own;

	if (!(node->flags & YAML_HAS_REF))
		return node;
	if (base->prepared_count && find_prepared(base, node)->node) {
		const struct prepared *at = find_prepared(base, node);
		for (uint32_t w = 0; w < base->words; w++)
			uses[w] |= at->uses[w];
		return at->expanded;
	}
	own = ARENA_ARRAY(base->arena, uint64_t, base->words);
	expanded = node->type == YAML_SCALAR ? prepare_scalar(base, node, own, left) :
					       prepare_children(base, node, own, left);
	for (uint32_t w = 0; w < base->words; w++)
		uses[w] |= own[w];
	if (expanded)
		remember(base, node, expanded, own);
	return expanded;
}

void yaml_vars_prepare(struct yaml_vars_base *base, const struct yaml_node *node)
{
	uint64_t *uses = xcalloc(base->words, sizeof(*uses));
	size_t left = YAML_VARS_MAX_BYTES;

	prepare(base, node, uses, &left);
	free(uses);
}

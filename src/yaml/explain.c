/* Why a variable cannot be resolved, in the peer's words.
 *
 * The peer retries a failed resolution on a slow path that keeps a last-in-first-out list of steps: at a step it looks at
 * all references in order (an undefined one ends it), then goes into the last reference first; a step whose name is
 * already among its ancestors is a circle.  Walking depth first, last reference first, meets the same fault first.
 */
#include "base/suggest.h"
#include "yaml/vars_internal.h"

#include <errno.h>
#include <stdlib.h>

struct hop {
	uint32_t slot;  /* STRMAP_NONE: the scalar that is being expanded */
	size_t from;    /* its references on the stack of references; the rest are still to be visited */
};

struct walk {
	const struct yaml_vars *vars;
	const struct yaml_node *scalar;
	struct diag *diag;
	struct hop *hops;
	size_t depth, hops_cap;
	uint32_t *refs;
	size_t ref_count, refs_cap;
	uint8_t *visited; /* 1: on the path; 2: left without a fault */
};

static const struct yaml_node *node_of(const struct walk *walk, uint32_t slot)
{
	return slot == STRMAP_NONE ? walk->scalar : walk->vars->definitions[slot];
}

static int undefined(struct walk *walk, const struct yaml_node *node, const char *name, size_t name_len)
{
	_cleanup_free_ char *word = xstrndup(name, name_len);
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct suggest suggest;

	suggest_init(&suggest, word);
	for (uint32_t slot = 0; slot < walk->vars->count; slot++)
		if (walk->vars->definitions[slot])
			suggest_offer(&suggest, walk->vars->values[slot].name);
	suggest_format(&suggest, &text);
	yaml_error(walk->diag, node, "unresolved-variable", "Reference to undefined variable '%s'", word);
	if (text.len)
		diag_detail(walk->diag, "%s", buf_text(&text));
	return -EINVAL;
}

static int circular(struct walk *walk, uint32_t slot)
{
	size_t first = walk->depth;

	while (walk->hops[first - 1].slot != slot)
		first--;
	diag_set(walk->diag, "load", "circular-reference-variable", "Circular dependency detected on variable '%s'",
		 walk->vars->values[slot].name);
	for (size_t i = first - 1; i < walk->depth; i++) {
		uint32_t from = walk->hops[i].slot, to = i + 1 < walk->depth ? walk->hops[i + 1].slot : slot;
		_cleanup_buf_ struct buf where = BUF_INIT;

		yaml_provenance(&where, walk->vars->definitions[from]);
		diag_detail(walk->diag, "%s: Variable '%s' refers to variable '%s'", buf_text(&where),
			    walk->vars->values[from].name, walk->vars->values[to].name);
	}
	return -EINVAL;
}

/* Puts the slot on the path and its references on their stack. */
static int enter(struct walk *walk, uint32_t slot)
{
	const struct yaml_node *node = node_of(walk, slot);
	const char *name;
	size_t name_len;

	walk->hops = util_grow(walk->hops, &walk->hops_cap, walk->depth + 1, sizeof(*walk->hops));
	walk->hops[walk->depth++] = (struct hop){ slot, walk->ref_count };
	if (slot != STRMAP_NONE)
		walk->visited[slot] = 1;
	for (size_t at = 0; yaml_next_ref(node->text, node->count, &at, &name, &name_len); at += name_len + 3) {
		uint32_t ref = yaml_vars_slot(walk->vars, name, name_len);

		if (ref == STRMAP_NONE || !walk->vars->definitions[ref])
			return undefined(walk, node, name, name_len);
		walk->refs = util_grow(walk->refs, &walk->refs_cap, walk->ref_count + 1, sizeof(*walk->refs));
		walk->refs[walk->ref_count++] = ref;
	}
	return 0;
}

static int search(struct walk *walk, uint32_t slot)
{
	int r = enter(walk, slot);

	while (r == 0 && walk->depth) {
		struct hop *hop = &walk->hops[walk->depth - 1];
		uint32_t next;

		if (walk->ref_count == hop->from) {
			if (hop->slot != STRMAP_NONE)
				walk->visited[hop->slot] = 2;
			walk->depth--;
			continue;
		}
		next = walk->refs[--walk->ref_count];
		if (walk->visited[next] == 1)
			r = circular(walk, next);
		else if (walk->visited[next] == 0 && walk->vars->definitions[next]->flags & YAML_HAS_REF)
			r = enter(walk, next);
	}
	return r;
}

int yaml_vars_explain(const struct yaml_vars *vars, uint32_t slot, const struct yaml_node *scalar, struct diag *diag)
{
	struct walk walk = { .vars = vars, .scalar = scalar, .diag = diag, .visited = xcalloc(vars->count + 1, 1) };
	int r = search(&walk, slot);

	free(walk.hops);
	free(walk.refs);
	free(walk.visited);
	if (r < 0)
		return r;
	return yaml_error(diag, slot == STRMAP_NONE ? scalar : vars->definitions[slot], "invalid-data",
			  "Variables expand to more than %d MiB of text", YAML_VARS_MAX_BYTES >> 20);
}

/* Circles, who depends on whom, the order of dependencies, and the elements' numbers.
 *
 * Whether one element depends on another, directly or not, is asked for pairs of direct dependencies only.  All elements
 * get a number in post-order, so that dependencies have smaller numbers; what a depth-first search found below an element
 * is a row of numbers that ends with its own.  That decides most questions.  For the rest a bit matrix is kept while it
 * is small; in a large graph a search goes down from the one element, not below the other's level.
 */
#include "project/project_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys.h"
#include "project/sort.h"

enum { MATRIX_MOST = 6000 }; /* elements; half of 6000 x 6000 bits are 2.2 MB */
enum { MOST_LEFT = 64 };
enum colour { NEW, OPEN, DONE };

struct order {
	struct project_loader *load;
	ITEMS(struct load_element *) sequence; /* by rank */
	uint64_t **matrix; /* by rank: a bit for each smaller rank, or NULL */
	ITEMS(struct load_element *) stack; /* of a search */
	uint32_t mark;
	ITEMS(struct load_element *) left; /* by the walk that makes elements; the first so many are finished, too: */
	size_t finished;
};

struct visit {
	struct load_element *element;
	uint32_t next;
};
typedef ITEMS(struct visit) visit_stack;

/* ---- circles and ranks ---- */

static int circle(const visit_stack *stack, const struct load_element *element, struct diag *diag)
{
	_cleanup_buf_ struct buf chain = BUF_INIT;
	size_t from = stack->count;

	while (stack->at[--from].element != element)
		;
	for (; from < stack->count; from++)
		buf_printf(&chain, "%s -> ", stack->at[from].element->full_name);
	return diag_set(diag, "load", "circular-dependency",
			"Circular dependency detected at element: %s\nDependency chain: %s%s", element->full_name,
			buf_text(&chain), element->full_name);
}

static void enter(struct order *order, visit_stack *stack, struct load_element *element)
{
	element->colour = OPEN;
	element->low = (uint32_t)order->sequence.count; /* the first rank given below it */
	element->level = 0;
	*items_add(stack) = (struct visit){ .element = element };
}

static int rank_from(struct order *order, visit_stack *stack, struct load_element *target, struct diag *diag)
{
	if (target->colour == NEW)
		enter(order, stack, target);
	while (stack->count > 0) {
		struct visit *top = &stack->at[stack->count - 1];
		struct load_element *element = top->element, *next;

		if (top->next == element->dep_count) {
			element->colour = DONE;
			element->rank = (uint32_t)order->sequence.count;
			*items_add(&order->sequence) = element;
			stack->count--;
			for (uint32_t i = 0; i < element->dep_count; i++)
				element->level = MAX(element->level, element->deps[i].element->level + 1);
			continue;
		}
		next = element->deps[top->next++].element;
		if (next->colour == OPEN)
			return circle(stack, next, diag);
		if (next->colour == NEW)
			enter(order, stack, next);
	}
	return 0;
}

/* ---- who depends on whom ---- */

static void fill_matrix(struct order *order)
{
	size_t count = order->sequence.count;

	if (count > MATRIX_MOST)
		return;
	order->matrix = xcalloc(count, sizeof(*order->matrix));
	for (size_t rank = 0; rank < count; rank++) {
		const struct load_element *element = order->sequence.at[rank];
		uint64_t *row = order->matrix[rank] = xcalloc(rank / 64 + 1, sizeof(*row));

		for (uint32_t i = 0; i < element->dep_count; i++) {
			uint32_t below = element->deps[i].element->rank;

			if (row[below / 64] & (uint64_t)1 << below % 64)
				continue;
			for (uint32_t word = 0; word <= below / 64; word++)
				row[word] |= order->matrix[below][word];
			row[below / 64] |= (uint64_t)1 << below % 64;
		}
	}
}

static bool search(struct order *order, struct load_element *from, const struct load_element *to)
{
	order->mark++;
	order->stack.count = 0;
	*items_add(&order->stack) = from;
	while (order->stack.count > 0) {
		struct load_element *element = order->stack.at[--order->stack.count];

		for (uint32_t i = 0; i < element->dep_count; i++) {
			struct load_element *next = element->deps[i].element;

			if (next == to || (next->low <= to->rank && to->rank < next->rank))
				return true;
			if (next->rank < to->rank || next->level <= to->level || next->mark == order->mark)
				continue;
			next->mark = order->mark;
			*items_add(&order->stack) = next;
		}
	}
	return false;
}

static bool depends(struct order *order, struct load_element *a, const struct load_element *b)
{
	if (b->rank >= a->rank || b->level >= a->level)
		return false;
	if (b->rank >= a->low)
		return true;
	if (order->matrix)
		return order->matrix[a->rank][b->rank / 64] >> b->rank % 64 & 1;
	return search(order, a, b);
}

/* ---- the order of dependencies (compat 1.8) ---- */

static int compare_junctions(const struct load_element *a, const struct load_element *b)
{
	const struct load_element *left = a->project->junction, *right = b->project->junction;

	if (left && right)
		return strcmp(left->name, right->name);
	/* The one from a junction goes first, whatever the peer's own comment says. */
	return left ? -1 : right ? 1 : 0;
}

static bool goes_before(const void *left, const void *right, void *data)
{
	const struct load_dep *a = left, *b = right;
	int by_name;

	if (depends(data, a->element, b->element))
		return false;
	if (depends(data, b->element, a->element))
		return true;
	if (a->type != b->type && (a->type == GRAPH_RUNTIME || b->type == GRAPH_RUNTIME))
		return b->type == GRAPH_RUNTIME;
	by_name = strcmp(a->element->name, b->element->name);
	return (by_name ? by_name : compare_junctions(a->element, b->element)) < 0;
}

static void sort_dependencies(struct order *order)
{
	struct arena *arena = order->load->arena;
	ITEMS(void *) list = { 0 };

	for (size_t rank = 0; rank < order->sequence.count; rank++) {
		struct load_element *element = order->sequence.at[rank];
		struct load_dep *sorted;

		if (element->dep_count < 2)
			continue;
		list.count = 0;
		for (uint32_t i = 0; i < element->dep_count; i++)
			*items_add(&list) = &element->deps[i];
		project_sort(list.at, list.count, goes_before, order);
		sorted = ARENA_ARRAY(arena, struct load_dep, element->dep_count);
		for (uint32_t i = 0; i < element->dep_count; i++)
			sorted[i] = *(struct load_dep *)list.at[i];
		element->deps = sorted;
	}
	free(list.at);
}

/* ---- numbers, then configuration ---- */

/* Elements are numbered so that dependencies come before dependants. */
static void number_from(struct order *order, visit_stack *stack, struct load_element *target)
{
	struct graph *graph = order->load->graph;

	if (target->id != GRAPH_NONE || target->colour == OPEN)
		return;
	target->colour = OPEN;
	*items_add(stack) = (struct visit){ .element = target };
	while (stack->count > 0) {
		struct visit *top = &stack->at[stack->count - 1];
		struct load_element *element = top->element, *next;

		if (top->next == element->dep_count) {
			element->id = graph_add_element(graph);
			stack->count--;
			continue;
		}
		next = element->deps[top->next++].element;
		if (next->id != GRAPH_NONE || next->colour == OPEN)
			continue;
		next->colour = OPEN;
		*items_add(stack) = (struct visit){ .element = next };
	}
}

/* ---- keys, beside configuration ---- */

void order_stop_keys(struct project_loader *load)
{
	keys_free(load->keys);
	free(load->all_keys);
	load->keys = NULL;
	load->all_keys = NULL;
}

/* All elements are numbered.  Nothing may move them from here on, or order_stop_keys must come first. */
static void start_keys(struct order *order)
{
	struct project_loader *load = order->load;
	size_t deps = 0;

	if (load->request->no_keys)
		return;
	load_publish_names(load);
	for (size_t rank = 0; rank < order->sequence.count; rank++)
		deps += order->sequence.at[rank]->dep_count;
	load->keys = keys_begin(load->graph, deps);
	load->all_keys_count = load->graph->element_count;
	load->all_keys = xcalloc((size_t)load->all_keys_count + 1, sizeof(*load->all_keys));
	if (!keys_start(load->keys, load->all_keys)) {
		order_stop_keys(load);
		return;
	}
	bodies_begin(load);
	digests_begin(load);
}

static void finish_keys(struct project_loader *load, bool good)
{
	int64_t start_us = load_now(load);

	if (load->keys && good)
		keys_finish(load->keys);
	else
		order_stop_keys(load);
	load->times.keys_us = load_now(load) - start_us;
}

static int open_element(visit_stack *stack, struct load_element *element, struct diag *diag)
{
	element->colour = DONE;
	*items_add(stack) = (struct visit){ .element = element };
	bodies_open(element->project->load, element);
	return element_configure(element, diag);
}

static int close_element(struct load_element *element, struct diag *diag)
{
	struct project_loader *load = element->project->load;
	int r = element_finish(element, diag);

	if (r >= 0 && load->keys)
		keys_feed(load->keys, element->id);
	bodies_close(load, element);
	return r;
}

/* Elements are finished in the order in which the walk left them, but some later: time for a second thread to look at what
 * their keys need (digests.c).  keep: so many may wait. */
static int close_some(struct order *order, size_t keep, struct diag *diag)
{
	int r = 0;

	while (r >= 0 && order->left.count - order->finished > keep)
		r = close_element(order->left.at[order->finished++], diag);
	if (order->finished == order->left.count)
		order->left.count = order->finished = 0;
	return r;
}

static int leave_element(struct order *order, struct load_element *element, struct diag *diag)
{
	/* a queue that moves up when half of its room is behind it */
	if (order->finished >= MOST_LEFT) {
		order->left.count -= order->finished;
		memmove(order->left.at, order->left.at + order->finished, order->left.count * sizeof(*order->left.at));
		order->finished = 0;
	}
	*items_add(&order->left) = element;
	return close_some(order, order->load->digests_ahead ? MOST_LEFT : 0, diag);
}

static int configure_from(struct order *order, visit_stack *stack, struct load_element *target, struct diag *diag)
{
	int r = target->colour != DONE ? open_element(stack, target, diag) : 0;

	while (r >= 0 && stack->count > 0) {
		struct visit *top = &stack->at[stack->count - 1];
		struct load_element *element = top->element, *next;

		if (top->next == element->dep_count) {
			stack->count--;
			r = leave_element(order, element, diag);
			continue;
		}
		next = element->deps[top->next++].element;
		if (next->colour != DONE)
			r = open_element(stack, next, diag);
	}
	return r;
}

int order_all(struct project_loader *load, struct load_element **targets, size_t count, struct diag *diag)
{
	struct order order = { .load = load, .mark = UINT32_MAX / 2 };
	int64_t start_us = load_now(load), sorted_us;
	visit_stack stack = { 0 };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < count; i++)
		r = rank_from(&order, &stack, targets[i], diag);
	if (r >= 0) {
		fill_matrix(&order);
		sort_dependencies(&order);
		for (size_t i = 0; i < count; i++)
			number_from(&order, &stack, targets[i]);
	}
	if (r >= 0)
		start_keys(&order);
	sorted_us = load_now(load);
	load->times.order_us = sorted_us - start_us;
	load->times.digests_us = 0;
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = configure_from(&order, &stack, targets[i], diag);
	if (r >= 0)
		r = close_some(&order, 0, diag);
	digests_end(load);
	load->times.compose_us = load_now(load) - sorted_us - load->times.digests_us;
	finish_keys(load, r >= 0);
	bodies_end(load);
	for (size_t rank = 0; order.matrix && rank < order.sequence.count; rank++)
		free(order.matrix[rank]);
	free(order.matrix);
	free(order.sequence.at);
	free(order.stack.at);
	free(order.left.at);
	free(stack.at);
	return r;
}

/* Arrays of elements and projects, and the peer's traversals: see graph.h. */
#include "graph/graph.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void graph_init(struct graph *graph)
{
	*graph = (struct graph){ .generation = 1 };
}

static void protect_block(void *start, size_t size_bytes, void *data)
{
	int prot = *(const int *)data;

	if (mprotect(start, size_bytes, prot) != 0)
		bug("mprotect of the graph's arena failed");
}

static void protect(struct graph *graph, int prot)
{
	arena_each_block(&graph->arena, protect_block, &prot);
}

void graph_release(struct graph *graph)
{
	if (graph->element_cap) /* else the array lives in the arena */
		free(graph->elements);
	if (graph->project_cap)
		free(graph->projects);
	arena_release(&graph->arena);
	*graph = (struct graph){ 0 };
}

/* Makes room for one more item.  A capacity of 0 means that the array is empty or went into the arena: it must not be
 * reallocated, so it moves out again. */
static void *room_for_one(void *array, uint32_t count, size_t *cap, size_t size_bytes)
{
	void *moved = array;

	if (*cap == 0) {
		*cap = MAX((size_t)count * 2, 16);
		moved = xcalloc(*cap, size_bytes);
		if (count > 0)
			memcpy(moved, array, count * size_bytes);
	}
	moved = util_grow(moved, cap, (size_t)count + 1, size_bytes);
	memset((char *)moved + count * size_bytes, 0, size_bytes);
	return moved;
}

uint32_t graph_add_element(struct graph *graph)
{
	assert(!graph->frozen && graph->element_count < GRAPH_NONE - 1);
	graph->elements =
		room_for_one(graph->elements, graph->element_count, &graph->element_cap, sizeof(*graph->elements));
	return graph->element_count++;
}

uint32_t graph_add_project(struct graph *graph)
{
	assert(!graph->frozen && graph->project_count < GRAPH_NONE - 1);
	graph->projects =
		room_for_one(graph->projects, graph->project_count, &graph->project_cap, sizeof(*graph->projects));
	return graph->project_count++;
}

static void *into_arena(struct arena *arena, void *array, uint32_t count, size_t *cap, size_t size_bytes)
{
	void *copy;

	if (*cap == 0)
		return array; /* empty, or there already */
	copy = arena_memdup(arena, array, count * size_bytes);
	free(array);
	*cap = 0;
	return copy;
}

void graph_freeze(struct graph *graph)
{
	assert(!graph->frozen);
	graph->elements = into_arena(&graph->arena, graph->elements, graph->element_count, &graph->element_cap,
				     sizeof(*graph->elements));
	graph->projects = into_arena(&graph->arena, graph->projects, graph->project_count, &graph->project_cap,
				     sizeof(*graph->projects));
	protect(graph, PROT_READ);
	graph->frozen = true;
}

void graph_thaw(struct graph *graph)
{
	assert(graph->frozen);
	protect(graph, PROT_READ | PROT_WRITE);
	graph->frozen = false;
	graph->generation++;
}

/* Walks.  One frame per element on the way down; `phase` tells which kind of dependency is being followed. */
struct frame {
	uint32_t element;
	uint32_t next; /* index into deps */
	uint8_t phase; /* ALL follows build dependencies first, then runtime ones */
};

static bool mark(struct graph_walk *walk, uint32_t id)
{
	if (walk->marks[id] == walk->mark)
		return false;
	walk->marks[id] = walk->mark;
	return true;
}

static void push(struct graph_walk *walk, uint32_t *depth, uint32_t element, uint8_t phase)
{
	walk->stack = util_grow(walk->stack, &walk->stack_cap, (size_t)*depth + 1, sizeof(struct frame));
	((struct frame *)walk->stack)[(*depth)++] = (struct frame){ .element = element, .phase = phase };
}

static void emit(struct graph_walk *walk, uint32_t id)
{
	walk->ids = util_grow(walk->ids, &walk->cap, (size_t)walk->count + 1, sizeof(*walk->ids));
	walk->ids[walk->count++] = id;
}

/* Post-order from one element that is marked already.  all: build and runtime dependencies, else runtime only. */
static void descend(struct graph_walk *walk, const struct graph *graph, uint32_t start, bool all)
{
	uint32_t depth = 0;

	push(walk, &depth, start, all ? GRAPH_BUILD : GRAPH_RUNTIME);
	while (depth > 0) {
		struct frame *top = (struct frame *)walk->stack + depth - 1;
		const struct graph_element *element = &graph->elements[top->element];

		if (top->next == element->dep_count && top->phase == GRAPH_BUILD) {
			top->phase = GRAPH_RUNTIME;
			top->next = 0;
		} else if (top->next == element->dep_count) {
			emit(walk, top->element);
			depth--;
		} else {
			const struct graph_dep *dep = &element->deps[top->next++];

			if ((dep->type & top->phase) && mark(walk, dep->element))
				push(walk, &depth, dep->element, all ? GRAPH_BUILD : GRAPH_RUNTIME);
		}
	}
}

static void begin(struct graph_walk *walk, const struct graph *graph)
{
	size_t before = walk->marks_cap;

	walk->count = 0;
	walk->marks = util_grow(walk->marks, &walk->marks_cap, graph->element_count, sizeof(*walk->marks));
	if (walk->marks_cap > before)
		memset(walk->marks + before, 0, (walk->marks_cap - before) * sizeof(*walk->marks));
	if (++walk->mark == 0) { /* wrapped after 2^32 walks */
		memset(walk->marks, 0, walk->marks_cap * sizeof(*walk->marks));
		walk->mark = 1;
	}
}

static void walk_from(struct graph_walk *walk, const struct graph *graph, uint32_t id, enum graph_scope scope)
{
	const struct graph_element *element = &graph->elements[id];

	switch (scope) {
	case GRAPH_SCOPE_NONE:
		if (mark(walk, id))
			emit(walk, id);
		break;
	case GRAPH_SCOPE_BUILD:
		for (uint32_t i = 0; i < element->dep_count; i++)
			if ((element->deps[i].type & GRAPH_BUILD) && mark(walk, element->deps[i].element))
				descend(walk, graph, element->deps[i].element, false);
		break;
	case GRAPH_SCOPE_RUN:
	case GRAPH_SCOPE_ALL:
		if (mark(walk, id))
			descend(walk, graph, id, scope == GRAPH_SCOPE_ALL);
		break;
	}
}

void graph_walk_scope(struct graph_walk *walk, const struct graph *graph, uint32_t element, enum graph_scope scope)
{
	graph_walk_targets(walk, graph, &element, 1, scope);
}

void graph_walk_targets(struct graph_walk *walk, const struct graph *graph, const uint32_t *targets, uint32_t count,
			enum graph_scope scope)
{
	begin(walk, graph);
	for (uint32_t i = 0; i < count; i++) {
		assert(targets[i] < graph->element_count);
		walk_from(walk, graph, targets[i], scope);
	}
}

void graph_walk_release(struct graph_walk *walk)
{
	free(walk->ids);
	free(walk->marks);
	free(walk->stack);
	*walk = (struct graph_walk){ 0 };
}

uint32_t graph_find(const struct graph *graph, const char *full_name)
{
	for (uint32_t i = 0; i < graph->element_count; i++)
		if (str_eq(graph->elements[i].full_name, full_name))
			return i;
	return GRAPH_NONE;
}

const char *graph_variable(const struct graph_element *element, const char *name)
{
	uint32_t low = 0, high = element->variable_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(element->variables[middle].name, name);

		if (order == 0)
			return element->variables[middle].value;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *graph_normal_name(struct arena *arena, const char *name)
{
	char *copy = arena_strdup(arena, name), *dot;

	for (char *c = copy; *c; c++)
		*c = *c == '/' ? '-' : *c;
	/* As os.path.splitext: leading dots do not begin an extension. */
	dot = strrchr(copy + strspn(copy, "."), '.');
	if (dot)
		*dot = '\0';
	return copy;
}

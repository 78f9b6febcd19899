/* What elements consist of, where only their keys are wanted: a few huge pages that are used again and again.
 *
 * An element is made (variables, environment, configuration, sources) when the walk comes to it and finished when the walk
 * leaves it; then its keys are computed, and nobody looks at anything but its name and dependencies.  So elements are made
 * in pages of a pool; a page is used again when all that began in it has been finished and has its keys.  A million
 * elements take what some thousands do, and memory that was just used is warm.  A chain in which every element waits for
 * the next takes as much as ever.
 *
 * Pages come back with other nodes at the same addresses.  So nothing that outlives an element may point into one or
 * remember one by its address; see element.c for what kinds share, and keys_forget.
 */
#include "project/project_internal.h"

#include <stdlib.h>

#include "keys/keys.h"

enum { PAGE_BYTES = 2 << 20, ROOM_BYTES = 64 << 10 }; /* a page with less room than this is full */

struct page {
	struct arena arena;
	uint32_t open;    /* elements made in it that are not finished */
	uint32_t settled; /* so many elements must have their keys before it can be used again */
};

struct bodies {
	ITEMS(struct page *) pages;
	uint32_t current;
	uint32_t closed; /* elements fed to keys so far */
};

void bodies_begin(struct project_loader *load)
{
	struct diag ignored = DIAG_INIT;
	bool strict = false;

	if (load->request->brief && load_strict_plan(load, &strict, &ignored) >= 0 && strict)
		load->bodies = xcalloc(1, sizeof(*load->bodies));
	diag_release(&ignored);
}

static uint32_t add_page(struct bodies *bodies)
{
	struct page *page = xcalloc(1, sizeof(*page));

	arena_reserve(&page->arena);
	*items_add(&bodies->pages) = page;
	return (uint32_t)bodies->pages.count - 1;
}

/* A page that nobody needs any more, or a new one. */
static uint32_t find_page(struct project_loader *load)
{
	struct bodies *bodies = load->bodies;
	uint32_t settled = load->keys ? keys_settled(load->keys) : 0;

	for (uint32_t i = 0; load->keys && i < bodies->pages.count; i++) {
		struct page *page = bodies->pages.at[i];

		if (page->open > 0 || page->settled > settled)
			continue;
		keys_forget(load->keys);
		arena_reset(&page->arena);
		return i;
	}
	return add_page(bodies);
}

struct arena *bodies_arena(const struct project_loader *load)
{
	const struct bodies *bodies = load->bodies;

	return bodies ? &bodies->pages.at[bodies->current]->arena : load->arena;
}

void bodies_open(struct project_loader *load, struct load_element *element)
{
	struct bodies *bodies = load->bodies;

	if (!bodies)
		return;
	if (bodies->pages.count == 0 || bodies_arena(load)->total_bytes > PAGE_BYTES - ROOM_BYTES)
		bodies->current = find_page(load);
	element->body = bodies->current;
	bodies->pages.at[bodies->current]->open++;
}

/* Finishing it may have put something into the current page, too. */
void bodies_close(struct project_loader *load, struct load_element *element)
{
	struct bodies *bodies = load->bodies;
	struct page *made, *now;

	if (!bodies)
		return;
	made = bodies->pages.at[element->body];
	now = bodies->pages.at[bodies->current];
	made->open--;
	made->settled = now->settled = ++bodies->closed;
}

/* Leaves no way to what is gone. */
static void forget(struct graph_element *element)
{
	for (uint32_t i = 0; i < element->dep_count; i++) {
		element->deps[i].configs = NULL;
		element->deps[i].config_count = 0;
	}
	element->config = NULL;
	element->config_node = element->public_data = NULL;
	element->sources = NULL;
	element->source_count = 0;
	element->variables = element->environment = NULL;
	element->environment_nocache = NULL;
	element->sandbox.remote_apis_socket = NULL;
	element->variable_count = element->environment_count = element->environment_nocache_count = 0;
}

void bodies_end(struct project_loader *load)
{
	struct bodies *bodies = load->bodies;

	if (!bodies)
		return;
	for (uint32_t i = 0; i < load->graph->element_count; i++)
		forget(&load->graph->elements[i]);
	for (size_t i = 0; i < bodies->pages.count; i++) {
		arena_release(&bodies->pages.at[i]->arena);
		free(bodies->pages.at[i]);
	}
	free(bodies->pages.at);
	free(bodies);
	load->bodies = NULL;
}

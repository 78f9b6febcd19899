/* Variables and environment in the order in which they were defined: what people are shown.  See project.h. */
#include "project/project_internal.h"

#include <stdlib.h>
#include <string.h>

/* Element ids are given in another order than elements are read in. */
static const struct load_element *element_of(struct project_loader *load, uint32_t id)
{
	if (!load->by_id) {
		load->by_id = xcalloc(load->graph->element_count + 1u, sizeof(struct load_element *));
		load->by_id_count = load->graph->element_count;
		for (size_t i = 0; i < load->elements.count; i++)
			if (load->elements.at[i]->id < load->by_id_count)
				load->by_id[load->elements.at[i]->id] = load->elements.at[i];
	}
	return id < load->by_id_count ? load->by_id[id] : NULL;
}

struct listing {
	const struct graph_pair *sorted;
	uint32_t sorted_count;
	bool *taken; /* of sorted */
	struct graph_pair *ret;
	uint32_t count;
};

static int by_name(const void *key, const void *pair)
{
	return strcmp(key, ((const struct graph_pair *)pair)->name);
}

static void take(struct listing *listing, const char *name)
{
	const struct graph_pair *pair = listing->sorted_count ? bsearch(name, listing->sorted, listing->sorted_count,
									sizeof(*pair), by_name) : NULL;

	if (!pair || listing->taken[pair - listing->sorted])
		return;
	listing->taken[pair - listing->sorted] = true;
	listing->ret[listing->count++] = *pair;
}

static void take_all(struct listing *listing, const struct yaml_node *map)
{
	for (uint32_t i = 0; map && i < map->count; i++)
		take(listing, map->entries[i].key);
}

const struct graph_pair *project_defined(struct project_loader *load, uint32_t id, enum project_definitions what,
					 struct arena *arena, uint32_t *ret_count)
{
	const struct graph_element *element = &load->graph->elements[id];
	const struct load_element *from = element_of(load, id);
	bool variables = what == PROJECT_VARIABLES;
	struct listing listing = {
		.sorted = variables ? element->variables : element->environment,
		.sorted_count = variables ? element->variable_count : element->environment_count,
	};
	uint32_t known = from ? strmap_get(&from->project->kind_index, from->kind, strlen(from->kind)) : STRMAP_NONE;

	listing.taken = ARENA_ARRAY(arena, bool, listing.sorted_count + 1u);
	listing.ret = ARENA_ARRAY(arena, struct graph_pair, listing.sorted_count + 1u);
	if (known != STRMAP_NONE) {
		const struct kind_base *base = from->project->kinds.at[known];

		take_all(&listing, variables ? base->variables : base->environment);
		take_all(&listing, yaml_get(from->node, variables ? "variables" : "environment"));
	}
	for (uint32_t i = 0; i < listing.sorted_count; i++)
		take(&listing, listing.sorted[i].name);
	*ret_count = listing.count;
	return listing.ret;
}

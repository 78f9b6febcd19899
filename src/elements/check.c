/* check_forbidden: makes nothing, and fails if something depends on what must not be there. */
#include "elements/elements_internal.h"

#include <stdlib.h>

struct check {
	struct build *build;
	const struct kinds_check_forbidden *config;
	uint8_t *seen; /* by element */
};

static bool is_forbidden(const struct check *check, uint32_t id)
{
	const char *name = check->build->job->graph->elements[id].name;

	for (uint32_t i = 0; i < check->config->forbidden.count; i++)
		if (str_eq(check->config->forbidden.items[i], name))
			return true;
	return false;
}

struct step { /* of the way down */
	uint32_t element, next;
	bool bad;
};

/* Goes down the runtime dependencies, depth first; says who depends on something bad, as often as the peer does.  Chains of
 * dependencies are as long as the graph allows, so the way is kept on the heap. */
static bool find_bad(struct check *check, uint32_t root)
{
	const struct graph *graph = check->build->job->graph;
	struct step *steps = NULL;
	size_t depth = 0, cap = 0;
	bool result = false;

	if (check->seen[root] || is_forbidden(check, root))
		return !check->seen[root];
	check->seen[root] = 1;
	steps = util_grow(steps, &cap, 1, sizeof *steps);
	steps[depth++] = (struct step){ .element = root };
	while (depth > 0) {
		struct step *step = &steps[depth - 1];
		const struct graph_element *element = &graph->elements[step->element];
		uint32_t dep;

		if (result) { /* of the dependency that was looked at last */
			_cleanup_free_ char *text =
				xasprintf("%s depends on %s", element->normal_name,
					  graph->elements[element->deps[step->next - 1].element].normal_name);

			build_message(check->build->job, ELEMENTS_WARN, check->build->job->element, text, NULL);
			step->bad = true;
			result = false;
		}
		while (step->next < element->dep_count && !(element->deps[step->next].type & GRAPH_RUNTIME))
			step->next++;
		if (step->next == element->dep_count) {
			result = step->bad;
			depth--;
			continue;
		}
		dep = element->deps[step->next++].element;
		if (check->seen[dep])
			continue;
		if (is_forbidden(check, dep)) {
			result = true;
			continue;
		}
		check->seen[dep] = 1;
		steps = util_grow(steps, &cap, depth + 1, sizeof *steps);
		steps[depth++] = (struct step){ .element = dep };
	}
	free(steps);
	return result;
}

static int assemble(struct build *build, const char **collect, struct diag *diag)
{
	struct check check = { .build = build, .config = build->element->config };
	bool bad = false;

	check.seen = arena_alloc(build->job->arena, build->job->graph->element_count);
	for (uint32_t i = 0; !bad && i < build->element->dep_count; i++)
		if (build->element->deps[i].type & GRAPH_BUILD)
			bad = find_bad(&check, build->element->deps[i].element);
	*collect = "/";
	if (!bad)
		return ELEMENTS_BUILT;
	diag_set(diag, "element", NULL, "Some elements were forbidden");
	return ELEMENTS_FAILED;
}

const struct elements_kind elements_check_forbidden = { "check_forbidden", NULL, NULL, assemble };

/* Resolves and expands: a map with `base` and `over` (variables) and `tree`.  Preparing must change nothing. */
#include <stdlib.h>
#include <string.h>

#include "yaml/vars.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_all(struct arena *arena, const struct yaml_node *base_map, const struct yaml_node *over,
		    const struct yaml_node *tree)
{
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	struct yaml_vars_base *base = NULL;
	struct yaml_vars vars;
	const struct yaml_node *plain = NULL, *shared = NULL;
	uint32_t count;

	if (yaml_vars_base_new(arena, base_map, &base, &diag) < 0)
		return;
	if (yaml_vars_init(&vars, arena, base, over, &diag) == 0) {
		int r = yaml_vars_expand(&vars, arena, tree, &plain, &diag);

		yaml_vars_prepare(base, tree);
		if (yaml_vars_expand(&vars, arena, tree, &shared, &diag) != r || (r == 0 && !yaml_equal(plain, shared)))
			abort();
		yaml_vars_sorted(&vars, arena, &count);
	} else if (!diag.domain) {
		abort();
	}
	yaml_vars_base_free(base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_INIT;
	const struct yaml_node *map = NULL, *base, *over, *tree;

	if (size < 4096 && yaml_parse(&arena, (const char *)data, size, "f", &map, NULL) == 0) {
		base = yaml_get(map, "base");
		over = yaml_get(map, "over");
		tree = yaml_get(map, "tree");
		if (base && yaml_is_map(base) && tree && (!over || yaml_is_map(over)))
			try_all(&arena, base, over, tree);
	}
	arena_release(&arena);
	return 0;
}

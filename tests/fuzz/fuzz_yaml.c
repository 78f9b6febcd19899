/* Parses two texts (parted by a line "%%%") and composes one over and under the other; what comes out must be writable
 * and read back the same. */
#include <stdlib.h>
#include <string.h>

#include "yaml/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(struct arena *arena, const struct yaml_node *map)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	const struct yaml_node *back = NULL;

	yaml_write(&text, map);
	if (yaml_parse(arena, buf_text(&text), text.len, "back", &back, &diag) < 0 || !yaml_equal(map, back))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char bar[] = "\n%%%\n";
	const char *text = (const char *)data, *cut = memmem(text, size, bar, sizeof(bar) - 1);
	size_t first = cut ? (size_t)(cut - text) + 1 : size, rest = cut ? first + 4 : size;
	struct arena arena = ARENA_INIT;
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	const struct yaml_node *a = NULL, *b = NULL, *ret = NULL;

	if (yaml_parse(&arena, text, first, "a", &a, &diag) == 0 &&
	    yaml_parse(&arena, text + rest, size - rest, "b", &b, &diag) == 0) {
		round_trip(&arena, a);
		if (yaml_compose(&arena, a, b, &ret, &diag) == 0) {
			round_trip(&arena, ret);
			yaml_check_composited(ret, &diag);
		}
		if (yaml_compose_under(&arena, a, b, &ret, &diag) == 0)
			round_trip(&arena, ret);
		if (!yaml_equal(yaml_copy(&arena, a), a) || yaml_clone(&arena, a) != a)
			abort();
	}
	arena_release(&arena);
	return 0;
}

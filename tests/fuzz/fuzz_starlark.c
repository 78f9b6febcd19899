/* tests/fuzz/fuzz_starlark.c: any bytes as bazel's list of resolved repositories; what is refused must say why. */
#include <stdlib.h>

#include "sources/starlark.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf why = BUF_INIT, out = BUF_INIT;
	struct arena arena = ARENA_INIT;
	struct toml *names;

	if (starlark_read(&arena, (const char *)data, size, &names, &why) == 0)
		toml_write(names, &out);
	else if (!why.len)
		abort();
	arena_release(&arena);
	return 0;
}

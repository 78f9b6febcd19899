/* tests/fuzz/fuzz_toml.c: any bytes as a Cargo.toml.  What is accepted is written; that must be accepted again, and written
 * anew be the same from then on. */
#include <stdlib.h>
#include <string.h>

#include "sources/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads text, and writes what it says to out. */
static bool rewrite(const char *text, size_t len, struct buf *out)
{
	_cleanup_buf_ struct buf why = BUF_INIT;
	struct arena arena = ARENA_INIT;
	struct toml *table;
	int r = toml_read(&arena, text, len, &table, &why);

	if (r == 0)
		toml_write(table, out);
	else if (!why.len)
		abort();
	arena_release(&arena);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf once = BUF_INIT, twice = BUF_INIT, thrice = BUF_INIT;

	if (!rewrite((const char *)data, size, &once))
		return 0;
	if (!rewrite(buf_text(&once), once.len, &twice) || !rewrite(buf_text(&twice), twice.len, &thrice))
		abort();
	if (twice.len != thrice.len || memcmp(buf_text(&twice), buf_text(&thrice), twice.len) != 0)
		abort();
	return 0;
}

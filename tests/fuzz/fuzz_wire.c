/* tests/fuzz/fuzz_wire.c: any bytes as a message, and as state changes inside one.  What decodes must encode to the same
 * bytes again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "state/state.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_changes(const void *bytes, size_t size, uint32_t count)
{
	struct state *state = state_new(8);

	for (uint32_t element = 0; element < 8; element++)
		if (state_validate(state, element, bytes, size, count) == 0)
			assert(state_commit(state, 1, bytes, size, count) == 0);
	state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *exact = malloc(size ? size : 1); /* exact size, so that a byte read too far is seen */
	struct buf again = BUF_INIT;
	struct wire_any any;

	memcpy(exact, data, size);
	if (wire_decode(&any, exact, size) == 0) {
		wire_encode(&again, &any);
		assert(again.len == size && memcmp(again.data, data, size) == 0);
		if (any.type == WIRE_RESULT)
			fuzz_changes(any.result.changes, any.result.change_bytes, any.result.change_count);
	}
	buf_release(&again);
	free(exact);
	return 0;
}

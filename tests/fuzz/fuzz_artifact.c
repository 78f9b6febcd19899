/* tests/fuzz/fuzz_artifact.c: any bytes as an Artifact and as a Source record.  What decodes must encode to a form that
 * decodes to itself. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "artifacts/artifacts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_artifact(const void *bytes, size_t size)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct arena arena = ARENA_INIT;
	struct artifact artifact;

	if (artifact_decode(&artifact, &arena, bytes, size) == 0) {
		artifact_encode(&artifact, &once);
		assert(artifact_decode(&artifact, &arena, buf_text(&once), once.len) == 0);
		artifact_encode(&artifact, &twice);
		assert(once.len == twice.len && memcmp(buf_text(&once), buf_text(&twice), once.len) == 0);
	}
	buf_release(&once);
	buf_release(&twice);
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *exact = malloc(size ? size : 1); /* exact size, so that a byte read too far is seen */
	struct buf encoded = BUF_INIT;
	struct digest digest, again;

	memcpy(exact, data, size);
	fuzz_artifact(exact, size);
	if (source_decode(&digest, exact, size) == 0) {
		source_encode(&digest, &encoded);
		assert(source_decode(&again, encoded.data, encoded.len) == 0 && digest_eq(&digest, &again));
	}
	buf_release(&encoded);
	free(exact);
	return 0;
}

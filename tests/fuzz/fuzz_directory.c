/* tests/fuzz/fuzz_directory.c: any bytes as a REAPI Directory.  What decodes must encode to a canonical form that decodes
 * to itself, with names in order. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cas/cas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *exact = malloc(size ? size : 1); /* exact size, so that a byte read too far is seen */
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct cas_directory directory;
	struct arena arena = ARENA_INIT;

	memcpy(exact, data, size);
	if (cas_directory_decode(&directory, &arena, exact, size) == 0) {
		for (uint32_t i = 0; i < directory.count; i++) {
			const struct cas_entry *entry = &directory.entries[i];

			assert(entry->name_len > 0 && entry->name_len <= CAS_NAME_MAX);
			assert(strlen(entry->name) == entry->name_len && !strchr(entry->name, '/'));
			assert(strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0);
			assert(cas_directory_find(&directory, entry->name, entry->name_len) == entry);
		}
		cas_directory_encode(&directory, &once);
		assert(cas_directory_decode(&directory, &arena, buf_text(&once), once.len) == 0);
		cas_directory_encode(&directory, &twice);
		assert(once.len == twice.len && memcmp(buf_text(&once), buf_text(&twice), once.len) == 0);
	}
	buf_release(&once);
	buf_release(&twice);
	arena_release(&arena);
	free(exact);
	return 0;
}

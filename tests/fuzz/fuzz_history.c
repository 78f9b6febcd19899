/* tests/fuzz/fuzz_history.c: any bytes as the history of durations; what is learnt must be found again in what is written. */
#include <stdlib.h>
#include <string.h>

#include "session/history.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session_history history = { .fd = -1 };

	session_history_parse(&history, (const char *)data, size);
	for (uint32_t i = 0; i < history.count; i++)
		if (history.numbers[i] == 0)
			abort();
	if ((history.count == 0) != (session_history_median(&history, HISTORY_BUILD) == 0 &&
				     session_history_median(&history, HISTORY_FETCH) == 0 &&
				     session_history_median(&history, HISTORY_FILES) == 0))
		abort();
	if (session_history_us_a_file(&history) > 0 && session_history_median(&history, HISTORY_FILES) == 0)
		abort();
	session_history_release(&history);
	return 0;
}

/* bench/bench_driver.h: for benchmarks that run jobs through the session's driver: events that nobody is interested in. */
#ifndef BENCH_BENCH_DRIVER_H
#define BENCH_BENCH_DRIVER_H

#include "session/driver.h"

static inline void bench_on_message(void *data UNUSED, const struct driver_job *job UNUSED,
				    const struct wire_message *message UNUSED)
{
}

static inline void bench_on_progress(void *data UNUSED, const struct driver_job *job UNUSED,
				     const struct wire_progress *progress UNUSED)
{
}

static inline uint32_t bench_on_result(void *data UNUSED, const struct driver_job *job UNUSED,
				       const struct wire_result *result UNUSED)
{
	return 0;
}

static inline enum driver_answer bench_on_interrupt(void *data UNUSED)
{
	return DRIVER_TERMINATE;
}

/* For a struct driver_events that sets `started` and `ended` itself. */
#define BENCH_QUIET_EVENTS                                                                                                     \
	.message = bench_on_message, .progress = bench_on_progress, .result = bench_on_result, .interrupt = bench_on_interrupt

#endif

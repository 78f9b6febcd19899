/* bench/bench.h: what the benchmarks written in C share: numbers from the command line, processor time. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* A whole number up to `most`; anything else ends the program. */
static inline uint32_t bench_number(const char *text, uint32_t most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value > most) {
		fprintf(stderr, "not a number up to %u: %s\n", most, text);
		exit(2);
	}
	return (uint32_t)value;
}

/* Processor time, user and system. */
static inline int64_t bench_cpu_us(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000LL + usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

static inline struct rusage bench_usage(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return usage;
}

#endif

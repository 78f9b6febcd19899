/* How parallel commands are, found by reading them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "jobs/jobs.h"
#include "kinds/element_configs.h"
#include "kinds/kinds.h"

static const struct {
	const char *command, *name, *value; /* one command, one variable of the environment */
	uint32_t max_jobs, tokens, most;
} cases[] = {
	{ "make", "MAKEFLAGS", "-j4", 4, 1, 4 },
	{ "make install", "MAKEFLAGS", "V=1 -j6", 4, 1, 6 },
	{ "make", "MAKEFLAGS", "-j1", 4, 1, 1 },
	{ "make", "V", "1", 4, 1, 1 },
	{ "make -j1 install", "MAKEFLAGS", "-j4", 4, 1, 4 },
	{ "make -j3", "MAKEFLAGS", "-j4", 4, 3, 3 },
	{ "make -j 3", "V", "1", 4, 3, 3 },
	{ "make -j", "V", "1", 4, 4, 4 },
	{ "make -j$(nproc)", "V", "1", 4, 4, 4 },
	{ "java -jar x.jar", "MAKEFLAGS", "-j4", 4, 1, 4 },
	{ "make $JOBS", "JOBS", "-j5", 4, 5, 5 },
	{ "cmake --build _b -- ${JOBS}", "JOBS", "-j5", 4, 5, 5 },
	{ "echo $JOBSITE", "JOBS", "-j5", 4, 1, 1 },
	{ "xargs -P $MAXJOBS", "MAXJOBS", "7", 4, 7, 7 },
	{ "ninja -v ${NINJAJOBS} -C b", "NINJAJOBS", "-j 5", 4, 5, 5 },
	{ "ninja -C b", "V", "1", 4, 16, 16 },
	{ "ninja -j2 -C b", "V", "1", 4, 2, 2 },
	{ "cargo build --release", "V", "1", 32, 32, 32 },
	{ "cp Cargo.toml cargo.toml2", "MAKEFLAGS", "-j4", 4, 1, 4 },
	{ "cmake --build b --parallel", "V", "1", 4, 4, 4 },
};

static void test_commands(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct graph_pair pair = { cases[i].name, cases[i].value };
		struct kinds_build config = { .commands[KINDS_BUILD] = { &cases[i].command, 1 } };
		struct graph_element element = { .ops = kinds_find_element("manual"), .config = &config, .environment = &pair,
						 .environment_count = 1, .max_jobs = cases[i].max_jobs };
		struct jobs_parallelism got;

		jobs_parallelism(&element, 16, 0, &got);
		if (got.tokens != cases[i].tokens || got.most != cases[i].most)
			fail_msg("'%s' with %s=%s: %u, %u", cases[i].command, cases[i].name, cases[i].value, got.tokens, got.most);
	}
}

/* What no build kind runs is one process. */
static void test_other_kinds(void **unused)
{
	struct graph_element element = { .ops = kinds_find_element("script") };
	struct jobs_parallelism got;

	(void)unused;
	jobs_parallelism(&element, 16, 0, &got);
	assert_int_equal(got.tokens, 1);
	assert_int_equal(got.most, 1);
}

/* Who asks a named pipe, and who does not: command, programs, what comes of it under `MAKEFLAGS: -j4` (or none). */
static void test_named_pipes(void **unused)
{
	static const struct {
		const char *command, *makeflags;
		uint32_t programs, tokens, most;
		bool fifo;
	} rows[] = {
		{ "make", "-j4", JOBS_MAKE_OLD, 1, 4, false },
		{ "make", "-j4", JOBS_MAKE_FIFO, 1, 4, true },
		{ "make", "-j4", JOBS_MAKE_FIFO | JOBS_MAKE_OLD, 1, 4, false },
		{ "make", "-j4", JOBS_MAKE_FIFO | JOBS_NINJA_OLD, 1, 4, true },
		{ "ninja -C b", "-j4", JOBS_NINJA_FIFO, 1, 4, true },
		{ "ninja -C b", "-j4", JOBS_NINJA_FIFO | JOBS_MAKE_FIFO, 1, 4, true },
		{ "ninja -C b", "-j4", JOBS_NINJA_FIFO | JOBS_MAKE_OLD, 16, 16, false },
		{ "ninja -C b", "-j4", JOBS_NINJA_FIFO | JOBS_NINJA_OLD, 16, 16, true },
		{ "ninja -C b", "-j4", JOBS_NINJA_OLD, 16, 16, false },
		{ "ninja -C b", "V=1", JOBS_NINJA_FIFO, 16, 16, true }, /* nothing tells it of a pipe */
		{ "ninja -C b", "-j1", JOBS_NINJA_FIFO, 16, 16, true },
		{ "ninja -j3 -C b", "-j4", JOBS_NINJA_FIFO, 3, 3, true },
		{ "samu -C b", "-j4", JOBS_NINJA_FIFO, 16, 16, true },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct graph_pair pair = { "MAKEFLAGS", rows[i].makeflags };
		struct kinds_build config = { .commands[KINDS_BUILD] = { &rows[i].command, 1 } };
		struct graph_element element = { .ops = kinds_find_element("manual"), .config = &config, .environment = &pair,
						 .environment_count = 1, .max_jobs = 4 };
		struct jobs_parallelism got;

		jobs_parallelism(&element, 16, rows[i].programs, &got);
		if (got.tokens != rows[i].tokens || got.most != rows[i].most || got.fifo != rows[i].fifo)
			fail_msg("row %zu, '%s': %u, %u, %d", i, rows[i].command, got.tokens, got.most, got.fifo);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_commands), cmocka_unit_test(test_other_kinds),
					   cmocka_unit_test(test_named_pipes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

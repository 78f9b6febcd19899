/* How many processes an element's commands will run at a time, as far as reading them tells.
 *
 * make takes its -j from MAKEFLAGS and asks a jobserver for each job beyond the first.  What is told a number by itself
 * (`ninja -j4`, `make $JOBS`), or takes as many as there are processors (ninja, cargo), cannot be held back once it runs:
 * ninja asks no jobserver before 1.13, and then one that is a named pipe, if MAKEFLAGS tells of it; a make before 4.4 cannot read
 * that, so where there is one nobody is given a named pipe.  A make that is told -j on its command line leaves the jobserver,
 * with a warning; ninja does so too.
 */
#include "jobs/jobs_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "kinds/element_configs.h"
#include "kinds/kinds.h"

static bool part_of_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* Is there `word` in text, with nothing before it that belongs to the same name; and behind it, unless open? */
static bool has_word(const char *text, const char *word, bool open)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += len)
		if ((at == text || !(part_of_name(at[-1]) || at[-1] == '.')) &&
		    (open || !(part_of_name(at[len]) || at[len] == '.' || at[len] == '/')))
			return true;
	return false;
}

/* The largest number behind a "-j", as in "-j4", "-j 4", "-j$N" and "-j" (otherwise: these two); 0: there is no "-j" at
 * all.  "-jar" is none. */
static uint32_t dash_j(const char *text, uint32_t otherwise)
{
	uint32_t most = 0;

	for (const char *at = text; (at = strstr(at, "-j")); at += 2) {
		const char *number = at + 2 + strspn(at + 2, " ");

		if ((at > text && !strchr(" \t\n\"'=", at[-1])) || isalpha((unsigned char)at[2]) || at[2] == '-')
			continue;
		if (isdigit((unsigned char)*number))
			most = MAX(most, (uint32_t)MIN(strtoul(number, NULL, 10), 65536ul));
		else
			most = MAX(most, otherwise);
	}
	return most;
}

/* A variable other than MAKEFLAGS that holds a number of jobs and is used: that number, or 0. */
static uint32_t variable_jobs(const struct graph_element *element, const char *text)
{
	static const char *const names[] = { "JOBS", "NINJAJOBS", "MAXJOBS", "NPROC" };
	uint32_t most = 0;

	for (uint32_t i = 0; i < element->environment_count; i++) {
		const struct graph_pair *pair = &element->environment[i];
		uint32_t jobs = dash_j(pair->value, 0);
		size_t len = strlen(pair->name);

		for (size_t k = 0; k < ARRAY_SIZE(names) && !jobs; k++)
			if (str_eq(pair->name, names[k]))
				jobs = (uint32_t)MIN(strtoul(pair->value, NULL, 10), 65536ul);
		if (jobs <= most || str_eq(pair->name, "MAKEFLAGS"))
			continue;
		for (const char *at = text; (at = strstr(at, pair->name)); at += len)
			if (at > text && (at[-1] == '$' || at[-1] == '{') && !part_of_name(at[len]))
				most = jobs;
	}
	return most;
}

/* How many processes a command starts because it is told to; 0 if it is told nothing. */
static uint32_t told_jobs(const struct graph_element *element, const char *text)
{
	uint32_t jobs = MAX(dash_j(text, element->max_jobs), variable_jobs(element, text));

	if (has_word(text, "--jobs", true) || has_word(text, "--parallel", true))
		jobs = MAX(jobs, element->max_jobs);
	return jobs;
}

/* Takes all processors if it is told nothing, and asks nobody. */
static bool takes_all(const char *text, bool ninja_asks)
{
	static const char *const tools[] = { "samu", "bmake", "pmake", "cargo", "meson compile", "bazel", "go build", "nproc" };

	for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
		if (has_word(text, tools[i], false))
			return true;
	return !ninja_asks && has_word(text, "ninja", false);
}

static uint32_t most_jobs(const struct graph_element *element, const struct kinds_strings *commands, uint32_t cpus,
			  bool ninja_asks)
{
	uint32_t most = 1;

	for (uint32_t i = 0; i < commands->count; i++) {
		uint32_t told = told_jobs(element, commands->items[i]);

		if (!told && takes_all(commands->items[i], ninja_asks))
			told = MAX(cpus, element->max_jobs);
		most = MAX(most, told);
	}
	return most;
}

/* The N of the -jN in MAKEFLAGS; 1 without. */
static uint32_t make_jobs(const struct graph_element *element)
{
	uint32_t jobs = 1;

	for (uint32_t i = 0; i < element->environment_count; i++) {
		const struct graph_pair *pair = &element->environment[i];
		const char *at = str_eq(pair->name, "MAKEFLAGS") ? strstr(pair->value, "-j") : NULL;
		unsigned long n = at ? strtoul(at + 2, NULL, 10) : 0;

		if (n > 1)
			jobs = (uint32_t)MIN(n, 65536ul);
	}
	return jobs;
}

void jobs_parallelism(const struct graph_element *element, uint32_t cpus, uint32_t programs, struct jobs_parallelism *ret)
{
	bool fifo = !(programs & JOBS_MAKE_OLD) && programs & (JOBS_MAKE_FIFO | JOBS_NINJA_FIFO);
	bool ninja_asks = fifo && !(programs & JOBS_NINJA_OLD) && programs & JOBS_NINJA_FIFO && make_jobs(element) > 1;

	*ret = (struct jobs_parallelism){ 1, 1, fifo };
	if (kinds_is_build(element)) {
		const struct kinds_build *config = element->config;

		for (int step = 0; step < KINDS_STEPS; step++)
			ret->tokens = MAX(ret->tokens, most_jobs(element, &config->commands[step], cpus, ninja_asks));
	}
	ret->most = ret->tokens > 1 ? ret->tokens : make_jobs(element);
}

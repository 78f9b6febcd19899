/* Runs many schedules; on failure finds a small one that still fails, and prints its trace.
 *
 * usage: sim [--count N] [--seed N] [--elements N] [--without KIND,...] [--state N] [--jobs N] [--trace] [--coverage]
 *            [--must-cover] [--least N] [--add FILE] [--quick] [--real FILE]
 *   --seed N      first seed; with --count 1 (the default with --seed) replays one schedule
 *   --elements N  size of each graph instead of what the seed says
 *   --without     kinds of trouble to leave out: see sim_kind_names
 *   --state N     every N-th seed carries the journal along (default 4, 0: none)
 *   --real FILE   every fifth seed takes a piece of this graph (data/)
 *   --trace       print what happens; --quick: on failure do not look for a smaller one
 *   --coverage    print how often each cell state x event was met; --must-cover: fail when a possible one was not
 *   --add FILE    add the counts that FILE holds of earlier portions, and leave the sum there
 *   --least N     fail when a possible cell, or a kind of trouble, was met less often than N times, when a schedule had
 *                 less than two faults, or when half of the schedules have less than 50 elements
 *
 * Cells that cannot be met are `never` in the scheduler's tables: meeting one ends the program ("sched: ... met event").
 * The coverage lists them by name; that their counts are zero is checked all the same.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"

struct options {
	struct sim_params params;
	uint64_t count, least;
	bool coverage, must_cover, quick;
	struct sim_graph real;
	const char *real_path, *add_path;
};

struct shared { /* what a child was doing when it failed */
	uint64_t seed;
	struct sim_stats stats;
};

/* ---- shrinking ---- */

static bool fails(const struct sim_params *params)
{
	struct sim_stats stats = { 0 };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(3);
		alarm(20);
		sim_run(params, &stats);
		sim_tokens(params, &stats);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status != 0;
}

static void shrink(struct sim_params *params)
{
	for (uint32_t kind = 0; kind < SIM_KINDS; kind++) {
		struct sim_params less = *params;

		less.without |= 1u << kind;
		if (fails(&less))
			*params = less;
	}
	if (params->state) {
		struct sim_params less = *params;

		less.state = 0;
		if (fails(&less))
			*params = less;
		else
			params->state = 1;
	}
	for (uint32_t n = 1; n < 60; n++) {
		struct sim_params less = *params;

		less.elements = n;
		if (fails(&less)) {
			*params = less;
			break;
		}
	}
}

static void report(struct sim_params params, const char *real_path)
{
	struct sim_stats stats = { 0 };

	shrink(&params);
	printf("sim: to replay: --seed %llu --state %u --trace", (unsigned long long)params.seed, params.state);
	if (params.elements)
		printf(" --elements %u", params.elements);
	if (real_path)
		printf(" --real %s", real_path);
	if (params.without)
		printf(" --without ");
	for (uint32_t kind = 0, n = 0; kind < SIM_KINDS; kind++) {
		if (params.without >> kind & 1)
			printf("%s%s", n++ ? "," : "", sim_kind_names[kind]);
	}
	printf("\n");
	fflush(stdout);
	params.trace = true;
	if (fork() == 0) {
		setvbuf(stdout, NULL, _IOLBF, 0); /* it may well end by a signal */
		sim_run(&params, &stats);
		sim_tokens(&params, &stats);
		_exit(0);
	}
	wait(NULL);
}

/* ---- results ---- */

static uint32_t print_cell(const struct sched *sched, uint32_t i, const struct sim_stats *stats, const struct options *o)
{
	unsigned long long met = stats->cells[i];
	const char *table, *state, *event;
	uint64_t unused;
	bool possible;

	sched_cell(sched, i, &table, &state, &event, &possible, &unused);
	if (!possible) {
		if (o->coverage || met)
			printf("%-8s %-10s x %-14s %12s\n", table, state, event, met ? "MET" : "cannot be");
		return met > 0;
	}
	if (o->coverage)
		printf("%-8s %-10s x %-14s %12llu\n", table, state, event, met);
	if (met < o->least)
		printf("met %llu times only: %s %s x %s\n", met, table, state, event);
	return met < o->least;
}

/* How many cells are not as they should be. */
static uint32_t print_coverage(const struct sim_stats *stats, const struct options *o)
{
	struct sched_config config;
	uint32_t wrong = 0;
	struct sched *sched;

	sched_config_default(&config, 1, 1, 1);
	sched = sched_new(&config, &(struct sched_graph){ 0 });
	for (uint32_t i = 0; i < sched_cell_count(); i++)
		wrong += print_cell(sched, i, stats, o);
	sched_free(sched);
	for (uint32_t kind = 0; kind < SIM_KINDS; kind++) {
		if (stats->faults_by_kind[kind] >= o->least)
			continue;
		printf("met %llu times only: %s\n", (unsigned long long)stats->faults_by_kind[kind], sim_kind_names[kind]);
		wrong++;
	}
	return wrong;
}

/* The value below which no more than so many percent of the schedules are. */
static uint32_t quantile(const uint64_t histogram[SIM_HISTOGRAM], uint64_t count, uint32_t percent)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < SIM_HISTOGRAM; i++) {
		sum += histogram[i];
		if (sum * 100 > count * percent)
			return i;
	}
	return SIM_HISTOGRAM - 1;
}

static void print_quantiles(const char *what, const uint64_t histogram[SIM_HISTOGRAM], uint64_t count)
{
	printf("sim: %s: least %u, a tenth below %u, median %u, a tenth above %u\n", what, quantile(histogram, count, 0),
	       quantile(histogram, count, 10), quantile(histogram, count, 50), quantile(histogram, count, 90));
}

static void print_stats(const struct sim_stats *stats)
{
	printf("sim: %llu schedules (%llu with 50 elements or more, %llu of a real graph, %llu with two faults or more), "
	       "%llu events, "
	       "%llu commands, %llu jobs, %llu journal records, %llu turns of the journal\n",
	       (unsigned long long)stats->schedules, (unsigned long long)stats->elements_at_least_50,
	       (unsigned long long)stats->real,
	       (unsigned long long)stats->over_two_faults, (unsigned long long)stats->events,
	       (unsigned long long)stats->commands, (unsigned long long)stats->jobs, (unsigned long long)stats->records,
	       (unsigned long long)stats->turns);
	printf("sim: outcomes: %llu without workers, %llu failed, %llu terminated, %llu success; faults:",
	       (unsigned long long)stats->outcomes[0], (unsigned long long)stats->outcomes[1],
	       (unsigned long long)stats->outcomes[2], (unsigned long long)stats->outcomes[3]);
	for (uint32_t kind = 0; kind < SIM_KINDS; kind++) {
		if (stats->faults_by_kind[kind])
			printf(" %s %llu", sim_kind_names[kind], (unsigned long long)stats->faults_by_kind[kind]);
	}
	printf("\n");
	printf("sim: budget of compilers: %llu builds, %llu steps\n", (unsigned long long)stats->builds_with_tokens,
	       (unsigned long long)stats->token_steps);
	print_quantiles("elements in a schedule", stats->sizes, stats->schedules);
	print_quantiles("faults in a schedule", stats->fault_counts, stats->schedules);
}

static bool enough(const struct sim_stats *stats)
{
	bool two = stats->over_two_faults == stats->schedules, large = quantile(stats->sizes, stats->schedules, 50) >= 50;

	if (!two)
		printf("%llu schedules with less than two faults\n",
		       (unsigned long long)(stats->schedules - stats->over_two_faults));
	if (!large)
		printf("half of the schedules have less than 50 elements\n");
	return two && large;
}

/* ---- arguments ---- */

static uint32_t kinds_of(char *list)
{
	uint32_t bits = 0;
	char *rest = NULL;

	for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		uint32_t kind = 0;

		while (kind < SIM_KINDS && strcmp(word, sim_kind_names[kind]) != 0)
			kind++;
		if (kind == SIM_KINDS) {
			fprintf(stderr, "sim: no such kind of trouble: %s\n", word);
			exit(2);
		}
		bits |= 1u << kind;
	}
	return bits;
}

static void parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (str_eq(argv[i], "--trace")) {
			o->params.trace = true;
			continue;
		}
		if (str_eq(argv[i], "--quick")) {
			o->quick = true;
			continue;
		}
		if (str_eq(argv[i], "--coverage") || str_eq(argv[i], "--must-cover")) {
			o->coverage |= str_eq(argv[i], "--coverage");
			o->must_cover |= str_eq(argv[i], "--must-cover");
			continue;
		}
		if (value && str_eq(argv[i], "--least")) {
			o->least = strtoull(value, NULL, 10);
		} else if (value && str_eq(argv[i], "--add")) {
			o->add_path = value;
		} else if (value && str_eq(argv[i], "--count")) {
			o->count = strtoull(value, NULL, 10);
		} else if (value && str_eq(argv[i], "--seed")) {
			o->params.seed = strtoull(value, NULL, 10);
		} else if (value && str_eq(argv[i], "--elements")) {
			o->params.elements = (uint32_t)strtoul(value, NULL, 10);
		} else if (value && str_eq(argv[i], "--state")) {
			o->params.state = (uint32_t)strtoul(value, NULL, 10);
		} else if (value && str_eq(argv[i], "--real")) {
			sim_graph_load(&o->real, value);
			o->params.real = &o->real;
			o->real_path = value;
		} else if (value && str_eq(argv[i], "--without")) {
			o->params.without = kinds_of(value);
		} else {
			fprintf(stderr, "sim: see the head of main.c for usage\n");
			exit(2);
		}
		i++;
	}
}

/* A long run in portions: the counts are numbers of eight bytes, one after the other. */
static void add_portion(struct sim_stats *stats, const char *path)
{
	uint64_t sum[sizeof(*stats) / sizeof(uint64_t)], earlier[ARRAY_SIZE(sum)];
	FILE *f = fopen(path, "r");

	_Static_assert(sizeof(sum) == sizeof(*stats), "");
	memcpy(sum, stats, sizeof(sum));
	if (f && fread(earlier, sizeof(earlier), 1, f) == 1) {
		for (size_t i = 0; i < ARRAY_SIZE(sum); i++)
			sum[i] += earlier[i];
	}
	if (f)
		fclose(f);
	f = fopen(path, "w");
	if (!f || fwrite(sum, sizeof(sum), 1, f) != 1 || fclose(f) != 0) {
		perror(path);
		exit(2);
	}
	memcpy(stats, sum, sizeof(sum));
}

/* All schedules in one child: what fails may well be an assertion. */
static int run_all(const struct options *o, struct shared *shared)
{
	struct sim_params params = o->params;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setvbuf(stdout, NULL, _IOLBF, 0);
		for (uint64_t i = 0; i < o->count; i++) {
			params.seed = shared->seed = o->params.seed + i;
			sim_run(&params, &shared->stats);
			sim_tokens(&params, &shared->stats);
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	struct options o = { .params = { .seed = 1, .state = 4 }, .count = 1 };
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t missing;

	if (shared == MAP_FAILED)
		return 2;
	parse(argc, argv, &o);
	if (run_all(&o, shared) != 0) {
		printf("sim: seed %llu failed\n", (unsigned long long)shared->seed);
		o.params.seed = shared->seed;
		if (!o.params.trace && !o.quick)
			report(o.params, o.real_path);
		return 1;
	}
	if (o.add_path)
		add_portion(&shared->stats, o.add_path);
	print_stats(&shared->stats);
	if (o.must_cover)
		o.least = MAX(o.least, 1u);
	missing = o.coverage || o.least ? print_coverage(&shared->stats, &o) : 0;
	missing += o.least && !enough(&shared->stats);
	sim_graph_release(&o.real);
	return o.least && missing ? 1 : 0;
}

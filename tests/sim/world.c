/* A virtual world around the scheduler: time, workers that take a while and die, messages under way, people. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

const char *const sim_kind_names[SIM_KINDS] = { "failures", "temporary", "deaths",     "spawn-failures", "late", "user",
						"suspend",  "limits",    "late-keys",  "changes",        "expiry", "retry",
						"excluded", "window",    "weights",    "roll" };

/* ---- saying what happens ---- */

void trace(const struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->params->trace)
		return;
	printf("%6llu  ", (unsigned long long)w->now);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

NORETURN void wrong(const struct world *w, const char *what)
{
	printf("sim: seed %llu at %llu: %s\n", (unsigned long long)w->params->seed, (unsigned long long)w->now, what);
	fflush(stdout);
	exit(1);
}

void right(const struct world *w, const char *what)
{
	if (what)
		wrong(w, what);
}

uint32_t below(struct world *w, uint32_t n)
{
	return random_below(&w->random, n);
}

/* Draws in any case, so that leaving one kind of trouble out changes the rest as little as can be. */
bool chance(struct world *w, uint32_t kind, uint32_t per_mille)
{
	bool hit = below(w, 1000) < per_mille;

	return hit && !(w->params->without & kind);
}

void fault(struct world *w, uint32_t kind)
{
	w->faults++;
	w->stats->faults++;
	w->stats->faults_by_kind[__builtin_ctz(kind)]++;
}

/* Trouble that is a property of the world rather than a blow: counted by kind, but not as one of a schedule's faults. */
void notice(struct world *w, uint32_t kind)
{
	w->stats->faults_by_kind[__builtin_ctz(kind)]++;
}

/* ---- events in time ---- */

static bool earlier(const struct event *a, const struct event *b)
{
	return a->time != b->time ? a->time < b->time : a->seq < b->seq;
}

void post(struct world *w, uint64_t delay, struct event event)
{
	size_t i = w->event_count++;

	w->events = util_grow(w->events, &w->event_cap, w->event_count, sizeof(*w->events));
	event.time = w->now + delay;
	event.seq = w->seq++;
	while (i > 0 && earlier(&event, &w->events[(i - 1) / 2])) {
		w->events[i] = w->events[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->events[i] = event;
}

static struct event next_event(struct world *w)
{
	struct event top = w->events[0], last = w->events[--w->event_count];
	size_t i = 0;

	while (i * 2 + 1 < w->event_count) {
		size_t child = i * 2 + 1;

		if (child + 1 < w->event_count && earlier(&w->events[child + 1], &w->events[child]))
			child++;
		if (!earlier(&w->events[child], &last))
			break;
		w->events[i] = w->events[child];
		i = child;
	}
	w->events[i] = last;
	return top;
}

/* A message of a worker to the parent: they arrive in the order in which they were sent. */
void tell_parent(struct world *w, uint32_t slot, struct event event)
{
	struct wworker *worker = &w->workers[slot];
	uint64_t soonest = w->now + below(w, 3), at = MAX(soonest, worker->last_arrival);

	worker->last_arrival = at;
	event.slot = slot;
	event.incarnation = worker->incarnation;
	post(w, at - w->now, event);
}

/* ---- one schedule ---- */

static void make_config(struct world *w)
{
	struct sched_config *config = &w->config;

	sched_config_default(config, 1 + below(w, 4), below(w, 5), below(w, 5));
	config->mode = below(w, 8) == 0 ? SCHED_INLINE : below(w, 4) == 0 ? SCHED_FORK : SCHED_POOL;
	config->queues = below(w, 3) ? (uint8_t)(random_next(&w->random) | SCHED_BIT(SCHED_BUILD)) : SCHED_ALL_QUEUES;
	config->eager = below(w, 2) ? config->eager : (uint8_t)random_next(&w->random) | SCHED_BIT(SCHED_FETCH);
	config->imperative = below(w, 4) ? SCHED_BUILD : below(w, SCHED_QUEUES + 1);
	config->on_error = below(w, 4) ? SCHED_ON_ERROR_CONTINUE : below(w, 3);
	config->max_workers = 1 + below(w, 9);
	config->limits[SCHED_SUBPROCESS] = below(w, 9);
	if (chance(w, SIM_WINDOW, 250))
		config->window = 2 + below(w, 4);
	config->network_retries = below(w, 4);
	config->death_retries = below(w, 3);
	config->spawn_retries = 1 + below(w, 5);
	if (config->mode == SCHED_INLINE)
		config->max_workers = config->window = 1;
	if (config->mode == SCHED_FORK)
		config->window = 1;
	w->fail_percent = below(w, 3) ? below(w, 12) : 0;
	w->temporary_percent = below(w, 8) ? w->fail_percent : 20 + below(w, 40);
	w->death_percent = below(w, 3) ? below(w, 40) : 0;
	if (config->mode == SCHED_INLINE)
		w->death_percent = 0;
}

static uint32_t random_size(struct world *w)
{
	uint32_t n = below(w, 10);

	if (n < 4)
		return 1 + below(w, 50);
	if (n < 9)
		return 50 + below(w, 30);
	return 80 + below(w, 150);
}

static void make_world(struct world *w)
{
	const struct sim_graph *real;
	uint32_t count;

	make_config(w);
	count = random_size(w);
	if (w->params->elements)
		count = w->params->elements;
	real = w->params->seed % 5 == 0 ? w->params->real : NULL;
	if (real)
		count = MIN(count, real->count);
	w->stats->real += real != NULL;
	sim_graph_make(&w->graph, &w->random, count, w->config.queues, w->params->without, real);
	w->sched = sched_new(&w->config, &(struct sched_graph){ count, w->graph.build_start, w->graph.build_deps,
								w->graph.run_start, w->graph.run_deps, w->graph.needs,
								w->graph.flags, w->graph.weights });
	w->config.queues &= SCHED_ALL_QUEUES;
	model_init(&w->model, &w->graph, &w->config);
	if (w->config.window > 1)
		notice(w, SIM_WINDOW);
	for (uint32_t e = 0; e < count; e++) {
		if (w->graph.flags[e] & SCHED_OUTSIDE)
			notice(w, SIM_EXCLUDED);
	}
	w->workers = xcalloc(w->config.max_workers, sizeof(*w->workers));
	if (w->params->state && w->params->seed % w->params->state == 0)
		w->twin = twin_new(count, w->config.max_workers, w->config.window <= 1);
	if (w->config.mode == SCHED_INLINE) {
		w->workers[0].state = ALIVE;
		w->workers[0].incarnation = 1;
		if (w->twin)
			twin_spawn(w->twin, 0);
	}
	w->people_left = below(w, 3) ? below(w, 30) : 0;
	for (uint32_t i = 0; i < w->people_left; i++)
		post(w, below(w, 40 + count * 20), (struct event){ .type = PEOPLE });
	for (uint32_t i = 0; i < 2; i++)
		post(w, 1 + below(w, 20 + count * 10), (struct event){ .type = TROUBLE });
	trace(w, "%u elements, mode %d, queues %x, eager %x, imperative %d, on-error %d, workers %u, limits %u/%u/%u/%u, "
	      "window %u", count, (int)w->config.mode, w->config.queues, w->config.eager, (int)w->config.imperative,
	      (int)w->config.on_error, w->config.max_workers, w->config.limits[1], w->config.limits[2],
	      w->config.limits[3], w->config.limits[4], w->config.window);
}

static void free_world(struct world *w)
{
	struct sim_stats *stats = w->stats;

	stats->schedules++;
	stats->over_two_faults += w->faults >= 2;
	stats->elements_at_least_50 += w->graph.count >= 50;
	stats->sizes[MIN(w->graph.count, SIM_HISTOGRAM - 1u)]++;
	stats->fault_counts[MIN(w->faults, SIM_HISTOGRAM - 1u)]++;
	if (w->twin) {
		stats->records += twin_records(w->twin);
		stats->turns += twin_turns(w->twin);
	}
	for (uint32_t i = 0; i < sched_cell_count(); i++) {
		const char *table, *state, *event;
		bool possible;
		uint64_t hits;

		sched_cell(w->sched, i, &table, &state, &event, &possible, &hits);
		stats->cells[i] += hits;
	}
	twin_free(w->twin);
	model_release(&w->model);
	sched_free(w->sched);
	sim_graph_release(&w->graph);
	free(w->workers);
	free(w->events);
}

static void one_event(struct world *w)
{
	struct event event = next_event(w);

	w->now = event.time;
	w->stats->events++;
	if (++w->steps > 200000)
		wrong(w, "it goes on for ever");
	happen(w, &event);
	right(w, sched_check(w->sched));
}

void sim_run(const struct sim_params *params, struct sim_stats *stats)
{
	struct world w = { .params = params, .stats = stats, .random = params->seed * 0x9e3779b97f4a7c15u + 1 };

	make_world(&w);
	right(&w, sched_check(w.sched));
	commands(&w);
	while (w.event_count || w.model.suspended) {
		if (w.event_count)
			one_event(&w);
		if (!w.event_count && w.model.suspended) {
			w.model.suspended = false;
			sched_resume(w.sched);
		}
		if (!w.event_count || w.events[0].time > w.now + 1 || below(&w, 3)) /* else there is more to report first */
			commands(&w);
	}
	if (!w.finished)
		wrong(&w, "nothing happens any more, and it has not finished");
	free_world(&w);
}

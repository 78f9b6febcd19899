/* session/driver.c: see driver.h. */
#include "session/driver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session/jobserver.h"

enum {
	PATIENCE_US = 750000,
	RETRY_FIRST_US = 250000,
	RETRY_DELAY_MAX_US = 8000000
};

struct held { /* jobs in one slot */
	struct driver_job jobs[POOL_WINDOW_MAX];
	uint32_t count;
};

struct retry {
	struct loop_timer timer;
	struct driver *driver;
	struct retry *next, *prev;
	uint32_t element;
};

struct pause {
	int64_t from_us, to_us;
};

struct driver {
	struct driver_config config;
	struct loop *loop;
	struct sched *sched;
	struct pool *pool;
	struct jobserver *jobserver; /* NULL: none */
	struct held *held; /* by slot */
	struct retry retries; /* list head */
	struct loop_timer tick, kill;
	struct loop_task task; /* advance, at the end of the turn */
	bool advancing, terminating, ending;
	int signal;
	uint32_t pauses;
	struct pause *past_pauses;
	size_t past_pause_count, past_pause_cap;
	int64_t start_us, paused_at_us, paused_us;
	enum sched_outcome outcome;
};

static void advance(struct driver *driver);

static void trace(struct driver *driver, const char *text)
{
	if (driver->config.events->trace)
		driver->config.events->trace(driver->config.data, text);
}

/* --- clock --- */

int64_t driver_elapsed_us(const struct driver *driver)
{
	int64_t now_us = driver->pauses > 0 ? driver->paused_at_us : util_now_us();

	return now_us - driver->start_us - driver->paused_us;
}

void driver_pause(struct driver *driver)
{
	if (driver->pauses++ > 0)
		return;
	driver->paused_at_us = util_now_us();
	sched_suspend(driver->sched);
	pool_suspend(driver->pool);
}

void driver_resume(struct driver *driver)
{
	assert(driver->pauses > 0);
	if (--driver->pauses > 0)
		return;
	driver->past_pauses = util_grow(driver->past_pauses, &driver->past_pause_cap, driver->past_pause_count + 1,
					sizeof(*driver->past_pauses));
	driver->past_pauses[driver->past_pause_count++] = (struct pause){ driver->paused_at_us, util_now_us() };
	driver->paused_us += util_now_us() - driver->paused_at_us;
	pool_resume(driver->pool);
	sched_resume(driver->sched);
	advance(driver);
}

/* --- jobs --- */

static struct driver_job *find_job(struct driver *driver, uint32_t slot, uint64_t id)
{
	struct held *held = &driver->held[slot];

	for (uint32_t i = 0; i < held->count; i++)
		if (held->jobs[i].id == id)
			return &held->jobs[i];
	bug("driver: job %llu is not in slot %u", (unsigned long long)id, slot);
}

/* Forgets a job that is over; what it was goes to the caller. */
static struct driver_job take_job(struct driver *driver, uint32_t slot, uint64_t id)
{
	struct held *held = &driver->held[slot];
	struct driver_job *at = find_job(driver, slot, id), job = *at;

	held->count--;
	if (driver->jobserver && job.queue == SCHED_BUILD)
		jobserver_leave(driver->jobserver, slot);
	memmove(at, at + 1, (size_t)(held->jobs + held->count - at) * sizeof(*at));
	return job;
}

void driver_each_job(const struct driver *driver, void (*fn)(void *data, const struct driver_job *job), void *data)
{
	for (uint32_t slot = 0; slot < driver->config.sched.max_workers; slot++)
		for (uint32_t i = 0; i < driver->held[slot].count; i++)
			fn(data, &driver->held[slot].jobs[i]);
}

/* --- state --- */

static void commit(struct driver *driver, uint32_t origin, const void *bytes, size_t size_bytes, uint32_t count)
{
	struct state *state = driver->config.worker.state;
	int r;

	if (count == 0)
		return;
	r = state_commit(state, origin, bytes, size_bytes, count);
	if (r == -ENOSPC) {
		/* Workers forked before are replaced by the pool, each before its next job. */
		trace(driver, "the state journal is full and is started anew");
		r = state_roll(state);
		if (r == 0)
			r = state_commit(state, origin, bytes, size_bytes, count);
	}
	if (r < 0)
		bug("driver: state journal: %s", strerror(-r));
}

void driver_commit(struct driver *driver, struct state_changes *changes)
{
	commit(driver, STATE_ORIGIN_PARENT, changes->bytes.data, changes->bytes.len, changes->count);
	state_changes_clear(changes);
}

/* --- what the pool tells --- */

/* How long everything was stopped between two moments: a worker cannot know. */
static int64_t paused_between(const struct driver *driver, int64_t from_us, int64_t to_us)
{
	int64_t sum_us = 0;

	for (size_t i = 0; i < driver->past_pause_count; i++)
		sum_us += MAX(MIN(driver->past_pauses[i].to_us, to_us) - MAX(driver->past_pauses[i].from_us, from_us), 0);
	return sum_us;
}

static void on_message(void *data, uint32_t slot, const struct wire_message *message)
{
	struct driver *driver = data;
	struct wire_message told = *message;

	if (told.elapsed_us > 0)
		told.elapsed_us = MAX(told.elapsed_us - paused_between(driver, told.at_us - told.elapsed_us, told.at_us), 0);
	driver->config.events->message(driver->config.data, find_job(driver, slot, message->job), &told);
}

static void on_progress(void *data, uint32_t slot, const struct wire_progress *progress)
{
	struct driver *driver = data;

	driver->config.events->progress(driver->config.data, find_job(driver, slot, progress->job), progress);
}

static enum driver_end end_of(int judged, enum wire_outcome outcome)
{
	switch (judged) {
	case SCHED_RETRIED:
		return DRIVER_RETRIED;
	case SCHED_FAILED:
		return DRIVER_FAILED;
	case SCHED_RETURNED:
		return DRIVER_RETURNED;
	case SCHED_DROPPED:
		return DRIVER_CANCELLED;
	default:
		return outcome == WIRE_NOTHING ? DRIVER_SKIPPED : DRIVER_DONE;
	}
}

static void on_result(void *data, uint32_t slot, uint32_t incarnation, const struct wire_result *result)
{
	static const enum sched_result results[WIRE_OUTCOME_END] = {
		[WIRE_DONE] = SCHED_SUCCESS, [WIRE_NOTHING] = SCHED_SKIPPED, [WIRE_FAILED] = SCHED_FAILURE,
		[WIRE_TEMPORARY] = SCHED_TEMPORARY, [WIRE_CANCELLED] = SCHED_CANCELLED,
	};
	struct driver *driver = data;
	struct driver_job job = take_job(driver, slot, result->job);
	uint32_t drop;
	int judged;

	commit(driver, incarnation, result->changes, result->change_bytes, result->change_count);
	drop = driver->config.events->result(driver->config.data, &job, result);
	judged = sched_job_done(driver->sched, job.id, results[result->outcome], drop);
	driver->config.events->ended(driver->config.data, &job, end_of(judged, result->outcome), result, NULL);
	advance(driver);
}

/* What a worker's death came to for one of its jobs, as the scheduler's accounts show it now. */
static int fate_of(const struct driver *driver, const struct driver_job *job)
{
	struct sched_element_view view;

	sched_element_view(driver->sched, job->element, &view);
	if (view.failed & SCHED_BIT(job->queue))
		return SCHED_FAILED;
	if (view.state == SCHED_STOPPED)
		return SCHED_DROPPED;
	return view.attempt < job->attempt ? SCHED_RETURNED : SCHED_RETRIED; /* one that did not begin was no attempt */
}

static void on_gone(void *data, uint32_t slot, enum pool_end why, uint64_t begun, const char *text)
{
	struct driver *driver = data;
	struct held held = driver->held[slot];
	const uint32_t count = held.count;
	int judged, fates[POOL_WINDOW_MAX];

	driver->held[slot].count = 0;
	if (driver->jobserver)
		jobserver_leave(driver->jobserver, slot);
	if (begun != 0)
		sched_job_started(driver->sched, begun);
	judged = sched_worker_died(driver->sched, slot);
	if (why != POOL_RETIRED)
		trace(driver, text);
	/* All fates first: a callback may well set off more. */
	for (uint32_t i = 0; i < count; i++)
		fates[i] = held.jobs[i].element == SCHED_NONE ? judged : fate_of(driver, &held.jobs[i]);
	for (uint32_t i = 0; i < count; i++)
		driver->config.events->ended(driver->config.data, &held.jobs[i], end_of(fates[i], WIRE_DONE), NULL, text);
	advance(driver);
}

static void on_pool_trace(void *data, const char *text)
{
	trace(data, text);
}

static void on_fork(void *data)
{
	struct driver *driver = data;

	jobserver_after_fork(driver->jobserver);
	if (driver->config.events->after_fork)
		driver->config.events->after_fork(driver->config.data);
}

static const struct pool_events pool_events = {
	.message = on_message, .progress = on_progress, .result = on_result, .gone = on_gone, .trace = on_pool_trace,
};

/* --- what the scheduler commands --- */

static void on_retry_due(struct loop_timer *timer UNUSED, void *data)
{
	struct retry *retry = data;
	struct driver *driver = retry->driver;

	sched_retry_due(driver->sched, retry->element);
	retry->prev->next = retry->next;
	retry->next->prev = retry->prev;
	free(retry);
	advance(driver);
}

static void do_spawn(struct driver *driver, const struct sched_command *command)
{
	if (pool_spawn(driver->pool, command->worker) < 0)
		sched_worker_died(driver->sched, command->worker);
	else
		sched_worker_ready(driver->sched, command->worker); /* the socket holds what comes before it reads */
}

/* A build's share of the budget; builds have a slot of their own. */
static void add_tokens(struct driver *driver, const struct driver_job *job, struct wire_dispatch *dispatch)
{
	const struct driver_events *events = driver->config.events;
	struct driver_tokens tokens = { 0 };
	struct jobserver_pipe tube;

	if (!driver->jobserver || job->queue != SCHED_BUILD || !events->tokens ||
	    !events->tokens(driver->config.data, job, &tokens))
		return;
	if (jobserver_join(driver->jobserver, job->slot,
			   &(struct jobserver_build){ tokens.want, tokens.most, tokens.fifo ? job->id : 0 }, &tube) < 0)
		return;
	dispatch->tokens = tube.tokens;
	dispatch->pipe_read = tube.read_fd;
	dispatch->pipe_write = tube.write_fd;
}

static void do_dispatch(struct driver *driver, const struct sched_command *command)
{
	struct held *held = &driver->held[command->worker];
	struct driver_job *job = &held->jobs[held->count];
	const struct driver_events *events = driver->config.events;
	struct wire_dispatch dispatch = {
		.job = command->job, .type = driver->config.job_types[command->queue], .element = command->element,
		.attempt = command->attempt,
	};

	assert(held->count < POOL_WINDOW_MAX);
	*job = (struct driver_job){ .id = command->job, .queue = command->queue, .element = command->element,
				    .attempt = command->attempt, .slot = command->worker,
				    .started_us = driver_elapsed_us(driver) };
	held->count++;
	if (events->flags)
		dispatch.flags = events->flags(driver->config.data, job);
	add_tokens(driver, job, &dispatch);
	events->started(driver->config.data, job);
	pool_dispatch(driver->pool, command->worker, &dispatch);
}

static void on_kill(struct loop_timer *timer UNUSED, void *data)
{
	struct driver *driver = data;

	pool_kill(driver->pool);
}

/* From here on there is a second: whoever wanted it, a person, a signal or on-error. */
static void start_terminating(struct driver *driver)
{
	if (driver->terminating)
		return;
	driver->terminating = true;
	loop_timer_set(driver->loop, &driver->kill,
		       util_now_us() + (driver->config.patience_us ? driver->config.patience_us : PATIENCE_US), on_kill, driver);
}

/* Only terminate cancels. */
static void do_cancel(struct driver *driver, const struct sched_command *command)
{
	start_terminating(driver);
	pool_cancel(driver->pool, command->job);
}

static void do_retire(struct driver *driver, const struct sched_command *command)
{
	pool_retire(driver->pool, command->worker);
}

static void do_retry_in(struct driver *driver, const struct sched_command *command)
{
	struct retry *retry = xcalloc(1, sizeof(*retry));
	uint32_t doublings = MIN(command->attempt < 2 ? 0 : command->attempt - 2, 16u);
	int64_t delay_us = MIN(driver->config.retry_delay_us << doublings, (int64_t)RETRY_DELAY_MAX_US);

	retry->driver = driver;
	retry->element = command->element;
	retry->prev = driver->retries.prev;
	retry->next = &driver->retries;
	retry->prev->next = retry;
	driver->retries.prev = retry;
	loop_timer_set(driver->loop, &retry->timer, util_now_us() + delay_us, on_retry_due, retry);
}

static void do_finished(struct driver *driver, const struct sched_command *command)
{
	driver->outcome = command->outcome;
}

static void on_task(struct loop_task *task UNUSED, void *data)
{
	advance(data);
}

/* Carries out commands until there are none.  Callbacks in the middle of that may end up here again: then once more at
 * the end of the turn. */
static void advance(struct driver *driver)
{
	static void (*const actions[])(struct driver *driver, const struct sched_command *command) = {
		[SCHED_SPAWN] = do_spawn, [SCHED_DISPATCH] = do_dispatch, [SCHED_CANCEL] = do_cancel,
		[SCHED_RETIRE] = do_retire, [SCHED_RETRY_IN] = do_retry_in, [SCHED_FINISHED] = do_finished,
	};
	struct sched_command command;

	if (driver->advancing) {
		loop_defer(driver->loop, &driver->task, on_task, driver);
		return;
	}
	driver->advancing = true;
	while (sched_next(driver->sched, &command))
		actions[command.type](driver, &command);
	driver->advancing = false;
}

/* --- ending early --- */

void driver_quit(struct driver *driver)
{
	sched_quit(driver->sched);
	advance(driver);
}

void driver_terminate(struct driver *driver)
{
	if (driver->terminating)
		return;
	start_terminating(driver);
	sched_terminate(driver->sched);
	advance(driver);
}

/* --- signals --- */

static void terminate_by(struct driver *driver, int signal)
{
	if (driver->terminating) { /* the second time: no more patience */
		pool_kill(driver->pool);
		return;
	}
	driver->signal = signal;
	driver_terminate(driver);
}

static void on_interrupt(struct driver *driver, int signal)
{
	enum driver_answer answer;

	if (!driver->config.interactive || driver->terminating) {
		terminate_by(driver, signal);
		return;
	}
	driver_pause(driver);
	answer = driver->config.events->interrupt(driver->config.data);
	if (answer == DRIVER_TERMINATE)
		terminate_by(driver, signal);
	else if (answer == DRIVER_QUIT)
		driver_quit(driver);
	driver_resume(driver);
}

/* ^Z: the sandboxes first, then we; we go on at the line after our own SIGSTOP. */
static void on_stop(struct driver *driver, int signal UNUSED)
{
	const struct driver_events *events = driver->config.events;

	driver_pause(driver);
	if (events->suspend)
		events->suspend(driver->config.data, true);
	kill(getpid(), SIGSTOP);
	if (events->suspend)
		events->suspend(driver->config.data, false);
	driver_resume(driver);
}

static const struct {
	int signal;
	void (*fn)(struct driver *driver, int signal);
} signal_actions[] = {
	{ SIGINT, on_interrupt }, { SIGTERM, terminate_by }, { SIGHUP, terminate_by }, { SIGTSTP, on_stop },
};

static void on_signal(struct loop *loop UNUSED, const struct signalfd_siginfo *info, void *data)
{
	struct driver *driver = data;

	if (driver->ending) { /* nothing left to stop; the caller looks at driver_signal */
		driver->signal = info->ssi_signo == SIGTSTP ? driver->signal : (int)info->ssi_signo;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(signal_actions); i++)
		if (signal_actions[i].signal == (int)info->ssi_signo)
			signal_actions[i].fn(data, (int)info->ssi_signo);
}

/* nohup: who started us does not want us to end with the terminal. */
static bool ignored(int signal)
{
	struct sigaction action;

	return signal == SIGHUP && sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static int catch_signals(struct driver *driver)
{
	int signals[ARRAY_SIZE(signal_actions)];
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(signal_actions); i++)
		if (!ignored(signal_actions[i].signal))
			signals[count++] = signal_actions[i].signal;
	return loop_signals(driver->loop, signals, count, on_signal, driver);
}

/* --- life --- */

static void on_tick(struct loop_timer *timer, void *data)
{
	struct driver *driver = data;

	driver->config.events->tick(driver->config.data);
	loop_timer_set(driver->loop, timer, loop_now_us(driver->loop) + driver->config.tick_us, on_tick, driver);
}

static struct pool *make_pool(struct driver *driver)
{
	static const enum pool_mode modes[] = {
		[SCHED_POOL] = POOL_WORKERS, [SCHED_FORK] = POOL_FORK, [SCHED_INLINE] = POOL_INLINE,
	};
	struct pool_config config = {
		.mode = modes[driver->config.sched.mode], .max_workers = driver->config.sched.max_workers,
		.loop = driver->loop, .worker = driver->config.worker, .events = &pool_events, .data = driver,
		.after_fork = on_fork, .ping_deadline_us = driver->config.ping_deadline_us,
	};

	return pool_new(&config);
}

int driver_new(struct driver **ret, const struct driver_config *config)
{
	struct driver *driver = xcalloc(1, sizeof(*driver));
	int r = 0;

	driver->config = *config;
	if (driver->config.retry_delay_us == 0)
		driver->config.retry_delay_us = RETRY_FIRST_US;
	driver->retries.next = driver->retries.prev = &driver->retries;
	driver->start_us = util_now_us();
	if (state_epoch(config->worker.state) == 0)
		r = state_open(config->worker.state, 0);
	if (r == 0)
		r = loop_new(&driver->loop);
	if (r < 0) {
		free(driver);
		return r;
	}
	driver->held = xcalloc(config->sched.max_workers, sizeof(*driver->held));
	if (config->tokens)
		driver->jobserver = jobserver_new(driver->loop, config->tokens, config->sched.max_workers, config->fifo_prefix);
	driver->sched = sched_new(&config->sched, config->plan);
	driver->pool = make_pool(driver);
	*ret = driver;
	return 0;
}

/* After terminate the last process is waited for too: nothing may be left behind. */
static bool over(struct driver *driver)
{
	if (!sched_finished(driver->sched) || !driver->terminating)
		return sched_finished(driver->sched);
	pool_kill(driver->pool); /* idle workers */
	return pool_alive(driver->pool) == 0;
}

int driver_run(struct driver *driver, enum sched_outcome *ret_outcome)
{
	int r = catch_signals(driver);

	if (r < 0)
		return r;
	if (driver->config.tick_us > 0 && driver->config.events->tick)
		loop_timer_set(driver->loop, &driver->tick, util_now_us() + driver->config.tick_us, on_tick, driver);
	advance(driver);
	while (r >= 0 && !over(driver))
		r = loop_turn(driver->loop, -1);
	loop_timer_clear(&driver->tick);
	loop_timer_clear(&driver->kill);
	/* One more ^C on the way out must not end the program by its default action once it is unblocked. */
	driver->ending = true;
	while (loop_signals_pump(driver->loop) > 0)
		;
	driver->ending = false;
	loop_signals(driver->loop, NULL, 0, NULL, NULL);
	*ret_outcome = driver->outcome;
	return MIN(r, 0);
}

void driver_free(struct driver *driver)
{
	if (!driver)
		return;
	pool_free(driver->pool);
	while (driver->retries.next != &driver->retries) {
		struct retry *retry = driver->retries.next;

		driver->retries.next = retry->next;
		loop_timer_clear(&retry->timer);
		free(retry);
	}
	loop_timer_clear(&driver->tick);
	loop_timer_clear(&driver->kill);
	loop_task_cancel(&driver->task);
	jobserver_free(driver->jobserver);
	sched_free(driver->sched);
	loop_free(driver->loop);
	free(driver->held);
	free(driver->past_pauses);
	free(driver);
}

struct sched *driver_sched(struct driver *driver)
{
	return driver->sched;
}

bool driver_terminating(const struct driver *driver)
{
	return driver->terminating;
}

int driver_signal(const struct driver *driver)
{
	return driver->signal;
}

struct loop *driver_loop(struct driver *driver)
{
	return driver->loop;
}

const struct pool_stats *driver_pool_stats(const struct driver *driver)
{
	return pool_stats(driver->pool);
}

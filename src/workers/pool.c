/* workers/pool.c: slots and their jobs; what workers say. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/workers_internal.h"

static void on_task(struct loop_task *task, void *data);

void pool_trace(struct pool *pool, const char *fmt, ...)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	va_list ap;

	if (!pool->config.events->trace)
		return;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	pool->config.events->trace(pool->config.data, buf_text(&text));
}

uint64_t pool_begun(struct pool *pool, uint32_t slot)
{
	return atomic_load_explicit(&pool->begun[slot * BEGUN_STRIDE], memory_order_relaxed);
}

/* --- life --- */

static void set_default(int64_t *value, int64_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

/* Where the slowest reader of the present journal stands.  Also one that was killed counts until it is reaped. */
static uint64_t oldest_reader(void *data)
{
	struct pool *pool = data;
	const uint32_t epoch = state_epoch(pool->config.worker.state);
	uint64_t oldest = UINT64_MAX;

	if (pool->config.mode != POOL_WORKERS)
		return oldest; /* a process forked for one job reads nothing */
	for (const struct process *process = pool->processes.next; process != &pool->processes; process = process->next)
		if (process->epoch == epoch)
			oldest = MIN(oldest, process->followed);
	return oldest;
}

struct pool *pool_new(const struct pool_config *config)
{
	struct pool *pool = xcalloc(1, sizeof(*pool));
	size_t begun_bytes = config->max_workers * BEGUN_STRIDE * sizeof(uint64_t);

	assert(config->max_workers >= 1 && config->max_workers <= POOL_WORKERS_MAX);
	pool->config = *config;
#ifdef WORKER_TEST_SEAM
	worker_seam_deadlines(&pool->config);
#endif
	set_default(&pool->config.ping_after_us, 5 * 1000000);
	set_default(&pool->config.ping_deadline_us, 60 * 1000000);
	set_default(&pool->config.cancel_grace_us, 400000);
	set_default(&pool->config.term_grace_us, 200000);
	pool->slots = xcalloc(config->max_workers, sizeof(*pool->slots));
	pool->processes.next = pool->processes.prev = &pool->processes;
	pool->inbox = wire_inbox_new();
	pool->begun = mmap(NULL, begun_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pool->begun == MAP_FAILED)
		bug("pool_new: %s", strerror(errno));
	pool->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (config->mode == POOL_INLINE)
		pool->slots[0].filled = true;
	else
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	state_reuse(config->worker.state, 0, oldest_reader, pool);
	return pool;
}

static void reap_all(struct pool *pool)
{
	pid_t *pids;
	size_t count;

	for (struct process *process = pool->processes.next; process != &pool->processes;) {
		struct process *next = process->next;

		process_kill(process, POOL_KILLED, NULL);
		loop_timer_clear(&process->timer);
		loop_fd_remove(&process->handle);
		loop_child_remove(&process->child);
		close_fd(process->fd);
		waitpid(process->pid, NULL, 0);
		free(process);
		process = next;
	}
	pool->processes.next = pool->processes.prev = &pool->processes;
	/* What they had started is ours now, round after round: the dead one's children become visible with its end. */
	for (int round = 0; round < 200 && pool->config.mode != POOL_INLINE; round++) {
		if (waitpid(-1, NULL, WNOHANG) < 0)
			break;
		count = descend_find(getpid(), &pids);
		for (size_t i = 0; i < count; i++)
			kill(pids[i], SIGKILL);
		free(pids);
		usleep(1000);
	}
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	if (pool->process_count > 0 || pool->orphans)
		reap_all(pool);
	state_reuse(pool->config.worker.state, 0, NULL, NULL);
	loop_timer_clear(&pool->ping_timer);
	loop_timer_clear(&pool->orphan_timer);
	loop_task_cancel(&pool->task);
	munmap(pool->begun, pool->config.max_workers * BEGUN_STRIDE * sizeof(uint64_t));
	close_fd(pool->null_fd);
	buf_release(&pool->scratch);
	free(pool->inbox);
	free(pool->slots);
	free(pool);
}

/* --- jobs out --- */

static bool stale(const struct pool *pool, const struct process *process)
{
	const struct graph *graph = pool->config.worker.graph;

	return process->epoch != state_epoch(pool->config.worker.state) ||
	       (graph && process->generation != graph->generation);
}

void pool_defer(struct pool *pool)
{
	loop_defer(pool->config.loop, &pool->task, on_task, pool);
}

/* Lets a process go without its slot: it finishes what it has and is not heard of again. */
static void detach(struct pool *pool, struct process *process)
{
	pool->slots[process->slot].process = NULL;
	process->slot = POOL_NO_SLOT;
	process_quit(process);
}

static void send_job(struct pool *pool, struct process *process, struct pool_job *job)
{
	struct wire_any any = { .type = WIRE_DISPATCH, .dispatch = job->dispatch };

	any.dispatch.generation = process->generation;
	any.dispatch.as_of = state_position(pool->config.worker.state);
	job->dispatch = any.dispatch;
	job->sent = true;
	process_send(process, &any);
	if (job->cancelled) {
		struct wire_any cancel = { .type = WIRE_CANCEL, .number = { job->id } };

		process_send(process, &cancel);
	}
}

/* Sends what the slot's process may have: everything, unless it is out of date; then it is replaced as soon as it has
 * nothing left to do.  A fork that fails leaves the slot without process: on_task reports that. */
static void feed(struct pool *pool, uint32_t number)
{
	struct pool_slot *slot = &pool->slots[number];
	bool out_of_date = slot->process && stale(pool, slot->process);

	if (slot->queue.count == 0)
		return;
	if (out_of_date && pool_queue_at(&slot->queue, 0)->sent)
		return;
	if (out_of_date) {
		pool_trace(pool, "worker %u is replaced: it was forked before the project or its journal changed",
			   slot->process->incarnation);
		detach(pool, slot->process);
	}
	if (!slot->process && (pool->dead || process_spawn(pool, number, NULL) < 0)) {
		pool_defer(pool);
		return;
	}
	for (uint32_t i = 0; i < slot->queue.count; i++)
		if (!pool_queue_at(&slot->queue, i)->sent)
			send_job(pool, slot->process, pool_queue_at(&slot->queue, i));
}

static void start_forked(struct pool *pool, uint32_t number, struct pool_job *job)
{
	job->dispatch.generation = pool->config.worker.graph ? pool->config.worker.graph->generation : 0;
	job->dispatch.as_of = state_position(pool->config.worker.state);
	job->sent = true;
	if (pool->dead || process_spawn(pool, number, &job->dispatch) < 0)
		pool_defer(pool);
}

int pool_spawn(struct pool *pool, uint32_t slot)
{
	int r = 0;

	assert(slot < pool->config.max_workers && !pool->slots[slot].filled);
	if (pool->dead)
		return -ESHUTDOWN;
	if (pool->config.mode == POOL_WORKERS)
		r = process_spawn(pool, slot, NULL);
	if (r < 0)
		return r;
	pool->slots[slot].filled = true;
	pool->slots[slot].retiring = false;
	return 0;
}

void pool_dispatch(struct pool *pool, uint32_t slot, const struct wire_dispatch *dispatch)
{
	struct pool_queue *queue = &pool->slots[slot].queue;
	struct pool_job *job;

	assert(slot < pool->config.max_workers && pool->slots[slot].filled && !pool->slots[slot].retiring);
	assert(queue->count < POOL_WINDOW_MAX && dispatch->type < pool->config.worker.type_count);
	job = pool_queue_at(queue, queue->count++);
	*job = (struct pool_job){ .id = dispatch->job, .dispatch = *dispatch };
	pool->stats.dispatched++;
	switch (pool->config.mode) {
	case POOL_WORKERS:
		feed(pool, slot);
		break;
	case POOL_FORK:
		assert(queue->count == 1);
		start_forked(pool, slot, job);
		break;
	case POOL_INLINE:
		pool_defer(pool);
		return;
	}
	pool_watch(pool);
}

void pool_retire(struct pool *pool, uint32_t number)
{
	struct pool_slot *slot = &pool->slots[number];

	assert(number < pool->config.max_workers && slot->filled && slot->queue.count == 0);
	slot->retiring = true;
	if (!slot->process)
		pool_defer(pool);
	else if (pool->config.mode == POOL_WORKERS)
		process_quit(slot->process);
	pool_watch(pool);
	/* A process forked for a job is leaving by itself. */
}

/* --- messages in --- */

static void refuse(struct process *process, const char *why)
{
	process_kill(process, POOL_MALFORMED, why);
}

static void received_ready(struct process *process, const struct wire_ready *ready)
{
	if (process->ready || ready->incarnation != process->incarnation || ready->generation != process->generation)
		refuse(process, "introduced itself wrongly");
	process->ready = true;
}

static void received_result(struct process *process, const struct wire_result *result)
{
	struct pool *pool = process->pool;
	struct pool_queue *queue = &pool->slots[process->slot].queue;
	struct pool_job *job = pool_queue_at(queue, 0);
	bool final = result->outcome != WIRE_TEMPORARY && result->outcome != WIRE_CANCELLED;
	uint32_t slot = process->slot;

	if ((!final && result->change_count > 0) ||
	    state_validate(pool->config.worker.state, job->dispatch.element, result->changes, result->change_bytes,
			   result->change_count) < 0) {
		refuse(process, "reported a change that it may not make");
		return;
	}
	loop_timer_clear(&process->timer);
	process->followed = job->dispatch.as_of; /* before it began the job */
	queue->first = (queue->first + 1) % POOL_WINDOW_MAX;
	queue->count--;
	pool->stats.results++;
	pool->config.events->result(pool->config.data, slot, process->incarnation, result);
	/* Jobs that had to wait for a newer process; a new dispatch from inside the event has fed the slot itself. */
	if (pool->config.mode == POOL_WORKERS && pool->slots[slot].filled && pool->slots[slot].queue.count > 0)
		feed(pool, slot);
}

static void received_pong(struct process *process, const struct wire_number *number)
{
	if (process->ping == 0 || number->number != process->ping)
		refuse(process, "answered a ping that was not sent");
	process->ping = 0;
}

void pool_received(struct process *process, const struct wire_any *any)
{
	struct pool *pool = process->pool;
	const struct pool_queue *queue = process->slot == POOL_NO_SLOT ? NULL : &pool->slots[process->slot].queue;
	const struct pool_job *job = queue && queue->count > 0 ? pool_queue_at((struct pool_queue *)queue, 0) : NULL;
	/* What is about a job must be about the one that runs. */
	uint64_t about = any->type == WIRE_MESSAGE    ? any->message.job
			 : any->type == WIRE_PROGRESS ? any->progress.job
			 : any->type == WIRE_RESULT   ? any->result.job
						      : 0;

	if (about != 0 && (!job || !job->sent || job->id != about)) {
		refuse(process, "spoke of a job that it does not have");
		return;
	}
	switch (any->type) {
	case WIRE_READY:
		received_ready(process, &any->ready);
		break;
	case WIRE_PONG:
		received_pong(process, &any->number);
		break;
	case WIRE_RESULT:
		if (about != 0)
			received_result(process, &any->result);
		else
			refuse(process, "spoke of a job that it does not have");
		break;
	case WIRE_MESSAGE:
		if (any->message.element != UINT32_MAX &&
		    any->message.element >= state_element_count(pool->config.worker.state))
			refuse(process, "spoke of an element that does not exist");
		else
			pool->config.events->message(pool->config.data, process->slot, &any->message);
		break;
	case WIRE_PROGRESS:
		pool->config.events->progress(pool->config.data, process->slot, &any->progress);
		break;
	case WIRE_DISPATCH:
	case WIRE_CANCEL:
	case WIRE_PING:
	case WIRE_QUIT:
	case WIRE_TYPE_END:
		refuse(process, "spoke as if it were the parent");
		break;
	}
}

/* --- ends --- */

static void slot_gone(struct pool *pool, uint32_t number, enum pool_end why, uint64_t begun, const char *text)
{
	struct pool_slot *slot = &pool->slots[number];

	slot->filled = slot->retiring = false;
	slot->process = NULL;
	slot->queue = (struct pool_queue){ 0 };
	pool->stats.gone++;
	pool->config.events->gone(pool->config.data, number, why, begun, text);
}

void pool_process_ended(struct process *process, const char *text)
{
	struct pool *pool = process->pool;
	struct pool_slot *slot;
	uint64_t begun;

	if (process->slot == POOL_NO_SLOT)
		return;
	slot = &pool->slots[process->slot];
	slot->process = NULL;
	begun = pool_begun(pool, process->slot);
	if (slot->queue.count == 0 || pool_queue_at(&slot->queue, 0)->id != begun)
		begun = 0; /* the last one it began has its result */
	/* Forked for one job, which is done: the slot is filled until it is retired. */
	if (pool->config.mode == POOL_FORK && slot->queue.count == 0 && !slot->retiring)
		return;
	if (slot->retiring && slot->queue.count == 0)
		slot_gone(pool, process->slot, POOL_RETIRED, 0, text);
	else
		slot_gone(pool, process->slot, process->end == POOL_RETIRED ? POOL_DIED : process->end, begun, text);
}

/* --- inline jobs --- */

static void inline_emit(void *data, const struct wire_any *any)
{
	struct pool *pool = data;
	struct pool_queue *queue = &pool->slots[0].queue;

	if (any->type == WIRE_MESSAGE) {
		pool->config.events->message(pool->config.data, 0, &any->message);
	} else if (any->type == WIRE_PROGRESS) {
		pool->config.events->progress(pool->config.data, 0, &any->progress);
	} else if (any->type == WIRE_RESULT) {
		/* The same rules as for a worker; here it can only be our own fault. */
		if (state_validate(pool->config.worker.state, pool_queue_at(queue, 0)->dispatch.element, any->result.changes,
				   any->result.change_bytes, any->result.change_count) < 0)
			bug("a job reported a change that it may not make");
		queue->first = (queue->first + 1) % POOL_WINDOW_MAX;
		queue->count--;
		pool->stats.results++;
		pool->inline_running = false;
		pool->config.events->result(pool->config.data, 0, pool->incarnations, &any->result);
	}
}

static bool inline_pump(void *data)
{
	struct pool *pool = data;

	loop_signals_pump(pool->config.loop);
	return pool->inline_cancelled;
}

static void run_inline(struct pool *pool)
{
	struct worker_inline hooks = { .emit = inline_emit, .pump = inline_pump, .data = pool,
				       .pump_fd = loop_signals_fd(pool->config.loop) };
	struct wire_dispatch dispatch = pool_queue_at(&pool->slots[0].queue, 0)->dispatch;

	dispatch.generation = pool->config.worker.graph ? pool->config.worker.graph->generation : 0;
	dispatch.as_of = state_position(pool->config.worker.state);
	pool->incarnations++; /* each job is a worker of its own as far as the journal is concerned */
	pool->inline_running = true;
	pool->inline_cancelled = pool_queue_at(&pool->slots[0].queue, 0)->cancelled;
	worker_run_inline(&pool->config.worker, &hooks, &dispatch);
}

/* Slots that are to be gone without a process that could end: a fork that failed, retired before they had one. */
static void sweep_slots(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->config.max_workers; i++) {
		struct pool_slot *slot = &pool->slots[i];

		if (!slot->filled || slot->process)
			continue;
		if (slot->retiring)
			slot_gone(pool, i, POOL_RETIRED, 0, "retired");
		else if (slot->queue.count > 0 || pool->dead)
			slot_gone(pool, i, pool->dead ? POOL_KILLED : POOL_DIED, 0,
				  pool->dead ? "a worker was killed" : "a worker could not be forked");
	}
}

static void on_task(struct loop_task *task UNUSED, void *data)
{
	struct pool *pool = data;

	if (pool->config.mode != POOL_INLINE) {
		sweep_slots(pool);
		return;
	}
	if (pool->slots[0].filled && (pool->slots[0].retiring || pool->dead)) {
		slot_gone(pool, 0, pool->dead ? POOL_KILLED : POOL_RETIRED, 0, "no more inline jobs");
		return;
	}
	if (pool->slots[0].queue.count == 0 || pool->suspended)
		return;
	run_inline(pool);
	if (pool->slots[0].queue.count > 0)
		pool_defer(pool);
}

/* --- looking --- */

uint32_t pool_alive(const struct pool *pool)
{
	return pool->process_count + (pool->orphans ? 1 : 0);
}

const struct pool_stats *pool_stats(const struct pool *pool)
{
	return &pool->stats;
}

pid_t pool_pid(const struct pool *pool, uint32_t slot)
{
	assert(slot < pool->config.max_workers);
	return pool->slots[slot].process ? pool->slots[slot].process->pid : -1;
}

uint32_t pool_incarnation(const struct pool *pool, uint32_t slot)
{
	assert(slot < pool->config.max_workers);
	return pool->slots[slot].process ? pool->slots[slot].process->incarnation : 0;
}

/* workers/workers_internal.h: what the parts of this room share.
 *
 * job.c      the job's side: messages, waiting; same for a worker process and inline
 * worker.c   the worker process: messages from the parent, one job after the other
 * pool.c     the parent: slots, jobs, cancelling, liveness
 * process.c  the parent: forking, sockets, ends of worker processes
 * descend.c  finding and signalling everything below a process
 */
#ifndef WORKERS_WORKERS_INTERNAL_H
#define WORKERS_WORKERS_INTERNAL_H

#include <stdatomic.h>

#include "workers/pool.h"
#include "workers/worker.h"

/* --- a worker, from inside --- */

struct worker {
	const struct worker_config *config;
	const struct worker_inline *hooks; /* NULL in a worker process */
	int fd;                            /* -1 inline */
	uint32_t incarnation;
	_Atomic uint64_t *started;
	struct arena arena;
	struct buf scratch;
	struct buf outbox;        /* messages held back, encoded one behind the other */
	bool holding;             /* worker_hold */
	struct wire_inbox *inbox; /* NULL inline */
	bool quitting;            /* QUIT came, or the parent is gone */
	/* dispatches that came while a job was running, and jobs of these that were cancelled before they began */
	struct wire_dispatch waiting[POOL_WINDOW_MAX];
	bool waiting_cancelled[POOL_WINDOW_MAX];
	uint32_t waiting_first, waiting_count;
	struct worker_job *job; /* the one that runs */
	struct pollfd *fds;     /* for worker_wait, kept */
	size_t fds_cap;
	int64_t looked_us;      /* when the socket was looked at last, for worker_check */
	int64_t progress_us;    /* when progress was sent last */
	int64_t child_user_us, child_system_us; /* getrusage of children at the end of the last job */
};

#ifdef WORKER_TEST_SEAM
#define WORKER_SEAM(worker, boundary) worker_seam(worker, boundary)
void worker_seam(struct worker *worker, enum worker_boundary boundary);
/* Shorter ones, in milliseconds, from MILLRACE_TEST_PING_MS. */
void worker_seam_deadlines(struct pool_config *config);
#else
#define WORKER_SEAM(worker, boundary) ((void)0)
#endif

/* Sends, or calls the inline hook.  A parent that is gone makes the worker quit. */
void worker_emit(struct worker *worker, const struct wire_any *any, int flags);
/* Sends what is held back. */
void worker_flush(struct worker *worker);
/* Receives one message and acts on it.  flags: MSG_DONTWAIT or 0.  Returns 1, 0 (nothing there). */
int worker_receive(struct worker *worker, int flags);
/* Runs a job from dispatch to result. */
void worker_run(struct worker *worker, const struct wire_dispatch *dispatch, bool cancelled);

/* --- the pool, from inside --- */

struct pool_job {
	uint64_t id;
	bool sent, cancelled;
	struct wire_dispatch dispatch;
};

/* Jobs of a slot, oldest first: only it may be running. */
struct pool_queue {
	struct pool_job jobs[POOL_WINDOW_MAX];
	uint32_t first, count;
};

enum process_state { PROCESS_LIVE, PROCESS_QUITTING, PROCESS_KILLED };

struct process {
	struct pool *pool;
	struct process *next, *prev; /* all processes of the pool */
	uint32_t slot;               /* POOL_NO_SLOT: replaced or given up, only waiting for its end */
	uint32_t incarnation, generation, epoch;
	uint64_t followed; /* it has read the journal up to here, or further */
	enum process_state state;
	enum pool_end end; /* POOL_DIED until something else is known */
	const char *why;   /* static text for POOL_MALFORMED, or NULL */
	bool ready, closed;
	int fd;
	pid_t pid;
	struct loop_fd handle;
	struct loop_child child;
	struct loop_timer timer; /* cancel, terminate; or the time a closed socket has to become a death */
	int64_t heard_us;
	uint64_t ping; /* number of an unanswered ping, 0: none */
	int64_t silent_us; /* since the ping, or since it was told to leave: time in which we listened and it said nothing */
};
#define POOL_NO_SLOT UINT32_MAX

struct pool_slot {
	bool filled;
	bool retiring;
	struct process *process; /* NULL: not forked yet (fork mode), inline, or empty */
	struct pool_queue queue;
};

struct pool {
	struct pool_config config;
	struct pool_slot *slots;
	_Atomic uint64_t *begun; /* shared with the workers, one line of BEGUN_STRIDE for each slot */
	struct process processes; /* list head */
	uint32_t process_count;
	uint32_t incarnations;
	uint64_t pings;
	bool dead, suspended;
	struct loop_timer ping_timer;
	int64_t looked_us; /* when silence was looked at last */
	struct loop_timer orphan_timer;
	bool orphans;
	uint32_t orphan_rounds;
	struct loop_task task; /* inline jobs, and slots that are gone without a process */
	struct wire_inbox *inbox;
	struct buf scratch;
	int null_fd;
	bool inline_cancelled; /* the running inline job is to be given up */
	bool inline_running;
	struct pool_stats stats;
};
enum { BEGUN_STRIDE = 64 / sizeof(uint64_t) };

/* process.c */
int process_spawn(struct pool *pool, uint32_t slot, const struct wire_dispatch *first);
void process_send(struct process *process, const struct wire_any *any);
/* Kills it and everything below; its end will be reported with this reason unless another was known before. */
void process_kill(struct process *process, enum pool_end end, const char *why);
/* Asks it to leave after what it has. */
void process_quit(struct process *process);

/* pool.c, called by process.c */
void pool_received(struct process *process, const struct wire_any *any);
void pool_process_ended(struct process *process, const char *text);
void pool_trace(struct pool *pool, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline struct pool_job *pool_queue_at(struct pool_queue *queue, uint32_t i)
{
	return &queue->jobs[(queue->first + i) % POOL_WINDOW_MAX];
}
uint64_t pool_begun(struct pool *pool, uint32_t slot);
/* Looks at the slots, or runs the next inline job, as soon as the loop comes round. */
void pool_defer(struct pool *pool);
static inline int64_t pool_now_us(const struct pool *pool)
{
	return loop_now_us(pool->config.loop);
}

/* pool_care.c: from now on silence is noticed. */
void pool_watch(struct pool *pool);

/* descend.c: all processes below root (root not included), as /proc shows them now; parents before children.  Returns how
 * many; *ret_pids is the caller's to free.  0 also if /proc cannot be read. */
size_t descend_find(pid_t root, pid_t **ret_pids);

#endif

/* Files copied by several threads: see copiers.h.
 *
 * What can be shared is the copying alone: looking objects up, making names and everything else that touches the store's
 * or the walk's state stays with the caller, who hands over two open files.  A checkout of many small files is half names
 * and half bytes; of large ones it is bytes, and on a virtual machine mostly the first use of each page, which processors
 * can do side by side.
 */
#include "cas/copiers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

/* Threads beside the caller; files that wait for one; so much waits before one is woken, for waking costs as much as a
 * small file; a checkout of less is done by the caller alone. */
enum { MOST_THREADS = 3, MOST_WAITING = 64, WAKE_FILES = 16, WAKE_BYTES = 256 << 10, SMALL_BYTES = 64 << 10 };

struct copiers {
	pthread_t threads[MOST_THREADS];
	unsigned thread_count;
	bool started;
	atomic_bool no_clone; /* this file system cannot */
	atomic_bool stops;    /* something failed: what waits is dropped */
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t given;
	struct copy waiting[MOST_WAITING]; /* a ring */
	unsigned first, count;
	int64_t waiting_bytes;
	bool ends;
	int error; /* the first, with the path of its file */
	bool broken;
	struct copy failed;
};

/* ---- one file ---- */

static int copy_small(const struct copy *copy, bool *ret_broken)
{
	char bytes[SMALL_BYTES];
	struct digest found;
	size_t len = 0;

	while (len < sizeof bytes && len != (size_t)copy->digest.size_bytes) {
		ssize_t n = fs_read_some(copy->from, bytes + len, sizeof bytes - len);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (copy->verify) {
		digest_of(&found, bytes, len);
		if (!digest_eq(&found, &copy->digest)) {
			*ret_broken = true;
			return -ENOENT;
		}
	}
	return fs_write_all(copy->to, bytes, len);
}

/* Not between these two file systems: by hand. */
static int copy_by_hand(const struct copy *copy)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	int64_t left = copy->digest.size_bytes;
	int r = 0;

	while (r == 0 && left > 0) {
		ssize_t n = fs_read_some(copy->from, buf_room(&bytes, 1 << 20), 1 << 20);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		r = fs_write_all(copy->to, bytes.data, (size_t)n);
		left -= n;
	}
	return r;
}

static int verify_big(const struct copy *copy, bool *ret_broken)
{
	struct digest found;
	int r = digest_fd(&found, copy->from);

	if (r < 0)
		return r;
	*ret_broken = !digest_eq(&found, &copy->digest);
	return *ret_broken ? -ENOENT : lseek(copy->from, 0, SEEK_SET) < 0 ? -errno : 0;
}

static int copy_big(struct copiers *copiers, const struct copy *copy, bool *ret_broken)
{
	int64_t left = copy->digest.size_bytes;
	int r = copy->verify ? verify_big(copy, ret_broken) : 0;

	if (r < 0)
		return r;
	if (!copiers->no_clone) {
		if (ioctl(copy->to, FICLONE, copy->from) == 0)
			return 0;
		copiers->no_clone = true;
	}
	while (left > 0) {
		ssize_t n = copy_file_range(copy->from, NULL, copy->to, NULL, (size_t)left, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		left -= n;
	}
	if (left == 0)
		return 0;
	return left == copy->digest.size_bytes ? copy_by_hand(copy) : -EIO;
}

static int copy_one(struct copiers *copiers, const struct copy *copy, bool *ret_broken)
{
	int r = copy->digest.size_bytes <= SMALL_BYTES ? copy_small(copy, ret_broken) : copy_big(copiers, copy, ret_broken);

	if (r == 0 && copy->set_mode && fchmod(copy->to, copy->mode) < 0)
		r = -errno;
	if (r == 0 && copy->set_times && futimens(copy->to, copy->times) < 0)
		r = -errno;
	return r;
}

static void drop(struct copy *copy)
{
	close_fd(copy->from);
	close_fd(copy->to);
	free(copy->path);
}

/* Copies and closes. */
static void work_on(struct copiers *copiers, struct copy *copy)
{
	bool broken = false;
	int r = copiers->stops ? 0 : copy_one(copiers, copy, &broken);

	if (r < 0) {
		pthread_mutex_lock(&copiers->lock);
		if (!copiers->error) {
			copiers->error = r;
			copiers->broken = broken;
			copiers->failed = *copy;
			copy->path = NULL;
		}
		copiers->stops = true;
		pthread_mutex_unlock(&copiers->lock);
	}
	drop(copy);
}

/* ---- the team ---- */

/* Under the lock.  False if nothing waits. */
static bool take(struct copiers *copiers, struct copy *ret)
{
	if (copiers->count == 0)
		return false;
	*ret = copiers->waiting[copiers->first];
	copiers->first = (copiers->first + 1) % MOST_WAITING;
	copiers->count--;
	copiers->waiting_bytes -= ret->digest.size_bytes;
	return true;
}

static void *copier(void *data)
{
	struct copiers *copiers = data;
	struct copy copy;

	pthread_mutex_lock(&copiers->lock);
	for (;;) {
		if (take(copiers, &copy)) {
			pthread_mutex_unlock(&copiers->lock);
			work_on(copiers, &copy);
			pthread_mutex_lock(&copiers->lock);
		} else if (copiers->ends) {
			break;
		} else {
			pthread_cond_wait(&copiers->given, &copiers->lock);
		}
	}
	pthread_mutex_unlock(&copiers->lock);
	return NULL;
}

static unsigned spare_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) < 0 ? 0 : (unsigned)CPU_COUNT(&set) - 1;
}

static void start(struct copiers *copiers)
{
	unsigned most = MIN(spare_processors(), MOST_THREADS);

	copiers->started = true;
	while (copiers->thread_count < most &&
	       pthread_create(&copiers->threads[copiers->thread_count], NULL, copier, copiers) == 0)
		copiers->thread_count++;
}

struct copiers *copiers_new(void)
{
	struct copiers *copiers = xcalloc(1, sizeof *copiers);

	pthread_mutex_init(&copiers->lock, NULL);
	pthread_cond_init(&copiers->given, NULL);
	return copiers;
}

bool copiers_give(struct copiers *copiers, struct copy *copy)
{
	struct copy own;
	bool wake, full;

	pthread_mutex_lock(&copiers->lock);
	full = copiers->count == MOST_WAITING && take(copiers, &own); /* the caller copies one, too */
	copiers->waiting[(copiers->first + copiers->count++) % MOST_WAITING] = *copy;
	copiers->waiting_bytes += copy->digest.size_bytes;
	wake = !full && (copiers->count >= WAKE_FILES || copiers->waiting_bytes >= WAKE_BYTES);
	pthread_mutex_unlock(&copiers->lock);
	if (wake && !copiers->started)
		start(copiers);
	else if (wake)
		pthread_cond_signal(&copiers->given);
	if (full)
		work_on(copiers, &own);
	return !copiers->stops;
}

int copiers_end(struct copiers *copiers, struct copy *ret_failed, bool *ret_broken)
{
	struct copy copy;
	int error;

	pthread_mutex_lock(&copiers->lock);
	copiers->ends = true;
	pthread_cond_broadcast(&copiers->given);
	while (take(copiers, &copy)) {
		pthread_mutex_unlock(&copiers->lock);
		work_on(copiers, &copy);
		pthread_mutex_lock(&copiers->lock);
	}
	pthread_mutex_unlock(&copiers->lock);
	for (unsigned i = 0; i < copiers->thread_count; i++)
		pthread_join(copiers->threads[i], NULL);
	*ret_failed = copiers->failed;
	*ret_broken = copiers->broken;
	error = copiers->error;
	pthread_cond_destroy(&copiers->given);
	pthread_mutex_destroy(&copiers->lock);
	free(copiers);
	return error;
}

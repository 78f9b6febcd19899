/* How full the store is, and what happens when it is.
 *
 * <cachedir>/millrace/usage is one struct usage, mapped by all processes of all sessions: who stores an object adds its
 * size, who removes one subtracts it.  That is one atomic addition for an object, no lock, and survives a killed process.
 * It cannot know what the peer stores or expires: so it is a reason to look closer, never more.  Expiry counts anew; so does a
 * session with a quota that begins while the count is an hour old or the peer is at work.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/cas_internal.h"

#define USAGE_MAGIC UINT64_C(0x316567617375726d) /* "mrusage1", little endian */
enum { ASK_DISK_BYTES = 16 << 20, GIVE_UP_US = 3000000, COUNT_GOOD_S = 3600 };

struct usage {
	_Atomic uint64_t magic;
	_Atomic int64_t objects_bytes, layers_bytes;
	_Atomic int64_t counted_s; /* CLOCK_REALTIME of the last count of the objects; 0: never */
};

int64_t cas_time_ns(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

int64_t cas_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return cas_time_ns(&now);
}

void usage_open(struct cas *cas)
{
	_cleanup_close_ int fd = -1;
	void *map;

	if (cas->usage)
		return;
	fd = openat(cas->root_fd, "millrace/usage", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || ftruncate(fd, sizeof(struct usage)) < 0)
		return;
	map = mmap(NULL, sizeof(struct usage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return;
	cas->usage = map;
	if (cas->usage->magic != USAGE_MAGIC || cas->usage->objects_bytes < 0 || cas->usage->layers_bytes < 0) {
		cas->usage->counted_s = cas->usage->objects_bytes = cas->usage->layers_bytes = 0;
		cas->usage->magic = USAGE_MAGIC;
	}
}

void usage_close(struct cas *cas)
{
	if (cas->usage)
		munmap(cas->usage, sizeof *cas->usage);
	cas->usage = NULL;
}

void cas_distrust(struct cas *cas)
{
	if (cas->usage)
		cas->usage->counted_s = 0;
}

void usage_add(struct cas *cas, int64_t bytes)
{
	if (cas->usage)
		atomic_fetch_add_explicit(&cas->usage->objects_bytes, bytes, memory_order_relaxed);
	cas->unasked_bytes += MAX(bytes, 0);
}

void cas_add_layers(struct cas *cas, int64_t bytes)
{
	if (cas->usage)
		atomic_fetch_add_explicit(&cas->usage->layers_bytes, bytes, memory_order_relaxed);
	cas->unasked_bytes += MAX(bytes, 0);
}

bool cas_usage(const struct cas *cas, int64_t *objects_bytes, int64_t *layers_bytes)
{
	if (!cas->usage)
		return false;
	*objects_bytes = MAX(cas->usage->objects_bytes, 0);
	*layers_bytes = MAX(cas->usage->layers_bytes, 0);
	return cas->usage->counted_s > time(NULL) - COUNT_GOOD_S;
}

void cas_counted(struct cas *cas, int64_t objects_bytes, int64_t layers_bytes)
{
	if (fs_mkdir_p(cas->root_fd, "millrace", 0755) == 0)
		usage_open(cas);
	if (!cas->usage)
		return;
	if (layers_bytes >= 0)
		cas->usage->layers_bytes = layers_bytes;
	if (objects_bytes >= 0) {
		cas->usage->objects_bytes = objects_bytes;
		cas->usage->counted_s = time(NULL);
	}
}

void cas_set_limits(struct cas *cas, const struct cas_limits *limits)
{
	cas->limits = *limits;
	cas->grain_ns = limits->quota_bytes == CAS_QUOTA_INFINITE ? GRAIN_NS : 0;
}

void cas_on_full(struct cas *cas, int (*make_room)(void *data, struct cas *cas, int64_t need_bytes), void *data)
{
	cas->make_room = make_room;
	cas->make_room_data = data;
}

/* Bytes that may still be written on the disk; INT64_MAX if nobody knows. */
static int64_t disk_left(struct cas *cas)
{
	struct statvfs vfs;

	if (cas->limits.reserved_bytes <= 0 || fstatvfs(cas->root_fd, &vfs) < 0)
		return INT64_MAX;
	cas->unasked_bytes = 0;
	return (int64_t)MIN(vfs.f_bavail * vfs.f_frsize, (uint64_t)INT64_MAX / 2) - cas->limits.reserved_bytes;
}

static int64_t objects_bytes(const struct cas *cas)
{
	return cas->usage ? MAX(cas->usage->objects_bytes, 0) : 0;
}

static int64_t layers_bytes(const struct cas *cas)
{
	return cas->usage ? MAX(cas->usage->layers_bytes, 0) : 0;
}

int64_t cas_lacking(struct cas *cas, int64_t need_bytes)
{
	int64_t lacking = need_bytes - disk_left(cas);

	if (cas->limits.quota_bytes != CAS_QUOTA_INFINITE)
		lacking = MAX(lacking, objects_bytes(cas) + need_bytes - cas->limits.quota_bytes);
	return lacking;
}

int64_t cas_low_bytes(struct cas *cas, int64_t need_bytes)
{
	int64_t quota = cas->limits.quota_bytes, left = disk_left(cas), used = objects_bytes(cas) + layers_bytes(cas);

	/* What is reserved makes the quota smaller, as in the peer's daemon. */
	if (left != INT64_MAX)
		quota = MIN(quota, used + left);
	if (quota == CAS_QUOTA_INFINITE)
		return quota;
	return MAX((int64_t)((double)quota * cas->limits.low_watermark) - need_bytes, 0);
}

/* Without asking the disk each time. */
static bool fits(struct cas *cas, int64_t need_bytes)
{
	if (cas->limits.quota_bytes != CAS_QUOTA_INFINITE) {
		if (objects_bytes(cas) + need_bytes > cas->limits.quota_bytes)
			return false;
		/* Layers go first, but those in use stay: to ask again and again would not help. */
		if (objects_bytes(cas) + layers_bytes(cas) + need_bytes > cas->limits.quota_bytes &&
		    layers_bytes(cas) > cas->trimmed_bytes)
			return false;
	}
	if (cas->limits.reserved_bytes <= 0 || cas->unasked_bytes + need_bytes < ASK_DISK_BYTES)
		return true;
	return disk_left(cas) >= need_bytes;
}

int cas_make_room(struct cas *cas, int64_t need_bytes)
{
	int r = -EDQUOT;

	if (fits(cas, need_bytes))
		return 0;
	if (cas->make_room && !cas->making_room && util_now_us() - cas->gave_up_us > GIVE_UP_US) {
		cas->making_room = true;
		r = cas->make_room(cas->make_room_data, cas, need_bytes);
		cas->making_room = false;
		cas->trimmed_bytes = layers_bytes(cas);
	}
	if (cas_lacking(cas, need_bytes) <= 0)
		return 0;
	if (r != -ECANCELED) {
		cas->was_full = true;
		cas->gave_up_us = util_now_us();
		r = -EDQUOT;
	}
	return r;
}

int cas_check_space(struct cas *cas, int result)
{
	if (result == -ENOSPC || result == -EDQUOT)
		cas->was_full = true;
	return result;
}

bool cas_was_full(struct cas *cas, struct buf *text)
{
	int64_t left = disk_left(cas);
	bool ret = cas->was_full;

	cas->was_full = false;
	if (!ret || !text)
		return ret;
	buf_printf(text, "Cache too full: all that can go is gone, and %" PRId64 " bytes of objects and %" PRId64
		   " of layers are still there", objects_bytes(cas), layers_bytes(cas));
	if (cas->limits.quota_bytes != CAS_QUOTA_INFINITE)
		buf_printf(text, "; the quota is %" PRId64, cas->limits.quota_bytes);
	if (left != INT64_MAX)
		buf_printf(text, "; the disk has room for %" PRId64 " more, besides the %" PRId64 " reserved", MAX(left, 0),
			   cas->limits.reserved_bytes);
	return true;
}

bool cas_should_touch(const struct cas *cas, const struct stat *st)
{
	/* Nobody expires by the minute; a grain saves a write of the inode for each object of each session. */
	return !cas->quiet && cas_time_ns(&st->st_mtim) < cas->start_ns - cas->grain_ns;
}

bool cas_touch(struct cas *cas, const char *name, const struct stat *st)
{
	return !cas_should_touch(cas, st) || utimensat(cas->objects_fd, name, NULL, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

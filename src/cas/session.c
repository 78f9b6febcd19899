/* Markers of sessions that write, and what is done about those that a power cut left behind.
 *
 * <cachedir>/millrace/cas/session-<random>: one line with the boot id of the machine, one with the time (nanoseconds, 20
 * digits) since when what was used is this session's, locked (flock) by the session's processes; its mtime is when the session
 * began.  Nothing is synced while the session runs.  At its end everything is
 * synced at once and the marker goes.
 *
 * A marker whose lock is free belonged to a session that is over.  If the machine has not been restarted since, the page
 * cache is whole and nothing was lost: the marker is taken over by the next end of a session (which syncs).  Otherwise
 * each object that was written or touched since is read and hashed, each record file decoded; what is broken goes.  Going by
 * the time of change finds more than a list would: a list would have been lost with the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/cas_internal.h"

enum { SLACK_S = 600, REF_MAX = 64 << 20, BOOT_ID_MAX = 64, MARKER_MAX = 128, SINCE_BYTES = 21 };

static const char MARKER[] = "session-";
static const char OVER[] = "09223372036854775807"; /* since the end of time */
const char *const cas_record_dirs[CAS_RECORD_DIRS] = { "artifacts/refs", "source_protos", "elementsources" };

void cas_boot_id(struct buf *ret)
{
	buf_clear(ret);
	if (fs_read_file(ret, AT_FDCWD, "/proc/sys/kernel/random/boot_id", BOOT_ID_MAX) < 0)
		buf_adds(ret, "unknown\n");
}

struct recovery {
	struct cas *cas;
	bool (*check_ref)(void *data, const char *path, const char *bytes, size_t len);
	void *data;
	int64_t since_s; /* changes from then on are doubtful */
	bool needed;
	int dropped;
	char bucket[3];
	struct buf path; /* of records */
};

static bool doubtful(const struct recovery *recovery, const struct stat *st)
{
	return st->st_ctime >= recovery->since_s - SLACK_S || st->st_mtime >= recovery->since_s - SLACK_S;
}

static int check_object(void *data, int dirfd, const char *name)
{
	struct recovery *recovery = data;
	char hex[DIGEST_HEX + 1];
	struct digest digest;
	struct stat st;

	if (strlen(name) != DIGEST_HEX - 2 || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	snprintf(hex, sizeof hex, "%s%s", recovery->bucket, name);
	if (!digest_from_hex(digest.hash, hex) || !doubtful(recovery, &st))
		return 0;
	digest.size_bytes = st.st_size;
	recovery->dropped += cas_verify(recovery->cas, &digest) == -ENOENT;
	return 0;
}

static int check_bucket(void *data, int dirfd, const char *name)
{
	struct recovery *recovery = data;

	if (strlen(name) != 2)
		return 0;
	memcpy(recovery->bucket, name, 3);
	return fs_each_name(dirfd, name, check_object, recovery);
}

static int check_record(void *data, int dirfd, const char *name)
{
	struct recovery *recovery = data;
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	size_t base = recovery->path.len;
	struct stat st;
	bool good;
	int r = 0;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	buf_printf(&recovery->path, "/%s", name);
	if (S_ISDIR(st.st_mode)) {
		r = fs_each_name(dirfd, name, check_record, recovery);
	} else if (S_ISREG(st.st_mode) && doubtful(recovery, &st)) {
		good = fs_read_file(&bytes, dirfd, name, REF_MAX) == 0 && bytes.len > 0;
		if (good && recovery->check_ref)
			good = recovery->check_ref(recovery->data, recovery->path.data, bytes.data, bytes.len);
		if (!good && unlinkat(dirfd, name, 0) == 0)
			recovery->dropped++;
	}
	recovery->path.len = base;
	recovery->path.data[base] = '\0';
	return r;
}

/* Looks at one marker: over, and from another life of the machine? */
static int check_marker(void *data, int dirfd, const char *name)
{
	struct recovery *recovery = data;
	_cleanup_buf_ struct buf now = BUF_INIT, then = BUF_INIT;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!str_starts(name, MARKER))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0)
		return 0;
	cas_boot_id(&now);
	if (fs_read_fd(&then, fd, MARKER_MAX) == 0 && str_starts(buf_text(&then), buf_text(&now)))
		return 0;
	/* also one that was cut to nothing: it was not synced either */
	recovery->since_s = recovery->needed ? MIN(recovery->since_s, (int64_t)st.st_mtime) : (int64_t)st.st_mtime;
	recovery->needed = true;
	return 0;
}

static int remove_stale(void *data, int dirfd, const char *name)
{
	_cleanup_close_ int fd = -1;

	if (!str_starts(name, MARKER))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(dirfd, name, 0);
	return 0;
}

struct temps {
	int64_t before_s; /* what is older goes in any case */
	bool alone;       /* no session is alive, in this or another pid namespace */
};

/* Dead, but nobody has asked how it ended: "PID (comm) Z ...", where comm may hold anything. */
static bool is_zombie(long pid)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_close_ int fd = -1;
	const char *end;
	char path[64];

	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	end = fd >= 0 && fs_read_fd(&text, fd, 4096) == 0 ? strrchr(buf_text(&text), ')') : NULL;
	return end && str_starts(end, ") Z");
}

/* "millrace-<8 hex digits>-<pid>-...": is that process gone? */
static bool writer_is_gone(const char *name)
{
	long pid = strlen(name) > sizeof "millrace-" + 8 ? strtol(name + sizeof "millrace-" + 8, NULL, 10) : 0;

	return pid > 0 && ((kill((pid_t)pid, 0) < 0 && errno == ESRCH) || is_zombie(pid));
}

/* Blobs that were being written when a session died.  Ours only, and not those of others that may still be at it. */
static int remove_temp(void *data, int dirfd, const char *name)
{
	const struct temps *temps = data;
	struct stat st;

	if (str_starts(name, "millrace-") && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (st.st_mtime < temps->before_s || (temps->alone && writer_is_gone(name))))
		unlinkat(dirfd, name, 0);
	return 0;
}

/* Another session may take a new marker for a stale one in the moment before it is locked: then we try once more. */
static int write_marker(struct cas *cas)
{
	_cleanup_buf_ struct buf boot = BUF_INIT;

	cas_boot_id(&boot);
	cas->since_at = (off_t)boot.len;
	buf_printf(&boot, "%020" PRId64 "\n", cas->start_ns - 2 * cas->grain_ns);
	for (unsigned tries = 0; tries < 100; tries++) {
		_cleanup_close_ int fd = -1;
		struct stat st;
		int r;

		free(cas->marker);
		cas->marker = xasprintf("%s%08x-%d-%u", MARKER, cas->temp_random, (int)getpid(), tries);
		fd = openat(cas->millrace_fd, cas->marker, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_SH | LOCK_NB) < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0)
			continue;
		r = fs_write_all(fd, boot.data, boot.len);
		if (r == 0)
			cas->marker_fd = steal_fd(&fd);
		return r;
	}
	return -EBUSY;
}

struct live {
	void (*fn)(void *data, int64_t since_ns);
	void *data;
};

static int look_at_live(void *data, int dirfd, const char *name)
{
	struct live *live = data;
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_close_ int fd = -1;
	const char *line;
	struct stat st;
	int64_t since_ns;

	if (!str_starts(name, MARKER))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	/* One that is being written, or of an older version: it began at the latest when its file was made. */
	since_ns = cas_time_ns(&st.st_mtim) - 2 * GRAIN_NS;
	line = fs_read_fd(&text, fd, MARKER_MAX) == 0 ? strchr(buf_text(&text), '\n') : NULL;
	if (line && strlen(line + 1) == SINCE_BYTES)
		since_ns = strtoll(line + 1, NULL, 10);
	live->fn(live->data, since_ns);
	return 0;
}

void cas_live_sessions(struct cas *cas, void (*fn)(void *data, int64_t since_ns), void *data)
{
	struct live live = { fn, data };

	fs_each_name(cas->root_fd, "millrace/cas", look_at_live, &live);
}

static void not_alone(void *data, int64_t since_ns)
{
	bool *alone = data;

	if (since_ns != INT64_MAX) /* over, but for the sync */
		*alone = false;
}

void cas_on_recovery(struct cas *cas, void (*fn)(void *data), void *data)
{
	cas->on_recovery = fn;
	cas->on_recovery_data = data;
}

int cas_session_begin(struct cas *cas, bool (*check_ref)(void *data, const char *path, const char *bytes, size_t len),
		      void *data, struct diag *diag)
{
	struct recovery recovery = { .cas = cas, .check_ref = check_ref, .data = data };
	struct temps temps = { time(NULL) - 24 * 3600, true };
	int r = fs_mkdir_p(cas->root_fd, "millrace/cas", 0755);

	if (r == 0) {
		cas->millrace_fd = openat(cas->root_fd, "millrace/cas", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = cas->millrace_fd < 0 ? -errno : 0;
	}
	if (r == 0)
		r = fs_each_name(cas->root_fd, "millrace/cas", check_marker, &recovery);
	if (r == 0 && recovery.needed) {
		r = fs_each_name(cas->root_fd, "cas/objects", check_bucket, &recovery);
		for (unsigned i = 0; r == 0 && i < CAS_RECORD_DIRS; i++) {
			buf_clear(&recovery.path);
			buf_adds(&recovery.path, cas_record_dirs[i]);
			r = fs_each_name(cas->root_fd, cas_record_dirs[i], check_record, &recovery);
		}
		cas_forget(cas, 0);
		if (r == 0 && cas->on_recovery)
			cas->on_recovery(cas->on_recovery_data);
		if (r == 0)
			r = fs_each_name(cas->root_fd, "millrace/cas", remove_stale, NULL);
	}
	cas_live_sessions(cas, not_alone, &temps.alone);
	if (r == 0)
		r = fs_each_name(cas->root_fd, "cas/tmp", remove_temp, &temps);
	if (r == 0)
		r = write_marker(cas);
	if (r == 0) {
		usage_open(cas);
		if (recovery.needed)
			cas_distrust(cas);
	}
	buf_release(&recovery.path);
	if (r < 0) {
		diag_errno(diag, "cas", "cache-directory", -r, "Cannot write in the cache directory %s", cas->root);
		return r;
	}
	return recovery.dropped;
}

/* One sync for everything; then this marker and those of sessions that ended without one (same boot) say nothing new. */
static void sync_and_remove(struct cas *cas)
{
	_cleanup_close_ int fd = openat(cas->root_fd, "cas", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0)
		return;
	unlinkat(cas->millrace_fd, cas->marker, 0);
	fs_each_name(cas->root_fd, "millrace/cas", remove_stale, NULL);
}

void cas_session_end_idle(struct cas *cas, bool background)
{
	if (cas->marker_fd < 0 || cas->temp_count > 0) {
		cas_session_end(cas, background);
		return;
	}
	unlinkat(cas->millrace_fd, cas->marker, 0);
	close_fd(cas->marker_fd);
	cas->marker_fd = -1;
}

void cas_session_end(struct cas *cas, bool background)
{
	sigset_t hup, before;
	pid_t pid;

	if (cas->marker_fd < 0)
		return;
	/* On a terminal of our own (ssh -t, xterm -e) our end hangs up on whoever is in our process group then: the child,
	 * until it has left it. */
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hup, &before);
	/* What it used may be expired from now on; that it is synced may take a while. */
	(void)!pwrite(cas->marker_fd, OVER, SINCE_BYTES - 1, cas->since_at);
	pid = background ? fork() : -1;
	if (pid < 0) {
		sync_and_remove(cas);
	} else if (pid == 0) {
		/* in a session of its own: neither ^C nor the end of the terminal should stop it, and nobody waits for
		 * its output */
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		setsid();
		signal(SIGPIPE, SIG_IGN);
		for (int fd = 0; null >= 0 && fd < 3; fd++)
			dup2(null, fd);
		sync_and_remove(cas);
		_exit(0);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close_fd(cas->marker_fd);
	cas->marker_fd = -1;
}

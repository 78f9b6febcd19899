/* All objects at once: see care.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/care.h"
#include "cas/cas_internal.h"

enum {
	CHECK_EVERY = 1024,
	DIRECTORIES_MAX_BYTES = 256 << 20, /* decoded ones kept between walks */
	CMDLINE_MAX = 64 << 10,
	PEER_SLACK_S = 60 /* its daemon may find an object recent enough not to be touched */
};

struct census {
	struct care_census public; /* first: what the caller holds */
	struct cas *cas;           /* one of our own, that touches nothing */
	struct hashmap index;      /* number + 1 */
	size_t cap;
	uint32_t walk;
	int (*check)(void *data);
	void *check_data;
};

static struct census *private(struct care_census *census)
{
	return (struct census *)census;
}

/* ---- who is at work ---- */

int care_lock(struct cas *cas)
{
	_cleanup_close_ int fd = -1;
	int r = fs_mkdir_p(cas->root_fd, "millrace", 0755);

	if (r < 0)
		return r;
	fd = openat(cas->root_fd, "millrace/gc.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	return steal_fd(&fd);
}

/* Seconds since the process was started, by /proc/PID/stat's field 22; negative if it is gone. */
static int64_t process_age_s(int proc_fd)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct timespec now;
	const char *at;
	long hertz = sysconf(_SC_CLK_TCK);

	if (fs_read_file(&text, proc_fd, "stat", 4096) < 0 || hertz <= 0)
		return -1;
	at = strrchr(buf_text(&text), ')'); /* the name may hold anything */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at || clock_gettime(CLOCK_BOOTTIME, &now) < 0)
		return -1;
	return MAX((int64_t)now.tv_sec - strtoll(at, NULL, 10) / hertz, 0);
}

/* Is it `.../buildbox-casd ... <cachedir>` of ours? */
static bool is_peer(int proc_fd, const char *root)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char path[PATH_MAX];
	const char *last;
	size_t len;

	if (fs_read_file(&text, proc_fd, "cmdline", CMDLINE_MAX) < 0 || text.len < 2)
		return false;
	if (!str_eq(fs_basename(buf_text(&text)), "buildbox-casd"))
		return false;
	len = text.len - 1; /* its last byte ends the last argument */
	last = memrchr(text.data, '\0', len);
	if (!last)
		return false;
	return realpath(last + 1, path) && str_eq(path, root);
}

/* Age of the oldest daemon of the peer that runs on this cache; negative if there is none. */
static int64_t peer_age_s(const struct cas *cas)
{
	_cleanup_free_ char *root = realpath(cas->root, NULL);
	DIR *dir = root ? opendir("/proc") : NULL;
	struct dirent *item;
	int64_t ret = -1;

	if (!dir)
		return -1;
	while ((item = readdir(dir))) {
		_cleanup_close_ int fd = -1;

		if (item->d_name[0] < '1' || item->d_name[0] > '9')
			continue;
		fd = openat(dirfd(dir), item->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && is_peer(fd, root))
			ret = MAX(ret, process_age_s(fd));
	}
	closedir(dir);
	return ret;
}

bool care_peer_lives(const struct cas *cas)
{
	return peer_age_s(cas) >= 0;
}

static void take_earlier(void *data, int64_t since_ns)
{
	int64_t *earliest_ns = data;

	*earliest_ns = MIN(*earliest_ns, since_ns);
}

int64_t care_since(struct cas *cas)
{
	int64_t now_ns = cas_now_ns(), ret = now_ns, age_s = peer_age_s(cas);

	cas_live_sessions(cas, take_earlier, &ret);
	if (age_s >= 0)
		ret = MIN(ret, now_ns - (age_s + PEER_SLACK_S) * 1000000000);
	return ret;
}

void care_forget_peer_count(struct cas *cas)
{
	if (faccessat(cas->root_fd, "cas/disk_usage", F_OK, AT_SYMLINK_NOFOLLOW) == 0 && !care_peer_lives(cas))
		unlinkat(cas->root_fd, "cas/disk_usage", 0);
}

/* ---- counting ---- */

static void add_object(struct census *census, const uint8_t hash[DIGEST_BYTES], const struct stat *st)
{
	struct care_census *public = &census->public;
	struct care_object *object;

	public->objects = util_grow(public->objects, &census->cap, public->count + 1u, sizeof *public->objects);
	object = &public->objects[public->count++];
	*object = (struct care_object){ .size_bytes = st->st_size, .used_ns = cas_time_ns(&st->st_mtim) };
	memcpy(object->hash, hash, DIGEST_BYTES);
	public->bytes += st->st_size;
	hashmap_put(&census->index, hash, (const void *)(uintptr_t)public->count);
}

static int ask(struct census *census, uint32_t step)
{
	return step % CHECK_EVERY || !census->check ? 0 : census->check(census->check_data);
}

static int count_bucket(struct census *census, const char *name)
{
	int fd = openat(census->cas->objects_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *item;
	char hex[DIGEST_HEX + 1];
	uint8_t hash[DIGEST_BYTES];
	struct stat st;

	if (!dir) {
		close_fd(fd);
		return 0;
	}
	while (r >= 0 && (item = readdir(dir))) {
		if (strlen(item->d_name) != DIGEST_HEX - 2)
			continue;
		snprintf(hex, sizeof hex, "%.2s%.62s", name, item->d_name);
		if (digest_from_hex(hash, hex) && fstatat(fd, item->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && census->public.count < UINT32_MAX - 2) {
			add_object(census, hash, &st);
			r = ask(census, census->public.count);
		}
	}
	closedir(dir);
	return r;
}

int care_census_new(struct care_census **ret, struct cas *cas, int (*check)(void *data), void *data)
{
	struct census *census = xcalloc(1, sizeof *census);
	char name[3];
	int r;

	census->check = check;
	census->check_data = data;
	r = cas_new(&census->cas, cas->root, NULL);
	if (r == 0)
		census->cas->quiet = true;
	for (unsigned i = 0; r >= 0 && i < 256; i++) {
		snprintf(name, sizeof name, "%02x", i);
		r = count_bucket(census, name);
	}
	if (r < 0) {
		care_census_free(&census->public);
		return r;
	}
	cas_counted(cas, census->public.bytes, -1);
	*ret = &census->public;
	return 0;
}

void care_census_free(struct care_census *census)
{
	if (!census)
		return;
	cas_free(private(census)->cas);
	hashmap_release(&private(census)->index);
	free(census->objects);
	free(census);
}

struct care_object *care_census_find(struct care_census *census, const struct digest *digest)
{
	const struct hashmap_slot *slot = hashmap_get(&private(census)->index, digest->hash);
	uint32_t number = slot ? (uint32_t)(uintptr_t)slot->value : 0;

	if (!number || census->objects[number - 1].size_bytes != digest->size_bytes)
		return NULL;
	return &census->objects[number - 1];
}

/* ---- walking ---- */

struct walk {
	struct census *census;
	void (*visit)(void *data, struct care_object *object);
	void *data;
	uint64_t missing;
};

/* A file may hold the very bytes of a directory: seen as one is not seen as the other. */
static void walk(struct walk *walking, const struct digest *digest, bool is_directory, unsigned depth)
{
	struct census *census = walking->census;
	struct care_object *object = care_census_find(&census->public, digest);
	const struct cas_directory *directory;

	if (!object) {
		walking->missing += !(is_directory && digest_eq(digest, &DIGEST_EMPTY));
		return;
	}
	if (object->seen != census->walk && object->seen_as_directory != census->walk)
		walking->visit(walking->data, object);
	if (!is_directory) {
		object->seen = census->walk;
		return;
	}
	if (object->seen_as_directory == census->walk)
		return;
	object->seen_as_directory = census->walk;
	if (depth > CAS_DEPTH_MAX || cas_directory_get(census->cas, digest, &directory) < 0) {
		walking->missing++;
		return;
	}
	for (uint32_t i = 0; i < directory->count; i++)
		if (directory->entries[i].type == CAS_FILE || directory->entries[i].type == CAS_DIRECTORY)
			walk(walking, &directory->entries[i].digest, directory->entries[i].type == CAS_DIRECTORY,
			     depth + 1);
}

void care_walk_begin(struct care_census *census)
{
	private(census)->walk++;
	cas_forget(private(census)->cas, DIRECTORIES_MAX_BYTES);
}

uint64_t care_walk(struct care_census *census, const struct digest *digest, bool is_directory,
		   void (*visit)(void *data, struct care_object *object), void *data)
{
	struct walk walking = { private(census), visit, data, 0 };

	walk(&walking, digest, is_directory, 0);
	return walking.missing;
}

/* ---- removing ---- */

/* Aside first, then a second look: what was touched since we counted goes back. */
static bool remove_object(struct cas *cas, const struct care_object *object, int64_t since_ns)
{
	char name[OBJECT_NAME_BYTES], aside[TEMP_NAME_BYTES];
	struct stat st;

	cas_object_name(name, object->hash);
	if (fstatat(cas->objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || cas_time_ns(&st.st_mtim) >= since_ns)
		return false;
	snprintf(aside, sizeof aside, "millrace-%08x-%d-gc", cas->temp_random, (int)getpid());
	if (renameat(cas->objects_fd, name, cas->tmp_fd, aside) < 0)
		return false;
	if (fstatat(cas->tmp_fd, aside, &st, AT_SYMLINK_NOFOLLOW) == 0 && cas_time_ns(&st.st_mtim) >= since_ns) {
		(void)!renameat(cas->tmp_fd, aside, cas->objects_fd, name);
		return false;
	}
	return unlinkat(cas->tmp_fd, aside, 0) == 0;
}

uint64_t care_sweep(struct care_census *census, int64_t since_ns, bool pretend, int64_t *bytes)
{
	uint64_t removed = 0;

	*bytes = 0;
	for (uint32_t i = 0; i < census->count; i++) {
		const struct care_object *object = &census->objects[i];

		if (object->kept || object->used_ns >= since_ns)
			continue;
		if (ask(private(census), i) < 0)
			break;
		if (!pretend && !remove_object(private(census)->cas, object, since_ns))
			continue;
		removed++;
		*bytes += object->size_bytes;
	}
	return removed;
}

int64_t care_verify(struct care_census *census)
{
	struct cas *cas = private(census)->cas;
	int64_t broken = 0;
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < census->count; i++) {
		struct care_object *object = &census->objects[i];
		struct digest digest = { .size_bytes = object->size_bytes };

		memcpy(digest.hash, object->hash, DIGEST_BYTES);
		r = ask(private(census), i);
		if (r < 0 || cas_verify(cas, &digest) != -ENOENT)
			continue;
		broken++;
		census->bytes -= object->size_bytes;
		object->size_bytes = -1; /* nothing will find it */
	}
	return r < 0 ? r : broken;
}

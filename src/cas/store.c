/* Blobs as files: looking up, reading with proof.  See put.c for writing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/cas_internal.h"

/* Opens directory name below dirfd, making it first if it is not there. */
static int open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	int r = fs_mkdir_p(dirfd, name, 0755);

	if (r < 0)
		return r;
	fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cas_new(struct cas **ret, const char *cachedir, struct diag *diag)
{
	struct cas *cas = xcalloc(1, sizeof *cas);
	int r = 0;

	cas->root = xstrdup(cachedir);
	cas->objects_fd = cas->tmp_fd = cas->millrace_fd = cas->marker_fd = -1;
	cas->limits = (struct cas_limits){ .quota_bytes = CAS_QUOTA_INFINITE };
	cas->start_ns = cas_now_ns();
	cas->start_s = cas->start_ns / 1000000000;
	cas->grain_ns = GRAIN_NS;
	if (getrandom(&cas->temp_random, sizeof cas->temp_random, GRND_NONBLOCK) < 0)
		cas->temp_random = (uint32_t)getpid();
	cas->root_fd = r = open_dir(AT_FDCWD, cachedir);
	if (r >= 0)
		cas->objects_fd = r = open_dir(cas->root_fd, "cas/objects");
	if (r >= 0)
		cas->tmp_fd = r = open_dir(cas->root_fd, "cas/tmp");
	if (r < 0) {
		diag_errno(diag, "cas", "cache-directory", -r, "Cannot open the cache directory %s", cachedir);
		cas_free(cas);
		return r;
	}
	*ret = cas;
	return 0;
}

void cas_free(struct cas *cas)
{
	if (!cas)
		return;
	close_fd(cas->objects_fd);
	close_fd(cas->tmp_fd);
	close_fd(cas->millrace_fd);
	close_fd(cas->marker_fd);
	close_fd(cas->root_fd);
	usage_close(cas);
	hashmap_release(&cas->present);
	hashmap_release(&cas->complete);
	arena_release(&cas->complete_arena);
	cas_whole_free(cas);
	hashmap_release(&cas->directories);
	arena_release(&cas->arena);
	free(cas->marker);
	free(cas->root);
	free(cas);
}

int cas_cachedir_fd(const struct cas *cas)
{
	return cas->root_fd;
}

const char *cas_cachedir(const struct cas *cas)
{
	return cas->root;
}

void cas_object_name(char ret[OBJECT_NAME_BYTES], const uint8_t hash[DIGEST_BYTES])
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, hash);
	ret[0] = hex[0];
	ret[1] = hex[1];
	ret[2] = '/';
	memcpy(ret + 3, hex + 2, DIGEST_HEX - 1);
}

void cas_object_path(char ret[CAS_PATH_BYTES], const struct digest *digest)
{
	memcpy(ret, "cas/objects/", 12);
	cas_object_name(ret + 12, digest->hash);
}

void cas_saw(struct cas *cas, const struct digest *digest)
{
	hashmap_put(&cas->present, digest->hash, (const void *)(intptr_t)(digest->size_bytes + 1));
}

static bool seen(const struct cas *cas, const struct digest *digest)
{
	const struct hashmap_slot *slot = hashmap_get(&cas->present, digest->hash);

	return slot && (intptr_t)slot->value == digest->size_bytes + 1;
}

bool cas_look(struct cas *cas, const struct digest *digest)
{
	cas->looked.bits[digest->hash[0] / 64] |= UINT64_C(1) << (digest->hash[0] % 64);
	return seen(cas, digest);
}

void cas_drop(struct cas *cas, const struct digest *digest)
{
	char name[OBJECT_NAME_BYTES];
	struct hashmap_slot *slot = hashmap_get(&cas->present, digest->hash);

	cas_object_name(name, digest->hash);
	if (unlinkat(cas->objects_fd, name, 0) == 0)
		usage_add(cas, -digest->size_bytes);
	if (slot)
		slot->value = NULL;
	/* trees thought complete may hold it */
	hashmap_release(&cas->complete);
	cas_whole_free(cas);
}

int cas_has(struct cas *cas, const struct digest *digest)
{
	char name[OBJECT_NAME_BYTES];
	struct stat st;

	if (cas_look(cas, digest))
		return 1;
	cas_object_name(name, digest->hash);
	if (fstatat(cas->objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != digest->size_bytes) {
		if (S_ISREG(st.st_mode))
			cas_drop(cas, digest);
		return 0;
	}
	if (!cas_touch(cas, name, &st))
		return 0;
	cas_saw(cas, digest);
	return 1;
}

int cas_object_fd(struct cas *cas, const struct digest *digest)
{
	char name[OBJECT_NAME_BYTES];
	_cleanup_close_ int fd = -1;
	struct stat st;

	cas_object_name(name, digest->hash);
	fd = openat(cas->objects_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (fd < 0 && errno == ENOENT && seen(cas, digest)) {
		/* Someone's expiry may have it in hand: it looks once more and puts back what was touched meanwhile. */
		usleep(2000);
		fd = openat(cas->objects_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	}
	if (fd < 0)
		return errno == ELOOP ? -ENOENT : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	if (st.st_size != digest->size_bytes) {
		cas_drop(cas, digest);
		return -ENOENT;
	}
	if (!seen(cas, digest)) {
		cas_touch(cas, name, &st);
		cas_saw(cas, digest);
	}
	return steal_fd(&fd);
}

/* An object whose size was checked: no look at it a second time, no call to be told that it ends.  Cut short or grown
 * meanwhile, it fails its hash. */
static int read_exactly(struct buf *ret, int fd, size_t size_bytes)
{
	char *at = buf_room(ret, size_bytes + 1);

	while (size_bytes > 0) {
		ssize_t n = read(fd, at, size_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOENT;
		at += n;
		ret->len += (size_t)n;
		size_bytes -= (size_t)n;
	}
	*at = '\0';
	return 0;
}

int cas_get(struct cas *cas, const struct digest *digest, struct buf *ret)
{
	size_t before = ret->len;
	struct digest found;
	_cleanup_close_ int fd = cas_object_fd(cas, digest);
	int r;

	if (fd < 0)
		return fd;
	r = read_exactly(ret, fd, (size_t)digest->size_bytes);
	if (r >= 0) {
		digest_of(&found, ret->data ? ret->data + before : "", ret->len - before);
		if (digest_eq(&found, digest))
			return 0;
		r = -ENOENT;
	}
	if (r == -ENOENT || r == -EFBIG) {
		cas_drop(cas, digest);
		r = -ENOENT;
	}
	if (ret->data)
		ret->data[ret->len = before] = '\0';
	return r;
}

int cas_verify(struct cas *cas, const struct digest *digest)
{
	struct digest found;
	_cleanup_close_ int fd = cas_object_fd(cas, digest);
	int r;

	if (fd < 0)
		return fd;
	r = digest_fd(&found, fd);
	if (r < 0)
		return r;
	if (digest_eq(&found, digest))
		return 0;
	cas_drop(cas, digest);
	return -ENOENT;
}

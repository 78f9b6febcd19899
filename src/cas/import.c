/* From the file system into the store: one walk over directory descriptors that never follows a symlink.
 *
 * Numbers that shaped it: a file costs open + fstat + read + close (4 us) and, when new, 35 us for its object, so nothing
 * else may cost much: names are sorted once per directory, directories are encoded from an arena that the walk resets.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/statcache_internal.h"

struct import {
	struct cas *cas;
	unsigned flags;
	struct diag *diag;
	struct buf path; /* of what is being read, for messages */
	size_t root_len; /* of the root's own path */
	struct buf scratch;
	struct statcache_walk walk;
};

/* Path below the root of what is being read. */
static const char *below_root(const struct import *import)
{
	return import->path.data + import->root_len + 1;
}

/* Entries of one directory while it is read; names and targets are heap texts. */
struct listing {
	struct cas_entry *entries;
	size_t count, cap;
};

static void listing_release(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++) {
		free((char *)listing->entries[i].name);
		free((char *)listing->entries[i].target);
	}
	free(listing->entries);
}

static int fail(struct import *import, int err)
{
	diag_errno(import->diag, "cas", "import", -err, "Cannot import %s", buf_text(&import->path));
	return err;
}

static struct cas_mtime mtime_of(const struct stat *st)
{
	/* the peer's daemon keeps microseconds */
	return (struct cas_mtime){ st->st_mtim.tv_sec, (int32_t)(st->st_mtim.tv_nsec / 1000 * 1000) };
}

static int hash_only(int fd, const struct stat *st, struct digest *ret)
{
	char small[16384];
	ssize_t n;

	if (st->st_size >= (off_t)sizeof small)
		return digest_fd(ret, fd);
	n = fs_pread_some(fd, small, sizeof small, 0);
	if (n < 0)
		return (int)n;
	if (n == sizeof small) /* it grew while we looked */
		return digest_fd(ret, fd);
	digest_of(ret, small, (size_t)n);
	return 0;
}

/* Our own file, thrown away afterwards: its inode becomes the object.  0, or 1 if it must be copied. */
static int move_file(struct cas *cas, int dirfd, const char *name, int fd, const struct stat *st, struct digest *ret)
{
	char object[OBJECT_NAME_BYTES];
	int r;

	if (st->st_nlink != 1 || st->st_size < 65536 || st->st_uid != geteuid())
		return 1;
	r = digest_fd(ret, fd);
	if (r < 0)
		return r;
	r = cas_has(cas, ret);
	if (r != 0)
		return r < 0 ? r : 0;
	cas->temp_count++; /* as if it had been one */
	r = cas_make_room(cas, ret->size_bytes);
	if (r == 0)
		r = cas_make_bucket(cas, ret->hash);
	if (r < 0)
		return r;
	if (fchmod(fd, 0444) < 0 || futimens(fd, NULL) < 0)
		return -errno;
	cas_object_name(object, ret->hash);
	if (renameat(dirfd, name, cas->objects_fd, object) < 0)
		return errno == EXDEV ? 1 : -errno;
	cas_saw(cas, ret);
	usage_add(cas, ret->size_bytes);
	return 0;
}

int cas_take_fd(struct cas *cas, int dirfd, const char *name, int fd, struct digest *ret)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = move_file(cas, dirfd, name, fd, &st, ret);
	return r == 1 ? cas_put_open(cas, fd, &st, ret) : r;
}

static void describe_file(const struct import *import, const struct stat *st, struct cas_entry *entry)
{
	entry->type = CAS_FILE;
	entry->executable = st->st_mode & S_IXUSR;
	if (import->flags & CAS_IMPORT_MTIMES) {
		entry->has_mtime = true;
		entry->mtime = mtime_of(st);
	}
}

/* Is it a file that was hashed before and is unchanged?  Then it need not be opened. */
static bool known_file(struct import *import, int dirfd, struct cas_entry *entry)
{
	struct stat st;

	if (!import->walk.cache || !import->walk.file_count ||
	    fstatat(dirfd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    !statcache_file(&import->walk, below_root(import), &st, &entry->digest))
		return false;
	describe_file(import, &st, entry);
	statcache_note(&import->walk, CAS_FILE, entry->name, &st, &entry->digest);
	return true;
}

/* 0, or 1 if it is nothing that can be kept. */
static int import_file(struct import *import, int dirfd, struct cas_entry *entry)
{
	/* O_NONBLOCK: a FIFO put in the file's place must not make us wait */
	_cleanup_close_ int fd = fs_open_read(dirfd, entry->name, O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r = 1;

	if (fd < 0)
		return errno == ENXIO ? 1 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 1;
	describe_file(import, &st, entry);
	if (import->flags & CAS_IMPORT_HASH_ONLY) {
		r = hash_only(fd, &st, &entry->digest);
		if (r == 0)
			statcache_note(&import->walk, CAS_FILE, entry->name, &st, &entry->digest);
		return r;
	}
	if (import->flags & CAS_IMPORT_MOVE)
		r = move_file(import->cas, dirfd, entry->name, fd, &st, &entry->digest);
	return r == 1 ? cas_put_open(import->cas, fd, &st, &entry->digest) : r;
}

static int import_symlink(struct import *import, int dirfd, struct cas_entry *entry)
{
	char target[CAS_TARGET_MAX + 2];
	struct stat st;

	if (import->walk.cache && fstatat(dirfd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	ssize_t n = readlinkat(dirfd, entry->name, target, sizeof target);

	if (n < 0)
		return -errno;
	if (n > CAS_TARGET_MAX)
		return -ENAMETOOLONG;
	entry->type = CAS_SYMLINK;
	entry->target = xstrndup(target, (size_t)n);
	if (import->walk.cache)
		statcache_note(&import->walk, CAS_SYMLINK, entry->name, &st, NULL);
	return 0;
}

static int import_directory(struct import *import, int fd, unsigned depth, struct digest *ret);

static int import_subdirectory(struct import *import, int dirfd, struct cas_entry *entry, unsigned depth)
{
	int fd = fs_open_read(dirfd, entry->name, O_DIRECTORY | O_NOFOLLOW);

	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (import->walk.cache && fstat(fd, &st) < 0) {
		r = -errno;
		close_fd(fd);
		return r;
	}
	entry->type = CAS_DIRECTORY;
	/* noted as it was before its names were read: a change meanwhile shows next time */
	if (import->walk.cache)
		statcache_note(&import->walk, CAS_DIRECTORY, entry->name, &st, NULL);
	r = import_directory(import, fd, depth + 1, &entry->digest);
	statcache_up(&import->walk);
	return r;
}

/* 0, or 1 if it turned out to be nothing that can be kept. */
static int import_entry(struct import *import, int dirfd, struct cas_entry *entry, unsigned depth)
{
	switch (entry->type) {
	case CAS_FILE:
		return known_file(import, dirfd, entry) ? 0 : import_file(import, dirfd, entry);
	case CAS_SYMLINK:
		return import_symlink(import, dirfd, entry);
	case CAS_DIRECTORY:
		return import_subdirectory(import, dirfd, entry, depth);
	case CAS_NONE:
		break;
	}
	return 1;
}

/* CAS_NONE for what is left out: sockets, FIFOs, devices. */
static int type_of(int dirfd, const char *name, unsigned char d_type, enum cas_type *ret)
{
	struct stat st;

	if (d_type == DT_UNKNOWN) {
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		d_type = IFTODT(st.st_mode);
	}
	*ret = d_type == DT_REG ? CAS_FILE : d_type == DT_LNK ? CAS_SYMLINK : d_type == DT_DIR ? CAS_DIRECTORY : CAS_NONE;
	return 0;
}

/* All names with their types.  readdir would ask three more questions of the kernel for each directory. */
static NOINLINE int read_names(int fd, struct listing *listing)
{
	_Alignas(struct dirent64) char bytes[32768];
	ssize_t got;

	while ((got = getdents64(fd, bytes, sizeof bytes)) > 0)
		for (ssize_t at = 0; at < got;) {
			const struct dirent64 *item = (const struct dirent64 *)(bytes + at);
			const char *name = item->d_name;
			struct cas_entry *entry;
			enum cas_type type = CAS_NONE;
			int r;

			at += item->d_reclen;
			if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
				continue;
			r = type_of(fd, name, item->d_type, &type);
			if (r < 0)
				return r;
			if (type == CAS_NONE)
				continue;
			listing->entries = util_grow(listing->entries, &listing->cap, listing->count + 1, sizeof *listing->entries);
			entry = &listing->entries[listing->count++];
			*entry = (struct cas_entry){ .type = type, .name_len = (uint32_t)strlen(name) };
			entry->name = xstrndup(name, entry->name_len);
		}
	return got < 0 ? -errno : 0;
}

static int read_entries(struct import *import, int fd, struct listing *listing, unsigned depth)
{
	size_t base = import->path.len, kept = 0;
	int r = 0;

	for (size_t i = 0; i < listing->count; i++) {
		struct cas_entry entry = listing->entries[i];

		if (r >= 0) {
			buf_addc(&import->path, '/');
			buf_add(&import->path, entry.name, entry.name_len);
			r = import_entry(import, fd, &entry, depth);
			if (r < 0 && import->diag && !import->diag->domain)
				fail(import, r);
			import->path.len = base;
			import->path.data[base] = '\0';
		}
		if (r == 0)
			listing->entries[kept++] = entry;
		else
			free((char *)entry.name);
	}
	listing->count = kept;
	return MIN(r, 0);
}

/* Encodes, and stores unless only hashes are wanted. */
static int keep_directory(struct import *import, struct cas_directory *directory, struct digest *ret)
{
	buf_clear(&import->scratch);
	cas_directory_encode(directory, &import->scratch);
	if (!(import->flags & CAS_IMPORT_HASH_ONLY))
		return cas_put(import->cas, buf_text(&import->scratch), import->scratch.len, ret);
	digest_of(ret, buf_text(&import->scratch), import->scratch.len);
	return 0;
}

/* Takes fd. */
static int import_directory(struct import *import, int fd, unsigned depth, struct digest *ret)
{
	struct cas_directory directory = { 0 };
	struct listing listing = { 0 };
	struct stat st;
	int r;

	if (depth > CAS_DEPTH_MAX) {
		close_fd(fd);
		return -ELOOP;
	}
	/* the root of a workspace carries no time, everything below does */
	if (import->flags & CAS_IMPORT_MTIMES && depth > 0 && fstat(fd, &st) == 0) {
		directory.has_mtime = true;
		directory.mtime = mtime_of(&st);
	}
	r = read_names(fd, &listing);
	if (r < 0)
		fail(import, r);
	if (r == 0) {
		cas_sort_entries(listing.entries, listing.count);
		r = read_entries(import, fd, &listing, depth);
	}
	close_fd(fd);
	if (r == 0) {
		directory.entries = listing.entries;
		directory.count = (uint32_t)listing.count;
		r = keep_directory(import, &directory, ret);
		if (r < 0)
			fail(import, r);
	}
	listing_release(&listing);
	return r;
}

/* The file at path as an entry, from the stat cache if it is known there. */
static int import_single(struct import *import, int dirfd, const char *path, struct cas_statcache *cache,
			 struct cas_entry *entry)
{
	bool caches = cache && (import->flags & CAS_IMPORT_HASH_ONLY) && *path == '/';
	int64_t asked_ns = caches ? statcache_now_ns() : 0;
	struct stat st;
	int r;

	caches = caches && lstat(path, &st) == 0 && S_ISREG(st.st_mode);
	if (caches && cas_statcache_get(cache, path, &st, &entry->digest)) {
		describe_file(import, &st, entry);
		return 0;
	}
	r = import_file(import, dirfd, entry);
	if (r == 0 && caches)
		cas_statcache_put(cache, path, &st, asked_ns, &entry->digest);
	return r;
}

/* A single file: a directory that holds only it. */
static int import_one(struct import *import, int dirfd, const char *path, struct cas_statcache *cache,
		      struct digest *ret)
{
	const char *base = fs_basename(path);
	_cleanup_free_ char *parent = xstrndup(path, (size_t)(base - path));
	struct cas_entry entry = { .name = base, .name_len = (uint32_t)strlen(base) };
	struct cas_directory directory = { .entries = &entry, .count = 1 };
	_cleanup_close_ int fd = openat(dirfd, *parent ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : import_single(import, fd, path, cache, &entry);

	if (r > 0)
		r = -EINVAL;
	if (r == 0)
		r = keep_directory(import, &directory, ret);
	return r < 0 ? fail(import, r) : 0;
}

/* Takes fd.  A tree known from the stat cache is not read at all. */
static int import_root(struct import *import, int fd, const char *path, struct cas_statcache *cache, struct digest *ret)
{
	char kind = import->flags & CAS_IMPORT_MTIMES ? 'w' : 't';
	struct stat st;
	int r;

	if (!cache || !(import->flags & CAS_IMPORT_HASH_ONLY) || *path != '/' || fstat(fd, &st) < 0)
		return import_directory(import, fd, 0, ret);
	if (statcache_match(cache, kind, path, fd, &st, ret)) {
		close_fd(fd);
		return 0;
	}
	statcache_begin(&import->walk, cache, kind, path, &st);
	r = import_directory(import, fd, 0, ret);
	statcache_up(&import->walk);
	statcache_end(&import->walk, r == 0 ? ret : NULL);
	return r;
}

int cas_import(struct cas *cas, int dirfd, const char *path, unsigned flags, struct cas_statcache *statcache,
	       struct digest *ret, struct diag *diag)
{
	struct diag local = DIAG_INIT;
	struct import import = { .cas = cas, .flags = flags, .diag = diag ? diag : &local };
	int fd, r;

	buf_adds(&import.path, path);
	import.root_len = import.path.len;
	fd = fs_open_read(dirfd, path, O_DIRECTORY | O_NOFOLLOW);
	if (fd >= 0)
		r = import_root(&import, fd, path, statcache, ret);
	else if (errno == ENOTDIR)
		r = import_one(&import, dirfd, path, statcache, ret);
	else
		r = fail(&import, -errno);
	buf_release(&import.path);
	buf_release(&import.scratch);
	diag_release(&local);
	return r;
}

/* Read-only layers: trees written out once, shared by all sandboxes, removed when long unused.
 *
 * A tree that differs little from one that is there already costs only the difference: a second layer over the first.  One
 * that differs much is written out whole.  More than two layers are never stacked: each costs every failed look-up. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"

enum {
	CANDIDATES_MAX = 8,     /* most recently used whole trees that are compared */
	GAIN = 3,               /* a difference must be this many times smaller than the tree */
	FILE_DISK_BYTES = 4096, /* what a file takes beside its bytes, more or less */
	FILE_COST_BYTES = 65536 /* creating a file costs as much as copying this much */
};

struct found { /* a layer, as the directory listing has it */
	char name[2 * DIGEST_HEX + 2];
	struct timespec used;
	uint64_t files, bytes;
	int64_t root_bytes;
};

struct listing {
	struct found *items;
	size_t count, cap;
};

static uint64_t cost(const struct sandbox_size *size)
{
	return (size->files + size->whiteouts) * FILE_COST_BYTES + size->bytes;
}

/* ---- opening ---- */

/* A descriptor of the layer's directory, locked against removal.  -ENOENT if it is not there (any more). */
static int open_layer(struct sandbox_host *host, const char *name)
{
	struct stat held, there;
	int fd = openat(host->layers_fd, name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = sandbox_lock(fd, false);
	if (r >= 0 && fstat(fd, &held) < 0)
		r = -errno;
	if (r >= 0 && (fstatat(host->layers_fd, name, &there, AT_SYMLINK_NOFOLLOW) < 0 || there.st_ino != held.st_ino))
		r = -ENOENT; /* removed between open and lock */
	if (r < 0) {
		close_fd(fd);
		return r == -EWOULDBLOCK ? -ENOENT : r; /* being removed right now */
	}
	futimens(fd, NULL);
	return fd;
}

static int add_layer(struct sandbox_host *host, struct sandbox_layers *layers, const char *name)
{
	int fd = open_layer(host, name);

	if (fd < 0)
		return fd;
	assert(layers->count < SANDBOX_LAYERS_MAX && strlen(name) < sizeof layers->names[0]);
	layers->lock_fds[layers->count] = fd;
	memcpy(layers->names[layers->count++], name, strlen(name) + 1);
	return 0;
}

void sandbox_layers_release(struct sandbox_layers *layers)
{
	while (layers->count)
		close_fd(layers->lock_fds[--layers->count]);
}

/* ---- listing ---- */

static bool read_size(int layers_fd, struct found *found)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char path[2 * DIGEST_HEX + 8];

	snprintf(path, sizeof path, "%s/size", found->name);
	return fs_read_file(&text, layers_fd, path, 256) >= 0 &&
	       sscanf(buf_text(&text), "%" SCNu64 " %" SCNu64 " %" SCNd64, &found->files, &found->bytes,
		      &found->root_bytes) == 3;
}

static int by_use(const void *a, const void *b) /* latest first */
{
	const struct found *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? 1 : -1;
	return (x->used.tv_nsec < y->used.tv_nsec) - (x->used.tv_nsec > y->used.tv_nsec);
}

static int list_layer(void *data, int dirfd, const char *name)
{
	struct listing *listing = data;
	struct found found = { 0 };
	size_t len = strlen(name);
	struct stat st;

	if ((len != DIGEST_HEX && len != 2 * DIGEST_HEX + 1) || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	memcpy(found.name, name, len + 1);
	found.used = st.st_mtim;
	if (!read_size(dirfd, &found))
		found.root_bytes = -1;
	listing->items = util_grow(listing->items, &listing->cap, listing->count + 1, sizeof found);
	listing->items[listing->count++] = found;
	return 0;
}

static void list_layers(struct sandbox_host *host, struct listing *listing)
{
	(void)fs_each_name(host->layers_fd, ".", list_layer, listing);
	if (listing->count)
		qsort(listing->items, listing->count, sizeof *listing->items, by_use);
}

/* ---- making ---- */

static int write_layer(struct sandbox_host *host, int fd, const struct digest *below, const struct digest *tree,
		       struct sandbox_size *size, struct diag *diag)
{
	_cleanup_close_ int tree_fd = -1;
	char text[80];
	int r;

	if (mkdirat(fd, "tree", 0755) < 0)
		return diag_errno(diag, "sandbox", NULL, errno, "Failed to make a layer for the sandbox");
	tree_fd = openat(fd, "tree", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (tree_fd < 0)
		return diag_errno(diag, "sandbox", NULL, errno, "Failed to make a layer for the sandbox");
	r = sandbox_write_difference(host, tree_fd, below, tree, size, diag);
	if (r < 0)
		return r;
	snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64 " %" PRId64 "\n", size->files, size->bytes, tree->size_bytes);
	return fs_write_file(fd, "size", text, strlen(text), 0644);
}

/* Makes the layer under a name nobody looks at, then renames it: a layer that is there is complete. */
static int make_layer(struct sandbox_host *host, const char *name, const struct digest *below, const struct digest *tree,
		      struct diag *diag)
{
	struct sandbox_size size = { 0 };
	_cleanup_close_ int fd = -1;
	char tmp[64];
	int r = 0;

	snprintf(tmp, sizeof tmp, "tmp.%d.%u", (int)getpid(), host->counter++);
	if (mkdirat(host->layers_fd, tmp, 0755) < 0)
		return diag_errno(diag, "sandbox", NULL, errno, "Failed to make a layer for the sandbox");
	fd = openat(host->layers_fd, tmp, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	/* a sweeper of another process may have come between, holding it or having removed it */
	if (fd < 0 || sandbox_lock(fd, true) < 0 || faccessat(host->layers_fd, tmp, F_OK, 0) < 0)
		r = -EAGAIN;
	if (r >= 0)
		r = write_layer(host, fd, below, tree, &size, diag);
	if (r >= 0 && renameat(host->layers_fd, tmp, host->layers_fd, name) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		r = diag_errno(diag, "sandbox", NULL, errno, "Failed to make a layer for the sandbox");
	fs_remove_all(host->layers_fd, tmp); /* it is still there after a failure, or when another process was first */
	host->new_bytes += size.bytes;
	if (r >= 0)
		cas_add_layers(host->cas, (int64_t)(size.bytes + size.files * FILE_DISK_BYTES));
	return r;
}

/* ---- choosing ---- */

/* The whole tree, among those most recently used, from which `tree` is cheapest to reach; false if none is near enough. */
static bool choose_base(struct sandbox_host *host, const struct listing *listing, const struct digest *tree,
			struct digest *ret)
{
	struct sandbox_size whole = { 0 };
	uint64_t best;
	unsigned tried = 0;
	bool found = false;

	if (sandbox_count_difference(host->cas, NULL, tree, UINT64_MAX, &whole) < 0)
		return false;
	best = cost(&whole) / GAIN;
	for (size_t i = 0; i < listing->count && tried < CANDIDATES_MAX; i++) {
		struct digest base = { .size_bytes = listing->items[i].root_bytes };
		struct sandbox_size size = { 0 };

		if (strlen(listing->items[i].name) != DIGEST_HEX || base.size_bytes < 0 ||
		    !digest_from_hex(base.hash, listing->items[i].name))
			continue;
		tried++;
		if (sandbox_count_difference(host->cas, &base, tree, best / FILE_COST_BYTES, &size) < 0)
			continue; /* too different, or its directories have expired */
		if (cost(&size) < best) {
			best = cost(&size);
			*ret = base;
			found = true;
		}
	}
	return found;
}

/* A stack of two that is there already: "<tree>+<base>" and "<base>". */
static int open_stack(struct sandbox_host *host, const char *name, struct sandbox_layers *ret)
{
	int r = add_layer(host, ret, name);

	if (r >= 0)
		r = add_layer(host, ret, name + DIGEST_HEX + 1);
	if (r < 0)
		sandbox_layers_release(ret);
	return r;
}

static int open_known_stack(struct sandbox_host *host, const struct listing *listing, const char *hex,
			    struct sandbox_layers *ret)
{
	for (size_t i = 0; i < listing->count; i++)
		if (listing->items[i].name[DIGEST_HEX] == '+' && memcmp(listing->items[i].name, hex, DIGEST_HEX) == 0 &&
		    open_stack(host, listing->items[i].name, ret) >= 0)
			return 0;
	return -ENOENT;
}

/* Puts the difference over base.  Where whiteouts cannot be made the caller writes the whole tree. */
static int make_stack(struct sandbox_host *host, const struct digest *base, const struct digest *tree, const char *hex,
		      struct sandbox_layers *ret)
{
	char name[2 * DIGEST_HEX + 2], base_hex[DIGEST_HEX + 1];
	int r;

	digest_to_hex(base_hex, base->hash);
	snprintf(name, sizeof name, "%s+%s", hex, base_hex);
	r = make_layer(host, name, base, tree, NULL);
	return r < 0 ? r : open_stack(host, name, ret);
}

/* One process at a time writes out a whole tree: the others may find that it is theirs, or nearly so, once it is there.
 * Returns 1 if somebody else was at it meanwhile, 0 if not; *ret is the lock. */
static int lock_making(struct sandbox_host *host, int *ret)
{
	static const struct timespec PAUSE = { .tv_nsec = 5000000 };
	_cleanup_close_ int fd = openat(host->layers_fd, "making", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : sandbox_lock(fd, true), waited = 0;

	while (r == -EWOULDBLOCK) {
		waited = 1;
		nanosleep(&PAUSE, NULL);
		r = sandbox_check(host);
		if (r >= 0)
			r = sandbox_lock(fd, true);
	}
	if (r < 0)
		return r;
	*ret = steal_fd(&fd);
	return waited;
}

static int get_or_make(struct sandbox_host *host, const struct digest *tree, const char *hex, int *making_fd,
		       struct sandbox_layers *ret, struct diag *diag)
{
	struct listing listing = { 0 };
	struct digest base;
	int r = add_layer(host, ret, hex);

	if (r >= 0)
		return 0;
	list_layers(host, &listing);
	r = open_known_stack(host, &listing, hex, ret);
	if (r < 0 && choose_base(host, &listing, tree, &base))
		r = make_stack(host, &base, tree, hex, ret);
	free(listing.items);
	if (r >= 0 || r == -ECANCELED)
		return r;
	if (*making_fd < 0) {
		r = lock_making(host, making_fd);
		if (r)
			return r < 0 ? r : -EAGAIN; /* look again, now that the lock is ours */
	}
	r = make_layer(host, hex, NULL, tree, diag);
	return r < 0 ? r : add_layer(host, ret, hex);
}

int sandbox_layers_get(struct sandbox_host *host, const struct digest *tree, struct sandbox_layers *ret,
		       struct diag *diag)
{
	_cleanup_close_ int making_fd = -1;
	char hex[DIGEST_HEX + 1];
	int r = -ENOENT;

	memset(ret, 0, sizeof *ret);
	ret->digest = *tree;
	digest_to_hex(hex, tree->hash);
	for (int attempt = 0; attempt < 5 && (r == -ENOENT || r == -EAGAIN); attempt++) {
		if (diag)
			diag_release(diag);
		r = get_or_make(host, tree, hex, &making_fd, ret, diag);
	}
	if (r < 0 && diag && !diag->domain)
		diag_errno(diag, "sandbox", NULL, -r, "Failed to make a layer for the sandbox");
	if (host->new_bytes > host->layers_max_bytes / 8)
		sandbox_layers_sweep(host);
	return r;
}

/* ---- removing ---- */

static bool remove_layer(struct sandbox_host *host, const char *name, bool pretend)
{
	_cleanup_close_ int fd = openat(host->layers_fd, name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);
	char tmp[64];

	if (fd < 0 || sandbox_lock(fd, true) < 0)
		return false; /* in use */
	if (pretend)
		return true;
	snprintf(tmp, sizeof tmp, "tmp.%d.%u", (int)getpid(), host->counter++);
	if (renameat(host->layers_fd, name, host->layers_fd, tmp) < 0)
		return false;
	fs_remove_all(host->layers_fd, tmp);
	return true;
}

static uint64_t disk_bytes(uint64_t files, uint64_t bytes)
{
	return bytes + files * FILE_DISK_BYTES;
}

uint64_t sandbox_layers_limit(const struct sandbox_host *host)
{
	return host->layers_max_bytes;
}

uint64_t sandbox_layers_trim(struct sandbox_host *host, uint64_t max_bytes, bool pretend, uint64_t *removed_bytes)
{
	struct listing listing = { 0 };
	uint64_t total = 0;

	*removed_bytes = 0;
	if (sandbox_host_open(host, NULL) < 0)
		return 0;
	host->new_bytes = 0;
	list_layers(host, &listing);
	for (size_t i = 0; i < listing.count; i++)
		total += disk_bytes(listing.items[i].files, listing.items[i].bytes);
	for (size_t i = listing.count; i-- > 0;) { /* the one used longest ago first */
		const struct found *layer = &listing.items[i];
		uint64_t bytes = disk_bytes(layer->files, layer->bytes);

		if ((total > max_bytes || layer->root_bytes < 0) && remove_layer(host, layer->name, pretend)) {
			total -= bytes;
			*removed_bytes += bytes;
		}
	}
	free(listing.items);
	if (!pretend)
		cas_counted(host->cas, -1, (int64_t)MIN(total, (uint64_t)INT64_MAX));
	return total;
}

void sandbox_layers_sweep(struct sandbox_host *host)
{
	uint64_t removed_bytes;

	sandbox_layers_trim(host, host->layers_max_bytes, false, &removed_bytes);
}

/* Digests of what local sources and patches bring, for their keys.
 *
 * While a project is loaded, each tree and file is looked at once, however many sources name it.  Trees that keys will need
 * soon are looked at by a second thread (base/ahead.h): in a project of thousands of imports that is more than half of
 * loading it.
 */
#include "project/project_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ahead.h"

/* Fewer trees are looked at before a thread has begun; it is woken for so many. */
enum { WORTH_A_THREAD = 32, BATCH = 8 };

struct digests_ahead {
	struct ahead *trees;
	struct arena items;
	unsigned batch; /* announced since the thread was woken */
	struct cas_statcache *statcache;
};

struct tree {
	const char *path;
	bool good;
	struct digest digest;
};

static int hash_tree(const char *path, unsigned flags, struct cas_statcache *statcache, struct digest *ret, struct diag *diag)
{
	return cas_import(NULL, AT_FDCWD, path, CAS_IMPORT_HASH_ONLY | flags, statcache, ret, diag);
}

static void look_at_tree(void *data, void *item)
{
	const struct digests_ahead *ahead = data;
	struct tree *tree = item;
	struct diag ignored = DIAG_INIT;

	tree->good = hash_tree(tree->path, 0, ahead->statcache, &tree->digest, &ignored) >= 0;
	diag_release(&ignored);
}

void digests_begin(struct project_loader *load)
{
	struct digests_ahead *ahead = xcalloc(1, sizeof(*ahead));

	assert(!load->digests_ahead);
	ahead->trees = ahead_new(look_at_tree, ahead, WORTH_A_THREAD);
	ahead->statcache = load->request->statcache;
	load->digests_ahead = ahead;
}

void digests_end(struct project_loader *load)
{
	struct digests_ahead *ahead = load->digests_ahead;

	if (!ahead)
		return;
	ahead_free(ahead->trees);
	arena_release(&ahead->items);
	free(ahead);
	load->digests_ahead = NULL;
}

void digests_expect_tree(struct project_loader *load, const char *path)
{
	struct digests_ahead *ahead = load->digests_ahead;
	struct tree *tree;

	if (!ahead || ahead_knows(ahead->trees, path))
		return;
	tree = ARENA_NEW(&ahead->items, struct tree);
	tree->path = arena_strdup(&ahead->items, path);
	ahead_expect(ahead->trees, path, tree);
	if (++ahead->batch >= BATCH) {
		ahead->batch = 0;
		ahead_go(ahead->trees);
	}
}

static bool looked_ahead(struct project_loader *load, const char *path, struct digest *ret)
{
	const struct tree *tree = load->digests_ahead ? ahead_take(load->digests_ahead->trees, path) : NULL;

	if (!tree || !tree->good)
		return false;
	*ret = tree->digest;
	return true;
}

/* What was found under this kind ('t' tree, 'w' tree with times, 'f' file) and path, or room for it: size_bytes is -1. */
static struct digest *known_digest(struct project_loader *load, char kind, const char *path)
{
	const char *key = arena_join(load->arena, (const char[]){ kind, '\0' }, path, "");
	struct strmap_slot *slot = strmap_slot(&load->digest_index, key, strlen(key));

	if (slot->value == STRMAP_NONE) {
		slot->value = (uint32_t)load->digests.count;
		*items_add(&load->digests) = (struct digest){ .size_bytes = -1 };
	}
	return &load->digests.at[slot->value];
}

int digests_tree(struct project_loader *load, const char *path, bool mtimes, struct digest *ret, struct diag *diag)
{
	struct digest *digest = known_digest(load, mtimes ? 'w' : 't', path);
	int r = 0;

	if (digest->size_bytes < 0 && (mtimes || !looked_ahead(load, path, digest)))
		r = hash_tree(path, mtimes ? CAS_IMPORT_MTIMES : 0, load->request->statcache, digest, diag);
	*ret = *digest;
	return r;
}

static int read_file_digest(struct cas_statcache *cache, const char *path, struct digest *ret)
{
	_cleanup_close_ int fd = -1;
	struct timespec asked;
	struct stat st;
	int r;

	if (cache && *path == '/' && stat(path, &st) == 0 && cas_statcache_get(cache, path, &st, ret))
		return 0;
	clock_gettime(CLOCK_REALTIME, &asked);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = digest_fd(ret, fd);
	if (r == 0 && cache && *path == '/' && S_ISREG(st.st_mode))
		cas_statcache_put(cache, path, &st, asked.tv_sec * INT64_C(1000000000) + asked.tv_nsec, ret);
	return r;
}

int digests_file(struct project_loader *load, const char *path, struct digest *ret, struct diag *diag)
{
	struct digest *digest = known_digest(load, 'f', path);
	int r = 0;

	if (digest->size_bytes < 0)
		r = read_file_digest(load->request->statcache, path, digest);
	*ret = *digest;
	return r < 0 ? diag_errno(diag, "source", NULL, -r, "Cannot read '%s'", path) : 0;
}

/* Keeping and letting go: see care.h. */
#include "artifacts/care.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/map.h"

enum { RECORD_DEPTH_MAX = 4, TEMP_OLD_S = 24 * 3600 };

static const char REFS[] = "artifacts/refs";

struct reader {
	struct care_list *list;
	struct strmap known; /* digest of the record's bytes -> item */
	struct buf path;
	bool is_artifact;
	unsigned depth;
};

/* ---- reading ---- */

static void add_root(struct care_item *item, struct care_root *roots, const struct digest *digest, bool there,
		     bool is_directory, bool optional)
{
	if (there)
		roots[item->root_count++] = (struct care_root){ *digest, is_directory, optional };
}

static int artifact_roots(struct care_item *item, struct arena *arena, const struct buf *bytes)
{
	struct artifact a;
	struct care_root *roots;
	int r = artifact_decode(&a, arena, bytes->data, bytes->len);

	if (r < 0)
		return r;
	roots = ARENA_ARRAY(arena, struct care_root, 7u + a.log_count + a.subsandbox_count);
	add_root(item, roots, &a.files, a.has_files, true, false);
	add_root(item, roots, &a.public_data, a.has_public_data, false, false);
	add_root(item, roots, &a.low_meta, a.has_low_meta, false, false);
	add_root(item, roots, &a.high_meta, a.has_high_meta, false, false);
	for (uint32_t i = 0; i < a.log_count; i++)
		add_root(item, roots, &a.logs[i].digest, true, false, false);
	add_root(item, roots, &a.buildtree, a.has_buildtree, true, true);
	add_root(item, roots, &a.sources, a.has_sources, true, true);
	add_root(item, roots, &a.buildroot, a.has_buildroot, true, true);
	for (uint32_t i = 0; i < a.subsandbox_count; i++)
		add_root(item, roots, &a.subsandboxes[i], true, true, true);
	item->roots = roots;
	return 0;
}

static int source_roots(struct care_item *item, struct arena *arena, const struct buf *bytes)
{
	item->roots = ARENA_NEW(arena, struct care_root);
	item->roots->is_directory = true;
	item->root_count = 1;
	return source_decode(&item->roots->digest, bytes->data, bytes->len);
}

static struct care_item *new_item(struct reader *reader, const struct buf *bytes)
{
	struct care_list *list = reader->list;
	struct care_item *item;

	list->items = util_grow(list->items, &list->cap, list->count + 1u, sizeof *list->items);
	item = &list->items[list->count++];
	*item = (struct care_item){ .is_artifact = reader->is_artifact };
	if ((reader->is_artifact ? artifact_roots : source_roots)(item, &list->arena, bytes) < 0) {
		item->damaged = true;
		item->root_count = 0;
	}
	return item;
}

/* Records are named by keys.  What has another name is being written by someone, or was when he died: if it is ours and old,
 * nobody will miss it. */
static bool is_record(int dirfd, const char *name, const struct stat *st)
{
	uint8_t key[DIGEST_BYTES];

	if (strlen(name) == DIGEST_HEX && digest_from_hex(key, name))
		return true;
	if (str_ends(name, ".tmp") && S_ISREG(st->st_mode) && st->st_mtim.tv_sec < time(NULL) - TEMP_OLD_S)
		unlinkat(dirfd, name, 0);
	return false;
}

static void read_record(struct reader *reader, int dirfd, const char *name)
{
	struct care_list *list = reader->list;
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct care_item *item;
	struct digest digest;
	char hex[DIGEST_HEX + 2];
	struct stat st;
	uint32_t at;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fs_read_fd(&bytes, fd, ARTIFACT_PROTO_MAX) < 0)
		return;
	digest_of(&digest, bytes.data, bytes.len);
	hex[0] = reader->is_artifact ? 'a' : 's';
	digest_to_hex(hex + 1, digest.hash);
	at = strmap_get(&reader->known, hex, sizeof hex - 1);
	if (at == STRMAP_NONE) {
		at = list->count;
		new_item(reader, &bytes);
		strmap_put(&reader->known, arena_strndup(&list->arena, hex, sizeof hex - 1), sizeof hex - 1, at);
	}
	item = &list->items[at];
	item->names = util_grow(item->names, &item->name_cap, item->name_count + 1u, sizeof *item->names);
	item->names[item->name_count++] = arena_strdup(&list->arena, buf_text(&reader->path));
	item->used_ns = MAX(item->used_ns, (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
}

static int read_name(void *data, int dirfd, const char *name)
{
	struct reader *reader = data;
	size_t base = reader->path.len;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	buf_printf(&reader->path, "/%s", name);
	if (!S_ISDIR(st.st_mode)) {
		if (is_record(dirfd, name, &st))
			read_record(reader, dirfd, name);
	} else if (reader->depth < RECORD_DEPTH_MAX) {
		reader->depth++;
		(void)fs_each_name(dirfd, name, read_name, reader); /* what cannot be read is nobody's */
		reader->depth--;
	}
	reader->path.len = base;
	reader->path.data[base] = '\0';
	return 0;
}

static int later_first(const void *a, const void *b)
{
	const struct care_item *x = a, *y = b;

	if (x->used_ns != y->used_ns)
		return x->used_ns < y->used_ns ? 1 : -1;
	return strcmp(x->names[0], y->names[0]);
}

int care_list_init(struct care_list *list, struct cas *cas)
{
	struct reader reader = { .list = list };

	*list = (struct care_list){ 0 };
	for (unsigned i = 0; i < CAS_RECORD_DIRS; i++) {
		reader.is_artifact = i == CAS_RECORDS_OF_ARTIFACTS;
		buf_clear(&reader.path);
		buf_adds(&reader.path, cas_record_dirs[i]);
		(void)fs_each_name(cas_cachedir_fd(cas), cas_record_dirs[i], read_name, &reader);
	}
	strmap_release(&reader.known);
	buf_release(&reader.path);
	if (list->count)
		qsort(list->items, list->count, sizeof *list->items, later_first);
	return 0;
}

void care_list_release(struct care_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		free(list->items[i].names);
	free(list->items);
	arena_release(&list->arena);
	*list = (struct care_list){ 0 };
}

/* ---- measuring ---- */

#define SHARED UINT32_MAX

struct measure {
	struct care_size *size; /* of the group */
	uint32_t owner;         /* number of the group, from 1 */
};

static void claim(void *data, struct care_object *object)
{
	struct measure *measure = data;

	measure->size->size_bytes += object->size_bytes;
	object->owner = object->owner == 0 || object->owner == measure->owner ? measure->owner : SHARED;
}

static void add_bytes(void *data, struct care_object *object)
{
	int64_t *bytes = data;

	*bytes += object->kept ? 0 : object->size_bytes;
}

static void keep(void *data, struct care_object *object)
{
	int64_t *bytes = data;

	*bytes += object->kept ? 0 : object->size_bytes;
	object->kept = true;
}

/* How many of the objects that the item cannot do without are missing. */
static uint64_t walk_item(struct care_census *census, const struct care_item *item,
			  void (*visit)(void *data, struct care_object *object), void *data)
{
	uint64_t missing = item->damaged;

	for (uint32_t i = 0; i < item->root_count; i++) {
		const struct care_root *root = &item->roots[i];
		uint64_t n = care_walk(census, &root->digest, root->is_directory, visit, data);

		missing += root->optional ? 0 : n;
	}
	return missing;
}

static int by_group(const void *a, const void *b)
{
	const struct care_item *x = *(struct care_item *const *)a, *y = *(struct care_item *const *)b;

	return (x->group > y->group) - (x->group < y->group);
}

void care_measure(struct care_list *list, struct care_census *census, struct care_size *sizes, uint32_t group_count)
{
	struct care_item **order = xcalloc(list->count + 1u, sizeof(*order));

	for (uint32_t i = 0; i < list->count; i++)
		order[i] = &list->items[i];
	qsort(order, list->count, sizeof(*order), by_group);
	for (uint32_t i = 0; i < list->count; i++) {
		struct measure measure = { &sizes[order[i]->group], order[i]->group + 1 };

		assert(order[i]->group < group_count);
		if (i == 0 || order[i]->group != order[i - 1]->group)
			care_walk_begin(census);
		order[i]->whole = walk_item(census, order[i], claim, &measure) == 0;
	}
	for (uint32_t i = 0; i < census->count; i++) {
		const struct care_object *object = &census->objects[i];

		if (object->owner == 0) {
			list->unnamed++;
			list->unnamed_bytes += object->size_bytes;
		} else if (object->owner != SHARED) {
			sizes[object->owner - 1].own_bytes += object->size_bytes;
		}
	}
	free(order);
}

/* ---- choosing ---- */

void care_choose(struct care_list *list, struct care_census *census, int64_t since_ns, int64_t target_bytes)
{
	int64_t kept_bytes = 0;
	bool full = false;

	for (uint32_t i = 0; i < census->count; i++)
		if (census->objects[i].used_ns >= since_ns)
			keep(&kept_bytes, &census->objects[i]);
	for (uint32_t i = 0; i < list->count; i++) {
		struct care_item *item = &list->items[i];
		int64_t more_bytes = 0;

		item->in_use = item->used_ns >= since_ns;
		if (!item->in_use) {
			care_walk_begin(census);
			item->goes = walk_item(census, item, add_bytes, &more_bytes) > 0;
			if (!item->goes && kept_bytes + more_bytes > target_bytes)
				full = true;
			/* What was used before this one is not better off for being small: order is all. */
			item->goes |= full;
		}
		if (item->goes)
			continue;
		care_walk_begin(census);
		walk_item(census, item, keep, &kept_bytes);
	}
}

static void forget_name(struct cas *cas, const char *path)
{
	if (str_starts(path, REFS) && path[sizeof REFS - 1] == '/')
		(void)artifact_remove(cas, path + sizeof REFS);
	else
		unlinkat(cas_cachedir_fd(cas), path, 0);
}

uint32_t care_forget(struct care_list *list, struct cas *cas)
{
	uint32_t ret = 0;

	for (uint32_t i = list->count; i-- > 0;) { /* the one used longest ago first */
		for (uint32_t j = 0; list->items[i].goes && j < list->items[i].name_count; j++)
			forget_name(cas, list->items[i].names[j]);
		ret += list->items[i].goes;
	}
	return ret;
}

static uint32_t count_going(const struct care_list *list)
{
	uint32_t ret = 0;

	for (uint32_t i = 0; i < list->count; i++)
		ret += list->items[i].goes;
	return ret;
}

int care_expire(struct cas *cas, struct care_census *census, int64_t since_ns, int64_t target_bytes, bool pretend,
		struct care_result *ret)
{
	struct care_list list = { 0 };
	int r = care_list_init(&list, cas);

	*ret = (struct care_result){ 0 };
	if (r == 0) {
		care_choose(&list, census, since_ns, target_bytes);
		ret->items = pretend ? count_going(&list) : care_forget(&list, cas);
		ret->kept_items = list.count - ret->items;
		ret->objects = care_sweep(census, since_ns, pretend, &ret->bytes);
		ret->kept_objects = census->count - ret->objects;
		ret->kept_bytes = census->bytes - ret->bytes;
		if (!pretend) {
			cas_counted(cas, ret->kept_bytes, -1);
			care_forget_peer_count(cas);
		}
	}
	care_list_release(&list);
	return r;
}

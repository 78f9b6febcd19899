/* Stored directories: decoded once per session, checked for completeness, walked, compared. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cas/cas_internal.h"

int cas_directory_get(struct cas *cas, const struct digest *digest, const struct cas_directory **ret)
{
	const struct hashmap_slot *slot = hashmap_get(&cas->directories, digest->hash);
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	struct cas_directory *directory;
	int r;

	if (slot) {
		*ret = slot->value;
		return 0;
	}
	if (digest->size_bytes > CAS_DIRECTORY_MAX)
		return -EBADMSG;
	/* nobody needs to store the empty message to know what it says */
	r = digest_eq(digest, &DIGEST_EMPTY) ? 0 : cas_get(cas, digest, &bytes);
	if (r < 0)
		return r;
	directory = ARENA_NEW(&cas->arena, struct cas_directory);
	r = cas_directory_decode(directory, &cas->arena, bytes.data, bytes.len);
	if (r < 0)
		return r;
	hashmap_put(&cas->directories, digest->hash, directory);
	*ret = directory;
	return 0;
}

void cas_forget(struct cas *cas, size_t keep_bytes)
{
	if (keep_bytes && cas->arena.total_bytes <= keep_bytes)
		return;
	hashmap_release(&cas->directories);
	arena_reset(&cas->arena);
	if (!keep_bytes) {
		hashmap_release(&cas->present);
		hashmap_release(&cas->complete);
		arena_reset(&cas->complete_arena);
		cas_whole_free(cas);
	}
}

struct missing_walk {
	struct cas *cas;
	int (*missing)(void *data, const struct digest *digest, bool is_directory);
	void *data;
	bool any;
};

static int report(struct missing_walk *walk, const struct digest *digest, bool is_directory)
{
	walk->any = true;
	return walk->missing(walk->data, digest, is_directory);
}

/* A broken or unsound directory counts as missing: a fetch brings it back. */
static int look_for_missing(struct missing_walk *walk, const struct digest *digest, unsigned depth)
{
	const struct hashmap_slot *known = hashmap_get(&walk->cas->complete, digest->hash);
	struct cas_buckets *looked = &walk->cas->looked, before = *looked;
	const struct cas_directory *directory;
	bool any_before = walk->any;
	int r;

	if (known) {
		cas_buckets_join(looked, known->value);
		return 0;
	}
	if (depth > CAS_DEPTH_MAX)
		return -ELOOP;
	*looked = (struct cas_buckets){ 0 };
	r = cas_has(walk->cas, digest);
	if (r < 0)
		return r;
	if (r == 0 && !digest_eq(digest, &DIGEST_EMPTY))
		return report(walk, digest, true);
	r = cas_directory_get(walk->cas, digest, &directory);
	if (r == -ENOENT || r == -EBADMSG)
		return report(walk, digest, true);
	walk->any = false;
	for (uint32_t i = 0; r == 0 && i < directory->count; i++) {
		const struct cas_entry *entry = &directory->entries[i];

		if (entry->type == CAS_DIRECTORY) {
			r = look_for_missing(walk, &entry->digest, depth + 1);
		} else if (entry->type == CAS_FILE) {
			r = cas_has(walk->cas, &entry->digest);
			if (r == 0)
				r = report(walk, &entry->digest, false);
			else if (r > 0)
				r = 0;
		}
	}
	if (r == 0 && !walk->any)
		hashmap_put(&walk->cas->complete, digest->hash,
			    arena_memdup(&walk->cas->complete_arena, looked, sizeof *looked));
	cas_buckets_join(looked, &before);
	walk->any |= any_before;
	return r;
}

int cas_missing(struct cas *cas, const struct digest *directory,
		int (*missing)(void *data, const struct digest *digest, bool is_directory), void *data)
{
	struct missing_walk walk = { .cas = cas, .missing = missing, .data = data };

	return look_for_missing(&walk, directory, 0);
}

static int stop_at_first(void *data, const struct digest *digest, bool is_directory)
{
	return 1;
}

int cas_has_tree(struct cas *cas, const struct digest *directory)
{
	int r = cas_missing(cas, directory, stop_at_first, NULL);

	return r < 0 ? r : r == 0;
}

/* ---- walking ---- */

struct stored_walk {
	struct cas *cas;
	int (*visit)(void *data, const char *path, const struct cas_entry *entry);
	void *data;
	struct buf path;
};

static int walk_directory(struct stored_walk *walk, const struct digest *digest, unsigned depth)
{
	const struct cas_directory *directory;
	size_t base = walk->path.len;
	int r = depth > CAS_DEPTH_MAX ? -ELOOP : cas_directory_get(walk->cas, digest, &directory);

	for (unsigned pass = 0; r == 0 && pass < 2; pass++) {
		for (uint32_t i = 0; r == 0 && i < directory->count; i++) {
			const struct cas_entry *entry = &directory->entries[i];

			if ((entry->type == CAS_DIRECTORY) != (pass == 1))
				continue;
			if (base)
				buf_addc(&walk->path, '/');
			buf_add(&walk->path, entry->name, entry->name_len);
			r = walk->visit(walk->data, walk->path.data, entry);
			if (r == 0 && pass == 1)
				r = walk_directory(walk, &entry->digest, depth + 1);
			walk->path.len = base;
			walk->path.data[base] = '\0';
		}
	}
	return r;
}

int cas_walk(struct cas *cas, const struct digest *directory,
	     int (*visit)(void *data, const char *path, const struct cas_entry *entry), void *data)
{
	struct stored_walk walk = { .cas = cas, .visit = visit, .data = data };
	int r = walk_directory(&walk, directory, 0);

	buf_release(&walk.path);
	return r;
}

/* ---- comparing ---- */

struct diff_walk {
	struct cas *cas;
	int (*visit)(void *data, const char *path, const struct cas_entry *before, const struct cas_entry *after);
	void *data;
	struct buf path;
};

static bool same_entry(const struct cas_entry *a, const struct cas_entry *b)
{
	if (a->type != b->type || a->executable != b->executable || a->has_mtime != b->has_mtime)
		return false;
	if (a->has_mtime && (a->mtime.seconds != b->mtime.seconds || a->mtime.nanos != b->mtime.nanos))
		return false;
	return a->type == CAS_SYMLINK ? str_eq(a->target, b->target) : digest_eq(&a->digest, &b->digest);
}

static int diff_directories(struct diff_walk *walk, const struct digest *before, const struct digest *after,
			    unsigned depth);

static int diff_entry(struct diff_walk *walk, const struct cas_entry *before, const struct cas_entry *after,
		      unsigned depth)
{
	bool dir_before = before && before->type == CAS_DIRECTORY, dir_after = after && after->type == CAS_DIRECTORY;
	const struct cas_entry *any = before ? before : after;
	size_t base = walk->path.len;
	int r = 0;

	assert(any);
	if (before && after && same_entry(before, after))
		return 0;
	if (base)
		buf_addc(&walk->path, '/');
	buf_add(&walk->path, any->name, any->name_len);
	if (!(dir_before && dir_after)) /* a directory in both did not change itself, only below */
		r = walk->visit(walk->data, walk->path.data, before, after);
	if (r == 0 && (dir_before || dir_after))
		r = diff_directories(walk, dir_before ? &before->digest : NULL, dir_after ? &after->digest : NULL,
				     depth + 1);
	walk->path.len = base;
	walk->path.data[base] = '\0';
	return r;
}

static int name_order(const struct cas_entry *a, const struct cas_entry *b)
{
	return !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
}

static int diff_directories(struct diff_walk *walk, const struct digest *before, const struct digest *after,
			    unsigned depth)
{
	static const struct cas_directory empty;
	const struct cas_directory *a = &empty, *b = &empty;
	uint32_t i = 0, j = 0;
	int r = depth > CAS_DEPTH_MAX ? -ELOOP : 0;

	if (r == 0 && before)
		r = cas_directory_get(walk->cas, before, &a);
	if (r == 0 && after)
		r = cas_directory_get(walk->cas, after, &b);
	while (r == 0 && (i < a->count || j < b->count)) {
		const struct cas_entry *x = i < a->count ? &a->entries[i] : NULL;
		const struct cas_entry *y = j < b->count ? &b->entries[j] : NULL;
		int order = name_order(x, y);

		r = diff_entry(walk, order <= 0 ? x : NULL, order >= 0 ? y : NULL, depth);
		i += order <= 0;
		j += order >= 0;
	}
	return r;
}

int cas_diff(struct cas *cas, const struct digest *before, const struct digest *after,
	     int (*visit)(void *data, const char *path, const struct cas_entry *before, const struct cas_entry *after),
	     void *data)
{
	struct diff_walk walk = { .cas = cas, .visit = visit, .data = data };
	int r = digest_eq(before, after) ? 0 : diff_directories(&walk, before, after, 0);

	buf_release(&walk.path);
	return r;
}

/* Trees in memory: lazily loaded nodes, the peer's merge, digests.
 *
 * A directory entry holds either a digest (as stored) or a node (loaded, perhaps changed).  A node's digest is valid until
 * something below it changes; changing marks the whole way up, because the peer re-encodes every ancestor too (which
 * drops a directory's own mtime: only files keep theirs).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cas/tree_internal.h"

static struct cas_node *new_node(struct cas_tree *tree)
{
	struct cas_node *node = ARENA_NEW(&tree->arena, struct cas_node);

	node->chain = tree->nodes;
	tree->nodes = node;
	return node;
}

/* A node with the content of a stored directory, all of it put there by stamp. */
static int load_node(struct cas_tree *tree, const struct digest *digest, uint32_t stamp, struct cas_node **ret)
{
	const struct cas_directory *directory;
	struct cas_node *node;
	int r = cas_directory_get(tree->cas, digest, &directory);

	if (r < 0)
		return r;
	node = new_node(tree);
	node->count = directory->count;
	node->cap = directory->count;
	node->read_only = directory->read_only;
	node->digest = *digest;
	node->valid = node->stored = true;
	if (node->count) {
		node->entries = xreallocarray(NULL, node->count, sizeof *node->entries);
		memcpy(node->entries, directory->entries, node->count * sizeof *node->entries);
	}
	for (uint32_t i = 0; i < node->count; i++)
		node->entries[i].stamp = stamp;
	*ret = node;
	return 0;
}

int tree_node(struct cas_tree *tree, struct cas_entry *entry, struct cas_node **ret)
{
	assert(entry->type == CAS_DIRECTORY);
	if (!entry->node) {
		int r = load_node(tree, &entry->digest, entry->stamp, &entry->node);

		if (r < 0)
			return r;
	}
	*ret = entry->node;
	return 0;
}

/* Where name is, or would go. */
static bool position(const struct cas_node *node, const char *name, size_t len, uint32_t *ret)
{
	uint32_t low = 0, high = node->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct cas_entry *entry = &node->entries[middle];
		int order = memcmp(entry->name, name, MIN((size_t)entry->name_len, len));

		if (order == 0)
			order = entry->name_len < len ? -1 : entry->name_len > len;
		if (order == 0) {
			*ret = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret = low;
	return false;
}

struct cas_entry *tree_find(struct cas_node *node, const char *name, size_t len)
{
	uint32_t at;

	return position(node, name, len, &at) ? &node->entries[at] : NULL;
}

static void reserve(struct cas_node *node, uint32_t more)
{
	size_t cap = node->cap;

	node->entries = util_grow(node->entries, &cap, node->count + more, sizeof *node->entries);
	node->cap = (uint32_t)cap;
}

static struct cas_entry *insert(struct cas_node *node, const struct cas_entry *entry)
{
	uint32_t at;
	bool found = position(node, entry->name, entry->name_len, &at);

	assert(!found);
	reserve(node, 1);
	memmove(node->entries + at + 1, node->entries + at, (node->count - at) * sizeof *entry);
	node->entries[at] = *entry;
	node->count++;
	return &node->entries[at];
}

int cas_tree_new(struct cas_tree **ret, struct cas *cas, const struct digest *digest)
{
	struct cas_tree *tree = xcalloc(1, sizeof *tree);
	int r = 0;

	tree->cas = cas;
	if (digest)
		r = load_node(tree, digest, 0, &tree->root);
	else
		tree->root = new_node(tree);
	if (r < 0) {
		cas_tree_free(tree);
		return r;
	}
	*ret = tree;
	return 0;
}

void cas_tree_free(struct cas_tree *tree)
{
	if (!tree)
		return;
	for (struct cas_node *node = tree->nodes; node; node = node->chain)
		free(node->entries);
	arena_release(&tree->arena);
	free(tree);
}

/* ---- paths ---- */

/* The next component of *path; false at the end. */
static bool component(const char **path, const char **name, size_t *len)
{
	const char *at = *path;

	for (;;) {
		while (*at == '/')
			at++;
		*name = at;
		at += *len = strcspn(at, "/");
		*path = at;
		if (*len == 1 && **name == '.')
			continue;
		return *len > 0;
	}
}

/* Before anything is made, so that a bad path leaves nothing behind. */
static int check_path(const char *path)
{
	const char *name;
	size_t len;

	while (component(&path, &name, &len)) {
		if (len == 2 && name[0] == '.' && name[1] == '.')
			return -EINVAL;
		if (len > CAS_NAME_MAX)
			return -ENAMETOOLONG;
	}
	return 0;
}

/* Descends to the directory at path; made with parents if `make`.  With `touch` all nodes on the way are marked as
 * changed.  *last (may be NULL): stop before the last component and return it there. */
static int descend(struct cas_tree *tree, const char *path, bool make, bool touch, struct cas_node **ret,
		   const char **last, size_t *last_len)
{
	struct cas_node *node = tree->root;
	const char *name;
	size_t len;
	int r = check_path(path);

	if (last)
		*last = NULL;
	if (r < 0)
		return r;
	while (component(&path, &name, &len)) {
		const char *rest = path, *next_name;
		size_t next_len;
		struct cas_entry *entry;

		if (touch)
			node->valid = false;
		if (last && !component(&rest, &next_name, &next_len)) {
			*last = name;
			*last_len = len;
			break;
		}
		entry = tree_find(node, name, len);
		if (!entry && !make)
			return -ENOENT;
		if (!entry) {
			struct cas_entry made = { .name = arena_strndup(&tree->arena, name, len), .name_len = (uint32_t)len,
						  .type = CAS_DIRECTORY, .node = new_node(tree) };

			node->valid = false;
			entry = insert(node, &made);
		}
		if (entry->type != CAS_DIRECTORY)
			return -ENOTDIR;
		r = tree_node(tree, entry, &node);
		if (r < 0)
			return r;
	}
	if (touch)
		node->valid = false;
	*ret = node;
	return 0;
}

/* Marks the nodes from the root to the directory at path as changed. */
static void invalidate(struct cas_tree *tree, const char *path)
{
	struct cas_node *node;

	(void)descend(tree, path, false, true, &node, NULL, NULL);
}

int cas_tree_mkdir(struct cas_tree *tree, const char *path)
{
	struct cas_node *node, *check;
	int r = descend(tree, path, false, false, &check, NULL, NULL);

	if (r != -ENOENT)
		return r;
	return descend(tree, path, true, true, &node, NULL, NULL);
}

int cas_tree_put(struct cas_tree *tree, const char *path, const struct cas_entry *entry)
{
	struct cas_node *node;
	struct cas_entry put = *entry, *old;
	const char *name;
	size_t len;
	int r = descend(tree, path, false, true, &node, &name, &len);

	if (r < 0)
		return r;
	if (!name)
		return -EINVAL;
	put.name = arena_strndup(&tree->arena, name, len);
	put.name_len = (uint32_t)len;
	put.node = NULL;
	if (put.type == CAS_SYMLINK)
		put.target = arena_strdup(&tree->arena, entry->target);
	old = tree_find(node, name, len);
	if (old)
		*old = put;
	else
		insert(node, &put);
	return 0;
}

int cas_tree_set(struct cas_tree *tree, const char *path, const struct digest *directory)
{
	struct cas_entry entry = { .type = CAS_DIRECTORY, .digest = *directory };
	struct cas_node *node;
	const char *name;
	size_t len;
	int r = descend(tree, path, true, true, &node, &name, &len);

	if (r < 0)
		return r;
	if (name)
		return cas_tree_put(tree, path, &entry);
	return load_node(tree, directory, 0, &tree->root);
}

int cas_tree_remove(struct cas_tree *tree, const char *path)
{
	struct cas_node *node;
	const char *name;
	size_t len;
	uint32_t at;
	int r = descend(tree, path, false, false, &node, &name, &len);

	if (r < 0)
		return r;
	if (!name)
		return -EINVAL;
	if (!position(node, name, len, &at))
		return -ENOENT;
	(void)descend(tree, path, false, true, &node, &name, &len);
	memmove(node->entries + at, node->entries + at + 1, (node->count - at - 1) * sizeof *node->entries);
	node->count--;
	return 0;
}

int cas_tree_set_read_only(struct cas_tree *tree, const char *path, enum cas_read_only value)
{
	struct cas_node *node;
	int r = descend(tree, path, false, true, &node, NULL, NULL);

	if (r == 0)
		node->read_only = (uint8_t)value;
	return r;
}

/* ---- merging ---- */

struct merging {
	struct cas_tree *tree;
	const struct cas_merge *merge;
	struct diag *diag;
	struct buf path; /* relative to what is merged */
	unsigned depth;
};

/* Additions to one directory; they come sorted within each kind of node and go in together at the end. */
struct additions {
	struct cas_entry *entries;
	size_t count, cap;
};

static void add(struct merging *m, struct additions *additions, const struct cas_entry *from, struct cas_node *node)
{
	struct cas_entry *entry;

	additions->entries = util_grow(additions->entries, &additions->cap, additions->count + 1, sizeof *entry);
	entry = &additions->entries[additions->count++];
	*entry = *from;
	entry->stamp = m->merge->stamp;
	entry->node = node;
}

static void apply(struct cas_node *node, struct additions *additions)
{
	uint32_t left = node->count, end;

	if (additions->count) {
		cas_sort_entries(additions->entries, additions->count);
		reserve(node, (uint32_t)additions->count);
		end = node->count += (uint32_t)additions->count;
		for (size_t i = additions->count; i > 0;) { /* from the back, so that nothing is moved twice */
			if (left && strcmp(node->entries[left - 1].name, additions->entries[i - 1].name) > 0)
				node->entries[--end] = node->entries[--left];
			else
				node->entries[--end] = additions->entries[--i];
		}
	}
	free(additions->entries);
}

static int merge_node(struct merging *m, struct cas_node *into, const struct cas_directory *from);

static bool wanted(struct merging *m, enum cas_type type)
{
	return !m->merge->filter || m->merge->filter(m->merge->data, m->path.data, type);
}

static void tell(struct merging *m, enum cas_event event, uint32_t previous)
{
	if (m->merge->event)
		m->merge->event(m->merge->data, event, m->path.data, previous);
}

static int not_a_directory(struct merging *m, const struct cas_entry *old)
{
	diag_set(m->diag, "directory", "not-a-directory", "Destination is a %s, not a directory: /%s",
		 old->type == CAS_FILE ? "regular file" : "symlink", m->path.data);
	return -ENOTDIR;
}

static int merge_directory(struct merging *m, struct cas_node *into, const struct cas_entry *from,
			   struct additions *additions)
{
	struct cas_entry *old = tree_find(into, from->name, from->name_len);
	const struct cas_directory *directory;
	struct cas_node *node = NULL;
	int r;

	if (!old && !m->merge->filter) {
		into->valid = false;
		add(m, additions, from, NULL);
		return 0;
	}
	if (old && old->type != CAS_DIRECTORY)
		return not_a_directory(m, old);
	r = cas_directory_get(m->tree->cas, &from->digest, &directory);
	if (r < 0)
		return r;
	if (old)
		r = tree_node(m->tree, old, &node);
	else
		node = new_node(m->tree);
	if (r == 0)
		r = merge_node(m, node, directory);
	if (r < 0)
		return r;
	if (!node->valid)
		into->valid = false;
	if (!old && (wanted(m, CAS_DIRECTORY) || node->count > 0))
		add(m, additions, from, node);
	else if (old && m->merge->filter)
		(void)wanted(m, CAS_DIRECTORY); /* the peer asks about every directory; filters may keep count */
	return 0;
}

static int merge_leaf(struct merging *m, struct cas_node *into, const struct cas_entry *from,
		      struct additions *additions)
{
	struct cas_entry *old = tree_find(into, from->name, from->name_len);

	if (!wanted(m, from->type))
		return 0;
	if (!old) {
		into->valid = false;
		add(m, additions, from, NULL);
		return 0;
	}
	if (old->type == CAS_DIRECTORY) {
		struct cas_node *node;
		int r = tree_node(m->tree, old, &node);

		if (r < 0)
			return r;
		if (node->count) {
			tell(m, CAS_IGNORED, old->stamp);
			return 0;
		}
	}
	/* the peer's record of who wrote what has no directories */
	tell(m, CAS_OVERWRITTEN, old->type == CAS_DIRECTORY ? 0 : old->stamp);
	into->valid = false;
	*old = *from;
	old->stamp = m->merge->stamp;
	return 0;
}

/* The peer goes through directories, then files, then symlinks: its order of events. */
static int merge_node(struct merging *m, struct cas_node *into, const struct cas_directory *from)
{
	static const enum cas_type order[] = { CAS_DIRECTORY, CAS_FILE, CAS_SYMLINK };
	struct additions additions = { 0 };
	size_t base = m->path.len;
	int r = 0;

	if (++m->depth > CAS_DEPTH_MAX)
		r = -ELOOP;
	for (unsigned kind = 0; r == 0 && kind < ARRAY_SIZE(order); kind++) {
		for (uint32_t i = 0; r == 0 && i < from->count; i++) {
			const struct cas_entry *entry = &from->entries[i];

			if (entry->type != order[kind])
				continue;
			if (base)
				buf_addc(&m->path, '/');
			buf_add(&m->path, entry->name, entry->name_len);
			if (entry->type == CAS_DIRECTORY)
				r = merge_directory(m, into, entry, &additions);
			else
				r = merge_leaf(m, into, entry, &additions);
			m->path.len = base;
			m->path.data[base] = '\0';
		}
	}
	m->depth--;
	apply(into, &additions);
	return r;
}

int cas_tree_merge(struct cas_tree *tree, const char *path, const struct digest *from, const struct cas_merge *merge,
		   struct diag *diag)
{
	static const struct cas_merge plain;
	struct merging m = { .tree = tree, .merge = merge ? merge : &plain, .diag = diag };
	const struct cas_directory *directory;
	struct cas_node *node;
	int r = descend(tree, path, true, false, &node, NULL, NULL);

	if (r == 0)
		r = cas_directory_get(tree->cas, from, &directory);
	if (r == 0) {
		r = merge_node(&m, node, directory);
		if (!node->valid)
			invalidate(tree, path);
	}
	if (r < 0 && diag && !diag->domain)
		diag_errno(diag, "directory", r == -ENOENT ? "missing-objects" : NULL, -r, "Cannot stage into /%s", path);
	buf_release(&m.path);
	return r;
}

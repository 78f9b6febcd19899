/* Reading trees in memory: digests, look-ups that follow symlinks, walks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cas/tree_internal.h"

enum { LINKS_MAX = 40 };

static int node_digest(struct cas_tree *tree, struct cas_node *node, bool store, struct digest *ret)
{
	struct cas_directory directory = { .entries = node->entries, .count = node->count, .read_only = node->read_only };
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	int r = 0;

	if (node->valid && (node->stored || !store)) {
		*ret = node->digest;
		return 0;
	}
	for (uint32_t i = 0; r == 0 && i < node->count; i++)
		if (node->entries[i].type == CAS_DIRECTORY && node->entries[i].node)
			r = node_digest(tree, node->entries[i].node, store, &node->entries[i].digest);
	if (r < 0)
		return r;
	cas_directory_encode(&directory, &bytes);
	if (store)
		r = cas_put(tree->cas, buf_text(&bytes), bytes.len, &node->digest);
	else
		digest_of(&node->digest, buf_text(&bytes), bytes.len);
	if (r < 0)
		return r;
	node->valid = true;
	node->stored = store;
	*ret = node->digest;
	return 0;
}

/* ---- paths with symlinks: what is still to be resolved stands in a text, where we are on a stack ---- */

struct resolver {
	struct cas_tree *tree;
	struct cas_node **stack; /* heap */
	size_t stack_cap;
	unsigned depth; /* stack[depth] is the current directory */
	unsigned links;
	struct buf rest; /* what is left of the path, from `at` on */
	size_t at;
};

static int follow_link(struct resolver *resolver, const char *target)
{
	struct buf rest = BUF_INIT;

	if (++resolver->links > LINKS_MAX || resolver->rest.len - resolver->at > (1 << 20))
		return -ELOOP;
	if (*target == '/')
		resolver->depth = 0;
	buf_printf(&rest, "%s/%s", target, buf_text(&resolver->rest) + resolver->at);
	buf_release(&resolver->rest);
	resolver->rest = rest;
	resolver->at = 0;
	return 0;
}

/* The next component, in scratch; NULL at the end. */
static const char *next_component(struct resolver *resolver, struct buf *scratch)
{
	const char *text = buf_text(&resolver->rest) + resolver->at;
	size_t len;

	text += strspn(text, "/");
	len = strcspn(text, "/");
	resolver->at = (size_t)(text + len - buf_text(&resolver->rest));
	buf_clear(scratch);
	buf_add(scratch, text, len);
	return len ? scratch->data : NULL;
}

static bool more_components(const struct resolver *resolver)
{
	const char *text = buf_text(&resolver->rest) + resolver->at;

	return text[strspn(text, "/")] != '\0';
}

/* *ret: the entry, NULL for the directory the resolver stands in. */
static int resolve(struct resolver *resolver, bool follow, struct cas_entry **ret)
{
	_cleanup_buf_ struct buf scratch = BUF_INIT;
	const char *name;
	int r = 0;

	*ret = NULL;
	while (r == 0 && (name = next_component(resolver, &scratch))) {
		struct cas_entry *entry;

		if (str_eq(name, "."))
			continue;
		if (str_eq(name, "..")) {
			if (!follow)
				return -EINVAL;
			resolver->depth -= resolver->depth > 0;
			continue;
		}
		entry = tree_find(resolver->stack[resolver->depth], name, scratch.len);
		if (!entry)
			return -ENOENT;
		if (entry->type == CAS_SYMLINK && follow) {
			r = follow_link(resolver, entry->target);
		} else if (entry->type == CAS_DIRECTORY) {
			if (resolver->depth == CAS_DEPTH_MAX)
				return -ELOOP;
			resolver->stack = util_grow(resolver->stack, &resolver->stack_cap, resolver->depth + 2,
						    sizeof *resolver->stack);
			r = tree_node(resolver->tree, entry, &resolver->stack[resolver->depth + 1]);
			resolver->depth++;
		} else if (more_components(resolver)) {
			return -ENOTDIR;
		} else {
			*ret = entry;
		}
	}
	return r;
}

static void resolver_init(struct resolver *resolver, struct cas_tree *tree, const char *path)
{
	resolver->tree = tree;
	resolver->stack = util_grow(NULL, &resolver->stack_cap, 16, sizeof *resolver->stack);
	resolver->stack[0] = tree->root;
	buf_adds(&resolver->rest, path);
}

static void resolver_release(struct resolver *resolver)
{
	free(resolver->stack);
	buf_release(&resolver->rest);
}

int cas_tree_lookup(struct cas_tree *tree, const char *path, bool follow, struct cas_entry *ret)
{
	struct resolver resolver = { 0 };
	struct cas_entry *entry = NULL, directory = { .name = "", .type = CAS_DIRECTORY };
	int r;

	resolver_init(&resolver, tree, path);
	r = resolve(&resolver, follow, &entry);
	if (r == 0 && !entry) {
		r = node_digest(tree, resolver.stack[resolver.depth], true, &directory.digest);
		entry = &directory;
	}
	if (r == 0)
		*ret = *entry;
	resolver_release(&resolver);
	return r;
}

int cas_tree_type(struct cas_tree *tree, const char *path)
{
	struct resolver resolver = { 0 };
	struct cas_entry *entry;
	int r;

	resolver_init(&resolver, tree, path);
	r = resolve(&resolver, false, &entry);
	resolver_release(&resolver);
	return r < 0 ? r : entry ? entry->type : CAS_DIRECTORY;
}

static int find_node(struct cas_tree *tree, const char *path, struct cas_node **ret)
{
	struct resolver resolver = { 0 };
	struct cas_entry *entry;
	int r;

	resolver_init(&resolver, tree, path);
	r = resolve(&resolver, false, &entry);
	if (r == 0 && entry)
		r = -ENOTDIR;
	if (r == 0)
		*ret = resolver.stack[resolver.depth];
	resolver_release(&resolver);
	return r;
}

int cas_tree_digest(struct cas_tree *tree, const char *path, struct digest *ret)
{
	struct cas_node *node;
	int r = find_node(tree, path, &node);

	return r ? r : node_digest(tree, node, true, ret);
}

int cas_tree_hash(struct cas_tree *tree, const char *path, struct digest *ret)
{
	struct cas_node *node;
	int r = find_node(tree, path, &node);

	return r ? r : node_digest(tree, node, false, ret);
}

/* ---- walking ---- */

struct tree_walk {
	struct cas_tree *tree;
	int (*visit)(void *data, const char *path, const struct cas_entry *entry);
	void *data;
	struct buf path;
};

static int walk_below(void *data, const char *path, const struct cas_entry *entry)
{
	struct tree_walk *walk = data;
	size_t base = walk->path.len;
	int r;

	buf_printf(&walk->path, "/%s", path);
	r = walk->visit(walk->data, walk->path.data, entry);
	walk->path.len = base;
	walk->path.data[base] = '\0';
	return r;
}

static int walk_node(struct tree_walk *walk, struct cas_node *node, unsigned depth)
{
	size_t base = walk->path.len;
	int r = depth > CAS_DEPTH_MAX ? -ELOOP : 0;

	for (unsigned pass = 0; r == 0 && pass < 2; pass++) {
		for (uint32_t i = 0; r == 0 && i < node->count; i++) {
			struct cas_entry *entry = &node->entries[i];

			if ((entry->type == CAS_DIRECTORY) != (pass == 1))
				continue;
			if (base)
				buf_addc(&walk->path, '/');
			buf_add(&walk->path, entry->name, entry->name_len);
			r = walk->visit(walk->data, walk->path.data, entry);
			if (r == 0 && entry->node)
				r = walk_node(walk, entry->node, depth + 1);
			else if (r == 0 && pass == 1)
				r = cas_walk(walk->tree->cas, &entry->digest, walk_below, walk);
			walk->path.len = base;
			walk->path.data[base] = '\0';
		}
	}
	return r;
}

int cas_tree_walk(struct cas_tree *tree, const char *path,
		  int (*visit)(void *data, const char *path, const struct cas_entry *entry), void *data)
{
	struct tree_walk walk = { .tree = tree, .visit = visit, .data = data };
	struct digest digest;
	struct cas_node *node;
	int r = find_node(tree, path, &node);

	if (r == 0)
		r = node_digest(tree, node, false, &digest); /* so that visitors see digests of directories */
	if (r == 0)
		r = walk_node(&walk, node, 0);
	buf_release(&walk.path);
	return r;
}

/* Builds of an open workspace start where the last one ended.
 *
 * What is staged is the last build's build directory, with what has changed in the workspace since then applied to it
 * (the peer's CasBasedDirectory._apply_changes).  Only if the last build's artifact is complete and was built from the same
 * dependencies; else the build starts afresh. */
#include "jobs/jobs_internal.h"

#include <errno.h>
#include <string.h>

static bool same_deps(const struct artifact *last, const struct artifact_dep *deps, uint32_t count)
{
	struct arena scratch = ARENA_INIT;
	bool same = last->dep_count == count;

	for (uint32_t i = 0; same && i < count; i++)
		same = str_eq(last->deps[i].project, deps[i].project) && str_eq(last->deps[i].key, deps[i].key) &&
		       str_eq(graph_normal_name(&scratch, last->deps[i].element), graph_normal_name(&scratch, deps[i].element));
	arena_release(&scratch);
	return same;
}

static const struct artifact *find_last(const struct jobs_context *context, uint32_t element)
{
	for (uint32_t i = 0; i < context->last_build_count; i++)
		if (context->last_builds[i].element == element)
			return &context->last_builds[i].artifact;
	return NULL;
}

static bool same_entry(const struct cas_entry *a, const struct cas_entry *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == CAS_SYMLINK)
		return str_eq(a->target, b->target);
	if (!digest_eq(&a->digest, &b->digest))
		return false;
	if (a->type == CAS_DIRECTORY)
		return true;
	return a->executable == b->executable && a->has_mtime == b->has_mtime &&
	       (!a->has_mtime || (a->mtime.seconds == b->mtime.seconds && a->mtime.nanos == b->mtime.nanos));
}

struct change {
	struct cas *cas;
	struct cas_tree *tree;
	struct buf path; /* where we are in tree */
	unsigned depth;
};

static int apply(struct change *change, const struct digest *before, const struct digest *after);

/* One entry of the new sources: 0 or <0. */
static int apply_entry(struct change *change, const struct cas_directory *before, const struct cas_entry *entry)
{
	const struct cas_entry *was = cas_directory_find(before, entry->name, entry->name_len);
	struct cas_entry here;
	int r = cas_tree_lookup(change->tree, buf_text(&change->path), false, &here);

	if (r < 0 && r != -ENOENT)
		return r;
	if ((r >= 0 && same_entry(&here, entry)) || (was && same_entry(was, entry)))
		return 0;
	if (entry->type != CAS_DIRECTORY || r < 0 || here.type != CAS_DIRECTORY) {
		if (r >= 0)
			r = cas_tree_remove(change->tree, buf_text(&change->path));
		if (r < 0 && r != -ENOENT)
			return r;
		return entry->type == CAS_DIRECTORY ? cas_tree_set(change->tree, buf_text(&change->path), &entry->digest) :
						      cas_tree_put(change->tree, buf_text(&change->path), entry);
	}
	return apply(change, was && was->type == CAS_DIRECTORY ? &was->digest : &DIGEST_EMPTY, &entry->digest);
}

static void enter(struct change *change, const struct cas_entry *entry)
{
	if (change->path.len)
		buf_addc(&change->path, '/');
	buf_add(&change->path, entry->name, entry->name_len);
}

static void leave(struct change *change, size_t len)
{
	change->path.len = len;
	if (change->path.data)
		change->path.data[len] = '\0';
}

static int apply_in(struct change *change, const struct cas_directory *before, const struct cas_directory *after)
{
	size_t len = change->path.len;
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < after->count; i++) {
		enter(change, &after->entries[i]);
		r = apply_entry(change, before, &after->entries[i]);
		leave(change, len);
	}
	for (uint32_t i = 0; r >= 0 && i < before->count; i++) {
		if (cas_directory_find(after, before->entries[i].name, before->entries[i].name_len))
			continue;
		enter(change, &before->entries[i]);
		r = cas_tree_remove(change->tree, buf_text(&change->path));
		if (r == -ENOENT) /* the build has removed it */
			r = 0;
		leave(change, len);
	}
	return MIN(r, 0);
}

/* An empty directory need not be in the store. */
static int read_directory(struct change *change, const struct digest *digest, const struct cas_directory **ret)
{
	static const struct cas_directory empty;

	*ret = &empty;
	return digest_eq(digest, &DIGEST_EMPTY) ? 0 : cas_directory_get(change->cas, digest, ret);
}

static int apply(struct change *change, const struct digest *before, const struct digest *after)
{
	const struct cas_directory *a, *b;
	int r;

	if (digest_eq(before, after))
		return 0;
	if (++change->depth > CAS_DEPTH_MAX)
		return -ELOOP;
	r = read_directory(change, before, &a);
	if (r >= 0)
		r = read_directory(change, after, &b);
	if (r >= 0)
		r = apply_in(change, a, b);
	change->depth--;
	return r;
}

int jobs_incremental(const struct jobs_context *context, uint32_t element, const struct artifact_dep *deps,
		     uint32_t dep_count, const struct digest *sources, struct digest *ret)
{
	const struct artifact *last = find_last(context, element);
	struct change change = { .cas = context->cas };
	int r;

	if (!last || !same_deps(last, deps, dep_count))
		return 0;
	r = cas_tree_new(&change.tree, context->cas, &last->buildtree);
	if (r >= 0)
		r = apply(&change, &last->sources, sources);
	if (r >= 0)
		r = cas_tree_digest(change.tree, "", ret);
	cas_tree_free(change.tree);
	buf_release(&change.path);
	/* Something has been expired meanwhile: afresh, then. */
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

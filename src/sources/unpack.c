/* Archives as trees: tar, zip and deb sources.
 *
 * The archive is read once.  Each file's bytes go into the CAS as they come, each member is noted; at the end the base
 * directory is chosen among the names and the members below it are put into a tree in memory.  Nothing is unpacked into
 * the file system, so there is nothing a hostile archive could reach.
 *
 * What is refused (rather than quietly changed): absolute names, names with "..", members or hard links that would go
 * through a symlink to the outside.  Devices, FIFOs and sockets are left out, as the peer does.
 */
#include "sources/unpack.h"

#include <errno.h>
#include <string.h>

#include "base/glob.h"
#include "base/map.h"
#include "base/module.h"
#include "sources/sources_internal.h"
#include "sources/unpack_ahead.h"

enum { PATH_MOST = 4096, LINKS_MAX = 40, CHECK_BYTES = 16 << 20 };

struct noted {
	const char *path, *link;
	enum archive_type type;
	bool executable;
	struct digest digest;
};

struct unpack {
	struct sources_context *ctx;
	const struct archive_rules *rules;
	struct arena arena;
	struct noted *members;
	size_t count, cap;
	struct cas_writer *writer; /* of a large file */
	uint64_t since_check;
	struct strmap linked; /* path -> group of names with one inode */
	bool *groups;         /* executable? */
	size_t group_count, group_cap;
};

static int refuse(struct unpack *unpack, const char *path, const char *why)
{
	diag_set(unpack->ctx->diag, "source", "unsafe-archive", "Refusing archive member '%s': %s", path, why);
	return -EPERM;
}

/* ---- reading ---- */

static int on_member(void *data, const struct archive_member *member)
{
	struct unpack *unpack = data;
	struct noted *noted;

	if (strlen(member->path) > PATH_MOST || (member->link && strlen(member->link) > PATH_MOST))
		return refuse(unpack, "...", "its name is too long");
	unpack->members = util_grow(unpack->members, &unpack->cap, unpack->count + 1, sizeof *unpack->members);
	noted = &unpack->members[unpack->count++];
	*noted = (struct noted){ .path = arena_strdup(&unpack->arena, member->path),
				 .link = member->link ? arena_strdup(&unpack->arena, member->link) : NULL,
				 .type = member->type,
				 .executable = member->mode & 0100 && !unpack->rules->no_executables };
	if (member->type == ARCHIVE_SYMLINK && member->link && unpack->rules->no_symlinks) {
		/* the peer's unpacker writes the target as a file */
		noted->type = ARCHIVE_FILE;
		noted->executable = false;
		return cas_put(unpack->ctx->cas, member->link, strlen(member->link), &noted->digest);
	}
	return 0;
}

/* Has the job been cancelled?  Asked from time to time. */
static int check(struct unpack *unpack, size_t len)
{
	unpack->since_check += len;
	if (unpack->since_check <= CHECK_BYTES)
		return 0;
	unpack->since_check = 0;
	return sources_wait(unpack->ctx, NULL, 0, util_now_us());
}

static int on_whole(void *data, const void *bytes, size_t len, const struct digest *digest)
{
	struct unpack *unpack = data;
	int r = check(unpack, len);

	unpack->members[unpack->count - 1].digest = *digest;
	return r < 0 ? r : cas_put_known(unpack->ctx->cas, bytes, len, digest);
}

static int on_bytes(void *data, const void *bytes, size_t len)
{
	struct unpack *unpack = data;
	int r = check(unpack, len);

	if (r >= 0 && !unpack->writer)
		r = cas_writer_new(&unpack->writer, unpack->ctx->cas);
	return r < 0 ? r : cas_writer_add(unpack->writer, bytes, len);
}

static int on_end(void *data)
{
	struct unpack *unpack = data;

	return cas_writer_end(steal_pointer(&unpack->writer), NULL, &unpack->members[unpack->count - 1].digest);
}

/* ---- choosing the base directory ---- */

struct choice {
	struct unpack *unpack;
	struct glob_set *pattern;
	struct strmap names; /* of members, as the archive's reader would find them */
	const char *best;
};

static void candidate(struct choice *choice, const char *path, size_t len)
{
	/* the peer matches "/<pattern>" against "/<path>" */
	const char *rooted = arena_printf(&choice->unpack->arena, "%s%.*s", *path == '/' && len ? "" : "/", (int)len, path);
	const char *name = arena_strndup(&choice->unpack->arena, path, len);

	if (glob_match(choice->pattern, rooted) && (!choice->best || strcmp(name, choice->best) < 0))
		choice->best = name;
}

/* Directories that have no member of their own but are implied by a file's path. */
static void implied(struct choice *choice, struct strmap *visited, const char *path)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path);

		if (strmap_get(visited, path, len) != STRMAP_NONE)
			continue;
		strmap_put(visited, path, len, 1);
		if (strmap_get(&choice->names, path, len) == STRMAP_NONE && !(len == 1 && *path == '.'))
			candidate(choice, path, len);
	}
}

/* A name as Python's tarfile keeps it: no slash at the end. */
static size_t bare_len(const char *path)
{
	size_t len = strlen(path);

	while (len > 0 && path[len - 1] == '/')
		len--;
	return len;
}

static void consider_members(struct choice *choice, struct strmap *visited)
{
	bool zip = choice->unpack->rules->format == ARCHIVE_ZIP;

	for (size_t i = 0; i < choice->unpack->count; i++) {
		const struct noted *noted = &choice->unpack->members[i];
		/* the peer takes all leading dots and slashes away, those of ".hidden" too */
		const char *path = zip ? noted->path : noted->path + strspn(noted->path, "./");

		if (noted->type != ARCHIVE_DIRECTORY)
			implied(choice, visited, path);
		else if (zip)
			candidate(choice, path, strlen(path));
		else
			candidate(choice, path, bare_len(path));
	}
}

static int choose_base(struct unpack *unpack, const char *pattern, const char **ret)
{
	struct choice choice = { .unpack = unpack, .pattern = glob_new() };
	struct strmap visited = STRMAP_INIT;
	_cleanup_buf_ struct buf rooted = BUF_INIT;
	int r = 0;

	buf_printf(&rooted, "%s%s", *pattern == '/' ? "" : "/", pattern);
	for (size_t i = 0; i < unpack->count; i++) {
		const char *path = unpack->members[i].path;

		strmap_put(&choice.names, path,
			   unpack->rules->format == ARCHIVE_ZIP ? strlen(path) : bare_len(path), 1);
	}
	if (glob_add(choice.pattern, rooted.data) == 0)
		consider_members(&choice, &visited);
	if (choice.best) {
		*ret = choice.best;
	} else {
		diag_set(unpack->ctx->diag, "source", NULL, "Could not find base directory matching pattern: %s", pattern);
		r = -ENOENT;
	}
	strmap_release(&choice.names);
	strmap_release(&visited);
	glob_free(choice.pattern);
	return r;
}

/* ---- building the tree ---- */

/* "a//b/./c/" -> "a/b/c".  -EPERM for absolute names and "..". */
static int clean_path(struct unpack *unpack, const char *path, struct buf *ret)
{
	buf_clear(ret);
	if (*path == '/')
		return refuse(unpack, path, "its name is absolute");
	for (const char *at = path; *at;) {
		size_t len;

		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (len == 2 && at[0] == '.' && at[1] == '.')
			return refuse(unpack, path, "its name contains '..'");
		if (len > CAS_NAME_MAX)
			return refuse(unpack, path, "its name is too long");
		if (len && !(len == 1 && *at == '.')) {
			if (ret->len)
				buf_addc(ret, '/');
			buf_add(ret, at, len);
		}
		at += len;
	}
	return 0;
}

/* Where a symlink at `at` (a clean path) leads, lexically: clean again, or refused if that is outside. */
static int link_target(struct unpack *unpack, const char *at, const char *target, const char *rest, struct buf *ret)
{
	const char *slash = strrchr(at, '/');
	_cleanup_buf_ struct buf joined = BUF_INIT;

	if (*target == '/')
		return refuse(unpack, at, "it goes through a symbolic link that leads outside");
	buf_printf(&joined, "%.*s%s%s", slash ? (int)(slash - at + 1) : 0, at, target, rest);
	buf_clear(ret);
	for (const char *part = joined.data; *part;) {
		size_t len;

		part += strspn(part, "/");
		len = strcspn(part, "/");
		if (len == 2 && part[0] == '.' && part[1] == '.') {
			char *up;

			if (!ret->len)
				return refuse(unpack, at, "it goes through a symbolic link that leads outside");
			up = strrchr(ret->data, '/');
			ret->len = up ? (size_t)(up - ret->data) : 0;
			ret->data[ret->len] = '\0';
		} else if (len && !(len == 1 && *part == '.')) {
			if (ret->len)
				buf_addc(ret, '/');
			buf_add(ret, part, len);
		}
		part += len;
	}
	return 0;
}

/* Resolves symlinks among the directories of path; their last component is left alone. */
static int resolve_parents(struct unpack *unpack, struct cas_tree *tree, struct buf *path)
{
	_cleanup_buf_ struct buf next = BUF_INIT;
	unsigned links = 0;
	size_t from = 0;
	char *slash;

	while (path->len && (slash = strchr(path->data + from, '/'))) {
		struct cas_entry entry;
		int r;

		*slash = '\0';
		r = cas_tree_type(tree, path->data);
		if (r == CAS_SYMLINK) {
			_cleanup_free_ char *at = xstrdup(path->data);

			*slash = '/';
			r = cas_tree_lookup(tree, at, false, &entry);
			if (r == 0 && ++links > LINKS_MAX)
				r = refuse(unpack, at, "too many symbolic links on its way");
			if (r == 0)
				r = link_target(unpack, at, entry.target, slash, &next);
			if (r < 0)
				return r;
			buf_clear(path);
			buf_adds(path, buf_text(&next));
			from = 0;
			continue;
		}
		*slash = '/';
		if (r == -ENOENT)
			return 0; /* the rest will be made */
		from = (size_t)(slash - path->data) + 1;
	}
	return 0;
}

static int put_member(struct unpack *unpack, struct cas_tree *tree, const struct noted *noted, const char *path,
		      const struct cas_entry *entry)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = xstrndup(path, slash ? (size_t)(slash - path) : 0);
	int r = cas_tree_mkdir(tree, parent);

	if (r == 0 && cas_tree_type(tree, path) == CAS_DIRECTORY) {
		if (entry->type == CAS_SYMLINK)
			return 0; /* the peer cannot make it either, and does not mind */
		r = -EISDIR;
	}
	if (r == 0)
		r = cas_tree_put(tree, path, entry);
	if (r < 0)
		diag_errno(unpack->ctx->diag, "source", NULL, -r, "Error staging source: cannot unpack '%s'", noted->path);
	return r;
}

static int put_directory(struct unpack *unpack, struct cas_tree *tree, const struct noted *noted, const char *path)
{
	int r;

	if (cas_tree_type(tree, path) == CAS_SYMLINK)
		return 0; /* to a directory, it is to be hoped; what goes through it is checked then */
	r = cas_tree_mkdir(tree, path);
	if (r < 0)
		diag_errno(unpack->ctx->diag, "source", NULL, -r, "Error staging source: cannot unpack '%s'", noted->path);
	return r;
}

/* Names of one inode share its mode, and the peer sets that of each member as it comes: the last one counts for all. */
static void join_inodes(struct unpack *unpack, const char *target, const char *path, bool executable)
{
	const char *names[] = { arena_strdup(&unpack->arena, target), arena_strdup(&unpack->arena, path) };
	uint32_t group = strmap_get(&unpack->linked, target, strlen(target));

	if (group == STRMAP_NONE) {
		group = (uint32_t)unpack->group_count++;
		unpack->groups = util_grow(unpack->groups, &unpack->group_cap, unpack->group_count, sizeof *unpack->groups);
	}
	unpack->groups[group] = executable;
	for (unsigned i = 0; i < 2; i++)
		strmap_put(&unpack->linked, names[i], strlen(names[i]), group);
}

static int set_linked_modes(struct unpack *unpack, struct cas_tree *tree)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < unpack->linked.cap; i++) {
		const struct strmap_slot *slot = &unpack->linked.slots[i];
		struct cas_entry entry;

		if (!slot->key || slot->value == STRMAP_NONE || cas_tree_type(tree, slot->key) != CAS_FILE)
			continue;
		r = cas_tree_lookup(tree, slot->key, false, &entry);
		entry.executable = unpack->groups[slot->value] && !unpack->rules->no_executables;
		if (r == 0)
			r = cas_tree_put(tree, slot->key, &entry);
	}
	return r;
}

/* The file that a hard link means although it was not unpacked (it is not below the base directory): the last of that name
 * before it. */
static const struct noted *find_noted(const struct unpack *unpack, const struct noted *before, const char *path)
{
	for (const struct noted *noted = before; noted > unpack->members;) {
		noted--;
		if (noted->type == ARCHIVE_FILE &&
		    str_eq(str_starts(noted->path, "./") ? noted->path + 2 : noted->path, path))
			return noted;
	}
	return NULL;
}

static int put_hardlink(struct unpack *unpack, struct cas_tree *tree, const struct noted *noted, const char *link,
			const char *path)
{
	_cleanup_buf_ struct buf target = BUF_INIT;
	const struct noted *original;
	struct cas_entry entry;
	int r = clean_path(unpack, link, &target);

	if (r == 0)
		r = resolve_parents(unpack, tree, &target);
	if (r < 0)
		return r;
	if (target.len && cas_tree_type(tree, target.data) >= 0) {
		r = cas_tree_lookup(tree, target.data, false, &entry);
		if (r == 0 && entry.type == CAS_FILE)
			join_inodes(unpack, target.data, path, noted->executable);
	} else {
		original = find_noted(unpack, noted, link);
		r = original ? 0 : -ENOENT;
		if (original)
			entry = (struct cas_entry){ .type = CAS_FILE, .executable = original->executable,
						    .digest = original->digest };
	}
	if (r < 0 || entry.type == CAS_DIRECTORY) {
		diag_set(unpack->ctx->diag, "source", NULL,
			 "Error staging source: unable to resolve link '%s' -> '%s' inside archive", noted->path, link);
		return -EBADMSG;
	}
	return put_member(unpack, tree, noted, path, &entry);
}

/* link is the target of a hard link without its base directory. */
static int add_member(struct unpack *unpack, struct cas_tree *tree, const struct noted *noted, const char *name,
		      const char *link)
{
	_cleanup_buf_ struct buf path = BUF_INIT;
	struct cas_entry entry = { .type = CAS_FILE, .executable = noted->executable, .digest = noted->digest };
	int r = clean_path(unpack, name, &path);

	if (r == 0)
		r = resolve_parents(unpack, tree, &path);
	if (r < 0 || !path.len)
		return r;
	if (noted->type == ARCHIVE_DIRECTORY)
		return put_directory(unpack, tree, noted, path.data);
	if (noted->type == ARCHIVE_HARDLINK)
		return put_hardlink(unpack, tree, noted, link, path.data);
	if (noted->type == ARCHIVE_SYMLINK) {
		if (strlen(noted->link) > CAS_TARGET_MAX)
			return refuse(unpack, noted->path, "its target is too long");
		entry = (struct cas_entry){ .type = CAS_SYMLINK, .target = noted->link };
	}
	return put_member(unpack, tree, noted, path.data, &entry);
}

static bool without_top(const char **name)
{
	const char *slash = strchr(*name, '/');

	if (slash)
		*name = slash + 1;
	return slash != NULL;
}

static bool is_kept(const struct archive_rules *rules, const char *path)
{
	_cleanup_free_ char *name = NULL;

	if (!rules->keep)
		return true;
	name = xstrndup(path, bare_len(path));
	return rules->keep(rules->keep_data, name);
}

static bool is_excluded(const struct archive_rules *rules, const char *name)
{
	_cleanup_buf_ struct buf rooted = BUF_INIT; /* the peer matches "/<pattern>" against "/<name>" */

	if (!rules->exclude)
		return false;
	buf_printf(&rooted, "/%.*s", (int)bare_len(name), name);
	return glob_match(rules->exclude, buf_text(&rooted));
}

/* Is it meant to be unpacked?  Then name and link are what is left below the base directory. */
static bool below_base(const struct archive_rules *rules, const struct noted *noted, const char *base, const char **name,
		       const char **link)
{
	size_t len = strlen(base);

	*name = noted->path;
	*link = noted->link;
	if (noted->type == ARCHIVE_DEVICE || !is_kept(rules, noted->path))
		return false;
	if (rules->strip_top)
		return without_top(name) && (noted->type != ARCHIVE_HARDLINK || without_top(link)) &&
		       !is_excluded(rules, *name);
	if (!len)
		return true;
	if (rules->format != ARCHIVE_ZIP && str_starts(*name, "./"))
		*name += 2;
	if (!str_starts(*name, base))
		return false;
	*name += len;
	if (noted->type == ARCHIVE_HARDLINK) {
		if (str_starts(*link, "./"))
			*link += 2;
		if (str_starts(*link, base))
			*link += len;
	}
	return true;
}

static int build_tree(struct unpack *unpack, const char *base_pattern, struct digest *ret)
{
	const char *base = "";
	struct cas_tree *tree;
	int r = 0;

	if (base_pattern && *base_pattern)
		r = choose_base(unpack, base_pattern, &base);
	if (r < 0)
		return r;
	if (*base && !str_ends(base, "/"))
		base = arena_printf(&unpack->arena, "%s/", base);
	r = cas_tree_new(&tree, unpack->ctx->cas, NULL);
	for (size_t i = 0; r == 0 && i < unpack->count; i++) {
		const char *name, *link;

		if (*unpack->members[i].path == '/' && unpack->members[i].type != ARCHIVE_DEVICE)
			r = refuse(unpack, unpack->members[i].path, "its name is absolute");
		else if (below_base(unpack->rules, &unpack->members[i], base, &name, &link))
			r = add_member(unpack, tree, &unpack->members[i], name, link);
	}
	if (r == 0)
		r = set_linked_modes(unpack, tree);
	if (r == 0)
		r = cas_tree_digest(tree, "", ret);
	cas_tree_free(tree);
	return r;
}

int sources_archive_tree(struct sources_context *ctx, int fd, const struct archive_rules *rules, const char *base_dir,
			 struct digest *ret)
{
	struct unpack unpack = { .ctx = ctx, .rules = rules };
	const struct archive_ahead_sink sink = { .data = &unpack, .member = on_member, .whole = on_whole, .bytes = on_bytes,
						 .end = on_end };
	const struct archive_module *module = module_open("archive", ARCHIVE_MODULE_SYMBOL, ctx->diag);
	_cleanup_buf_ struct buf error = BUF_INIT;
	int r;

	if (!module)
		return -ELIBACC;
	r = archive_read_ahead(module, fd, rules->format, &sink, &error);
	if (r == -EBADMSG && error.len)
		diag_set(ctx->diag, "source", NULL, "Error staging source: %s", error.data);
	if (r >= 0)
		r = build_tree(&unpack, base_dir, ret);
	if (r < 0 && r != -ECANCELED && ctx->diag && !ctx->diag->domain)
		diag_errno(ctx->diag, "source", NULL, -r, "Error staging source");
	cas_writer_free(unpack.writer);
	util_free_p(&unpack.members);
	util_free_p(&unpack.groups);
	strmap_release(&unpack.linked);
	arena_release(&unpack.arena);
	return r;
}

struct naming {
	int (*visit)(void *data, const char *name);
	void *data;
};

static int name_member(void *data, const struct archive_member *member)
{
	struct naming *naming = data;
	_cleanup_free_ char *name = xstrndup(member->path, bare_len(member->path));

	return naming->visit(naming->data, name);
}

int sources_archive_names(struct sources_context *ctx, int fd, enum archive_format format,
			  int (*visit)(void *data, const char *name), void *data)
{
	struct naming naming = { visit, data };
	struct archive_sink sink = { .data = &naming, .member = name_member };
	const struct archive_module *module = module_open("archive", ARCHIVE_MODULE_SYMBOL, ctx->diag);
	_cleanup_buf_ struct buf error = BUF_INIT;
	int r = module ? module->read(fd, format, &sink, &error) : -ELIBACC;

	if (r == -EBADMSG && error.len)
		diag_set(ctx->diag, "source", NULL, "Error staging source: %s", error.data);
	return r;
}

static int download_tree(struct sources_context *ctx, const struct graph_source *source,
			 const struct archive_rules *rules, struct digest *ret)
{
	const struct kinds_tar *config = source->config;
	_cleanup_close_ int fd = sources_download_open(ctx, source);

	return fd < 0 ? fd : sources_archive_tree(ctx, fd, rules, config->base_dir, ret);
}

static int tar_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		    struct digest *ret)
{
	static const struct archive_rules rules = { .format = ARCHIVE_TAR };

	return download_tree(ctx, source, &rules, ret);
}

/* The peer's zip plugin gives every file mode 0644. */
static int zip_tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		    struct digest *ret)
{
	static const struct archive_rules rules = { .format = ARCHIVE_ZIP, .no_executables = true, .no_symlinks = true };

	return download_tree(ctx, source, &rules, ret);
}

const struct sources_ops sources_tar = {
	.kind = "tar",
	.have = sources_download_have,
	.fetch = sources_download_fetch,
	.tree = tar_tree,
	.track = sources_download_track,
};

const struct sources_ops sources_zip = {
	.kind = "zip",
	.have = sources_download_have,
	.fetch = sources_download_fetch,
	.tree = zip_tree,
	.track = sources_download_track,
};

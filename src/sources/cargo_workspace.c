/* Workspaces of crates: see cargo_git.h, and https://doc.rust-lang.org/cargo/reference/workspaces.html.
 *
 * The peer's rules: the members are those that the root's Cargo.toml lists (with globs), the root's own package, and what any of
 * them depends on by path.  Of names that occur twice the member listed last counts.  What a member inherits (its
 * package's values, dependencies, lints) is put in the place of "workspace = true".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/glob.h"
#include "sources/cargo_git.h"
#include "sources/toml.h"

enum { CRATES_MAX = 10000, MANIFEST_MAX_BYTES = 4 << 20 };

struct member {
	struct toml_text name;
	struct toml *manifest;
	const char *path;
};

struct workspace {
	struct sources_context *ctx;
	struct arena arena;
	struct cas_tree *tree; /* the repository */
	struct toml *inherited; /* the root's [workspace] */
	struct member *members;
	size_t count, cap;
};

/* ---- finding manifests ---- */

/* path as seen from directory, both below the root and "" for it; NULL if it is outside. */
static const char *join(struct workspace *workspace, const char *directory, const char *path)
{
	_cleanup_buf_ struct buf normal = BUF_INIT;

	if (*path == '/')
		return NULL;
	fs_normpath(&normal, arena_printf(&workspace->arena, "%s/%s", *directory ? directory : ".", path));
	if (str_eq(normal.data, ".."))
		return NULL;
	return str_starts(normal.data, "../") ? NULL :
	       str_eq(normal.data, ".")	      ? "" :
						arena_strdup(&workspace->arena, normal.data);
}

static const char *manifest_path(struct workspace *workspace, const char *directory)
{
	return *directory ? arena_printf(&workspace->arena, "%s/Cargo.toml", directory) : "Cargo.toml";
}

/* 1 and the manifest of directory, 0 if it has none, <0. */
static int read_manifest(struct workspace *workspace, const char *directory, struct toml **ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT, why = BUF_INIT;
	const char *path = manifest_path(workspace, directory);
	struct sources_context *ctx = workspace->ctx;
	struct cas_entry entry = { 0 };
	int r = cas_tree_lookup(workspace->tree, path, true, &entry);

	if (r < 0 || entry.type != CAS_FILE)
		return 0;
	if (entry.digest.size_bytes > MANIFEST_MAX_BYTES)
		return diag_set(ctx->diag, "source", NULL, "%s is too large", path);
	r = cas_get(ctx->cas, &entry.digest, &text);
	if (r < 0)
		return diag_errno(ctx->diag, "source", NULL, -r, "Cannot read %s", path);
	r = toml_read(&workspace->arena, buf_text(&text), text.len, ret, &why);
	if (r < 0)
		diag_set(ctx->diag, "source", NULL, "Malformed Cargo.toml file at: %s: %s", path, buf_text(&why));
	return r < 0 ? r : 1;
}

/* ---- what is inherited ---- */

static bool inherits(const struct toml *value)
{
	return toml_get(value, "workspace") != NULL;
}

static int missing(struct workspace *workspace, const char *what, const struct toml_text *name)
{
	return diag_set(workspace->ctx->diag, "source", NULL,
			"Failed to inherit %s%s' in crate's Cargo.toml. Value missing from workspace's Cargo.toml.", what,
			name->at);
}

static void append_all(struct arena *arena, struct toml *to, const struct toml *from)
{
	for (size_t i = 0; from && i < from->count; i++)
		toml_append(arena, to, from->items[i]);
}

/* What the workspace says of a dependency goes over what the crate says; but features of both count. */
static void inherit_dependency(struct workspace *workspace, struct toml *details, const struct toml *shared)
{
	struct arena *arena = &workspace->arena;
	struct toml *features = toml_new(arena, TOML_ARRAY);
	const struct toml_text features_key = { "features", strlen("features") };

	toml_remove(details, "workspace");
	append_all(arena, features, toml_get_type(shared, "features", TOML_ARRAY));
	append_all(arena, features, toml_get_type(details, "features", TOML_ARRAY));
	for (size_t i = 0; i < shared->count; i++)
		toml_put(arena, details, shared->entries[i].key, shared->entries[i].value);
	if (features->count)
		toml_put(arena, details, features_key, features);
}

static int inherit_dependencies(struct workspace *workspace, const struct toml *list, const struct toml *shared)
{
	static const struct toml_text version = { "version", sizeof "version" - 1 };

	for (size_t i = 0; list && i < list->count; i++) {
		struct toml *details = list->entries[i].value, *found;

		if (!inherits(details))
			continue;
		found = toml_get_text(shared, &list->entries[i].key);
		if (!found)
			return missing(workspace, "dependency information for '", &list->entries[i].key);
		if (found->type == TOML_TABLE) {
			inherit_dependency(workspace, details, found);
		} else {
			toml_remove(details, "workspace");
			toml_put(&workspace->arena, details, version, found);
		}
	}
	return 0;
}

static int inherit_package(struct workspace *workspace, const struct toml *package)
{
	const struct toml *shared = toml_get_type(workspace->inherited, "package", TOML_TABLE);

	for (size_t i = 0; package && i < package->count; i++) {
		struct toml_entry *entry = &package->entries[i];

		if (!inherits(entry->value))
			continue;
		entry->value = toml_get_text(shared, &entry->key);
		if (!entry->value)
			return missing(workspace, "'package.", &entry->key);
	}
	return 0;
}

static int inherit(struct workspace *workspace, struct toml *manifest)
{
	static const char *const lists[] = { "dependencies", "dev-dependencies", "build-dependencies" };
	static const struct toml_text lints_key = { "lints", sizeof "lints" - 1 };
	const struct toml *shared = toml_get_type(workspace->inherited, "dependencies", TOML_TABLE);
	const struct toml *targets = toml_get_type(manifest, "target", TOML_TABLE);
	struct toml *lints = toml_get(workspace->inherited, "lints");
	int r = 0;

	for (size_t i = 0; shared && r == 0 && i < ARRAY_SIZE(lists); i++)
		r = inherit_dependencies(workspace, toml_get_type(manifest, lists[i], TOML_TABLE), shared);
	for (size_t i = 0; shared && targets && r == 0 && i < targets->count; i++)
		r = inherit_dependencies(workspace, toml_get_type(targets->entries[i].value, "dependencies", TOML_TABLE),
					 shared);
	if (r == 0)
		r = inherit_package(workspace, toml_get_type(manifest, "package", TOML_TABLE));
	if (r == 0 && toml_is_true(toml_get(toml_get(manifest, "lints"), "workspace")) && toml_is_true(lints))
		toml_put(&workspace->arena, manifest, lints_key, lints);
	return r;
}

/* ---- members ---- */

static struct member *find_member(const struct workspace *workspace, const struct toml_text *name)
{
	for (size_t i = 0; i < workspace->count; i++)
		if (workspace->members[i].name.len == name->len &&
		    memcmp(workspace->members[i].name.at, name->at, name->len) == 0)
			return &workspace->members[i];
	return NULL;
}

static int put_member(struct workspace *workspace, const struct member *member)
{
	struct member *there = find_member(workspace, &member->name);

	if (there) {
		*there = *member;
		return 0;
	}
	if (workspace->count == CRATES_MAX)
		return diag_set(workspace->ctx->diag, "source", NULL, "The workspace has too many crates");
	workspace->members = util_grow(workspace->members, &workspace->cap, workspace->count + 1, sizeof *workspace->members);
	workspace->members[workspace->count++] = *member;
	return 0;
}

static const struct toml *package_name(const struct toml *manifest)
{
	return toml_get_type(toml_get(manifest, "package"), "name", TOML_STRING);
}

static int add_by_path(struct workspace *workspace, const char *directory, const struct toml *manifest);

/* A dependency that names a path: a member too, unless there is one of that name. */
static int add_implied(struct workspace *workspace, const char *directory, const struct toml *path)
{
	struct member member = { .path = join(workspace, directory, path->text.at) };
	const struct toml *name;
	int r = path->text.len && member.path ? read_manifest(workspace, member.path, &member.manifest) : 0;

	if (r <= 0)
		return r;
	r = inherit(workspace, member.manifest);
	name = package_name(member.manifest);
	if (r < 0 || !name || find_member(workspace, &name->text))
		return r;
	member.name = name->text;
	r = put_member(workspace, &member);
	return r < 0 ? r : add_by_path(workspace, member.path, member.manifest);
}

static int add_by_path(struct workspace *workspace, const char *directory, const struct toml *manifest)
{
	const struct toml *list = toml_get_type(manifest, "dependencies", TOML_TABLE);
	int r = 0;

	for (size_t i = 0; list && r == 0 && i < list->count; i++) {
		const struct toml *path = toml_get_type(list->entries[i].value, "path", TOML_STRING);

		if (path)
			r = add_implied(workspace, directory, path);
	}
	return r;
}

static int add_listed(struct workspace *workspace, const char *directory)
{
	struct member member = { .path = directory };
	const struct toml *name;
	int r = read_manifest(workspace, directory, &member.manifest);

	if (r <= 0)
		return r;
	name = package_name(member.manifest);
	if (!name)
		return diag_set(workspace->ctx->diag, "source", NULL, "%s has no package with a name",
				manifest_path(workspace, directory));
	member.name = name->text;
	r = put_member(workspace, &member);
	return r < 0 ? r : add_by_path(workspace, directory, member.manifest);
}

static int expand(struct workspace *workspace, const char *directory, const char *pattern);

/* The directories below directory whose names match, sorted; rest is the pattern below them. */
static int expand_glob(struct workspace *workspace, const char *directory, const char *glob, const char *rest)
{
	struct glob_set *set = glob_new();
	const struct cas_directory *listing;
	struct cas_entry entry = { 0 };
	int r = glob_add(set, glob) < 0 ? 0 : cas_tree_lookup(workspace->tree, directory, true, &entry);

	if (r < 0 || entry.type != CAS_DIRECTORY || cas_directory_get(workspace->ctx->cas, &entry.digest, &listing) < 0)
		listing = NULL;
	r = 0;
	for (uint32_t i = 0; listing && r == 0 && i < listing->count; i++) {
		const char *name = listing->entries[i].name;

		if (listing->entries[i].type != CAS_FILE && (*name != '.' || *glob == '.') && glob_match(set, name))
			r = expand(workspace, join(workspace, directory, name), rest);
	}
	glob_free(set);
	return r;
}

/* Adds the members that a pattern of [workspace] names; what does not exist is none. */
static int expand(struct workspace *workspace, const char *directory, const char *pattern)
{
	size_t len = strcspn(pattern, "/");
	const char *part = arena_strndup(&workspace->arena, pattern, len), *rest = pattern + len + (pattern[len] == '/');

	if (!*pattern)
		return add_listed(workspace, directory);
	if (strpbrk(part, "*?["))
		return expand_glob(workspace, directory, part, rest);
	directory = join(workspace, directory, len ? part : ".");
	return directory ? expand(workspace, directory, rest) : 0;
}

static int find_members(struct workspace *workspace, bool has_root)
{
	const struct toml *list = toml_get_type(workspace->inherited, "members", TOML_ARRAY);
	int r = 0;

	for (size_t i = 0; list && r == 0 && i < list->count; i++)
		if (list->items[i]->type == TOML_STRING && *list->items[i]->text.at != '/')
			r = expand(workspace, "", list->items[i]->text.at);
	return r == 0 && has_root ? add_listed(workspace, "") : r;
}

/* ---- the crate ---- */

static int write_manifest(struct workspace *workspace, const struct member *member)
{
	const char *path = manifest_path(workspace, member->path);
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct cas_entry entry = { 0 };
	int r = cas_tree_lookup(workspace->tree, path, true, &entry);

	toml_write(member->manifest, &text);
	if (r == 0)
		r = cas_put(workspace->ctx->cas, buf_text(&text), text.len, &entry.digest);
	if (r == 0)
		r = cas_tree_put(workspace->tree, path, &entry);
	return r < 0 ? diag_errno(workspace->ctx->diag, "source", NULL, -r, "Cannot write %s", path) : 0;
}

static int pick_member(struct workspace *workspace, const char *name, bool has_root, struct digest *ret)
{
	const struct toml_text wanted = { name, strlen(name) };
	const struct member *member;
	int r = find_members(workspace, has_root);

	if (r < 0)
		return r;
	member = find_member(workspace, &wanted);
	if (!member)
		return diag_set(workspace->ctx->diag, "source", NULL,
				"Crate '%s' neither found in root nor workspace manifests.", name);
	r = inherit(workspace, member->manifest);
	if (r == 0)
		r = write_manifest(workspace, member);
	return r < 0 ? r : cas_tree_digest(workspace->tree, member->path, ret);
}

int cargo_pick_crate(struct sources_context *ctx, const struct digest *repository, const char *name, struct digest *ret)
{
	struct workspace workspace = { .ctx = ctx };
	struct toml *root = NULL;
	bool has_root;
	int r = cas_tree_new(&workspace.tree, ctx->cas, repository);

	if (r < 0)
		return diag_errno(ctx->diag, "source", NULL, -r, "Cannot read the repository of crate '%s'", name);
	r = read_manifest(&workspace, "", &root);
	if (r == 0)
		r = diag_set(ctx->diag, "source", NULL, "The repository of crate '%s' has no Cargo.toml", name);
	has_root = toml_is(package_name(root), name);
	workspace.inherited = toml_get(root, "workspace");
	if (r > 0 && workspace.inherited)
		r = pick_member(&workspace, name, has_root, ret);
	else if (r > 0 && has_root)
		*ret = *repository;
	else if (r > 0)
		r = diag_set(ctx->diag, "source", NULL, "Crate '%s' not found in root manifest. No workspaces found.", name);
	cas_tree_free(workspace.tree);
	free(workspace.members);
	arena_release(&workspace.arena);
	return MIN(r, 0);
}

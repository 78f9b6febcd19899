/* git: a mirror for the repository and one for each submodule, however deep; staged without .git, unless tags ask for one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/map.h"
#include "sources/git_mirror.h"

enum { DEPTH_MAX = 32 };

struct walk {
	struct sources_context *ctx;
	const struct kinds_git *git;
	struct arena arena;
	/* 0 to go on, else the walk ends with it. */
	int (*visit)(struct walk *walk, const struct git_mirror *mirror);
	struct cas_tree *tree;
	const char *directory; /* of a workspace */
	struct discovery *discovery; /* set: all submodules as the repositories name them are noted there */
};

/* What the repositories have, against what the configuration says: see validate. */
struct discovery {
	bool *found; /* by number of the configured submodule */
	struct buf unlisted;
};

static bool is_ignored(const struct kinds_git *git, const char *path)
{
	for (uint32_t i = 0; i < git->submodule_count; i++)
		if (str_eq(git->submodules[i].path, path) && git->submodules[i].has_checkout)
			return !git->submodules[i].checkout;
	return !git->checkout_submodules;
}

static const char *override_url(const struct kinds_git *git, const char *path)
{
	for (uint32_t i = 0; i < git->submodule_count; i++)
		if (str_eq(git->submodules[i].path, path) && git->submodules[i].url && *git->submodules[i].url)
			return git->submodules[i].url;
	return NULL;
}

/* The number of the submodule in the configuration, or submodule_count. */
static uint32_t find_listed(const struct kinds_git *git, const char *path)
{
	uint32_t i = 0;

	while (i < git->submodule_count && !str_eq(git->submodules[i].path, path))
		i++;
	return i;
}

static void add_submodule(struct buf *out, const char *url, const char *path)
{
	buf_printf(out, "%s  Submodule URL '%s' at path '%s'", out->len ? "\n" : "", url ? url : "None", path);
}

static void discover(struct walk *walk, const struct git_mirror *mirror)
{
	uint32_t listed = find_listed(walk->git, mirror->path);

	if (listed < walk->git->submodule_count)
		walk->discovery->found[listed] = true;
	else if (!is_ignored(walk->git, mirror->path))
		add_submodule(&walk->discovery->unlisted, mirror->url, mirror->path);
}

static int walk_mirror(struct walk *walk, const struct git_mirror *mirror, unsigned depth);

/* The mirror directory is named by the URL in .gitmodules, although another may be fetched from. */
static int walk_submodule(struct walk *walk, const struct git_mirror *parent, const struct git_submodule *module,
			  unsigned depth)
{
	struct git_mirror mirror = {
		.path = *parent->path ? arena_printf(&walk->arena, "%s/%s", parent->path, module->path) : module->path,
		.url = module->url,
		.ref = module->ref,
		.directory = sources_mirror_directory(walk->ctx, &walk->arena, "git", module->url, ""),
	};
	const char *url;

	if (walk->discovery) {
		discover(walk, &mirror);
		return git_has_ref(walk->ctx, mirror.directory, mirror.ref) ? walk_mirror(walk, &mirror, depth + 1) : 0;
	}
	if (is_ignored(walk->git, mirror.path))
		return 0;
	url = override_url(walk->git, mirror.path);
	if (url)
		mirror.url = url;
	return walk_mirror(walk, &mirror, depth + 1);
}

static int walk_mirror(struct walk *walk, const struct git_mirror *mirror, unsigned depth)
{
	struct git_submodule *modules;
	uint32_t count;
	int r = walk->visit(walk, mirror);

	if (r == 0 && depth > DEPTH_MAX) {
		diag_set(walk->ctx->diag, "source", NULL, "Submodules of %s are nested too deep", walk->git->original_url);
		r = -ELOOP;
	}
	if (r == 0)
		r = git_submodules(walk->ctx, mirror->directory, mirror->ref, &walk->arena, &modules, &count);
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = walk_submodule(walk, mirror, &modules[i], depth);
	return r;
}

static int walk_all(struct walk *walk)
{
	const struct kinds_git *git = walk->git;
	struct git_mirror mirror = {
		.path = "",
		.url = git->original_url,
		.translated = git->url,
		.ref = git->ref,
		.directory = sources_mirror_directory(walk->ctx, &walk->arena, "git", git->original_url, ""),
	};
	int r = git_check_ref(walk->ctx, git->ref);

	if (r == 0)
		r = walk_mirror(walk, &mirror, 0);
	arena_release(&walk->arena);
	return r;
}

/* ---- looking and fetching ---- */

static int visit_have(struct walk *walk, const struct git_mirror *mirror)
{
	return git_has_ref(walk->ctx, mirror->directory, mirror->ref) ? 0 : 1;
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	struct diag ignored = { 0 };
	struct sources_context quiet = *ctx;
	struct walk walk = { .ctx = &quiet, .git = source->config, .visit = visit_have };
	bool ret;

	quiet.diag = &ignored;
	quiet.say = NULL;
	quiet.warn = NULL;
	ret = walk_all(&walk) == 0;
	diag_release(&ignored);
	return ret;
}

static int visit_fetch(struct walk *walk, const struct git_mirror *mirror)
{
	return git_mirror_fetch(walk->ctx, mirror);
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	struct walk walk = { .ctx = ctx, .git = source->config, .visit = visit_fetch };

	return walk_all(&walk);
}

/* ---- a repository in which git describe works ---- */

struct rebuild {
	struct sources_context *ctx;
	const struct git_mirror *mirror;
	const char *git_dir; /* the new one */
	struct arena arena;
	struct strmap revisions; /* -> enum */
};

enum { INCLUDED = 1, SHALLOW = 2 };

static void note_revision(struct rebuild *rebuild, const char *name, size_t len, uint32_t kind)
{
	uint32_t known = strmap_get(&rebuild->revisions, name, len);

	if (known == STRMAP_NONE || kind == INCLUDED)
		strmap_put(&rebuild->revisions, arena_strndup(&rebuild->arena, name, len), len, kind);
}

/* The commits between the tag and the ref, and those at the border, which will look as if they had no parents. */
static int note_history(struct rebuild *rebuild, const char *commit)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	const char *ref = rebuild->mirror->ref;
	_cleanup_free_ char *range = xasprintf("%s..%s", commit, ref);
	_cleanup_free_ char *fail = xasprintf("Failed to get git history %s", range);
	const char *arguments[] = { "rev-list", "--ancestry-path", "--boundary", range, NULL };
	int r;

	if (str_eq(commit, ref)) {
		note_revision(rebuild, ref, strlen(ref), SHALLOW);
		return 0;
	}
	r = git_run(rebuild->ctx, rebuild->mirror->directory, arguments, fail, &text);
	for (const char *at = buf_text(&text); r == 0 && *at;) {
		size_t len = strcspn(at, "\n");
		bool border = *at == '-';

		if (len > border)
			note_revision(rebuild, at + border, len - border, border ? SHALLOW : INCLUDED);
		at += len;
		at += *at == '\n';
	}
	return r;
}

/* Stores an object; its name into `name` without the newline. */
static int add_object(struct rebuild *rebuild, const char *type, const struct buf *content, struct buf *name)
{
	const char *argv[] = { "git", "--git-dir", rebuild->git_dir, "hash-object", "-w", "-t", type, "--stdin", NULL };
	_cleanup_close_ int fd = memfd_create("object", MFD_CLOEXEC);
	struct sources_command command = { .argv = argv, .input = fd, .fail = "Failed to add a git object", .output = name };
	int r = fd < 0 ? -errno : fs_write_all(fd, buf_text(content), content->len);

	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		return diag_errno(rebuild->ctx->diag, "source", NULL, -r, "Cannot add a git object");
	r = sources_command(rebuild->ctx, &command);
	if (r == 0 && name->len && name->data[name->len - 1] == '\n')
		name->data[--name->len] = '\0';
	return r;
}

static int copy_commits(struct rebuild *rebuild)
{
	_cleanup_free_ char *path = xasprintf("%s/shallow", rebuild->git_dir);
	_cleanup_buf_ struct buf shallow = BUF_INIT, object = BUF_INIT, name = BUF_INIT;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < rebuild->revisions.cap; i++) {
		const struct strmap_slot *slot = &rebuild->revisions.slots[i];
		_cleanup_free_ char *fail = NULL;
		const char *arguments[] = { "cat-file", "commit", slot->key, NULL };

		if (!slot->key || slot->value == STRMAP_NONE)
			continue;
		fail = xasprintf("Failed to get commit %s", slot->key);
		buf_clear(&object);
		buf_clear(&name);
		r = git_run(rebuild->ctx, rebuild->mirror->directory, arguments, fail, &object);
		if (r == 0)
			r = add_object(rebuild, "commit", &object, &name);
		if (slot->value == SHALLOW)
			buf_printf(&shallow, "%s\n", slot->key);
	}
	return r < 0 ? r : fs_write_file(AT_FDCWD, path, buf_text(&shallow), shallow.len, 0644);
}

static int add_tag(struct rebuild *rebuild, const struct kinds_git_tag *tag)
{
	_cleanup_free_ char *fail = xasprintf("Failed to tag: %s", tag->tag);
	_cleanup_buf_ struct buf object = BUF_INIT, name = BUF_INIT;
	const char *arguments[] = { "tag", tag->tag, tag->commit, NULL };
	int r = 0;

	if (tag->annotated) {
		buf_printf(&object,
			   "object %s\ntype commit\ntag %s\ntagger Unspecified Tagger <unspecified-tagger> 0 +0000\n",
			   tag->commit, tag->tag);
		r = add_object(rebuild, "tag", &object, &name);
		arguments[2] = buf_text(&name);
	}
	return r < 0 ? r : git_run(rebuild->ctx, rebuild->git_dir, arguments, fail, NULL);
}

static int write_head(struct rebuild *rebuild)
{
	_cleanup_free_ char *path = xasprintf("%s/HEAD", rebuild->git_dir);
	_cleanup_free_ char *fail = xasprintf("Failed to parse commit %s", rebuild->mirror->ref);
	const char *arguments[] = { "rev-parse", rebuild->mirror->ref, NULL };
	_cleanup_buf_ struct buf head = BUF_INIT;
	int r = git_run(rebuild->ctx, rebuild->mirror->directory, arguments, fail, &head);

	return r < 0 ? r : fs_write_file(AT_FDCWD, path, buf_text(&head), head.len, 0644);
}

static int rebuild_git(struct sources_context *ctx, const struct kinds_git *git, const struct git_mirror *mirror,
		       const char *directory)
{
	_cleanup_free_ char *git_dir = xasprintf("%s/.git", directory);
	_cleanup_free_ char *fail = xasprintf("Cannot initialize git repository: %s", directory);
	struct rebuild rebuild = { .ctx = ctx, .mirror = mirror, .git_dir = git_dir };
	const char *argv[] = { "git", "init", directory, NULL };
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < git->tag_count; i++) {
		r = git_check_ref(ctx, git->tags[i].commit);
		if (r == 0)
			r = git_check_ref(ctx, git->tags[i].tag);
		if (r == 0)
			r = note_history(&rebuild, git->tags[i].commit);
	}
	if (r == 0)
		r = sources_run(ctx, argv, fail, NULL);
	if (r == 0)
		r = copy_commits(&rebuild);
	for (uint32_t i = 0; r == 0 && i < git->tag_count; i++)
		r = add_tag(&rebuild, &git->tags[i]);
	if (r == 0)
		r = write_head(&rebuild);
	strmap_release(&rebuild.revisions);
	arena_release(&rebuild.arena);
	return r;
}

/* ---- looking whether the configuration fits what was fetched ---- */

static int visit_nothing(struct walk *walk UNUSED, const struct git_mirror *mirror UNUSED)
{
	return 0;
}

static int warn_invalid(struct sources_context *ctx, const struct kinds_git *git, const bool *found)
{
	_cleanup_buf_ struct buf list = BUF_INIT, detail = BUF_INIT;

	for (uint32_t i = 0; i < git->submodule_count; i++)
		if (!found[i])
			add_submodule(&list, git->submodules[i].url, git->submodules[i].path);
	if (!list.len)
		return 0;
	buf_printf(&detail, "The following submodules are specified in the source description but do not exist according "
		   "to the repository\n\n%s", buf_text(&list));
	return sources_warn(ctx, "git:invalid-submodule", buf_text(&detail), "Invalid submodules specified");
}

static int warn_unlisted(struct sources_context *ctx, const struct buf *unlisted)
{
	_cleanup_buf_ struct buf detail = BUF_INIT;

	if (!unlisted->len)
		return 0;
	buf_printf(&detail, "The following submodules exist but are not specified in the source description\n\n%s",
		   buf_text(unlisted));
	return sources_warn(ctx, "git:unlisted-submodule", buf_text(&detail), "Unlisted submodules exist");
}

/* Is the ref on the branch, or in the tag, that is tracked?  Of a ref that names its tag no branch need be there. */
static int check_track(struct sources_context *ctx, const struct kinds_git *git)
{
	static const char *const kinds[] = { "branch", "tag" };
	const char *exact = git->ref ? strstr(git->ref, "-0-g") : NULL;
	_cleanup_free_ char *directory = NULL;
	_cleanup_buf_ struct buf output = BUF_INIT, detail = BUF_INIT;
	struct arena arena = ARENA_INIT;
	int r = git_check_ref(ctx, git->ref);

	if (!git->track || exact || r < 0 || git_check_ref(ctx, git->track) < 0)
		return r;
	directory = xstrdup(sources_mirror_directory(ctx, &arena, "git", git->original_url, ""));
	arena_release(&arena);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *arguments[] = { kinds[i], "--list", git->track, "--contains", git->ref, NULL };

		buf_clear(&output);
		r = git_probe(ctx, directory, arguments, &output);
		if (r < 0 || output.len)
			return MIN(r, 0);
	}
	buf_printf(&detail, "The ref provided for the element does not exist locally in the provided track branch / tag '%s'.\n"
		   "You may wish to track the element to update the ref from '%s' with `bst source track`,\n"
		   "or examine the upstream at '%s' for the specific ref.", git->track, git->track, git->original_url);
	return sources_warn(ctx, "ref-not-in-track", buf_text(&detail),
			    "expected ref '%s' was not found in given track '%s' for staged repository: '%s'\n", git->ref,
			    git->track, git->original_url);
}

static int validate(struct sources_context *ctx, const struct kinds_git *git)
{
	struct discovery discovery = { .found = xcalloc(git->submodule_count + 1u, sizeof(bool)) };
	struct walk walk = { .ctx = ctx, .git = git, .visit = visit_nothing, .discovery = &discovery };
	int r = walk_all(&walk);

	if (r == 0)
		r = warn_invalid(ctx, git, discovery.found);
	if (r == 0)
		r = warn_unlisted(ctx, &discovery.unlisted);
	if (r == 0)
		r = check_track(ctx, git);
	free(discovery.found);
	buf_release(&discovery.unlisted);
	return r;
}

/* ---- staging ---- */

static int visit_tree(struct walk *walk, const struct git_mirror *mirror)
{
	_cleanup_free_ char *directory = NULL;
	struct digest digest;
	int r = sources_scratch(walk->ctx, &directory);

	if (r < 0)
		return r;
	r = git_checkout(walk->ctx, mirror->directory, mirror->ref, directory);
	if (r == 0 && !*mirror->path && walk->git->tag_count)
		r = rebuild_git(walk->ctx, walk->git, mirror, directory);
	if (r == 0)
		r = cas_import(walk->ctx->cas, AT_FDCWD, directory, CAS_IMPORT_MOVE, NULL, &digest, walk->ctx->diag);
	fs_remove_all(AT_FDCWD, directory);
	if (r == 0)
		r = cas_tree_mkdir(walk->tree, mirror->path);
	if (r == 0)
		r = cas_tree_merge(walk->tree, mirror->path, &digest, NULL, walk->ctx->diag);
	return r;
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	const struct kinds_git *git = source->config;
	struct walk walk = { .ctx = ctx, .git = git, .visit = visit_tree };
	int r = validate(ctx, git);

	if (r == 0)
		r = cas_tree_new(&walk.tree, ctx->cas, NULL);
	if (r < 0)
		return r;
	sources_say(ctx, "Staging %s", git->original_url);
	r = walk_all(&walk);
	if (r == 0)
		r = cas_tree_digest(walk.tree, "", ret);
	cas_tree_free(walk.tree);
	return r;
}

/* ---- workspaces ---- */

static int visit_workspace(struct walk *walk, const struct git_mirror *mirror)
{
	_cleanup_free_ char *directory = xasprintf("%s/%s", walk->directory, mirror->path);

	return git_adopt(walk->ctx, mirror, mirror->directory, directory);
}

static int workspace(struct sources_context *ctx, const struct graph_source *source, const struct digest *files UNUSED,
		     const char *directory)
{
	struct walk walk = { .ctx = ctx, .git = source->config, .visit = visit_workspace, .directory = directory };

	return walk_all(&walk);
}

const struct sources_ops sources_git = { .kind = "git", .have = have, .fetch = fetch, .tree = tree, .workspace = workspace };

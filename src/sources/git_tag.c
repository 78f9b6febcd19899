/* git_tag and git_module: clones with their .git, as the peer stages them: `git describe` works in the build.
 *
 *     <sourcedir>/<kind>/<mirror directory of url>         a full mirror
 *     <sourcedir>/<kind>/<mirror directory of url#ref>     one tag alone, if the ref says which
 * What is staged names this machine's mirror in .git/config and has times in .git/index: two stagings differ, the peer's too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/git_mirror.h"

struct clone {
	struct git_mirror mirror;
	const char *shallow; /* where the tag alone would be */
};

struct family {
	struct sources_context *ctx;
	const struct graph_source *source;
	const struct kinds_git *git;
	struct arena arena;
	struct clone *clones; /* the source itself first, then its submodules */
	uint32_t count;
};

static const char *present(const struct clone *clone)
{
	return access(clone->mirror.directory, F_OK) == 0 ? clone->mirror.directory :
	       access(clone->shallow, F_OK) == 0	  ? clone->shallow :
							    NULL;
}

static struct clone make_clone(struct family *family, const char *path, const char *url, const char *ref)
{
	const char *kind = family->source->ops->name, *with_ref = arena_printf(&family->arena, "%s#%s", url, ref);

	return (struct clone){
		.mirror = { .url = url,
			    .path = path,
			    .ref = ref,
			    .directory = sources_mirror_directory(family->ctx, &family->arena, kind, url, "") },
		.shallow = sources_mirror_directory(family->ctx, &family->arena, kind, with_ref, ""),
	};
}

static bool is_ignored(const struct kinds_git *git, const char *path, const char **url)
{
	bool checkout = git->checkout_submodules;

	for (uint32_t i = 0; i < git->submodule_count; i++) {
		if (!str_eq(git->submodules[i].path, path))
			continue;
		if (git->submodules[i].has_checkout)
			checkout = git->submodules[i].checkout;
		if (git->submodules[i].url && *git->submodules[i].url)
			*url = git->submodules[i].url;
	}
	return !checkout;
}

/* "./x" and "../x" as seen from base, which is taken for a directory; base's scheme, alias or host is never left. */
static const char *join_url(struct arena *arena, const char *base, const char *url)
{
	const char *root = strstr(base, "://");
	size_t len = strlen(base), least;

	if (root)
		root = strchr(root + 3, '/');
	else if (strchr(base, ':'))
		root = strchr(base, ':');
	else
		root = base;
	least = root ? (size_t)(root - base) + (root != base) : len;
	while (len > least && base[len - 1] == '/')
		len--;
	for (;; url += strspn(url, "/")) {
		if (str_starts(url, "./")) {
			url += 2;
		} else if (str_starts(url, "../")) {
			url += 3;
			while (len > least && base[len - 1] != '/')
				len--;
			while (len > least && base[len - 1] == '/')
				len--;
		} else {
			break;
		}
	}
	return arena_printf(arena, "%.*s%s%s", (int)len, base, len > least ? "/" : "", url);
}

/* The source's own clone, and its submodules if it is there already. */
static int find_family(struct family *family)
{
	const struct kinds_git *git = family->git;
	struct git_submodule *modules = NULL;
	uint32_t count = 0;
	struct clone own;
	int r = git_check_ref(family->ctx, git->ref);

	if (r < 0)
		return r;
	own = make_clone(family, git->path, git->original_url, git->ref);
	own.mirror.translated = git->url;
	if (git->variant == KINDS_GIT_TAG && present(&own))
		r = git_submodules(family->ctx, present(&own), git->ref, &family->arena, &modules, &count);
	if (r < 0)
		return r;
	family->clones = ARENA_ARRAY(&family->arena, struct clone, count + 1);
	family->clones[0] = own;
	family->count = 1;
	for (uint32_t i = 0; i < count; i++) {
		const char *url = modules[i].url;

		if (is_ignored(git, modules[i].path, &url))
			continue;
		if (str_starts(url, "./") || str_starts(url, "../"))
			url = join_url(&family->arena, git->original_url, url);
		family->clones[family->count++] = make_clone(family, modules[i].path, url, modules[i].ref);
	}
	return 0;
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	struct diag ignored = { 0 };
	struct sources_context quiet = *ctx;
	struct family family = { .ctx = &quiet, .source = source, .git = source->config };
	bool ret;

	quiet.diag = &ignored;
	quiet.say = NULL;
	ret = find_family(&family) == 0;
	for (uint32_t i = 0; ret && i < family.count; i++) {
		const char *directory = present(&family.clones[i]);

		ret = directory && git_has_ref(&quiet, directory, family.clones[i].mirror.ref);
	}
	arena_release(&family.arena);
	diag_release(&ignored);
	return ret;
}

/* Is git-lfs there, if it is asked for? */
static int check_lfs(struct sources_context *ctx, const struct kinds_git *git)
{
	const char *argv[] = { "git", "lfs", "--version", NULL };

	return git->use_lfs ? sources_run(ctx, argv, "Git lfs not installed", NULL) : 0;
}

/* Whoever says nothing of LFS may not know that the repository has it. */
static int warn_unused_lfs(struct family *family, const struct clone *clone)
{
	static const char *const marks[] = { "filter=lfs", "diff=lfs", "merge=lfs" };
	_cleanup_free_ char *file = xasprintf("%s:.gitattributes", clone->mirror.ref);
	const char *token = family->git->variant == KINDS_GIT_MODULE ? "git_module:unused-lfs" : "git_tag:unused-lfs";
	const char *arguments[] = { "show", file, NULL };
	_cleanup_buf_ struct buf text = BUF_INIT;
	bool found = false;
	int r;

	if (family->git->says_lfs || !present(clone))
		return 0;
	r = git_probe(family->ctx, present(clone), arguments, &text);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(marks); i++)
		found = found || strstr(buf_text(&text), marks[i]);
	if (!found)
		return MIN(r, 0);
	return sources_warn(family->ctx, token, "a filter, diff or merge is set to use lfs in .gitattributes",
			    "Git LFS not configured but LFS objects exist");
}

/* ---- fetching ---- */

/* A repository made beside its final place, which it takes if nobody was quicker. */
static int make_aside(struct sources_context *ctx, const char *directory, char **ret)
{
	_cleanup_free_ char *parent = xstrndup(directory, (size_t)(strrchr(directory, '/') - directory)), *temp = NULL;
	int r = fs_mkdir_p(AT_FDCWD, parent, 0755);

	temp = xasprintf("%s/.new-XXXXXX", parent);
	if (r == 0 && !mkdtemp(temp))
		r = -errno;
	if (r < 0)
		return diag_errno(ctx->diag, "source", NULL, -r, "Cannot make a directory in %s", parent);
	*ret = temp;
	temp = NULL;
	return 0;
}

static int take_place(struct sources_context *ctx, const char *temp, const char *directory)
{
	if (rename(temp, directory) == 0 || errno == ENOTEMPTY || errno == EEXIST)
		return 0;
	return diag_errno(ctx->diag, "source", NULL, errno, "Failed to move cloned git repository to '%s'", directory);
}

static int clone_all(struct sources_context *ctx, const struct clone *clone, const char *url)
{
	_cleanup_free_ char *fail = xasprintf("Failed to clone git repository %s", url), *temp = NULL;
	const char *argv[] = { "git", "clone", "--mirror", "-n", "--", url, NULL, NULL };
	int r = make_aside(ctx, clone->mirror.directory, &temp);

	if (r < 0)
		return r;
	argv[6] = temp;
	r = sources_run(ctx, argv, fail, NULL);
	if (r == 0)
		r = take_place(ctx, temp, clone->mirror.directory);
	(void)fs_remove_all(AT_FDCWD, temp);
	return r;
}

/* 1: the tag's commit alone came; 0: it takes more. */
static int clone_tag(struct sources_context *ctx, const struct clone *clone, const char *url)
{
	_cleanup_free_ char *temp = NULL, *peeled = NULL, *tag = NULL;
	const char *init[] = { "git", "init", "--quiet", "--bare", NULL, NULL };
	const char *add[] = { "remote", "add", "--mirror=fetch", "origin", url, NULL };
	const char *commit;
	const char *fetch[] = { "fetch", "--depth=1", "origin", NULL, NULL };
	const char *head[] = { "update-ref", "HEAD", NULL, NULL };
	int r;

	tag = git_exact_tag(clone->mirror.ref, &commit);
	if (!tag)
		return 0;
	r = make_aside(ctx, clone->shallow, &temp);
	if (r < 0)
		return r;
	init[4] = temp;
	fetch[3] = tag;
	peeled = xasprintf("%s^{}", commit);
	head[2] = peeled;
	r = sources_run(ctx, init, "Failed to init git repository", NULL);
	if (r == 0)
		r = git_run(ctx, temp, add, "Failed to init git repository", NULL);
	if (r == 0)
		r = git_advertises(ctx, temp, url, tag, commit);
	if (r > 0)
		r = git_probe(ctx, temp, fetch, NULL) == 0;
	if (r > 0)
		r = git_run(ctx, temp, head, "Failed to tag HEAD", NULL) == 0 ? take_place(ctx, temp, clone->shallow) : -EIO;
	else if (r == 0)
		sources_say(ctx, "%s is not advertised on %s, so a full clone is required", clone->mirror.ref, url);
	(void)fs_remove_all(AT_FDCWD, temp);
	return r < 0 ? r : present(clone) != NULL;
}

static int fetch_from(struct sources_context *ctx, const struct clone *clone, const char *url, bool full)
{
	_cleanup_free_ char *fail = xasprintf("Failed to fetch from remote git repository: %s", url);
	const char *arguments[] = { "fetch", "--prune", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*",
				    "--force", NULL };
	int r = git_check_ref(ctx, url);

	if (r < 0)
		return r;
	sources_say(ctx, "Fetching from %s", url);
	if (!present(clone)) {
		r = full ? 0 : clone_tag(ctx, clone, url);
		if (r == 0)
			r = clone_all(ctx, clone, url);
	} else {
		_cleanup_close_ int lock = git_lock(ctx, present(clone));

		r = lock < 0 ? lock : git_run(ctx, present(clone), arguments, fail, NULL);
	}
	if (r == -EIO)
		ctx->temporary = true;
	if (r < 0)
		return r;
	if (git_has_ref(ctx, present(clone), clone->mirror.ref))
		return 0;
	diag_set(ctx->diag, "source", NULL, "expected ref '%s' was not found in git repository: '%s'", clone->mirror.ref,
		 clone->mirror.url);
	return -ENOENT;
}

static int fetch_clone(struct sources_context *ctx, const struct clone *clone, bool full)
{
	const char *fallback[2];
	int r = git_check_ref(ctx, clone->mirror.ref);

	if (r < 0)
		return r;
	if (present(clone) && git_has_ref(ctx, present(clone), clone->mirror.ref))
		return 0;
	r = -EINVAL;
	for (const char *const *url =
		     sources_urls(ctx, clone->mirror.url, clone->mirror.translated, false, fallback);
	     *url; url++) {
		r = fetch_from(ctx, clone, *url, full);
		if (r == 0 || r == -ECANCELED)
			return r;
	}
	return r;
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	struct family family = { .ctx = ctx, .source = source, .git = source->config };
	int r = check_lfs(ctx, source->config);

	if (r == 0)
		r = find_family(&family);
	if (r == 0)
		r = fetch_clone(ctx, &family.clones[0], family.git->full_clone);
	if (r == 0)
		r = find_family(&family);
	for (uint32_t i = 1; r == 0 && i < family.count; i++)
		r = fetch_clone(ctx, &family.clones[i], false);
	arena_release(&family.arena);
	return r;
}

/* ---- staging ---- */

/* LFS objects cannot be had from a directory: the clone's origin becomes the mirror's. */
static int set_origin(struct sources_context *ctx, const char *mirror, const char *git_dir)
{
	const char *get[] = { "config", "--get", "remote.origin.url", NULL };
	const char *set[] = { "config", "remote.origin.url", NULL, NULL };
	_cleanup_buf_ struct buf url = BUF_INIT;
	int r = git_run(ctx, mirror, get, "Failed to get origin url", &url);

	if (r < 0)
		return r;
	while (url.len && url.data[url.len - 1] == '\n')
		url.data[--url.len] = '\0';
	set[2] = buf_text(&url);
	return git_run(ctx, git_dir, set, "Failed to set origin url", NULL);
}

static int check_out(struct family *family, const struct clone *clone, const char *directory)
{
	static const char *const no_lfs[] = { "GIT_LFS_SKIP_SMUDGE=TRUE", NULL };
	_cleanup_free_ char *fail = xasprintf("Failed to checkout git ref %s", clone->mirror.ref), *git_dir = NULL;
	const char *mirror = present(clone);
	const char *copy[] = { "git", "clone", "--no-checkout", "--no-hardlinks", mirror, directory, NULL };
	const char *checkout[] = { "git", "checkout", "--force", clone->mirror.ref, NULL };
	const struct sources_command command = { .argv = checkout, .directory = directory, .fail = fail,
						 .environment = family->git->use_lfs ? NULL : no_lfs };
	int r;

	if (!mirror) {
		diag_set(family->ctx->diag, "source", "not-cached", "The clone of %s is not there", clone->mirror.url);
		return -ENOENT;
	}
	r = sources_run(family->ctx, copy, "Failed to create git mirror", NULL);
	git_dir = xasprintf("%s/.git", directory);
	if (r == 0 && family->git->use_lfs)
		r = set_origin(family->ctx, mirror, git_dir);
	return r < 0 ? r : sources_command(family->ctx, &command);
}

static int add_clone(struct family *family, const struct clone *clone, struct cas_tree *tree)
{
	struct sources_context *ctx = family->ctx;
	_cleanup_free_ char *directory = NULL;
	struct digest digest;
	int r = sources_scratch(ctx, &directory);

	if (r < 0)
		return r;
	r = check_out(family, clone, directory);
	if (r == 0)
		r = cas_import(ctx->cas, AT_FDCWD, directory, CAS_IMPORT_MOVE, NULL, &digest, ctx->diag);
	fs_remove_all(AT_FDCWD, directory);
	if (r == 0)
		r = cas_tree_mkdir(tree, clone->mirror.path);
	return r < 0 ? r : cas_tree_merge(tree, clone->mirror.path, &digest, NULL, ctx->diag);
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	struct family family = { .ctx = ctx, .source = source, .git = source->config };
	struct cas_tree *tree;
	int r = cas_tree_new(&tree, ctx->cas, NULL);

	if (r < 0)
		return r;
	sources_say(ctx, "Staging %s", family.git->original_url);
	r = check_lfs(ctx, family.git);
	if (r == 0)
		r = find_family(&family);
	for (uint32_t i = 0; r == 0 && i < family.count; i++)
		r = warn_unused_lfs(&family, &family.clones[i]);
	for (uint32_t i = 0; r == 0 && i < family.count; i++)
		r = add_clone(&family, &family.clones[i], tree);
	if (r == 0)
		r = cas_tree_digest(tree, "", ret);
	cas_tree_free(tree);
	arena_release(&family.arena);
	return r;
}

static int workspace(struct sources_context *ctx, const struct graph_source *source, const struct digest *files UNUSED,
		     const char *directory)
{
	struct family family = { .ctx = ctx, .source = source, .git = source->config };
	int r = find_family(&family);

	for (uint32_t i = 0; r == 0 && i < family.count; i++)
		r = git_adopt(ctx, &family.clones[i].mirror, present(&family.clones[i]),
			      arena_printf(&family.arena, "%s/%s", directory, family.clones[i].mirror.path));
	arena_release(&family.arena);
	return r;
}

const struct sources_ops sources_git_tag = { .kind = "git_tag", .have = have, .fetch = fetch, .tree = tree,
					     .workspace = workspace };
const struct sources_ops sources_git_module = { .kind = "git_module", .have = have, .fetch = fetch, .tree = tree,
						.workspace = workspace };

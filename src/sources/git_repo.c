/* git_repo: the commit's files, and a .git in which `git describe` works. */
#include "sources/git_repo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

enum { SHA1_HEX = 40, DEPTH_DIGITS = 8 };

static bool is_commit(const char *text)
{
	return strspn(text, "0123456789abcdef") >= SHA1_HEX;
}

/* (?:(.*)-(\d+)-g)?([0-9a-f]{40}), from the start, the longest tag. */
static bool parse_ref(struct git_repo *repo, struct arena *arena, const char *ref)
{
	for (const char *at = ref + strlen(ref); at > ref; at--) {
		const char *digits = at;

		if (!str_starts(at, "-g") || !is_commit(at + 2))
			continue;
		while (digits > ref && digits[-1] >= '0' && digits[-1] <= '9')
			digits--;
		if (digits == at || digits == ref || digits[-1] != '-' || at - digits > DEPTH_DIGITS)
			continue;
		repo->depth = (unsigned)strtoul(digits, NULL, 10) + 1;
		if (digits - 1 > ref)
			repo->tag = arena_printf(arena, "refs/tags/%.*s", (int)(digits - 1 - ref), ref);
		repo->commit = arena_strndup(arena, at + 2, SHA1_HEX);
		return true;
	}
	if (is_commit(ref))
		repo->commit = arena_strndup(arena, ref, SHA1_HEX);
	return repo->commit != NULL;
}

int git_repo_find(struct sources_context *ctx, struct arena *arena, const char *kind, const char *url,
		  const char *translated, const char *ref, struct git_repo *ret)
{
	size_t len = strlen(url);
	const char *bare = str_ends(url, ".git") ? arena_strndup(arena, url, len - 4) : url;

	*ret = (struct git_repo){
		.mirror = { .url = url,
			    .translated = translated,
			    .path = "",
			    .directory = sources_mirror_directory(ctx, arena, kind, bare, ".git") },
	};
	if (!ref || !parse_ref(ret, arena, ref)) {
		diag_set(ctx->diag, "source", NULL, "ref %s is not in the expected format", ref ? ref : "");
		return -EINVAL;
	}
	ret->mirror.ref = ret->commit;
	return 0;
}

bool git_repo_have(struct sources_context *ctx, const struct git_repo *repo)
{
	return git_has_ref(ctx, repo->mirror.directory, repo->commit) &&
	       (!repo->tag || git_has_ref(ctx, repo->mirror.directory, repo->tag));
}

/* ---- fetching ---- */

/* Just the commit, as deep as needed: most servers give it.  The mirror must keep it although nothing refers to it. */
static int fetch_exact(struct sources_context *ctx, const struct git_repo *repo, const char *url)
{
	_cleanup_free_ char *shallow = xasprintf("%s/shallow", repo->mirror.directory), *depth = NULL, *tag = NULL;
	const char *arguments[12] = { "-c", "gc.auto=0", "fetch", "--no-tags", "--no-write-fetch-head" };
	unsigned count = 5;

	if (repo->depth)
		depth = xasprintf("--depth=%u", repo->depth);
	else if (access(shallow, F_OK) == 0)
		depth = xstrdup("--unshallow");
	if (depth)
		arguments[count++] = depth;
	arguments[count++] = url;
	arguments[count++] = repo->commit;
	if (repo->tag) {
		tag = xasprintf("+%s:%s", repo->tag, repo->tag);
		arguments[count++] = tag;
	}
	return git_probe(ctx, repo->mirror.directory, arguments, NULL);
}

static int fetch_from(struct sources_context *ctx, const struct git_repo *repo, const char *url)
{
	const char *all[] = { "-c", "gc.auto=0", "fetch", "--no-write-fetch-head", url, "+refs/heads/*:refs/heads/*",
			      "+refs/tags/*:refs/tags/*", NULL };
	_cleanup_free_ char *fail = xasprintf("failed to fetch from %s", url);
	int r = git_check_ref(ctx, url);

	if (r < 0)
		return r;
	sources_say(ctx, "Fetching from %s", url);
	r = fetch_exact(ctx, repo, url);
	if (r > 0 || (r == 0 && !git_repo_have(ctx, repo)))
		r = git_run(ctx, repo->mirror.directory, all, fail, NULL);
	if (r == -EIO)
		ctx->temporary = true;
	if (r < 0 || git_repo_have(ctx, repo))
		return r;
	if (repo->tag && git_has_ref(ctx, repo->mirror.directory, repo->commit))
		diag_set(ctx->diag, "source", NULL, "ref %s not found in remote %s", repo->tag, url);
	else
		diag_set(ctx->diag, "source", NULL, "%s not found in remote %s", repo->commit, url);
	return -ENOENT;
}

int git_repo_fetch(struct sources_context *ctx, const struct git_repo *repo)
{
	_cleanup_close_ int lock = -1;
	const char *fallback[2];
	int r = git_ensure_repository(ctx, repo->mirror.directory);

	if (r == 0) {
		lock = git_lock(ctx, repo->mirror.directory);
		r = lock;
	}
	if (r < 0)
		return r;
	if (git_repo_have(ctx, repo))
		return 0;
	r = -EINVAL;
	for (const char *const *url = sources_urls(ctx, repo->mirror.url, repo->mirror.translated, false, fallback); *url;
	     url++) {
		r = fetch_from(ctx, repo, *url);
		if (r == 0 || r == -ECANCELED)
			return r;
	}
	return r;
}

/* ---- staging ---- */

int git_repo_layout(struct sources_context *ctx, const struct git_repo *repo, const char *git_dir)
{
	static const char *const directories[] = { "branches", "hooks", "info", "objects/info", "objects/pack", "refs/heads",
						   "refs/tags" };
	_cleanup_free_ char *head = xasprintf("%s\n", repo->commit);
	/* dulwich's, byte for byte */
	const char *const files[][2] = {
		{ "description", "Unnamed repository" },
		{ "info/exclude", "" },
		{ "HEAD", "ref: refs/heads/master\n" },
		{ "config", "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
			    "\tlogallrefupdates = true\n" },
		{ "refs/heads/master", head },
	};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(directories); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", git_dir, directories[i]);

		r = fs_mkdir_p(AT_FDCWD, path, 0755);
	}
	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", git_dir, files[i][0]);

		r = fs_write_file(AT_FDCWD, path, files[i][1], strlen(files[i][1]), 0644);
	}
	if (r < 0)
		diag_errno(ctx->diag, "source", NULL, -r, "Cannot make a git repository in %s", git_dir);
	return r;
}

int git_repo_files(struct sources_context *ctx, const struct git_repo *repo, const char *git_dir, const char *directory)
{
	static const char attributes[] = "* !ident !working-tree-encoding\n";
	_cleanup_free_ char *objects = xasprintf("GIT_ALTERNATE_OBJECT_DIRECTORIES=%s/objects", repo->mirror.directory);
	_cleanup_free_ char *git_option = xasprintf("--git-dir=%s", git_dir);
	_cleanup_free_ char *work_option = xasprintf("--work-tree=%s", directory);
	_cleanup_free_ char *overriding = xasprintf("%s/info/attributes", git_dir), *index = xasprintf("%s/index", git_dir);
	_cleanup_free_ char *fail = xasprintf("Failed to checkout git ref %s", repo->commit);
	const char *environment[] = { objects, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
				      NULL };
	const char *write[] = { "git", git_option, work_option, "read-tree", "--reset", "-u", repo->commit, NULL };
	/* once more without times and inodes, so that the same commit gives the same index */
	const char *again[] = { "git", git_option, "read-tree", repo->commit, NULL };
	struct sources_command command = { .argv = write, .environment = environment, .directory = directory, .fail = fail };
	int r = fs_write_file(AT_FDCWD, overriding, attributes, strlen(attributes), 0644);

	if (r < 0)
		return diag_errno(ctx->diag, "source", NULL, -r, "Cannot write %s", overriding);
	r = sources_command(ctx, &command);
	unlink(overriding);
	unlink(index);
	command.argv = again;
	return r < 0 ? r : sources_command(ctx, &command);
}

int git_repo_tree(struct sources_context *ctx, const struct git_repo *repo, git_repo_add_fn *add, struct digest *ret)
{
	_cleanup_free_ char *directory = NULL, *git_dir = NULL;
	int r = sources_scratch(ctx, &directory);

	if (r < 0)
		return r;
	git_dir = xasprintf("%s/.git", directory);
	r = git_repo_layout(ctx, repo, git_dir);
	if (r == 0)
		r = git_repo_files(ctx, repo, git_dir, directory);
	if (r == 0)
		r = add(ctx, repo, git_dir);
	if (r == 0)
		r = cas_import(ctx->cas, AT_FDCWD, directory, CAS_IMPORT_MOVE, NULL, ret, ctx->diag);
	fs_remove_all(AT_FDCWD, directory);
	return r;
}

bool git_repo_source_have(struct sources_context *ctx, const struct graph_source *source, git_repo_find_fn *find)
{
	struct sources_context quiet = *ctx;
	struct diag ignored = { 0 };
	struct arena arena = { 0 };
	struct git_repo repo;
	bool ret;

	quiet.diag = &ignored;
	ret = find(&quiet, source, &arena, &repo) == 0 && git_repo_have(&quiet, &repo);
	arena_release(&arena);
	diag_release(&ignored);
	return ret;
}

int git_repo_source_fetch(struct sources_context *ctx, const struct graph_source *source, git_repo_find_fn *find)
{
	struct arena arena = { 0 };
	struct git_repo repo;
	int r = find(ctx, source, &arena, &repo);

	if (r == 0)
		r = git_repo_fetch(ctx, &repo);
	arena_release(&arena);
	return r;
}

static int find(struct sources_context *ctx, const struct graph_source *source, struct arena *arena,
		struct git_repo *ret)
{
	const struct kinds_git *git = source->config;

	return git_repo_find(ctx, arena, source->ops->name, git->original_url, git->url, git->ref, ret);
}

static bool have(struct sources_context *ctx, const struct graph_source *source)
{
	return git_repo_source_have(ctx, source, find);
}

static int fetch(struct sources_context *ctx, const struct graph_source *source)
{
	return git_repo_source_fetch(ctx, source, find);
}

static int tree(struct sources_context *ctx, const struct graph_source *source, const struct digest *previous,
		struct digest *ret)
{
	struct arena arena = { 0 };
	struct git_repo repo;
	int r = find(ctx, source, &arena, &repo);

	if (r == 0) {
		sources_say(ctx, "Checking out %s", repo.commit);
		r = git_repo_tree(ctx, &repo, git_repo_copy_history, ret);
	}
	arena_release(&arena);
	return r;
}

/* What was staged has no files in its history; a repository to work with has all that the mirror has. */
static int workspace(struct sources_context *ctx, const struct graph_source *source, const struct digest *files UNUSED,
		     const char *directory)
{
	_cleanup_free_ char *git_dir = xasprintf("%s/.git", directory), *branch = NULL;
	struct arena arena = { 0 };
	struct git_repo repo;
	int r = find(ctx, source, &arena, &repo);
	const char *init[] = { "git", "init", "--quiet", "--initial-branch=master", directory, NULL };
	/* the mirror gives a commit that no branch of it names */
	const char *take[] = { "fetch", "--quiet", "--update-head-ok", "--update-shallow", "--no-write-fetch-head",
			       "--upload-pack=git -c uploadpack.allowAnySHA1InWant=true upload-pack", repo.mirror.directory, NULL,
			       "+refs/tags/*:refs/tags/*", NULL };
	const char *origin[] = { "config", "remote.origin.url", repo.mirror.translated, NULL };

	if (r == 0)
		r = fs_remove_all(AT_FDCWD, git_dir);
	if (r == 0)
		r = sources_run(ctx, init, "Cannot make a repository of the workspace", NULL);
	if (r == 0) {
		branch = xasprintf("+%s:refs/heads/master", repo.commit);
		take[7] = branch;
		r = git_run(ctx, git_dir, take, "Cannot copy the history to the workspace", NULL);
	}
	if (r == 0)
		r = git_run(ctx, git_dir, origin, "Failed to add remote origin", NULL);
	if (r == 0)
		r = sources_command(ctx, &(struct sources_command){ .argv = (const char *[]){ "git", "reset", "--quiet", NULL },
								   .directory = directory, .fail = "Cannot write the index" });
	arena_release(&arena);
	return r;
}

const struct sources_ops sources_git_repo = { .kind = "git_repo", .have = have, .fetch = fetch, .tree = tree,
					      .workspace = workspace };

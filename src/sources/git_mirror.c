/* Mirrors of git repositories: found, made, filled, read. */
#include "sources/git_mirror.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

enum { ARGUMENTS_MAX = 16, SUBMODULES_MAX = 100000, SHA1_HEX = 40 };

int git_check_ref(struct sources_context *ctx, const char *ref)
{
	return sources_check_argument(ctx, "git", ref);
}

static int run(struct sources_context *ctx, const char *directory, const char *const *arguments,
	       struct sources_command *command)
{
	_cleanup_free_ char *git_dir = xasprintf("--git-dir=%s", directory);
	const char *argv[ARGUMENTS_MAX + 3] = { "git", git_dir };

	for (unsigned i = 0; arguments[i]; i++) {
		assert(i < ARGUMENTS_MAX);
		argv[i + 2] = arguments[i];
	}
	command->argv = argv;
	return sources_command(ctx, command);
}

int git_run(struct sources_context *ctx, const char *directory, const char *const *arguments, const char *fail,
	    struct buf *output)
{
	/* a relative URL is meant from inside the mirror, as the peer has it */
	struct sources_command command = { .directory = directory, .fail = fail, .output = output };

	return run(ctx, directory, arguments, &command);
}

int git_probe(struct sources_context *ctx, const char *directory, const char *const *arguments, struct buf *output)
{
	_cleanup_buf_ struct buf ignored = BUF_INIT;
	struct sources_command command = { .directory = directory, .probe = true, .output = output ? output : &ignored };

	return run(ctx, directory, arguments, &command);
}

bool git_has_ref(struct sources_context *ctx, const char *directory, const char *ref)
{
	const char *arguments[] = { "cat-file", "-t", ref, NULL };

	return ref && *ref && *ref != '-' && access(directory, F_OK) == 0 &&
	       git_probe(ctx, directory, arguments, NULL) == 0;
}

int git_ensure_repository(struct sources_context *ctx, const char *directory)
{
	_cleanup_free_ char *parent = xstrndup(directory, (size_t)(strrchr(directory, '/') - directory)), *temp = NULL;
	const char *argv[] = { "git", "init", "--quiet", "--bare", NULL, NULL };
	int r;

	if (access(directory, F_OK) == 0)
		return 0;
	r = fs_mkdir_p(AT_FDCWD, parent, 0755);
	if (r < 0)
		return diag_errno(ctx->diag, "source", NULL, -r, "Cannot make the directory %s", parent);
	temp = xasprintf("%s/.new-XXXXXX", parent);
	if (!mkdtemp(temp))
		return diag_errno(ctx->diag, "source", NULL, errno, "Cannot make a directory in %s", parent);
	argv[4] = temp;
	chmod(temp, 0755);
	r = sources_run(ctx, argv, "Failed to initialise repository", NULL);
	/* if another was quicker, his is as good */
	if (r == 0 && rename(temp, directory) < 0 && errno != ENOTEMPTY && errno != EEXIST)
		r = diag_errno(ctx->diag, "source", NULL, errno, "Cannot make the repository %s", directory);
	(void)fs_remove_all(AT_FDCWD, temp);
	return r;
}

int git_lock(struct sources_context *ctx, const char *directory)
{
	return sources_lock(ctx, open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), directory);
}

/* ---- fetching ---- */

char *git_exact_tag(const char *ref, const char **commit)
{
	const char *last = NULL;

	for (const char *at = strstr(ref, "-0-g"); at; at = strstr(at + 1, "-0-g"))
		last = at;
	if (!last)
		return NULL;
	*commit = last + strlen("-0-g");
	return xstrndup(ref, (size_t)(last - ref));
}

int git_advertises(struct sources_context *ctx, const char *directory, const char *url, const char *tag,
		   const char *commit)
{
	_cleanup_free_ char *fail = xasprintf("Failed to list advertised remote refs from git repository %s", url);
	_cleanup_free_ char *line = xasprintf("%s\trefs/tags/%s", commit, tag);
	const char *arguments[] = { "ls-remote", url, NULL };
	_cleanup_buf_ struct buf output = BUF_INIT;
	int r = git_run(ctx, directory, arguments, fail, &output);
	size_t len = strlen(line);

	if (r < 0)
		return r;
	for (const char *at = buf_text(&output); at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, len) == 0 && (at[len] == '\n' || !at[len] || str_starts(at + len, "^{}")))
			return 1;
		if (!*at)
			break;
	}
	return 0;
}

/* The one tag alone.  1: it came; 0: it takes more. */
static int fetch_tag(struct sources_context *ctx, const struct git_mirror *mirror, const char *url)
{
	_cleanup_free_ char *spec = NULL, *tag = NULL;
	const char *commit = NULL;
	const char *arguments[] = { "fetch", "--depth=1", url, NULL, NULL };
	int r;

	tag = git_exact_tag(mirror->ref, &commit);
	if (!tag)
		return 0;
	r = git_advertises(ctx, mirror->directory, url, tag, commit);
	if (r <= 0) {
		if (r == 0)
			sources_say(ctx, "%s is not advertised on %s. Fetching all Git refs", mirror->ref, url);
		return r;
	}
	spec = xasprintf("+refs/tags/%s:refs/tags/%s", tag, tag);
	arguments[3] = spec;
	r = git_probe(ctx, mirror->directory, arguments, NULL);
	if (r > 0)
		sources_say(ctx, "Failed to fetch tag '%s' from %s. Fetching all Git refs", tag, url);
	return r < 0 ? r : r == 0;
}

static int fetch_from(struct sources_context *ctx, const struct git_mirror *mirror, const char *url)
{
	_cleanup_free_ char *fail = xasprintf("Failed to fetch from remote git repository: %s", url);
	const char *arguments[] = { "fetch", "--prune", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*",
				    NULL };
	int r = git_check_ref(ctx, url);

	if (r < 0)
		return r;
	sources_say(ctx, "Fetching from %s", url);
	r = fetch_tag(ctx, mirror, url);
	if (r == 0)
		r = git_run(ctx, mirror->directory, arguments, fail, NULL);
	if (r == -EIO)
		ctx->temporary = true;
	if (r < 0)
		return r;
	if (git_has_ref(ctx, mirror->directory, mirror->ref))
		return 0;
	diag_set(ctx->diag, "source", NULL, "expected ref '%s' was not found in git repository: '%s'", mirror->ref,
		 mirror->url);
	return -ENOENT;
}

int git_mirror_fetch(struct sources_context *ctx, const struct git_mirror *mirror)
{
	_cleanup_close_ int lock = -1;
	const char *fallback[2];
	int r = git_check_ref(ctx, mirror->ref);

	if (r == 0)
		r = git_ensure_repository(ctx, mirror->directory);
	if (r == 0) {
		lock = git_lock(ctx, mirror->directory);
		r = lock;
	}
	if (r < 0)
		return r;
	if (git_has_ref(ctx, mirror->directory, mirror->ref))
		return 0;
	r = -EINVAL;
	for (const char *const *url = sources_urls(ctx, mirror->url, mirror->translated, false, fallback); *url; url++) {
		r = fetch_from(ctx, mirror, *url);
		if (r == 0 || r == -ECANCELED)
			return r;
	}
	return r;
}

/* ---- reading ---- */

int git_checkout(struct sources_context *ctx, const char *mirror, const char *ref, const char *directory)
{
	_cleanup_free_ char *git_dir = xasprintf("--git-dir=%s", mirror), *work_tree = xasprintf("--work-tree=%s", directory);
	_cleanup_free_ char *index = xasprintf("GIT_INDEX_FILE=%s.index", directory);
	_cleanup_free_ char *fail = xasprintf("Failed to checkout git ref %s", ref);
	const char *argv[] = { "git", git_dir, work_tree, "-c", "core.bare=false", "read-tree", "--reset", "-u", ref, NULL };
	const char *environment[] = { index, NULL };
	const struct sources_command command = { .argv = argv, .environment = environment, .directory = directory,
						 .fail = fail };
	int r = git_check_ref(ctx, ref);

	if (r == 0)
		r = sources_command(ctx, &command);
	unlink(strchr(index, '=') + 1);
	return r;
}

/* HEAD becomes ref's commit, and the index what that has. */
static int settle(struct sources_context *ctx, const char *directory, const char *ref)
{
	_cleanup_free_ char *fail = xasprintf("Failed to checkout git ref %s", ref);
	_cleanup_free_ char *commit = xasprintf("%s^{commit}", ref), *git_dir = xasprintf("%s/.git", directory);
	_cleanup_buf_ struct buf name = BUF_INIT;
	const char *parse[] = { "rev-parse", "--verify", commit, NULL };
	const char *detach[] = { "update-ref", "--no-deref", "HEAD", NULL, NULL };
	const char *reset[] = { "git", "reset", "--quiet", NULL };
	const struct sources_command index = { .argv = reset, .directory = directory, .fail = fail };
	int r = git_run(ctx, git_dir, parse, fail, &name);

	if (r < 0)
		return r;
	while (name.len && name.data[name.len - 1] == '\n')
		name.data[--name.len] = '\0';
	detach[3] = buf_text(&name);
	r = git_run(ctx, git_dir, detach, fail, NULL);
	return r < 0 ? r : sources_command(ctx, &index);
}

int git_adopt(struct sources_context *ctx, const struct git_mirror *mirror, const char *repository, const char *directory)
{
	_cleanup_free_ char *fail = xasprintf("Failed to clone git mirror %s in directory: %s", repository, directory);
	_cleanup_free_ char *clone = xasprintf("%s/.millrace-clone", directory), *made = xasprintf("%s/.git", clone);
	_cleanup_free_ char *git_dir = xasprintf("%s/.git", directory), *remote_fail = NULL;
	const char *url = mirror->translated ? mirror->translated : mirror->url;
	const char *copy[] = { "git", "clone", "--quiet", "--no-checkout", repository, clone, NULL };
	const char *remote[] = { "remote", "set-url", "origin", url, NULL };
	int r = sources_run(ctx, copy, fail, NULL);

	remote_fail = xasprintf("Failed to add remote origin \"%s\"", url);
	if (r == 0)
		r = fs_remove_all(AT_FDCWD, git_dir);
	if (r == 0 && rename(made, git_dir) < 0)
		r = diag_errno(ctx->diag, "source", NULL, errno, "Cannot make %s", git_dir);
	(void)fs_remove_all(AT_FDCWD, clone);
	if (r == 0)
		r = git_run(ctx, git_dir, remote, remote_fail, NULL);
	return r < 0 ? r : settle(ctx, directory, mirror->ref);
}

static int warn_inconsistent(struct sources_context *ctx, const char *path)
{
	bool git = ctx->source && str_eq(ctx->source->ops->name, "git");
	_cleanup_free_ char *detail = xasprintf("The submodule '%s' is defined either in the BuildStream source\n"
						"definition, or in a .gitmodules file. But the submodule was never added to the\n"
						"underlying git repository with `git submodule add`.", path);

	return sources_warn(ctx, git ? "git:inconsistent-submodule" : NULL, detail, "Ignoring inconsistent submodule '%s'",
			    path);
}

/* The commit that the tree of ref has at path, in arena.  1, 0: nothing like that there, <0. */
static int submodule_ref(struct sources_context *ctx, const char *directory, const char *ref, const char *path,
			 struct arena *arena, const char **ret)
{
	_cleanup_free_ char *fail = xasprintf("ls-tree failed for commit %s and submodule: %s", ref, path);
	const char *arguments[] = { "ls-tree", "--", ref, path, NULL };
	_cleanup_buf_ struct buf output = BUF_INIT;
	const char *at;
	size_t len;
	int r = git_run(ctx, directory, arguments, fail, &output);

	if (r < 0)
		return r;
	at = strchr(buf_text(&output), ' ');
	if (!at || !str_starts(at, " commit ")) {
		return warn_inconsistent(ctx, path);
	}
	at += strlen(" commit ");
	len = strcspn(at, " \t\n");
	if (len != SHA1_HEX) {
		diag_set(ctx->diag, "source", NULL, "Error reading commit information for submodule '%s'", path);
		return -EBADMSG;
	}
	*ret = arena_strndup(arena, at, len);
	return 1;
}

/* A place in the tree, and nowhere else. */
static bool is_inside(const char *path)
{
	bool empty = true;

	for (const char *at = path; *at;) {
		size_t len = strcspn(at, "/");

		if ((len == 2 && at[0] == '.' && at[1] == '.') || (len == 4 && strncasecmp(at, ".git", 4) == 0))
			return false;
		empty = empty && (len == 0 || (len == 1 && *at == '.'));
		at += len;
		at += *at == '/';
	}
	return *path != '/' && !empty;
}

struct modules {
	struct sources_context *ctx;
	const char *directory, *ref;
	struct arena *arena;
	struct git_submodule *at;
	size_t count, cap;
	bool in_module;
	char *path, *url;
};

static void forget_values(struct modules *modules)
{
	free(modules->path);
	free(modules->url);
	modules->path = modules->url = NULL;
	modules->in_module = false;
}

/* What stands between two sections. */
static int end_section(struct modules *modules)
{
	struct git_submodule module = { 0 };
	int r = 0;

	if (modules->in_module && (!modules->path || !modules->url || !is_inside(modules->path) ||
				   modules->count == SUBMODULES_MAX)) {
		diag_set(modules->ctx->diag, "source", NULL, "Cannot make sense of .gitmodules at ref %s: path '%s', url '%s'",
			 modules->ref, modules->path ? modules->path : "", modules->url ? modules->url : "");
		r = -EBADMSG;
	} else if (modules->in_module) {
		r = submodule_ref(modules->ctx, modules->directory, modules->ref, modules->path, modules->arena, &module.ref);
	}
	if (r > 0) {
		module.path = arena_strdup(modules->arena, modules->path);
		module.url = arena_strdup(modules->arena, modules->url);
		modules->at = util_grow(modules->at, &modules->cap, modules->count + 1, sizeof *modules->at);
		modules->at[modules->count++] = module;
	}
	forget_values(modules);
	return MIN(r, 0);
}

static void keep_value(struct modules *modules, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len), *colon = memchr(line, ':', len), *value;
	char **to = NULL;
	size_t name_len;

	if (colon && (!equals || colon < equals))
		equals = colon;
	if (!equals)
		return;
	name_len = (size_t)(equals - line);
	while (name_len && isspace((unsigned char)line[name_len - 1]))
		name_len--;
	if (name_len == 4 && strncasecmp(line, "path", 4) == 0)
		to = &modules->path;
	else if (name_len == 3 && strncasecmp(line, "url", 3) == 0)
		to = &modules->url;
	if (!to)
		return;
	for (value = equals + 1; value < line + len && isspace((unsigned char)*value);)
		value++;
	free(*to);
	*to = xstrndup(value, (size_t)(line + len - value));
}

/* The peer reads .gitmodules as Python's RawConfigParser does, each line without the blanks around it. */
static int parse_modules(struct modules *modules, const char *text)
{
	static const char start[] = "[submodule \"";
	int r = 0;

	while (r == 0 && *text) {
		size_t len = strcspn(text, "\r\n"), full = len;
		const char *line = text;

		while (len && isspace((unsigned char)*line)) {
			line++;
			len--;
		}
		while (len && isspace((unsigned char)line[len - 1]))
			len--;
		text += full;
		text += *text != '\0';
		if (!len || *line == '#' || *line == ';')
			continue;
		if (*line == '[') {
			r = end_section(modules);
			modules->in_module = len > strlen(start) && strncmp(line, start, strlen(start)) == 0;
		} else {
			keep_value(modules, line, len);
		}
	}
	return r == 0 ? end_section(modules) : r;
}

int git_submodules(struct sources_context *ctx, const char *directory, const char *ref, struct arena *arena,
		   struct git_submodule **ret, uint32_t *ret_count)
{
	struct modules modules = { .ctx = ctx, .directory = directory, .ref = ref, .arena = arena };
	_cleanup_free_ char *file = xasprintf("%s:.gitmodules", ref);
	const char *arguments[] = { "show", file, NULL };
	_cleanup_buf_ struct buf output = BUF_INIT;
	int r = git_probe(ctx, directory, arguments, &output);

	*ret = NULL;
	*ret_count = 0;
	if (r == 128) /* no such file */
		return 0;
	if (r > 0) {
		diag_set(ctx->diag, "source", NULL, "Failed to show gitmodules at ref %s", ref);
		r = -EIO;
	}
	if (r == 0)
		r = parse_modules(&modules, buf_text(&output));
	if (r == 0 && modules.count) {
		*ret = arena_memdup(arena, modules.at, modules.count * sizeof *modules.at);
		*ret_count = (uint32_t)modules.count;
	}
	free(modules.at);
	forget_values(&modules);
	return r;
}

/* The objects that git_repo stages: chosen as the peer does, copied by git itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/map.h"
#include "sources/git_repo.h"

enum { SHA1_HEX = 40, SHA1_BYTES = 20, CHUNK_OBJECTS = 500, TAG_DEPTH_MAX = 16 };

struct history {
	struct sources_context *ctx;
	const struct git_repo *repo;
	const char *git_dir;
	struct arena arena;
	struct strmap chosen;  /* objects to copy */
	struct buf shallow;    /* commits whose parents are not all among them */
	struct buf names;      /* commits and trees, one a line, to look into */
};

static bool add(struct history *history, const char *name)
{
	if (strmap_get(&history->chosen, name, SHA1_HEX) != STRMAP_NONE)
		return false;
	strmap_put(&history->chosen, arena_strndup(&history->arena, name, SHA1_HEX), SHA1_HEX, 1);
	return true;
}

static int broken(struct history *history, const char *what)
{
	diag_set(history->ctx->diag, "source", NULL, "Cannot read the repository %s: %s",
		 history->repo->mirror.directory, what);
	return -EBADMSG;
}

/* A git command in the mirror that reads `input`. */
static int feed(struct history *history, const char *const *argv, const struct buf *input, struct buf *output, int fd)
{
	_cleanup_close_ int in = memfd_create("objects", MFD_CLOEXEC);
	struct sources_command command = { .argv = argv, .input = in, .output = output, .output_fd = fd,
					   .fail = "Failed to read git objects" };
	int r = in < 0 ? -errno : fs_write_all(in, buf_text(input), input->len);

	if (r == 0 && lseek(in, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? diag_errno(history->ctx->diag, "source", NULL, -r, "Cannot run git") :
		       sources_command(history->ctx, &command);
}

/* ---- which commits ---- */

/* The commit that the tag means; the tag's own objects are chosen on the way. */
static int follow_tag(struct history *history, char commit[SHA1_HEX + 1])
{
	const struct git_repo *repo = history->repo;
	const char *parse[] = { "rev-parse", "--verify", repo->tag, NULL };
	_cleanup_buf_ struct buf name = BUF_INIT, text = BUF_INIT;
	_cleanup_free_ char *path = xasprintf("%s/%s", history->git_dir, repo->tag);
	int r = git_run(history->ctx, repo->mirror.directory, parse, "Cannot find the tag", &name);

	if (r == 0 && name.len != SHA1_HEX + 1)
		r = broken(history, repo->tag);
	if (r < 0)
		return r;
	r = fs_mkdir_parent(AT_FDCWD, path, 0755);
	if (r == 0)
		r = fs_write_file(AT_FDCWD, path, name.data, name.len, 0644);
	if (r < 0)
		return diag_errno(history->ctx->diag, "source", NULL, -r, "Cannot write %s", path);
	memcpy(commit, name.data, SHA1_HEX);
	commit[SHA1_HEX] = '\0';
	for (unsigned i = 0; i < TAG_DEPTH_MAX; i++) {
		const char *type[] = { "cat-file", "-t", commit, NULL }, *content[] = { "cat-file", "tag", commit, NULL };

		buf_clear(&text);
		r = git_run(history->ctx, repo->mirror.directory, type, "Cannot read the tag", &text);
		if (r < 0 || str_eq(buf_text(&text), "commit\n"))
			return r;
		buf_clear(&text);
		r = git_run(history->ctx, repo->mirror.directory, content, "Tag does not point to a commit", &text);
		if (r < 0)
			return r;
		add(history, commit);
		if (!str_starts(buf_text(&text), "object ") || text.len < strlen("object ") + SHA1_HEX)
			return broken(history, repo->tag);
		memcpy(commit, text.data + strlen("object "), SHA1_HEX);
	}
	return broken(history, repo->tag);
}

static int list_commits(struct history *history, struct buf *ret)
{
	const struct git_repo *repo = history->repo;
	char base[SHA1_HEX + 1];
	_cleanup_free_ char *parents = NULL;
	const char *arguments[] = { "rev-list", repo->commit, "--not", NULL, NULL };
	int r;

	if (repo->tag && (r = follow_tag(history, base)) < 0)
		return r;
	if (!repo->tag || str_eq(base, repo->commit)) {
		buf_printf(ret, "%s\n", repo->commit);
		return 0;
	}
	parents = xasprintf("%s^@", base);
	arguments[3] = parents;
	return git_run(history->ctx, repo->mirror.directory, arguments, "Cannot list the commits", ret);
}

/* ---- what is in them ---- */

static void look_into_tree(struct history *history, const char *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t at = 0; at < len;) {
		const char *end = memchr(data + at, '\0', len - at);
		size_t next = end ? (size_t)(end - data) + 1 : len;
		char name[SHA1_HEX];

		if (next + SHA1_BYTES > len)
			break;
		for (unsigned i = 0; i < SHA1_BYTES; i++) {
			name[2 * i] = digits[(unsigned char)data[next + i] >> 4];
			name[2 * i + 1] = digits[(unsigned char)data[next + i] & 15];
		}
		if (strncmp(data + at, "120000 ", 7) == 0)
			add(history, name);
		at = next + SHA1_BYTES;
	}
}

static void look_into_commit(struct history *history, const char *name, const char *data, size_t len)
{
	static const char parent[] = "\nparent ";
	const char *end = memmem(data, len, "\n\n", 2);
	size_t header = end ? (size_t)(end - data) : len;

	for (const char *at = data; (at = memmem(at, header - (size_t)(at - data), parent, strlen(parent)));) {
		at += strlen(parent);
		if (header - (size_t)(at - data) < SHA1_HEX)
			return;
		if (strmap_get(&history->chosen, at, SHA1_HEX) == STRMAP_NONE) {
			buf_printf(&history->shallow, "%.*s\n", SHA1_HEX, name);
			return;
		}
	}
}

/* "<name> <type> <size>\n<content>\n", again and again. */
static int look_into(struct history *history, const struct buf *objects)
{
	const char *at = buf_text(objects), *end = at + objects->len;

	while (at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at)), *type = at + SHA1_HEX + 1, *size;
		size_t len;

		size = line && line - at > SHA1_HEX + 2 ? memchr(type, ' ', (size_t)(line - type)) : NULL;
		if (!size)
			return broken(history, "unexpected output of git cat-file");
		len = strtoul(size + 1, NULL, 10);
		if (len > (size_t)(end - line) - 1)
			return broken(history, "unexpected output of git cat-file");
		if (strncmp(type, "tree ", 5) == 0)
			look_into_tree(history, line + 1, len);
		else if (strncmp(type, "commit ", 7) == 0)
			look_into_commit(history, at, line + 1, len);
		at = line + 1 + len + 1;
	}
	return 0;
}

static int look_into_all(struct history *history)
{
	_cleanup_free_ char *git_dir = xasprintf("--git-dir=%s", history->repo->mirror.directory);
	const char *argv[] = { "git", git_dir, "cat-file", "--batch", "--buffer", NULL };
	const size_t line = SHA1_HEX + 1, chunk = CHUNK_OBJECTS * line;
	int r = 0;

	if (history->names.len % line != 0)
		return broken(history, "unexpected output of git rev-list");
	for (size_t at = 0; at < history->names.len; at += line)
		add(history, history->names.data + at);
	for (size_t at = 0; r == 0 && at < history->names.len; at += chunk) {
		_cleanup_buf_ struct buf input = BUF_INIT, output = BUF_INIT;

		buf_add(&input, history->names.data + at, MIN(chunk, history->names.len - at));
		r = feed(history, argv, &input, &output, 0);
		if (r == 0)
			r = look_into(history, &output);
	}
	return r;
}

/* ---- copying ---- */

static int copy_chosen(struct history *history)
{
	_cleanup_free_ char *from = xasprintf("--git-dir=%s", history->repo->mirror.directory);
	_cleanup_free_ char *to = xasprintf("--git-dir=%s", history->git_dir);
	const char *pack[] = { "git", from, "pack-objects", "-q", "--stdout", "--window=0", NULL };
	/* as hard as the peer's library compresses, so that the files are the same */
	const char *unpack[] = { "git", to, "-c", "core.looseCompression=-1", "unpack-objects", "-q", NULL };
	_cleanup_close_ int fd = memfd_create("pack", MFD_CLOEXEC);
	struct sources_command command = { .argv = unpack, .input = fd, .fail = "Failed to copy git objects" };
	_cleanup_buf_ struct buf list = BUF_INIT;
	int r = fd < 0 ? diag_errno(history->ctx->diag, "source", NULL, errno, "Cannot copy git objects") : 0;

	for (uint32_t i = 0; i < history->chosen.cap; i++)
		if (history->chosen.slots[i].key)
			buf_printf(&list, "%s\n", history->chosen.slots[i].key);
	if (r == 0)
		r = feed(history, pack, &list, NULL, fd);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = diag_errno(history->ctx->diag, "source", NULL, errno, "Cannot copy git objects");
	return r < 0 ? r : sources_command(history->ctx, &command);
}

static int write_shallow(struct history *history)
{
	_cleanup_free_ char *path = xasprintf("%s/shallow", history->git_dir);
	int r = 0;

	if (history->shallow.len)
		r = fs_write_file(AT_FDCWD, path, history->shallow.data, history->shallow.len, 0644);
	return r < 0 ? diag_errno(history->ctx->diag, "source", NULL, -r, "Cannot write %s", path) : 0;
}

static void release(struct history *history)
{
	strmap_release(&history->chosen);
	buf_release(&history->shallow);
	buf_release(&history->names);
	arena_release(&history->arena);
}

int git_repo_copy_commit(struct sources_context *ctx, const struct git_repo *repo, const char *git_dir)
{
	struct history history = { .ctx = ctx, .repo = repo, .git_dir = git_dir };
	int r;

	add(&history, repo->commit);
	buf_printf(&history.shallow, "%s\n", repo->commit);
	r = copy_chosen(&history);
	if (r == 0)
		r = write_shallow(&history);
	release(&history);
	return r;
}

int git_repo_copy_history(struct sources_context *ctx, const struct git_repo *repo, const char *git_dir)
{
	struct history history = { .ctx = ctx, .repo = repo, .git_dir = git_dir };
	_cleanup_free_ char *mirror = xasprintf("--git-dir=%s", repo->mirror.directory);
	/* all trees of these commits, whatever their parents have */
	const char *trees[] = { "git", mirror, "rev-list", "--objects", "--no-walk", "--filter=blob:none", "--no-object-names",
				"--stdin", NULL };
	_cleanup_buf_ struct buf commits = BUF_INIT;
	int r = list_commits(&history, &commits);

	if (r == 0)
		r = feed(&history, trees, &commits, &history.names, 0);
	if (r == 0)
		r = look_into_all(&history);
	if (r == 0)
		r = copy_chosen(&history);
	if (r == 0)
		r = write_shallow(&history);
	release(&history);
	return r;
}

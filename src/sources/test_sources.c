/* Unit tests of room sources: archives good and hostile, downloads over file: and HTTP, elements' sources as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sources/test_rig.h"
#include "sources/unpack.h"

/* One ustar member. */
static void member(struct buf *out, const char *name, char type, unsigned mode, const char *link, const char *content)
{
	char block[512] = { 0 };
	unsigned sum = 0;
	size_t len = strlen(content);

	snprintf(block, 100, "%s", name);
	snprintf(block + 100, 8, "%07o", mode);
	snprintf(block + 108, 8, "%07o", 0u);
	snprintf(block + 116, 8, "%07o", 0u);
	snprintf(block + 124, 12, "%011o", (unsigned)len);
	snprintf(block + 136, 12, "%011o", 0u);
	memset(block + 148, ' ', 8);
	block[156] = type;
	snprintf(block + 157, 100, "%s", link);
	memcpy(block + 257, "ustar\00000", 8);
	for (unsigned i = 0; i < sizeof block; i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 7, "%06o", sum);
	buf_add(out, block, sizeof block);
	memset(block, 0, sizeof block);
	if (len) {
		memcpy(block, content, len);
		buf_add(out, block, sizeof block);
	}
}

static int listed(void *data, const char *path, const struct cas_entry *entry)
{
	buf_printf(data, "%s%s ", path, entry->type == CAS_DIRECTORY ? "/" : entry->executable ? "*" : "");
	return 0;
}

/* What an archive becomes, as a listing; the errno if it is refused. */
static int unpacked(struct buf *archive, const char *base, struct buf *ret)
{
	static const struct archive_rules rules = { .format = ARCHIVE_TAR };
	static const char end[1024];
	char path[] = "/tmp/test-sources-tar-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC), r;
	struct digest digest;

	unlink(path);
	buf_add(archive, end, sizeof end);
	assert_int_equal(fs_write_all(fd, archive->data, archive->len), 0);
	lseek(fd, 0, SEEK_SET);
	r = sources_archive_tree(&ctx, fd, &rules, base, &digest);
	buf_clear(ret);
	if (r == 0)
		assert_int_equal(cas_walk(cas, &digest, listed, ret), 0);
	close_fd(fd);
	buf_clear(archive);
	return r;
}

static void test_archive_rules(void **state)
{
	struct buf archive = BUF_INIT, list = BUF_INIT;

	member(&archive, "pkg-1/", '5', 0755, "", "");
	member(&archive, "pkg-1/run", '0', 0755, "", "x");
	member(&archive, "pkg-1/group", '0', 0654, "", "x");
	member(&archive, "pkg-1/null", '3', 0644, "", "");
	member(&archive, "pkg-1/fifo", '6', 0644, "", "");
	member(&archive, "pkg-1/empty/", '5', 0700, "", "");
	member(&archive, "pkg-1/hard", '1', 0755, "pkg-1/run", "");
	member(&archive, "pkg-1/abs", '2', 0777, "/usr/bin", "");
	member(&archive, "pkg-2/other", '0', 0644, "", "x");
	assert_int_equal(unpacked(&archive, "*", &list), 0);
	assert_string_equal(list.data, "abs group hard* run* empty/ ");

	member(&archive, "./", '5', 0755, "", "");
	member(&archive, "./a", '0', 0644, "", "x");
	assert_int_equal(unpacked(&archive, "*", &list), 0);
	assert_string_equal(list.data, "a ");

	member(&archive, "dir/a", '0', 0644, "", "x");
	assert_int_equal(unpacked(&archive, "", &list), 0);
	assert_string_equal(list.data, "dir/ dir/a ");

	member(&archive, "dir/a", '0', 0644, "", "x");
	assert_int_equal(unpacked(&archive, "nope", &list), -ENOENT);
	assert_string_equal(diag.message.data, "Could not find base directory matching pattern: nope");

	/* through a link inside is fine */
	member(&archive, "real/", '5', 0755, "", "");
	member(&archive, "link", '2', 0777, "real", "");
	member(&archive, "link/file", '0', 0644, "", "x");
	assert_int_equal(unpacked(&archive, "", &list), 0);
	assert_string_equal(list.data, "link real/ real/file ");
	buf_release(&archive);
	buf_release(&list);
}

static void hostile(const char *name, char type, const char *link, const char *then)
{
	struct buf archive = BUF_INIT, list = BUF_INIT;

	member(&archive, name, type, 0644, link, "");
	if (then)
		member(&archive, then, '0', 0644, "", "x");
	assert_int_equal(unpacked(&archive, "", &list), -EPERM);
	assert_string_equal(diag.reason, "unsafe-archive");
	buf_release(&archive);
	buf_release(&list);
}

static void test_hostile_archives(void **state)
{
	hostile("../evil", '0', "", NULL);
	hostile("a/../../evil", '0', "", NULL);
	hostile("/etc/evil", '0', "", NULL);
	hostile("out", '2', "/etc", "out/evil");
	hostile("out", '2', "../..", "out/evil");
	hostile("d/out", '2', "../../x", "d/out/evil");
	hostile("loop", '2', "loop", "loop/evil");
	hostile("hard", '1', "../../etc/passwd", NULL);
	hostile("hard", '1', "/etc/passwd", NULL);
}

static void test_broken_archive(void **state)
{
	struct buf archive = BUF_INIT, list = BUF_INIT;

	buf_adds(&archive, "this is no archive, whatever it says");
	assert_int_equal(unpacked(&archive, "", &list), -EBADMSG);
	assert_true(str_starts(diag.message.data, "Error staging source: "));
	buf_release(&archive);
	buf_release(&list);
}

/* ---- elements ---- */

static char *write_file(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", scratch, name);

	assert_int_equal(fs_write_file(AT_FDCWD, path, text, strlen(text), 0644), 0);
	return path;
}

static struct kinds_remote *remote_source(struct graph_source *source, const char *url, const char *content)
{
	struct kinds_remote *remote = ARENA_NEW(&graph.arena, struct kinds_remote);
	struct digest digest;
	char hex[DIGEST_HEX + 1];

	digest_of(&digest, content, strlen(content));
	digest_to_hex(hex, digest.hash);
	remote->download.original_url = "alias:path/file.txt";
	remote->download.url = arena_strdup(&graph.arena, url);
	remote->download.ref = arena_strdup(&graph.arena, hex);
	remote->filename = "file.txt";
	source->ops = kinds_find_source("remote");
	source->config = remote;
	set_key(source, "[\"alias:path/file.txt\"]");
	return remote;
}

static void test_element(void **state)
{
	struct graph_source *sources = set_sources(2);
	struct kinds_local *local = ARENA_NEW(&graph.arena, struct kinds_local);
	char *path = write_file("download", "content"), *url = xasprintf("file://%s", path);
	struct kinds_remote *remote = remote_source(&sources[1], url, "content");
	struct digest digest, again;
	struct buf list = BUF_INIT;
	char *kept;

	local->path = "local";
	local->fullpath = path;
	local->digest.size_bytes = -1;
	sources[0].ops = kinds_find_source("local");
	sources[0].config = local;
	sources[0].directory = "/sub/dir";
	set_key(&sources[0], "\"abc\"");
	remote->executable = true;
	assert_int_equal(sources_cached(cas, &graph, 0, &digest), 0);
	assert_int_equal(sources_have_originals(&ctx), 0);
	assert_int_equal(sources_stage(&ctx, &digest), -ENOENT);
	assert_int_equal(sources_fetch(&ctx, 0, &digest), 0);
	assert_int_equal(cas_walk(cas, &digest, listed, &list), 0);
	assert_string_equal(list.data, "file.txt* sub/ sub/dir/ sub/dir/download ");
	assert_int_equal(sources_cached(cas, &graph, 0, &again), 1);
	assert_true(digest_eq(&digest, &again));
	assert_int_equal(sources_fetch(&ctx, 0, &again), 1);
	assert_int_equal(sources_have_originals(&ctx), 1);
	kept = xasprintf("%s/remote/alias_path_file_txt/%s", sourcedir, remote->download.ref);
	assert_int_equal(access(kept, R_OK), 0);
	free(kept);
	free(path);
	free(url);
	buf_release(&list);
}

static const char *const *two_urls(void *data, const char *original, const char *translated, bool tracking)
{
	return data;
}

static void test_wrong_digest_and_mirrors(void **state)
{
	struct graph_source *source = set_sources(1);
	char *wrong = write_file("wrong", "bad"), *right = write_file("right", "good");
	char *wrong_url = xasprintf("file://%s", wrong), *right_url = xasprintf("file://%s", right);
	const char *urls[] = { "file:///nowhere/at/all", wrong_url, right_url, NULL };
	struct digest digest;

	remote_source(source, wrong_url, "good");
	ctx.temporary = true;
	assert_true(sources_fetch(&ctx, 0, &digest) < 0);
	assert_non_null(strstr(diag.message.data, "has sha256sum '"));
	assert_false(ctx.temporary);
	assert_non_null(strstr(diag.message.data, ((struct kinds_remote *)source->config)->download.ref));
	ctx.urls = two_urls;
	ctx.data = urls;
	assert_int_equal(sources_fetch(&ctx, 0, &digest), 0);

	/* A ref that is no digest is nothing we could have, and nothing that could come. */
	ctx.urls = NULL;
	remote_source(source, wrong_url, "good");
	((struct kinds_remote *)source->config)->download.ref = "../foo";
	assert_true(sources_fetch(&ctx, SOURCES_ORIGINAL, &digest) < 0);
	assert_non_null(strstr(diag.message.data, ", not '../foo'!"));
	unlink(wrong);
	assert_true(sources_fetch(&ctx, SOURCES_ORIGINAL, &digest) < 0);
	assert_non_null(strstr(diag.message.data, "Error mirroring "));
	assert_true(ctx.temporary);
	free(wrong);
	free(right);
	free(wrong_url);
	free(right_url);
}

static void test_patch(void **state)
{
	struct graph_source *sources = set_sources(2);
	struct kinds_local *local = ARENA_NEW(&graph.arena, struct kinds_local);
	struct kinds_patch *patch = ARENA_NEW(&graph.arena, struct kinds_patch);
	char *path = write_file("text", "old\n"), *diff = write_file("fix.patch", "--- a/text\n+++ b/text\n@@ -1 +1 @@\n-old\n+new\n");
	const struct cas_directory *directory;
	struct digest digest;
	struct buf text = BUF_INIT;

	if (access("/usr/bin/patch", X_OK) != 0)
		skip();
	local->path = "text";
	local->fullpath = path;
	local->digest.size_bytes = -1;
	patch->path = "fix.patch";
	patch->fullpath = diff;
	patch->strip_level = 1;
	sources[0].ops = kinds_find_source("local");
	sources[0].config = local;
	set_key(&sources[0], "\"abc\"");
	sources[1].ops = kinds_find_source("patch");
	sources[1].config = patch;
	set_key(&sources[1], "[\"fix.patch\"]");
	assert_int_equal(sources_fetch(&ctx, 0, &digest), 0);
	assert_int_equal(cas_directory_get(cas, &digest, &directory), 0);
	assert_int_equal(directory->count, 1);
	assert_int_equal(cas_get(cas, &directory->entries[0].digest, &text), 0);
	assert_string_equal(text.data, "new\n");

	assert_int_equal(fs_write_file(AT_FDCWD, path, "other\n", 6, 0644), 0);
	set_key(&sources[0], "\"def\"");
	assert_true(sources_fetch(&ctx, 0, &digest) < 0);
	assert_string_equal(diag.message.data, "Failed to apply patch fix.patch");
	assert_true(diag.detail.len > 0);
	free(path);
	free(diff);
	buf_release(&text);
}

/* ---- HTTP ---- */

/* A server for a few requests: /file with an ETag, 304 for who knows it, 404 for all else. */
static pid_t serve(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	pid = fork();
	if (pid == 0) {
		alarm(60);
		for (;;) {
			char request[4096] = "";
			const char *answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
			int fd = accept(listener, NULL, NULL);

			(void)!read(fd, request, sizeof request - 1);
			if (strstr(request, "GET /file ") && strstr(request, "If-None-Match: \"e1\""))
				answer = "HTTP/1.1 304 Not Modified\r\nETag: \"e1\"\r\nConnection: close\r\n\r\n";
			else if (strstr(request, "GET /file "))
				answer = "HTTP/1.1 200 OK\r\nETag: \"e1\"\r\nContent-Length: 7\r\nConnection: close\r\n\r\ncontent";
			else if (strstr(request, "GET /away "))
				answer = "HTTP/1.1 302 Found\r\nLocation: /file\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
			(void)!write(fd, answer, strlen(answer));
			close(fd);
		}
	}
	close(listener);
	return pid;
}

static int give_up(void *data, struct pollfd *fds, nfds_t count, int64_t deadline_us)
{
	return -ECANCELED;
}

static void test_http(void **state)
{
	struct graph_source *source = set_sources(1);
	struct sources_tracked tracked = { 0 };
	struct kinds_remote *remote;
	struct digest digest;
	char url[64];
	uint16_t port;
	pid_t server = serve(&port);

	snprintf(url, sizeof url, "http://127.0.0.1:%u/missing", port);
	remote = remote_source(source, url, "content");
	assert_true(sources_fetch(&ctx, 0, &digest) < 0);
	assert_non_null(strstr(diag.message.data, "404"));
	assert_false(ctx.temporary);
	ctx.wait = give_up;
	assert_int_equal(sources_fetch(&ctx, 0, &digest), -ECANCELED);
	ctx.wait = NULL;
	snprintf(url, sizeof url, "http://127.0.0.1:%u/away", port);
	remote->download.url = url;
	assert_int_equal(sources_fetch(&ctx, 0, &digest), 0);

	snprintf(url, sizeof url, "http://127.0.0.1:%u/file", port);
	assert_int_equal(sources_track(&ctx, 0, &tracked), 0); /* 304: what we have is the newest */
	assert_string_equal(tracked.ref.data, remote->download.ref);
	assert_int_equal(tracked.notice.len, 0);
	sources_tracked_release(&tracked);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);

	ctx.temporary = false;
	assert_true(sources_track(&ctx, 0, &tracked) < 0);
	assert_true(ctx.temporary);
}

static void add_file(const char *path, const char *text)
{
	assert_int_equal(fs_write_file(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

/* The key was made of what stood there when the project was loaded: something else is refused, however it is read. */
static void test_local_that_changed(void **state)
{
	struct graph_source *source = set_sources(1);
	struct kinds_local local = { .path = "files" };
	struct cas_statcache *statcache;
	_cleanup_free_ char *tree = xasprintf("%s/files", scratch), *file = xasprintf("%s/a", tree);
	struct digest got;

	assert_int_equal(mkdir(tree, 0755), 0);
	add_file(file, "1");
	local.fullpath = tree;
	*source = (struct graph_source){ .ops = kinds_find_source("local"), .config = &local };
	assert_int_equal(cas_statcache_new(&statcache, scratch), 0);
	assert_int_equal(cas_import(NULL, AT_FDCWD, tree, CAS_IMPORT_HASH_ONLY, statcache, &local.digest, NULL), 0);
	for (int with = 0; with < 2; with++) {
		ctx.statcache = with ? statcache : NULL;
		add_file(file, "2");
		assert_true(sources_local.tree(&ctx, source, NULL, &got) < 0);
		assert_string_equal(diag.reason, "changed");
		assert_int_equal(cas_has_tree(cas, &local.digest), 0);
		diag_release(&diag);
		memset(&diag, 0, sizeof diag);
	}
	add_file(file, "1");
	assert_int_equal(sources_local.tree(&ctx, source, NULL, &got), 0);
	assert_true(digest_eq(&got, &local.digest));
	assert_int_equal(cas_has_tree(cas, &local.digest), 1);
	cas_statcache_free(statcache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_archive_rules), TEST(test_hostile_archives), TEST(test_broken_archive), TEST(test_element),
		TEST(test_wrong_digest_and_mirrors), TEST(test_patch), TEST(test_http),
		TEST(test_local_that_changed),
	};

	return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}

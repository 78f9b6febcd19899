/* What the tests of sandboxes share: see test_rig.h. */
#include "sandbox/test_rig.h"
#include "sandbox/test_works.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

const struct graph_pair rig_environment[RIG_ENVIRONMENT] = { { "HOME", "/tmp" }, { "PATH", "/bin" }, { "QUOTED", "it's $x" } };
const char *const rig_marked[RIG_MARKED] = { "/b/e", "/i" };
char rig_base_dir[] = "/tmp/millrace-sandbox-XXXXXX";
struct cas *rig_cas;
bool rig_skipped;

/* ---- trees ---- */

void rig_put(struct cas_tree *tree, const char *path, const char *text, bool executable)
{
	struct cas_entry entry = { .type = CAS_FILE, .executable = executable };

	assert_int_equal(cas_put(rig_cas, text, strlen(text), &entry.digest), 0);
	assert_int_equal(cas_tree_put(tree, path, &entry), 0);
}

static void put_link(struct cas_tree *tree, const char *path, const char *target)
{
	assert_int_equal(cas_tree_put(tree, path, &(struct cas_entry){ .type = CAS_SYMLINK, .target = target }), 0);
}

void rig_put_base(struct cas_tree *tree)
{
	static const char *const applets[] = { "sh", "cat", "cp", "mv", "ls", "stat", "tar", "env", "id", "touch", "chmod",
					       "rm", "mkdir", "ln", "echo", "sleep", "sort", "find", "pwd", "test", "true",
					       "false", "rmdir", "readlink", "hostname", "grep", "wc", "df", "head", "ps", "dd" };
	struct cas_entry busybox = { .type = CAS_FILE, .executable = true };

	assert_int_equal(cas_put_file(rig_cas, AT_FDCWD, "/bin/busybox", &busybox.digest), 0);
	assert_int_equal(cas_tree_mkdir(tree, "bin"), 0);
	assert_int_equal(cas_tree_put(tree, "bin/busybox", &busybox), 0);
	for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
		char path[64];

		snprintf(path, sizeof path, "bin/%s", applets[i]);
		put_link(tree, path, "busybox");
	}
	assert_int_equal(cas_tree_mkdir(tree, "usr/lib/deep"), 0);
	assert_int_equal(cas_tree_mkdir(tree, "usr/empty"), 0);
	rig_put(tree, "usr/lib/one", "1", false);
	rig_put(tree, "usr/lib/two", "2", true);
	rig_put(tree, "usr/lib/deep/three", "3", false);
	put_link(tree, "usr/link", "lib");
	rig_put(tree, "usr/file", "file", false);
}

void rig_put_sources(struct cas_tree *tree)
{
	assert_int_equal(cas_tree_mkdir(tree, "b/e/dir/sub"), 0);
	rig_put(tree, "b/e/x", "same", false);
	rig_put(tree, "b/e/y", "same", false);
	rig_put(tree, "b/e/exe", "#!/bin/sh\necho ran\n", true);
	rig_put(tree, "b/e/plain", "#!/bin/sh\necho ran\n", false);
	rig_put(tree, "b/e/dir/sub/f", "f", false);
	put_link(tree, "b/e/out", "/");
}

static int list_entry(void *data, const char *path, const struct cas_entry *entry)
{
	struct buf *out = data;

	buf_adds(out, path);
	if (entry->type == CAS_DIRECTORY)
		buf_addc(out, '/');
	else if (entry->type == CAS_SYMLINK)
		buf_printf(out, " -> %s", entry->target);
	else
		buf_printf(out, "%s %d", entry->executable ? "*" : "", (int)entry->digest.size_bytes);
	buf_addc(out, '\n');
	return 0;
}

void rig_assert_tree(struct rig *rig, const char *path, const char *expected)
{
	struct buf out = BUF_INIT;

	assert_int_equal(cas_tree_walk(sandbox_tree(rig->sandbox), path, list_entry, &out), 0);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

/* ---- running ---- */

void rig_init(struct rig *rig, bool no_overlay, const struct graph_sandbox *config)
{
	struct sandbox_spec spec = { .config = config, .marked = rig_marked, .marked_count = 2 };
	struct diag diag = DIAG_INIT;

	memset(rig, 0, sizeof *rig);
	assert_int_equal(sandbox_host_new(&rig->host, &(struct sandbox_host_options){ rig_cas, no_overlay }, &diag), 0);
	assert_int_equal(sandbox_new(&rig->sandbox, rig->host, &spec, &diag), 0);
	rig_put_base(sandbox_tree(rig->sandbox));
	assert_int_equal(sandbox_staged(rig->sandbox, &diag), 0);
	rig_put_sources(sandbox_tree(rig->sandbox));
}

void rig_release(struct rig *rig)
{
	sandbox_free(rig->sandbox);
	sandbox_host_free(rig->host);
	buf_release(&rig->log);
}

void rig_add(struct sandbox_batch *batch, const char *text, const char *cwd)
{
	const char *argv[] = { "sh", "-c", "-e", text };

	sandbox_batch_command(batch, &(struct sandbox_command){ argv, 4, text, cwd, rig_environment, ARRAY_SIZE(rig_environment) });
}

int rig_start(struct rig *rig, const char *text, bool read_only, int log_fd, struct diag *diag)
{
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	int r;

	batch.root_read_only = read_only;
	rig_add(&batch, text, "/b/e");
	r = sandbox_start(rig->sandbox, &batch, log_fd, diag);
	sandbox_batch_release(&batch);
	return r;
}

int rig_open_log(void)
{
	return open(rig_base_dir, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
}

/* The output behind the mark that the command writes first (the shell's trace of the command, before, has one too). */
static void read_log(struct rig *rig, int log_fd)
{
	struct buf all = BUF_INIT;
	const char *text, *mark;

	lseek(log_fd, 0, SEEK_SET);
	fs_read_fd(&all, log_fd, 1 << 20);
	text = buf_text(&all);
	while ((mark = strstr(text, "\x02\n")))
		text = mark + 2;
	buf_clear(&rig->log);
	buf_adds(&rig->log, text);
	buf_release(&all);
}

/* Runs one command; its output is in rig->log. */
static int run(struct rig *rig, bool read_only, const char *text)
{
	_cleanup_close_ int log_fd = rig_open_log();
	struct diag diag = DIAG_INIT;
	char *command = xasprintf("echo \x02\n%s", text);
	int r = rig_start(rig, command, read_only, log_fd, &diag);

	if (r == SANDBOX_SUCCESS)
		r = sandbox_finish(rig->sandbox, &rig->result, &diag);
	free(command);
	read_log(rig, log_fd);
	if (r < 0)
		print_error("%s %s\n%s\n", buf_text(&diag.message), buf_text(&diag.detail), buf_text(&rig->log));
	diag_release(&diag);
	return r;
}

void rig_expect(struct rig *rig, bool read_only, const char *text, const char *output)
{
	assert_int_equal(run(rig, read_only, text), SANDBOX_SUCCESS);
	assert_string_equal(buf_text(&rig->log), output);
}

/* ---- set-up ---- */

int rig_setup(void **state)
{
	struct diag diag = DIAG_INIT;

	rig_skipped = !test_sandbox_works();
	if (rig_skipped)
		print_message("no static busybox, no bwrap, or no user namespaces: sandboxes are not tested\n");
	if (!mkdtemp(rig_base_dir))
		return -1;
	return cas_new(&rig_cas, rig_base_dir, &diag);
}

int rig_teardown(void **state)
{
	cas_free(rig_cas);
	return fs_remove_all(AT_FDCWD, rig_base_dir);
}

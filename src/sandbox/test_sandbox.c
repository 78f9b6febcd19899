/* Sandboxes with a busybox root: what commands see, what layers must not get wrong, what comes back.  Everything runs
 * twice, over overlay layers and with everything copied, and must look the same. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "sandbox/sandbox_internal.h"

static const struct graph_pair environment[] = { { "HOME", "/tmp" }, { "PATH", "/bin" }, { "QUOTED", "it's $x" } };
static const char *const marked[] = { "/b/e", "/i" };
static char base_dir[] = "/tmp/millrace-sandbox-XXXXXX";
static struct cas *cas;
static bool skipped;

struct rig {
	struct sandbox_host *host;
	struct sandbox *sandbox;
	struct buf log;
	struct sandbox_result result;
};

/* ---- trees ---- */

static void put(struct cas_tree *tree, const char *path, const char *text, bool executable)
{
	struct cas_entry entry = { .type = CAS_FILE, .executable = executable };

	assert_int_equal(cas_put(cas, text, strlen(text), &entry.digest), 0);
	assert_int_equal(cas_tree_put(tree, path, &entry), 0);
}

static void put_link(struct cas_tree *tree, const char *path, const char *target)
{
	assert_int_equal(cas_tree_put(tree, path, &(struct cas_entry){ .type = CAS_SYMLINK, .target = target }), 0);
}

static void put_base(struct cas_tree *tree)
{
	static const char *const applets[] = { "sh", "cat", "cp", "mv", "ls", "stat", "tar", "env", "id", "touch", "chmod",
					       "rm", "mkdir", "ln", "echo", "sleep", "sort", "find", "pwd", "test", "true",
					       "false", "rmdir", "readlink", "hostname", "grep", "wc", "df", "head", "ps", "dd" };
	struct cas_entry busybox = { .type = CAS_FILE, .executable = true };

	assert_int_equal(cas_put_file(cas, AT_FDCWD, "/bin/busybox", &busybox.digest), 0);
	assert_int_equal(cas_tree_mkdir(tree, "bin"), 0);
	assert_int_equal(cas_tree_put(tree, "bin/busybox", &busybox), 0);
	for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
		char path[64];

		snprintf(path, sizeof path, "bin/%s", applets[i]);
		put_link(tree, path, "busybox");
	}
	assert_int_equal(cas_tree_mkdir(tree, "usr/lib/deep"), 0);
	assert_int_equal(cas_tree_mkdir(tree, "usr/empty"), 0);
	put(tree, "usr/lib/one", "1", false);
	put(tree, "usr/lib/two", "2", true);
	put(tree, "usr/lib/deep/three", "3", false);
	put_link(tree, "usr/link", "lib");
	put(tree, "usr/file", "file", false);
}

static void put_sources(struct cas_tree *tree)
{
	assert_int_equal(cas_tree_mkdir(tree, "b/e/dir/sub"), 0);
	put(tree, "b/e/x", "same", false);
	put(tree, "b/e/y", "same", false);
	put(tree, "b/e/exe", "#!/bin/sh\necho ran\n", true);
	put(tree, "b/e/plain", "#!/bin/sh\necho ran\n", false);
	put(tree, "b/e/dir/sub/f", "f", false);
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

static void assert_tree(struct rig *rig, const char *path, const char *expected)
{
	struct buf out = BUF_INIT;

	assert_int_equal(cas_tree_walk(sandbox_tree(rig->sandbox), path, list_entry, &out), 0);
	assert_string_equal(buf_text(&out), expected);
	buf_release(&out);
}

/* ---- running ---- */

static void rig_init(struct rig *rig, bool no_overlay, const struct graph_sandbox *config)
{
	struct sandbox_spec spec = { .config = config, .marked = marked, .marked_count = 2 };
	struct diag diag = DIAG_INIT;

	memset(rig, 0, sizeof *rig);
	assert_int_equal(sandbox_host_new(&rig->host, &(struct sandbox_host_options){ cas, no_overlay }, &diag), 0);
	assert_int_equal(sandbox_new(&rig->sandbox, rig->host, &spec, &diag), 0);
	put_base(sandbox_tree(rig->sandbox));
	assert_int_equal(sandbox_staged(rig->sandbox, &diag), 0);
	put_sources(sandbox_tree(rig->sandbox));
}

static void rig_release(struct rig *rig)
{
	sandbox_free(rig->sandbox);
	sandbox_host_free(rig->host);
	buf_release(&rig->log);
}

static void add(struct sandbox_batch *batch, const char *text, const char *cwd)
{
	const char *argv[] = { "sh", "-c", "-e", text };

	sandbox_batch_command(batch, &(struct sandbox_command){ argv, 4, text, cwd, environment, ARRAY_SIZE(environment) });
}

static int start(struct rig *rig, const char *text, bool read_only, int log_fd, struct diag *diag)
{
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	int r;

	batch.root_read_only = read_only;
	add(&batch, text, "/b/e");
	r = sandbox_start(rig->sandbox, &batch, log_fd, diag);
	sandbox_batch_release(&batch);
	return r;
}

static int open_log(void)
{
	return open(base_dir, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
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
	_cleanup_close_ int log_fd = open_log();
	struct diag diag = DIAG_INIT;
	char *command = xasprintf("echo \x02\n%s", text);
	int r = start(rig, command, read_only, log_fd, &diag);

	if (r == SANDBOX_SUCCESS)
		r = sandbox_finish(rig->sandbox, &rig->result, &diag);
	free(command);
	read_log(rig, log_fd);
	if (r < 0)
		print_error("%s %s\n%s\n", buf_text(&diag.message), buf_text(&diag.detail), buf_text(&rig->log));
	diag_release(&diag);
	return r;
}

static void expect(struct rig *rig, bool read_only, const char *text, const char *output)
{
	assert_int_equal(run(rig, read_only, text), SANDBOX_SUCCESS);
	assert_string_equal(buf_text(&rig->log), output);
}

/* ---- what a command sees and does: one row, one sandbox ---- */

static const struct scenario {
	const char *name, *text, *output;
	bool writable_root;
} scenarios[] = {
	{ "environment", "env | grep -v SHLVL | sort", "HOME=/tmp\nPATH=/bin\nPWD=/b/e\nQUOTED=it's $x\n" },
	{ "ids", "id; umask; pwd; hostname", "uid=0 gid=0\n0022\n/b/e\nbuildbox\n" },
	{ "modes and times", "stat -c '%a %Y %u %g %n' / /bin /bin/busybox /bin/sh /usr/lib/two . x exe dir dir/sub/f out",
	  "555 1321009871 0 0 /\n755 1321009871 0 0 /bin\n755 1321009871 0 0 /bin/busybox\n777 1321009871 0 0 /bin/sh\n"
	  "755 1321009871 0 0 /usr/lib/two\n755 1321009871 0 0 .\n644 1321009871 0 0 x\n755 1321009871 0 0 exe\n"
	  "755 1321009871 0 0 dir\n644 1321009871 0 0 dir/sub/f\n777 1321009871 0 0 out\n" },
	{ "copy one of two equal files over the other", "cp x y; cp /usr/lib/one x; cat x y", "1same" },
	{ "tar of equal files", "tar cf - x y | tar tvf - | grep -c -e '->' -e link || echo none; stat -c %h x y exe plain",
	  "0\nnone\n1\n1\n1\n1\n" },
	{ "rename of a source directory", "mv dir moved; mv moved/sub moved/bus; find moved | sort",
	  "moved\nmoved/bus\nmoved/bus/f\n" },
	{ "writing and changing mode", "echo more >>x; chmod 755 x; stat -c %a x y; cat x y; rm y; ls",
	  "755\n644\nsamemore\nsamedir\nexe\nout\nplain\nx\n" },
	{ "one blob, executable and not", "./exe; test -x plain || echo not; chmod -x exe; test -x exe || echo neither",
	  "ran\nnot\nneither\n" },
	{ "read-only root", "touch /t 2>&1 || true; touch /usr/lib/t 2>&1 || true; rm /usr/file 2>&1 || true; touch /i/t t /tmp/t /dev/shm/t",
	  "touch: /t: Permission denied\ntouch: /usr/lib/t: Read-only file system\n"
	  "rm: can't remove '/usr/file': Read-only file system\n" },
	{ "writable root", "touch /t /usr/lib/t; mv /usr/lib/one /one; cat /one; rm -r /usr/lib; ls -a /usr", "1.\n..\nempty\nfile\nlink\n", true },
	{ "clean-up of the build root", "cd /; rm -rf -- /b/e 2>&1 || true; ls -a /b/e",
	  "rm: can't remove '/b/e': Permission denied\n.\n..\n" },
	{ "files move and are linked from one writable directory to the other",
	  "mkdir /i/d; busybox mv x /i/d/x; ln y /i/d/y; ln /i/d/x z; stat -c %h /i/d/y z; cat /i/d/x z; mv dir /i/moved; ls /i/moved",
	  "2\n2\nsamesamesub\n" },
	{ "devices and mounts", "cd /dev; ls; ls -d /sys 2>&1 || true; cat </dev/null; echo x >/dev/null; cat",
	  "core\nfd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\nls: /sys: No such file or directory\n" },
	{ "no network, no privileges", "cat /proc/net/dev | wc -l; cat /proc/self/status >s; grep -E 'Cap(Eff|Bnd)|NoNew|SigIgn' s",
	  "3\nSigIgn:\t0000000000001000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\n" },
	{ "descriptors", "cd /proc/self/fd; ls; true", "0\n1\n2\n" },
	{ "times move on when files change", "touch x; test $(stat -c %Y x) -gt 1321009871 && echo later", "later\n" },
};

static void run_scenarios(bool no_overlay)
{
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
		struct rig rig;

		rig_init(&rig, no_overlay, NULL);
		print_message("  %s\n", scenarios[i].name);
		expect(&rig, !scenarios[i].writable_root, scenarios[i].text, scenarios[i].output);
		rig_release(&rig);
	}
}

static void test_scenarios_overlay(void **state)
{
	if (skipped)
		skip();
	run_scenarios(false);
}

static void test_scenarios_copy(void **state)
{
	if (skipped)
		skip();
	run_scenarios(true);
}

/* ---- what comes back ---- */

static void changes(bool no_overlay)
{
	struct rig rig;

	rig_init(&rig, no_overlay, NULL);
	expect(&rig, false,
	       "cd /usr; rm lib/one; rm -r lib/deep; mkdir lib/deep; touch lib/deep/new; " /* deleted; opaque */
	       "rm link; mkdir link; touch link/in; "                                       /* symlink -> directory */
	       "rmdir empty; ln -s lib empty; "                                             /* directory -> symlink */
	       "rm file; mkdir -p file/d; "                                                 /* file -> directory */
	       "chmod 644 lib/two; mkdir -p add/ed; ln lib/two add/hard; ln -s /etc/passwd add/abs; touch /tmp/gone; "
	       "touch 'add/n\xc3\xa4me with space'; echo 1 >add/mine; chmod 0 add/mine; mkdir add/closed; chmod 0 add/closed",
	       "");
	assert_tree(&rig, "usr",
		    "empty -> lib\nadd/\nadd/abs -> /etc/passwd\nadd/hard 1\nadd/mine 2\nadd/n\xc3\xa4me with space 0\n"
		    "add/closed/\nadd/ed/\nfile/\nfile/d/\nlib/\nlib/two 1\nlib/deep/\nlib/deep/new 0\nlink/\nlink/in 0\n");
	assert_tree(&rig, "tmp", "");
	/* the next batch sees that, normalised */
	expect(&rig, true,
	       "find /usr | sort; ls -A /tmp; cd /usr; stat -c '%a %Y' lib/two add/hard add/mine add/closed; stat -c %h lib/two",
	       "/usr\n/usr/add\n/usr/add/abs\n/usr/add/closed\n/usr/add/ed\n/usr/add/hard\n/usr/add/mine\n"
	       "/usr/add/n\xc3\xa4me with space\n/usr/empty\n/usr/file\n/usr/file/d\n/usr/lib\n/usr/lib/deep\n"
	       "/usr/lib/deep/new\n/usr/lib/two\n/usr/link\n/usr/link/in\n"
	       "644 1321009871\n644 1321009871\n644 1321009871\n755 1321009871\n1\n");
	/* under a read-only root only the marked directories come back */
	expect(&rig, true, "mkdir -p /i/usr/bin; cp exe /i/usr/bin/tool; rm -rf /b/e/* || true; touch /dev/shm/x", "");
	assert_tree(&rig, "i", "usr/\nusr/bin/\nusr/bin/tool* 19\n");
	assert_tree(&rig, "b/e", "");
	assert_int_equal(rig.result.captured_files, 1);
	rig_release(&rig);
}

static void test_changes(void **state)
{
	if (skipped)
		skip();
	changes(false);
	changes(true);
}

/* Directories of a lower layer: deleted, replaced by a file, renamed by copying, and what was below stays below. */
static void test_deletions(void **state)
{
	if (skipped)
		skip();
	for (int no_overlay = 0; no_overlay < 2; no_overlay++) {
		struct rig rig;

		rig_init(&rig, no_overlay, NULL);
		expect(&rig, false, "rm -r /usr/lib; echo now >/usr/lib; mv /usr/file /usr/empty/; mv /usr /moved; cd /; ls; cat /moved/lib",
		       "b\nbin\ndev\ni\nmoved\nproc\ntmp\nnow\n");
		assert_tree(&rig, "moved", "lib 4\nlink -> lib\nempty/\nempty/file 4\n");
		expect(&rig, true, "cat /moved/empty/file; ls /", "fileb\nbin\ndev\ni\nmoved\nproc\ntmp\n");
		rig_release(&rig);
	}
}

static void test_failure(void **state)
{
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	struct diag diag = DIAG_INIT;
	struct rig rig;
	int log_fd;

	if (skipped)
		skip();
	rig_init(&rig, false, NULL);
	log_fd = open_log();
	batch.root_read_only = true;
	add(&batch, "echo first >/i/a", "/b/e");
	add(&batch, "exit 7", "/b/e");
	add(&batch, "echo never >/i/b", "/b/e");
	assert_string_equal(buf_text(&batch.labels), "echo first >/i/a\nexit 7\necho never >/i/b");
	assert_int_equal(sandbox_start(rig.sandbox, &batch, log_fd, &diag), SANDBOX_SUCCESS);
	assert_int_equal(sandbox_finish(rig.sandbox, &rig.result, &diag), SANDBOX_COMMAND_FAILED);
	assert_int_equal(rig.result.exit_code, 7);
	assert_string_equal(rig.result.label, "exit 7");
	assert_tree(&rig, "i", "a 6\n");
	sandbox_batch_release(&batch);
	close(log_fd);
	rig_release(&rig);
}

static void test_makeflags(void **state)
{
	static const struct {
		const char *value, *expected; /* NULL: no jobserver for these */
	} cases[] = {
		{ "-j4", "-j4 --jobserver-auth=100,101" },
		{ "-s -j12 V=1", "-s -j12 --jobserver-auth=100,101 V=1" },
		{ "  -j2", "  -j2 --jobserver-auth=100,101" },
		{ "-j1", NULL }, { "-j", NULL }, { "", NULL }, { "V=1", NULL }, { "-j4x", NULL }, { "-k -- X=-j4 -j4", NULL },
	};
	const struct sandbox_jobserver jobserver = { 100, 101, NULL }, fifo = { -1, -1, "/x/y" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;

		assert_int_equal(sandbox_makeflags(&out, cases[i].value, &jobserver), cases[i].expected != NULL);
		assert_string_equal(buf_text(&out), cases[i].expected ? cases[i].expected : "");
		buf_clear(&out);
		assert_int_equal(sandbox_makeflags(&out, cases[i].value, &fifo), cases[i].expected != NULL);
		assert_int_equal(strstr(buf_text(&out), " --jobserver-auth=fifo:/dev/millrace-jobserver") != NULL, cases[i].expected != NULL);
	}
}

static void test_script(void **state)
{
	static const struct graph_pair other[] = { { "PATH", "/bin" }, { "X", "a b" } };
	const char *argv[] = { "sh", "-e", "-c", "it's" };
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;

	sandbox_batch_command(&batch, &(struct sandbox_command){ argv, 4, "it's", "/", environment, 3 });
	sandbox_batch_command(&batch, &(struct sandbox_command){ argv, 2, "", "/w", other, 2 });
	sandbox_batch_touch(&batch, ".bst-prepared");
	sandbox_batch_clean(&batch, "/b e");
	assert_string_equal(buf_text(&batch.script),
			    "(set -ex; sh -e -c 'it'\"'\"'s') || (echo Command ''\"'\"'it'\"'\"'s'\"'\"'' failed with exitcode $? >&2 ; exit 1)\n"
			    "mkdir -p /w\ncd /w\nunset HOME\nunset QUOTED\nexport X='a b'\nexport PWD=/w\n"
			    "(set -ex; sh -e) || (echo Command ''\"'\"'sh -e'\"'\"'' failed with exitcode $? >&2 ; exit 1)\n"
			    "touch -- .bst-prepared\nrm -rf -- '/b e' || true\nmkdir -p / || true\n");
	sandbox_batch_release(&batch);
}

static void test_refusals(void **state)
{
	struct diag diag = DIAG_INIT;
	struct rig rig;
	int log_fd = open_log();

	if (skipped)
		skip();
	rig_init(&rig, false, NULL);
	/* a link where a writable directory belongs must not lead out of the tree */
	expect(&rig, false, "rm -r /i; ln -s /etc /i", "");
	assert_int_equal(start(&rig, "true", true, log_fd, &diag), -ENOTDIR);
	assert_string_equal(diag.domain, "sandbox");
	diag_release(&diag);
	/* links inside a captured directory are captured, not followed */
	assert_int_equal(cas_tree_remove(sandbox_tree(rig.sandbox), "i"), 0);
	expect(&rig, true, "ln -s / /i/root; ln -s ../../../../etc /i/up; ls /b/e/out/", "b\nbin\ndev\ni\nproc\ntmp\nusr\n");
	assert_tree(&rig, "i", "root -> /\nup -> ../../../../etc\n");
	assert_int_equal(cas_tree_remove(sandbox_tree(rig.sandbox), "bin/sh"), 0);
	assert_int_equal(start(&rig, "true", true, log_fd, &diag), SANDBOX_COMMAND_MISSING);
	assert_string_equal(buf_text(&diag.message), "Staged artifacts do not provide command 'sh'");
	assert_string_equal(diag.reason, "missing-command");
	diag_release(&diag);
	close(log_fd);
	rig_release(&rig);
}

static void wait_for_log(int log_fd, off_t at_least)
{
	struct stat st;

	for (int i = 0; i < 500; i++) {
		if (fstat(log_fd, &st) == 0 && st.st_size >= at_least)
			return;
		usleep(10000);
	}
	fail();
}

static void test_kill(void **state)
{
	struct diag diag = DIAG_INIT;
	struct rig rig;
	int log_fd;
	int64_t before;

	if (skipped)
		skip();
	rig_init(&rig, false, NULL);
	log_fd = open_log();
	assert_int_equal(start(&rig, "touch /i/x; (sleep 100 &) ; echo started; sleep 100", true, log_fd, &diag), SANDBOX_SUCCESS);
	wait_for_log(log_fd, 60);
	before = util_now_us();
	sandbox_kill(rig.sandbox);
	assert_int_equal(poll(&(struct pollfd){ sandbox_pidfd(rig.sandbox), POLLIN, 0 }, 1, 1000), 1);
	assert_int_equal(sandbox_finish(rig.sandbox, &rig.result, &diag), SANDBOX_KILLED);
	assert_true(util_now_us() - before < 1000000);
	assert_tree(&rig, "i", "");
	close(log_fd);
	rig_release(&rig);
}

static unsigned count_names(const char *where, const char *prefix)
{
	char *path = xasprintf("%s/millrace/%s", base_dir, where);
	DIR *dir = opendir(path);
	unsigned count = 0;

	free(path);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.' && str_starts(entry->d_name, prefix);
	closedir(dir);
	return count;
}

static unsigned count_scratch(void)
{
	return count_names("sandboxes", "");
}

/* A process is killed while its sandbox runs: everything inside dies with it, and the next process cleans up. */
static void test_sudden_death(void **state)
{
	struct diag diag = DIAG_INIT;
	struct rig rig;
	int fds[2];
	char text[4096];
	pid_t pid;

	if (skipped)
		skip();
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		rig_init(&rig, false, NULL);
		start(&rig, "(trap '' TERM HUP; sleep 100) & echo run''ning; sleep 100", true, fds[1], &diag);
		pause();
	}
	close(fds[1]);
	for (size_t len = 0; len < sizeof text - 1;) {
		ssize_t n = read(fds[0], text + len, sizeof text - 1 - len);

		assert_true(n > 0);
		len += (size_t)n;
		text[len] = '\0';
		if (strstr(text, "running"))
			break;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* nobody inside holds the other end any more */
	assert_int_equal(poll(&(struct pollfd){ fds[0], POLLIN, 0 }, 1, 5000), 1);
	assert_int_equal(read(fds[0], text, sizeof text), 0);
	close(fds[0]);
	rig_init(&rig, false, NULL);
	assert_true(count_scratch() >= 1);
	sandbox_host_sweep(rig.host);
	assert_int_equal(count_scratch(), 0);
	rig_release(&rig);
}

static int stop_at(void *data)
{
	return --*(int *)data ? 0 : -ECANCELED;
}

/* Giving up while the root is written or captured. */
static void test_give_up(void **state)
{
	struct diag diag = DIAG_INIT;
	struct rig rig;
	int left = 3, log_fd = open_log();

	if (skipped)
		skip();
	rig_init(&rig, true, NULL);
	sandbox_host_set_check(rig.host, stop_at, &left);
	assert_int_equal(start(&rig, "true", true, log_fd, &diag), -ECANCELED);
	diag_release(&diag);
	left = 1000;
	assert_int_equal(start(&rig, "touch /i/a /i/b /i/c", true, log_fd, &diag), SANDBOX_SUCCESS);
	left = 2;
	assert_int_equal(sandbox_finish(rig.sandbox, &rig.result, &diag), -ECANCELED);
	diag_release(&diag);
	sandbox_host_set_check(rig.host, NULL, NULL);
	expect(&rig, true, "ls /i", "");
	close(log_fd);
	rig_release(&rig);
}

struct other_maker {
	int lock_fd, left;
};

/* The other is done when we have looked some times; nothing was begun meanwhile. */
static int let_go_at(void *data)
{
	struct other_maker *other = data;

	if (other->lock_fd < 0)
		return 0;
	assert_int_equal(count_names("layers", "tmp."), 0);
	if (--other->left == 0) {
		close(other->lock_fd);
		other->lock_fd = -1;
	}
	return 0;
}

/* Somebody else is writing out a whole tree: ours waits, can be cancelled meanwhile, and goes on afterwards. */
static void test_wait_for_layer(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/millrace/layers/making", base_dir);
	struct sandbox_spec spec = { .marked = marked, .marked_count = 2 };
	struct diag diag = DIAG_INIT;
	struct rig rig = { 0 };
	struct other_maker other = { -1, 5 };
	int left = 5, log_fd = open_log();

	if (skipped)
		skip();
	assert_int_equal(sandbox_host_new(&rig.host, &(struct sandbox_host_options){ cas, false }, &diag), 0);
	other.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(other.lock_fd >= 0);
	assert_int_equal(flock(other.lock_fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(sandbox_new(&rig.sandbox, rig.host, &spec, &diag), 0);
	put_base(sandbox_tree(rig.sandbox));
	for (unsigned i = 0; i < 40; i++) { /* far from every layer that is there */
		_cleanup_free_ char *name = xasprintf("waiting-%u", i);

		put(sandbox_tree(rig.sandbox), name, name, false);
	}
	assert_int_equal(sandbox_staged(rig.sandbox, &diag), 0);
	put_sources(sandbox_tree(rig.sandbox));
	sandbox_host_set_check(rig.host, stop_at, &left);
	assert_int_equal(start(&rig, "true", true, log_fd, &diag), -ECANCELED);
	diag_release(&diag);
	sandbox_host_set_check(rig.host, let_go_at, &other);
	assert_int_equal(start(&rig, "cat /waiting-7", true, log_fd, &diag), SANDBOX_SUCCESS);
	assert_int_equal(other.lock_fd, -1);
	close(log_fd);
	rig_release(&rig);
}

static void test_stop(void **state)
{
	struct diag diag = DIAG_INIT;
	struct stat before, after;
	struct rig rig;
	int log_fd;

	if (skipped)
		skip();
	rig_init(&rig, false, NULL);
	log_fd = open_log();
	assert_int_equal(start(&rig, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo tick; sleep 0.05; done", true, log_fd, &diag),
			 SANDBOX_SUCCESS);
	wait_for_log(log_fd, 140);
	sandbox_signal(rig.sandbox, SIGSTOP);
	usleep(100000);
	fstat(log_fd, &before);
	usleep(300000);
	fstat(log_fd, &after);
	assert_int_equal(before.st_size, after.st_size);
	sandbox_signal(rig.sandbox, SIGCONT);
	assert_int_equal(sandbox_finish(rig.sandbox, &rig.result, &diag), SANDBOX_SUCCESS);
	close(log_fd);
	rig_release(&rig);
}

static void test_ids(void **state)
{
	struct graph_sandbox config = { .build_uid = 1234, .build_gid = 567 };
	struct rig rig;

	if (skipped)
		skip();
	rig_init(&rig, false, &config);
	expect(&rig, true, "id; stat -c '%u %g' / x /usr; touch t; stat -c '%u %g' t",
	       "uid=1234 gid=567\n1234 567\n1234 567\n1234 567\n1234 567\n");
	rig_release(&rig);
}

/* ---- layers ---- */

static void PRINTF_LIKE(2, 3) write_text(const char *path, const char *fmt, ...)
{
	FILE *file = fopen(path, "we");
	va_list ap;

	if (!file)
		return;
	va_start(ap, fmt);
	vfprintf(file, fmt, ap);
	va_end(ap);
	fclose(file);
}

/* Does an overlay mount at all, tried by other means than the room's own? */
static bool overlay_mounts(void)
{
	char *dir = xasprintf("%s/probe", base_dir);
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		unsigned uid = geteuid(), gid = getegid();

		if (mkdir(dir, 0755) < 0 || chdir(dir) < 0 || mkdir("a", 0755) < 0 || mkdir("b", 0755) < 0 ||
		    mkdir("c", 0755) < 0 || mkdir("d", 0755) < 0)
			_exit(2);
		if (unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)) < 0)
			_exit(1);
		if (uid) {
			write_text("/proc/self/setgroups", "deny");
			write_text("/proc/self/uid_map", "0 %u 1\n", uid);
			write_text("/proc/self/gid_map", "0 %u 1\n", gid);
		}
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
		_exit(mount("overlay", "d", "overlay", 0, uid ? "lowerdir=a,upperdir=b,workdir=c,userxattr" :
							       "lowerdir=a,upperdir=b,workdir=c") < 0);
	}
	waitpid(pid, &status, 0);
	free(dir);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_overlay_is_used(void **state)
{
	struct rig rig;
	bool mounts;

	if (skipped)
		skip();
	mounts = overlay_mounts();
	rig_init(&rig, false, NULL);
	expect(&rig, true, "grep -c ' / / .* overlay ' /proc/self/mountinfo || true", mounts ? "1\n" : "0\n");
	assert_int_equal(rig.result.way, mounts ? SANDBOX_OVERLAY : SANDBOX_COPY);
	print_message("  %s\n", sandbox_host_reason(rig.host));
	rig_release(&rig);
	rig_init(&rig, true, NULL);
	expect(&rig, true, "true", "");
	assert_int_equal(rig.result.way, SANDBOX_COPY);
	assert_string_equal(sandbox_host_reason(rig.host), "copy: as asked for");
	rig_release(&rig);
}

static unsigned count_layers(bool stacked)
{
	char *command = xasprintf("%s/millrace/layers", base_dir);
	_cleanup_buf_ struct buf names = BUF_INIT;
	unsigned count = 0;
	char *argv[] = { (char *)"ls", command, NULL };
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	if (fork() == 0) {
		dup2(fds[1], 1);
		execvp("ls", argv);
		_exit(1);
	}
	close(fds[1]);
	fs_read_fd(&names, fds[0], 1 << 20);
	close(fds[0]);
	wait(NULL);
	for (const char *p = buf_text(&names); *p; p = strchr(p, '\n') + 1)
		count += (memchr(p, '+', strcspn(p, "\n")) != NULL) == stacked;
	free(command);
	return count;
}

/* A tree that differs a little from a known one becomes a small layer over it; deletions included. */
static void test_layers(void **state)
{
	struct diag diag = DIAG_INIT;
	struct rig rig;
	unsigned whole, stacked;

	if (skipped)
		skip();
	rig_init(&rig, false, NULL);
	if (sandbox_host_way(rig.host) != SANDBOX_OVERLAY) {
		rig_release(&rig);
		skip();
	}
	expect(&rig, true, "true", "");
	whole = count_layers(false);
	stacked = count_layers(true);
	rig_release(&rig);
	for (int i = 0; i < 2; i++) {
		rig_init(&rig, false, NULL);
		cas_tree_remove(sandbox_tree(rig.sandbox), "b");
		put(sandbox_tree(rig.sandbox), "usr/lib/added", "added", false);
		assert_int_equal(cas_tree_remove(sandbox_tree(rig.sandbox), "usr/lib/deep"), 0);
		assert_int_equal(cas_tree_remove(sandbox_tree(rig.sandbox), "usr/file"), 0);
		assert_int_equal(sandbox_staged(rig.sandbox, &diag), 0);
		put_sources(sandbox_tree(rig.sandbox));
		expect(&rig, true, "find /usr | sort; cat /usr/lib/added x; stat -c '%a %Y' /usr /usr/lib",
		       "/usr\n/usr/empty\n/usr/lib\n/usr/lib/added\n/usr/lib/one\n/usr/lib/two\n/usr/link\naddedsame755 1321009871\n"
		       "755 1321009871\n");
		assert_int_equal(count_layers(false), whole);
		assert_int_equal(count_layers(true), stacked + 1);
		rig_release(&rig);
	}
}

/* ---- set-up ---- */

/* Can this machine run sandboxes at all?  (A container without user namespaces cannot.) */
static bool runner_works(void)
{
	int status = 1;
	pid_t pid;

	if (access("/bin/busybox", X_OK) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), 2);
		execlp("bwrap", "bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc",
		       "/proc", "/bin/busybox", "true", (char *)NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int setup(void **state)
{
	struct diag diag = DIAG_INIT;

	skipped = !runner_works();
	if (skipped)
		print_message("no static busybox, no bwrap, or no user namespaces: sandboxes are not tested\n");
	if (!mkdtemp(base_dir))
		return -1;
	return cas_new(&cas, base_dir, &diag);
}

static int teardown(void **state)
{
	cas_free(cas);
	return fs_remove_all(AT_FDCWD, base_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_makeflags),
		cmocka_unit_test(test_overlay_is_used),
		cmocka_unit_test(test_scenarios_overlay),
		cmocka_unit_test(test_scenarios_copy),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_deletions),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_sudden_death),
		cmocka_unit_test(test_give_up),
		cmocka_unit_test(test_wait_for_layer),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_layers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

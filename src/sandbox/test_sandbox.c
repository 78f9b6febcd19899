/* Sandboxes with a busybox root: what commands see, and what comes back.  Everything runs twice, over overlay layers and with
 * everything copied, and must look the same. */
#include "sandbox/test_rig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- what a command sees and does: one row, one sandbox ---- */

static const struct scenario {
	const char *name, *text, *output;
	bool writable_root;
} scenarios[] = {
	{ "environment", "env | grep -v SHLVL | sort", "HOME=/tmp\nPATH=/bin\nPWD=/b/e\nQUOTED=it's $x\n" },
	{ "ids", "id -u; id -g; umask; pwd; hostname", "0\n0\n0022\n/b/e\nbuildbox\n" },
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
		rig_expect(&rig, !scenarios[i].writable_root, scenarios[i].text, scenarios[i].output);
		rig_release(&rig);
	}
}

static void test_scenarios_overlay(void **state)
{
	if (rig_skipped)
		skip();
	run_scenarios(false);
}

static void test_scenarios_copy(void **state)
{
	if (rig_skipped)
		skip();
	run_scenarios(true);
}

/* ---- what comes back ---- */

static void changes(bool no_overlay)
{
	struct rig rig;

	rig_init(&rig, no_overlay, NULL);
	rig_expect(&rig, false,
	       "cd /usr; rm lib/one; rm -r lib/deep; mkdir lib/deep; touch lib/deep/new; " /* deleted; opaque */
	       "rm link; mkdir link; touch link/in; "                                       /* symlink -> directory */
	       "rmdir empty; ln -s lib empty; "                                             /* directory -> symlink */
	       "rm file; mkdir -p file/d; "                                                 /* file -> directory */
	       "chmod 644 lib/two; mkdir -p add/ed; ln lib/two add/hard; ln -s /etc/passwd add/abs; touch /tmp/gone; "
	       "touch 'add/n\xc3\xa4me with space'; echo 1 >add/mine; chmod 0 add/mine; mkdir add/closed; chmod 0 add/closed",
	       "");
	rig_assert_tree(&rig, "usr",
		    "empty -> lib\nadd/\nadd/abs -> /etc/passwd\nadd/hard 1\nadd/mine 2\nadd/n\xc3\xa4me with space 0\n"
		    "add/closed/\nadd/ed/\nfile/\nfile/d/\nlib/\nlib/two 1\nlib/deep/\nlib/deep/new 0\nlink/\nlink/in 0\n");
	rig_assert_tree(&rig, "tmp", "");
	/* the next batch sees that, normalised */
	rig_expect(&rig, true,
	       "find /usr | sort; ls -A /tmp; cd /usr; stat -c '%a %Y' lib/two add/hard add/mine add/closed; stat -c %h lib/two",
	       "/usr\n/usr/add\n/usr/add/abs\n/usr/add/closed\n/usr/add/ed\n/usr/add/hard\n/usr/add/mine\n"
	       "/usr/add/n\xc3\xa4me with space\n/usr/empty\n/usr/file\n/usr/file/d\n/usr/lib\n/usr/lib/deep\n"
	       "/usr/lib/deep/new\n/usr/lib/two\n/usr/link\n/usr/link/in\n"
	       "644 1321009871\n644 1321009871\n644 1321009871\n755 1321009871\n1\n");
	/* under a read-only root only the rig_marked directories come back */
	rig_expect(&rig, true, "mkdir -p /i/usr/bin; cp exe /i/usr/bin/tool; rm -rf /b/e/* || true; touch /dev/shm/x", "");
	rig_assert_tree(&rig, "i", "usr/\nusr/bin/\nusr/bin/tool* 19\n");
	rig_assert_tree(&rig, "b/e", "");
	assert_int_equal(rig.result.captured_files, 1);
	rig_release(&rig);
}

static void test_changes(void **state)
{
	if (rig_skipped)
		skip();
	changes(false);
	changes(true);
}

/* Directories of a lower layer: deleted, replaced by a file, renamed by copying, and what was below stays below. */
static void test_deletions(void **state)
{
	if (rig_skipped)
		skip();
	for (int no_overlay = 0; no_overlay < 2; no_overlay++) {
		struct rig rig;

		rig_init(&rig, no_overlay, NULL);
		rig_expect(&rig, false, "rm -r /usr/lib; echo now >/usr/lib; mv /usr/file /usr/empty/; mv /usr /moved; cd /; ls; cat /moved/lib",
		       "b\nbin\ndev\ni\nmoved\nproc\ntmp\nnow\n");
		rig_assert_tree(&rig, "moved", "lib 4\nlink -> lib\nempty/\nempty/file 4\n");
		rig_expect(&rig, true, "cat /moved/empty/file; ls /", "fileb\nbin\ndev\ni\nmoved\nproc\ntmp\n");
		rig_release(&rig);
	}
}

static void test_failure(void **state)
{
	struct sandbox_batch batch = SANDBOX_BATCH_INIT;
	struct diag diag = DIAG_INIT;
	struct rig rig;
	int log_fd;

	if (rig_skipped)
		skip();
	rig_init(&rig, false, NULL);
	log_fd = rig_open_log();
	batch.root_read_only = true;
	rig_add(&batch, "echo first >/i/a", "/b/e");
	rig_add(&batch, "exit 7", "/b/e");
	rig_add(&batch, "echo never >/i/b", "/b/e");
	assert_string_equal(buf_text(&batch.labels), "echo first >/i/a\nexit 7\necho never >/i/b");
	assert_int_equal(sandbox_start(rig.sandbox, &batch, log_fd, &diag), SANDBOX_SUCCESS);
	assert_int_equal(sandbox_finish(rig.sandbox, &rig.result, &diag), SANDBOX_COMMAND_FAILED);
	assert_int_equal(rig.result.exit_code, 7);
	assert_string_equal(rig.result.label, "exit 7");
	rig_assert_tree(&rig, "i", "a 6\n");
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

	sandbox_batch_command(&batch, &(struct sandbox_command){ argv, 4, "it's", "/", rig_environment, 3 });
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
	int log_fd = rig_open_log();

	if (rig_skipped)
		skip();
	rig_init(&rig, false, NULL);
	/* a link where a writable directory belongs must not lead out of the tree */
	rig_expect(&rig, false, "rm -r /i; ln -s /etc /i", "");
	assert_int_equal(rig_start(&rig, "true", true, log_fd, &diag), -ENOTDIR);
	assert_string_equal(diag.domain, "sandbox");
	diag_release(&diag);
	/* links inside a captured directory are captured, not followed */
	assert_int_equal(cas_tree_remove(sandbox_tree(rig.sandbox), "i"), 0);
	rig_expect(&rig, true, "ln -s / /i/root; ln -s ../../../../etc /i/up; ls /b/e/out/", "b\nbin\ndev\ni\nproc\ntmp\nusr\n");
	rig_assert_tree(&rig, "i", "root -> /\nup -> ../../../../etc\n");
	assert_int_equal(cas_tree_remove(sandbox_tree(rig.sandbox), "bin/sh"), 0);
	assert_int_equal(rig_start(&rig, "true", true, log_fd, &diag), SANDBOX_COMMAND_MISSING);
	assert_string_equal(buf_text(&diag.message), "Staged artifacts do not provide command 'sh'");
	assert_string_equal(diag.reason, "missing-command");
	diag_release(&diag);
	close(log_fd);
	rig_release(&rig);
}

static void test_ids(void **state)
{
	struct graph_sandbox config = { .build_uid = 1234, .build_gid = 567 };
	struct rig rig;

	if (rig_skipped)
		skip();
	rig_init(&rig, false, &config);
	rig_expect(&rig, true, "id -u; id -g; stat -c '%u %g' / x /usr; touch t; stat -c '%u %g' t",
	       "1234\n567\n1234 567\n1234 567\n1234 567\n1234 567\n");
	rig_release(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_makeflags),
		cmocka_unit_test(test_scenarios_overlay),
		cmocka_unit_test(test_scenarios_copy),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_deletions),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests_name("sandbox", tests, rig_setup, rig_teardown);
}

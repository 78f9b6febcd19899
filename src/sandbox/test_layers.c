/* Layers: what is kept of staged trees for the next sandbox. */
#include "sandbox/test_rig.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"

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
	char *dir = xasprintf("%s/probe", rig_base_dir);
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

	if (rig_skipped)
		skip();
	mounts = overlay_mounts();
	rig_init(&rig, false, NULL);
	rig_expect(&rig, true, "grep -c ' / / .* overlay ' /proc/self/mountinfo || true", mounts ? "1\n" : "0\n");
	assert_int_equal(rig.result.way, mounts ? SANDBOX_OVERLAY : SANDBOX_COPY);
	print_message("  %s\n", sandbox_host_reason(rig.host));
	rig_release(&rig);
	rig_init(&rig, true, NULL);
	rig_expect(&rig, true, "true", "");
	assert_int_equal(rig.result.way, SANDBOX_COPY);
	assert_string_equal(sandbox_host_reason(rig.host), "copy: as asked for");
	rig_release(&rig);
}

static unsigned count_layers(bool stacked)
{
	char *command = xasprintf("%s/millrace/layers", rig_base_dir);
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

	if (rig_skipped)
		skip();
	rig_init(&rig, false, NULL);
	if (sandbox_host_way(rig.host) != SANDBOX_OVERLAY) {
		rig_release(&rig);
		skip();
	}
	rig_expect(&rig, true, "true", "");
	whole = count_layers(false);
	stacked = count_layers(true);
	rig_release(&rig);
	for (int i = 0; i < 2; i++) {
		rig_init(&rig, false, NULL);
		cas_tree_remove(sandbox_tree(rig.sandbox), "b");
		rig_put(sandbox_tree(rig.sandbox), "usr/lib/added", "added", false);
		assert_int_equal(cas_tree_remove(sandbox_tree(rig.sandbox), "usr/lib/deep"), 0);
		assert_int_equal(cas_tree_remove(sandbox_tree(rig.sandbox), "usr/file"), 0);
		assert_int_equal(sandbox_staged(rig.sandbox, &diag), 0);
		rig_put_sources(sandbox_tree(rig.sandbox));
		rig_expect(&rig, true, "find /usr | sort; cat /usr/lib/added x; stat -c '%a %Y' /usr /usr/lib",
		       "/usr\n/usr/empty\n/usr/lib\n/usr/lib/added\n/usr/lib/one\n/usr/lib/two\n/usr/link\naddedsame755 1321009871\n"
		       "755 1321009871\n");
		assert_int_equal(count_layers(false), whole);
		assert_int_equal(count_layers(true), stacked + 1);
		rig_release(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlay_is_used),
		cmocka_unit_test(test_layers),
	};

	return cmocka_run_group_tests_name("layers", tests, rig_setup, rig_teardown);
}

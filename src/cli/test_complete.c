/* Completion, with the cases of BuildStream's own tests/frontend/completions.py. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cli/cli_internal.h"

static char root[] = "/tmp/millrace-test-XXXXXX";

static void make(const char *path, const char *text)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", root, path);
	_cleanup_free_ char *parent = xstrdup(full);

	*strrchr(parent, '/') = '\0';
	assert_int_equal(fs_mkdir_p(AT_FDCWD, parent, 0755), 0);
	assert_int_equal(fs_write_file(AT_FDCWD, full, text, strlen(text), 0644), 0);
}

static int set_up(void **state)
{
	if (!mkdtemp(root))
		return -1;
	make("project.conf", "# conf\nname: test\nelement-path: elements # here\n");
	make("elements/compose-all.bst", "");
	make("elements/target.bst", "");
	make("elements/target.foo", "");
	make("elements/base/wanted.bst", "");
	make("files/bin-files/x", "");
	make("files/dev-files/y", "");
	make("cache/artifacts/refs/test/target/0123", "");
	make("user.conf", "cachedir: unused\n");
	return 0;
}

static int tear_down(void **state)
{
	return fs_remove_all(AT_FDCWD, root);
}

static void check(const char *directory, const char *words, long cword, const char *expected)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", root, directory);
	_cleanup_buf_ struct buf out = BUF_INIT;

	assert_int_equal(chdir(path), 0);
	cli_complete(&out, words, cword);
	assert_string_equal(buf_text(&out), expected);
	assert_int_equal(chdir("/"), 0);
}

static void commands(void **state)
{
	check(".", "bst", 0, "");
	check(".", "bst ", 1, "artifact \nbuild \nhelp \ninit \nshell \nshow \nsource \nworkspace \n");
	check(".", "bst w ", 1, "workspace \n");
	check(".", "bst source ", 2, "checkout \nfetch \npush \ntrack \n");
	check(".", "bst --no-colors ", 2, "artifact \nbuild \nhelp \ninit \nshell \nshow \nsource \nworkspace \n");
	check(".", "bst help in", 2, "init \n");
	check(".", "bst help workspace ", 3, "close \nlist \nopen \nreset \n");
	check(".", "bst nonsense ", 2, "");
}

static void options(void **state)
{
	check(".", "bst --l", 1, "--log-file \n");
	check(".", "bst --fetchers ", 2, "");
	check(".", "bst --no-colors build -", 3,
	      "--deps \n-d \n--artifact-remote \n--ignore-project-artifact-remotes \n--source-remote \n"
	      "--ignore-project-source-remotes \n--retry-failed \n-r \n");
	check(".", "bst build -r -r", 3, ""); /* given already */
	check(".", "bst --s", 1, "--strict \n");
	check(".", "millrace --s", 1, "--strict \n--scheduler \n--stats \n");
	check(".", "millrace --scheduler ", 2, "pool \nfork \ninline \n");
}

static void choices(void **state)
{
	check(".", "bst --on-error ", 2, "continue \nquit \nterminate \n");
	check(".", "bst show --deps=b", 2, "build \n");
	check(".", "bst show --deps r", 3, "run \n");
	check(".", "bst show --deps = r", 4, "run \n"); /* bash splits at '=' */
}

static void paths(void **state)
{
	check(".", "bst --config f", 2, "files/\n");
	check(".", "bst --config files", 2, "files/bin-files/\nfiles/dev-files/\n");
	check("files", "bst --config ../pro", 2, "../project.conf \n");
	check(".", "bst --directory elements/", 2, "elements/base/\n");
	check(".", "bst --config /nowhere/at/all", 2, "");
}

static void elements(void **state)
{
	check(".", "bst show ", 2, "base/\ncompose-all.bst \ntarget.bst \n");
	check("files/bin-files", "bst build com", 2, "compose-all.bst \n");
	check("files", "bst --directory ../ show t", 4, "target.bst \n");
	check(".", "bst show base/", 2, "base/wanted.bst \n");
	check(".", "bst show target.bst com", 3, "compose-all.bst \n");
	check(".", "bst show --except ta", 3, "target.bst \n");
	check(".", "bst artifact checkout --directory ", 4, "cache/\nelements/\nfiles/\n");
	check(".", "bst show 'tar", 2, "target.bst \n");
}

static void artifacts(void **state)
{
	_cleanup_free_ char *conf = xasprintf("cachedir: %s/cache\n", root);
	_cleanup_free_ char *line = xasprintf("bst -c %s/user.conf artifact log t", root);

	make("user.conf", conf);
	check(".", line, 5, "target.bst \ntest/target/0123\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands), cmocka_unit_test(options),	cmocka_unit_test(choices),
		cmocka_unit_test(paths),    cmocka_unit_test(elements), cmocka_unit_test(artifacts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

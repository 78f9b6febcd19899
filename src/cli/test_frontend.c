/* The whole way from argv to the four places text goes to, with a session that is played by this test. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cli/cli_internal.h"

static char root[] = "/tmp/millrace-test-XXXXXX";

struct result {
	int code;
	struct buf out, err;
};

static int redirect(int fd, const char *name, int *ret_saved)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", root, name);
	int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	*ret_saved = dup(fd);
	assert_true(file >= 0 && dup2(file, fd) == fd);
	return close_fd(file);
}

static void read_back(const char *name, struct buf *ret)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", root, name);

	assert_true(fs_read_file(ret, AT_FDCWD, path, 1u << 20) >= 0);
}

/* Runs the program on a line of words separated by blanks. */
static struct result run(cli_run_fn *session, const char *line)
{
	struct result result = { 0 };
	_cleanup_free_ char *words = xstrdup(line);
	char *argv[32] = { (char *)"/usr/bin/bst" }, *rest = words, *word;
	int argc = 1, saved_out, saved_err;

	while ((word = strsep(&rest, " ")))
		argv[argc++] = word;
	fflush(NULL);
	redirect(STDOUT_FILENO, "out", &saved_out);
	redirect(STDERR_FILENO, "err", &saved_err);
	result.code = cli_main(argc, argv, session);
	dup2(saved_out, STDOUT_FILENO);
	dup2(saved_err, STDERR_FILENO);
	close_fd(saved_out);
	close_fd(saved_err);
	read_back("out", &result.out);
	read_back("err", &result.err);
	return result;
}

static void release(struct result *result)
{
	buf_release(&result->out);
	buf_release(&result->err);
}

static int play_show(const struct session_request *request, struct session_frontend *f)
{
	static const struct session_display display = SESSION_DISPLAY_DEFAULT;
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(f->configure(f->data, &display, &diag), 0);
	int64_t needs = f->show_needs(f->data, request->format, &diag);

	if (needs < 0) {
		f->error(f->data, NULL, &diag);
		return 255;
	}
	for (size_t i = 0; i < request->targets.count; i++)
		f->show_element(f->data, &(struct session_element){ .name = request->targets.items[i], .vars = "a: b\n" });
	f->flush(f->data);
	return 0;
}

static void show_prints_lines_and_no_more(void **state)
{
	struct result r = run(play_show, "show --format %{name} a.bst b.bst");

	assert_int_equal(r.code, 0);
	assert_string_equal(buf_text(&r.out), "a.bst\nb.bst\n");
	assert_string_equal(buf_text(&r.err), "");
	release(&r);
	/* Newlines inside the report stay, and those of a last symbol; what the format has behind it goes. */
	r = run(play_show, "show --format %{name}%{vars} a b");
	assert_string_equal(buf_text(&r.out), "aa: b\n\nba: b\n\n");
	release(&r);
	r = run(play_show, "show --format %{name}");
	assert_string_equal(buf_text(&r.out), "\n");
	release(&r);
	r = run(play_show, "--colors show --format %{name} a.bst");
	assert_string_equal(buf_text(&r.out), "\033[34m\033[1ma.bst\033[0m\n");
	release(&r);
	r = run(play_show, "show --format %{name:d} a.bst");
	assert_int_equal(r.code, 255);
	assert_string_equal(buf_text(&r.out), "");
	release(&r);
}

static int play_build(const struct session_request *request, struct session_frontend *f)
{
	static const struct session_display display = SESSION_DISPLAY_DEFAULT;
	const struct session_queue queues[] = { { "Build", "Built", 0, 0, 1 } };
	const char *failed[] = { "a.bst" };
	struct session_message m = { .type = SESSION_MESSAGE_START, .text = "Build", .elapsed_us = -1 };
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	assert_int_equal(f->configure(f->data, &display, &diag), 0);
	f->message(f->data, &m);
	m = (struct session_message){ .type = SESSION_MESSAGE_FAIL, .text = "\033[1mno\033[0m", .action = "Build",
				      .element = "a.bst", .task_element = "a.bst", .elapsed_us = 0 };
	f->message(f->data, &m);
	m.type = SESSION_MESSAGE_STATUS;
	m.text = "only when verbose";
	f->message(f->data, &m);
	m.type = SESSION_MESSAGE_DEBUG;
	m.text = "only when debugging";
	f->message(f->data, &m);
	diag_set(&diag, "sandbox", NULL, "it \"broke\"");
	diag_element(&diag, "a.bst");
	f->task_failed(f->data, &diag);
	f->summary(f->data, &(struct session_summary){ .queues = queues, .n_queues = 1, .failed_elements = failed,
						       .n_failed_elements = 1, .total_elements = 1, .session_elements = 1 });
	diag_set(&diag, "load", "missing-file", "Could not find it");
	diag_where(&diag, "a.bst", 3, 2);
	diag_detail(&diag, "first\nsecond");
	f->error(f->data, "Error loading project", &diag);
	return 255;
}

#define FIRST_LINES                                                                 \
	"[--:--:--][        ][    main:core activity                 ] START   Build\n" \
	"[00:00:00][????????][   build:a.bst                         ] FAILURE no\n"
#define SUMMARY                                                                             \
	"Failure Summary\n    a.bst:\n"                                                     \
	"    [00:00:00][????????][   build:a.bst                         ] FAILURE no\n"    \
	"Pipeline Summary\n    Total:       1\n    Session:     1\n"                        \
	"    Build Queue: processed 0, skipped 0, failed 1 \n"

static void messages_go_where_they_belong(void **state)
{
	_cleanup_free_ char *line = xasprintf("--no-verbose --log-file %s/log build a.bst", root);
	_cleanup_free_ char *errors = xasprintf("%s/errors", root);
	_cleanup_buf_ struct buf log = BUF_INIT, records = BUF_INIT;

	setenv("BST_ERROR_FILE", errors, 1);
	struct result r = run(play_build, line);

	unsetenv("BST_ERROR_FILE");
	assert_int_equal(r.code, 255);
	assert_string_equal(buf_text(&r.out), "");
	assert_string_equal(buf_text(&r.err), FIRST_LINES "\n" SUMMARY
						"\nError loading project: a.bst [line 3 column 2]: Could not find it\n"
						"\n    first\n    second\n");
	read_back("log", &log);
	assert_string_equal(buf_text(&log), FIRST_LINES SUMMARY);
	read_back("errors", &records);
	assert_string_equal(buf_text(&records),
			    "{\"kind\":\"task\",\"domain\":\"sandbox\",\"reason\":null,\"element\":\"a.bst\","
			    "\"message\":\"it \\\"broke\\\"\"}\n"
			    "{\"kind\":\"main\",\"domain\":\"load\",\"reason\":\"missing-file\",\"element\":\"a.bst\","
			    "\"message\":\"Could not find it\"}\n");
	release(&r);
	r = run(play_build, "--debug build a.bst");
	assert_non_null(strstr(buf_text(&r.err), "STATUS  only when verbose\n"));
	assert_non_null(strstr(buf_text(&r.err), "DEBUG   only when debugging\n"));
	release(&r);
}

static int play_listing(const struct session_request *request, struct session_frontend *f)
{
	const struct session_entry entries[] = { { SESSION_ENTRY_DIRECTORY, "usr", NULL, 0 },
						 { SESSION_ENTRY_SYMLINK, "usr/l", "t", 1 },
						 { SESSION_ENTRY_EXECUTABLE, "usr/x", NULL, 12345 },
						 { SESSION_ENTRY_FILE, "usr/f", NULL, 7 } };

	f->artifact_contents(f->data, "a.bst", entries, ARRAY_SIZE(entries), request->long_listing);
	f->artifact_contents(f->data, "b.bst", NULL, 0, request->long_listing);
	f->artifact_state(f->data, "a.bst", SESSION_ARTIFACT_NOT_CACHED);
	f->notice(f->data, "noted");
	f->flush(f->data);
	return 0;
}

static void contents_are_listed(void **state)
{
	struct result r = run(play_listing, "artifact list-contents --long a.bst b.bst");

	assert_string_equal(buf_text(&r.out), "  a.bst:\n\tdrwxr-xr-x  dir    0           usr"
					      "\n\tlrwxrwxrwx  link   1           usr/l -> t"
					      "\n\t-rwxr-xr-x  exe    12345       usr/x"
					      "\n\t-rw-r--r--  reg    7           usr/f\n"
					      "  b.bst:\n\tThis element has no associated artifacts\n"
					      "  not cached a.bst\n");
	assert_string_equal(buf_text(&r.err), "noted\n");
	release(&r);
}

static void init_writes_what_the_peer_writes(void **state)
{
	_cleanup_free_ char *line = xasprintf("init --project-name test %s/new", root);
	_cleanup_free_ char *bad = xasprintf("init --project-name 1a %s/other", root);
	_cleanup_buf_ struct buf conf = BUF_INIT;
	struct result r = run(NULL, line);

	assert_int_equal(r.code, 0);
	assert_non_null(strstr(buf_text(&r.err), "\nCreated project.conf at: "));
	read_back("new/project.conf", &conf);
	assert_string_equal(buf_text(&conf), "# Unique project name\nname: test\n\n# Required BuildStream version\n"
					     "min-version: 2.8\n\n# Subdirectory where elements are stored\n"
					     "element-path: elements\n");
	release(&r);
	r = run(NULL, line);
	assert_int_equal(r.code, 255);
	assert_non_null(strstr(buf_text(&r.err), "\nA project.conf already exists at: "));
	release(&r);
	r = run(NULL, bad);
	assert_int_equal(r.code, 255);
	assert_string_equal(buf_text(&r.err), "\nInvalid symbol name for project name: '1a'\n\n"
					      "    Symbol names must contain only alphanumeric characters, may not start with a "
					      "digit, and may contain underscores or dashes\n");
	release(&r);
}

static void unbuilt_commands_say_so(void **state)
{
	struct result r = run(NULL, "build");

	assert_int_equal(r.code, 255);
	assert_string_equal(buf_text(&r.err), "\nThe command 'build' is not built yet in Millrace " MILLRACE_VERSION "\n");
	release(&r);
	r = run(NULL, "help source");
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(buf_text(&r.err), "\nFor usage on a specific command: bst help source COMMAND\n"));
	release(&r);
	r = run(NULL, "--version");
	assert_string_equal(buf_text(&r.out), "2.8.1 (Millrace " MILLRACE_VERSION ")\n");
	release(&r);
	r = run(NULL, "--foo");
	assert_int_equal(r.code, 2);
	assert_true(str_starts(buf_text(&r.err), "Usage: bst [OPTIONS] COMMAND [ARGS]...\nTry 'bst --help' for help.\n\nError: "));
	release(&r);
}

static int set_up(void **state)
{
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	return fs_remove_all(AT_FDCWD, root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(show_prints_lines_and_no_more), cmocka_unit_test(messages_go_where_they_belong),
		cmocka_unit_test(contents_are_listed),		 cmocka_unit_test(init_writes_what_the_peer_writes),
		cmocka_unit_test(unbuilt_commands_say_so),
	};

	unsetenv("_BST_COMPLETION");
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

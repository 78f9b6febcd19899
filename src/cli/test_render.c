/* What is printed, held against what BuildStream 2.8.1 prints for the same messages (recorded from its LogLine). */
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

#define ELAPSED_US ((3723ll * 1000000) + 42)

static const char key_ab[] = "abababababababababababababababababababababababababababababababab";
static const char key_cd[] = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

static void render(struct buf *out, const char *format, const struct cli_settings *settings, struct session_message m)
{
	struct cli_line line = { 0 };

	m.pid = 77;
	assert_int_equal(cli_line_compile(&line, format ? format : SESSION_DISPLAY_MESSAGE_FORMAT, NULL), 0);
	cli_line_render(out, &line, settings, &m);
	cli_line_release(&line);
}

static struct cli_settings plain_settings(void)
{
	return (struct cli_settings){
		.key_length = 8, .error_lines = 3, .message_lines = 3, .verbose = true, .logdir = (char *)"/logs"
	};
}

static void check(struct cli_settings settings, struct session_message m, const char *expected)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	render(&out, NULL, &settings, m);
	assert_string_equal(buf_text(&out), expected);
}

#define NO_TIME .elapsed_us = -1

static void lines_without_colours(void **state)
{
	struct cli_settings s = plain_settings();

	check(s, (struct session_message){ .type = SESSION_MESSAGE_START, .text = "Build", NO_TIME },
	      "[--:--:--][        ][    main:core activity                 ] START   Build\n");
	check(s, (struct session_message){ .type = SESSION_MESSAGE_SUCCESS, .text = "Build", .elapsed_us = ELAPSED_US },
	      "[01:02:03][        ][    main:core activity                 ] SUCCESS Build\n");
	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_SUCCESS, .text = "x", .elapsed_us = ELAPSED_US,
					.element = "a.bst", .key = key_ab, .task_element = "a.bst", .task_key = key_ab,
					.action = "Build", .logfile = "/logs/p/a/x.log", .scheduler = true },
	      "[01:02:03][abababab][   build:a.bst                         ] SUCCESS p/a/x.log\n");
	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_STATUS, .text = "Staging é", NO_TIME, .element = "dep.bst",
					.key = key_cd, .task_key = key_cd, .action = "Src-push",
					.task_element = "a-very-long-name-of-an-element-that-overflows.bst" },
	      "[--:--:--][cdcdcdcd][src-push:a-very-long-name-of-an-element-that-overflows.bst] STATUS  Staging é\n");
	check(s, (struct session_message){ .type = SESSION_MESSAGE_INFO, .text = "t", NO_TIME, .element = "a.bst" },
	      "[--:--:--][????????][    main:a.bst                         ] INFO    t\n");
	s.debug = true;
	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_WARN, .text = "w", NO_TIME, .element = "a.bst",
					.key = key_ab },
	      "pid:77   element name:a.bst                         [--:--:--][abababab][    main:a.bst              "
	      "           ] WARNING w\n");
}

static void details_are_indented_and_shortened(void **state)
{
	struct cli_settings s = plain_settings();

	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_INFO, .text = "Loaded", NO_TIME, .element = "a.bst",
					.key = key_ab, .detail = "one\ntwo\nthree\nfour\nfive\n" },
	      "[--:--:--][abababab][    main:a.bst                         ] INFO    Loaded\n\n    one\n    two\n"
	      "    three\n    Message contains 2 additional lines\n\n");
	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_SUCCESS, .text = "Loading", .elapsed_us = ELAPSED_US,
					.detail = "one\ntwo\nthree\nfour\n" },
	      "[01:02:03][        ][    main:core activity                 ] SUCCESS Loading\n\n    one\n    two\n"
	      "    three\n    four\n\n");
	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_ERROR, .text = "Bad", NO_TIME, .element = "a.bst",
					.key = key_ab, .detail = "one\ntwo\nthree\nfour\n\n" },
	      "[--:--:--][abababab][    main:a.bst                         ] ERROR   Bad\n\n    one\n    two\n    three\n"
	      "    four\n    \n\n");
}

static void failures_end_with_the_log(void **state)
{
	static const char log[] = "line 28\nline 29\nlast\rreturn\n\n  indented\n   \n";
	struct cli_settings s = plain_settings();
	char path[] = "/tmp/millrace-test-XXXXXX";
	int fd = mkstemp(path);
	_cleanup_free_ char *expected = xasprintf(
		"[01:02:03][abababab][   build:a.bst                         ] FAILURE Running commands\n\n    oops\n\n"
		"    Printing the last 3 lines from log file:\n    %s\n"
		"    ======================================================================\n\n"
		"      indented\n"
		"    ======================================================================\n\n",
		path);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, log, sizeof(log) - 1), 0);
	close_fd(fd);
	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_FAIL, .text = "Running commands",
					.elapsed_us = ELAPSED_US, .element = "a.bst", .key = key_ab, .action = "Build",
					.logfile = path, .scheduler = true, .detail = "oops" },
	      expected);
	unlink(path);
	s.verbose = false;
	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_FAIL, .text = "Running commands",
					.elapsed_us = ELAPSED_US, .element = "a.bst", .key = key_ab, .action = "Build",
					.logfile = "/logs/x.log", .scheduler = true },
	      "[01:02:03][abababab][   build:a.bst                         ] FAILURE Running commands\n\n"
	      "    Log file:     x.log\n\n");
}

static void lines_with_colours(void **state)
{
	struct cli_settings s = plain_settings();

	s.colors = true;
	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_SUCCESS, .text = "x", .elapsed_us = ELAPSED_US,
					.element = "a.bst", .key = key_ab, .task_element = "a.bst", .task_key = key_ab,
					.action = "Build", .logfile = "/logs/p/a/x.log", .scheduler = true },
	      "\x1b[36m\x1b[2m[\x1b[0m\x1b[33m01\x1b[0m\x1b[36m\x1b[2m:\x1b[0m\x1b[33m02\x1b[0m\x1b[36m\x1b[2m:\x1b[0m"
	      "\x1b[33m03\x1b[0m\x1b[36m\x1b[2m][\x1b[0m\x1b[33m\x1b[22mabababab\x1b[0m\x1b[36m\x1b[2m][\x1b[0m\x1b[33m   build"
	      "\x1b[0m\x1b[36m\x1b[2m:\x1b[0m\x1b[33ma.bst                         \x1b[0m\x1b[36m\x1b[2m] \x1b[0m\x1b[32m\x1b[1m"
	      "\x1b[2mSUCCESS\x1b[0m\x1b[36m\x1b[2m \x1b[0m\x1b[33m\x1b[2mp/a/x.log\x1b[0m\n");
	check(s,
	      (struct session_message){ .type = SESSION_MESSAGE_ERROR, .text = "Bad", NO_TIME, .element = "a.bst",
					.key = key_ab, .detail = "one\ntwo\nthree\nfour\n\n" },
	      "\x1b[36m\x1b[2m[\x1b[0m\x1b[33m--\x1b[0m\x1b[36m\x1b[2m:\x1b[0m\x1b[33m--\x1b[0m\x1b[36m\x1b[2m:\x1b[0m"
	      "\x1b[33m--\x1b[0m\x1b[36m\x1b[2m][\x1b[0m\x1b[31m\x1b[2mabababab\x1b[0m\x1b[36m\x1b[2m][\x1b[0m\x1b[33m    main"
	      "\x1b[0m\x1b[36m\x1b[2m:\x1b[0m\x1b[33ma.bst                         \x1b[0m\x1b[36m\x1b[2m] \x1b[0m\x1b[31m\x1b[1m"
	      "\x1b[2mERROR  \x1b[0m\x1b[36m\x1b[2m \x1b[0mBad\n\n\x1b[31m\x1b[1m\x1b[2m    one\n    two\n    three\n    four\n"
	      "    \x1b[0m\n\n");
}

static void message_formats(void **state)
{
	struct cli_settings s = plain_settings();
	struct cli_line line = { 0 };
	struct session_message m = { .type = SESSION_MESSAGE_SUCCESS, .text = "Query cache", .elapsed_us = ELAPSED_US };
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_diag_ struct diag diag = DIAG_INIT;

	render(&out, "%{elapsed},%{elapsed-us},%{key},%{element},%%,%{action},%{message}", &s, m);
	assert_string_equal(buf_text(&out),
			    "01:02:03,01:02:03.000042,        ,    main:core activity                 ,%,SUCCESS,Query cache\n");
	assert_true(cli_line_compile(&line, "%{nothing}", &diag) < 0);
	assert_string_equal(buf_text(&diag.message), "'nothing' is not a valid log variable name.");
	assert_true(cli_line_compile(&line, "100%", &diag) < 0);
	cli_line_release(&line);
}

static void summaries(void **state)
{
	const struct session_queue queues[] = { { "Fetch", "Sources Fetched", 3, 0, 0 }, { "Build", "Built", 12, 107, 1 } };
	const struct session_summary summary = {
		.total_elements = 120, .session_elements = 15, .queues = queues, .n_queues = 2
	};
	struct cli_failure failure = {
		(char *)"a.bst",
		(char *)"[01:02:03][abababab][   build:a.bst                         ] FAILURE Running commands\n"
	};
	struct cli_settings s = plain_settings();
	struct cli_show show = { 0 };
	_cleanup_buf_ struct buf out = BUF_INIT;

	cli_summary(&out, &s, &show, &summary, &failure, 1);
	assert_string_equal(buf_text(&out),
			    "Failure Summary\n    a.bst:\n"
			    "    [01:02:03][abababab][   build:a.bst                         ] FAILURE Running commands\n"
			    "Pipeline Summary\n    Total:       120\n    Session:     15\n"
			    "    Fetch Queue: processed 3,  skipped 0,   failed 0 \n"
			    "    Build Queue: processed 12, skipped 107, failed 1 \n");
}

static void headings(void **state)
{
	const char *const targets[] = { "a.bst", "b.bst" };
	struct session_named options[] = { { "arch", "x86_64" } };
	const struct session_project projects[] = { { .name = "proj", .options = options, .n_options = 1 } };
	const struct session_element elements[] = { { .name = "a.bst", .full_key = key_ab, .state = SESSION_STATE_CACHED },
						    { .name = "b.bst", .state = SESSION_STATE_WAITING } };
	const struct session_heading heading = { .project_name = "proj", .project_directory = "/p", .targets = (const char **)targets,
						 .n_targets = 2, .cachedir = "/c", .logdir = "/l", .sourcedir = "/s",
						 .builddir = "/b", .strict = true, .fetchers = 10, .builders = 4, .pushers = 4,
						 .network_retries = 2, .projects = projects, .n_projects = 1,
						 .elements = elements, .n_elements = 2 };
	struct cli_settings s = plain_settings();
	struct cli_show show = { 0 };
	_cleanup_buf_ struct buf out = BUF_INIT;

	assert_int_equal(cli_show_compile(&show, SESSION_DISPLAY_ELEMENT_FORMAT, NULL), 0);
	cli_heading(&out, &s, &show, &heading);
	assert_non_null(strstr(buf_text(&out), "\nBuildStream Version 2.8.1 (Millrace " MILLRACE_VERSION ")\n    Session Start: "));
	assert_non_null(strstr(buf_text(&out), "    Project:       proj (/p)\n    Targets:       a.bst, b.bst\n\nUser Configuration\n"
					       "    Configuration File:      Default Configuration\n"));
	assert_non_null(strstr(buf_text(&out), "    Maximum Network Retries: 2\n\nProject: proj\n\n    Project Options\n"
					       "        arch: x86_64\n\nPipeline\n"));
	assert_non_null(strstr(buf_text(&out), "\n      cached abababababababababababababababababababababababababababababababab "
					       "a.bst \n     waiting ????????????????????????????????????????????????????????????????"
					       " b.bst \n====="));
	cli_show_release(&show);
}

static void show_formats(void **state)
{
	static const struct {
		const char *format, *name, *text;
	} cases[] = {
		/* recorded from the peer's Profile.fmt_subst */
		{ "%{name: ^20}|", "a.bst", "       a.bst        |" },
		{ "%{name:*>10.3}|", "abcdef", "*******abc|" },
		{ "%{name:020}|", "é", "é0000000000000000000|" },
		{ "%{name:é^9}|", "ab", "éééabéééé|" },
		{ "%{name!r}|", "a'b", "\"a'b\"|" },
		{ "%{name:s}|", "x", "x|" },
		{ "%{name:<3}|", "abcdef", "abcdef|" },
		{ "100% %{name}%", "n", "100% n%" },
		{ "%{unknown} %{name} %{name", "n", "%{unknown} n %{name" },
		{ "%{key} %{full-key}", "n",
		  "abababab abababababababababababababababababababababababababababababababab" },
		{ "%{kind}|%{state}|%{description}", "n", "import|fetch needed|two lines" },
		{ "%{workspaced}|%{workspace-dirs}|%{deps}|%{artifact-cas-digest}", "n",
		  "(workspaced)|Workspace: /w|- a\n- b|" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cli_show show = { 0 };
		const struct session_element element = { .name = cases[i].name, .full_key = key_ab, .kind = "import",
							 .state = SESSION_STATE_FETCH_NEEDED,
							 .description = "two\nlines\n", .workspace = "/w",
							 .deps = "- a\n- b\n" };
		_cleanup_buf_ struct buf out = BUF_INIT;

		assert_int_equal(cli_show_compile(&show, cases[i].format, NULL), 0);
		cli_show_element(&out, &show, &element, false, 8);
		assert_string_equal(buf_text(&out), cases[i].text);
		cli_show_release(&show);
	}
}

static void show_formats_that_python_refuses(void **state)
{
	static const char *const formats[] = { "%{name:=10}", "%{name:d}", "%{name:10.}", "%{name2}", "%{name!x}",
					       "%{name:{w}}", "%{name:99999999999999999999}" };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct cli_show show = { 0 };
		_cleanup_diag_ struct diag diag = DIAG_INIT;

		assert_true(cli_show_compile(&show, formats[i], &diag) < 0);
		assert_string_equal(diag.reason, "invalid-format");
		cli_show_release(&show);
	}
}

static void show_says_what_it_needs(void **state)
{
	struct cli_show show = { 0 };

	assert_int_equal(cli_show_compile(&show, "%{name} %{kind} %{deps}", NULL), 0);
	assert_int_equal(show.needs & SESSION_SHOW_NEEDS_CACHE, 0);
	assert_int_equal(cli_show_compile(&show, "%{name} %{state}", NULL), 0);
	assert_int_equal(show.needs, SESSION_SHOW_BIT(SESSION_SHOW_NAME) | SESSION_SHOW_BIT(SESSION_SHOW_STATE));
	cli_show_release(&show);
}

static void escapes_are_removed(void **state)
{
	static const char text[] = "\033[31mred\033[0m \033[1;2;3mx\033[0K\033]0;title\007 \033";
	_cleanup_buf_ struct buf out = BUF_INIT;

	cli_strip_ansi(&out, text, sizeof(text) - 1);
	assert_string_equal(buf_text(&out), "red x\033]0;title\007 \033");
}

static void status_area(void **state)
{
	const struct session_queue queues[] = { { "Fetch", "Sources Fetched", 0, 117, 0 }, { "Build", "Built", 4, 0, 1 } };
	const struct session_status report = { .project_name = "proj", .elapsed_us = 5000000, .total_elements = 387,
					       .session_elements = 143, .queues = queues, .n_queues = 2,
					       .cache_usage = "1.0G / 2G (50%)" };
	struct cli_status status = { .enabled = true };
	_cleanup_buf_ struct buf out = BUF_INIT, clear = BUF_INIT;

	cli_status_update(&status, &report);
	cli_status_draw(&status, &out, false, 80);
	assert_int_equal(out.len, 0); /* nothing runs */
	cli_status_start(&status, &(struct session_job){ 1, "Build", "a.bst", 2000000 });
	cli_status_start(&status, &(struct session_job){ 2, "Fetch", "long/name.bst", 5000000 });
	cli_status_progress(&status, 2, 7, 9);
	cli_status_draw(&status, &out, false, 80);
	assert_non_null(strstr(buf_text(&out), "00:00:05 proj (143/387) ==="));
	assert_non_null(strstr(buf_text(&out), "(Sources Fetched:0 117 0)→ (Built:4 0 1)"));
	assert_non_null(strstr(buf_text(&out), "~~~~~~ cache: 1.0G / 2G (50%) ~~~~~~"));
	assert_non_null(strstr(buf_text(&out), "\n[00:00:03][Build:a.bst] [00:00:00][Fetch:long/name.bst:7/9]\n"));
	cli_status_clear(&status, &clear);
	assert_string_equal(buf_text(&clear), "\033[1G\033[K\033[1G\033[A\033[K\033[1G\033[A\033[K\033[1G\033[A\033[K\033[1G\033[A\033[K");
	cli_status_end(&status, 1);
	buf_clear(&out);
	cli_status_draw(&status, &out, false, 20); /* narrower than a job: one column all the same */
	assert_non_null(strstr(buf_text(&out), "\n[00:00:00][Fetch:long/name.bst:7/9]\n"));
	cli_status_release(&status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_without_colours),
		cmocka_unit_test(details_are_indented_and_shortened),
		cmocka_unit_test(failures_end_with_the_log),
		cmocka_unit_test(lines_with_colours),
		cmocka_unit_test(message_formats),
		cmocka_unit_test(summaries),
		cmocka_unit_test(headings),
		cmocka_unit_test(show_formats),
		cmocka_unit_test(show_formats_that_python_refuses),
		cmocka_unit_test(show_says_what_it_needs),
		cmocka_unit_test(escapes_are_removed),
		cmocka_unit_test(status_area),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

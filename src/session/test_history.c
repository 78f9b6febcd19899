/* The history file: what is learnt from it, whatever is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "session/history.h"

static void parse(struct session_history *history, const char *text)
{
	*history = (struct session_history){ .fd = -1 };
	session_history_parse(history, text, strlen(text));
}

static void lines_are_learnt(void **state)
{
	struct session_history h;

	parse(&h, "millrace history 1\n"
		  "build 1000 p a.bst\nfetch 30 p a.bst\nbuild 3000 p with blank.bst\nbuild 500 q a.bst\n"
		  "build 2000 p a.bst\n");
	assert_int_equal(session_history_get(&h, HISTORY_BUILD, "p", "a.bst"), 1500);
	assert_int_equal(session_history_get(&h, HISTORY_FETCH, "p", "a.bst"), 30);
	assert_int_equal(session_history_get(&h, HISTORY_BUILD, "p", "with blank.bst"), 3000);
	assert_int_equal(session_history_get(&h, HISTORY_BUILD, "q", "a.bst"), 500);
	assert_int_equal(session_history_get(&h, HISTORY_FETCH, "q", "a.bst"), 0);
	assert_int_equal(session_history_median(&h, HISTORY_BUILD), 1500);
	assert_int_equal(session_history_median(&h, HISTORY_FETCH), 30);
	session_history_release(&h);
}

static void files_tell_of_builds(void **state)
{
	struct session_history h;

	parse(&h, "build 1000 p a.bst\nfiles 10 p a.bst\nfiles 30 p b.bst\n");
	assert_int_equal(session_history_get(&h, HISTORY_FILES, "p", "b.bst"), 30);
	assert_int_equal(session_history_us_a_file(&h), 100000);
	session_history_release(&h);
	parse(&h, "build 1000 p a.bst\nfiles 10 p a.bst\nfiles 40 p b.bst\nbuild 500 p b.bst\nbuild 9 p c.bst\n");
	assert_int_equal(session_history_us_a_file(&h), 30000);
	session_history_release(&h);
	parse(&h, "build 1 p a.bst\nfiles 1000000 p a.bst\n"); /* not nothing */
	assert_int_equal(session_history_us_a_file(&h), 1);
	session_history_release(&h);
	parse(&h, "build 1000 p a.bst\nfiles 30 p b.bst\nfetch 3 p b.bst\n");
	assert_int_equal(session_history_us_a_file(&h), 0);
	session_history_release(&h);
}

static void nonsense_is_passed_over(void **state)
{
	static const char *const lines[] = {
		"build", "build ", "build 5", "build 5 ", "build 5 p", "build 5 p ", "build 5  x", "build x p a", "build -5 p a",
		"build 5x p a", "build 0 p a", "build 1000000001 p a", "build 99999999999999999999999999 p a", "push 5 p a",
		"builds 5 p a", " build 5 p a", "build 5 p a\tb", "build\t5 p a", "", "fetchbuild 5 p a",
	};
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct session_history h;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		buf_printf(&text, "%s\n", lines[i]);
	buf_adds(&text, "build 7 p ");
	for (int i = 0; i < HISTORY_LINE_MAX; i++)
		buf_addc(&text, 'x');
	buf_adds(&text, "\nbuild 9 p good.bst\nbuild 5 p cut");
	parse(&h, buf_text(&text));
	assert_int_equal(h.count, 1);
	assert_int_equal(session_history_get(&h, HISTORY_BUILD, "p", "good.bst"), 9);
	assert_int_equal(session_history_get(&h, HISTORY_BUILD, "p", "cut"), 0);
	session_history_release(&h);
	parse(&h, "");
	assert_int_equal(session_history_median(&h, HISTORY_BUILD), 0);
	session_history_release(&h);
}

static int make_cache(char path[64])
{
	snprintf(path, 64, "/tmp/millrace-history-XXXXXX");
	assert_non_null(mkdtemp(path));
	assert_int_equal(fs_mkdir_p(AT_FDCWD, path, 0755), 0);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void drop_cache(int fd, const char *path)
{
	close(fd);
	fs_remove_all(AT_FDCWD, path);
}

static void a_file_is_appended_to(void **state)
{
	struct session_history h;
	char path[64];
	int dir = make_cache(path), fd;

	session_history_open(&h, dir); /* no millrace/ there: nothing is kept, nothing goes wrong */
	session_history_add(&h, HISTORY_BUILD, "p", "a.bst", 1000);
	session_history_release(&h);
	assert_int_equal(fs_mkdir_p(dir, "millrace", 0755), 0);
	session_history_open(&h, dir);
	session_history_add(&h, HISTORY_BUILD, "p", "a.bst", 2000);
	session_history_add(&h, HISTORY_BUILD, "p", "short.bst", 0);
	session_history_add(&h, HISTORY_BUILD, "p", "two\nlines", 3000);
	session_history_add(&h, HISTORY_BUILD, "p q", "c", 3000);
	session_history_release(&h);
	fd = openat(dir, "millrace/history", O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "build 777 p c", 13), 13); /* and then the machine stopped */
	close(fd);
	session_history_open(&h, dir);
	assert_int_equal(h.count, 2);
	assert_int_equal(session_history_get(&h, HISTORY_BUILD, "p", "a.bst"), 2000);
	assert_int_equal(session_history_get(&h, HISTORY_BUILD, "p", "short.bst"), 1);
	session_history_add(&h, HISTORY_FETCH, "p", "a.bst", 5000);
	session_history_release(&h);
	session_history_open(&h, dir);
	assert_int_equal(session_history_get(&h, HISTORY_FETCH, "p", "a.bst"), 5000);
	session_history_release(&h);
	drop_cache(dir, path);
}

static void it_does_not_grow_for_ever(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct session_history h;
	struct stat st;
	char path[64];
	int dir = make_cache(path);

	assert_int_equal(fs_mkdir_p(dir, "millrace", 0755), 0);
	while (text.len <= HISTORY_FILE_MAX / 2)
		buf_adds(&text, "build 100 p a.bst\nfetch 200 p b.bst\n");
	assert_int_equal(fs_write_file(dir, "millrace/history", text.data, text.len, 0644), 0);
	session_history_open(&h, dir);
	session_history_release(&h);
	assert_int_equal(fstatat(dir, "millrace/history", &st, 0), 0);
	assert_in_range(st.st_size, 1, 200);
	session_history_open(&h, dir);
	assert_int_equal(h.count, 2);
	assert_int_equal(session_history_get(&h, HISTORY_BUILD, "p", "a.bst"), 100);
	assert_int_equal(session_history_get(&h, HISTORY_FETCH, "p", "b.bst"), 200);
	session_history_release(&h);
	/* beyond what is read: begun anew */
	while (text.len <= HISTORY_FILE_MAX)
		buf_adds(&text, "build 100 p a.bst\n");
	assert_int_equal(fs_write_file(dir, "millrace/history", text.data, text.len, 0644), 0);
	session_history_open(&h, dir);
	session_history_release(&h);
	assert_int_equal(fstatat(dir, "millrace/history", &st, 0), 0);
	assert_in_range(st.st_size, 1, 200);
	drop_cache(dir, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_learnt),
		cmocka_unit_test(files_tell_of_builds),
		cmocka_unit_test(nonsense_is_passed_over),
		cmocka_unit_test(a_file_is_appended_to),
		cmocka_unit_test(it_does_not_grow_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

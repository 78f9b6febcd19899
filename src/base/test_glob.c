/* Globs: the table says what the peer's regular expressions answer; the last tests are about time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/glob.h"

static const struct row {
	const char *pattern, *text;
	bool match;
} rows[] = {
	{ "/bin", "/bin", true }, { "/bin", "/bin/sh", false }, { "/bin/*", "/bin/sh", true },
	{ "/bin/*", "/bin/", true }, { "/bin/*", "/bin/a/b", false }, { "/bin/**", "/bin/a/b", true },
	{ "/bin**", "/bin", true }, { "/**", "/", true }, { "/**/*.so", "/usr/lib/x.so", true },
	{ "/**/*.so", "/x.so", false }, { "/**.so", "/x.so", true }, { "/lib*.so*", "/lib.so.1", true },
	{ "/a?c", "/abc", true }, { "/a?c", "/a/c", false }, { "/a?c", "/a\xc3\xa4""c", true },
	{ "/[abc]", "/b", true }, { "/[!abc]", "/b", false }, { "/[!abc]", "/d", true }, { "/[a-c]x", "/bx", true },
	{ "/a[!x]b", "/a/b", true }, { "/[]a]", "/]", true }, { "/[!]a]", "/]", false }, { "/[!]a]", "/b", true },
	{ "/[abc", "/[abc", true }, { "/[abc", "/a", false }, { "/[^a]", "/^", true }, { "/[^a]", "/a", true },
	{ "/[^a]", "/b", false }, { "/[\\]", "/\\", true }, { "/a\\*", "/a\\b", true }, { "/[a-]", "/-", true },
	{ "/*[!x]*b", "/a/xb", true }, { "/a*b*c", "/a1b2c", true }, { "/a*b*c", "/a1b/2c", false },
	{ "/***", "/a/b", true }, { "/a.b", "/axb", false }, { "/a\n", "/a\n", true }, { "/*", "/a\nb", true },
	{ "", "", true }, { "", "/", false }, { "/\xc3\xa4*", "/\xc3\xa4x", true }, { "/[\xc3\xa4-\xc3\xbc]", "/\xc3\xb6", true },
	{ "/a*a", "/a", false }, { "*", "a", true }, { "/*/**/x", "/a/b/c/x", true }, { "/?[[]x", "/a[x", true },
	{ "/usr/share/*/LC_*/foo.mo", "/usr/share/de/LC_MESSAGES/foo.mo", true }, { "/a[b", "/a[b", true },
	{ "/a[b/*", "/a[b/c", true }, { "/[a-c-e]", "/-", true }, { "/[a-c-e]", "/d", false },
};

static void test_table(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct glob_set *set = glob_new();

		assert_int_equal(glob_add(set, rows[i].pattern), 0);
		if (glob_match(set, rows[i].text) != rows[i].match)
			fail_msg("%s on %s: expected %d", rows[i].pattern, rows[i].text, rows[i].match);
		glob_free(set);
	}
}

static void test_set(void **state)
{
	struct glob_set *set = glob_new();

	assert_false(glob_match(set, "/a"));
	assert_int_equal(glob_add(set, "/a"), 0);
	assert_int_equal(glob_add(set, "/b/**"), 0);
	assert_true(glob_match(set, "/a"));
	assert_true(glob_match(set, "/b/c"));
	assert_false(glob_match(set, "/c"));
	assert_int_equal(glob_add(set, "/x[z-a]*"), -EINVAL);
	glob_free(set);
}

/* A backtracking matcher would take longer than the universe has. */
static void test_no_blow_up(void **state)
{
	struct glob_set *set = glob_new();
	char pattern[1024] = "/", text[4096];
	int64_t start;

	for (int i = 0; i < 100; i++)
		memcpy(pattern + strlen(pattern), i % 2 ? "**a" : "*[!c]", i % 2 ? 4 : 6);
	memcpy(pattern + strlen(pattern), "b*", 3);
	memset(text, 'a', sizeof text - 1);
	text[0] = '/';
	text[sizeof text - 1] = '\0';
	assert_int_equal(glob_add(set, pattern), 0);
	start = util_now_us();
	assert_false(glob_match(set, text));
	assert_true(util_now_us() - start < 2000000);
	glob_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_no_blow_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

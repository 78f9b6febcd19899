/* Patterns: the table says what Python's re.search finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/pattern.h"

/* found: "FROM-TO" of the whole match and of each group, "-" for one without part in it; NULL: nothing found. */
static const struct row {
	const char *pattern, *text, *found;
} rows[] = {
	{ "b", "abc", "1-2" }, { "x", "abc", NULL }, { "", "abc", "0-0" }, { "a.c", "a\nc", NULL }, { "(?s)a.c", "a\nc", "0-3" },
	{ "(a|ab)(c|bcd)", "abcd", "0-4 0-1 1-4" }, { "a|ab", "ab", "0-1" }, { "(?i)AbC[x-z]", "aBcY", "0-4" },
	{ "a*", "aaa", "0-3" }, { "a*?", "aaa", "0-0" }, { "a+?b", "aab", "0-3" }, { "a??b", "ab", "0-2" },
	{ "a{2}", "aaa", "0-2" }, { "a{2,}", "aaaa", "0-4" }, { "a{1,2}?a", "aaa", "0-2" }, { "a{,2}", "aaa", "0-2" },
	{ "a{x", "a{x", "0-3" }, { "x{0}y", "xy", "1-2" }, { "(a)?b", "b", "0-1 -" }, { "(a*)*", "b", "0-0 0-0" },
	{ "(a|b)*c", "abc", "0-3 1-2" }, { "(?:a|b)+", "xab", "1-3" }, { "(?P<v>\\d+)\\.(?P=v)", "1.2 3.3", "4-7 4-5" },
	{ "(.)\\1", "abccd", "2-4 2-3" }, { "(?<=r)\\d{2}", "r6 r62", "4-6" }, { "(?<!r)\\d", "r6 7", "3-4" },
	{ "(?<=ab|cd)x", "abx", "2-3" }, { "a(?=b)", "acab", "2-3" }, { "a(?!b)", "abac", "2-3" }, { "(?=(a))b|c", "abc", "2-3 -" },
	{ "\\bfoo\\b", "a foo b", "2-5" }, { "\\Boo", "foo", "1-3" }, { "\\B", "", NULL }, { "^b", "a\nb", NULL },
	{ "(?m)^b$", "a\nb\nc", "2-3" }, { "b$", "ab\n", "1-2" }, { "b\\Z", "ab\n", NULL }, { "\\Aa", "ba", NULL },
	{ "[]a]+", "x]a", "1-3" }, { "[^]a]", "]ax", "2-3" }, { "[a-]", "-", "0-1" }, { "[\\d.]+", "v1.2", "1-4" },
	{ "[\\D]", "1a", "1-2" }, { "\\w+\\W\\s\\S", "ab! x", "0-5" }, { "\\x41\\u00e9\\t", "A\xc3\xa9\t", "0-4" },
	{ "[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", "0-2" }, { ".", "\xc3\xa9", "0-2" }, { "a(?#no(thing)b", "ab", "0-2" },
	{ "a(?#nothing)b", "ab", "0-2" }, { "(\\d+)_(\\d+)(?:_(\\d+))?", "x1_22", "1-5 1-2 3-5 -" },
	{ "(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL }, /* gives up */
};

static void describe(const struct pattern *pattern, const struct pattern_match *match, struct buf *out)
{
	for (size_t i = 0; i <= pattern_groups(pattern); i++) {
		if (i)
			buf_addc(out, ' ');
		if (match->from[i] == SIZE_MAX)
			buf_addc(out, '-');
		else
			buf_printf(out, "%zu-%zu", match->from[i], match->to[i]);
	}
}

static void test_table(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pattern *pattern = pattern_new(rows[i].pattern);
		_cleanup_buf_ struct buf text = BUF_INIT;
		struct pattern_match match;
		bool found;

		if (!pattern)
			fail_msg("%s is not understood", rows[i].pattern);
		found = pattern_search(pattern, rows[i].text, 0, &match);
		if (found)
			describe(pattern, &match, &text);
		if (found != (rows[i].found != NULL) || (found && strcmp(buf_text(&text), rows[i].found) != 0))
			fail_msg("%s in %s: %s", rows[i].pattern, rows[i].text, buf_text(&text));
		pattern_free(pattern);
	}
}

static void test_from(void **state)
{
	struct pattern *pattern = pattern_new("^a|a");
	struct pattern_match match;

	assert_true(pattern_search(pattern, "aba", 1, &match));
	assert_int_equal(match.from[0], 2);
	assert_false(pattern_search(pattern, "aba", 3, &match));
	pattern_free(pattern);
	pattern_free(NULL);
}

static void test_not_understood(void **state)
{
	static const char *const texts[] = { "(", ")", "[a", "*a", "a**", "a*+", "\\", "[z-a]", "(?>a)", "(?P<n", "(?P=n)", "\\2(a)",
					     "(?<=a*)b", "(?x)a", "a{300}", "a{3,1}", "\\q", "(?(1)a|b)", "\\x4", "[\\q]" };
	char deep[200], long_text[2000];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (pattern_new(texts[i]))
			fail_msg("%s is understood", texts[i]);
	memset(deep, '(', sizeof deep);
	deep[sizeof deep - 1] = '\0';
	assert_null(pattern_new(deep));
	memset(long_text, 'a', sizeof long_text);
	long_text[sizeof long_text - 1] = '\0';
	assert_null(pattern_new(long_text));
	assert_null(pattern_new("((((a{200}){200}){200}){200})")); /* too long a program */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_not_understood),
	};

	return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}

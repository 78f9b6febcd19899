/* Suggestions, held against those of Python's difflib. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/suggest.h"

static void suggest_all(struct buf *out, const char *word, const char *const *candidates, size_t count)
{
	struct suggest suggest;

	suggest_init(&suggest, word);
	for (size_t i = 0; i < count; i++)
		suggest_offer(&suggest, candidates[i]);
	suggest_format(&suggest, out);
}

static const char *const options[] = { "--config", "--directory", "--deps", "--colors", "--option", "--help", "--format" };

static void words_are_those_of_difflib(void **state)
{
	static const struct {
		const char *word, *text;
	} cases[] = {
		/* recorded from bst 2.8.1 */
		{ "--fromat", "Did you mean '--format'?" },
		{ "--de", "(Did you mean one of: '--deps', '--help'?)" },
		{ "--foo", "(Did you mean one of: '--colors', '--option'?)" },
		{ "--opt", "Did you mean '--option'?" },
		{ "zzz", "" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		/* --format would be close to --foo too, but the peer has no such main option */
		size_t count = str_eq(cases[i].word, "--fromat") ? ARRAY_SIZE(options) : ARRAY_SIZE(options) - 1;

		suggest_all(&out, cases[i].word, options, count);
		assert_string_equal(buf_text(&out), cases[i].text);
	}
}

static void ratios_are_those_of_difflib(void **state)
{
	/* difflib.SequenceMatcher(None, a, b).ratio() */
	assert_float_equal(suggest_ratio("abcd", 4, "bcde", 4), 0.75, 1e-9);
	assert_float_equal(suggest_ratio("tide", 4, "diet", 4), 0.25, 1e-9);
	assert_float_equal(suggest_ratio("diet", 4, "tide", 4), 0.5, 1e-9);
	assert_float_equal(suggest_ratio("", 0, "", 0), 1.0, 1e-9);
}

static void long_words_are_left_alone(void **state)
{
	char word[400];
	struct suggest suggest;

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	suggest_init(&suggest, word);
	suggest_offer(&suggest, word);
	assert_int_equal(suggest.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_those_of_difflib),
		cmocka_unit_test(ratios_are_those_of_difflib),
		cmocka_unit_test(long_words_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

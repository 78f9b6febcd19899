/* Globs: any pattern on any text; a table of what has been matched so far (slow, but plain) is the judge. */
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"

enum { LONGEST = 300 };

/* Patterns without classes over ASCII: matches pattern p at text t? */
static bool plain(const char *pattern, const char *text)
{
	static bool table[LONGEST + 2][LONGEST + 2];
	size_t m = strlen(pattern), n = strlen(text);

	memset(table, 0, sizeof table);
	table[m][n] = true;
	for (size_t i = m + 1; i-- > 0;)
		for (size_t j = n + 1; j-- > 0;) {
			bool two = pattern[i] == '*' && pattern[i + 1] == '*';

			if (i == m)
				continue;
			if (two)
				table[i][j] = table[i + 2][j] || (j < n && table[i][j + 1]);
			else if (pattern[i] == '*')
				table[i][j] = table[i + 1][j] || (j < n && text[j] != '/' && table[i][j + 1]);
			else
				table[i][j] = j < n && (pattern[i] == '?' ? text[j] != '/' : pattern[i] == text[j]) &&
					      table[i + 1][j + 1];
		}
	return table[0][0];
}

static bool ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char pattern[LONGEST + 1] = "", text[LONGEST + 1] = "";
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	struct glob_set *set = glob_new();
	size_t len = end ? (size_t)(end - data) : 0;

	if (end && len < LONGEST && size - len - 1 < LONGEST) {
		memcpy(pattern, data, len);
		memcpy(text, end + 1, size - len - 1);
		if (glob_add(set, pattern) == 0) {
			bool matched = glob_match(set, text);

			if (ascii(pattern) && ascii(text) && !strchr(pattern, '[') && matched != plain(pattern, text))
				abort();
		}
	}
	glob_free(set);
	return 0;
}

/* Ratcliff and Obershelp's measure, as difflib.SequenceMatcher computes it, with bounds checked first. */
#include "base/suggest.h"

#include <string.h>

#define WORD_MAX_BYTES 199
#define CUTOFF 0.6

struct block {
	size_t a, b, len;
};

/* The longest block common to a[alo,ahi) and b[blo,bhi); of several, the earliest in a, then in b. */
static struct block longest_block(const char *a, size_t alo, size_t ahi, const char *b, size_t blo, size_t bhi)
{
	struct block best = { alo, blo, 0 };
	size_t ending[WORD_MAX_BYTES + 1] = { 0 }; /* ending[j]: length of the block ending at the former a[i], b[j-1] */

	for (size_t i = alo; i < ahi; i++)
		for (size_t j = bhi; j > blo; j--) {
			size_t len = a[i] == b[j - 1] ? ending[j - 1] + 1 : 0;

			ending[j] = len;
			if (len > best.len ||
			    (len == best.len && len && i + 1 - len == best.a && j - len < best.b))
				best = (struct block){ i + 1 - len, j - len, len };
		}
	return best;
}

static size_t matching_bytes(const char *a, size_t alo, size_t ahi, const char *b, size_t blo, size_t bhi)
{
	if (alo >= ahi || blo >= bhi)
		return 0;
	struct block block = longest_block(a, alo, ahi, b, blo, bhi);

	if (!block.len)
		return 0;
	return block.len + matching_bytes(a, alo, block.a, b, blo, block.b) +
	       matching_bytes(a, block.a + block.len, ahi, b, block.b + block.len, bhi);
}

double suggest_ratio(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len + b_len == 0)
		return 1.0;
	if (a_len > WORD_MAX_BYTES || b_len > WORD_MAX_BYTES)
		return 0.0;
	return 2.0 * (double)matching_bytes(a, 0, a_len, b, 0, b_len) / (double)(a_len + b_len);
}

/* An upper bound that needs no search: how many letters they have in common, whatever their order. */
static double quick_ratio(const char *a, size_t a_len, const char *b, size_t b_len)
{
	uint8_t count[256] = { 0 };
	size_t common = 0;

	for (size_t i = 0; i < a_len; i++)
		count[(unsigned char)a[i]]++;
	for (size_t i = 0; i < b_len; i++)
		if (count[(unsigned char)b[i]]) {
			count[(unsigned char)b[i]]--;
			common++;
		}
	return 2.0 * (double)common / (double)(a_len + b_len);
}

void suggest_init(struct suggest *suggest, const char *word)
{
	*suggest = (struct suggest){ .word = word };
}

static bool worth_a_look(const char *word, size_t word_len, const char *candidate, size_t len)
{
	if (!word_len || !len || word_len > WORD_MAX_BYTES || len > WORD_MAX_BYTES)
		return false;
	return 2.0 * (double)MIN(word_len, len) / (double)(word_len + len) >= CUTOFF &&
	       quick_ratio(word, word_len, candidate, len) >= CUTOFF;
}

void suggest_offer(struct suggest *suggest, const char *candidate)
{
	size_t word_len = strlen(suggest->word), len = strlen(candidate);

	if (!worth_a_look(suggest->word, word_len, candidate, len))
		return;
	/* difflib makes the candidate its first sequence; the measure is not symmetric. */
	double score = suggest_ratio(candidate, len, suggest->word, word_len);

	if (score < CUTOFF)
		return;
	size_t at = suggest->count;

	/* Equal scores: the greater text first, as heapq.nlargest on (score, text) has it. */
	while (at > 0 && (score > suggest->scores[at - 1] ||
			  (score == suggest->scores[at - 1] && strcmp(candidate, suggest->items[at - 1]) > 0)))
		at--;
	if (at == SUGGEST_MAX)
		return;
	if (suggest->count < SUGGEST_MAX)
		suggest->count++;
	for (size_t i = suggest->count - 1; i > at; i--) {
		suggest->items[i] = suggest->items[i - 1];
		suggest->scores[i] = suggest->scores[i - 1];
	}
	suggest->items[at] = candidate;
	suggest->scores[at] = score;
}

void suggest_format(const struct suggest *suggest, struct buf *out)
{
	const char *sorted[SUGGEST_MAX];

	if (suggest->count == 1)
		buf_printf(out, "Did you mean '%s'?", suggest->items[0]);
	if (suggest->count < 2)
		return;
	for (size_t i = 0; i < suggest->count; i++) {
		size_t at = i;

		for (; at > 0 && strcmp(suggest->items[i], sorted[at - 1]) < 0; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = suggest->items[i];
	}
	buf_adds(out, "(Did you mean one of: ");
	for (size_t i = 0; i < suggest->count; i++)
		buf_printf(out, "%s'%s'", i ? ", " : "", sorted[i]);
	buf_adds(out, "?)");
}

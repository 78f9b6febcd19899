/* tests/fuzz/fuzz_argv.c: any bytes as a command line, a line to complete, a `show` format or a message format.  The
 * first byte says which; words are separated by NULs. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_internal.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_parse(char *text, size_t size)
{
	struct arena arena = ARENA_INIT;
	struct cli_parse parse = { .arena = &arena };
	_cleanup_buf_ struct buf out = BUF_INIT, warning = BUF_INIT;
	const char *words[WORDS_MAX];
	size_t count = 0;

	for (size_t at = 0; at < size && count < WORDS_MAX; at += strlen(text + at) + 1)
		words[count++] = text + at;
	int r = cli_parse(&parse, words, count);

	assert(parse.depth >= 1 && parse.depth <= CLI_DEPTH_MAX);
	assert((r < 0) == (parse.error.len > 0));
	if (r == CLI_PARSE_RUN) {
		assert(parse.values.request.command != SESSION_COMMAND_NONE);
		cli_check_request(&parse.values.request, &out, &warning);
	}
	cli_help(&out, "millrace", parse.chain, parse.depth, 50 + size % 29);
	cli_parse_release(&parse);
	arena_release(&arena);
}

static void fuzz_complete(const char *text, size_t size)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	/* What is on this machine is not part of the input: no file names, no cache, no configuration. */
	setenv("XDG_CACHE_HOME", "/nonexistent", 1);
	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	if (!strchr(text, '/') && !strchr(text, '.'))
		cli_complete(&out, text, (long)(size % 8));
}

static void fuzz_show(const char *text)
{
	const struct session_element element = { .name = "a.bst", .kind = "import", .state = SESSION_STATE_CACHED,
						 .description = "\n\n", .deps = "\n", .vars = text };
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_buf_ struct buf plain = BUF_INIT, coloured = BUF_INIT, stripped = BUF_INIT;
	struct cli_show show = { 0 };
	int r = cli_show_compile(&show, text, &diag);

	assert((r < 0) == (diag.domain != NULL));
	if (r == 0) {
		cli_show_element(&plain, &show, &element, false, 8);
		cli_show_element(&coloured, &show, &element, true, 8);
		cli_strip_ansi(&stripped, buf_text(&coloured), coloured.len);
		if (!strchr(text, '\033'))
			assert(strcmp(buf_text(&plain), buf_text(&stripped)) == 0);
	}
	cli_show_release(&show);
}

static void fuzz_line(const char *text)
{
	const struct cli_settings settings = { .key_length = 8, .message_lines = 2, .verbose = true, .debug = true };
	const struct session_message message = { .type = SESSION_MESSAGE_INFO, .text = text, .detail = text,
						 .element = "a.bst", .elapsed_us = 1 };
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct cli_line line = { 0 };

	if (cli_line_compile(&line, text, &diag) == 0)
		cli_line_render(&out, &line, &settings, &message);
	cli_line_release(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size || size > 65536)
		return 0;
	char *text = malloc(size); /* exact size, so that a byte read too far is seen */

	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 4) {
	case 0:
		fuzz_parse(text, size - 1);
		break;
	case 1:
		fuzz_complete(text, size);
		break;
	case 2:
		fuzz_show(text);
		break;
	default:
		fuzz_line(text);
	}
	free(text);
	return 0;
}

/* argv to request, usage errors and --help, in click's ways; the texts were recorded from BuildStream 2.8.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli_internal.h"

struct parsed {
	struct arena arena;
	struct cli_parse parse;
	char *words;
	const char *args[32];
	int result;
};

/* Parses a command line; words are separated by single blanks, "''" is an empty one. */
static void parse(struct parsed *p, const char *line)
{
	size_t count = 0;
	char *rest, *word;

	*p = (struct parsed){ 0 };
	p->parse.arena = &p->arena;
	p->words = rest = xstrdup(line);
	while (*line && (word = strsep(&rest, " ")))
		p->args[count++] = strcmp(word, "''") == 0 ? "" : word;
	p->result = cli_parse(&p->parse, p->args, count);
}

static void release(struct parsed *p)
{
	cli_parse_release(&p->parse);
	arena_release(&p->arena);
	free(p->words);
}

static void options_stand_where_click_allows(void **state)
{
	struct parsed p;
	const struct session_request *r = &p.parse.values.request;

	parse(&p, "-C dir -oarch x86_64 --option debug True --no-strict --fetchers=3 show a.bst -dnone b.bst --format=%{name} "
		  "--except c.bst --except=d.bst -- -e.bst");
	assert_int_equal(p.result, CLI_PARSE_RUN);
	assert_int_equal(r->command, SESSION_SHOW);
	assert_string_equal(r->globals.directory, "dir");
	assert_int_equal(r->globals.options.count, 2);
	assert_string_equal(r->globals.options.items[0].first, "arch");
	assert_string_equal(r->globals.options.items[1].second, "True");
	assert_int_equal(r->globals.strict, 0);
	assert_int_equal(r->globals.fetchers, 3);
	assert_int_equal(r->globals.builders, SESSION_UNSET);
	assert_int_equal(r->deps, SESSION_DEPS_NONE);
	assert_string_equal(r->format, "%{name}");
	assert_int_equal(r->except.count, 2);
	assert_int_equal(r->targets.count, 3);
	assert_string_equal(r->targets.items[2], "-e.bst");
	release(&p);

	parse(&p, "--strict --no-strict --strict --on-error continue --on-error quit build -r x.bst");
	assert_int_equal(r->globals.strict, 1);
	assert_int_equal(r->globals.on_error, SESSION_ON_ERROR_QUIT);
	assert_int_equal(r->deps, SESSION_UNSET);
	assert_true(r->retry_failed);
	release(&p);

	parse(&p, "shell -bt --mount / /host e.bst -- ls -l --help");
	assert_int_equal(p.result, CLI_PARSE_RUN);
	assert_true(r->shell_build && r->use_buildtree);
	assert_string_equal(r->mounts.items[0].second, "/host");
	assert_int_equal(r->targets.count, 1);
	assert_int_equal(r->arguments.count, 3);
	assert_string_equal(r->arguments.items[2], "--help");
	release(&p);

	parse(&p, "--scheduler=fork --workers 2 artifact checkout --no-integrate --tar=x.tar.gz t.bst");
	assert_int_equal(r->command, SESSION_ARTIFACT_CHECKOUT);
	assert_int_equal(r->globals.scheduler, SESSION_SCHEDULER_FORK);
	assert_int_equal(r->globals.workers, 2);
	assert_int_equal(r->deps, SESSION_DEPS_RUN);
	assert_false(r->integrate);
	release(&p);
}

static void defaults(void **state)
{
	struct parsed p;
	const struct session_request *r = &p.parse.values.request;

	parse(&p, "init");
	assert_string_equal(r->min_version, "2.8");
	assert_string_equal(r->element_path, "elements");
	assert_null(r->project_name);
	release(&p);
	parse(&p, "artifact checkout x");
	assert_true(r->integrate);
	assert_int_equal(r->globals.workers, SESSION_UNSET);
	assert_int_equal(r->globals.scheduler, SESSION_SCHEDULER_POOL);
	release(&p);
}

static void eager_options_come_first(void **state)
{
	struct parsed p;

	parse(&p, "--fetchers x --version");
	assert_int_equal(p.result, CLI_PARSE_VERSION);
	release(&p);
	parse(&p, "--version --help");
	assert_int_equal(p.result, CLI_PARSE_VERSION);
	release(&p);
	parse(&p, "workspace open --help");
	assert_int_equal(p.result, CLI_PARSE_HELP);
	assert_int_equal(p.parse.depth, 3);
	release(&p);
	parse(&p, "");
	assert_int_equal(p.result, CLI_PARSE_BARE_GROUP);
	release(&p);
	parse(&p, "source");
	assert_int_equal(p.result, CLI_PARSE_BARE_GROUP);
	assert_int_equal(p.parse.depth, 2);
	release(&p);
}

static void usage_errors_are_clicks(void **state)
{
	static const struct {
		const char *line, *error;
	} cases[] = {
		{ "--foo", "No such option '--foo'. (Did you mean one of: '--colors', '--option'?)" },
		{ "show --fromat x", "No such option '--fromat'. Did you mean '--format'?" },
		{ "show --deps xx", "Invalid value for '--deps' / '-d': 'xx' is not one of 'none', 'build', 'run', 'all'." },
		{ "--fetchers x show", "Invalid value for '--fetchers': 'x' is not a valid integer." },
		{ "--fetchers 99999999999 show", "Invalid value for '--fetchers': '99999999999' is not a valid integer." },
		{ "--fetchers", "Option '--fetchers' requires an argument." },
		{ "-o a", "Option '-o' requires 2 arguments." },
		{ "-o a show", "Missing command." },
		{ "--colors=1", "Option '--colors' does not take a value." },
		{ "-xy", "No such option '-x'." },
		{ "bild", "No such command 'bild'. Did you mean 'build'?" },
		{ "artifact bild", "No such command 'bild'." },
		{ "workspace open", "Missing argument 'ELEMENTS...'." },
		{ "artifact checkout a b", "Got unexpected extra argument (b)" },
		{ "artifact checkout a b c", "Got unexpected extra arguments (b c)" },
		{ "workspace list a", "Got unexpected extra argument (a)" },
		{ "--config /nonexist show", "Invalid value for '--config' / '-c': File '/nonexist' does not exist." },
		{ "-C /etc/passwd show", "Invalid value for '--directory' / '-C': Directory '/etc/passwd' is a file." },
		{ "shell --mount /nonexist /b", "Invalid value for '--mount': Path '/nonexist' does not exist." },
		{ "help --help", "No such option '--help'." },
		{ "--workers 0 show", "Invalid value for '--workers': 0 is not in the range x>=1." },
		{ "build --artifact-remote x=y,z",
		  "Invalid value for '--artifact-remote': Failed to interpret remote: Unexpected key 'x' encountered" },
		{ "build --artifact-remote url=a,push=maybe",
		  "Invalid value for '--artifact-remote': Failed to interpret remote: Value for 'push' must be 'True' or 'False'" },
		{ "artifact pull --artifact-remote url=a,push=True",
		  "Invalid value for '--artifact-remote': Failed to interpret remote: The 'push' key is invalid and assumed to "
		  "be False" },
		{ "build --source-remote ''",
		  "Invalid value for '--source-remote': Failed to interpret remote: No URL specified in remote" },
		{ "init /etc/passwd", "Invalid value for '[TARGET_DIRECTORY]': Directory '/etc/passwd' is a file." },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct parsed p;

		parse(&p, cases[i].line);
		assert_true(p.result < 0);
		assert_string_equal(buf_text(&p.parse.error), cases[i].error);
		release(&p);
	}
}

static void remotes(void **state)
{
	struct parsed p;
	const struct session_remotes *r = &p.parse.values.request.artifact_remotes;

	parse(&p, "build --artifact-remote https://a:1/ --artifact-remote url=http://b,type=index,push=false,instance-name=i,"
		  "client-cert=/c --ignore-project-artifact-remotes");
	assert_int_equal(p.result, CLI_PARSE_RUN);
	assert_int_equal(r->count, 2);
	assert_true(r->ignore_project);
	assert_string_equal(r->items[0].url, "https://a:1/");
	assert_true(r->items[0].push);
	assert_string_equal(r->items[1].url, "http://b");
	assert_int_equal(r->items[1].type, SESSION_REMOTE_INDEX);
	assert_false(r->items[1].push);
	assert_string_equal(r->items[1].instance_name, "i");
	assert_string_equal(r->items[1].client_cert, "/c");
	release(&p);
}

static void conflicts(void **state)
{
	static const struct {
		const char *line, *error;
		int compression;
	} cases[] = {
		{ "artifact checkout --hardlinks --tar x t", "ERROR: options --hardlinks and --tar conflict", 0 },
		{ "artifact checkout --directory d --tar x t", "ERROR: options --directory and --tar conflict", 0 },
		{ "artifact checkout --compression gz t", "ERROR: --compression can only be provided if --tar is provided", 0 },
		{ "artifact checkout --tar x.tar.foo t",
		  "ERROR: Invalid file extension given with '--tar': Expected compression with unknown file extension ('.foo'), "
		  "supported extensions are ('.tar'), ('.gz'), ('.xz'), ('.bz2')",
		  0 },
		{ "artifact checkout --tar x.tar.xz t", "", SESSION_COMPRESSION_XZ },
		{ "artifact checkout --tar dir.gz/x t", "", SESSION_COMPRESSION_NONE },
		{ "artifact checkout --tar .gz t", "", SESSION_COMPRESSION_NONE },
		{ "artifact checkout --tar - --compression gz t", "", SESSION_COMPRESSION_GZ },
		{ "source checkout --tar x --directory d t", "ERROR: options --directory and --tar conflict", 0 },
		{ "source checkout --compression gz t", "ERROR: --compression specified without --tar", 0 },
		{ "source checkout t", "", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf error = BUF_INIT, warning = BUF_INIT;
		struct parsed p;

		parse(&p, cases[i].line);
		assert_int_equal(p.result, CLI_PARSE_RUN);
		assert_int_equal(cli_check_request(&p.parse.values.request, &error, &warning) < 0, *cases[i].error != '\0');
		assert_string_equal(buf_text(&error), cases[i].error);
		if (!*cases[i].error)
			assert_int_equal(p.parse.values.request.compression, cases[i].compression);
		release(&p);
	}
}

static void help_has_clicks_layout(void **state)
{
	struct parsed p;
	_cleanup_buf_ struct buf out = BUF_INIT;

	parse(&p, "artifact log --help");
	cli_help(&out, "bst", p.parse.chain, p.parse.depth, 78);
	assert_string_equal(buf_text(&out), "Usage: bst artifact log [OPTIONS] [ARTIFACTS]...\n"
					    "\n"
					    "  Show the build logs of artifacts\n"
					    "\n"
					    "Options:\n"
					    "  --out PATH  Copy the logs into this new directory instead of printing them\n"
					    "  -h, --help  Show this message and exit.\n");
	release(&p);
}

static void text_is_wrapped_as_pythons_textwrap(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	/* recorded: "Force non interactive mode, otherwise this is automatically decided" at 44 columns */
	cli_wrap(&out, "Force non interactive mode, otherwise this is automatically decided", 44, "", "");
	assert_string_equal(buf_text(&out), "Force non interactive mode, otherwise this\nis automatically decided");
	buf_clear(&out);
	cli_wrap(&out, "a pull-buildtrees b", 10, "", "");
	assert_string_equal(buf_text(&out), "a pull-\nbuildtrees\nb");
}

/* Every option and command has its words, and each shared name means the same wherever it stands. */
static void check_table(const struct cli_command *command, size_t depth)
{
	assert_true(depth <= CLI_DEPTH_MAX);
	assert_non_null(command->summary);
	assert_non_null(command->description);
	for (const struct cli_option *o = command->options; o->name; o++) {
		assert_non_null(o->help);
		assert_true(str_starts(o->name, "--"));
		assert_true((o->kind == CLI_CHOICE) == (o->choices != NULL));
		assert_true((o->kind == CLI_TOGGLE) == (o->negative != NULL));
	}
	for (const struct cli_command *c = command->commands; c && c->name; c++) {
		assert_true(!c[1].name || strcmp(c->name, c[1].name) < 0);
		check_table(c, depth + 1);
	}
}

static void the_table_is_whole(void **state)
{
	check_table(&cli_root, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_where_click_allows),
		cmocka_unit_test(defaults),
		cmocka_unit_test(eager_options_come_first),
		cmocka_unit_test(usage_errors_are_clicks),
		cmocka_unit_test(remotes),
		cmocka_unit_test(conflicts),
		cmocka_unit_test(help_has_clicks_layout),
		cmocka_unit_test(text_is_wrapped_as_pythons_textwrap),
		cmocka_unit_test(the_table_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

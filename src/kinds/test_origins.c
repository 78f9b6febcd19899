/* What sources tell about where they come from: the rows say what bst 2.8.1 shows for the same text with the same plugin. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kinds/kinds_internal.h"

#define COMMIT "09996ed6ac2cb5ab967d32eed5253742d7aaf751"
#define OLD "buildstream-plugins-community 2.1.0 to 2.3.1"
#define OLDEST "buildstream-plugins-community 2.0.0 to 2.0.4"
#define NEW "buildstream-plugins-community 2.3.2 to 2.3.3"

/* For each thing told: url|medium|version type|version|guess|extra=value,...|provenance */
static const struct row {
	const char *kind, *package, *yaml, *told;
} rows[] = {
	{ "go_module", NULL, "{url: up:go, module: m, ref: {go-version: v1, git-ref: v1.2.3-0-g" COMMIT "}}",
	  "https://up/go|git|commit|" COMMIT "|1.2.3|tag-name=v1.2.3,commit-offset=0,ecosystem=GIT,|\n" },
	{ "go_module", OLD, "{url: up:go, module: m, ref: {go-version: v1, git-ref: " COMMIT "}}",
	  "https://up/go|git|commit|" COMMIT "|-||\n" },
	{ "go_module", OLDEST, "{url: up:go, module: m, ref: {go-version: v1, git-ref: " COMMIT "}}", "" },
	{ "git_repo", NULL, "{url: up:r, track: main, ref: foo-v1.2-12-g" COMMIT ", version: '99'}",
	  "https://up/r|git|commit|" COMMIT "|99|tag-name=foo-v1.2,commit-offset=12,ecosystem=GIT,|\n" },
	{ "git_repo", OLD, "{url: up:r, ref: 1-1-gab-2-g" COMMIT "}",
	  "https://up/r|git|commit|" COMMIT "|-|tag-name=1-1-gab,commit-offset=2,|\n" },
	{ "git_module", NULL, "{url: up:r, path: sub, ref: v1.2-12-g" COMMIT "}",
	  "https://up/r|git|commit|" COMMIT "|1.2|commit-offset=12,|\n" },
	{ "git", NULL, "{url: up:r, track: main, ref: 1.5-0-g" COMMIT "}", "up:r|git|commit|" COMMIT "|1.5||\n" },
	{ "git", NULL, "{url: up:r, ref: pre-g-1.5-7-g" COMMIT "}", "up:r|git|commit|" COMMIT "|1.5|commit-offset=7,|\n" },
	{ "git", NULL, "{url: up:r, ref: " COMMIT "}", "up:r|git|commit|" COMMIT "|-||\n" },
	{ "git", "buildstream-plugins 2.3.0 to 2.4.0", "{url: up:r, ref: " COMMIT "}", "" },
	{ "cargo2", NULL,
	  "{url: up:crates, git-mirrors: {https://hub/: https://m/, https://hub/x/: https://x/}, ref: ["
	  "{name: p, version: 0.9.1, sha: '12', provenance: {colour: red}},"
	  "{kind: git, name: h, version: 1.0.0, repo: https://hub/x/h, commit: ab, query: {branch: main}},"
	  "{kind: git, name: z, version: 1.0.1, repo: up:y/h.git, commit: cd}]}",
	  "https://up/crates/p/p-0.9.1.crate|remote-file|sha256|12|0.9.1|ecosystem=crates.io,|colour=red,\n"
	  "https://x/h|git|commit|ab|1.0.0|crate-name=h,ecosystem=GIT,|\n"
	  "https://up/y/h.git|git|commit|cd|1.0.1|crate-name=z,ecosystem=GIT,|\n" },
	{ "cargo2", "buildstream-plugins-community 2.2.0", "{url: up:crates, ref: [{name: p, version: 0.9.1, sha: '12', "
							   "provenance: {colour: red}}]}",
	  "https://up/crates/p/p-0.9.1.crate|remote-file|sha256|12|0.9.1||\n" },
	{ "cargo", NULL, "{url: up:crates, ref: [{name: p, version: 0.9.1, sha: '12', provenance: {colour: red}}]}",
	  "https://up/crates/p/p-0.9.1.crate|remote-file|sha256|12|0.9.1||colour=red,\n" },
	{ "cargo", "buildstream-plugins 2.5.0", "{url: up:crates, ref: [{name: p, version: 0.9.1, sha: '12', provenance: "
						"{colour: red}}]}",
	  "https://up/crates/p/p-0.9.1.crate|remote-file|sha256|12|0.9.1||\n" },
	{ "cpan", NULL, "{name: Foo, suffix: a/F-1.23.tar.gz, sha256sum: '12'}",
	  "https://cpan.metacpan.org/a/F-1.23.tar.gz|remote-file|sha256|12|1.23|ecosystem=None,|\n" },
	{ "pypi", NULL, "{name: f, url: up:p/, ref: {suffix: a/f_2_5.tar.gz, sha256sum: '12'}, "
			"version-guess-pattern: '(\\d)_(\\d)'}",
	  "https://up/p/a/f_2_5.tar.gz|remote-file|sha256|12|2.5|ecosystem=PyPI,|\n" },
	{ "pypi", OLD, "{name: f, url: up:p/, ref: {suffix: a/f-2.5.tar.gz, sha256sum: '12'}, version: '3'}",
	  "https://up/p/a/f-2.5.tar.gz|remote-file|sha256|12|3||\n" },
	{ "gnu", NULL, "{name: g, mirror: up:g/}", "" },
	{ "bazel_file", NULL, "{url: up:x-1.2.zip, ref: '12', canonical-ids: [a, b]}",
	  "https://up/x-1.2.zip|remote-file|sha256|12|1.2|ecosystem=None,|\n" },
	{ "deb", NULL, "{url: up:x_1.2-3_all.deb, ref: '12'}", "https://up/x_1.2-3_all.deb|remote-file|sha256|12|1.2||\n" },
	{ "docker", NULL, "{image: library/alpine, registry-url: 'up:', ref: '12', track: latest}",
	  "https://up/|oci-image|oci-digest|sha256:12|-|image-name=library/alpine,|\n" },
	{ "docker", NULL, "{url: up:foo/bar, ref: '12', track: latest, version: '3'}",
	  "https://up|oci-image|oci-digest|sha256:12|3|image-name=foo/bar,|\n" },
	{ "bzr", NULL, "{url: up:b, track: trunk, ref: '77', version: '1.1'}", "https://up/b|bzr|commit|77|1.1||\n" },
	{ "pip", NULL, "{url: up:s, packages: [x], ref: \"foo==1.2\\nbar==3.4\\n\"}",
	  "https://up/s|pypi|indexed-version|1.2|1.2|package-name=foo,|\n"
	  "https://up/s|pypi|indexed-version|3.4|3.4|package-name=bar,|\n" },
	{ "quilt", NULL, "{}", "" },
};

/* In flatpak-builder's words, as the plugins' export_manifest returns them; and what is searched for versions. */
static const struct {
	const char *kind, *yaml, *words, *names;
} manifest_rows[] = {
	{ "git_repo", "{url: up:r, track: main, ref: " COMMIT "}",
	  "type=git,url=https://up/r,commit=" COMMIT ",refspecs=[refs/heads/main,refs/tags/main,],alias=up,\n", COMMIT "," },
	{ "git_repo", "{url: https://r, track: refs/tags/v*, ref: " COMMIT "}",
	  "type=git,url=https://r,commit=" COMMIT ",refspecs=[refs/tags/v*,],\n", COMMIT "," },
	{ "go_module", "{url: up:go, module: m, ref: {go-version: v1, git-ref: " COMMIT "}}",
	  "type=git,url=https://up/go,commit=" COMMIT ",\n", COMMIT "," },
	{ "git", "{url: up:r, ref: x}", "type=git,url=https://up/r,commit=x,\n", "x," },
	{ "git_module", "{url: up:r, path: p, ref: x}", "", "x," },
	{ "cargo2", "{url: up:c, ref: [{name: p, version: '1', sha: '12'}, {kind: git, name: z, version: '2', repo: up:h.git, "
		    "commit: cd}]}",
	  "type=archive,url=https://up/c/p/p-1.crate,sha256=12,alias=up,\ntype=git,url=https://up/h.git,commit=cd,alias=up,\n",
	  "p-1.crate,cd," },
	{ "cargo", "{url: up:c, ref: [{name: p, version: '1', sha: '12'}]}", "", "" },
	{ "cpan", "{name: Foo, suffix: a/F-1.23.tar.gz, sha256sum: '12'}",
	  "type=archive,url=https://cpan.metacpan.org/a/F-1.23.tar.gz,sha256=12,\n", "F-1.23.tar.gz," },
	{ "bazel_file", "{url: up:x-1.2.zip, ref: '12', canonical-ids: [a, b]}",
	  "type=archive,url=https://up/x-1.2.zip,canonical-ids=[a,b,],sha256=12,alias=up,\n", "x-1.2.zip," },
	{ "tar", "{url: up:x-1.2.tar, ref: '12'}", "type=archive,url=https://up/x-1.2.tar,sha256=12,\n", "x-1.2.tar," },
	{ "deb", "{url: up:x-1.2.deb, ref: '12'}", "", "" },
	{ "remote", "{url: up:x-1.2, ref: '12'}", "", "" },
};

static int translate(void *data, uint32_t project, const char *url, bool primary, const char **ret, struct diag *diag)
{
	if (str_starts(url, "up:"))
		*ret = arena_printf(data, "https://up/%s", url + 3);
	return 0;
}

static void make(struct arena *arena, struct kinds_plugin *plugin, const char *kind, const char *package, const char *yaml,
		 struct graph_source *ret)
{
	struct kinds_host host = { .data = arena, .translate_url = translate };
	struct diag diag = { 0 };
	struct kinds_context ctx = { .arena = arena, .diag = &diag, .host = &host, .plugin = plugin, .project_directory = "/" };
	const struct yaml_node *node;

	*plugin = (struct kinds_plugin){ .kind = kind, .package = package, .default_url = "DEF:" };
	*ret = (struct graph_source){ .ops = kinds_find_source(kind) };
	if (yaml_parse(arena, yaml, strlen(yaml), "t", &node, &diag) < 0 || kinds_configure_source(&ctx, ret, node) < 0)
		fail_msg("%s %s: %s", kind, yaml, buf_text(&diag.message));
	diag_release(&diag);
}

static void add_info(struct buf *out, const struct kinds_source_info *info)
{
	buf_printf(out, "%s|%s|%s|%s|%s|", info->url, info->medium, info->version_type, info->version,
		   info->version_guess ? info->version_guess : "-");
	for (uint32_t i = 0; i < info->extra_count; i++)
		buf_printf(out, "%s=%s,", info->extra[i].name, info->extra[i].value ? info->extra[i].value : "None");
	buf_addc(out, '|');
	for (uint32_t i = 0; info->provenance && i < info->provenance->count; i++)
		buf_printf(out, "%s=%s,", info->provenance->entries[i].key, info->provenance->entries[i].value->text);
	buf_addc(out, '\n');
}

static void test_infos(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		const struct kinds_source_info *infos;
		struct arena arena = ARENA_INIT;
		struct kinds_plugin plugin;
		struct graph_source source;
		uint32_t count;

		make(&arena, &plugin, rows[i].kind, rows[i].package, rows[i].yaml, &source);
		count = kinds_source_infos(&arena, &source, &infos);
		for (uint32_t k = 0; k < count; k++)
			add_info(&text, &infos[k]);
		assert_string_equal(buf_text(&text), rows[i].told);
		arena_release(&arena);
	}
}

static void add_node(struct buf *out, const struct yaml_node *node)
{
	if (yaml_is_scalar(node)) {
		buf_adds(out, node->text);
		return;
	}
	buf_addc(out, '[');
	for (uint32_t i = 0; i < node->count; i++)
		buf_printf(out, "%s,", node->items[i]->text);
	buf_addc(out, ']');
}

static void add_words(struct buf *out, const struct yaml_node *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		for (uint32_t k = 0; k < list->items[i]->count; k++) {
			buf_printf(out, "%s=", list->items[i]->entries[k].key);
			add_node(out, list->items[i]->entries[k].value);
			buf_addc(out, ',');
		}
		buf_addc(out, '\n');
	}
}

static void test_manifest_words(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(manifest_rows); i++) {
		_cleanup_buf_ struct buf text = BUF_INIT, joined = BUF_INIT;
		struct arena arena = ARENA_INIT;
		const char *const *names;
		struct kinds_plugin plugin;
		struct graph_source source;
		uint32_t count;

		make(&arena, &plugin, manifest_rows[i].kind, NULL, manifest_rows[i].yaml, &source);
		add_words(&text, kinds_source_manifest(&arena, &source));
		assert_string_equal(buf_text(&text), manifest_rows[i].words);
		count = kinds_source_names(&arena, &source, &names);
		for (uint32_t k = 0; k < count; k++)
			buf_printf(&joined, "%s,", names[k]);
		assert_string_equal(buf_text(&joined), manifest_rows[i].names);
		arena_release(&arena);
	}
}

static void test_patches(void **state)
{
	struct kinds_patch_queue queue = { .path = "q", .names = (const char *const[]){ "a", "b" }, .count = 2 };
	struct kinds_patch patch = { .path = "sub/x.patch" };
	struct graph_source source = { .ops = kinds_find_source("patch_queue"), .config = &queue };
	const struct kinds_source_info *infos;
	struct arena arena = ARENA_INIT;
	struct digest digests[2];

	memset(digests, 0x11, sizeof digests);
	queue.digests = digests;
	patch.digest = digests[0];
	assert_int_equal(kinds_source_infos(&arena, &source, &infos), 2);
	assert_string_equal(infos[1].url, "q/b");
	assert_string_equal(infos[0].version, "1111111111111111111111111111111111111111111111111111111111111111");
	assert_string_equal(kinds_source_manifest(&arena, &source)->items[0]->entries[1].value->text, "q");
	source = (struct graph_source){ .ops = kinds_find_source("patch"), .config = &patch };
	assert_int_equal(kinds_source_infos(&arena, &source, &infos), 1);
	assert_string_equal(infos[0].url, "sub/x.patch");
	assert_string_equal(infos[0].medium, "local");
	assert_string_equal(kinds_source_manifest(&arena, &source)->items[0]->entries[1].value->text, "x.patch");
	arena_release(&arena);
}

/* cpan's file is the same before and after ecosystems came; its helper module is not. */
static void test_helper(void **state)
{
	const struct kinds_source_info *infos;
	struct arena arena = ARENA_INIT;
	struct kinds_plugin plugin;
	struct graph_source source;

	make(&arena, &plugin, "cpan", "buildstream-plugins-community 2.1.0 to 2.3.3",
	     "{name: F, suffix: a, sha256sum: '12'}", &source);
	assert_string_equal(kinds_plugin_helper(&plugin), "_utils");
	kinds_plugin_helper_read(&plugin, "extra_data={\"ecosystem\": x}", 27);
	assert_int_equal(kinds_source_infos(&arena, &source, &infos), 1);
	assert_int_equal(infos[0].extra_count, 1);
	kinds_plugin_helper_read(&plugin, "extra", 5);
	assert_int_equal(kinds_source_infos(&arena, &source, &infos), 1);
	assert_int_equal(infos[0].extra_count, 0);
	plugin.kind = "pypi";
	assert_null(kinds_plugin_helper(&plugin));
	arena_release(&arena);
}

static void test_releases(void **state)
{
	struct kinds_plugin plugin = { .package = "p 2.3.10 to 2.4.0" };

	assert_true(kinds_plugin_since(&plugin, "2.3.9"));
	assert_true(kinds_plugin_since(&plugin, "2.3.10"));
	assert_false(kinds_plugin_since(&plugin, "2.3.11"));
	assert_false(kinds_plugin_since(&plugin, "2.4"));
	assert_true(kinds_plugin_since(&plugin, "2.3"));
	plugin.package = "freedesktop-sdk";
	assert_true(kinds_plugin_since(&plugin, "9"));
	assert_true(kinds_plugin_since(NULL, "9"));
}

static void test_first_version(void **state)
{
	struct arena arena = ARENA_INIT;

	assert_string_equal(kinds_first_version(&arena, "pony-1.2-3.4.5.tgz", NULL), "1.2");
	assert_string_equal(kinds_first_version(&arena, "openssl1_1_1d.tar.gz", "(\\d+)_(\\d+)_(\\d+[a-z]?)"), "1.1.1d");
	assert_null(kinds_first_version(&arena, "pony", NULL));
	arena_release(&arena);
}

/* Copies that somebody changed are taken for the release whose words they have. */
static void test_manifest_releases(void **state)
{
	static const struct {
		const char *text;
		uint32_t behaviour;
	} texts[] = { { "class X", KINDS_MANIFEST_PLAIN },
		      { "use-source-provenance", KINDS_MANIFEST_BARE },
		      { "use-source-provenance source_location[\"x-cpe\"] = cpe", 0 } };
	struct arena arena = ARENA_INIT;
	struct kinds_plugin plugin;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		kinds_plugin_identify(&plugin, &arena, false, "collect_manifest", texts[i].text, strlen(texts[i].text));
		assert_int_equal(plugin.state, KINDS_PLUGIN_STABLE);
		assert_int_equal(plugin.behaviour, texts[i].behaviour);
	}
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_infos),	 cmocka_unit_test(test_manifest_words),
		cmocka_unit_test(test_patches),	 cmocka_unit_test(test_helper),
		cmocka_unit_test(test_releases), cmocka_unit_test(test_first_version),
		cmocka_unit_test(test_manifest_releases),
	};

	return cmocka_run_group_tests_name("origins", tests, NULL, NULL);
}

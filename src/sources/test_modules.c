/* Unit tests of the sources of the git family, and of go_module, cargo2 and anitya, whose plugins' versions differ, so that a stand-in
 * for a plugin in a scenario would not do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sources/test_rig.h"

static void shell(const char *script, struct buf *output)
{
	const char *argv[] = { "sh", "-e", "-c", script, NULL };
	const struct sources_command command = { .argv = argv, .directory = scratch, .output = output };

	assert_int_equal(sources_command(&ctx, &command), 0);
}

/* What a command prints, without the newline; in the graph's arena. */
static const char *output_of(const char *command)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	shell(command, &text);
	return arena_strndup(&graph.arena, buf_text(&text), strcspn(buf_text(&text), "\n"));
}

static void run_script(const char *script)
{
	shell(script, NULL);
}

/* ---- go_module ---- */

static const char go_script[] =
	"export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null\n"
	"export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.invalid GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.invalid\n"
	"export GIT_AUTHOR_DATE='1321009871 +0000' GIT_COMMITTER_DATE='1321009871 +0000'\n"
	"mkdir -p repos app\n"
	"git init -q -b main repos/lib\n"
	"cd repos/lib\n"
	"mkdir -p sub/deep/x sub/v2/inner other docs\n"
	"printf 'module example.org/lib/sub\\n\\ngo 1.21\\r\\n' >sub/go.mod\n"
	"echo 'package sub' >sub/a.go; echo 'package x' >sub/deep/x/x.go; echo text >sub/deep/readme\n"
	"printf 'module example.org/lib/sub/v2\\n\\ngo 1.22\\n' >sub/v2/go.mod; echo 'package inner' >sub/v2/inner/i.go\n"
	"echo 'package lib' >lib.go; echo '$Id$' >other/id; printf '*/id ident\\n*.bat eol=crlf\\n' >.gitattributes; printf 'x\\n' >docs/run.bat\n"
	"ln -s lib.go link.go; chmod 755 other/id\n"
	"git add -A 2>/dev/null; git commit -q -m one; git tag sub/v1.2.0; git tag -a -m x v0.3.0\n"
	"cd ../..\n"
	"{ printf 'module app\\n\\nrequire (\\n\\texample.org/lib/sub v1.2.0\\n\\texample.org/lib/sub/v2 v2.0.1 // indirect\\n)\\n'\n"
	"printf 'require example.org/old v0.1.0\\nreplace example.org/old v0.1.0 => example.org/lib v0.3.0\\n'; } >app/go.mod\n";

static void set_local(struct graph_source *source, const char *name)
{
	struct kinds_local *local = ARENA_NEW(&graph.arena, struct kinds_local);

	local->path = name;
	local->fullpath = arena_printf(&graph.arena, "%s/%s", scratch, name);
	local->digest.size_bytes = -1;
	source->ops = kinds_find_source("local");
	source->config = local;
	source->directory = "src";
	set_key(source, "\"local\"");
}

static void set_go(struct graph_source *source, const char *module, const char *version, const char *ref,
		   const char *subdirectory)
{
	struct kinds_go_module *go = ARENA_NEW(&graph.arena, struct kinds_go_module);

	go->original_url = "repo:lib.git";
	go->url = arena_printf(&graph.arena, "file://%s/repos/lib", scratch);
	go->module = module;
	go->has_ref = true;
	go->go_version = version;
	go->git_ref = ref;
	go->subdirectory = subdirectory;
	source->ops = kinds_find_source("go_module");
	source->config = go;
	source->directory = "src";
	set_key(source, arena_printf(&graph.arena, "\"%s\"", module));
}

/* The digest is the peer's. */
static void test_go_module(void **state)
{
	struct graph_source *sources = set_sources(5);
	const char *commit, *exact, *old;
	struct digest digest;
	char hex[DIGEST_HEX + 1];

	run_script(go_script);
	commit = output_of("git -C repos/lib rev-parse HEAD");
	exact = arena_printf(&graph.arena, "sub/v1.2.0-0-g%s", commit);
	old = arena_printf(&graph.arena, "v0.3.0-0-g%s", commit);
	set_local(&sources[0], "app");
	set_go(&sources[1], "example.org/lib/sub", "v1.2.0", exact, "sub");
	set_go(&sources[2], "example.org/lib/sub/v2", "v2.0.1", commit, "sub");
	set_go(&sources[3], "example.org/lib", "v0.3.0", old, NULL);
	set_go(&sources[4], "example.org/pseudo", "v0.0.0-20191109021931-daa7c04131f5", commit, NULL);
	assert_int_equal(sources_have_originals(&ctx), 0);
	assert_int_equal(sources_fetch(&ctx, 0, &digest), 0);
	digest_to_hex(hex, digest.hash);
	assert_string_equal(hex, "a9fa03fee6b38eb6b924c1b2ac7b99e63f533773cc2992ab54890adfe8a59337");
	assert_int_equal(sources_have_originals(&ctx), 1);
}

static void test_go_module_errors(void **state)
{
	struct graph_source *sources = set_sources(2);
	struct digest digest;

	run_script(go_script);
	set_local(&sources[0], "app");
	set_go(&sources[1], "example.org/lib", "v1.0.0", "v9-0-g0123456789012345678901234567890123456789", NULL);
	assert_int_equal(sources_fetch(&ctx, 0, &digest), -ENOENT);
	set_go(&sources[1], "example.org/lib", "v1.0.0", "not a ref", NULL);
	assert_int_equal(sources_fetch(&ctx, 0, &digest), -EINVAL);
	set_go(&sources[1], "example.org/lib", "v1.0.0", output_of("git -C repos/lib rev-parse HEAD"), "no/such");
	assert_int_equal(sources_fetch(&ctx, 0, &digest), -ENOENT);
	set_go(&sources[1], "example.org/lib", "v1.0.0", output_of("git -C repos/lib rev-parse HEAD"), "../..");
	assert_true(sources_fetch(&ctx, 0, &digest) < 0);
}

/* ---- git, git_tag, git_repo ---- */

static const char modules_script[] = "cd repos/lib\n"
				     "export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b\n"
				     "head=$(git rev-parse HEAD)\n"
				     "printf '[submodule \"m\"]\\n path = deep/m\\n\\turl = ../lib\\n; x\\n[other]\\nx\\n' >.gitmodules\n"
				     "git add .gitmodules\n"
				     "git update-index --add --cacheinfo 160000,$head,deep/m\n"
				     "git commit -q -m two\n";

static struct kinds_git *set_git(const char *kind, enum kinds_git_variant variant, const char *ref)
{
	struct graph_source *source = set_sources(1);
	struct kinds_git *git = ARENA_NEW(&graph.arena, struct kinds_git);

	git->variant = variant;
	git->path = "";
	git->url = git->original_url = arena_printf(&graph.arena, "file://%s/repos/lib", scratch);
	git->ref = ref;
	git->checkout_submodules = true;
	source->ops = kinds_find_source(kind);
	source->config = git;
	set_key(source, arena_printf(&graph.arena, "\"%s %s\"", kind, ref));
	return git;
}

static bool has(const struct digest *digest, const char *path)
{
	struct cas_tree *tree;
	int r;

	assert_int_equal(cas_tree_new(&tree, cas, digest), 0);
	r = cas_tree_type(tree, path);
	cas_tree_free(tree);
	return r >= 0;
}

static void test_git_family(void **state)
{
	struct kinds_git_tag tag = { .tag = "v0.3.0", .annotated = true };
	struct kinds_submodule module = { .path = "deep/m" };
	struct kinds_git *git;
	struct digest digest;
	const char *described;

	run_script(go_script);
	run_script(modules_script);
	tag.commit = output_of("git -C repos/lib rev-parse v0.3.0^{}");
	described = arena_printf(&graph.arena, "v0.3.0-1-g%s", output_of("git -C repos/lib rev-parse HEAD"));
	module.url = arena_printf(&graph.arena, "file://%s/repos/lib", scratch);

	git = set_git("git", KINDS_GIT, described);
	git->tags = &tag;
	git->tag_count = 1;
	git->submodules = &module;
	git->submodule_count = 1;
	assert_int_equal(sources_have_originals(&ctx), 0);
	assert_int_equal(sources_fetch(&ctx, 0, &digest), 0);
	assert_int_equal(sources_have_originals(&ctx), 1);
	assert_true(has(&digest, ".git/refs/tags/v0.3.0") && has(&digest, "deep/m/lib.go") && !has(&digest, "deep/m/.git"));

	git = set_git("git_tag", KINDS_GIT_TAG, described);
	assert_int_equal(sources_fetch(&ctx, 0, &digest), 0);
	assert_int_equal(sources_have_originals(&ctx), 1);
	assert_true(has(&digest, ".git/index") && has(&digest, "deep/m/.git/index") && has(&digest, "deep/m/lib.go"));

	set_git("git_repo", KINDS_GIT_REPO, described);
	assert_int_equal(sources_fetch(&ctx, 0, &digest), 0);
	assert_int_equal(sources_have_originals(&ctx), 1);
	assert_true(has(&digest, ".git/refs/tags/v0.3.0") && has(&digest, "lib.go") && !has(&digest, "deep/m/lib.go"));

	set_git("git", KINDS_GIT, "-x");
	assert_int_equal(sources_fetch(&ctx, 0, &digest), -EINVAL);
	set_git("git_tag", KINDS_GIT_TAG, "v9-0-g0123456789012345678901234567890123456789");
	assert_int_equal(sources_fetch(&ctx, 0, &digest), -ENOENT);
}

/* A submodule's place is in the tree. */
static void test_git_escape(void **state)
{
	struct digest digest;

	run_script(go_script);
	run_script("cd repos/lib\n"
		   "printf '[submodule \"m\"]\\npath = ../../m\\nurl = file:///x\\n' >.gitmodules\n"
		   "git add .gitmodules\n"
		   "git -c user.name=A -c user.email=a@b commit -q -m two\n");
	set_git("git", KINDS_GIT, output_of("git -C repos/lib rev-parse HEAD"));
	assert_int_equal(sources_fetch(&ctx, 0, &digest), -EBADMSG);
}

/* ---- cargo2 ---- */

static const char crate_script[] = "mkdir -p thing-1.0.0/src crates/thing\n"
				   "echo '[package]' >thing-1.0.0/Cargo.toml\n"
				   "echo >thing-1.0.0/src/lib.rs\n"
				   "tar -cf crates/thing/thing-1.0.0.crate thing-1.0.0\n";

static int listed(void *data, const char *path, const struct cas_entry *entry)
{
	buf_printf(data, "%s%s ", path, entry->type == CAS_DIRECTORY ? "/" : "");
	if (str_ends(path, "config.toml"))
		assert_int_equal(cas_get(cas, &entry->digest, data), 0);
	return 0;
}

static void test_cargo2(void **state)
{
	struct graph_source *source = set_sources(1);
	struct kinds_cargo *cargo = ARENA_NEW(&graph.arena, struct kinds_cargo);
	struct kinds_crate *crate = ARENA_NEW(&graph.arena, struct kinds_crate);
	struct buf list = BUF_INIT, expected = BUF_INIT;
	struct digest digest;

	run_script(crate_script);
	*crate = (struct kinds_crate){ .name = "thing", .version = "1.0.0" };
	crate->sha = arena_strndup(&graph.arena, output_of("sha256sum crates/thing/thing-1.0.0.crate"), DIGEST_HEX);
	*cargo = (struct kinds_cargo){ .second = true, .original_url = "crates:", .base_url = "crates:",
				       .vendor_dir = "v/endor", .crates = crate, .crate_count = 1 };
	cargo->url = arena_printf(&graph.arena, "file://%s/crates/", scratch);
	source->ops = kinds_find_source("cargo2");
	source->config = cargo;
	set_key(source, "\"c\"");
	assert_int_equal(sources_fetch(&ctx, 0, &digest), 0);
	assert_int_equal(cas_walk(cas, &digest, listed, &list), 0);
	buf_printf(&expected,
		   ".cargo/ .cargo/config.toml [source.crates-io]\nregistry = \"%s\"\nreplace-with = \"vendored-sources\"\n\n"
		   "[source.vendored-sources]\ndirectory = \"v/endor\"\n"
		   "v/ v/endor/ v/endor/thing-1.0.0/ v/endor/thing-1.0.0/.cargo-checksum.json "
		   "v/endor/thing-1.0.0/Cargo.toml v/endor/thing-1.0.0/src/ v/endor/thing-1.0.0/src/lib.rs ",
		   cargo->url);
	assert_string_equal(list.data, expected.data);
	buf_release(&list);
	buf_release(&expected);
	crate->name = "../../thing";
	set_key(source, "\"d\"");
	assert_int_equal(sources_fetch(&ctx, 0, &digest), -EINVAL);
	*crate = (struct kinds_crate){ .is_git = true, .name = "thing", .version = "1", .repo = "repo:x", .commit = "--upload-pack=x" };
	set_key(source, "\"e\"");
	assert_int_equal(sources_fetch(&ctx, 0, &digest), -EINVAL);
	assert_string_equal(diag.reason, "invalid-ref");
}

/* ---- anitya ---- */

static const char release_script[] = "mkdir -p thing/doc files/2 files/v12_r5\n"
				     "echo run >thing/run; echo in >thing/doc/small; echo out >thing/doc/big; echo out >thing/a.log\n"
				     "echo 'no other component' >README\n"
				     "tar -czf files/2/thing-2.10.tar.gz thing README\n"
				     "cp files/2/thing-2.10.tar.gz files/lib-3.1.4-rc1.tar.gz\n"
				     "cp files/2/thing-2.10.tar.gz files/v12_r5/12.tar.gz\n";

/* A source with that template and version; its tree's list, or the result of fetching. */
static int fetch_release(const char *template, const char *version, const char *const *exclude, const char *rendered,
			 struct buf *list)
{
	struct graph_source *source = set_sources(1);
	struct kinds_anitya *anitya = ARENA_NEW(&graph.arena, struct kinds_anitya);
	struct digest digest;
	int r;

	*anitya = (struct kinds_anitya){ .url_template = template, .release = version, .rendered = rendered };
	anitya->sha256sum = arena_strndup(&graph.arena, output_of("sha256sum files/2/thing-2.10.tar.gz"), DIGEST_HEX);
	anitya->prefix_url = arena_printf(&graph.arena, "file://%s/files/%.*s", scratch,
					  (int)strcspn(template + strlen("files:"), "{"), template + strlen("files:"));
	anitya->exclude = (struct kinds_strings){ exclude, exclude ? 2 : 0 };
	source->ops = kinds_find_source("anitya");
	source->config = anitya;
	set_key(source, arena_printf(&graph.arena, "\"%s%s%u\"", template, version, exclude != NULL));
	diag_release(&diag);
	memset(&diag, 0, sizeof diag);
	r = sources_fetch(&ctx, 0, &digest);
	buf_clear(list);
	if (r == 0)
		assert_int_equal(cas_walk(cas, &digest, listed, list), 0);
	return r;
}

static void test_anitya(void **state)
{
	static const char *const exclude[] = { "**.log", "doc/big" };
	static const char all[] = "a.log run doc/ doc/big doc/small ";
	struct buf list = BUF_INIT;

	run_script(release_script);
	assert_int_equal(fetch_release("files:{major}/thing-{version}.tar.gz", "2.10", exclude, NULL, &list), 0);
	assert_string_equal(list.data, "run doc/ doc/small ");
	assert_int_equal(fetch_release("files:{prefix}{major}.{minor}.{patch}-{prerelease}.tar.gz", "lib-3.1.4-rc1+git", NULL,
				       NULL, &list), 0);
	assert_string_equal(list.data, all);
	assert_int_equal(fetch_release("files:{version}/{major}.tar.gz", "v12_r5", NULL, NULL, &list), 0);
	assert_string_equal(list.data, all);
	/* as KDE's plugin has it, which splits versions in another way */
	assert_int_equal(fetch_release("files:{major}/thing-{version}.tar.gz", "2.10", NULL, "files:2/thing-2.10.tar.gz", &list),
			 0);
	assert_string_equal(list.data, all);
	assert_int_equal(fetch_release("files:{year}/thing.tar.gz", "2.10", NULL, NULL, &list), -EINVAL);
	assert_string_equal(buf_text(&diag.message),
			    "Version '2.10' does not provide {year} for the URL template 'files:{year}/thing.tar.gz'");
	assert_int_equal(fetch_release("files:{major/thing.tar.gz", "2.10", NULL, NULL, &list), -EINVAL);
	buf_release(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_go_module, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_go_module_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_git_family, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_git_escape, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cargo2, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_anitya, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of room artifacts: records as bytes and as files, names, metadata. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "artifacts/artifacts.h"
#include "base/fs.h"
#include "yaml/yaml.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char scratch[64];
static struct cas *cas;
static struct arena arena;

static int set_up(void **state)
{
	strncpy(scratch, "/tmp/test-artifacts-XXXXXX", sizeof scratch - 1);
	assert_non_null(mkdtemp(scratch));
	assert_int_equal(cas_new(&cas, scratch, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	cas_free(cas);
	arena_release(&arena);
	memset(&arena, 0, sizeof arena);
	return fs_remove_all(AT_FDCWD, scratch);
}

static struct artifact sample(void)
{
	static struct artifact_dep deps[] = { { "proj", "dep.bst", KEY_B, true }, { "other", "x/y.bst", KEY_A, false } };
	static struct graph_pair environment[] = { { "PATH", "/bin" }, { "Z", "" } };
	static struct graph_pair variables[] = { { "prefix", "/usr" }, { "odd", "a: \"b\" #c" } };
	static const char *marked[] = { "/buildstream/build" };
	static struct artifact_log logs[1];
	static struct digest subsandbox;
	struct graph_sandbox sandbox = { .build_os = "linux", .build_arch = "x86-64", .build_uid = 7, .build_gid = -1,
					 .remote_apis_socket = "/run/s", .action_cache_enable_update = true };
	struct artifact artifact = {
		.version = ARTIFACT_VERSION, .build_success = true, .build_error = "succeeded", .strong_key = KEY_A,
		.weak_key = KEY_B, .strict_key = KEY_A, .has_files = true, .files = DIGEST_EMPTY, .deps = deps,
		.dep_count = 2, .logs = logs, .log_count = 1, .has_sandbox = true, .environment = environment,
		.environment_count = 2, .working_directory = "/b", .marked_directories = marked,
		.marked_directory_count = 1, .subsandboxes = &subsandbox, .subsandbox_count = 1, .has_buildtree = true,
		.buildtree = DIGEST_EMPTY, .has_public_data = true, .has_low_meta = true, .has_high_meta = true,
	};

	logs[0].name = "build.log";
	assert_int_equal(cas_put(cas, "log", 3, &logs[0].digest), 0);
	assert_int_equal(cas_put(cas, "", 0, &subsandbox), 0);
	assert_int_equal(artifact_put_public(cas, yaml_empty_map(&arena, NULL), &artifact.public_data), 0);
	assert_int_equal(artifact_put_low_meta(cas, environment, 2, &sandbox, &artifact.low_meta), 0);
	assert_int_equal(artifact_put_high_meta(cas, variables, 2, &artifact.high_meta), 0);
	return artifact;
}

static void test_round_trip(void **state)
{
	struct artifact artifact = sample(), back;
	struct buf bytes = BUF_INIT, again = BUF_INIT;

	artifact_encode(&artifact, &bytes);
	assert_int_equal(artifact_decode(&back, &arena, bytes.data, bytes.len), 0);
	assert_int_equal(back.dep_count, 2);
	assert_string_equal(back.deps[1].element, "x/y.bst");
	assert_true(back.deps[0].was_workspaced);
	assert_string_equal(back.environment[1].value, "");
	assert_string_equal(back.marked_directories[0], "/buildstream/build");
	assert_false(back.has_sources);
	artifact_encode(&back, &again);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.data, bytes.data, bytes.len);
	for (size_t cut = 1; cut < bytes.len; cut++) /* whatever it says, it must not read beyond */
		(void)artifact_decode(&back, &arena, memcpy(arena_bytes(&arena, cut), bytes.data, cut), cut);
	assert_int_equal(artifact_decode(&back, &arena, "\x42\x03\x0a\x01x", 5), -EBADMSG);
	buf_release(&bytes);
	buf_release(&again);
}

static int collect(void *data, const char *name, int64_t mtime_s)
{
	buf_printf(data, "%s ", name);
	return 0;
}

static void test_names_on_disk(void **state)
{
	struct artifact artifact = sample(), back;
	struct buf name = BUF_INIT, list = BUF_INIT;
	char *path;

	assert_int_equal(artifact_write(&artifact, cas, "proj", "sub-el\xc3\xa4", false, NULL), 0);
	artifact_name(&name, "proj", "sub-el\xc3\xa4", KEY_B);
	assert_string_equal(name.data, "proj/sub-el_/" KEY_B);
	assert_int_equal(artifact_cached(&back, &arena, cas, name.data), 1);
	assert_string_equal(back.strong_key, KEY_A);
	assert_true(artifact_has_part(&back, cas, ARTIFACT_BUILDTREE));
	assert_int_equal(artifact_list(cas, "proj/**", collect, &list), 0);
	assert_string_equal(list.data, "proj/sub-el_/" KEY_A " proj/sub-el_/" KEY_B " ");
	buf_clear(&list);
	assert_int_equal(artifact_list(cas, "other/*", collect, &list), 0);
	assert_int_equal(list.len, 0);
	assert_int_equal(artifact_read(&back, &arena, cas, "../../x", NULL), -ENOENT);
	assert_int_equal(artifact_read(&back, &arena, cas, "proj/sub-el_", NULL), -ENOENT);

	/* a record cut short counts as absent, and goes */
	path = xasprintf("%s/artifacts/refs/%s", scratch, name.data);
	assert_int_equal(truncate(path, 20), 0);
	assert_int_equal(artifact_cached(&back, &arena, cas, name.data), 0);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
	assert_int_equal(artifact_remove(cas, "proj/sub-el_/" KEY_A), 0);
	assert_int_equal(artifact_remove(cas, "proj/sub-el_/" KEY_A), -ENOENT);
	buf_release(&name);
	buf_release(&list);
}

static struct stat stat_record(const char *below)
{
	struct stat st;

	assert_int_equal(fstatat(cas_cachedir_fd(cas), below, &st, 0), 0);
	return st;
}

/* Names of one artifact are one file, until one of them is written anew; that leaves the other as it is. */
static void test_one_file_for_all_names(void **state)
{
	struct artifact artifact = sample(), back;
	static const char a[] = "artifacts/refs/p/e/" KEY_A, b[] = "artifacts/refs/p/e/" KEY_B;

	assert_int_equal(artifact_write(&artifact, cas, "p", "e", true, NULL), 0);
	assert_int_equal(stat_record(a).st_ino, stat_record(b).st_ino);
	assert_int_equal(stat_record(a).st_nlink, 2);

	artifact.build_success = false;
	artifact.weak_key = "";
	assert_int_equal(artifact_write(&artifact, cas, "p", "e", false, NULL), 0);
	assert_int_equal(artifact_read(&back, &arena, cas, "p/e/" KEY_A, NULL), 0);
	assert_false(back.build_success);
	assert_int_equal(artifact_read(&back, &arena, cas, "p/e/" KEY_B, NULL), 0);
	assert_true(back.build_success);

	/* where there is a record already, it is replaced, too */
	artifact.weak_key = KEY_B;
	assert_int_equal(artifact_write(&artifact, cas, "p", "e", false, NULL), 0);
	assert_int_equal(artifact_read(&back, &arena, cas, "p/e/" KEY_B, NULL), 0);
	assert_false(back.build_success);
	assert_int_equal(artifact_remove(cas, "p/e/" KEY_A), 0);
	assert_int_equal(artifact_read(&back, &arena, cas, "p/e/" KEY_B, NULL), 0);
}

static void test_cached_needs_its_blobs(void **state)
{
	struct artifact artifact = sample(), back;
	char object[CAS_PATH_BYTES];

	assert_int_equal(artifact_write(&artifact, cas, "p", "e", false, NULL), 0);
	assert_int_equal(artifact_cached(&back, &arena, cas, "p/e/" KEY_A), 1);
	cas_object_path(object, &artifact.logs[0].digest);
	assert_int_equal(unlinkat(cas_cachedir_fd(cas), object, 0), 0);
	cas_forget(cas, 0);
	assert_int_equal(artifact_cached(&back, &arena, cas, "p/e/" KEY_A), 0);
}

static void test_metadata(void **state)
{
	struct artifact artifact = sample();
	const struct graph_pair *pairs;
	const struct yaml_node *public;
	struct graph_sandbox sandbox;
	uint32_t count;

	assert_int_equal(artifact_get_variables(cas, &artifact, &arena, &pairs, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_string_equal(pairs[1].value, "a: \"b\" #c");
	assert_int_equal(artifact_get_environment(cas, &artifact, &arena, &pairs, &count, NULL), 0);
	assert_string_equal(pairs[1].value, "");
	assert_int_equal(artifact_get_sandbox(cas, &artifact, &arena, &sandbox, NULL), 0);
	assert_string_equal(sandbox.build_arch, "x86-64");
	assert_int_equal(sandbox.build_uid, 7);
	assert_int_equal(sandbox.build_gid, -1);
	assert_true(sandbox.action_cache_enable_update);
	assert_int_equal(artifact_get_public(cas, &artifact, &arena, &public, NULL), 0);
	assert_int_equal(public->count, 0);
}

static void test_source_records(void **state)
{
	struct key key = { { 1, 2, 3 } };
	struct digest digest;

	assert_int_equal(source_record_read(cas, "tar", &key, &digest), -ENOENT);
	assert_int_equal(source_record_write(cas, "tar", &key, &DIGEST_EMPTY, NULL), 0);
	assert_int_equal(source_record_write(cas, NULL, &key, &DIGEST_EMPTY, NULL), 0);
	assert_int_equal(source_record_read(cas, "tar", &key, &digest), 0);
	assert_true(digest_eq(&digest, &DIGEST_EMPTY));
	assert_int_equal(source_record_read(cas, NULL, &key, &digest), 0);
	assert_int_equal(source_decode(&digest, "\x12\x01x", 3), -EBADMSG);
}

static void test_only_source(void **state)
{
	struct key key = { { 1, 2, 3 } }, source_key = { { 4, 5 } }, lone = { { 6 } };
	char hex[DIGEST_HEX + 1], *element, *source;
	struct digest digest;

	assert_int_equal(source_record_write(cas, NULL, &lone, &DIGEST_EMPTY, NULL), 0); /* the directory is there */
	assert_int_equal(source_record_write(cas, "tar", &source_key, &DIGEST_EMPTY, NULL), 0);
	assert_int_equal(source_record_write_only(cas, &key, "tar", &source_key, &DIGEST_EMPTY, NULL), 0);
	assert_int_equal(source_record_read(cas, NULL, &key, &digest), 0);
	assert_true(digest_eq(&digest, &DIGEST_EMPTY));
	digest_to_hex(hex, key.hash);
	element = xasprintf("elementsources/%s", hex);
	digest_to_hex(hex, source_key.hash);
	source = xasprintf("source_protos/tar/%s", hex);
	assert_int_equal(stat_record(element).st_ino, stat_record(source).st_ino);

	/* the source's record has gone meanwhile; and over one that is there */
	assert_int_equal(unlinkat(cas_cachedir_fd(cas), source, 0), 0);
	assert_int_equal(source_record_write_only(cas, &lone, "tar", &source_key, &DIGEST_EMPTY, NULL), 0);
	assert_int_equal(source_record_read(cas, NULL, &lone, &digest), 0);
	assert_int_equal(source_record_write_only(cas, &key, "tar", &source_key, &DIGEST_EMPTY, NULL), 0);
	assert_int_equal(source_record_read(cas, NULL, &key, &digest), 0);
	free(element);
	free(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_round_trip), TEST(test_names_on_disk), TEST(test_cached_needs_its_blobs),
		TEST(test_metadata),   TEST(test_source_records), TEST(test_one_file_for_all_names), TEST(test_only_source),
	};

	return cmocka_run_group_tests_name("artifacts", tests, NULL, NULL);
}

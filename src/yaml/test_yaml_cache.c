/* Parsed files from an image: the same trees, and nothing believed that is not so. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "yaml/cache_internal.h"

struct world {
	char dir[64], file[96], image[96];
	struct arena arena;
};

static const char TEXT[] = "kind: manual\nvariables: {a: '%{b}'}\nlist: [1, [], {}, {k: v}]\nempty:\n"
			   "text: |\n  one\n  two\n(?):\n- x: {}\n";

static void write_file(const char *path, const char *text)
{
	struct timespec old[2] = { { .tv_sec = 1000000000, .tv_nsec = 5 }, { .tv_sec = 1000000000, .tv_nsec = 5 } };

	assert_int_equal(fs_write_file(AT_FDCWD, path, text, strlen(text), 0644), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
}

/* Past the margin in which a file counts as just changed. */
static void settle(void)
{
	usleep(120000);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	snprintf(w->dir, sizeof(w->dir), "%s", "/tmp/millrace-yaml-cache-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->file, sizeof(w->file), "%s/a.bst", w->dir);
	snprintf(w->image, sizeof(w->image), "%s/millrace/parsed/x", w->dir);
	write_file(w->file, TEXT);
	settle();
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	assert_int_equal(fs_remove_all(AT_FDCWD, w->dir), 0);
	arena_release(&w->arena);
	free(w);
	return 0;
}

static const struct yaml_node *load(struct world *w, struct yaml_cache *cache)
{
	struct diag diag = DIAG_INIT;
	const struct yaml_node *root = NULL;

	assert_int_equal(yaml_cache_load(cache, &w->arena, AT_FDCWD, w->file, NULL, "a.bst", 7, &root, &diag), 0);
	diag_release(&diag);
	return root;
}

static void expect(const struct yaml_cache *cache, uint32_t hits, uint32_t misses)
{
	struct yaml_cache_stats stats;

	yaml_cache_stats(cache, &stats);
	assert_int_equal(stats.hits, hits);
	assert_int_equal(stats.misses, misses);
}

/* A run that fills the image. */
static void fill(struct world *w)
{
	struct yaml_cache *cache = yaml_cache_open(w->image);

	load(w, cache);
	assert_int_equal(yaml_cache_save(cache), 0);
	yaml_cache_free(cache);
}

static void same_tree(const struct yaml_node *a, const struct yaml_node *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->height, b->height);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->line, b->line);
	assert_int_equal(a->column, b->column);
	assert_string_equal(a->file->name, b->file->name);
	if (yaml_is_scalar(a))
		assert_string_equal(a->text, b->text);
	for (uint32_t i = 0; yaml_is_list(a) && i < a->count; i++)
		same_tree(a->items[i], b->items[i]);
	for (uint32_t i = 0; yaml_is_map(a) && i < a->count; i++) {
		assert_string_equal(a->entries[i].key, b->entries[i].key);
		assert_int_equal(a->entries[i].hash, b->entries[i].hash);
		same_tree(a->entries[i].value, b->entries[i].value);
	}
}

static void test_same_tree(void **state)
{
	struct world *w = *state;
	const struct yaml_node *parsed = load(w, NULL), *found;
	struct yaml_cache *cache;

	fill(w);
	cache = yaml_cache_open(w->image);
	found = load(w, cache);
	expect(cache, 1, 0);
	assert_ptr_not_equal(parsed, found);
	same_tree(parsed, found);
	assert_int_equal(found->file->owner, 7);
	assert_string_equal(found->file->path, w->file);
	assert_ptr_equal(found->file->root, found);
	assert_int_equal(yaml_cache_save(cache), 1); /* nothing new */
	yaml_cache_free(cache);
}

/* Maps with many entries carry a table of hashes that must come along. */
static void test_large_map(void **state)
{
	struct world *w = *state;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct yaml_cache *cache;
	const struct yaml_node *found;
	char key[16];

	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "key%d: %d\n", i, i * 7);
	write_file(w->file, buf_text(&text));
	settle();
	fill(w);
	cache = yaml_cache_open(w->image);
	found = load(w, cache);
	expect(cache, 1, 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		assert_int_equal(strtol(yaml_get(found, key)->text, NULL, 10), i * 7);
	}
	assert_null(yaml_get(found, "key1000"));
	yaml_cache_free(cache);
}

static void test_changed_file(void **state)
{
	struct world *w = *state;
	struct yaml_cache *cache;

	fill(w);
	write_file(w->file, "kind: stack\n"); /* same time of change, another inode */
	cache = yaml_cache_open(w->image);
	assert_string_equal(yaml_get(load(w, cache), "kind")->text, "stack");
	expect(cache, 0, 1);
	yaml_cache_free(cache);
}

/* Written over in place, same length, time set back: only ctime tells. */
static void test_changed_in_place(void **state)
{
	struct world *w = *state;
	struct timespec old[2] = { { .tv_sec = 1000000000, .tv_nsec = 5 }, { .tv_sec = 1000000000, .tv_nsec = 5 } };
	struct yaml_cache *cache;
	int fd;

	fill(w);
	fd = open(w->file, O_WRONLY);
	assert_int_equal(pwrite(fd, "kind: MANUAL", 12, 0), 12);
	close(fd);
	assert_int_equal(utimensat(AT_FDCWD, w->file, old, 0), 0);
	cache = yaml_cache_open(w->image);
	assert_string_equal(yaml_get(load(w, cache), "kind")->text, "MANUAL");
	yaml_cache_free(cache);
}

/* What was changed a moment ago may be changed again within the same tick. */
static void test_racy_file(void **state)
{
	struct world *w = *state;
	struct yaml_cache *cache = yaml_cache_open(w->image);

	write_file(w->file, TEXT);
	load(w, cache);
	assert_int_equal(yaml_cache_save(cache), 1);
	yaml_cache_free(cache);
}

/* Any byte of the image may be wrong: the tree is right, or parsed anew. */
static void test_damaged(void **state)
{
	struct world *w = *state;
	const struct yaml_node *parsed = load(w, NULL);
	_cleanup_buf_ struct buf good = BUF_INIT;

	fill(w);
	assert_int_equal(fs_read_file(&good, AT_FDCWD, w->image, 1 << 20), 0);
	for (size_t i = 0; i < good.len; i += i < 512 ? 1 : 7) {
		struct yaml_cache *cache;

		good.data[i] ^= 0x5a;
		assert_int_equal(fs_write_file(AT_FDCWD, w->image, good.data, good.len, 0644), 0);
		good.data[i] ^= 0x5a;
		cache = yaml_cache_open(w->image);
		same_tree(parsed, load(w, cache));
		yaml_cache_free(cache);
	}
	for (size_t len = 0; len < good.len; len += 61) {
		struct yaml_cache *cache;

		assert_int_equal(fs_write_file(AT_FDCWD, w->image, good.data, len, 0644), 0);
		cache = yaml_cache_open(w->image);
		same_tree(parsed, load(w, cache));
		expect(cache, 0, 1);
		yaml_cache_free(cache);
	}
}

static void test_other_name_or_owner(void **state)
{
	struct world *w = *state;
	struct diag diag = DIAG_INIT;
	const struct yaml_node *root;
	struct yaml_cache *cache;

	fill(w);
	cache = yaml_cache_open(w->image);
	assert_int_equal(yaml_cache_load(cache, &w->arena, AT_FDCWD, w->file, NULL, "j.bst:a.bst", 7, &root, &diag), 0);
	assert_string_equal(root->file->name, "j.bst:a.bst");
	assert_int_equal(yaml_cache_load(cache, &w->arena, AT_FDCWD, w->file, NULL, "a.bst", 8, &root, &diag), 0);
	assert_int_equal(root->file->owner, 8);
	expect(cache, 0, 2);
	assert_int_equal(yaml_cache_save(cache), 0); /* the old record stays beside the new ones, or not: its path has newer */
	yaml_cache_free(cache);
	diag_release(&diag);
}

static void test_builtin(void **state)
{
	struct world *w = *state;
	struct yaml_cache *cache = yaml_cache_open(w->image);
	const struct yaml_node *root;

	assert_int_equal(yaml_cache_parse(cache, &w->arena, "a: 1", 4, "k.yaml", &root, NULL), 0);
	assert_int_equal(yaml_cache_save(cache), 0);
	yaml_cache_free(cache);
	cache = yaml_cache_open(w->image);
	assert_int_equal(yaml_cache_parse(cache, &w->arena, "a: 1", 4, "k.yaml", &root, NULL), 0);
	expect(cache, 1, 0);
	assert_null(root->file->path);
	assert_int_equal(yaml_cache_parse(cache, &w->arena, "a: 2", 4, "k.yaml", &root, NULL), 0);
	assert_string_equal(yaml_get(root, "a")->text, "2");
	expect(cache, 1, 1);
	yaml_cache_free(cache);
}

/* Errors are as they were, and nothing of them is kept. */
static void test_errors(void **state)
{
	struct world *w = *state;
	struct yaml_cache *cache = yaml_cache_open(w->image);
	struct diag diag = DIAG_INIT;
	const struct yaml_node *root = NULL;

	write_file(w->file, "a: [\n");
	settle();
	assert_true(yaml_cache_load(cache, &w->arena, AT_FDCWD, w->file, NULL, "a.bst", 0, &root, &diag) < 0);
	assert_string_equal(diag.reason, "invalid-yaml");
	assert_true(yaml_cache_load(cache, &w->arena, AT_FDCWD, w->dir, NULL, "a.bst", 0, &root, &diag) < 0);
	assert_string_equal(diag.reason, "loading-directory");
	assert_true(yaml_cache_load(cache, &w->arena, AT_FDCWD, "/nowhere", NULL, "a.bst", 0, &root, &diag) < 0);
	assert_string_equal(diag.reason, "missing-file");
	assert_int_equal(yaml_cache_save(cache), 1);
	yaml_cache_free(cache);
	diag_release(&diag);
}

/* While one image is mapped, another cannot be: its files are parsed. */
static void test_two_at_once(void **state)
{
	struct world *w = *state;
	struct yaml_cache *one, *two;

	fill(w);
	one = yaml_cache_open(w->image);
	two = yaml_cache_open(w->image);
	same_tree(load(w, one), load(w, two));
	expect(one, 1, 0);
	expect(two, 0, 1);
	yaml_cache_free(two);
	yaml_cache_free(one);
}

enum { AHEAD_FILES = 120 };

/* Files that a second thread may have parsed: the same trees and the same errors, whoever was first. */
static void test_expected(void **state)
{
	struct world *w = *state;
	struct yaml_cache *cache = yaml_cache_open(w->image);
	char path[AHEAD_FILES][112], text[64];
	const struct yaml_node *root = NULL, *value;
	struct diag diag = DIAG_INIT;

	assert_true(yaml_cache_expects(cache));
	for (int i = 0; i < AHEAD_FILES; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%d.bst", w->dir, i);
		snprintf(text, sizeof(text), i % 10 == 3 ? "kind: [%d" : "kind: k%d\n", i);
		write_file(path[i], text);
	}
	settle();
	for (int round = 0; round < 2; round++) { /* announced again in a second round, as after a junction was fetched */
		for (int i = 0; i < AHEAD_FILES; i++)
			yaml_cache_expect(cache, AT_FDCWD, path[i], NULL, "x.bst", 1);
		yaml_cache_expect(cache, AT_FDCWD, w->dir, NULL, "x.bst", 1); /* no file, and nobody asks for it */
		yaml_cache_expect_go(cache);
		for (int i = round * AHEAD_FILES / 2; i < (round + 1) * AHEAD_FILES / 2; i++) {
			int r = yaml_cache_load(cache, &w->arena, AT_FDCWD, path[i], NULL, "x.bst", 1, &root, &diag);

			if (i % 10 == 3) {
				assert_true(r < 0);
				assert_string_equal(diag.reason, "invalid-yaml");
				diag_release(&diag);
				continue;
			}
			assert_int_equal(r, 0);
			snprintf(text, sizeof(text), "k%d", i);
			value = yaml_get(root, "kind");
			assert_string_equal(value->text, text);
			assert_string_equal(value->file->path, path[i]);
			assert_int_equal(value->file->owner, 1);
		}
		yaml_cache_expect_end(cache);
	}
	/* Under another name or for another project it is another tree. */
	assert_int_equal(yaml_cache_load(cache, &w->arena, AT_FDCWD, path[0], NULL, "x.bst", 2, &root, &diag), 0);
	assert_int_equal(root->file->owner, 2);
	expect(cache, 0, AHEAD_FILES + 1);
	assert_int_equal(yaml_cache_save(cache), 0);
	yaml_cache_free(cache);
	cache = yaml_cache_open(w->image);
	assert_false(yaml_cache_expects(cache));
	assert_int_equal(yaml_cache_load(cache, &w->arena, AT_FDCWD, path[1], NULL, "x.bst", 1, &root, &diag), 0);
	expect(cache, 1, 0);
	yaml_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_map, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_racy_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_name_or_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_builtin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expected, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

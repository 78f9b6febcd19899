/* Which make and ninja are in a tree: trees of files that say what real ones say. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cas/cas.h"
#include "jobs/jobs.h"

struct rig {
	char path[64];
	struct cas *cas;
	struct jobs_programs programs;
};

static struct rig rig;

static int open_rig(void **state)
{
	struct diag diag = { 0 };

	(void)state;
	snprintf(rig.path, sizeof(rig.path), "/tmp/test-programs-XXXXXX");
	assert_non_null(mkdtemp(rig.path));
	assert_int_equal(cas_new(&rig.cas, rig.path, &diag), 0);
	return 0;
}

static int close_rig(void **state)
{
	(void)state;
	jobs_programs_release(&rig.programs);
	cas_free(rig.cas);
	return fs_remove_all(AT_FDCWD, rig.path);
}

static struct digest put_directory(struct cas_entry *entries, uint32_t count)
{
	struct cas_directory directory = { .entries = entries, .count = count };
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	struct digest digest;

	for (uint32_t i = 0; i < count; i++)
		entries[i].name_len = (uint32_t)strlen(entries[i].name);
	cas_directory_encode(&directory, &bytes);
	assert_true(cas_put(rig.cas, bytes.data, bytes.len, &digest) >= 0);
	return digest;
}

/* A file with this content, or with target a link. */
static struct cas_entry entry(const char *name, const char *content, const char *target)
{
	struct cas_entry made = { .name = name, .type = target ? CAS_SYMLINK : CAS_FILE, .target = target, .executable = true };

	if (!target)
		assert_true(cas_put(rig.cas, content, strlen(content), &made.digest) >= 0);
	return made;
}

/* What is found in a tree that has these in usr/bin (or, without usr, in bin). */
static uint32_t found(bool usr, struct cas_entry first, const struct cas_entry *second)
{
	struct cas_entry programs[2] = { first }, top[1] = { { .name = "bin", .type = CAS_DIRECTORY } };
	struct digest tree;

	if (second)
		programs[1] = *second;
	top[0].digest = put_directory(programs, second ? 2 : 1);
	tree = put_directory(top, 1);
	if (usr) {
		top[0] = (struct cas_entry){ .name = "usr", .type = CAS_DIRECTORY, .digest = tree };
		tree = put_directory(top, 1);
	}
	return jobs_programs_in(&rig.programs, rig.cas, &tree);
}

static const char make43[] = "ELF --jobserver-auth= jobserver-auth 4.3", make44[] = "ELF jobserver-auth\0jobserver-style";
static const char make44_text[] = "ELF jobserver-auth jobserver-style 4.4.1", ninja112[] = "ELF 1.12.1 ninja: ",
		  ninja113[] = "ELF 1.13.0 N12_GLOBAL__N_120PosixJobserverClientE";

static void test_programs(void **state)
{
	struct cas_entry second;

	(void)state;
	assert_int_equal(found(true, entry("make", make43, NULL), NULL), JOBS_MAKE_OLD);
	assert_int_equal(found(true, entry("make", make44_text, NULL), NULL), JOBS_MAKE_FIFO);
	assert_int_equal(found(false, entry("make", make44_text, NULL), NULL), JOBS_MAKE_FIFO);
	assert_int_equal(found(false, entry("ninja", ninja112, NULL), NULL), JOBS_NINJA_OLD);
	assert_int_equal(found(true, entry("ninja", ninja113, NULL), NULL), JOBS_NINJA_FIFO);
	assert_int_equal(found(true, entry("ninja", make44_text, NULL), NULL), JOBS_NINJA_OLD); /* not what ninja says */
	second = entry("ninja", ninja113, NULL);
	assert_int_equal(found(true, entry("make", make43, NULL), &second), JOBS_MAKE_OLD | JOBS_NINJA_FIFO);
	assert_int_equal(found(true, entry("cc", make44_text, NULL), NULL), 0);
}

static void test_links(void **state)
{
	struct cas_entry second = entry("make", make44_text, NULL);

	(void)state;
	assert_int_equal(found(true, entry("gmake", NULL, "make"), &second), JOBS_MAKE_FIFO);
	assert_int_equal(found(true, entry("make", NULL, "/etc/alternatives/make"), NULL), JOBS_MAKE_OLD);
	second = entry("make", NULL, "bmake");
	assert_int_equal(found(true, entry("gmake", make44_text, NULL), &second), JOBS_MAKE_FIFO | JOBS_MAKE_OLD);
}

/* A NUL in front of the word, as in a real program. */
static void test_bytes(void **state)
{
	struct cas_entry made = { .name = "make", .type = CAS_FILE };

	(void)state;
	assert_true(cas_put(rig.cas, make44, sizeof(make44), &made.digest) >= 0);
	assert_int_equal(found(true, made, NULL), JOBS_MAKE_FIFO);
}

/* What was found is not looked for again, and what is missing is not an error. */
static void test_memory(void **state)
{
	struct cas_entry made = entry("make", "ELF once only jobserver-style", NULL);
	char path[CAS_PATH_BYTES], whole[256];
	struct digest gone = { .size_bytes = 12 };

	(void)state;
	assert_int_equal(found(true, made, NULL), JOBS_MAKE_FIFO);
	cas_object_path(path, &made.digest);
	snprintf(whole, sizeof(whole), "%s/%s", rig.path, path);
	assert_int_equal(unlink(whole), 0);
	assert_int_equal(found(true, made, NULL), JOBS_MAKE_FIFO);
	assert_int_equal(found(false, made, NULL), JOBS_MAKE_FIFO); /* another tree, the same file */
	memset(gone.hash, 7, sizeof(gone.hash));
	assert_int_equal(jobs_programs_in(&rig.programs, rig.cas, &gone), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_programs), cmocka_unit_test(test_links),
					   cmocka_unit_test(test_bytes), cmocka_unit_test(test_memory) };

	return cmocka_run_group_tests(tests, open_rig, close_rig);
}

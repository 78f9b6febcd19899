/* See test_help.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state/test_help.h"

uint32_t count_lines(const char *path, const char *word)
{
	char line[4096];
	uint32_t count = 0;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		count += strstr(line, word) != NULL;
	fclose(f);
	return count;
}

int lowest_free_fd(void)
{
	int fd = memfd_create("probe", MFD_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

uint32_t address_space_pages(void)
{
	unsigned pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%u", &pages), 1);
	fclose(file);
	return pages;
}

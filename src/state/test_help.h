/* state/test_help.h: what the kernel knows of this process, for the tests of the room. */
#ifndef STATE_TEST_HELP_H
#define STATE_TEST_HELP_H

#include <stdint.h>

/* Lines of a file with this word in them: mappings, open files. */
uint32_t count_lines(const char *path, const char *word);
int lowest_free_fd(void);
uint32_t address_space_pages(void);

#endif

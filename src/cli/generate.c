/* generate man|bash|zsh|fish [FILE]: prints what is made from the table of options, or compares FILE with it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/cli_internal.h"

int main(int argc, char **argv)
{
	_cleanup_buf_ struct buf made = BUF_INIT, kept = BUF_INIT;

	if (argc < 2 || argc > 3 || cli_generate(&made, argv[1]) < 0) {
		fprintf(stderr, "usage: generate man|bash|zsh|fish [FILE]\n");
		return 2;
	}
	if (argc == 2)
		return fs_write_all(STDOUT_FILENO, buf_text(&made), made.len) < 0;
	if (fs_read_file(&kept, AT_FDCWD, argv[2], 16u << 20) == 0 && kept.len == made.len &&
	    memcmp(kept.data, made.data, made.len) == 0)
		return 0;
	fprintf(stderr, "%s is not what the table of options makes: run tools/update-data\n", argv[2]);
	return 1;
}

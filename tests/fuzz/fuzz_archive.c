/* tests/fuzz/fuzz_archive.c: any bytes as a tar, zip or ar source.  The first byte chooses format and base directory.
 * Whatever comes out must be a sound tree in the store, and nothing may appear outside it. */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "sources/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char scratch[] = "/tmp/fuzz-archive-XXXXXX";

static void clean_up(void)
{
	fs_remove_all(AT_FDCWD, scratch);
}

static struct cas *store(void)
{
	static struct cas *cas;

	if (!cas) {
		if (!mkdtemp(scratch) || cas_new(&cas, scratch, NULL) < 0)
			abort();
		atexit(clean_up);
	}
	cas_forget(cas, 1 << 20);
	return cas;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const bases[] = { "*", "", "**", "top-*" };
	static const enum archive_format formats[] = { ARCHIVE_TAR, ARCHIVE_ZIP, ARCHIVE_AR, ARCHIVE_TAR };
	struct archive_rules rules = { .format = formats[size ? data[0] & 3 : 0] };
	struct diag diag = DIAG_INIT;
	struct sources_context ctx = { .cas = store(), .diag = &diag };
	struct digest digest;
	int fd = memfd_create("archive", MFD_CLOEXEC), r;

	if (fd < 0 || size == 0)
		return close_fd(fd), 0;
	rules.no_executables = rules.no_symlinks = rules.format == ARCHIVE_ZIP;
	if (fs_write_all(fd, data + 1, size - 1) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	r = sources_archive_tree(&ctx, fd, &rules, bases[data[0] >> 2 & 3], &digest);
	if (r == 0)
		assert(cas_has_tree(ctx.cas, &digest) == 1);
	else
		assert(diag.domain);
	diag_release(&diag);
	close_fd(fd);
	return 0;
}

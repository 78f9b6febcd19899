/* artifacts/artifacts_internal.h: what the files of room artifacts share. */
#ifndef ARTIFACTS_ARTIFACTS_INTERNAL_H
#define ARTIFACTS_ARTIFACTS_INTERNAL_H

#include "artifacts/artifacts.h"

/* Writes a record as a whole, with directories that are missing; path below the cache directory.  0 or -errno.
 *
 * Records are only ever replaced, never written into (the peer does the same: save_file_atomic), and their times alone are
 * set.  So where two names must hold the same bytes, the second may be a link to the first, which costs a third of a file:
 * to say of one that it was used says it of the other, which is true of them anyway. */
int artifact_write_record(struct cas *cas, const char *path, const struct buf *bytes);

#endif

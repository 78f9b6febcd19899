/* Source records: see artifacts.h.  The message is { int32 version = 1; Digest files = 2; }, version never set. */
#include <errno.h>

#include "artifacts/artifacts.h"
#include "base/pb.h"

void source_encode(const struct digest *files, struct buf *out)
{
	cas_encode_digest(out, 2, files);
}

int source_decode(struct digest *files, const void *bytes, size_t len)
{
	struct pb_reader in = pb_reader(bytes, len);
	struct pb_field field;
	bool found = false;
	int r = 0;

	while (r == 0 && pb_next(&in, &field))
		if (field.number == 2) {
			r = cas_decode_digest(files, &field);
			found = true;
		}
	if (in.bad || r < 0 || !found)
		return -EBADMSG;
	return 0;
}

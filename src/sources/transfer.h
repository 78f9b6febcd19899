/* One transfer over the network, or from a file on this machine: into memory or into a file, hashed as it comes. */
#ifndef SOURCES_TRANSFER_H
#define SOURCES_TRANSFER_H

#include "sources/curl_module.h"
#include "sources/sources_internal.h"

struct sources_transfer {
	struct sources_context *ctx;
	const char *url;
	bool local;                   /* a file: URL may be read */
	const char *etag;             /* of what we have already, or NULL */
	const char *const *headers;   /* lines to send too, NULL-terminated; may be NULL */
	struct buf *text;             /* what comes is added to it, 16 MB at most */
	int fd;                       /* ... or written here if text is NULL */
	struct digest_stream *stream; /* hashes it; may be NULL */
};

/* enum curl_outcome, -ECANCELED, -ELIBACC with ctx->diag set, or another <0 with answer->error filled if there is more to say.
 * answer begins zeroed; to be released. */
int sources_transfer(struct sources_transfer *transfer, struct curl_answer *answer);
void sources_answer_release(struct curl_answer *answer);

#endif

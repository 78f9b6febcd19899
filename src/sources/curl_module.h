/* Between the program and its module millrace-curl.so: one transfer over the network. */
#ifndef SOURCES_CURL_MODULE_H
#define SOURCES_CURL_MODULE_H

#include <poll.h>

#include "base/buf.h"

#define CURL_MODULE_SYMBOL "millrace_curl_module"

struct curl_request {
	const char *url;
	const char *etag; /* what we have already, or NULL */
	const char *const *headers; /* lines to send too ("Accept: x"), NULL-terminated; may be NULL */
	void *data;
	/* Gets the body in order; <0 stops. */
	int (*write)(void *data, const void *bytes, size_t len);
	/* As sources_context.wait; never NULL. */
	int (*wait)(void *data, struct pollfd *fds, nfds_t count, int64_t deadline_us);
	void (*progress)(void *data, uint64_t done, uint64_t total);
};

struct curl_answer {
	struct buf etag;  /* of what came; may be empty */
	struct buf error; /* why it failed, one line */
	bool temporary;   /* the failure may pass */
	long status;      /* of the last answer; 0: there was none, or the protocol has none */
	struct buf challenge; /* its WWW-Authenticate; may be empty */
};

enum curl_outcome { CURL_CAME = 0, CURL_NOT_MODIFIED = 1 };

struct curl_module {
	/* enum curl_outcome, -ECANCELED from wait, another <0 from write, or -EIO with answer->error filled. */
	int (*transfer)(const struct curl_request *request, struct curl_answer *answer);
};

#endif

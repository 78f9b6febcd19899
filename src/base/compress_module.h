/* Between the program and its module millrace-compress.so: a compressed stream to a file descriptor. */
#ifndef BASE_COMPRESS_MODULE_H
#define BASE_COMPRESS_MODULE_H

#include <stddef.h>

#define COMPRESS_MODULE_SYMBOL "millrace_compress_module"

struct compress_stream;

struct compress_module {
	/* filter: "gz", "xz" or "bz2".  NULL if it cannot be had. */
	struct compress_stream *(*open)(int fd, const char *filter);
	/* 0 or -errno. */
	int (*write)(struct compress_stream *stream, const void *bytes, size_t len);
	/* Writes what is left and frees the stream.  0 or -errno. */
	int (*close)(struct compress_stream *stream);
};

#endif

/* session/history.h: how long jobs took in earlier runs, and of how many files sources are, so that the next one begins with
 * what takes longest.
 *
 * A text file in the cache, one or two lines for each job that succeeded, appended as it ends: docs/formats/history.md.  It is advice
 * and nothing else: whoever deletes it loses an order, not a result.  Lines that make no sense are passed over, a last line
 * without its end is one that a crash cut off.  Beyond a size the file is written anew, with what is known of each element.
 *
 * Parent process.
 */
#ifndef SESSION_HISTORY_H
#define SESSION_HISTORY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

enum session_history_kind { HISTORY_FETCH, HISTORY_BUILD, /* ms */ HISTORY_FILES, HISTORY_KINDS };

enum {
	HISTORY_FILE_MAX = 4 * 1024 * 1024, /* read; beyond half of it the file is written anew */
	HISTORY_LINE_MAX = 1024
};

struct session_history {
	struct strmap places;  /* "kind project name" -> place in numbers */
	uint32_t *numbers;
	size_t count, cap;
	struct arena arena;    /* keys */
	int fd;                /* to append to; -1: none */
};

/* Reads lines from text; later ones count half, as do all before together. */
void session_history_parse(struct session_history *history, const char *text, size_t len);
/* Milliseconds or files, or 0 if it is not known.  project and name are an element's, as in the file. */
uint32_t session_history_get(const struct session_history *history, enum session_history_kind kind, const char *project,
			     const char *name);
/* The one in the middle of all that are known of this kind; 0: none is. */
uint32_t session_history_median(const struct session_history *history, enum session_history_kind kind);
/* How long builds took by files of their sources, in microseconds a file, over all of which both are known; 0: of none. */
uint64_t session_history_us_a_file(const struct session_history *history);
/* Reads <cachedir>/millrace/history and keeps it open for appending; cachedir_fd is that directory's descriptor.  A file
 * that is not there, or cannot be used, is an empty one. */
void session_history_open(struct session_history *history, int cachedir_fd);
/* Remembers what came of a job that succeeded; what is below 1 or too large is cut to what a line may say. */
void session_history_add(struct session_history *history, enum session_history_kind kind, const char *project,
			 const char *name, int64_t number);
/* One line of the file, as text. */
void session_history_line(struct buf *out, enum session_history_kind kind, const char *project, const char *name,
			  uint32_t number);
void session_history_release(struct session_history *history);

#endif

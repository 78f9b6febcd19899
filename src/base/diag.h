/* base/diag.h: what went wrong, for a person to read.
 *
 * User mistakes (YAML, options, refs, files) and failures of the world go into one struct diag that the caller owns;
 * rooms below cli never print.  domain and reason are BuildStream 2's names (_exceptions.py ErrorDomain, LoadErrorReason
 * and friends) in lower case with dashes, so scripts that migrate find the same facts: "load" + "missing-file".
 * A function that takes a struct diag returns 0 or more on success and a negative number on failure, with diag filled
 * exactly when it fails.  Any process; one thread at a time.
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include "base/buf.h"

struct diag {
	const char *domain; /* static text, e.g. "load"; NULL: nothing went wrong */
	const char *reason; /* static text, e.g. "missing-file"; NULL if the peer has none here */
	struct buf where;   /* provenance as the peer prints it: "elements/a.bst [line 3 column 2]"; may be empty */
	struct buf message; /* one line or a few; without the provenance */
	struct buf detail;  /* more lines, shown indented; may be empty */
	struct buf element; /* full name of the element concerned; may be empty */
};
#define DIAG_INIT { 0 }

/* Sets domain, reason and message; a diag that is already set is replaced.  diag may be NULL.  Returns -EINVAL, so
 * that `return diag_set(...)` reads well. */
int diag_set(struct diag *diag, const char *domain, const char *reason, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Adds to the detail lines; diag may be NULL. */
void diag_detail(struct diag *diag, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Sets the provenance: name as shown to people, line 1-based, column 0-based (the peer counts so). */
void diag_where(struct diag *diag, const char *name, unsigned line, unsigned column);
/* Names the element unless one is named already. */
void diag_element(struct diag *diag, const char *full_name);
/* For a failed system call: message is "fmt: strerror(err)". err is positive. */
int diag_errno(struct diag *diag, const char *domain, const char *reason, int err, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
/* "where: message" + indented detail, as the peer prints an error, without a final newline. */
void diag_format(const struct diag *diag, struct buf *out);
/* Moves from into to (from is empty afterwards). */
void diag_move(struct diag *to, struct diag *from);
void diag_release(struct diag *diag);
#define _cleanup_diag_ CLEANUP(diag_release)

#endif

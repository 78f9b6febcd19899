/* wire/wire.h: what parent and worker say to each other.
 *
 * Messages travel in datagrams on a SOCK_SEQPACKET socket pair, so there is no partial read.  A datagram holds one message,
 * or as many whole ones as fit into WIRE_MAX_BYTES, each at a multiple of 8.  Parent and worker are the same program, the worker forked from the parent: numbers are in native byte order and the layout may
 * change with any release.  Encoding and decoding are pure; sending and receiving are one system call each.
 *
 * Layout of every message (all numbers little structs in native order):
 *
 *     struct wire_head   8 bytes: u16 type, u16 strings, u32 size of the whole message
 *     fixed part         size depends on the type only
 *     strings            for each of head.strings: u32 length in bytes, the bytes, a NUL; in the order of the fields
 *                        below.  A NULL string has length UINT32_MAX and no bytes
 *     changes            (results only) u32 length in bytes, the bytes, opaque here: room state reads them
 *
 * Decoding checks everything: sizes, types, enum values, lengths, NULs, nothing left over.  Text need not be UTF-8 (it
 * may come from a compiler); whoever prints it makes it safe.  A message that does not decode ends the worker that sent
 * it, never the parent.
 *
 * There is no "started" message: whether a job was begun when its worker died is told by a word in memory that worker
 * and parent share (room workers), which costs nothing per job; a datagram each way costs about 2 us.
 *
 * Maxima: a longer text is cut when it is encoded (at a UTF-8 boundary); log files keep all of it.  Payloads that can be
 * large (public data, file lists, long refs) go through the content store and travel as digests.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/buf.h"

enum {
	WIRE_MAX_BYTES = 96 * 1024,  /* of one message */
	WIRE_MAX_NAME = 4 * 1024,    /* action, domain, reason, path */
	WIRE_MAX_TEXT = 8 * 1024,    /* one line for the terminal */
	WIRE_MAX_DETAIL = 24 * 1024, /* lines shown indented */
	WIRE_MAX_CHANGES = 32 * 1024 /* state changes of one job, encoded */
};

enum wire_type {
	/* parent -> worker */
	WIRE_DISPATCH = 1, /* run a job */
	WIRE_CANCEL,       /* give the job up: it ends with WIRE_CANCELLED as soon as it can */
	WIRE_PING,         /* are you there?  Answered within 100 ms, also in the middle of a job */
	WIRE_QUIT,         /* leave when the job at hand is done */
	/* worker -> parent */
	WIRE_READY, /* the first message: forked, and waiting for work */
	WIRE_MESSAGE,
	WIRE_PROGRESS,
	WIRE_RESULT, /* exactly one for each dispatch */
	WIRE_PONG,
	WIRE_TYPE_END
};

/* Kinds of message, the peer's (_message.py MessageType). */
enum wire_kind {
	WIRE_DEBUG,
	WIRE_STATUS,
	WIRE_INFO,
	WIRE_WARN,
	WIRE_ERROR,
	WIRE_BUG,
	WIRE_LOG,     /* for log files only */
	WIRE_START,   /* timed: later a SUCCESS, FAILURE or SKIPPED with elapsed_us */
	WIRE_SUCCESS,
	WIRE_FAILURE,
	WIRE_SKIPPED,
	WIRE_KIND_END
};
/* The peer's word: "debug", "status", "info", "warning", "error", "bug", "log", "start", "success", "failure", "skipped" */
const char *wire_kind_name(enum wire_kind kind);

enum wire_outcome {
	WIRE_DONE,      /* did its work */
	WIRE_NOTHING,   /* found nothing to do (pull without a match, push of what is there): shown as skipped */
	WIRE_FAILED,    /* for good; the error fields say why */
	WIRE_TEMPORARY, /* failed in a way that a retry may mend (network) */
	WIRE_CANCELLED, /* gave up because it was told to */
	WIRE_OUTCOME_END
};
const char *wire_outcome_name(enum wire_outcome outcome);

struct wire_dispatch {
	uint64_t job;        /* never used twice in a session */
	uint32_t type;       /* index into the table of jobs both sides share */
	uint32_t element;    /* graph id, or UINT32_MAX for a job without an element */
	uint32_t attempt;    /* 1 for the first */
	uint32_t flags;      /* for the job; bits are defined by room jobs */
	uint32_t generation; /* of the graph; a worker forked from another one refuses (its fault or ours: it dies) */
	uint32_t tokens;     /* of the budget of compilers that it must have before it runs commands; 0: none */
	int32_t pipe_read, pipe_write; /* with tokens: its pipe, as numbers of the parent's descriptors (/proc/PID/fd) */
	uint64_t as_of;      /* journal position the job sees; see state/state.h */
};

struct wire_message {
	uint64_t job;
	uint32_t element;   /* the one it is about, mostly the job's; UINT32_MAX: none */
	uint32_t kind;      /* enum wire_kind */
	int64_t elapsed_us; /* of timed kinds; -1 otherwise */
	int64_t at_us;      /* when, on util_now_us's clock (the same in all processes) */
	const char *action; /* "build", "fetch", ... as in log names; NULL: the job's own */
	const char *text;   /* one line, never NULL after decoding */
	const char *detail; /* or NULL */
	const char *log;    /* absolute path of the log file, or NULL */
};

/* How far a job is, for status lines.  May be dropped when the socket is full. */
struct wire_progress {
	uint64_t job;
	uint64_t done, total; /* total 0: not known */
	uint32_t unit;        /* 0: items, 1: bytes */
	uint32_t reserved;    /* 0 */
	const char *text;     /* or NULL */
};

struct wire_result {
	uint64_t job;
	uint32_t outcome;      /* enum wire_outcome */
	uint32_t change_count; /* records in changes */
	uint64_t applied;      /* journal records applied before this job, for --debug */
	int64_t started_us, ended_us;      /* on util_now_us's clock */
	int64_t user_us, system_us;        /* processor time of children the job waited for; 0 if not measured */
	int64_t command_us, budget_us;     /* of that wall time: inside sandboxed commands, waiting for the budget's tokens */
	uint64_t source_files;             /* in the tree that a fetch brought; 0 if they were not counted */
	const char *domain, *reason;       /* as in struct diag; NULL unless it failed */
	const char *where, *text, *detail; /* as in struct diag: provenance, message, detail */
	const char *log;                   /* absolute path of the job's log, or NULL */
	const void *changes;               /* encoded by state/state.h; change_bytes long */
	uint32_t change_bytes;
};

struct wire_ready {
	uint32_t incarnation, generation;
	uint64_t position; /* of the journal when it was forked */
};

/* CANCEL names a job (another one at work: ignored).  PING and PONG carry a number that comes back.  QUIT has neither. */
struct wire_number {
	uint64_t number;
};

/* Any message, decoded.  Strings and changes point into the bytes that were decoded. */
struct wire_any {
	enum wire_type type;
	union {
		struct wire_dispatch dispatch;
		struct wire_message message;
		struct wire_progress progress;
		struct wire_result result;
		struct wire_ready ready;
		struct wire_number number; /* CANCEL, PING, PONG, QUIT */
	};
};

/* Encodes into out (emptied first).  Texts beyond their maxima are cut.  changes beyond WIRE_MAX_CHANGES is our own
 * fault (room workers refuses before). */
void wire_encode(struct buf *out, const struct wire_any *any);
/* Reads size_bytes at data into *ret, which points into data, and so data must be kept, and aligned to 8 bytes.
 * Returns 0 or -EBADMSG; *ret is then not touched. */
int wire_decode(struct wire_any *ret, const void *data, size_t size_bytes);

/* --- sockets --- */

/* A SOCK_SEQPACKET pair, close-on-exec; [0] non-blocking (the parent's), [1] blocking (the worker's). 0 or -errno. */
int wire_pair(int ret_fds[2]);
/* One datagram; never raises SIGPIPE.  flags: MSG_DONTWAIT or 0.  0, -EAGAIN when full, -EPIPE when the other is gone. */
int wire_send(int fd, const struct wire_any *any, struct buf *scratch, int flags);
/* Adds a message to those in out that are to be sent together. */
void wire_add(struct buf *out, const struct wire_any *any, struct buf *scratch);
/* Sends all that wire_add has put into out, in as few datagrams as may be; waits until there is room.  0, -EPIPE when the
 * other is gone. */
int wire_send_all(int fd, const struct buf *out);
/* A datagram and how far it has been read; one serves several sockets in turn, if each is read until wire_more says no. */
struct wire_inbox {
	uint32_t at, len; /* of bytes: what is not decoded yet; zeroed before its first use */
	uint32_t size;    /* bytes of the message decoded last */
	_Alignas(8) char bytes[WIRE_MAX_BYTES + 8];
};
/* On the heap, ready for use; free(). */
struct wire_inbox *wire_inbox_new(void);
/* Is there more in the datagram received last? */
bool wire_more(const struct wire_inbox *inbox);
/* Decodes the next message of the datagram at hand, or receives one.  Returns 1 (a message, pointing into inbox), 0 (the other end is closed), -EAGAIN,
 * -EBADMSG (malformed or too long) or another -errno.  flags: MSG_DONTWAIT or 0. */
int wire_recv(int fd, struct wire_any *ret, struct wire_inbox *inbox, int flags);
/* Bytes of an encoded message. */
uint32_t wire_size(const void *message);

#endif

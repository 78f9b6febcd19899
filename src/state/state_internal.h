/* state/state_internal.h: records and the journal, shared by record.c, journal.c and state.c. */
#ifndef STATE_STATE_INTERNAL_H
#define STATE_STATE_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "state/state.h"

#define STATE_MAGIC UINT64_C(0x6d72616365310a00)
enum { STATE_HEADER_BYTES = 64, STATE_RECORD_HEAD = 16, STATE_RECORD_LEAST = 24, STATE_TURN_BYTES = 24 };

enum state_type {
	STATE_WEAK_KEY = 1,
	STATE_STRICT_KEY,
	STATE_STRONG_KEY,
	STATE_ARTIFACT,
	STATE_SOURCES,
	STATE_FETCHED,
	STATE_REF,
	STATE_REF_BLOB,
	STATE_WORKSPACE,
	STATE_TURN,
	STATE_TYPE_END
};

struct state_record {
	uint32_t length; /* of all, with head and padding; a multiple of 8 */
	uint16_t type;   /* enum state_type */
	uint16_t padding;
	uint32_t element;
	uint32_t origin;
};

/* First bytes of the journal. */
struct state_header {
	uint64_t magic;
	_Atomic uint64_t head;
	uint64_t reserved[6];
};

/* Records that lie one behind the other: the one at position `start` is at byte `at`. */
struct state_lap {
	uint64_t start, at;
};

struct state {
	struct state_element *elements;
	uint32_t element_count;
	struct arena arena; /* refs, workspace keys */
	char *journal;      /* writer's or reader's mapping; NULL in a worker that has followed nothing yet */
	size_t journal_bytes;
	int fd;
	bool writer;
	uint64_t position; /* writer: head; reader: cursor */
	uint64_t at;       /* byte of the journal where that position is */
	/* Writer: the lap being written and the one before; first byte that is not free, first one never used. */
	struct state_lap lap, former;
	uint64_t limit, used;
	size_t lap_bytes;
	uint64_t (*oldest)(void *data);
	void *oldest_data;
	uint64_t populated, populate_bytes; /* writer: journal bytes whose pages are there; how many next */
	uint32_t epoch, incarnation;
	struct buf kept; /* reader: changes sent and not yet met in the journal */
	size_t kept_next;
};

/* A record's head, read from any alignment, if it and its payload are well-formed (type, sizes, values, zero padding) and
 * the element exists; false otherwise.  *ret_payload points into bytes. */
bool state_record_check(const struct state *state, const char *bytes, size_t size_bytes, struct state_record *ret,
			const char **ret_payload, uint32_t *ret_payload_bytes);
/* May a job make this kind of change? */
bool state_record_from_job(uint32_t type);
void state_record_apply(struct state *state, const struct state_record *record, const char *payload,
			uint32_t payload_bytes);
/* One line for --debug. */
void state_record_describe(struct buf *out, const struct state_record *record, const char *payload,
			   uint32_t payload_bytes);

#endif

/* state/state.h: what changes after load, the same in the parent and in every worker.
 *
 * One dense array by element id (struct state_element).  The parent owns the truth.  A worker is forked with a copy of it
 * and afterwards follows an append-only journal in shared memory: the parent is the only writer, each worker a reader
 * with a cursor of its own.  A job is dispatched with `as_of`, the journal position it may see; before it runs, its
 * worker applies the records up to there, leaving out those that came from itself (see state_follow).  What the job
 * changes stays in the job (struct state_changes) until the parent has received, validated, applied and appended it: one writer, no locks,
 * and appending costs the same for one worker as for a hundred.
 *
 * The fields, who changes them, when, in which record:
 *
 *   field            changed by                                                        record
 *   weak, strict     parent: after load (no record), after tracking (room keys)        STATE_WEAK_KEY, STATE_STRICT_KEY
 *   strong           parent: as above, and when an artifact was found in non-strict    STATE_STRONG_KEY
 *                    mode or the dependencies' strong keys became known
 *   artifact.*       query, pull, build jobs: found in the cache, pulled, built.       STATE_ARTIFACT
 *                    strong_key in it is the key the artifact itself carries
 *                    parent: forgotten, when an object of it has vanished              STATE_ARTIFACT
 *   sources          query, fetch, build jobs: digest of the element's staged          STATE_SOURCES
 *                    sources tree (elementsources), once they are in the store
 *   fetched          query, fetch jobs: are the sources at hand?                       STATE_FETCHED
 *   refs             track jobs: the ref found for one source, as the text of its      STATE_REF
 *                    JSON value, or the digest of a blob with that text when long
 *   workspace_key    parent or query job: key text of an open workspace's content      STATE_WORKSPACE
 *
 * Journal format (docs/formats/journal.md), native byte order, 8-aligned:
 *   header  64 bytes: u64 magic, u64 head (position after the last record; written with release order after the record),
 *           the rest zero.  Position 64 is the first record.
 *   record  u32 length (whole record, multiple of 8, 24 .. STATE_RECORD_MAX), u16 type, u16 payload padding (0..7),
 *           u32 element, u32 origin; then the payload (length - 16 - padding bytes), zero padding.
 *           A position counts all bytes of records ever written, and 64; where a lap ends, a record says where the next is.
 * origin is the incarnation number of the worker whose job made the change; 0 is the parent.  Incarnations are never used
 * twice in a session, because a re-forked worker holds what the parent held at the fork, not what its predecessor sent.
 *
 * Memory: the journal is a memfd with its whole address range reserved up front (sparse), so growth never remaps.  The
 * writer's mapping is not inherited (MADV_DONTFORK); then the memfd is sealed against shrinking, growing and future
 * writable mappings, so a worker can map it read-only and in no other way.  Bytes that every worker has done with are
 * written again, lap after lap (state_reuse), so it stays as small as its readers are quick.  When it is full all the same,
 * state_roll starts an empty one: workers forked before keep the old one for the job at hand and are then retired.
 *
 * Process: the parent calls state_new .. state_roll, a worker state_attach and state_follow, both the readers.
 * One thread each.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "base/buf.h"
#include "base/digest.h"

enum {
	STATE_ORIGIN_PARENT = 0,
	STATE_RECORD_MAX = 16 * 1024, /* bytes of one record */
	STATE_REF_MAX = 12 * 1024,    /* text of one ref; longer ones travel as a digest */
	STATE_WORKSPACE_MAX = 256,
	STATE_CHANGES_MAX = 32 * 1024, /* bytes of all changes of one job */
	STATE_SOURCES_MAX = 4096       /* source index limit */
};

enum state_artifact_outcome {
	STATE_ARTIFACT_UNKNOWN, /* not looked up yet */
	STATE_ARTIFACT_ABSENT,  /* looked up: not in the cache */
	STATE_ARTIFACT_SUCCESS, /* cached, of a build that succeeded */
	STATE_ARTIFACT_FAILURE, /* cached, of a build that failed */
	STATE_ARTIFACT_OUTCOME_END
};

enum state_artifact_flags {
	STATE_ARTIFACT_WORKSPACED = 1, /* was_workspaced of the proto */
	STATE_ARTIFACT_BUILDTREE = 2,  /* its buildtree is in the local store */
	STATE_ARTIFACT_BY_WEAK_KEY = 4 /* found under the weak key (non-strict mode) */
};

/* Digests whose hash is all zero and size 0 are not there (DIGEST_EMPTY is an empty tree or blob, and there). */
struct state_artifact {
	uint32_t outcome; /* enum state_artifact_outcome */
	uint32_t flags;   /* enum state_artifact_flags */
	struct key strong_key;
	struct digest proto;       /* the Artifact proto */
	struct digest files;       /* its files tree */
	struct digest public_data; /* blob of the (dynamic) public data */
};

enum state_fetched {
	STATE_FETCHED_UNKNOWN,
	STATE_FETCHED_NO,  /* something has to be downloaded */
	STATE_FETCHED_YES, /* everything is at hand, in the store or in the source directory */
	STATE_FETCHED_END
};

struct state_ref {
	uint32_t source; /* index among the element's sources */
	uint32_t len;    /* of text */
	const char *text;     /* JSON text of the ref, NUL after it; NULL: in the blob */
	struct digest blob;   /* when text is NULL */
	const struct state_ref *next; /* of another source of the element */
};

struct state_element {
	struct key weak, strict, strong; /* all zero: not known */
	struct state_artifact artifact;
	struct digest sources;
	const struct state_ref *refs;   /* found by tracking in this session; at most one for each source */
	const char *workspace_key;      /* or NULL */
	uint32_t fetched;               /* enum state_fetched */
	uint32_t changes;               /* records applied to this element, for tests and --debug */
};

struct state;

/* --- the parent's side --- */

struct state *state_new(uint32_t element_count);
/* Any process.  NULL accepted. */
void state_free(struct state *state);
/* Before the first fork only (checked): write to the array without a record, as loading does for a million keys. */
struct state_element *state_preload(struct state *state, uint32_t element);
/* Opens the journal, after which every change goes through state_commit, and workers may be forked.
 * journal_bytes: address space reserved, 0 for a default that suits the element count.  0 or -errno. */
int state_open(struct state *state, size_t journal_bytes);
/* Lets the writer write again what all readers have done with; without it, every byte is written once.
 * oldest: called now and then from within state_commit; returns a position that every worker forked in this epoch has followed to,
 * in so far as the parent knows (it must be certain: the bytes before it are gone); UINT64_MAX when there is no such worker.
 * NULL: no reuse.  lap_bytes: how much is written at least before it is asked, 0 for a default. */
void state_reuse(struct state *state, size_t lap_bytes, uint64_t (*oldest)(void *data), void *data);

/* Changes of one job, or of the parent, encoded one after the other. */
struct state_changes {
	struct buf bytes;
	uint32_t count;
};
#define STATE_CHANGES_INIT { 0 }
/* Each adds one change.  They return 0, or -E2BIG beyond STATE_CHANGES_MAX (then nothing was added). */
int state_change_weak_key(struct state_changes *changes, uint32_t element, const struct key *key);
int state_change_strict_key(struct state_changes *changes, uint32_t element, const struct key *key);
int state_change_strong_key(struct state_changes *changes, uint32_t element, const struct key *key);
int state_change_artifact(struct state_changes *changes, uint32_t element, const struct state_artifact *artifact);
int state_change_sources(struct state_changes *changes, uint32_t element, const struct digest *tree);
int state_change_fetched(struct state_changes *changes, uint32_t element, enum state_fetched fetched);
/* text: JSON text of the ref, at most STATE_REF_MAX bytes, without NUL. */
int state_change_ref(struct state_changes *changes, uint32_t element, uint32_t source, const char *text, size_t len);
int state_change_ref_blob(struct state_changes *changes, uint32_t element, uint32_t source, const struct digest *blob);
int state_change_workspace(struct state_changes *changes, uint32_t element, const char *key_text);
void state_changes_clear(struct state_changes *changes);
void state_changes_release(struct state_changes *changes);

/* What a worker sent is data: looks at all of it before anything is applied.  Every change must be well-formed, of a kind
 * that a job may make, about `element`, and there must be exactly `count`.  bytes may have any alignment.  0 or -EBADMSG. */
int state_validate(const struct state *state, uint32_t element, const void *bytes, size_t size_bytes, uint32_t count);
/* Applies validated changes (or the parent's own: origin STATE_ORIGIN_PARENT, any element, any kind) to the parent's
 * array and appends them to the journal.  Returns 0; -ENOSPC when the journal has no such room (then nothing was changed: call
 * state_roll and commit again); before state_open the changes are applied only. */
int state_commit(struct state *state, uint32_t origin, const void *bytes, size_t size_bytes, uint32_t count);
/* Position after the last record: the as_of for a job dispatched now. */
uint64_t state_position(const struct state *state);
/* Bytes of the journal taken so far, in laps, and address space reserved. */
uint64_t state_journal_used(const struct state *state);
uint64_t state_journal_size(const struct state *state);
/* Starts an empty journal.  Workers forked before must get no dispatch any more (they may finish the job at hand).
 * Raises state_epoch.  0 or -errno. */
int state_roll(struct state *state);
uint32_t state_epoch(const struct state *state);

/* --- the worker's side --- */

/* In a child just forked: its copy of the array becomes a replica that stands at the position of the fork.  Maps the
 * journal read-only.  incarnation: of this worker, never used before in the session.  0 or -errno. */
int state_attach(struct state *state, uint32_t incarnation);
/* Applies records from the cursor to as_of.  Records whose origin is this incarnation are passed over: the worker's own
 * copy (state_keep) is applied at that place instead, so that its changes take effect exactly once and in the journal's
 * order, whatever others did to the same element meanwhile.  Returns the number of records of others applied, or
 * -EBADMSG: as_of is before the cursor or after the head, a record is malformed, or an own record is not the one that
 * was sent.  trace, if not NULL, is called for every record of others applied, with the element it is about and one line of
 * text, such as "artifact: cached, by worker 3". */
int64_t state_follow(struct state *state, uint64_t as_of,
		     void (*trace)(void *data, uint32_t element, const char *line), void *data);
/* A job of this worker has sent these changes in its result: a copy is kept until their place in the journal comes by.
 * The parent commits every result in the order it was sent, or kills the worker. */
void state_keep(struct state *state, const void *bytes, size_t size_bytes);
uint64_t state_cursor(const struct state *state);

/* --- readers, any side --- */

const struct state_element *state_get(const struct state *state, uint32_t element);
uint32_t state_element_count(const struct state *state);
/* The ref of one source found in this session, or NULL. */
const struct state_ref *state_ref(const struct state *state, uint32_t element, uint32_t source);
/* Are all elements of both equal?  For tests and for the simulator; *ret_element is the first that differs. */
bool state_equal(const struct state *a, const struct state *b, uint32_t *ret_element);
static inline bool state_digest_known(const struct digest *digest)
{
	return digest->size_bytes != 0 || key_known((const struct key *)(const void *)digest->hash);
}

/* A second replica in the same process and fed by hand: for the simulator and tests.  Stands where the parent stands
 * now.  Same journal, same code as after a fork. */
struct state *state_replica(const struct state *parent, uint32_t incarnation);

#endif

/* What the files of room cas share. */
#ifndef CAS_CAS_INTERNAL_H
#define CAS_CAS_INTERNAL_H

#include "base/fs.h"
#include "base/pb.h"
#include "cas/cas.h"

/* Hashes to pointers or marks: open addressing, insert-only. The all-zero hash is no valid key (it is no SHA-256 anyone
 * will find). */
struct hashmap_slot {
	uint8_t hash[DIGEST_BYTES];
	const void *value;
};
struct hashmap {
	struct hashmap_slot *slots;
	uint32_t cap, count;
};
/* The slot of hash, or NULL. */
struct hashmap_slot *hashmap_get(const struct hashmap *map, const uint8_t hash[DIGEST_BYTES]);
/* Adds or replaces. */
void hashmap_put(struct hashmap *map, const uint8_t hash[DIGEST_BYTES], const void *value);
void hashmap_release(struct hashmap *map);

/* Directories of objects, one bit each. */
struct cas_buckets {
	uint64_t bits[4];
};
void cas_buckets_join(struct cas_buckets *to, const struct cas_buckets *from);

/* What is known to be whole from this or an earlier run: see whole.c. */
struct cas_whole_entry {
	uint8_t hash[DIGEST_BYTES];
	struct cas_buckets buckets;
	int64_t looked_s;
};
struct cas_whole {
	uint64_t now[256];       /* signatures of the buckets before anything was looked at */
	struct hashmap entries;  /* -> struct cas_whole_entry, in arena */
	struct arena arena;
	bool changed;            /* against the file */
};
void cas_whole_free(struct cas *cas);

/* What is in use is touched at least this often; two grains make the hour that cas.h promises. */
enum { TOUCH_GRAIN_S = 1800 };

struct cas {
	char *root;              /* cachedir, absolute */
	int root_fd;
	int objects_fd, tmp_fd;
	int millrace_fd;         /* <cachedir>/millrace/cas, -1 until a session begins */
	int marker_fd;           /* of this session, locked; -1 */
	char *marker;            /* its name below millrace_fd */
	off_t since_at;          /* where its second line begins */
	int64_t start_ns, start_s; /* when opened, by the clock that stamps files */
	int64_t grain_ns;        /* what was used so shortly before start_ns is not touched again */
	struct cas_limits limits;
	struct usage *usage;     /* shared with all sessions; NULL before one begins */
	int64_t unasked_bytes;   /* stored since the disk was asked for its room */
	int (*make_room)(void *data, struct cas *cas, int64_t need_bytes);
	void *make_room_data;
	bool making_room, was_full, quiet; /* quiet: nothing is touched by looking at it */
	int64_t gave_up_us;      /* when room could not be made */
	int64_t trimmed_bytes;   /* what layers took after room was made the last time */
	void (*on_recovery)(void *data);
	void *on_recovery_data;
	enum fs_link way;        /* how objects get their names; FS_LINK_NOT: from a temporary one (put.c) */
	uint32_t news;           /* objects put one after the other of which none was there, but for those of this session */
	uint32_t temp_count;     /* files made before they had their name; stays 0 until this process writes something */
	uint32_t temp_random;
	bool mode_sure;          /* temporaries get mode 0444 as they are made */
	bool made[256];          /* objects/xx known to be there */
	struct hashmap present;  /* blobs seen in this session; the value is their size + 1 */
	struct hashmap complete; /* trees all of whose objects were seen; the value is their struct cas_buckets */
	struct arena complete_arena;
	struct cas_buckets looked; /* of the objects looked at since it was last cleared */
	struct cas_whole *whole; /* NULL until loaded */
	struct hashmap directories; /* struct cas_directory, in arena */
	struct arena arena;
};

/* --- usage.c --- */
#define GRAIN_NS (TOUCH_GRAIN_S * (int64_t)1000000000)
/* The clock that stamps files: it ticks less often than CLOCK_REALTIME, and a file written after that may look older. */
int64_t cas_now_ns(void);
int64_t cas_time_ns(const struct timespec *time);
void usage_open(struct cas *cas);
void usage_close(struct cas *cas);
/* The count may be wrong. */
void cas_distrust(struct cas *cas);
/* An object came or went. */
void usage_add(struct cas *cas, int64_t bytes);
/* 0 if there is room for so many bytes, made if need be; -EDQUOT. */
int cas_make_room(struct cas *cas, int64_t need_bytes);
/* Hands the result of a write on, and remembers if it says that the disk is full. */
int cas_check_space(struct cas *cas, int result);
/* Touches an object in use, if that was not done lately.  False if it is not there any more. */
bool cas_touch(struct cas *cas, const char *name, const struct stat *st);

/* --- session.c --- */
/* Calls fn for each marker of a live session with the time (nanoseconds) since when what was used is its own. */
void cas_live_sessions(struct cas *cas, void (*fn)(void *data, int64_t since_ns), void *data);

/* Which life of the machine this is: one line. */
void cas_boot_id(struct buf *ret);
/* "xx/yyyy..." below objects/. */
enum { OBJECT_NAME_BYTES = 2 + 1 + 62 + 1 };
void cas_object_name(char ret[OBJECT_NAME_BYTES], const uint8_t hash[DIGEST_BYTES]);
/* Was the object seen in this session?  Notes in any case which bucket was asked about. */
bool cas_look(struct cas *cas, const struct digest *digest);
/* Remembers that the object is there. */
void cas_saw(struct cas *cas, const struct digest *digest);
/* cas_put_fd of a file of which st is known. */
struct stat;
int cas_put_open(struct cas *cas, int fd, const struct stat *st, struct digest *ret);
/* Makes objects/xx if need be. */
int cas_make_bucket(struct cas *cas, const uint8_t hash[DIGEST_BYTES]);
/* A new file below cas/tmp, open for writing; its name goes to ret. */
enum { TEMP_NAME_BYTES = 48 };
int cas_temp(struct cas *cas, char ret[TEMP_NAME_BYTES]);
/* Moves a finished temporary (mode 0444) to its place; on failure it is removed. */
int cas_temp_commit(struct cas *cas, const char *temp, const struct digest *digest);
/* By name, as a Directory message wants them; count may be 0. */
void cas_sort_entries(struct cas_entry *entries, size_t count);
/* Removes an object found broken. */
void cas_drop(struct cas *cas, const struct digest *digest);

#endif

/* What the files of room cas share. */
#ifndef CAS_CAS_INTERNAL_H
#define CAS_CAS_INTERNAL_H

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
	int64_t start_s;         /* CLOCK_REALTIME when opened or when the session began */
	uint32_t temp_count;     /* names in cas/tmp */
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

/* "xx/yyyy..." below objects/. */
enum { OBJECT_NAME_BYTES = 2 + 1 + 62 + 1 };
void cas_object_name(char ret[OBJECT_NAME_BYTES], const uint8_t hash[DIGEST_BYTES]);
/* Remembers that the object is there. */
void cas_saw(struct cas *cas, const struct digest *digest);
/* Makes objects/xx if need be. */
int cas_make_bucket(struct cas *cas, const uint8_t hash[DIGEST_BYTES]);
/* A new file below cas/tmp, open for writing; its name goes to ret. */
enum { TEMP_NAME_BYTES = 48 };
int cas_temp(struct cas *cas, char ret[TEMP_NAME_BYTES]);
/* Moves a finished temporary (mode 0444) to its place; on failure it is removed. */
int cas_temp_commit(struct cas *cas, const char *temp, const struct digest *digest);
/* Stores bytes whose digest is known. */
int cas_put_known(struct cas *cas, const void *data, size_t len, const struct digest *digest);
/* Removes an object found broken. */
void cas_drop(struct cas *cas, const struct digest *digest);

#endif

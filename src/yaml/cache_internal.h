/* Between cache.c and cache_write.c: the image of parsed files. */
#ifndef YAML_CACHE_INTERNAL_H
#define YAML_CACHE_INTERNAL_H

#include <assert.h>
#include <sys/stat.h>
#include <time.h>

#include "yaml/cache.h"
#include "yaml/yaml_internal.h"

/* Where images want to stand: far from where programs, heaps and libraries are put on x86-64 (and from what the address
 * sanitizer reserves).  Where address space is smaller, mapping fails and files are parsed. */
#define CACHE_BASE UINT64_C(0x200000000000)
#define CACHE_MAGIC "MRYAML1\n"

enum {
	CACHE_ALIGN = 16,
	CACHE_BUILD_ID_BYTES = 20,
	CACHE_POPULATE_BYTES = 32 << 20,
};
#define CACHE_MOST_BYTES (INT64_C(16) << 30)

struct cache_header {
	char magic[8];
	uint64_t base, len, index_at;
	uint32_t index_cap, reserved;
	uint8_t build_id[CACHE_BUILD_ID_BYTES];
	uint8_t pad[4];
};

struct cache_slot {
	uint32_t hash, offset; /* in units of CACHE_ALIGN; 0: free */
};

struct cache_record {
	uint64_t sum; /* of all that follows, nodes and texts included */
	uint64_t len; /* of all, this included */
	uint64_t signature;
	uint64_t reserved;
	/* a struct yaml_file follows */
};

struct cache_kept { /* parsed in this session */
	uint64_t signature;
	const struct yaml_file *file;
};

struct yaml_ahead;

struct yaml_cache {
	char *path;
	struct yaml_ahead *ahead; /* while there is no image; NULL if nothing was expected yet */
	const char *map;
	size_t map_len;
	const struct cache_slot *slots;
	uint32_t mask;
	uint32_t *used; /* offsets of records that were asked for */
	size_t used_cap, used_bytes;
	struct cache_kept *kept;
	size_t kept_count, kept_cap, parsed_bytes;
	uint32_t hits, misses;
};

static inline const struct yaml_file *cache_file(const struct cache_record *record)
{
	return (const struct yaml_file *)(record + 1);
}

/* ahead.c */
struct ahead_file {
	const struct yaml_node *root;
	struct stat st; /* before it was read */
	struct timespec asked;
};
struct yaml_ahead *yaml_ahead_new(void);
void yaml_ahead_free(struct yaml_ahead *ahead);
/* Texts are copied. */
void yaml_ahead_expect(struct yaml_ahead *ahead, int dirfd, const char *path, const char *known_as, const char *name,
		       uint32_t owner);
void yaml_ahead_go(struct yaml_ahead *ahead);
/* False: parse it yourself. */
bool yaml_ahead_take(struct yaml_ahead *ahead, const char *known_as, const char *name, uint32_t owner,
		     struct ahead_file *ret);
/* No more is parsed; what was, stays. */
void yaml_ahead_end(struct yaml_ahead *ahead);

uint64_t cache_checksum(const void *bytes, size_t len);
uint32_t cache_hash(const char *path, const char *name);
/* False if this program has none. */
bool cache_build_id(uint8_t ret[CACHE_BUILD_ID_BYTES]);
/* NULL if it is damaged. */
const struct cache_record *cache_record_at(const struct yaml_cache *cache, uint64_t at);

#endif

/* Between import.c and statcache.c: recording a tree while it is read, and recognising it again. */
#ifndef CAS_STATCACHE_INTERNAL_H
#define CAS_STATCACHE_INTERNAL_H

#include "base/map.h"
#include "cas/cas_internal.h"

/* What stat says, in one number: inode, size, times, mode. Never 0. */
uint64_t statcache_signature(const struct stat *st);

/* The same, but 0 for what may still change unseen when it is asked at asked_ns (statcache_now_ns). */
uint64_t statcache_signature_at(const struct stat *st, int64_t asked_ns);

/* Of a file of ours, to tell one that a crash cut. */
uint64_t statcache_checksum(const char *bytes, size_t len);

/* CLOCK_REALTIME in nanoseconds. */
int64_t statcache_now_ns(void);

struct statcache_seen {
	uint64_t signature;
	struct digest digest;
};

/* A walk that records; the zeroed one records nothing. */
struct statcache_walk {
	struct cas_statcache *cache;
	char *key;
	int64_t asked_ns;     /* when it began */
	struct buf record;
	struct strmap old;    /* path below the root -> index of files, from the last time */
	struct statcache_seen *files;
	size_t file_count, file_cap;
	struct arena arena;
};

/* One entry of a recorded tree, in its record. */
struct statcache_item {
	uint8_t type; /* enum cas_type; CAS_NONE: the directory ends */
	uint64_t signature;
	struct digest digest; /* of files */
	const char *name;
	size_t name_len;
};
/* What is left of a record's entries; they follow each other as they were noted. */
struct statcache_items {
	const char *at, *end;
};
/* What was recorded of the tree at path, whether it still is as it was or not, and its digest then.  False: nothing. */
bool statcache_recorded(struct cas_statcache *cache, char kind, const char *path, struct statcache_items *ret,
			struct digest *digest);
/* False at the end, or if the record is cut there. */
bool statcache_next(struct statcache_items *items, struct statcache_item *ret);

/* Is the tree at path (open at fd, described by st) as it was?  Then ret is its digest. */
bool statcache_match(struct cas_statcache *cache, char kind, const char *path, int fd, const struct stat *st,
		     struct digest *ret);
/* Begins recording; what is still known of single files is at hand through statcache_file. */
void statcache_begin(struct statcache_walk *walk, struct cas_statcache *cache, char kind, const char *path,
		     const struct stat *st);
/* Digest of the file at relative path `name`, if it is as it was. */
bool statcache_file(const struct statcache_walk *walk, const char *name, const struct stat *st, struct digest *ret);
/* Notes an entry: CAS_FILE with its digest, CAS_SYMLINK, or CAS_DIRECTORY, whose entries follow until statcache_up. */
void statcache_note(struct statcache_walk *walk, enum cas_type type, const char *name, const struct stat *st,
		    const struct digest *digest);
void statcache_up(struct statcache_walk *walk);
/* Ends recording; digest NULL: it failed, forget it. */
void statcache_end(struct statcache_walk *walk, const struct digest *digest);

#endif

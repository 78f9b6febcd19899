/* yaml/cache.h: parsed files, kept from one run to the next.
 *
 * A project's files seldom change, and parsing them is half of what loading costs.  An image holds the nodes of files that
 * were parsed before; it is mapped at a fixed address, so that its pointers hold as they stand and nothing is read but
 * what is used.  A file is known by its path, the name it is shown by, its owner and what stat says of it (inode, size,
 * times, mode); its nodes are believed only if their check sum is right.  Whatever is wrong with an image, and wherever it
 * cannot be mapped, files are parsed as if there were none.
 *
 * Racy files, changed in the tick in which they were read, are not kept (as git does with its index).
 *
 * The image (native byte order, never leaves the machine; written anew as a whole and renamed into place):
 *     struct header: magic, the address it wants to stand at, length, where the index is, the build id of the program
 *         that wrote it, which must be that of the program that reads it: rules of parsing may change between them
 *     records, 16-byte aligned: struct record (check sum of the rest, length, signature), a struct yaml_file, the nodes
 *         and texts of one file
 *     the index: open addressing, u32 hash and u32 offset / 16 of a record (0: free)
 *
 * One image may be mapped in a process at a time.  Only by the parent, one thread calls; nodes are read by all.
 */
#ifndef YAML_CACHE_H
#define YAML_CACHE_H

#include "yaml/yaml.h"

struct yaml_cache;

/* Never fails: without a good image at path (NULL: nowhere) the cache is empty. */
struct yaml_cache *yaml_cache_open(const char *path);
/* Unmaps; no node from the cache may be used afterwards. */
void yaml_cache_free(struct yaml_cache *cache);

/* As yaml_load_file, from the image if the file is as it was.  Files that cannot be parsed are not kept.  cache may be
 * NULL. */
int yaml_cache_load(struct yaml_cache *cache, struct arena *arena, int dirfd, const char *path, const char *shown_path,
		    const char *name, uint32_t owner, const struct yaml_node **ret, struct diag *diag);
/* Announces a file that will be asked for with the same arguments.  Without an image, a second thread then parses what
 * is expected, as far ahead as it gets; with one, or without a cache, nothing happens (_expects: false).  dirfd stays open
 * until _expect_end, which has to come before anything is forked: the thread has ended on return.  _expect_go: a batch is
 * complete. */
bool yaml_cache_expects(const struct yaml_cache *cache);
void yaml_cache_expect(struct yaml_cache *cache, int dirfd, const char *path, const char *shown_path, const char *name,
		       uint32_t owner);
void yaml_cache_expect_go(struct yaml_cache *cache);
void yaml_cache_expect_end(struct yaml_cache *cache);
/* As yaml_parse, for text that is part of the program: known by its name and content. */
int yaml_cache_parse(struct yaml_cache *cache, struct arena *arena, const char *text, size_t len, const char *name,
		     const struct yaml_node **ret, struct diag *diag);

/* Writes a new image if so much was parsed that this pays (an eighth of all that was used): the files of this session,
 * and others that were in the old one up to the same amount.  All nodes must still be there.  Makes directories.
 * 0, 1 if nothing was written, or -errno. */
int yaml_cache_save(struct yaml_cache *cache);

struct yaml_cache_stats {
	uint32_t hits, misses; /* files */
	size_t image_bytes;
};
void yaml_cache_stats(const struct yaml_cache *cache, struct yaml_cache_stats *ret);

#endif

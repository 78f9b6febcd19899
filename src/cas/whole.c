/* What was found whole: trees and records all of whose objects were there, remembered from one run to the next.
 *
 * <cachedir>/millrace/whole, native byte order (it never leaves the machine):
 *     "MRWHOLE1", u64 checksum of all that follows; then 256 x u64: signatures of cas/objects/00 to ff; then entries:
 *     entry: 32 bytes SHA-256, 32 bytes: one bit for each directory that holds an object of it, i64 when it was looked at
 *
 * Whoever removes or adds an object, Millrace or the peer, changes its directory.  So an entry still holds if all its
 * directories are as they were when its objects were looked at: 256 looks instead of one for each object.  A directory changed
 * within the tick in which it was looked at gets the signature 0, which matches nothing (as in statcache.c).  The boot is part of
 * every signature: after a power cut everything is looked at again.
 *
 * What this does not see is an object damaged in its place; whoever reads it does (every read is checked).
 * An entry lives half an hour, so that the objects in use are touched often enough (cas.h).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/statcache_internal.h"

enum { MOST_BYTES = 64 << 20, HEADER_BYTES = 16 + 256 * 8 };

static const char MAGIC[8] = "MRWHOLE1";
static const char FILE_NAME[] = "millrace/whole";

void cas_buckets_join(struct cas_buckets *to, const struct cas_buckets *from)
{
	for (unsigned i = 0; i < ARRAY_SIZE(to->bits); i++)
		to->bits[i] |= from->bits[i];
}

static bool unchanged(const struct cas_buckets *buckets, const uint64_t *then, const uint64_t *now)
{
	for (unsigned i = 0; i < 256; i++)
		if ((buckets->bits[i / 64] >> (i % 64) & 1) && (!now[i] || now[i] != then[i]))
			return false;
	return true;
}

static void look_at_buckets(struct cas *cas, struct cas_whole *whole)
{
	static const char DIGITS[] = "0123456789abcdef";
	_cleanup_buf_ struct buf boot = BUF_INIT;
	int64_t now_ns = statcache_now_ns();
	uint64_t seed;

	cas_boot_id(&boot);
	seed = statcache_checksum(boot.data, boot.len);
	for (unsigned i = 0; i < 256; i++) {
		char name[3] = { DIGITS[i >> 4], DIGITS[i & 15], '\0' };
		struct stat st;
		uint64_t signature = fstatat(cas->objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ?
					     statcache_signature_at(&st, now_ns) : 0;

		whole->now[i] = signature ? signature ^ seed : 0;
	}
}

static void add(struct cas_whole *whole, const struct cas_whole_entry *entry)
{
	struct cas_whole_entry *copy = arena_memdup(&whole->arena, entry, sizeof *entry);

	hashmap_put(&whole->entries, copy->hash, copy);
}

/* The entries of the file that still hold. */
static void take_over(struct cas *cas, struct cas_whole *whole, const struct buf *file)
{
	uint64_t sum, then[256];

	if (file->len < HEADER_BYTES || memcmp(file->data, MAGIC, sizeof MAGIC) != 0 ||
	    (file->len - HEADER_BYTES) % sizeof(struct cas_whole_entry) != 0)
		return;
	memcpy(&sum, file->data + sizeof MAGIC, sizeof sum);
	if (sum != statcache_checksum(file->data + 16, file->len - 16))
		return;
	memcpy(then, file->data + 16, sizeof then);
	for (size_t at = HEADER_BYTES; at < file->len; at += sizeof(struct cas_whole_entry)) {
		struct cas_whole_entry entry;

		memcpy(&entry, file->data + at, sizeof entry);
		if (entry.looked_s >= cas->start_s - TOUCH_GRAIN_S && entry.looked_s <= cas->start_s &&
		    unchanged(&entry.buckets, then, whole->now))
			add(whole, &entry);
		else
			whole->changed = true;
	}
}

void cas_whole_load(struct cas *cas)
{
	_cleanup_buf_ struct buf file = BUF_INIT;

	if (cas->whole)
		return;
	cas->whole = xcalloc(1, sizeof *cas->whole);
	look_at_buckets(cas, cas->whole);
	if (fs_read_file(&file, cas->root_fd, FILE_NAME, MOST_BYTES) == 0)
		take_over(cas, cas->whole, &file);
}

void cas_whole_save(struct cas *cas)
{
	struct cas_whole *whole = cas->whole;
	_cleanup_buf_ struct buf out = BUF_INIT;
	uint64_t sum = 0;

	if (!whole || !whole->changed)
		return;
	buf_add(&out, MAGIC, sizeof MAGIC);
	buf_add(&out, &sum, sizeof sum);
	buf_add(&out, whole->now, sizeof whole->now);
	for (uint32_t i = 0; i < whole->entries.cap; i++) {
		const struct cas_whole_entry *entry = whole->entries.slots[i].value;

		if (entry && out.len + sizeof *entry <= MOST_BYTES)
			buf_add(&out, entry, sizeof *entry);
	}
	sum = statcache_checksum(out.data + 16, out.len - 16);
	memcpy(out.data + sizeof MAGIC, &sum, sizeof sum);
	/* a cache that cannot be written to is looked at each time */
	whole->changed = fs_mkdir_p(cas->root_fd, "millrace", 0755) < 0 ||
			 fs_write_file(cas->root_fd, FILE_NAME, out.data, out.len, 0644) < 0;
}

void cas_whole_free(struct cas *cas)
{
	if (!cas->whole)
		return;
	hashmap_release(&cas->whole->entries);
	arena_release(&cas->whole->arena);
	free(cas->whole);
	cas->whole = NULL;
}

bool cas_whole_begin(struct cas *cas, const uint8_t hash[DIGEST_BYTES])
{
	const struct hashmap_slot *slot = cas->whole ? hashmap_get(&cas->whole->entries, hash) : NULL;

	cas->looked = (struct cas_buckets){ 0 };
	return slot;
}

void cas_whole_note(struct cas *cas, const uint8_t hash[DIGEST_BYTES])
{
	struct cas_whole_entry entry = { .buckets = cas->looked, .looked_s = cas->start_s };

	if (!cas->whole)
		return;
	memcpy(entry.hash, hash, DIGEST_BYTES);
	add(cas->whole, &entry);
	cas->whole->changed = true;
}

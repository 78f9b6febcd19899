/* The stat cache: digests of files and trees that have not been touched since they were hashed.
 *
 * <cachedir>/millrace/statcache, native byte order (it never leaves the machine):
 *     "MRSTAT1\n", u64 checksum of all that follows, then records:
 *     record:  u32 length of the record, u32 length of the key with its NUL, u64 signature of the root, i64 size, 32 bytes
 *              SHA-256, key: a kind ('f' file, 't' tree, 'w' tree with times) and the absolute path, NUL; then entries
 *     entries: u8 type (enum cas_type), u64 signature, files: i64 size, 32 bytes SHA-256; name, NUL; directories: their
 *              entries, then type 0.  The root's own list ends with type 0 too.
 * A tree is as it was if every entry's signature is what stat says now: a directory's covers which names it holds, so no
 * directory is read, and no file is opened.
 *
 * Racy entries: a file changed again within the tick in which it was hashed would look the same.  An entry whose ctime is not
 * clearly before the walk began is noted with signature 0, which matches nothing.  (ctime and not mtime: archives set mtimes
 * to anything; nobody sets a ctime.)
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "cas/statcache_internal.h"

enum { HEADER_BYTES = 16, MOST_BYTES = 1 << 30, KEEP_BYTES = 64 << 20, TICK_NS = 100000000 };

static const char MAGIC[8] = "MRSTAT1\n";
static const char FILE_NAME[] = "millrace/statcache";

struct record {
	const char *bytes; /* in the mapping or the arena */
	uint32_t len;
	bool used;
};

struct cas_statcache {
	char *cachedir;
	char *map;
	size_t map_len;
	struct record *records;
	size_t count, cap;
	struct strmap by_key;  /* -> index of records */
	struct arena arena;    /* new records */
	pthread_mutex_t lock;  /* of all above: loader threads share the cache */
	bool changed;
};

struct record_head {
	uint32_t len, key_len;
	uint64_t signature;
	int64_t size_bytes;
	uint8_t hash[DIGEST_BYTES];
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

uint64_t statcache_signature(const struct stat *st)
{
	uint64_t hash = mix(1, st->st_ino);

	hash = mix(hash, (uint64_t)st->st_size);
	hash = mix(hash, st->st_mode);
	hash = mix(hash, (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec);
	hash = mix(hash, (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec);
	return hash ? hash : 1;
}

/* File systems that keep whole seconds have all nanoseconds zero. */
uint64_t statcache_signature_at(const struct stat *st, int64_t asked_ns)
{
	int64_t ctime_ns = st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec;
	int64_t margin_ns = st->st_ctim.tv_nsec ? TICK_NS : INT64_C(2000000000);

	return ctime_ns < asked_ns - margin_ns ? statcache_signature(st) : 0;
}

uint64_t statcache_checksum(const char *bytes, size_t len)
{
	uint64_t hash = len, word;

	for (; len >= 8; bytes += 8, len -= 8) {
		memcpy(&word, bytes, 8);
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, bytes, len);
	return mix(hash, word);
}

int64_t statcache_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* ---- the file ---- */

static const char *record_key(const struct record *record)
{
	return record->bytes + sizeof(struct record_head);
}

static bool record_head(const char *bytes, size_t left, struct record_head *ret)
{
	if (left < sizeof *ret)
		return false;
	memcpy(ret, bytes, sizeof *ret);
	return ret->len <= left && ret->len >= sizeof *ret + ret->key_len && ret->key_len > 1 &&
	       bytes[sizeof *ret + ret->key_len - 1] == '\0';
}

static void add_record(struct cas_statcache *cache, const char *bytes, uint32_t len, bool used)
{
	struct record record = { bytes, len, used };
	const char *key = record_key(&record);
	uint32_t old = strmap_put(&cache->by_key, key, strlen(key), (uint32_t)cache->count);

	if (old != STRMAP_NONE)
		cache->records[old].bytes = NULL;
	cache->records = util_grow(cache->records, &cache->cap, cache->count + 1, sizeof record);
	cache->records[cache->count++] = record;
}

static void index_map(struct cas_statcache *cache)
{
	struct record_head head;
	size_t at = HEADER_BYTES;
	uint64_t sum;

	if (cache->map_len < HEADER_BYTES || memcmp(cache->map, MAGIC, sizeof MAGIC) != 0)
		return;
	memcpy(&sum, cache->map + sizeof MAGIC, sizeof sum);
	if (sum != statcache_checksum(cache->map + HEADER_BYTES, cache->map_len - HEADER_BYTES))
		return; /* a crash cut it; it will be written anew */
	for (; record_head(cache->map + at, cache->map_len - at, &head); at += head.len)
		add_record(cache, cache->map + at, head.len, false);
}

int cas_statcache_new(struct cas_statcache **ret, const char *cachedir)
{
	struct cas_statcache *cache = xcalloc(1, sizeof *cache);
	_cleanup_free_ char *path = xasprintf("%s/%s", cachedir, FILE_NAME);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	cache->cachedir = xstrdup(cachedir);
	pthread_mutex_init(&cache->lock, NULL);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > HEADER_BYTES && st.st_size < MOST_BYTES) {
		void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

		if (map != MAP_FAILED) {
			cache->map = map;
			cache->map_len = (size_t)st.st_size;
			index_map(cache);
		}
	}
	*ret = cache;
	return 0;
}

void cas_statcache_free(struct cas_statcache *cache)
{
	if (!cache)
		return;
	if (cache->map)
		munmap(cache->map, cache->map_len);
	pthread_mutex_destroy(&cache->lock);
	strmap_release(&cache->by_key);
	arena_release(&cache->arena);
	free(cache->records);
	free(cache->cachedir);
	free(cache);
}

int cas_statcache_save(struct cas_statcache *cache)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", cache->cachedir, FILE_NAME);
	_cleanup_buf_ struct buf out = BUF_INIT;
	size_t total = 0;
	uint64_t sum = 0;
	int r;

	if (!cache->changed)
		return 0;
	for (size_t i = 0; i < cache->count; i++)
		total += cache->records[i].bytes ? cache->records[i].len : 0;
	buf_room(&out, MIN(total, (size_t)MOST_BYTES) + HEADER_BYTES);
	buf_add(&out, MAGIC, sizeof MAGIC);
	buf_add(&out, &sum, sizeof sum);
	for (size_t i = 0; i < cache->count; i++) {
		const struct record *record = &cache->records[i];

		/* when it has grown out of proportion, only what this session asked for is kept */
		if (record->bytes && (record->used || total < KEEP_BYTES) && out.len + record->len < MOST_BYTES)
			buf_add(&out, record->bytes, record->len);
	}
	sum = statcache_checksum(out.data + HEADER_BYTES, out.len - HEADER_BYTES);
	memcpy(out.data + sizeof MAGIC, &sum, sizeof sum);
	r = fs_write_file(AT_FDCWD, path, out.data, out.len, 0644);
	if (r == -ENOENT) {
		r = fs_mkdir_parent(AT_FDCWD, path, 0755);
		if (r == 0)
			r = fs_write_file(AT_FDCWD, path, out.data, out.len, 0644);
	}
	cache->changed = r < 0;
	return r;
}

/* ---- looking up ---- */

static bool find(struct cas_statcache *cache, char kind, const char *path, struct record *ret)
{
	_cleanup_free_ char *key = xasprintf("%c%s", kind, path);
	uint32_t at;

	pthread_mutex_lock(&cache->lock);
	at = strmap_get(&cache->by_key, key, strlen(key));
	if (at != STRMAP_NONE) {
		cache->records[at].used = true;
		*ret = cache->records[at];
	}
	pthread_mutex_unlock(&cache->lock);
	return at != STRMAP_NONE;
}

static void head_digest(const struct record_head *head, struct digest *ret)
{
	memcpy(ret->hash, head->hash, DIGEST_BYTES);
	ret->size_bytes = head->size_bytes;
}

bool cas_statcache_get(struct cas_statcache *cache, const char *path, const struct stat *st, struct digest *ret)
{
	struct record_head head;
	struct record record;

	if (!find(cache, 'f', path, &record) || !record_head(record.bytes, record.len, &head) ||
	    head.signature != statcache_signature(st))
		return false;
	head_digest(&head, ret);
	return true;
}

bool statcache_next(struct statcache_items *items, struct statcache_item *ret)
{
	size_t fixed = sizeof ret->signature;
	const char *nul;

	if (items->at >= items->end)
		return false;
	ret->type = (uint8_t)*items->at++;
	if (ret->type == CAS_NONE)
		return true;
	if (ret->type == CAS_FILE)
		fixed += sizeof ret->digest.size_bytes + DIGEST_BYTES;
	if ((size_t)(items->end - items->at) < fixed)
		return false;
	memcpy(&ret->signature, items->at, sizeof ret->signature);
	if (ret->type == CAS_FILE) {
		memcpy(&ret->digest.size_bytes, items->at + 8, 8);
		memcpy(ret->digest.hash, items->at + 16, DIGEST_BYTES);
	}
	items->at += fixed;
	nul = memchr(items->at, '\0', (size_t)(items->end - items->at));
	if (!nul)
		return false;
	ret->name = items->at;
	ret->name_len = (size_t)(nul - items->at);
	items->at = nul + 1;
	return true;
}

static struct statcache_items items_of(const struct record *record, const struct record_head *head)
{
	return (struct statcache_items){ record->bytes + sizeof *head + head->key_len, record->bytes + record->len };
}

bool statcache_recorded(struct cas_statcache *cache, char kind, const char *path, struct statcache_items *ret,
			struct digest *digest)
{
	struct record_head head;
	struct record record;

	if (!find(cache, kind, path, &record) || !record_head(record.bytes, record.len, &head))
		return false;
	head_digest(&head, digest);
	*ret = items_of(&record, &head);
	return true;
}

/* Goes through a record's entries with their paths; visit returns false to stop.  True if all were visited. */
static bool each_item(const struct record *record, const struct record_head *head,
		      bool (*visit)(void *data, const char *path, const struct statcache_item *item), void *data)
{
	struct statcache_items items = items_of(record, head);
	_cleanup_buf_ struct buf path = BUF_INIT;
	size_t depth = 0;
	struct statcache_item item;

	while (statcache_next(&items, &item)) {
		size_t base = path.len;
		bool good;

		if (item.type == CAS_NONE) { /* up: the path loses its last component */
			char *slash;

			if (depth-- == 0)
				return items.at == items.end;
			slash = strrchr(path.data, '/');
			path.len = slash ? (size_t)(slash - path.data) : 0;
			path.data[path.len] = '\0';
			continue;
		}
		if (base)
			buf_addc(&path, '/');
		buf_add(&path, item.name, item.name_len);
		good = visit(data, path.data, &item);
		if (!good)
			return false;
		if (item.type == CAS_DIRECTORY && ++depth <= CAS_DEPTH_MAX)
			continue;
		path.len = base;
		path.data[base] = '\0';
	}
	return false;
}

static bool unchanged(void *data, const char *path, const struct statcache_item *item)
{
	struct stat st;

	return item->signature && fstatat(*(int *)data, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       statcache_signature(&st) == item->signature;
}

bool statcache_match(struct cas_statcache *cache, char kind, const char *path, int fd, const struct stat *st,
		     struct digest *ret)
{
	struct record_head head;
	struct record record;

	if (!find(cache, kind, path, &record) || !record_head(record.bytes, record.len, &head) ||
	    head.signature != statcache_signature(st) || !each_item(&record, &head, unchanged, &fd))
		return false;
	head_digest(&head, ret);
	return true;
}

/* ---- recording ---- */

static bool remember_file(void *data, const char *path, const struct statcache_item *item)
{
	struct statcache_walk *walk = data;

	if (item->type != CAS_FILE || !item->signature)
		return true;
	walk->files = util_grow(walk->files, &walk->file_cap, walk->file_count + 1, sizeof *walk->files);
	walk->files[walk->file_count] = (struct statcache_seen){ item->signature, item->digest };
	path = arena_strdup(&walk->arena, path);
	strmap_put(&walk->old, path, strlen(path), (uint32_t)walk->file_count++);
	return true;
}

static void begin_record(struct buf *out, const char *key, uint64_t signature)
{
	struct record_head head = { .key_len = (uint32_t)strlen(key) + 1, .signature = signature };

	buf_add(out, &head, sizeof head);
	buf_add(out, key, head.key_len);
}

static void end_record(struct cas_statcache *cache, struct buf *record, const struct digest *digest)
{
	struct record_head head;

	memcpy(&head, record->data, sizeof head);
	head.len = (uint32_t)record->len;
	head.size_bytes = digest->size_bytes;
	memcpy(head.hash, digest->hash, DIGEST_BYTES);
	memcpy(record->data, &head, sizeof head);
	pthread_mutex_lock(&cache->lock);
	add_record(cache, arena_memdup(&cache->arena, record->data, record->len), head.len, true);
	cache->changed = true;
	pthread_mutex_unlock(&cache->lock);
}

void cas_statcache_put(struct cas_statcache *cache, const char *path, const struct stat *st, int64_t asked_ns,
		       const struct digest *digest)
{
	uint64_t signature = statcache_signature_at(st, asked_ns);
	_cleanup_free_ char *key = xasprintf("f%s", path);
	_cleanup_buf_ struct buf record = BUF_INIT;

	if (!signature)
		return;
	begin_record(&record, key, signature);
	end_record(cache, &record, digest);
}

void statcache_begin(struct statcache_walk *walk, struct cas_statcache *cache, char kind, const char *path,
		     const struct stat *st)
{
	struct record_head head;
	struct record record;

	walk->cache = cache;
	walk->key = xasprintf("%c%s", kind, path);
	walk->asked_ns = statcache_now_ns();
	if (find(cache, kind, path, &record) && record_head(record.bytes, record.len, &head))
		each_item(&record, &head, remember_file, walk);
	begin_record(&walk->record, walk->key, statcache_signature_at(st, walk->asked_ns));
}

bool statcache_file(const struct statcache_walk *walk, const char *name, const struct stat *st, struct digest *ret)
{
	uint32_t at = strmap_get(&walk->old, name, strlen(name));

	if (at == STRMAP_NONE || walk->files[at].signature != statcache_signature(st))
		return false;
	*ret = walk->files[at].digest;
	return true;
}

void statcache_note(struct statcache_walk *walk, enum cas_type type, const char *name, const struct stat *st,
		    const struct digest *digest)
{
	uint64_t signature;

	if (!walk->cache)
		return;
	signature = statcache_signature_at(st, walk->asked_ns);
	buf_addc(&walk->record, (char)type);
	buf_add(&walk->record, &signature, sizeof signature);
	if (type == CAS_FILE) {
		buf_add(&walk->record, &digest->size_bytes, sizeof digest->size_bytes);
		buf_add(&walk->record, digest->hash, DIGEST_BYTES);
	}
	buf_add(&walk->record, name, strlen(name) + 1);
}

void statcache_up(struct statcache_walk *walk)
{
	if (walk->cache)
		buf_addc(&walk->record, CAS_NONE);
}

void statcache_end(struct statcache_walk *walk, const struct digest *digest)
{
	if (walk->cache && digest && walk->record.len < UINT32_MAX)
		end_record(walk->cache, &walk->record, digest);
	free(walk->key);
	free(walk->files);
	buf_release(&walk->record);
	strmap_release(&walk->old);
	arena_release(&walk->arena);
	*walk = (struct statcache_walk){ 0 };
}

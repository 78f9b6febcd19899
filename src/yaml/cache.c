/* Reading the image of parsed files: see cache.h.  Writing it: cache_write.c. */
#include "yaml/cache_internal.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(sizeof(struct cache_record) % CACHE_ALIGN == 0, "what follows a record head is aligned");

/* ---- signatures and sums ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static uint64_t signature_of(const struct stat *st)
{
	uint64_t hash = mix(1, st->st_ino);

	hash = mix(hash, st->st_dev);
	hash = mix(hash, (uint64_t)st->st_size);
	hash = mix(hash, st->st_mode);
	hash = mix(hash, (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec);
	hash = mix(hash, (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec);
	return hash ? hash : 1;
}

/* Four lanes, because one would wait for its multiplications. */
uint64_t cache_checksum(const void *bytes, size_t len)
{
	uint64_t lanes[4] = { len, 2, 3, 4 }, words[4];
	const char *at = bytes;

	for (; len >= sizeof(words); at += sizeof(words), len -= sizeof(words)) {
		memcpy(words, at, sizeof(words));
		for (unsigned i = 0; i < 4; i++)
			lanes[i] = mix(lanes[i], words[i]);
	}
	memset(words, 0, sizeof(words));
	memcpy(words, at, len);
	for (unsigned i = 0; i < 4; i++)
		lanes[i] = mix(lanes[i], words[i]);
	return mix(mix(mix(lanes[0], lanes[1]), lanes[2]), lanes[3]);
}

uint32_t cache_hash(const char *path, const char *name)
{
	return strmap_hash(path, strlen(path)) * 31 + strmap_hash(name, strlen(name));
}

/* Could the file have changed since without stat showing it?  File systems that keep whole seconds have no nanoseconds. */
static bool is_racy(const struct stat *st, const struct timespec *asked)
{
	int64_t margin_ns = st->st_ctim.tv_nsec ? 100000000 : 2000000000;
	int64_t age_ns = (asked->tv_sec - st->st_ctim.tv_sec) * INT64_C(1000000000) + asked->tv_nsec - st->st_ctim.tv_nsec;

	return age_ns <= margin_ns;
}

/* ---- which program wrote it ---- */

static bool note_build_id(const char *at, const char *end, uint8_t ret[CACHE_BUILD_ID_BYTES])
{
	while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)at;
		const char *name = at + sizeof(*note), *desc = name + (note->n_namesz + 3u) / 4 * 4;

		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
			memcpy(ret, desc, MIN(note->n_descsz, (size_t)CACHE_BUILD_ID_BYTES));
			return true;
		}
		at = desc + (note->n_descsz + 3u) / 4 * 4;
	}
	return false;
}

static int first_object(struct dl_phdr_info *info, size_t size, void *data)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		const char *at = (const char *)(info->dlpi_addr + header->p_vaddr);

		if (header->p_type == PT_NOTE && note_build_id(at, at + header->p_memsz, data))
			return 1;
	}
	return -1; /* the program itself comes first; if it has none, there is none */
}

bool cache_build_id(uint8_t ret[CACHE_BUILD_ID_BYTES])
{
	memset(ret, 0, CACHE_BUILD_ID_BYTES);
	return dl_iterate_phdr(first_object, ret) > 0;
}

/* ---- the image ---- */

static bool header_is_good(const struct cache_header *header, size_t len)
{
	uint8_t build_id[CACHE_BUILD_ID_BYTES];

	return memcmp(header->magic, CACHE_MAGIC, sizeof(header->magic)) == 0 && header->base == CACHE_BASE &&
	       header->len == len && header->index_cap && !(header->index_cap & (header->index_cap - 1)) &&
	       header->index_at % CACHE_ALIGN == 0 && header->index_at <= len &&
	       header->index_cap <= (len - header->index_at) / sizeof(struct cache_slot) && cache_build_id(build_id) &&
	       memcmp(build_id, header->build_id, sizeof(build_id)) == 0;
}

static void map_image(struct yaml_cache *cache, int fd)
{
	struct cache_header header;
	struct stat st;
	size_t len;
	void *map;

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(header) || st.st_size > CACHE_MOST_BYTES ||
	    pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    !header_is_good(&header, len = (size_t)st.st_size))
		return;
	/* Of a small image nearly all is needed, and one call is cheaper than a fault for every 16 pages. */
	map = mmap((void *)CACHE_BASE, len, PROT_READ,
		   MAP_PRIVATE | MAP_FIXED_NOREPLACE | (len <= CACHE_POPULATE_BYTES ? MAP_POPULATE : 0), fd, 0);
	if (map == MAP_FAILED)
		return;
	if (map != (void *)CACHE_BASE) { /* a kernel that does not know the flag */
		munmap(map, len);
		return;
	}
	cache->map = map;
	cache->map_len = len;
	cache->slots = (const struct cache_slot *)(cache->map + header.index_at);
	cache->mask = header.index_cap - 1;
}

struct yaml_cache *yaml_cache_open(const char *path)
{
	struct yaml_cache *cache = xcalloc(1, sizeof(*cache));
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

	cache->path = path ? xstrdup(path) : NULL;
	if (fd >= 0)
		map_image(cache, fd);
	return cache;
}

void yaml_cache_free(struct yaml_cache *cache)
{
	if (!cache)
		return;
	yaml_ahead_free(cache->ahead);
	if (cache->map)
		munmap((void *)cache->map, cache->map_len);
	free(cache->used);
	free(cache->kept);
	free(cache->path);
	free(cache);
}

/* The record at this offset, if it is whole. */
const struct cache_record *cache_record_at(const struct yaml_cache *cache, uint64_t at)
{
	const struct cache_record *record;
	const struct yaml_file *file;
	uint64_t start = CACHE_BASE + at;

	if (at + sizeof(*record) + sizeof(*file) > cache->map_len)
		return NULL;
	record = (const void *)(cache->map + at);
	if (record->len > cache->map_len - at || record->len < sizeof(*record) + sizeof(*file) ||
	    record->sum != cache_checksum(&record->len, record->len - offsetof(struct cache_record, len)))
		return NULL;
	/* A record moved elsewhere would have a good sum and wrong pointers. */
	file = cache_file(record);
	return (uintptr_t)file->root >= start && (uintptr_t)file->root < start + record->len ? record : NULL;
}

static bool record_is(const struct cache_record *record, uint64_t signature, const char *path, const char *name,
		      uint32_t owner)
{
	const struct yaml_file *file = cache_file(record);

	return record->signature == signature && file->owner == owner && strcmp(file->name, name) == 0 &&
	       strcmp(file->path ? file->path : "", path) == 0;
}

static const struct yaml_node *look_up(struct yaml_cache *cache, uint32_t hash, uint64_t signature, const char *path,
				       const char *name, uint32_t owner)
{
	uint32_t at = hash & cache->mask;

	/* An index is never full; a broken one must not make this go round for ever. */
	for (uint32_t tries = 0; cache->map && tries <= cache->mask && cache->slots[at].offset; tries++) {
		const struct cache_record *record =
			cache->slots[at].hash != hash ?
				NULL :
				cache_record_at(cache, (uint64_t)cache->slots[at].offset * CACHE_ALIGN);

		if (record && record_is(record, signature, path, name, owner)) {
			cache->used = util_grow(cache->used, &cache->used_cap, cache->hits + 1u, sizeof(*cache->used));
			cache->used[cache->hits++] = cache->slots[at].offset;
			cache->used_bytes += record->len;
			return cache_file(record)->root;
		}
		at = (at + 1) & cache->mask;
	}
	return NULL;
}

static void remember(struct yaml_cache *cache, uint64_t signature, const struct yaml_node *root, size_t text_bytes)
{
	cache->kept = util_grow(cache->kept, &cache->kept_cap, cache->kept_count + 1, sizeof(*cache->kept));
	cache->kept[cache->kept_count++] = (struct cache_kept){ signature, root->file };
	/* An image has some four bytes for each byte of YAML; this only decides whether writing it pays. */
	cache->parsed_bytes += text_bytes * 4 + sizeof(struct cache_record);
}

static void keep_parsed(struct yaml_cache *cache, const struct stat *st, const struct timespec *asked,
			const struct yaml_node *root)
{
	if (!is_racy(st, asked))
		remember(cache, signature_of(st), root, (size_t)st->st_size);
}

bool yaml_cache_expects(const struct yaml_cache *cache)
{
	return cache && !cache->map;
}

void yaml_cache_expect(struct yaml_cache *cache, int dirfd, const char *path, const char *shown_path, const char *name,
		       uint32_t owner)
{
	const char *known_as = shown_path ? shown_path : path;

	if (!yaml_cache_expects(cache) || *known_as != '/')
		return;
	if (!cache->ahead)
		cache->ahead = yaml_ahead_new();
	yaml_ahead_expect(cache->ahead, dirfd, path, known_as, name, owner);
}

void yaml_cache_expect_go(struct yaml_cache *cache)
{
	if (cache && cache->ahead)
		yaml_ahead_go(cache->ahead);
}

void yaml_cache_expect_end(struct yaml_cache *cache)
{
	if (cache && cache->ahead)
		yaml_ahead_end(cache->ahead);
}

int yaml_cache_load(struct yaml_cache *cache, struct arena *arena, int dirfd, const char *path, const char *shown_path,
		    const char *name, uint32_t owner, const struct yaml_node **ret, struct diag *diag)
{
	const char *known_as = shown_path ? shown_path : path;
	const struct yaml_node *found;
	struct ahead_file parsed;
	struct timespec asked;
	struct stat st;
	int r;

	if (cache && cache->ahead && yaml_ahead_take(cache->ahead, known_as, name, owner, &parsed)) {
		cache->misses++;
		keep_parsed(cache, &parsed.st, &parsed.asked, parsed.root);
		*ret = parsed.root;
		return 0;
	}
	/* Only absolute paths mean the same file next time. */
	if (!cache || *known_as != '/' || fstatat(dirfd, path, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return yaml_load_file(arena, dirfd, path, shown_path, name, owner, ret, diag);
	found = look_up(cache, cache_hash(known_as, name), signature_of(&st), known_as, name, owner);
	if (found) {
		*ret = found;
		return 0;
	}
	cache->misses++;
	clock_gettime(CLOCK_REALTIME, &asked);
	r = yaml_load_file(arena, dirfd, path, shown_path, name, owner, ret, diag);
	if (r == 0)
		keep_parsed(cache, &st, &asked, *ret);
	return r;
}

int yaml_cache_parse(struct yaml_cache *cache, struct arena *arena, const char *text, size_t len, const char *name,
		     const struct yaml_node **ret, struct diag *diag)
{
	uint64_t signature = cache ? cache_checksum(text, len) : 0;
	const struct yaml_node *found = cache ? look_up(cache, cache_hash("", name), signature, "", name, 0) : NULL;
	int r;

	if (found) {
		*ret = found;
		return 0;
	}
	r = yaml_parse(arena, text, len, name, ret, diag);
	if (cache)
		cache->misses++;
	if (r == 0 && cache)
		remember(cache, signature, *ret, len);
	return r;
}

void yaml_cache_stats(const struct yaml_cache *cache, struct yaml_cache_stats *ret)
{
	*ret = (struct yaml_cache_stats){ cache->hits, cache->misses, cache->map_len };
}

/* Writing the image of parsed files: see cache.h.
 *
 * Record after record is put together in memory, with pointers as they will be at the image's address, and written out;
 * the index comes last, then the header, then the file gets its name.
 */
#include "yaml/cache_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"

enum { FLUSH_BYTES = 1 << 20, PAYS_FROM = 8 };

struct writer {
	struct buf out;    /* of the file from `from` on */
	uint64_t from;
	int fd, error;
	struct cache_slot *slots;
	uint32_t mask, count;
};

/* ---- one record ---- */

/* Room for len bytes in the image, zeroed; returns where in the file. */
static uint64_t reserve(struct writer *w, size_t len, size_t align)
{
	size_t pad = (align - (w->from + w->out.len) % align) % align;
	char *room = buf_room(&w->out, pad + len);

	memset(room, 0, pad + len);
	w->out.len += pad + len;
	return w->from + w->out.len - len;
}

static void *at(struct writer *w, uint64_t offset)
{
	return w->out.data + (offset - w->from);
}

static void *address(uint64_t offset)
{
	return (void *)(uintptr_t)(CACHE_BASE + offset); /* NOLINT(performance-no-int-to-ptr) */
}

static uint64_t put(struct writer *w, const void *data, size_t len, size_t align)
{
	uint64_t offset = reserve(w, len, align);

	if (len)
		memcpy(at(w, offset), data, len);
	return offset;
}

static const char *put_text(struct writer *w, const char *text, size_t len)
{
	return address(put(w, text, len + 1, 1));
}

/* The children of one parent stand together, and their own children behind them. */
static void put_node(struct writer *w, const struct yaml_node *node, uint64_t to, uint64_t file);

static void put_list(struct writer *w, const struct yaml_node *list, uint64_t to, uint64_t file)
{
	uint64_t items = reserve(w, list->count * sizeof(void *), CACHE_ALIGN);
	uint64_t nodes = reserve(w, list->count * sizeof(*list), CACHE_ALIGN);

	((struct yaml_node *)at(w, to))->items = address(items);
	for (uint32_t i = 0; i < list->count; i++) {
		uint64_t child = nodes + i * sizeof(*list);

		((const struct yaml_node **)at(w, items))[i] = address(child);
		put_node(w, list->items[i], child, file);
	}
}

static void put_map(struct writer *w, const struct yaml_node *map, uint64_t to, uint64_t file)
{
	uint64_t entries = put(w, map->entries, yaml_entries_bytes(map->count), CACHE_ALIGN);
	uint64_t nodes = reserve(w, map->count * sizeof(*map), CACHE_ALIGN);

	((struct yaml_node *)at(w, to))->entries = address(entries);
	for (uint32_t i = 0; i < map->count; i++) {
		uint64_t child = nodes + i * sizeof(*map);
		const char *key = put_text(w, map->entries[i].key, map->entries[i].key_len);
		struct yaml_entry *entry = (struct yaml_entry *)at(w, entries) + i;

		entry->key = key;
		entry->value = address(child);
		put_node(w, map->entries[i].value, child, file);
	}
}

static void put_node(struct writer *w, const struct yaml_node *node, uint64_t to, uint64_t file)
{
	struct yaml_node copy = *node;

	copy.file = address(file);
	copy.text = NULL;
	memcpy(at(w, to), &copy, sizeof(copy));
	if (yaml_is_scalar(node)) {
		const char *text = put_text(w, node->text, node->count);

		((struct yaml_node *)at(w, to))->text = text;
	} else if (node->count && yaml_is_list(node)) {
		put_list(w, node, to, file);
	} else if (node->count) {
		put_map(w, node, to, file);
	}
}

static void put_index(struct writer *w, uint32_t hash, uint64_t offset)
{
	uint32_t slot = hash & w->mask;

	while (w->slots[slot].offset)
		slot = (slot + 1) & w->mask;
	w->slots[slot] = (struct cache_slot){ hash, (uint32_t)(offset / CACHE_ALIGN) };
	w->count++;
}

static void flush(struct writer *w)
{
	if (w->error == 0)
		w->error = fs_write_all(w->fd, w->out.data, w->out.len);
	w->from += w->out.len;
	buf_clear(&w->out);
}

static void put_record(struct writer *w, const struct yaml_file *source, uint64_t signature)
{
	uint64_t start = reserve(w, sizeof(struct cache_record), CACHE_ALIGN);
	uint64_t file = reserve(w, sizeof(struct yaml_file), 1);
	uint64_t root = reserve(w, sizeof(struct yaml_node), CACHE_ALIGN);
	struct yaml_file copy = { .owner = source->owner, .root = address(root) };
	struct cache_record *record;

	copy.name = put_text(w, source->name, strlen(source->name));
	copy.path = source->path ? put_text(w, source->path, strlen(source->path)) : NULL;
	memcpy(at(w, file), &copy, sizeof(copy));
	put_node(w, source->root, root, file);
	reserve(w, 0, CACHE_ALIGN);
	record = at(w, start);
	record->len = w->from + w->out.len - start;
	record->signature = signature;
	record->sum = cache_checksum(&record->len, record->len - offsetof(struct cache_record, len));
	put_index(w, cache_hash(source->path ? source->path : "", source->name), start);
	if (w->out.len >= FLUSH_BYTES)
		flush(w);
}

/* ---- the image ---- */

static int by_offset(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Files of the old image that nobody asked for, unless a newer form of them is there; as much as was asked for. */
static void put_unused(struct writer *w, const struct yaml_cache *cache, size_t most_bytes)
{
	struct strmap newer = STRMAP_INIT;
	const struct cache_record *record;

	for (size_t i = 0; i < cache->kept_count; i++)
		if (cache->kept[i].file->path)
			strmap_put(&newer, cache->kept[i].file->path, strlen(cache->kept[i].file->path), 1);
	for (uint32_t i = 0; i <= cache->mask; i++) {
		uint32_t offset = cache->slots[i].offset;
		const char *path;

		if (!offset || (cache->hits && bsearch(&offset, cache->used, cache->hits, sizeof(offset), by_offset)))
			continue;
		record = cache_record_at(cache, (uint64_t)offset * CACHE_ALIGN);
		path = record ? cache_file(record)->path : NULL;
		if (!path || record->len > most_bytes || strmap_get(&newer, path, strlen(path)) != STRMAP_NONE)
			continue;
		most_bytes -= record->len;
		put_record(w, cache_file(record), record->signature);
	}
	strmap_release(&newer);
}

static void put_records(struct writer *w, const struct yaml_cache *cache)
{
	if (cache->hits > 1)
		qsort(cache->used, cache->hits, sizeof(*cache->used), by_offset);
	for (uint32_t i = 0; i < cache->hits; i++) {
		const struct cache_record *record = cache_record_at(cache, (uint64_t)cache->used[i] * CACHE_ALIGN);

		/* asked for twice it is still one record */
		if (record && (i == 0 || cache->used[i] != cache->used[i - 1]))
			put_record(w, cache_file(record), record->signature);
	}
	for (size_t i = 0; i < cache->kept_count; i++)
		put_record(w, cache->kept[i].file, cache->kept[i].signature);
	if (cache->map)
		put_unused(w, cache, cache->used_bytes + cache->parsed_bytes);
}

static int write_image(const struct yaml_cache *cache, struct writer *w)
{
	struct cache_header header = { .magic = CACHE_MAGIC, .base = CACHE_BASE };
	size_t most = cache->hits + cache->kept_count + (cache->map ? cache->mask + 1u : 0);

	if (!cache_build_id(header.build_id))
		return -ENOTSUP;
	for (w->mask = 63; w->mask < most * 2; w->mask = w->mask * 2 + 1)
		;
	w->slots = xcalloc((size_t)w->mask + 1, sizeof(*w->slots));
	reserve(w, sizeof(header), 1);
	put_records(w, cache);
	header.index_at = reserve(w, 0, CACHE_ALIGN);
	flush(w);
	header.index_cap = w->mask + 1;
	header.len = header.index_at + (uint64_t)header.index_cap * sizeof(*w->slots);
	if (w->error == 0)
		w->error = fs_write_all(w->fd, w->slots, (size_t)header.index_cap * sizeof(*w->slots));
	if (header.len > CACHE_MOST_BYTES)
		return -EFBIG;
	if (w->error == 0 && pwrite(w->fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		w->error = -EIO;
	return w->error;
}

static int open_temporary(const char *path, const char *temporary)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, fd = open(temporary, flags, 0644);

	if (fd < 0 && errno == ENOENT && fs_mkdir_parent(AT_FDCWD, path, 0755) == 0)
		fd = open(temporary, flags, 0644);
	return fd < 0 ? -errno : fd;
}

int yaml_cache_save(struct yaml_cache *cache)
{
	_cleanup_free_ char *temporary = NULL;
	struct writer w = { .fd = -1 };
	int r;

	if (!cache->path || cache->parsed_bytes * PAYS_FROM <= cache->used_bytes || cache->kept_count == 0)
		return 1;
	temporary = xasprintf("%s.%d.tmp", cache->path, (int)getpid());
	w.fd = open_temporary(cache->path, temporary);
	if (w.fd < 0)
		return w.fd;
	r = write_image(cache, &w);
	if (close(w.fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(temporary, cache->path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temporary);
	else
		cache->kept_count = cache->parsed_bytes = 0;
	buf_release(&w.out);
	free(w.slots);
	return r;
}

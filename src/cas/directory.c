/* REAPI Directory messages: decoding with every check, canonical encoding.
 *
 * Directory { repeated FileNode files = 1; repeated DirectoryNode directories = 2; repeated SymlinkNode symlinks = 3;
 *             NodeProperties node_properties = 5; }
 * FileNode { string name = 1; Digest digest = 2; bool is_executable = 4; NodeProperties node_properties = 6; }
 * DirectoryNode { string name = 1; Digest digest = 2; }    SymlinkNode { string name = 1; string target = 2; ... = 4; }
 * NodeProperties { repeated NodeProperty{name=1,value=2} properties = 1; Timestamp{seconds=1,nanos=2} mtime = 2; ... }
 * Digest { string hash = 1; int64 size_bytes = 2; }
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cas/cas_internal.h"

static const char READ_ONLY_NAME[] = "SubtreeReadOnly";

static int compare_names(const struct cas_entry *a, const struct cas_entry *b)
{
	int order = memcmp(a->name, b->name, MIN(a->name_len, b->name_len));

	if (order)
		return order;
	return a->name_len < b->name_len ? -1 : a->name_len > b->name_len;
}

int cas_decode_digest(struct digest *ret, const struct pb_field *field)
{
	struct pb_reader in = pb_sub(field);
	struct pb_field part;
	struct digest digest = { 0 };
	bool hash = false;

	if (field->type != PB_BYTES)
		return -EBADMSG;
	while (pb_next(&in, &part)) {
		if (part.number == 1 && part.type == PB_BYTES) {
			if (part.len != DIGEST_HEX || !digest_from_hex(digest.hash, (const char *)part.data))
				return -EBADMSG;
			hash = true;
		} else if (part.number == 2 && part.type == PB_VARINT) {
			digest.size_bytes = (int64_t)part.value;
		}
	}
	if (in.bad || !hash || digest.size_bytes < 0)
		return -EBADMSG;
	*ret = digest;
	return 0;
}

static int decode_mtime(struct cas_mtime *ret, const struct pb_field *field)
{
	struct pb_reader in = pb_sub(field);
	struct pb_field part;
	int64_t nanos = 0;

	*ret = (struct cas_mtime){ 0 };
	while (pb_next(&in, &part)) {
		if (part.number == 1 && part.type == PB_VARINT)
			ret->seconds = (int64_t)part.value;
		else if (part.number == 2 && part.type == PB_VARINT)
			nanos = (int64_t)part.value;
	}
	if (in.bad || nanos < 0 || nanos >= 1000000000)
		return -EBADMSG;
	ret->nanos = (int32_t)nanos;
	return 0;
}

static int decode_property(uint8_t *read_only, const struct pb_field *field)
{
	struct pb_reader in = pb_sub(field);
	struct pb_field part, name = { 0 }, value = { 0 };

	while (pb_next(&in, &part)) {
		if (part.type != PB_BYTES)
			continue;
		if (part.number == 1)
			name = part;
		else if (part.number == 2)
			value = part;
	}
	if (in.bad)
		return -EBADMSG;
	if (name.len == sizeof READ_ONLY_NAME - 1 && memcmp(name.data, READ_ONLY_NAME, name.len) == 0)
		*read_only = value.len == 4 && memcmp(value.data, "true", 4) == 0 ? CAS_READ_ONLY : CAS_READ_WRITE;
	return 0;
}

/* NodeProperties: of what may stand there, the time and SubtreeReadOnly matter to anyone. */
static int decode_properties(const struct pb_field *field, bool *has_mtime, struct cas_mtime *mtime, uint8_t *read_only)
{
	struct pb_reader in = pb_sub(field);
	struct pb_field part;
	int r = 0;

	if (field->type != PB_BYTES)
		return -EBADMSG;
	while (r == 0 && pb_next(&in, &part)) {
		if (part.type != PB_BYTES)
			continue;
		if (part.number == 1)
			r = decode_property(read_only, &part);
		else if (part.number == 2) {
			*has_mtime = true;
			r = decode_mtime(mtime, &part);
		}
	}
	return in.bad ? -EBADMSG : r;
}

static int decode_name(struct cas_entry *entry, struct arena *arena, const struct pb_field *field)
{
	const char *name = (const char *)field->data;

	if (field->type != PB_BYTES || field->len == 0 || field->len > CAS_NAME_MAX)
		return -EBADMSG;
	if (memchr(name, '/', field->len) || memchr(name, '\0', field->len))
		return -EBADMSG;
	if (name[0] == '.' && (field->len == 1 || (field->len == 2 && name[1] == '.')))
		return -EBADMSG;
	entry->name = arena_strndup(arena, name, field->len);
	entry->name_len = (uint32_t)field->len;
	return 0;
}

static int decode_target(struct cas_entry *entry, struct arena *arena, const struct pb_field *field)
{
	if (field->type != PB_BYTES || field->len > CAS_TARGET_MAX || memchr(field->data, '\0', field->len))
		return -EBADMSG;
	entry->target = arena_strndup(arena, (const char *)field->data, field->len);
	return 0;
}

static int decode_node_field(struct cas_entry *entry, struct arena *arena, const struct pb_field *field, bool *digest)
{
	uint8_t read_only = CAS_UNSET;

	if (field->number == 1)
		return decode_name(entry, arena, field);
	if (field->number == 2 && entry->type == CAS_SYMLINK)
		return decode_target(entry, arena, field);
	if (field->number == 2) {
		*digest = true;
		return cas_decode_digest(&entry->digest, field);
	}
	if (field->number == 4 && entry->type == CAS_FILE) {
		entry->executable = field->value != 0;
		return field->type == PB_VARINT ? 0 : -EBADMSG;
	}
	if (field->number == 6 && entry->type == CAS_FILE)
		return decode_properties(field, &entry->has_mtime, &entry->mtime, &read_only);
	return 0;
}

static int decode_node(struct cas_entry *entry, struct arena *arena, const struct pb_field *field)
{
	struct pb_reader in = pb_sub(field);
	struct pb_field part;
	bool digest = entry->type == CAS_SYMLINK;
	int r = 0;

	while (r == 0 && pb_next(&in, &part))
		r = decode_node_field(entry, arena, &part, &digest);
	if (r < 0)
		return r;
	if (entry->type == CAS_SYMLINK && !entry->target)
		entry->target = "";
	return in.bad || !entry->name || !digest ? -EBADMSG : 0;
}

/* How many nodes of each kind (1 files, 2 directories, 3 symlinks). */
static int count_nodes(const void *bytes, size_t len, uint32_t counts[4])
{
	struct pb_reader in = pb_reader(bytes, len);
	struct pb_field field;

	while (pb_next(&in, &field)) {
		if (field.number > 3)
			continue;
		if (field.type != PB_BYTES)
			return -EBADMSG;
		counts[field.number]++;
	}
	return in.bad ? -EBADMSG : 0;
}

/* Joins the three sorted runs into one; a name in two of them is refused. */
static int join_runs(struct cas_entry *ret, const struct cas_entry *nodes, const uint32_t counts[4])
{
	const struct cas_entry *at[3] = { nodes, nodes + counts[1], nodes + counts[1] + counts[2] };
	const struct cas_entry *end[3] = { at[1], at[2], at[2] + counts[3] };
	uint32_t total = counts[1] + counts[2] + counts[3];

	for (uint32_t i = 0; i < total; i++) {
		unsigned best = 3;

		for (unsigned run = 0; run < 3; run++)
			if (at[run] < end[run] && (best == 3 || compare_names(at[run], at[best]) < 0))
				best = run;
		assert(best < 3); /* total is the sum of the runs */
		ret[i] = *at[best]++;
		if (i > 0 && compare_names(&ret[i - 1], &ret[i]) >= 0)
			return -EBADMSG; /* twice, or a run that was not sorted */
	}
	return 0;
}

static int decode_fields(struct cas_directory *directory, struct arena *arena, struct cas_entry *nodes,
			 const uint32_t counts[4], struct pb_reader in)
{
	static const uint8_t types[4] = { CAS_NONE, CAS_FILE, CAS_DIRECTORY, CAS_SYMLINK };
	struct cas_entry *next[4] = { NULL, nodes, nodes + counts[1], nodes + counts[1] + counts[2] };
	struct pb_field field;
	int r = 0;

	while (r == 0 && pb_next(&in, &field)) {
		if (field.number <= 3) {
			struct cas_entry *entry = next[field.number]++;

			entry->type = types[field.number];
			r = decode_node(entry, arena, &field);
		} else if (field.number == 5) {
			r = decode_properties(&field, &directory->has_mtime, &directory->mtime, &directory->read_only);
		}
	}
	return in.bad ? -EBADMSG : r;
}

int cas_directory_decode(struct cas_directory *ret, struct arena *arena, const void *bytes, size_t len)
{
	struct cas_directory directory = { 0 };
	struct cas_entry *nodes, *joined;
	uint32_t counts[4] = { 0 };
	int r;

	if (len > CAS_DIRECTORY_MAX)
		return -EBADMSG;
	r = count_nodes(bytes, len, counts);
	if (r < 0)
		return r;
	directory.count = counts[1] + counts[2] + counts[3];
	nodes = ARENA_ARRAY(arena, struct cas_entry, directory.count);
	r = decode_fields(&directory, arena, nodes, counts, pb_reader(bytes, len));
	if (r < 0)
		return r;
	joined = nodes;
	if ((counts[1] > 0) + (counts[2] > 0) + (counts[3] > 0) > 1) {
		joined = ARENA_ARRAY(arena, struct cas_entry, directory.count);
		r = join_runs(joined, nodes, counts);
	} else {
		for (uint32_t i = 1; r == 0 && i < directory.count; i++)
			if (compare_names(&nodes[i - 1], &nodes[i]) >= 0)
				r = -EBADMSG;
	}
	if (r < 0)
		return r;
	directory.entries = joined;
	*ret = directory;
	return 0;
}

static size_t digest_len(const struct digest *digest)
{
	return 2 + DIGEST_HEX + (digest->size_bytes ? 1 + pb_varint_len((uint64_t)digest->size_bytes) : 0);
}

void cas_encode_digest(struct buf *out, uint32_t number, const struct digest *digest)
{
	char hex[DIGEST_HEX + 1];

	digest_to_hex(hex, digest->hash);
	pb_put_tag(out, number, PB_BYTES);
	pb_put_varint(out, digest_len(digest));
	pb_put_bytes(out, 1, hex, DIGEST_HEX);
	pb_opt_int(out, 2, digest->size_bytes);
}

static void encode_properties(struct buf *out, uint32_t number, bool has_mtime, const struct cas_mtime *mtime,
			      enum cas_read_only read_only)
{
	struct buf inner = BUF_INIT, part = BUF_INIT;

	if (!has_mtime && read_only == CAS_UNSET)
		return;
	if (read_only != CAS_UNSET) {
		pb_opt_string(&part, 1, READ_ONLY_NAME);
		pb_opt_string(&part, 2, read_only == CAS_READ_ONLY ? "true" : "false");
		pb_put_bytes(&inner, 1, part.data, part.len);
		buf_clear(&part);
	}
	if (has_mtime) {
		pb_opt_int(&part, 1, mtime->seconds);
		pb_opt_int(&part, 2, mtime->nanos);
		pb_put_bytes(&inner, 2, part.data, part.len);
	}
	pb_put_bytes(out, number, inner.data, inner.len);
	buf_release(&inner);
	buf_release(&part);
}

static void encode_node(struct buf *out, const struct cas_entry *entry, struct buf *scratch)
{
	static const uint32_t numbers[] = { [CAS_FILE] = 1, [CAS_DIRECTORY] = 2, [CAS_SYMLINK] = 3 };

	buf_clear(scratch);
	pb_put_bytes(scratch, 1, entry->name, entry->name_len);
	if (entry->type == CAS_SYMLINK)
		pb_opt_string(scratch, 2, entry->target);
	else
		cas_encode_digest(scratch, 2, &entry->digest);
	if (entry->type == CAS_FILE) {
		pb_opt_int(scratch, 4, entry->executable);
		encode_properties(scratch, 6, entry->has_mtime, &entry->mtime, CAS_UNSET);
	}
	pb_put_bytes(out, numbers[entry->type], scratch->data, scratch->len);
}

void cas_directory_encode(const struct cas_directory *directory, struct buf *out)
{
	static const enum cas_type order[] = { CAS_FILE, CAS_DIRECTORY, CAS_SYMLINK };
	_cleanup_buf_ struct buf scratch = BUF_INIT;

	for (uint32_t i = 1; i < directory->count; i++)
		assert(compare_names(&directory->entries[i - 1], &directory->entries[i]) < 0);
	for (unsigned kind = 0; kind < ARRAY_SIZE(order); kind++)
		for (uint32_t i = 0; i < directory->count; i++)
			if (directory->entries[i].type == order[kind])
				encode_node(out, &directory->entries[i], &scratch);
	encode_properties(out, 5, directory->has_mtime, &directory->mtime, directory->read_only);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct cas_entry *)a)->name, ((const struct cas_entry *)b)->name);
}

void cas_sort_entries(struct cas_entry *entries, size_t count)
{
	if (count > 1)
		qsort(entries, count, sizeof(*entries), by_name);
}

const struct cas_entry *cas_directory_find(const struct cas_directory *directory, const char *name, size_t len)
{
	struct cas_entry want = { .name = name, .name_len = (uint32_t)len };
	uint32_t low = 0, high = directory->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = compare_names(&directory->entries[middle], &want);

		if (order == 0)
			return &directory->entries[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

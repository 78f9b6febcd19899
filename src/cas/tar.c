/* Trees as tar streams, byte for byte what the peer writes: Python tarfile's pax format.
 *
 * A member is one ustar block (POSIX magic, no prefix field, names cut at 100 bytes); what does not fit there or is not
 * ASCII stands before it in a block of type x, named ././@PaxHeader, as "LEN key=value\n" records.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "cas/cas_internal.h"

enum { BLOCK = 512, RECORD = 10240, NAME_FIELD = 100, LINK_FIELD = 100 };
#define SIZE_LIMIT (INT64_C(1) << 33) /* eleven octal digits */

struct tar {
	struct cas *cas;
	int (*write)(void *data, const void *bytes, size_t len);
	void *data;
	int64_t mtime, written;
	struct buf path;
	struct diag *diag;
};

static int put(struct tar *tar, const void *bytes, size_t len)
{
	tar->written += (int64_t)len;
	return tar->write(tar->data, bytes, len);
}

static int pad(struct tar *tar, int64_t to)
{
	static const char zeros[RECORD];
	int64_t rest = tar->written % to;

	return rest ? put(tar, zeros, (size_t)(to - rest)) : 0;
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* Text in a field of the block: one '?' for each character that is not ASCII, cut at size. */
static void text_field(char *field, size_t size, const char *text)
{
	size_t len = 0;

	for (; *text && len < size; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c & 0xc0) == 0x80)
			continue;
		field[len++] = c < 0x80 ? (char)c : '?';
	}
}

static void octal(char *field, unsigned digits, int64_t value)
{
	char text[32];

	snprintf(text, sizeof text, "%0*llo", (int)digits - 1, (unsigned long long)value);
	memcpy(field, text, digits);
}

static int block(struct tar *tar, const char *name, char type, unsigned mode, int64_t size, int64_t mtime,
		 const char *target)
{
	char bytes[BLOCK] = { 0 };
	unsigned sum = 0;

	text_field(bytes, NAME_FIELD, name);
	octal(bytes + 100, 8, mode);
	octal(bytes + 108, 8, 0);
	octal(bytes + 116, 8, 0);
	octal(bytes + 124, 12, size);
	octal(bytes + 136, 12, mtime);
	memset(bytes + 148, ' ', 8);
	bytes[156] = type;
	text_field(bytes + 157, LINK_FIELD, target);
	memcpy(bytes + 257, "ustar\0" "00", 8);
	for (unsigned i = 0; i < BLOCK; i++)
		sum += (unsigned char)bytes[i];
	snprintf(bytes + 148, 7, "%06o", sum);
	bytes[155] = ' ';
	return put(tar, bytes, BLOCK);
}

/* "LEN key=value\n", where LEN counts its own digits. */
static void pax_record(struct buf *out, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;
	char digits[24];

	while (len != rest + (size_t)snprintf(digits, sizeof digits, "%zu", len))
		len = rest + strlen(digits);
	buf_printf(out, "%zu %s=%s\n", len, key, value);
}

static int header(struct tar *tar, const char *name, char type, unsigned mode, int64_t size, const char *target)
{
	_cleanup_buf_ struct buf pax = BUF_INIT;
	char number[24];
	int r = 0;

	if (!is_ascii(name) || strlen(name) > NAME_FIELD)
		pax_record(&pax, "path", name);
	if (!is_ascii(target) || strlen(target) > LINK_FIELD)
		pax_record(&pax, "linkpath", target);
	if (size >= SIZE_LIMIT) {
		snprintf(number, sizeof number, "%lld", (long long)size);
		pax_record(&pax, "size", number);
		size = 0;
	}
	if (pax.len) {
		r = block(tar, "././@PaxHeader", 'x', 0, (int64_t)pax.len, 0, "");
		if (r >= 0)
			r = put(tar, pax.data, pax.len);
		if (r >= 0)
			r = pad(tar, BLOCK);
	}
	return r < 0 ? r : block(tar, name, type, mode, size, tar->mtime, target);
}

static int tar_file(struct tar *tar, const struct cas_entry *entry)
{
	_cleanup_close_ int fd = cas_object_fd(tar->cas, &entry->digest);
	int64_t left = entry->digest.size_bytes;
	char chunk[65536];
	int r;

	if (fd < 0)
		return fd;
	r = header(tar, tar->path.data, '0', entry->executable ? 0755 : 0644, left, "");
	while (r >= 0 && left > 0) {
		ssize_t n = fs_read_some(fd, chunk, (size_t)MIN(left, (int64_t)sizeof chunk));

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		r = put(tar, chunk, (size_t)n);
		left -= n;
	}
	return r < 0 ? r : pad(tar, BLOCK);
}

static int tar_directory(struct tar *tar, const struct digest *digest, unsigned depth);

static int tar_entry(struct tar *tar, const struct cas_entry *entry, unsigned depth)
{
	int r;

	if (entry->type == CAS_FILE)
		return tar_file(tar, entry);
	if (entry->type == CAS_SYMLINK)
		return header(tar, tar->path.data, '2', 0777, 0, entry->target);
	buf_addc(&tar->path, '/');
	r = header(tar, tar->path.data, '5', 0755, 0, "");
	return r < 0 ? r : tar_directory(tar, &entry->digest, depth + 1);
}

/* tar->path is empty or ends with '/' here. */
static int tar_directory(struct tar *tar, const struct digest *digest, unsigned depth)
{
	const struct cas_directory *directory;
	size_t base = tar->path.len;
	int r = depth > CAS_DEPTH_MAX ? -ELOOP : cas_directory_get(tar->cas, digest, &directory);

	for (uint32_t i = 0; r >= 0 && i < directory->count; i++) {
		const struct cas_entry *entry = &directory->entries[i];

		buf_add(&tar->path, entry->name, entry->name_len);
		r = tar_entry(tar, entry, depth);
		if (r < 0 && tar->diag && !tar->diag->domain)
			diag_errno(tar->diag, "cas", r == -ENOENT ? "missing-objects" : "checkout", -r, "Cannot write %s",
				   tar->path.data);
		tar->path.len = base;
		tar->path.data[base] = '\0';
	}
	return r < 0 ? r : 0;
}

int cas_tar(struct cas *cas, const struct digest *directory, const char *prefix, int64_t mtime,
	    int (*write)(void *data, const void *bytes, size_t len), void *data, struct diag *diag)
{
	static const char zeros[2 * BLOCK];
	struct tar tar = { .cas = cas, .write = write, .data = data, .mtime = mtime, .diag = diag };
	int r;

	buf_adds(&tar.path, prefix);
	r = tar_directory(&tar, directory, 0);
	if (r >= 0)
		r = put(&tar, zeros, sizeof zeros);
	if (r >= 0)
		r = pad(&tar, RECORD);
	if (r < 0 && diag && !diag->domain)
		diag_errno(diag, "cas", "checkout", -r, "Cannot write the archive");
	buf_release(&tar.path);
	return r < 0 ? r : 0;
}

/* Replays a fuzz corpus without libFuzzer: replay_X FILE|DIR...; then mutates each input a few hundred times from a
 * fixed seed, so that the suite keeps looking a little beyond the corpus, the same way each time. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS = 200, MOST_BYTES = 1 << 20, MUTATE_BYTES = 16 << 10 };

static void one(const void *data, size_t size)
{
	/* An allocation of its very size, so that a sanitizer sees a read past its end. */
	uint8_t *copy = xmalloc(size);

	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void mutate(struct buf *text, uint64_t *seed)
{
	for (uint32_t n = 1 + random_below(seed, 4); n--;) {
		uint32_t at = random_below(seed, (uint32_t)text->len + 1), cut;

		switch (random_below(seed, 4)) {
		case 0:
			if (at < text->len)
				text->data[at] = (char)random_next(seed);
			break;
		case 1:
			text->len = at;
			break;
		case 2:
			cut = (uint32_t)text->len - at;
			cut = MIN(cut, 64u);
			buf_room(text, cut);
			memcpy(text->data + text->len, text->data + at, cut);
			text->len += cut;
			break;
		default:
			if (at < text->len)
				text->data[at] ^= (char)(1u << random_below(seed, 8));
		}
	}
}

static int replay_file(const char *path, int *count)
{
	_cleanup_buf_ struct buf text = BUF_INIT, changed = BUF_INIT;
	uint64_t seed = 1;
	int r = fs_read_file(&text, AT_FDCWD, path, MOST_BYTES);

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return r;
	}
	one(buf_text(&text), text.len);
	for (int i = 0; i < MUTATIONS && text.len <= MUTATE_BYTES; i++) {
		buf_clear(&changed);
		buf_add(&changed, buf_text(&text), text.len);
		mutate(&changed, &seed);
		one(changed.data, changed.len);
	}
	++*count;
	return 0;
}

static int replay(const char *path, int *count)
{
	struct dirent **names;
	struct stat st;
	int n, r = 0;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -errno;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, count);
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *below = xasprintf("%s/%s", path, names[i]->d_name);
		if (r == 0 && names[i]->d_name[0] != '.')
			r = replay(below, count);
		free(names[i]);
	}
	free(names);
	return r;
}

int main(int argc, char **argv)
{
	int count = 0;

	one("", 0);
	for (int i = 1; i < argc; i++)
		if (replay(argv[i], &count) < 0)
			return 1;
	printf("%d inputs\n", count);
	return count ? 0 : 1;
}

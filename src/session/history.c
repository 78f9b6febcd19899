/* session/history.c: see history.h. */
#include "session/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define HISTORY_PATH "millrace/history"
#define HISTORY_HEAD "millrace history 1\n"

enum { NUMBER_MAX = 1000000000 };

static const char *const kind_names[HISTORY_KINDS] = { [HISTORY_FETCH] = "fetch", [HISTORY_BUILD] = "build",
						       [HISTORY_FILES] = "files" };

/* ---- lines: "build 1234 project name\n" ---- */

static bool fits_a_line(const char *project, const char *name)
{
	size_t len = strlen(project) + strlen(name);

	return len + 32 <= HISTORY_LINE_MAX && *project && *name && !project[strcspn(project, " \n")] &&
	       !name[strcspn(name, "\n")];
}

void session_history_line(struct buf *out, enum session_history_kind kind, const char *project, const char *name,
			  uint32_t number)
{
	buf_printf(out, "%s %u %s %s\n", kind_names[kind], number, project, name);
}

static void learn(struct session_history *history, const char *key, size_t len, uint32_t number)
{
	uint32_t at = strmap_get(&history->places, key, len);

	if (at != STRMAP_NONE) {
		history->numbers[at] = history->numbers[at] / 2 + number / 2 + (number & 1);
		return;
	}
	history->numbers = util_grow(history->numbers, &history->cap, history->count + 1,
					  sizeof(*history->numbers));
	history->numbers[history->count] = number;
	strmap_put(&history->places, arena_strndup(&history->arena, key, len), len, (uint32_t)history->count++);
}

static bool printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return false;
	return true;
}

/* Reads the decimal number before the blank at *text and goes behind it; 0 says nothing. */
static uint32_t read_number(const char **text, const char *end)
{
	uint64_t read = 0;
	const char *p = *text;

	for (; p < end && *p >= '0' && *p <= '9' && read <= NUMBER_MAX; p++)
		read = read * 10 + (uint32_t)(*p - '0');
	if (p == end || *p != ' ' || read > NUMBER_MAX)
		return 0;
	*text = p + 1;
	return (uint32_t)read;
}

/* The key in the map is the line without its number: "build project name". */
static void parse_line(struct session_history *history, const char *line, const char *end)
{
	char key[HISTORY_LINE_MAX];
	const char *rest, *space;
	uint32_t number;
	size_t word;

	if (end - line >= HISTORY_LINE_MAX || !printable(line, (size_t)(end - line)))
		return;
	for (size_t kind = 0; kind < HISTORY_KINDS; kind++) {
		word = strlen(kind_names[kind]) + 1;
		if ((size_t)(end - line) <= word || memcmp(line, kind_names[kind], word - 1) != 0 || line[word - 1] != ' ')
			continue;
		rest = line + word;
		number = read_number(&rest, end);
		space = memchr(rest, ' ', (size_t)(end - rest));
		if (!number || !space || space == rest || space + 1 == end)
			return;
		memcpy(key, line, word);
		memcpy(key + word, rest, (size_t)(end - rest));
		learn(history, key, word + (size_t)(end - rest), number);
		return;
	}
}

void session_history_parse(struct session_history *history, const char *text, size_t len)
{
	const char *end = text + len, *stop;

	for (const char *line = text; line < end; line = stop + 1) {
		stop = memchr(line, '\n', (size_t)(end - line));
		if (!stop)
			return;
		parse_line(history, line, stop);
	}
}

/* ---- asking ---- */

uint32_t session_history_get(const struct session_history *history, enum session_history_kind kind, const char *project,
			     const char *name)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	uint32_t at;

	if (!history->count)
		return 0;
	buf_printf(&key, "%s %s %s", kind_names[kind], project, name);
	at = strmap_get(&history->places, key.data, key.len);
	return at == STRMAP_NONE ? 0 : history->numbers[at];
}

static int by_number(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool is_of(const struct strmap_slot *slot, enum session_history_kind kind)
{
	return slot->key && str_starts(slot->key, kind_names[kind]);
}

uint32_t session_history_median(const struct session_history *history, enum session_history_kind kind)
{
	uint32_t *sorted = xcalloc(history->count + 1, sizeof(*sorted)), count = 0, median;

	for (uint32_t i = 0; i < history->places.cap; i++)
		if (is_of(&history->places.slots[i], kind))
			sorted[count++] = history->numbers[history->places.slots[i].value];
	if (count)
		qsort(sorted, count, sizeof(*sorted), by_number);
	median = count ? sorted[count / 2] : 0;
	free(sorted);
	return median;
}

uint64_t session_history_us_a_file(const struct session_history *history)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	uint64_t files = 0, build_ms = 0;

	for (uint32_t i = 0; i < history->places.cap; i++) {
		const struct strmap_slot *slot = &history->places.slots[i];
		uint32_t build;

		if (!is_of(slot, HISTORY_FILES))
			continue;
		buf_clear(&key);
		buf_printf(&key, "%s%s", kind_names[HISTORY_BUILD], slot->key + strlen(kind_names[HISTORY_FILES]));
		build = strmap_get(&history->places, key.data, key.len);
		if (build == STRMAP_NONE)
			continue;
		files += history->numbers[slot->value];
		build_ms += history->numbers[build];
	}
	return files ? MAX(build_ms * 1000 / files, 1u) : 0;
}

/* ---- the file ---- */

/* One line for each job that is known. */
static void rewrite(const struct session_history *history, int cachedir_fd)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	buf_adds(&text, HISTORY_HEAD);
	for (uint32_t i = 0; i < history->places.cap; i++) {
		const struct strmap_slot *slot = &history->places.slots[i];

		for (size_t kind = 0; kind < HISTORY_KINDS; kind++)
			if (is_of(slot, kind))
				buf_printf(&text, "%s %u%s\n", kind_names[kind], history->numbers[slot->value],
					   slot->key + strlen(kind_names[kind]));
	}
	if (text.len <= HISTORY_FILE_MAX / 2) /* that many elements: begin anew */
		(void)fs_write_file(cachedir_fd, HISTORY_PATH, text.data, text.len, 0644);
	else
		(void)unlinkat(cachedir_fd, HISTORY_PATH, 0);
}

void session_history_open(struct session_history *history, int cachedir_fd)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	int r = fs_read_file(&text, cachedir_fd, HISTORY_PATH, HISTORY_FILE_MAX);
	bool cut;

	*history = (struct session_history){ .fd = -1 };
	if (r >= 0)
		session_history_parse(history, buf_text(&text), text.len);
	if (r == -EFBIG || text.len > HISTORY_FILE_MAX / 2)
		rewrite(history, cachedir_fd);
	cut = text.len > 0 && text.data[text.len - 1] != '\n';
	history->fd = openat(cachedir_fd, HISTORY_PATH, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (history->fd >= 0 && r == -ENOENT)
		(void)fs_write_all(history->fd, HISTORY_HEAD, strlen(HISTORY_HEAD));
	else if (history->fd >= 0 && cut) /* so that the next line is not glued to it */
		(void)fs_write_all(history->fd, "\n", 1);
}

void session_history_add(struct session_history *history, enum session_history_kind kind, const char *project,
			 const char *name, int64_t number)
{
	_cleanup_buf_ struct buf line = BUF_INIT;

	if (history->fd < 0 || !fits_a_line(project, name))
		return;
	session_history_line(&line, kind, project, name, (uint32_t)MAX(MIN(number, (int64_t)NUMBER_MAX), 1));
	/* One write: lines of sessions that run side by side do not mix.  A full disk is not this file's affair. */
	if (write(history->fd, line.data, line.len) < 0)
		history->fd = close_fd(history->fd);
}

void session_history_release(struct session_history *history)
{
	close_fd(history->fd);
	strmap_release(&history->places);
	arena_release(&history->arena);
	free(history->numbers);
	*history = (struct session_history){ .fd = -1 };
}

/* A queue of pieces between the thread that reads an archive and the one that stores it: see unpack_ahead.h.
 *
 * A piece is a member with its bytes, if they are few, or the next part of a large file.  Pieces are used again, with the memory
 * they have.  Without a second thread each is stored as soon as it is filled. */
#include "sources/unpack_ahead.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PIECES = 16, PIECE_BYTES = 1 << 20, WORTH_BYTES = 256 << 10 };

struct piece {
	bool begins, ends; /* a member */
	struct archive_member member;
	struct buf names; /* path and link, each with its NUL */
	struct buf bytes;
	struct digest digest; /* of bytes, if it is a whole file */
};

struct ahead {
	const struct archive_module *module;
	const struct archive_ahead_sink *sink;
	enum archive_format format;
	int fd, result;
	struct buf *error;
	struct piece *filling; /* by the reader */

	bool alone; /* in one thread: of all that follows, only the first piece is used */
	struct piece pieces[PIECES]; /* the reader's, then the caller's once filled, then the reader's once emptied */
	uint64_t filled, emptied;    /* so many so far */
	bool stopped, over;
	pthread_mutex_t lock; /* of the four above */
	pthread_cond_t changed;
};

/* ---- storing ---- */

static int store(const struct archive_ahead_sink *sink, const struct piece *piece)
{
	int r = 0;

	if (piece->begins) {
		struct archive_member member = piece->member;

		member.path = piece->names.data;
		if (member.link)
			member.link = piece->names.data + strlen(piece->names.data) + 1;
		r = sink->member(sink->data, &member);
		if (r < 0 || member.type != ARCHIVE_FILE)
			return MIN(r, 0);
	}
	if (piece->begins && piece->ends)
		return sink->whole(sink->data, buf_text(&piece->bytes), piece->bytes.len, &piece->digest);
	r = sink->bytes(sink->data, buf_text(&piece->bytes), piece->bytes.len);
	return r >= 0 && piece->ends ? sink->end(sink->data) : r;
}

static const struct piece *wait_for_piece(struct ahead *ahead)
{
	const struct piece *piece = NULL;

	pthread_mutex_lock(&ahead->lock);
	while (ahead->filled == ahead->emptied && !ahead->over)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	if (ahead->filled > ahead->emptied)
		piece = &ahead->pieces[ahead->emptied % PIECES];
	pthread_mutex_unlock(&ahead->lock);
	return piece;
}

static int store_all(struct ahead *ahead)
{
	const struct piece *piece;
	int r = 0;

	while (r >= 0 && (piece = wait_for_piece(ahead))) {
		r = store(ahead->sink, piece);
		pthread_mutex_lock(&ahead->lock);
		ahead->emptied++;
		ahead->stopped = r < 0;
		pthread_cond_signal(&ahead->changed);
		pthread_mutex_unlock(&ahead->lock);
	}
	return MIN(r, 0);
}

/* ---- reading ---- */

/* The next piece to fill; NULL if the caller has had enough. */
static struct piece *free_piece(struct ahead *ahead)
{
	struct piece *piece = NULL;

	if (ahead->alone)
		return &ahead->pieces[0];
	pthread_mutex_lock(&ahead->lock);
	while (!ahead->stopped && ahead->filled - ahead->emptied == PIECES)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	if (!ahead->stopped)
		piece = &ahead->pieces[ahead->filled % PIECES];
	pthread_mutex_unlock(&ahead->lock);
	return piece;
}

static int begin_piece(struct ahead *ahead)
{
	struct piece *piece = ahead->filling = free_piece(ahead);

	if (!piece)
		return -ECANCELED;
	piece->begins = piece->ends = false;
	buf_clear(&piece->bytes);
	return 0;
}

static int end_piece(struct ahead *ahead)
{
	struct piece *piece = steal_pointer(&ahead->filling);

	if (piece->begins && piece->ends && piece->member.type == ARCHIVE_FILE)
		digest_of(&piece->digest, buf_text(&piece->bytes), piece->bytes.len);
	if (ahead->alone)
		return store(ahead->sink, piece);
	pthread_mutex_lock(&ahead->lock);
	ahead->filled++;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	return 0;
}

static int on_member(void *data, const struct archive_member *member)
{
	struct ahead *ahead = data;
	struct piece *piece;
	int r = begin_piece(ahead);

	if (r < 0)
		return r;
	piece = ahead->filling;
	piece->begins = true;
	piece->member = *member;
	buf_clear(&piece->names);
	buf_add(&piece->names, member->path, strlen(member->path) + 1);
	if (member->link)
		buf_add(&piece->names, member->link, strlen(member->link) + 1);
	if (member->type == ARCHIVE_FILE)
		return 1;
	piece->ends = true;
	return end_piece(ahead);
}

static int on_bytes(void *data, const void *bytes, size_t len)
{
	struct ahead *ahead = data;
	int r = 0;

	if (ahead->filling->bytes.len + len > PIECE_BYTES) {
		r = end_piece(ahead);
		if (r >= 0)
			r = begin_piece(ahead);
	}
	if (r >= 0)
		buf_add(&ahead->filling->bytes, bytes, len);
	return r;
}

static int on_member_end(void *data)
{
	struct ahead *ahead = data;

	ahead->filling->ends = true;
	return end_piece(ahead);
}

static void *read_all(void *data)
{
	struct ahead *ahead = data;
	const struct archive_sink sink = { .data = ahead, .member = on_member, .bytes = on_bytes, .member_end = on_member_end };

	ahead->result = ahead->module->read(ahead->fd, ahead->format, &sink, ahead->error);
	if (ahead->alone)
		return NULL;
	pthread_mutex_lock(&ahead->lock);
	ahead->over = true;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	return NULL;
}

/* ---- both ---- */

/* Signals are the business of the caller's thread. */
static bool start(struct ahead *ahead, pthread_t *ret)
{
	sigset_t all, before;
	bool started;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	started = pthread_create(ret, NULL, read_all, ahead) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static bool is_small(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || st.st_size < WORTH_BYTES;
}

int archive_read_ahead(const struct archive_module *module, int fd, enum archive_format format,
		       const struct archive_ahead_sink *sink, struct buf *error)
{
	struct ahead *ahead = xcalloc(1, sizeof *ahead);
	pthread_t thread;
	int r = 0;

	ahead->module = module;
	ahead->sink = sink;
	ahead->format = format;
	ahead->fd = fd;
	ahead->error = error;
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->changed, NULL);
	if (is_small(fd) || !start(ahead, &thread)) {
		ahead->alone = true;
		read_all(ahead);
	} else {
		r = store_all(ahead);
		pthread_join(thread, NULL);
	}
	if (r == 0) /* else what the sink said; the reader was only told to stop */
		r = ahead->result;
	for (size_t i = 0; i < PIECES; i++) {
		buf_release(&ahead->pieces[i].names);
		buf_release(&ahead->pieces[i].bytes);
	}
	pthread_mutex_destroy(&ahead->lock);
	pthread_cond_destroy(&ahead->changed);
	free(ahead);
	return r;
}

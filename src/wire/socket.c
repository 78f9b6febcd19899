/* wire/socket.c: datagrams over a SOCK_SEQPACKET pair. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "wire/wire.h"

int wire_pair(int ret_fds[2])
{
	int fds[2], size = 4 * WIRE_MAX_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	/* The largest message must fit; where the system's maximum is lower, sending it fails with -EMSGSIZE. */
	for (int i = 0; i < 2; i++)
		(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
		int r = -errno;

		close_fd(fds[0]);
		close_fd(fds[1]);
		return r;
	}
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

int wire_send(int fd, const struct wire_any *any, struct buf *scratch, int flags)
{
	ssize_t sent;

	wire_encode(scratch, any);
	do
		sent = send(fd, scratch->data, scratch->len, MSG_NOSIGNAL | flags);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	assert((size_t)sent == scratch->len); /* datagrams go whole or not at all */
	return 0;
}

/* Each message stands where its numbers may be read. */
static size_t aligned(size_t size_bytes)
{
	return (size_bytes + 7) & ~(size_t)7;
}

void wire_add(struct buf *out, const struct wire_any *any, struct buf *scratch)
{
	static const char zeros[8];

	wire_encode(scratch, any);
	buf_add(out, scratch->data, scratch->len);
	buf_add(out, zeros, aligned(out->len) - out->len);
}

/* As many whole messages, from the beginning, as one datagram holds. */
static size_t datagram(const char *messages, size_t len)
{
	size_t end = 0;

	while (end < len) {
		size_t next = end + aligned(wire_size(messages + end));

		if (end > 0 && next > WIRE_MAX_BYTES)
			break;
		end = next;
	}
	return end;
}

int wire_send_all(int fd, const struct buf *out)
{
	size_t at = 0;

	while (at < out->len) {
		ssize_t sent = send(fd, out->data + at, datagram(out->data + at, out->len - at), MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		at += (size_t)sent;
	}
	return 0;
}

struct wire_inbox *wire_inbox_new(void)
{
	struct wire_inbox *inbox = xmalloc(sizeof(*inbox));

	inbox->at = inbox->len = inbox->size = 0;
	return inbox;
}

bool wire_more(const struct wire_inbox *inbox)
{
	return inbox->at < inbox->len;
}

/* The message at `at`; what follows one that is malformed is not looked at. */
static int decode_next(struct wire_any *ret, struct wire_inbox *inbox)
{
	const char *message = inbox->bytes + inbox->at;
	uint32_t left = inbox->len - inbox->at;
	int r = -EBADMSG;

	inbox->size = left >= sizeof(uint64_t) ? wire_size(message) : 0; /* its head is 8 bytes */
	if (inbox->size == left || (inbox->size > 0 && aligned(inbox->size) <= left))
		r = wire_decode(ret, message, inbox->size);
	inbox->at = r < 0 ? inbox->len : inbox->at + (uint32_t)aligned(inbox->size);
	return r < 0 ? r : 1;
}

int wire_recv(int fd, struct wire_any *ret, struct wire_inbox *inbox, int flags)
{
	ssize_t got;

	if (wire_more(inbox))
		return decode_next(ret, inbox);
	do
		got = recv(fd, inbox->bytes, WIRE_MAX_BYTES, MSG_TRUNC | flags);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (got == 0)
		return 0;
	if (got > WIRE_MAX_BYTES)
		return -EBADMSG;
	inbox->at = 0;
	inbox->len = (uint32_t)got;
	return decode_next(ret, inbox);
}

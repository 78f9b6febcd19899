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

int wire_send_all(int fd, const struct buf *out)
{
	enum { BATCH = 32 };
	struct mmsghdr headers[BATCH];
	struct iovec parts[BATCH];
	size_t at = 0;

	while (at < out->len) {
		size_t next = at, done = 0;
		unsigned count = 0;
		int sent;

		for (; next < out->len && count < BATCH; count++) {
			parts[count] = (struct iovec){ out->data + next, wire_size(out->data + next) };
			headers[count] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[count], .msg_iovlen = 1 } };
			next += parts[count].iov_len;
		}
		do
			sent = sendmmsg(fd, headers, count, MSG_NOSIGNAL);
		while (sent < 0 && errno == EINTR);
		if (sent < 0)
			return errno == ECONNRESET ? -EPIPE : -errno;
		for (int i = 0; i < sent; i++)
			done += parts[i].iov_len;
		at += done;
	}
	return 0;
}

int wire_recv(int fd, struct wire_any *ret, struct wire_inbox *inbox, int flags)
{
	ssize_t got;
	int r;

	do
		got = recv(fd, inbox->bytes, WIRE_MAX_BYTES, MSG_TRUNC | flags);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (got == 0)
		return 0;
	r = wire_decode(ret, inbox->bytes, (size_t)got); /* more than WIRE_MAX_BYTES: refused there */
	return r < 0 ? r : 1;
}

/* Runs busybox in the least of sandboxes: see test_works.h. */
#include "sandbox/test_works.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

bool test_sandbox_works(void)
{
	int status = 1;
	pid_t pid;

	if (access("/bin/busybox", X_OK) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), 2);
		execlp("bwrap", "bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc",
		       "/proc", "/bin/busybox", "true", (char *)NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

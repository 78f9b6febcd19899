/* Questions on a terminal, in the words and with the answers of the peer's (_frontend/app.py). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/cli_internal.h"

#define ANSWER_MAX 65536
#define LOG_MAX (256u << 20)

static void say(const char *text)
{
	fs_write_all(STDERR_FILENO, text, strlen(text));
}

static volatile sig_atomic_t was_interrupted;

static void interrupted(int signal_number)
{
	was_interrupted = 1;
}

/* Waits for something to read.  SIGINT is blocked except while it waits, so that one cannot slip in between: true at ^C. */
static bool wait_or_interrupt(const sigset_t *waiting)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };

	while (!was_interrupted && ppoll(&fd, 1, NULL, waiting) < 0 && errno == EINTR)
		;
	return was_interrupted;
}

/* One line from the terminal; NULL at its end, or at ^C, for which the session otherwise looks at a descriptor. */
static char *read_line(void)
{
	struct sigaction action = { .sa_handler = interrupted }, old_action;
	_cleanup_buf_ struct buf line = BUF_INIT;
	sigset_t only_int, old_mask, waiting;
	ssize_t got = 0;
	char c = 0;

	was_interrupted = 0;
	sigemptyset(&only_int);
	sigaddset(&only_int, SIGINT);
	sigprocmask(SIG_BLOCK, &only_int, &old_mask);
	sigaction(SIGINT, &action, &old_action);
	waiting = old_mask;
	sigdelset(&waiting, SIGINT);
	while (!wait_or_interrupt(&waiting) && (got = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n' && line.len < ANSWER_MAX)
		buf_addc(&line, c);
	if (was_interrupted)
		got = 0;
	sigaction(SIGINT, &old_action, NULL);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	if (got <= 0)
		return NULL;
	if (line.len && line.data[line.len - 1] == '\r')
		line.data[--line.len] = '\0';
	return xstrdup(buf_text(&line));
}

char *cli_prompt(const char *text, const char *fallback, cli_check_fn *check, const void *data)
{
	_cleanup_buf_ struct buf prompt = BUF_INIT;

	buf_adds(&prompt, text);
	if (fallback)
		buf_printf(&prompt, " [%s]", fallback);
	buf_adds(&prompt, ": ");
	for (;;) {
		_cleanup_diag_ struct diag diag = DIAG_INIT;
		_cleanup_buf_ struct buf error = BUF_INIT;

		say(buf_text(&prompt));
		char *answer = read_line();

		if (!answer)
			return NULL;
		if (!*answer && fallback) {
			free(answer);
			answer = xstrdup(fallback);
		}
		if (*answer && check(data, answer, &diag) == 0)
			return answer;
		if (*answer) {
			buf_printf(&error, "Error: %s\n", buf_text(&diag.message));
			if (diag.detail.len)
				buf_printf(&error, "\n%s\n\n", buf_text(&diag.detail));
			say(buf_text(&error));
		}
		free(answer);
	}
}

static const struct {
	const char *name;
	enum session_answer answer;
} choices[] = {
	{ "continue", SESSION_ANSWER_CONTINUE }, { "quit", SESSION_ANSWER_QUIT },   { "terminate", SESSION_ANSWER_TERMINATE },
	{ "retry", SESSION_ANSWER_RETRY },	 { "shell", SESSION_ANSWER_SHELL }, { "log", SESSION_ANSWER_SHELL },
};
#define CHOICE_LOG 5

/* allowed: which of choices may be given, as bits.  The index; -1: none begins so, -2: several do. */
static int match_choice(unsigned allowed, const char *answer)
{
	int found = -1, matches = 0;

	for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
		if ((allowed & (1u << i)) && str_starts(choices[i].name, answer)) {
			found = (int)i;
			matches++;
		}
	return matches == 1 ? found : matches ? -2 : -1;
}

static int check_choice(const void *data, const char *answer, struct diag *diag)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	unsigned allowed = *(const unsigned *)data;
	int found = match_choice(allowed, answer);

	if (found >= 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
		if ((allowed & (1u << i)) && (found == -1 || str_starts(choices[i].name, answer)))
			buf_printf(&names, "%s'%s'", names.len ? ", " : "", choices[i].name);
	if (found == -1)
		return diag_set(diag, "app", NULL, "Expected one of [%s], got %s", buf_text(&names), answer);
	return diag_set(diag, "app", NULL, "Ambiguous input. '%s' can refer to one of [%s]", answer, buf_text(&names));
}

/* The index in choices; terminate if the person gave up. */
static int ask(unsigned allowed)
{
	_cleanup_free_ char *answer = cli_prompt("Choice:", "continue", check_choice, &allowed);

	if (!answer) {
		say("\n"); /* behind the echoed ^C */
		return SESSION_ANSWER_TERMINATE;
	}
	return match_choice(allowed, answer);
}

enum session_answer cli_ask_interrupt(struct cli_frontend *frontend)
{
	static const char *const said[] = { "\nContinuing\n\n", "\nCompleting ongoing tasks before quitting\n\n",
					    "\nTerminating all jobs at user request\n\n" };

	cli_frontend_say(frontend, "\nUser interrupted with ^C\n"
				   "\n"
				   "Choose one of the following options:\n"
				   "  (c)ontinue  - Continue queueing jobs as much as possible\n"
				   "  (q)uit      - Exit after all ongoing jobs complete\n"
				   "  (t)erminate - Terminate any ongoing jobs and exit\n"
				   "\n"
				   "Pressing ^C again will terminate jobs and exit\n\n");
	int choice = ask(0x7);

	say(said[choice]);
	return choices[choice].answer;
}

static void show_log(const char *path)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (fs_read_file(&text, AT_FDCWD, path, LOG_MAX) < 0)
		say("The log file cannot be read\n");
	else
		cli_page(buf_text(&text), text.len);
}

enum session_answer cli_ask_failure(struct cli_frontend *frontend, const struct session_failure *failure)
{
	static const char *const said[] = { "\nContinuing with other non failing elements\n\n",
					    "\nCompleting ongoing tasks before quitting\n\n", "\nTerminating all jobs\n\n",
					    "\nRetrying failed job\n\n",
					    "\nDropping into an interactive shell in the failed build sandbox\n\n" };
	_cleanup_buf_ struct buf text = BUF_INIT;
	int choice;

	buf_printf(&text,
		   "\n%s failure on element: %s\n\n"
		   "Choose one of the following options:\n"
		   "  (c)ontinue  - Continue queueing jobs as much as possible\n"
		   "  (q)uit      - Exit after all ongoing jobs complete\n"
		   "  (t)erminate - Terminate any ongoing jobs and exit\n"
		   "  (r)etry     - Retry this job\n",
		   failure->action, failure->element);
	if (failure->logfile)
		buf_adds(&text, "  (l)og       - View the full log file\n");
	if (failure->sandbox)
		buf_adds(&text, "  (s)hell     - Drop into a shell in the failed build sandbox\n");
	buf_adds(&text, "\nPressing ^C will terminate jobs and exit\n\n");
	do {
		cli_frontend_say(frontend, buf_text(&text));
		choice = ask(0xfu | (failure->sandbox ? 0x10u : 0) | (failure->logfile ? 1u << CHOICE_LOG : 0));
		if (choice == CHOICE_LOG)
			show_log(failure->logfile);
	} while (choice == CHOICE_LOG);
	say(said[choice]);
	return choices[choice].answer;
}

/* Runs $PAGER (less, or more) with text as its input. */
static bool run_pager(const char *text, size_t len)
{
	const char *pager = getenv("PAGER");
	int fds[2], status;

	if (pipe(fds) < 0)
		return false;
	pid_t pid = fork();

	if (pid == 0) {
		dup2(fds[0], STDIN_FILENO);
		close(fds[0]);
		close(fds[1]);
		setenv("LESS", "-R", 0);
		execl("/bin/sh", "sh", "-c", pager && *pager ? pager : "less || more || cat", (char *)NULL);
		_exit(127);
	}
	close(fds[0]);
	void (*old)(int) = signal(SIGPIPE, SIG_IGN); /* the pager may be left before the end */

	if (pid > 0)
		fs_write_all(fds[1], text, len);
	signal(SIGPIPE, old);
	close(fds[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0;
}

void cli_page(const char *text, size_t len_bytes)
{
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	if (!terminal || !run_pager(text, len_bytes))
		fs_write_all(STDOUT_FILENO, text, len_bytes);
}

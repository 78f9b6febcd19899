/* cli/cli_internal.h: what the files of room cli share.
 *
 * options.c holds the one table; parse.c, help.c, complete.c and manual.c all read it.  The rendering half (style.c,
 * show.c, line.c, heading.c, status.c, prompt.c) works on struct cli_frontend, which frontend.c owns.
 */
#ifndef CLI_CLI_INTERNAL_H
#define CLI_CLI_INTERNAL_H

#include <stdio.h>

#include "base/arena.h"
#include "base/map.h"
#include "cli/cli.h"

#define CLI_PEER_VERSION "2.8.1"
#define CLI_PEER_MAJOR 2
#define CLI_PEER_MINOR 8

/* ---- the table (options.c) ---- */

enum cli_kind {
	CLI_FLAG,        /* bool = true */
	CLI_FLAG_INT,    /* int = 1, SESSION_UNSET if absent */
	CLI_TOGGLE,      /* --x/--no-x: int = 1 or 0 */
	CLI_INT,         /* int, not below cli_option.minimum */
	CLI_TEXT,        /* const char * */
	CLI_CHOICE,      /* int, the choice's value */
	CLI_PAIR,        /* two values, session_pairs */
	CLI_MOUNT,       /* the same; the first is a path that exists */
	CLI_FILE,        /* an existing, readable file */
	CLI_OUTPUT_FILE, /* a file to write */
	CLI_DIRECTORY,   /* a directory; need not exist */
	CLI_WRITABLE_DIRECTORY,
	CLI_PATH,          /* any path */
	CLI_ELEMENT,       /* one element's name: const char * for options, session_strings for arguments */
	CLI_ELEMENTS,      /* options: repeatable, session_strings */
	CLI_ARTIFACTS,     /* arguments: element or artifact names */
	CLI_REMOTE,        /* session_remotes, for both directions */
	CLI_REMOTE_PULL,   /* for pulling only */
	CLI_REMOTE_PUSH,   /* for pushing only */
	CLI_WORDS,         /* arguments: session_strings */
	CLI_COMMAND_NAMES, /* arguments of help */
	CLI_SHOW_HELP,     /* eager */
	CLI_SHOW_VERSION,  /* eager */
};

struct cli_choice {
	const char *name;
	int value;
};

struct cli_option {
	const char *name;       /* "--config" */
	const char *short_name; /* "-c" or NULL */
	const char *negative;   /* "--no-verbose" or NULL */
	const char *metavar;    /* NULL: by kind */
	const struct cli_choice *choices; /* ends with a NULL name */
	const char *shown_default;
	const char *help;
	size_t dest; /* offset into struct cli_values */
	int minimum; /* CLI_INT */
	enum cli_kind kind;
	bool ours; /* not in the peer: left out of completion for a program named bst */
};

struct cli_argument {
	const char *name; /* "ELEMENTS"; NULL ends the list */
	enum cli_kind kind;
	bool many, required;
	size_t dest;
};

struct cli_command {
	const char *name; /* NULL ends the list */
	const char *summary; /* one line for lists of commands */
	const char *description; /* paragraphs; one that starts with "\b\n" keeps its lines */
	enum session_command id;
	const struct cli_option *options;    /* ends with a NULL name */
	const struct cli_argument *arguments; /* NULL: none */
	const struct cli_command *commands;  /* a group's; sorted by name; NULL: not a group */
	int deps;       /* default of --deps */
	bool built;     /* false: "not built yet"; flip it when the session can do it */
	bool ours;      /* not in the peer */
	bool no_help;   /* has no --help option of its own (help) */
};

/* Everything argv can set. */
struct cli_values {
	struct session_request request;
	const char *log_file;
	int colors;
	bool no_interactive;
};

extern const struct cli_command cli_root;
extern const struct cli_option cli_help_option;

/* The command of group with that name, or NULL. */
const struct cli_command *cli_find_command(const struct cli_command *group, const char *name);
bool cli_takes_value(const struct cli_option *option); /* one or two values */
int cli_value_count(const struct cli_option *option);
bool cli_is_multiple(const struct cli_option *option);
/* "FILE", "[a|b]", "" for flags. */
void cli_option_metavar(struct buf *out, const struct cli_option *option);
void cli_argument_metavar(struct buf *out, const struct cli_argument *argument);

/* ---- parsing (parse.c, values.c, remotes.c) ---- */

#define CLI_DEPTH_MAX 3

struct cli_occurrence {
	const struct cli_option *option;
	const char *values[2];
	bool negative;
};
/* One level's options and positional words, unconverted. */
struct cli_scan {
	struct cli_occurrence *seen;
	size_t n_seen, cap_seen;
	const char **words;
	size_t n_words, cap_words;
};
void cli_scan_release(struct cli_scan *scan);
/* Splits args as click's parser does: with a group, scanning stops at its first word, and that and all behind it are
 * words.  Returns 0, or -EINVAL with the message in error. */
int cli_scan(struct cli_scan *scan, const struct cli_command *command, const char *const *args, size_t count,
	     struct buf *error);

enum cli_parse_result {
	CLI_PARSE_RUN,        /* request is complete */
	CLI_PARSE_HELP,       /* --help on the last of chain: stdout, 0 */
	CLI_PARSE_VERSION,    /* stdout, 0 */
	CLI_PARSE_BARE_GROUP, /* a group alone: help on stderr, 2 */
};
struct cli_parse {
	struct arena *arena; /* where values live; the caller's */
	const struct cli_command *chain[CLI_DEPTH_MAX]; /* root first */
	size_t depth;
	struct cli_values values;
	struct buf error; /* a usage error, without "Error: " */
};
/* args without the program's name; they must outlive the request.  enum cli_parse_result, or -EINVAL and error. */
int cli_parse(struct cli_parse *parse, const char *const *args, size_t count);
void cli_parse_release(struct cli_parse *parse);

/* Stores what was seen of one option (all occurrences of a repeatable one, else the last). */
int cli_store_option(struct cli_parse *parse, const struct cli_option *option, const struct cli_occurrence *seen,
		     size_t n_seen);
int cli_store_arguments(struct cli_parse *parse, const struct cli_command *command, const char *const *words,
			size_t count);
/* "url=U,type=T,..." or a bare URL; kind is CLI_REMOTE*.  -EINVAL and the reason in error. */
int cli_parse_remote(struct arena *arena, struct session_remote *ret, const char *text, enum cli_kind kind,
		     struct buf *error);
/* Conflicts between options which the peer reports with exit code 255.  0, or -EINVAL and the line in error; a
 * warning may be added to warning. */
int cli_check_request(struct session_request *request, struct buf *error, struct buf *warning);

/* ---- text ---- */

/* text as Python's repr prints it. */
void cli_repr(struct buf *out, const char *text);
/* Fills text to width columns, each line indented; continues at column start on the first line. */
void cli_wrap(struct buf *out, const char *text, size_t width, const char *first_indent, const char *indent);
/* "Usage: prog show [OPTIONS] [ELEMENTS]..." and newline. */
void cli_usage(struct buf *out, const char *prog, const struct cli_command *const *chain, size_t depth, size_t width);
/* The whole of --help. */
void cli_help(struct buf *out, const char *prog, const struct cli_command *const *chain, size_t depth, size_t width);
/* Width of help texts on this terminal: columns - 2, 50 to 78. */
size_t cli_help_width(void);
size_t cli_terminal_columns(void);
/* Columns that UTF-8 text takes, one per code point, as Python's len. */
size_t cli_text_len(const char *text);

/* ---- completion (complete.c) and generated data (manual.c) ---- */

/* Words for what is being typed, one a line.  words is COMP_WORDS, cword COMP_CWORD. */
void cli_complete(struct buf *out, const char *words, long cword);
/* "man", "bash", "zsh" or "fish"; -EINVAL for others. */
int cli_generate(struct buf *out, const char *what);

/* ---- rendering ---- */

enum cli_color {
	CLI_PLAIN = 0,
	CLI_RED = 31,
	CLI_GREEN = 32,
	CLI_YELLOW = 33,
	CLI_BLUE = 34,
	CLI_MAGENTA = 35,
	CLI_CYAN = 36,
	CLI_BRIGHT_RED = 91
};
/* A style as click.style takes it; bold and dim: 0 not said, 1 on, -1 off. */
struct cli_style {
	enum cli_color color;
	int8_t bold, dim;
};
/* The peer's profiles (app.py). */
#define CLI_CONTENT ((struct cli_style){ .color = CLI_YELLOW })
#define CLI_CONTENT_BOLD ((struct cli_style){ .color = CLI_YELLOW, .bold = 1 })
#define CLI_FORMAT ((struct cli_style){ .color = CLI_CYAN, .dim = 1 })
#define CLI_SUCCESS ((struct cli_style){ .color = CLI_GREEN })
#define CLI_ERROR ((struct cli_style){ .color = CLI_RED, .dim = 1 })
#define CLI_DETAIL ((struct cli_style){ .dim = 1 })

/* Adds text in that style, or plain without colors. */
void cli_styled(struct buf *out, bool colors, struct cli_style style, const char *text);
void cli_styledf(struct buf *out, bool colors, struct cli_style style, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Adds text without its ANSI escape sequences. */
void cli_strip_ansi(struct buf *out, const char *text, size_t len_bytes);
/* textwrap.indent: prefix before every line that is not blank. */
void cli_indent(struct buf *out, const char *text, const char *prefix);

/* A compiled `show` format (show.c). */
struct cli_show_part {
	const char *literal; /* or NULL: a field */
	size_t literal_len;
	enum session_show_field field;
	char fill[5]; /* one UTF-8 character */
	char align;   /* '<', '>', '^' */
	char conversion; /* 'r' or 0 */
	size_t width;
	size_t precision; /* SIZE_MAX: all */
};
struct cli_show {
	char *format;
	struct cli_show_part *parts;
	size_t count, cap;
	uint32_t needs; /* SESSION_SHOW_BITs */
};
/* Compiles format; -EINVAL and diag if Python would refuse it. */
int cli_show_compile(struct cli_show *show, const char *format, struct diag *diag);
void cli_show_element(struct buf *out, const struct cli_show *show, const struct session_element *element, bool colors,
		      int key_length);
void cli_show_release(struct cli_show *show);

/* Where and how messages are shown; made from user configuration and the command line. */
struct cli_settings {
	int key_length, error_lines, message_lines;
	bool verbose, debug, throttle, colors;
	char *logdir;
};

/* A compiled message-format (line.c). */
enum cli_column {
	CLI_COLUMN_TEXT,
	CLI_COLUMN_ELAPSED,
	CLI_COLUMN_ELAPSED_US,
	CLI_COLUMN_WALLCLOCK,
	CLI_COLUMN_WALLCLOCK_US,
	CLI_COLUMN_KEY,
	CLI_COLUMN_ELEMENT,
	CLI_COLUMN_ACTION,
	CLI_COLUMN_MESSAGE
};
struct cli_line_part {
	enum cli_column column;
	char *text; /* CLI_COLUMN_TEXT */
};
struct cli_line {
	struct cli_line_part *parts;
	size_t count, cap;
};
int cli_line_compile(struct cli_line *line, const char *format, struct diag *diag);
/* The whole message: line, detail, last lines of a failed job's log. */
void cli_line_render(struct buf *out, const struct cli_line *line, const struct cli_settings *settings,
		     const struct session_message *message);
void cli_line_release(struct cli_line *line);
/* "00:01:02" in content and format styles; negative: "--:--:--". */
void cli_time_code(struct buf *out, bool colors, int64_t elapsed_us, bool microseconds);
bool cli_is_error(enum session_message_type type);

/* heading.c */
struct cli_failure { /* the last error message of an element */
	char *element, *text; /* text as rendered */
};
void cli_heading(struct buf *out, const struct cli_settings *settings, const struct cli_show *show,
		 const struct session_heading *heading);
/* failures: those of summary->failed_elements, sorted by name. */
void cli_summary(struct buf *out, const struct cli_settings *settings, const struct cli_show *show,
		 const struct session_summary *summary, const struct cli_failure *failures, size_t n_failures);

/* status.c: the live area below the messages.  Renders into buffers; never writes itself. */
struct cli_status_job {
	uint32_t id;
	char *action, *name;
	int64_t started_us;
	uint64_t current, maximum; /* UINT64_MAX current: no progress reported */
};
struct cli_status {
	bool enabled; /* both streams are terminals that can move the cursor */
	bool known;   /* a report has come */
	size_t lines; /* drawn at present */
	struct cli_status_job *jobs; /* in order of start */
	size_t n_jobs, cap_jobs;
	struct session_status last; /* texts and queues are copies in arena */
	struct arena arena;         /* of last; reset with every report */
	int64_t received_us;        /* util_now_us() when it came: times go on in between */
};
void cli_status_update(struct cli_status *status, const struct session_status *report);
void cli_status_start(struct cli_status *status, const struct session_job *job);
void cli_status_progress(struct cli_status *status, uint32_t id, uint64_t current, uint64_t maximum);
void cli_status_end(struct cli_status *status, uint32_t id);
/* Adds what removes the area from the screen, and what draws it again. */
void cli_status_clear(struct cli_status *status, struct buf *out);
void cli_status_draw(struct cli_status *status, struct buf *out, bool colors, size_t columns);
void cli_status_release(struct cli_status *status);

/* ---- the frontend (frontend.c) ---- */

struct cli_frontend {
	const struct cli_values *values;
	struct cli_settings settings;
	struct cli_line line;
	struct cli_show element_show; /* the configured element-format */
	struct cli_show show;         /* `show --format`, if given */
	bool show_given;
	bool asked;  /* show_needs was called: a report is under way */
	bool failed; /* error or session_failed was called */
	size_t held_newlines; /* at the end of show's output: dropped if nothing follows */
	struct buf out, err;  /* not yet written */
	int64_t err_written_us;
	uint32_t running; /* jobs: while there are some, messages may wait for the next tick */
	int log_fd; /* --log-file; -1: not open */
	struct cli_failure *failures;
	struct strmap failure_index;
	size_t n_failures, cap_failures;
	struct cli_status status;
};
void cli_frontend_init(struct cli_frontend *frontend, const struct cli_values *values);
void cli_frontend_release(struct cli_frontend *frontend);
/* The table for a session; valid as long as frontend. */
struct session_frontend cli_frontend_table(struct cli_frontend *frontend);
/* Writes text to stderr at once, behind what is pending and with the status area out of the way. */
void cli_frontend_say(struct cli_frontend *frontend, const char *text);
/* Appends one record to BST_ERROR_FILE if that is set. */
void cli_error_record(const char *kind, const struct diag *diag);

/* prompt.c */
/* Asks until check accepts (0) the answer; an empty answer is fallback, if there is one.  check prints nothing: it
 * fills diag, whose message is shown; data is passed to it.  Returns the answer (heap), or NULL if the person gave up
 * (end of input, ^C). */
typedef int cli_check_fn(const void *data, const char *answer, struct diag *diag);
char *cli_prompt(const char *text, const char *fallback, cli_check_fn *check, const void *data);
enum session_answer cli_ask_interrupt(struct cli_frontend *frontend);
enum session_answer cli_ask_failure(struct cli_frontend *frontend, const struct session_failure *failure);
void cli_page(const char *text, size_t len_bytes);

/* init.c: `init`; 0, or negative and diag; 1 if the person gave up. */
int cli_init(struct cli_values *values, struct buf *created, struct diag *diag);

#endif

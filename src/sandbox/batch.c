/* The shell script of a batch, character by character as the peer's _SandboxREAPIBatch writes it: it is the argument of a
 * process and shows in build logs. */
#include "sandbox/sandbox_internal.h"

#include <stdlib.h>
#include <string.h>

void sandbox_quote(struct buf *out, const char *text)
{
	bool plain = *text;

	for (const char *p = text; *p && plain; p++)
		plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			strchr("_@%+=:,./-", *p);
	if (plain) {
		buf_adds(out, text);
		return;
	}
	buf_addc(out, '\'');
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			buf_adds(out, "'\"'\"'");
		else
			buf_addc(out, *p);
	}
	buf_addc(out, '\'');
}

/* The value a command sees: PWD is its working directory, whatever the environment says. */
const char *sandbox_environment_get(const struct sandbox_command *command, const char *name)
{
	if (str_eq(name, "PWD"))
		return command->cwd;
	for (uint32_t i = 0; i < command->environment_count; i++)
		if (str_eq(command->environment[i].name, name))
			return command->environment[i].value;
	return NULL;
}

bool sandbox_makeflags(struct buf *out, const char *value, const struct sandbox_jobserver *jobserver)
{
	for (const char *word = value + strspn(value, " "); *word && !str_starts(word, "-- ");) {
		size_t len = strcspn(word, " ");
		bool parallel = len > 2 && str_starts(word, "-j") && strspn(word + 2, "0123456789") == len - 2;

		if (parallel && strtoul(word + 2, NULL, 10) > 1) {
			buf_add(out, value, (size_t)(word + len - value));
			if (jobserver->fifo)
				buf_printf(out, " --jobserver-auth=fifo:" SANDBOX_FIFO "%s", word + len);
			else
				buf_printf(out, " --jobserver-auth=%d,%d%s", jobserver->read_fd, jobserver->write_fd, word + len);
			return true;
		}
		word += len + strspn(word + len, " ");
	}
	return false;
}

static void export_change(struct sandbox_batch *batch, const struct sandbox_command *command, const char *name)
{
	const char *value = sandbox_environment_get(command, name);
	const char *before = sandbox_environment_get(&batch->last, name);

	if (before && str_eq(before, value))
		return;
	buf_printf(&batch->script, "export %s=", name);
	sandbox_quote(&batch->script, value);
	buf_addc(&batch->script, '\n');
}

/* From the state the last command left to the one this command asks for. */
static void change_state(struct sandbox_batch *batch, const struct sandbox_command *command)
{
	const struct sandbox_command *last = &batch->last;

	if (!str_eq(command->cwd, last->cwd))
		buf_printf(&batch->script, "mkdir -p %s\ncd %s\n", command->cwd, command->cwd);
	if (command->environment == last->environment && command->environment_count == last->environment_count &&
	    str_eq(command->cwd, last->cwd))
		return;
	for (uint32_t i = 0; i < last->environment_count; i++)
		if (!sandbox_environment_get(command, last->environment[i].name))
			buf_printf(&batch->script, "unset %s\n", last->environment[i].name);
	for (uint32_t i = 0; i < command->environment_count; i++)
		if (!str_eq(command->environment[i].name, "PWD"))
			export_change(batch, command, command->environment[i].name);
	export_change(batch, command, "PWD");
}

void sandbox_batch_command(struct sandbox_batch *batch, const struct sandbox_command *command)
{
	struct buf line = BUF_INIT, label = BUF_INIT;

	assert(command->argc > 0 && command->cwd && command->cwd[0] == '/');
	if (batch->any)
		change_state(batch, command);
	else
		batch->first = *command;
	batch->any = true;
	batch->last = *command;
	for (uint32_t i = 0; i < command->argc; i++) {
		if (i)
			buf_addc(&line, ' ');
		sandbox_quote(&line, command->argv[i]);
	}
	if (command->label && *command->label) {
		if (batch->labels.len)
			buf_addc(&batch->labels, '\n');
		buf_adds(&batch->labels, command->label);
		buf_printf(&label, "'%s'", command->label);
	} else {
		buf_printf(&label, "'%s'", buf_text(&line));
	}
	buf_printf(&batch->script, "(set -ex; %s) || (echo Command ", buf_text(&line));
	sandbox_quote(&batch->script, buf_text(&label));
	buf_adds(&batch->script, " failed with exitcode $? >&2 ; exit 1)\n");
	buf_release(&line);
	buf_release(&label);
}

void sandbox_batch_touch(struct sandbox_batch *batch, const char *name)
{
	buf_adds(&batch->script, "touch -- ");
	sandbox_quote(&batch->script, name);
	buf_addc(&batch->script, '\n');
}

void sandbox_batch_clean(struct sandbox_batch *batch, const char *directory)
{
	buf_adds(&batch->script, "rm -rf -- ");
	sandbox_quote(&batch->script, directory);
	buf_adds(&batch->script, " || true\n");
	if (!batch->any)
		return;
	buf_adds(&batch->script, "mkdir -p ");
	sandbox_quote(&batch->script, batch->first.cwd);
	buf_adds(&batch->script, " || true\n");
}

void sandbox_batch_release(struct sandbox_batch *batch)
{
	buf_release(&batch->script);
	buf_release(&batch->labels);
}

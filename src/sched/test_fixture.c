/* See test_fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sched/test_fixture.h"

void load(struct fixture *f, const char *text, uint8_t needs)
{
	uint32_t n = 0, b = 0, r = 0;

	memset(f, 0, sizeof(*f));
	for (const char *c = text; *c; c++) {
		if (*c == ' ')
			continue;
		if (*c == ':') {
			f->build_deps[b++] = (uint32_t)(*++c - 'a');
		} else if (*c == ';') {
			f->run_deps[r++] = (uint32_t)(*++c - 'a');
		} else {
			assert_int_equal(*c - 'a', n);
			n++;
		}
		f->build_start[n] = b;
		f->run_start[n] = r;
	}
	memset(f->needs, needs, n);
	f->flags[n - 1] = SCHED_REQUIRED;
	f->graph = (struct sched_graph){ n, f->build_start, f->build_deps, f->run_start, f->run_deps,
					 f->needs, f->flags, f->weights };
	sched_config_default(&f->config, 2, 2, 2);
	f->config.on_error = SCHED_ON_ERROR_CONTINUE;
	f->config.queues = SCHED_ALL_QUEUES;
}

void begin(struct fixture *f)
{
	f->s = sched_new(&f->config, &f->graph);
}

void end(struct fixture *f)
{
	assert_null(sched_check(f->s));
	sched_free(f->s);
	buf_release(&f->said);
}

static const char *const outcomes[] = { "no-workers", "failed", "terminated", "success" };

static void say(struct fixture *f, const struct sched_command *c)
{
	char name = c->element == SCHED_NONE ? '-' : (char)('a' + c->element);

	if (f->said.len)
		buf_adds(&f->said, ", ");
	switch (c->type) {
	case SCHED_SPAWN:
		buf_printf(&f->said, "spawn %u", c->worker);
		break;
	case SCHED_DISPATCH:
		assert_true(c->attempt >= 1 && c->job != 0);
		buf_printf(&f->said, "%s %c on %u", sched_queue_name(c->queue), name, c->worker);
		if (c->attempt > 1)
			buf_printf(&f->said, " again %u", c->attempt);
		if (c->element == SCHED_NONE) {
			f->expiry = c->job;
		} else {
			f->job[c->element] = c->job;
			f->worker[c->element] = c->worker;
		}
		break;
	case SCHED_CANCEL:
		buf_printf(&f->said, "cancel %c on %u", name, c->worker);
		break;
	case SCHED_RETIRE:
		buf_printf(&f->said, "retire %u", c->worker);
		break;
	case SCHED_RETRY_IN:
		buf_printf(&f->said, "retry %c in %u", name, c->attempt);
		break;
	case SCHED_FINISHED:
		buf_printf(&f->said, "finished %s", outcomes[c->outcome]);
		break;
	}
}

const char *commands(struct fixture *f, bool spawn_at_once)
{
	struct sched_command command;

	buf_clear(&f->said);
	while (sched_next(f->s, &command)) {
		assert_null(sched_check(f->s));
		if (command.type == SCHED_SPAWN && spawn_at_once)
			assert_int_equal(sched_worker_ready(f->s, command.worker), SCHED_OK);
		else
			say(f, &command);
	}
	assert_null(sched_check(f->s));
	return buf_text(&f->said);
}

int finish(struct fixture *f, char name, enum sched_result result, uint32_t drop)
{
	return sched_job_done(f->s, f->job[name - 'a'], result, drop);
}

struct sched_counts counts(struct fixture *f, enum sched_queue queue)
{
	struct sched_counts c;

	sched_counts(f->s, queue, &c);
	return c;
}

struct sched_element_view element(struct fixture *f, char name)
{
	struct sched_element_view v;

	sched_element_view(f->s, (uint32_t)(name - 'a'), &v);
	return v;
}

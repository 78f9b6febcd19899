/* libyaml's events into nodes, under the rules of the dialect.
 *
 * The peer feeds the same events to a little state machine and reports its state's number and the event's Python repr
 * when they do not fit; enum state and event_repr keep that text.  Parents are built on two stacks (entries, items)
 * and copied to the arena when they are complete, so nodes are compact and nothing recurses.
 */
#include "yaml/yaml_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/fs.h"

enum state { DOC, INIT, STREAM, WAIT_KEY, WAIT_LIST_ITEM, WAIT_VALUE }; /* numbered as the peer's RepresenterState */

enum { SEEN_FROM = 16 }; /* entries from which repeated keys are looked up in a table */

struct frame {
	struct yaml_node *node;
	size_t start;        /* where its entries or items begin on the stack */
	struct strmap seen;  /* keys so far, once there are many */
	const char *key;     /* the key that waits for its value */
	uint32_t key_len, key_hash;
};

struct parse {
	struct arena *arena;
	struct yaml_file *file;
	struct diag *diag;
	enum state state;
	struct frame *frames;
	size_t depth, frames_cap;
	struct yaml_entry *entries;
	size_t entry_count, entries_cap;
	const struct yaml_node **items;
	size_t item_count, items_cap;
	struct yaml_node *root;
};

static struct frame *top(struct parse *p)
{
	return &p->frames[p->depth - 1];
}

static int fail_named(struct parse *p)
{
	if (p->diag) {
		buf_clear(&p->diag->where);
		buf_adds(&p->diag->where, p->file->name);
	}
	return -EINVAL;
}

static int malformed(struct parse *p, const yaml_event_t *event, const char *what)
{
	diag_set(p->diag, "load", "invalid-yaml", "Malformed YAML:\n\n%s at line %zu column %zu\n\n", what,
		 event->start_mark.line, event->start_mark.column);
	return fail_named(p);
}

static int foreign_tag(struct parse *p, const yaml_event_t *event)
{
	diag_set(p->diag, "load", "invalid-yaml",
		 "Malformed YAML:\n\nNon-core tag expressed in input.  This is disallowed in BuildStream. "
		 "At line %zu column %zu\n\n", event->start_mark.line, event->start_mark.column);
	return fail_named(p);
}

/* ---- Events that do not fit, as Python prints them ---- */

static void repr_tag(struct buf *out, const yaml_char_t *tag)
{
	if (!tag)
		return;
	buf_adds(out, "tag=");
	yaml_py_repr(out, (const char *)tag, strlen((const char *)tag));
	buf_adds(out, ", ");
}

static void repr_scalar(struct buf *out, const yaml_event_t *event)
{
	static const char *const styles[] = {
		[YAML_ANY_SCALAR_STYLE] = "", [YAML_PLAIN_SCALAR_STYLE] = "", [YAML_SINGLE_QUOTED_SCALAR_STYLE] = "'",
		[YAML_DOUBLE_QUOTED_SCALAR_STYLE] = "\"", [YAML_LITERAL_SCALAR_STYLE] = "|",
		[YAML_FOLDED_SCALAR_STYLE] = ">",
	};
	const char *style = styles[event->data.scalar.style];

	buf_adds(out, "ScalarEvent(");
	yaml_py_repr(out, (const char *)event->data.scalar.value, event->data.scalar.length);
	buf_adds(out, ", ");
	repr_tag(out, event->data.scalar.tag);
	buf_printf(out, "implicit=(%s, %s), style=", event->data.scalar.plain_implicit ? "True" : "False",
		   event->data.scalar.quoted_implicit ? "True" : "False");
	yaml_py_repr(out, style, strlen(style));
	buf_adds(out, ")");
}

static void repr_start(struct buf *out, const char *name, const yaml_char_t *tag, int implicit, bool flow)
{
	buf_printf(out, "%s(", name);
	repr_tag(out, tag);
	buf_printf(out, "implicit=%s, flow_style=%s)", implicit ? "True" : "False", flow ? "True" : "False");
}

static void event_repr(struct buf *out, const yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT)
		repr_scalar(out, event);
	else if (event->type == YAML_MAPPING_START_EVENT)
		repr_start(out, "MappingStartEvent", event->data.mapping_start.tag, event->data.mapping_start.implicit,
			   event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE);
	else if (event->type == YAML_SEQUENCE_START_EVENT)
		repr_start(out, "SequenceStartEvent", event->data.sequence_start.tag,
			   event->data.sequence_start.implicit,
			   event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE);
	else
		buf_adds(out, "DocumentEndEvent()"); /* nothing else can be out of place in libyaml's grammar */
}

static int unexpected(struct parse *p, const yaml_event_t *event)
{
	_cleanup_buf_ struct buf repr = BUF_INIT;

	event_repr(&repr, event);
	diag_set(p->diag, "load", "invalid-yaml",
		 "Malformed YAML:\n\nInvalid input detected. No handler for %s in state %d at line %zu column %zu\n\n",
		 buf_text(&repr), (int)p->state, event->start_mark.line, event->start_mark.column);
	return fail_named(p);
}

/* ---- Building ---- */

static struct yaml_node *new_node(struct parse *p, const yaml_event_t *event, enum yaml_type type)
{
	return yaml_new_node(p->arena, type, p->file, (uint32_t)event->start_mark.line,
			     (int32_t)event->start_mark.column);
}

/* Hands a finished node to the map or list it stands in. */
static void attach(struct parse *p, const struct yaml_node *node)
{
	struct frame *parent = top(p);

	if (parent->node->type == YAML_MAP) {
		p->entries = util_grow(p->entries, &p->entries_cap, p->entry_count + 1, sizeof(*p->entries));
		p->entries[p->entry_count++] = (struct yaml_entry){ parent->key, parent->key_len, parent->key_hash, node };
	} else {
		p->items = util_grow(p->items, &p->items_cap, p->item_count + 1, sizeof(const struct yaml_node *));
		p->items[p->item_count++] = node;
	}
}

static int push(struct parse *p, const yaml_event_t *event, enum yaml_type type)
{
	if (p->depth >= YAML_MAX_DEPTH - 1) {
		char what[80];
		snprintf(what, sizeof(what), "Maps and lists are nested more than %d levels deep", YAML_MAX_DEPTH - 1);
		return malformed(p, event, what);
	}
	p->frames = util_grow(p->frames, &p->frames_cap, p->depth + 1, sizeof(*p->frames));
	/* an empty one points at its first entry, too, and NULL is no array to point into */
	p->entries = util_grow(p->entries, &p->entries_cap, p->entry_count + 1, sizeof(*p->entries));
	p->items = util_grow(p->items, &p->items_cap, p->item_count + 1, sizeof(const struct yaml_node *));
	p->frames[p->depth++] = (struct frame){
		.node = new_node(p, event, type),
		.start = type == YAML_MAP ? p->entry_count : p->item_count,
	};
	p->state = type == YAML_MAP ? WAIT_KEY : WAIT_LIST_ITEM;
	return 0;
}

static void pop(struct parse *p)
{
	struct frame *frame = top(p);
	struct yaml_node *node = frame->node;

	if (node->type == YAML_MAP) {
		yaml_set_entries(p->arena, node, p->entries + frame->start, p->entry_count - frame->start);
		p->entry_count = frame->start;
	} else {
		yaml_set_items(p->arena, node, p->items + frame->start, p->item_count - frame->start);
		p->item_count = frame->start;
	}
	strmap_release(&frame->seen);
	p->depth--;
	if (p->depth == 0) {
		/* A second document is refused at its end, and the first one's root stays what it was. */
		p->state = p->root ? WAIT_KEY : DOC;
		p->root = p->root ? p->root : node;
		return;
	}
	attach(p, node);
	p->state = top(p)->node->type == YAML_MAP ? WAIT_KEY : WAIT_LIST_ITEM;
}

/* Is key in the map on top already? */
static bool seen(struct parse *p, struct frame *frame, const char *key, size_t len, uint32_t hash)
{
	const struct yaml_entry *entries = p->entries + frame->start;
	size_t count = p->entry_count - frame->start;

	if (count < SEEN_FROM) {
		for (size_t i = 0; i < count; i++)
			if (entries[i].hash == hash && yaml_key_is(&entries[i], key, len))
				return true;
		return false;
	}
	if (!frame->seen.count)
		for (size_t i = 0; i < count; i++)
			strmap_put(&frame->seen, entries[i].key, entries[i].key_len, 1);
	return strmap_put(&frame->seen, key, len, 1) != STRMAP_NONE;
}

static int take_key(struct parse *p, const yaml_event_t *event, const char *text, size_t len)
{
	struct frame *frame = top(p);
	uint32_t hash = strmap_hash(text, len);
	const char *key = arena_strndup(p->arena, text, len);

	if (seen(p, frame, key, len, hash)) {
		diag_set(p->diag, "load", "invalid-yaml",
			 "Malformed YAML:\n\nDuplicate key %s at line %zu column %zu\n\n", key,
			 event->start_mark.line, event->start_mark.column);
		return fail_named(p);
	}
	frame->key = key;
	frame->key_len = (uint32_t)len;
	frame->key_hash = hash;
	p->state = WAIT_VALUE;
	return 0;
}

static int take_scalar(struct parse *p, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	size_t len = event->data.scalar.length;
	struct yaml_node *node;

	if (tag && !str_starts(tag, "tag:yaml.org,2002:"))
		return foreign_tag(p, event);
	if (memchr(text, '\0', len))
		return malformed(p, event, "NUL characters are not supported in text");
	if (p->state == WAIT_KEY)
		return take_key(p, event, text, len);
	if (p->state != WAIT_VALUE && p->state != WAIT_LIST_ITEM)
		return unexpected(p, event);
	node = new_node(p, event, YAML_SCALAR);
	text = yaml_strip(text, &len);
	yaml_set_text(node, arena_strndup(p->arena, text, len), len);
	attach(p, node);
	if (p->state == WAIT_VALUE)
		p->state = WAIT_KEY;
	return 0;
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
	switch ((int)event->type) {
	case YAML_ALIAS_EVENT: return event->data.alias.anchor;
	case YAML_SCALAR_EVENT: return event->data.scalar.anchor;
	case YAML_SEQUENCE_START_EVENT: return event->data.sequence_start.anchor;
	case YAML_MAPPING_START_EVENT: return event->data.mapping_start.anchor;
	default: return NULL;
	}
}

static int take(struct parse *p, const yaml_event_t *event)
{
	if (anchor_of(event))
		return malformed(p, event, "Anchors are disallowed in BuildStream");
	switch ((int)event->type) {
	case YAML_SCALAR_EVENT:
		return take_scalar(p, event);
	case YAML_MAPPING_START_EVENT:
		if (p->state == DOC || p->state == WAIT_VALUE || p->state == WAIT_LIST_ITEM)
			return push(p, event, YAML_MAP);
		return unexpected(p, event);
	case YAML_SEQUENCE_START_EVENT:
		if (p->state == WAIT_VALUE || p->state == WAIT_LIST_ITEM)
			return push(p, event, YAML_LIST);
		return unexpected(p, event);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		pop(p);
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		p->state = DOC;
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		if (p->state != DOC)
			return unexpected(p, event);
		p->state = STREAM;
		return 0;
	default: /* start and end of the stream */
		p->state = STREAM;
		return 0;
	}
}

/* ---- The parser's own errors ---- */

static void print_mark(struct buf *out, const yaml_mark_t *mark)
{
	buf_printf(out, "\n  in \"<unicode string>\", line %zu, column %zu", mark->line + 1, mark->column + 1);
}

static int scanner_failed(struct parse *p, const yaml_parser_t *parser)
{
	_cleanup_buf_ struct buf why = BUF_INIT;
	const yaml_mark_t *at = &parser->problem_mark, *context = &parser->context_mark;

	if (parser->error == YAML_READER_ERROR && parser->problem_value >= 0) {
		buf_printf(&why, "unacceptable character #x%04x: %s\n  in \"<unicode string>\", position %zu",
			   (unsigned)parser->problem_value, parser->problem, parser->problem_offset);
	} else if (parser->error == YAML_READER_ERROR) {
		buf_printf(&why, "%s\n  in \"<unicode string>\", position %zu", parser->problem, parser->problem_offset);
	} else {
		if (parser->context) {
			buf_adds(&why, parser->context);
			if (context->line != at->line || context->column != at->column)
				print_mark(&why, context);
			buf_adds(&why, "\n");
		}
		buf_adds(&why, parser->problem ? parser->problem : "unknown problem");
		print_mark(&why, at);
	}
	diag_set(p->diag, "load", "invalid-yaml", "Severely malformed YAML:\n\n%s\n\n", buf_text(&why));
	return fail_named(p);
}

static int run(struct parse *p, yaml_parser_t *parser)
{
	for (;;) {
		yaml_event_t event;
		bool end;
		int r;

		if (!yaml_parser_parse(parser, &event))
			return scanner_failed(p, parser);
		end = event.type == YAML_STREAM_END_EVENT;
		r = take(p, &event);
		yaml_event_delete(&event);
		if (r < 0 || end)
			return r;
	}
}

static int parse_text(struct parse *p, const char *text, size_t len)
{
	yaml_parser_t parser;
	int r;

	if (len > YAML_MAX_BYTES) {
		diag_set(p->diag, "load", "invalid-yaml", "The file is larger than %d MiB", YAML_MAX_BYTES >> 20);
		return fail_named(p);
	}
	if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
		diag_set(p->diag, "load", "invalid-yaml", "The file is UTF-16; only UTF-8 is supported");
		return fail_named(p);
	}
	if (!yaml_parser_initialize(&parser))
		bug("out of memory (YAML parser)");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	r = run(p, &parser);
	yaml_parser_delete(&parser);
	return r;
}

static int parse_named(struct arena *arena, const char *text, size_t len, struct yaml_file *file,
		       const struct yaml_node **ret, struct diag *diag)
{
	struct parse p = { .arena = arena, .file = file, .diag = diag, .state = INIT };
	int r = parse_text(&p, text, len);

	while (p.depth)
		strmap_release(&p.frames[--p.depth].seen);
	free(p.frames);
	free(p.entries);
	free(p.items);
	if (r < 0)
		return r;
	file->root = p.root ? p.root : yaml_new_node(arena, YAML_MAP, file, 0, 0);
	*ret = file->root;
	return 0;
}

int yaml_parse(struct arena *arena, const char *text, size_t len, const char *name, const struct yaml_node **ret,
	       struct diag *diag)
{
	struct yaml_file *file = ARENA_NEW(arena, struct yaml_file);

	file->name = arena_strdup(arena, name);
	return parse_named(arena, text, len, file, ret, diag);
}

int yaml_load_file(struct arena *arena, int dirfd, const char *path, const char *shown_path, const char *name,
		   uint32_t owner, const struct yaml_node **ret, struct diag *diag)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct yaml_file *file;
	int r = fs_read_file(&text, dirfd, path, YAML_MAX_BYTES);

	shown_path = shown_path ? shown_path : path;
	if (r == -ENOENT || r == -ENOTDIR) {
		diag_set(diag, "load", "missing-file", "Could not find file at %s", shown_path);
		return -ENOENT;
	}
	if (r == -EISDIR) {
		diag_set(diag, "load", "loading-directory", "%s is a directory", shown_path);
		return r;
	}
	if (r == -EFBIG)
		return diag_set(diag, "load", "invalid-yaml", "%s is larger than %d MiB", shown_path, YAML_MAX_BYTES >> 20);
	if (r < 0)
		return diag_errno(diag, "load", "missing-file", -r, "Could not read file at %s", shown_path);
	file = ARENA_NEW(arena, struct yaml_file);
	file->name = arena_strdup(arena, name);
	file->path = arena_strdup(arena, shown_path);
	file->owner = owner;
	return parse_named(arena, buf_text(&text), text.len, file, ret, diag);
}

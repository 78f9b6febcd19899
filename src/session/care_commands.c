/* `cache du`, `cache gc`, `cache fsck`: what the cache is filled with, letting go, looking for damage. */
#include "session/session_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "artifacts/care.h"
#include "base/fs.h"
#include "base/map.h"

enum { KEY_SHOWN = 8, FOUND_DAMAGE = 1 };

/* ---- words ---- */

/* "999", "1.5K", "12M": never more than five characters. */
static void add_bytes(struct buf *out, int64_t bytes)
{
	static const char units[] = " KMGTPE";
	double number = (double)bytes;
	unsigned unit = 0;

	while (number >= 999.5 && units[unit + 1]) {
		number /= 1024;
		unit++;
	}
	if (unit == 0)
		buf_printf(out, "%" PRId64, bytes);
	else
		buf_printf(out, number < 9.95 ? "%.1f%c" : "%.0f%c", number, units[unit]);
}

static const char *bytes_text(struct session *session, int64_t bytes)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	add_bytes(&out, bytes);
	return arena_strdup(&session->arena, buf_text(&out));
}

static void print(struct session *session, const struct buf *out)
{
	session->frontend->output(session->frontend->data, buf_text(out), out->len);
}

/* ---- du ---- */

/* "project/element", or "sources of kind": what is behind the first name of an item; with its key if long. */
static const char *label(struct session *session, const struct care_item *item, bool with_key)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *at = item->names[0], *key = strrchr(at, '/');

	if (item->is_artifact) {
		at += strlen("artifacts/refs/");
		buf_printf(&out, "%.*s", (int)(key - at), at);
	} else if (str_starts(at, "source_protos/")) {
		at += strlen("source_protos/");
		buf_printf(&out, "(sources: %.*s)", (int)(key - at), at);
	} else {
		buf_adds(&out, "(sources of elements)");
	}
	if (with_key)
		buf_printf(&out, " %.*s", KEY_SHOWN, key + 1);
	return arena_strdup(&session->arena, buf_text(&out));
}

struct row {
	const char *label;
	uint32_t items;
	bool in_use, goes_all, goes_some, broken;
	int64_t used_ns;
};

struct table {
	struct row *rows;
	struct care_size *sizes;
	uint32_t count;
};

static void make_rows(struct session *session, struct table *table, struct care_list *list)
{
	struct strmap known = STRMAP_INIT;

	table->rows = xcalloc(list->count + 1u, sizeof(*table->rows));
	table->sizes = xcalloc(list->count + 1u, sizeof(*table->sizes));
	for (uint32_t i = 0; i < list->count; i++) {
		const char *text = label(session, &list->items[i], session->request->long_listing);
		struct strmap_slot *slot = strmap_slot(&known, text, strlen(text));

		if (slot->value == STRMAP_NONE) {
			table->rows[table->count].label = text;
			slot->value = table->count++;
		}
		list->items[i].group = slot->value;
	}
	strmap_release(&known);
}

static void fill_rows(struct table *table, const struct care_list *list)
{
	for (uint32_t i = 0; i < table->count; i++)
		table->rows[i].goes_all = true;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct care_item *item = &list->items[i];
		struct row *row = &table->rows[item->group];

		row->items++;
		row->used_ns = MAX(row->used_ns, item->used_ns);
		row->in_use |= item->in_use;
		row->goes_some |= item->goes;
		row->goes_all &= item->goes;
		row->broken |= !item->whole;
	}
}

static void print_row(struct session *session, struct buf *out, const struct row *row, const struct care_size *size)
{
	time_t used = (time_t)(row->used_ns / 1000000000);
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&used, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	buf_printf(out, "%6s %6s  %-16s %5u  %s%s%s\n", bytes_text(session, size->size_bytes),
		   bytes_text(session, size->own_bytes), when, row->items, row->label,
		   row->broken ? "  [incomplete]" : "",
		   row->in_use ? "  [in use]" : row->goes_all ? "  [goes next]" : row->goes_some ? "  [goes in part]" : "");
}

static void print_limits(struct session *session, struct buf *out)
{
	const struct project_context *context = &session->context;

	buf_printf(out, "quota %s", context->quota_text);
	if (context->quota_bytes != PROJECT_QUOTA_INFINITE)
		buf_printf(out, " (%" PRId64 " bytes)", context->quota_bytes);
	buf_printf(out, ", low watermark %.0f%%, reserved of the disk: %s\n", context->low_watermark * 100,
		   bytes_text(session, context->reserved_bytes));
}

struct target {
	int64_t objects_bytes; /* down to which objects should come */
	uint64_t layers_bytes, layers_removed_bytes; /* left, and gone */
};

/* Layers go first, as many as it takes; with pretend nothing does. */
static int find_target(struct session *session, int64_t objects_bytes, bool pretend, struct target *ret)
{
	struct sandbox_host_options options = session_host_options(session);
	struct sandbox_host *host;
	uint64_t none;
	int64_t low_bytes;
	int r = sandbox_host_new(&host, &options, &session->diag);

	if (r < 0)
		return r;
	cas_counted(session->cas, objects_bytes,
		    (int64_t)sandbox_layers_trim(host, UINT64_MAX, true, &none));
	low_bytes = cas_low_bytes(session->cas, 0);
	ret->layers_bytes = sandbox_layers_trim(host, MIN((uint64_t)MAX(low_bytes - objects_bytes, 0), sandbox_layers_limit(host)),
						pretend, &ret->layers_removed_bytes);
	ret->objects_bytes = session_objects_target(low_bytes, (int64_t)ret->layers_bytes);
	sandbox_host_free(host);
	return 0;
}

static void print_du(struct session *session, const struct table *table, const struct care_list *list,
		     const struct care_census *census, const struct target *target)
{
	_cleanup_buf_ struct buf out = BUF_INIT;

	buf_printf(&out, "%6s %6s  %-16s %5s  %s\n", "SIZE", "OWN", "LAST USED", "COUNT",
		   session->request->long_listing ? "ARTIFACT" : "ELEMENT");
	for (uint32_t i = 0; i < table->count; i++)
		print_row(session, &out, &table->rows[i], &table->sizes[i]);
	buf_printf(&out, "\n%6s in %" PRIu32 " objects; %" PRIu64 " of them (%s) belong to nothing listed here\n",
		   bytes_text(session, census->bytes), census->count, list->unnamed,
		   bytes_text(session, list->unnamed_bytes));
	buf_printf(&out, "%6s in layers: trees written out for sandboxes\n",
		   bytes_text(session, (int64_t)(target->layers_bytes + target->layers_removed_bytes)));
	print_limits(session, &out);
	print(session, &out);
}

int session_cache_du(struct session *session)
{
	struct care_list list = { 0 };
	struct care_census *census = NULL;
	struct table table = { 0 };
	struct target target = { 0 };
	int r = session_open_cache(session, false);

	if (r == 0 && (r = care_census_new(&census, session->cas, NULL, NULL)) < 0)
		diag_errno(&session->diag, "cas", NULL, -r, "Could not count what is in the cache");
	if (r == 0)
		r = care_list_init(&list, session->cas);
	if (r == 0)
		r = find_target(session, census->bytes, true, &target);
	if (r == 0) {
		make_rows(session, &table, &list);
		care_measure(&list, census, table.sizes, table.count);
		care_choose(&list, census, care_since(session->cas), target.objects_bytes);
		fill_rows(&table, &list);
		print_du(session, &table, &list, census, &target);
	}
	care_list_release(&list);
	care_census_free(census);
	free(table.rows);
	free(table.sizes);
	return r;
}

/* ---- gc ---- */

static void print_gc(struct session *session, const struct care_result *result, const struct target *target)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *would = session->request->dry_run ? "Would remove" : "Removed";
	const char *left = session->request->dry_run ? "Would leave" : "Left";

	buf_printf(&out, "%s %u artifacts and sources, %" PRIu64 " objects (%s), %s of layers\n", would, result->items,
		   result->objects, bytes_text(session, result->bytes),
		   bytes_text(session, (int64_t)target->layers_removed_bytes));
	buf_printf(&out, "%s %u artifacts and sources, %" PRIu64 " objects (%s), %s of layers\n", left,
		   result->kept_items, result->kept_objects, bytes_text(session, result->kept_bytes),
		   bytes_text(session, (int64_t)target->layers_bytes));
	print(session, &out);
}

static int gc(struct session *session, struct care_result *result, struct target *target)
{
	_cleanup_close_ int lock = care_lock(session->cas);
	bool pretend = session->request->dry_run;
	struct care_census *census = NULL;
	int64_t since_ns;
	int r = MIN(lock, 0);

	if (r < 0)
		return r;
	since_ns = care_since(session->cas);
	r = care_census_new(&census, session->cas, NULL, NULL);
	if (r == 0)
		r = find_target(session, census->bytes, pretend, target);
	if (r == 0)
		r = care_expire(session->cas, census, since_ns, target->objects_bytes, pretend, result);
	care_census_free(census);
	return r;
}

int session_cache_gc(struct session *session)
{
	struct care_result result = { 0 };
	struct target target = { 0 };
	int r = session_open_cache(session, false); /* it uses nothing, and needs no marker to say so */

	if (r == 0 && (r = gc(session, &result, &target)) < 0 && !session->diag.domain)
		diag_errno(&session->diag, "cas", NULL, -r, "Could not make room in the cache");
	if (r == 0)
		print_gc(session, &result, &target);
	return r;
}

/* ---- fsck ---- */

struct findings {
	uint32_t objects, records, damaged, incomplete;
	int64_t broken;
};

/* Whether a session uses them or not: it is better off without. */
static void drop_incomplete(struct session *session, struct care_list *list, struct care_census *census,
			    struct findings *findings)
{
	struct care_size *sizes = xcalloc(list->count + 1u, sizeof(*sizes));

	for (uint32_t i = 0; i < list->count; i++)
		list->items[i].group = i;
	care_measure(list, census, sizes, list->count);
	for (uint32_t i = 0; i < list->count; i++) {
		struct care_item *item = &list->items[i];
		_cleanup_buf_ struct buf text = BUF_INIT;

		item->goes = !item->whole;
		if (!item->goes)
			continue;
		findings->damaged += item->damaged;
		findings->incomplete += !item->damaged;
		buf_printf(&text, "Dropped %s: %s", label(session, item, true),
			   item->damaged ? "its record is damaged" : "part of it is missing");
		session_say(session, SESSION_MESSAGE_WARN, buf_text(&text), NULL);
	}
	care_forget(list, session->cas);
	free(sizes);
}

static int fsck(struct session *session, struct findings *findings)
{
	_cleanup_close_ int lock = care_lock(session->cas);
	struct care_list list = { 0 };
	struct care_census *census;
	int r = MIN(lock, 0);

	if (r == 0)
		r = care_census_new(&census, session->cas, NULL, NULL);
	if (r < 0)
		return r;
	findings->objects = census->count;
	findings->broken = care_verify(census);
	r = findings->broken < 0 ? (int)findings->broken : care_list_init(&list, session->cas);
	findings->records = list.count;
	if (r == 0) {
		drop_incomplete(session, &list, census, findings);
		cas_counted(session->cas, census->bytes, -1);
		care_forget_peer_count(session->cas);
	}
	care_list_release(&list);
	care_census_free(census);
	return r;
}

int session_cache_fsck(struct session *session)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct findings findings = { 0 };
	int r = session_open_cache(session, true);

	if (r == 0 && (r = fsck(session, &findings)) < 0)
		diag_errno(&session->diag, "cas", NULL, -r, "Could not verify the cache");
	if (r < 0)
		return r;
	buf_printf(&out, "Verified %u objects: %" PRId64 " were broken and are gone\n", findings.objects, findings.broken);
	buf_printf(&out, "Checked %u artifacts and sources: %u records were damaged, %u incomplete; they are gone and will be "
		   "made again\n", findings.records, findings.damaged, findings.incomplete);
	print(session, &out);
	return findings.broken || findings.damaged || findings.incomplete ? FOUND_DAMAGE : 0;
}

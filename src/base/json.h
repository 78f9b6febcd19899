/* base/json.h: JSON text exactly as BuildStream hashes it.
 *
 * BuildStream 2 makes keys from ujson.dumps(sort_keys=True, escape_forward_slashes=False): no blanks, ASCII only,
 * \u00xx lowercase, 0x7f raw, "/" raw (compat: cache keys, serialisation).  Sorting members is the caller's business.
 * Pure; any process.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"

/* Adds "text" with quotes.  Invalid UTF-8 becomes U+FFFD (keys never see it: the YAML scanner refuses it). */
void json_string(struct buf *out, const char *text, size_t len_bytes);
void json_str(struct buf *out, const char *text); /* NULL: null */
void json_int(struct buf *out, int64_t value);
void json_bool(struct buf *out, bool value);
/* Adds a comma unless out ends with '[', '{' or ':' . */
void json_comma(struct buf *out);
/* json_comma, then "name": */
void json_member(struct buf *out, const char *name);

#endif

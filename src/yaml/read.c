/* Typed reading of maps and scalars, with the peer's words for what does not fit. */
#include "yaml/yaml_internal.h"

#include <errno.h>
#include <limits.h>

static const char *const type_words[] = { [YAML_SCALAR] = "scalar", [YAML_LIST] = "list", [YAML_MAP] = "dict" };

static int wrong_type(struct diag *diag, const struct yaml_node *node, const char *key, const char *type)
{
	yaml_error(diag, node, "invalid-data", "Value of '%s' is not of the expected type '%s'", key, type);
	return -EINVAL;
}

static int missing(struct diag *diag, const struct yaml_node *map, const char *key)
{
	return yaml_error(diag, map, "invalid-data", "Dictionary did not contain expected key '%s'", key);
}

static int get_typed(const struct yaml_node *map, const char *key, enum yaml_type type, const struct yaml_node **ret,
		     struct diag *diag)
{
	const struct yaml_node *value = yaml_get(map, key);

	if (!value)
		return 0;
	if (value->type != type)
		return wrong_type(diag, value, key, type_words[type]);
	*ret = value;
	return 1;
}

int yaml_as_bool(const struct yaml_node *scalar, const char *key, bool *ret, struct diag *diag)
{
	if (str_eq(scalar->text, "True") || str_eq(scalar->text, "true") || str_eq(scalar->text, "1"))
		*ret = true;
	else if (str_eq(scalar->text, "False") || str_eq(scalar->text, "false") || str_eq(scalar->text, "0"))
		*ret = false;
	else
		return wrong_type(diag, scalar, key, "boolean");
	return 0;
}

/* Python's int(): blanks around, a sign, digits with single '_' between them, leading zeros; no base prefix.  Beyond
 * the range of a C int the peer dies with an OverflowError. */
static bool parse_int(const char *text, size_t len, int *ret)
{
	int64_t value = 0;
	bool negative = false, digit = false;

	text = yaml_strip(text, &len);
	if (len && (*text == '+' || *text == '-')) {
		negative = *text == '-';
		text++, len--;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '_' && digit && i + 1 < len) {
			digit = false;
			continue;
		}
		if (text[i] < '0' || text[i] > '9')
			return false;
		digit = true;
		value = value * 10 + (text[i] - '0');
		if (value > (int64_t)INT_MAX + 1)
			return false;
	}
	value = negative ? -value : value;
	if (!digit || value > INT_MAX)
		return false;
	*ret = (int)value;
	return true;
}

int yaml_as_int(const struct yaml_node *scalar, const char *key, int *ret, struct diag *diag)
{
	if (!parse_int(scalar->text, scalar->count, ret))
		return wrong_type(diag, scalar, key, "int");
	return 0;
}

int yaml_as_enum(const struct yaml_node *scalar, const char *key, const char *const *names, int *ret,
		 struct diag *diag)
{
	_cleanup_buf_ struct buf all = BUF_INIT;

	for (int i = 0; names[i]; i++) {
		if (str_eq(scalar->text, names[i])) {
			*ret = i;
			return 0;
		}
		buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
	}
	return yaml_error(diag, scalar, "invalid-data", "Value of '%s' should be one of '%s'", key, buf_text(&all));
}

int yaml_as_strs(struct arena *arena, const struct yaml_node *list, const char *const **ret, uint32_t *ret_count,
		 struct diag *diag)
{
	const char **texts = ARENA_ARRAY(arena, const char *, list->count);

	for (uint32_t i = 0; i < list->count; i++) {
		if (list->items[i]->type != YAML_SCALAR)
			return yaml_error(diag, list->items[i], "invalid-data",
					  "List item is not of the expected type 'scalar'");
		texts[i] = list->items[i]->text;
	}
	*ret = texts;
	*ret_count = list->count;
	return 0;
}

int yaml_item_map(const struct yaml_node *list, uint32_t i, const struct yaml_node **ret, struct diag *diag)
{
	if (list->items[i]->type != YAML_MAP)
		return yaml_error(diag, list->items[i], "invalid-data", "List item is not of the expected type 'dict'");
	*ret = list->items[i];
	return 0;
}

/* ---- Optional ---- */

int yaml_get_scalar(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag)
{
	return get_typed(map, key, YAML_SCALAR, ret, diag);
}

int yaml_get_list(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag)
{
	return get_typed(map, key, YAML_LIST, ret, diag);
}

int yaml_get_map(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag)
{
	return get_typed(map, key, YAML_MAP, ret, diag);
}

int yaml_get_str(const struct yaml_node *map, const char *key, const char **ret, struct diag *diag)
{
	const struct yaml_node *node = NULL;
	int r = yaml_get_scalar(map, key, &node, diag);

	if (r > 0)
		*ret = node->text;
	return r;
}

int yaml_get_bool(const struct yaml_node *map, const char *key, bool *ret, struct diag *diag)
{
	const struct yaml_node *node = NULL;
	int r = yaml_get_scalar(map, key, &node, diag);

	if (r <= 0)
		return r;
	r = yaml_as_bool(node, key, ret, diag);
	return r < 0 ? r : 1;
}

int yaml_get_int(const struct yaml_node *map, const char *key, int *ret, struct diag *diag)
{
	const struct yaml_node *node = NULL;
	int r = yaml_get_scalar(map, key, &node, diag);

	if (r <= 0)
		return r;
	r = yaml_as_int(node, key, ret, diag);
	return r < 0 ? r : 1;
}

int yaml_get_enum(const struct yaml_node *map, const char *key, const char *const *names, int *ret, struct diag *diag)
{
	const struct yaml_node *node = NULL;
	int r = yaml_get_scalar(map, key, &node, diag);

	if (r <= 0)
		return r;
	r = yaml_as_enum(node, key, names, ret, diag);
	return r < 0 ? r : 1;
}

int yaml_get_strs(struct arena *arena, const struct yaml_node *map, const char *key, const char *const **ret,
		  uint32_t *ret_count, struct diag *diag)
{
	const struct yaml_node *node = NULL;
	int r = yaml_get_list(map, key, &node, diag);

	if (r <= 0)
		return r;
	r = yaml_as_strs(arena, node, ret, ret_count, diag);
	return r < 0 ? r : 1;
}

/* ---- Required ---- */

/* 1 (found) becomes 0, 0 (not there) becomes an error. */
static int need(int found, const struct yaml_node *map, const char *key, struct diag *diag)
{
	if (found < 0)
		return found;
	return found ? 0 : missing(diag, map, key);
}

int yaml_need_node(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag)
{
	const struct yaml_node *value = yaml_get(map, key);

	if (!value)
		return missing(diag, map, key);
	*ret = value;
	return 0;
}

int yaml_need_scalar(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag)
{
	return need(yaml_get_scalar(map, key, ret, diag), map, key, diag);
}

int yaml_need_list(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag)
{
	return need(yaml_get_list(map, key, ret, diag), map, key, diag);
}

int yaml_need_map(const struct yaml_node *map, const char *key, const struct yaml_node **ret, struct diag *diag)
{
	return need(yaml_get_map(map, key, ret, diag), map, key, diag);
}

int yaml_need_str(const struct yaml_node *map, const char *key, const char **ret, struct diag *diag)
{
	return need(yaml_get_str(map, key, ret, diag), map, key, diag);
}

int yaml_need_bool(const struct yaml_node *map, const char *key, bool *ret, struct diag *diag)
{
	return need(yaml_get_bool(map, key, ret, diag), map, key, diag);
}

int yaml_need_int(const struct yaml_node *map, const char *key, int *ret, struct diag *diag)
{
	return need(yaml_get_int(map, key, ret, diag), map, key, diag);
}

int yaml_need_enum(const struct yaml_node *map, const char *key, const char *const *names, int *ret, struct diag *diag)
{
	return need(yaml_get_enum(map, key, names, ret, diag), map, key, diag);
}

int yaml_need_strs(struct arena *arena, const struct yaml_node *map, const char *key, const char *const **ret,
		   uint32_t *ret_count, struct diag *diag)
{
	return need(yaml_get_strs(arena, map, key, ret, ret_count, diag), map, key, diag);
}

/* ---- Names ---- */

int yaml_validate_keys(const struct yaml_node *map, const char *const *names, struct diag *diag)
{
	for (uint32_t i = 0; i < map->count; i++) {
		const struct yaml_entry *entry = &map->entries[i];
		int k = 0;

		while (names[k] && !str_eq(names[k], entry->key))
			k++;
		if (!names[k])
			return yaml_error(diag, entry->value, "invalid-data", "Unexpected key: %s", entry->key);
	}
	return 0;
}

int yaml_check_symbol(const char *name, const char *purpose, const struct yaml_node *node, bool allow_dashes,
		      struct diag *diag)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
	bool digit_first = *name >= '0' && *name <= '9';

	if (*name && !digit_first && name[strspn(name, letters)] == '\0' && (allow_dashes || !strchr(name, '-')))
		return 0;
	diag_set(diag, "load", "invalid-symbol-name", "Invalid symbol name for %s: '%s'", purpose, name);
	if (node)
		yaml_where(diag, node);
	diag_detail(diag,
		    "Symbol names must contain only alphanumeric characters, may not start with a digit, and may contain "
		    "underscores%s", allow_dashes ? " or dashes" : "");
	return -EINVAL;
}

/* JSON in Python's layout: see pyjson.h. */
#include "elements/pyjson.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "yaml/yaml.h"

const struct yaml_node pyjson_none = { .type = YAML_SCALAR, .height = 1, .column = -1, .text = "" };

static void new_line(struct pyjson *json)
{
	if (json->indent < 0)
		return;
	buf_addc(&json->text, '\n');
	for (unsigned i = 0; i < json->depth * (unsigned)json->indent; i++)
		buf_addc(&json->text, ' ');
}

static bool is_open(const struct pyjson *json)
{
	char last = json->text.len ? json->text.data[json->text.len - 1] : '\0';

	return last == '{' || last == '[';
}

/* What stands between two values, or between a bracket and the first one. */
static void separate(struct pyjson *json)
{
	if (json->after_key) {
		json->after_key = false;
		return;
	}
	if (!json->depth)
		return;
	if (!is_open(json))
		buf_adds(&json->text, json->indent < 0 ? ", " : ",");
	new_line(json);
}

void pyjson_open(struct pyjson *json, char bracket)
{
	separate(json);
	buf_addc(&json->text, bracket);
	json->depth++;
}

void pyjson_close(struct pyjson *json, char bracket)
{
	json->depth--;
	if (!is_open(json))
		new_line(json);
	buf_addc(&json->text, bracket);
}

void pyjson_key(struct pyjson *json, const char *key)
{
	separate(json);
	json_str(&json->text, key);
	buf_adds(&json->text, ": ");
	json->after_key = true;
}

void pyjson_word(struct pyjson *json, const char *word)
{
	separate(json);
	buf_adds(&json->text, word);
}

void pyjson_text(struct pyjson *json, const char *text)
{
	separate(json);
	json_str(&json->text, text);
}

void pyjson_int(struct pyjson *json, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	pyjson_word(json, text);
}

void pyjson_node(struct pyjson *json, const struct yaml_node *node)
{
	if (node == &pyjson_none) {
		pyjson_word(json, "null");
	} else if (yaml_is_scalar(node)) {
		pyjson_text(json, node->text);
	} else if (yaml_is_list(node)) {
		pyjson_open(json, '[');
		for (uint32_t i = 0; i < node->count; i++)
			pyjson_node(json, node->items[i]);
		pyjson_close(json, ']');
	} else {
		pyjson_open(json, '{');
		for (uint32_t i = 0; i < node->count; i++) {
			pyjson_key(json, node->entries[i].key);
			pyjson_node(json, node->entries[i].value);
		}
		pyjson_close(json, '}');
	}
}

/* ---- repr ---- */

static void repr_text(struct buf *out, const char *text)
{
	char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';

	buf_addc(out, quote);
	for (; *text; text++) {
		if (*text == quote || *text == '\\')
			buf_addc(out, '\\');
		if (*text == '\n')
			buf_adds(out, "\\n");
		else
			buf_addc(out, *text);
	}
	buf_addc(out, quote);
}

void pyjson_repr(struct buf *out, const struct yaml_node *node)
{
	if (node == &pyjson_none) {
		buf_adds(out, "None");
	} else if (yaml_is_scalar(node)) {
		repr_text(out, node->text);
	} else {
		buf_addc(out, yaml_is_map(node) ? '{' : '[');
		for (uint32_t i = 0; i < node->count; i++) {
			if (i)
				buf_adds(out, ", ");
			if (yaml_is_map(node)) {
				repr_text(out, node->entries[i].key);
				buf_adds(out, ": ");
			}
			pyjson_repr(out, yaml_is_map(node) ? node->entries[i].value : node->items[i]);
		}
		buf_addc(out, yaml_is_map(node) ? '}' : ']');
	}
}

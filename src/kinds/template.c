/* Templates of URLs: see kinds_render. */
#include "kinds/kinds.h"

#include <errno.h>
#include <string.h>

int kinds_render(const char *template, kinds_part_fn *part, const void *data, struct buf *ret, const char **unknown,
		 size_t *unknown_len)
{
	for (const char *at = template; *at;) {
		size_t plain = strcspn(at, "{}"), name_len, value_len;
		const char *value;

		buf_add(ret, at, plain);
		at += plain;
		if (!*at)
			break;
		if (at[1] == at[0]) {
			buf_addc(ret, at[0]);
			at += 2;
			continue;
		}
		name_len = strcspn(at + 1, "{}");
		if (*at == '}' || at[1 + name_len] != '}')
			return -EINVAL;
		value = part(data, at + 1, name_len, &value_len);
		if (!value) {
			*unknown = at + 1;
			*unknown_len = name_len;
			return -ENOENT;
		}
		buf_add(ret, value, value_len);
		at += name_len + 2;
	}
	return 0;
}

/* Evaluates an expression over a few options of each type. */
#include <stdlib.h>
#include <string.h>

#include "yaml/expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const items[] = { "one", "two", "three" };
	static const struct yaml_option table[] = {
		{ .name = "debug", .type = YAML_OPTION_BOOL, .boolean = true },
		{ .name = "arch", .type = YAML_OPTION_TEXT, .text = "x86_64" },
		{ .name = "flags", .type = YAML_OPTION_LIST, .items = items, .item_count = 3 },
	};
	static const struct yaml_options options = { table, ARRAY_SIZE(table) };
	_cleanup_diag_ struct diag diag = DIAG_INIT;
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	bool holds;
	int r = yaml_expr_eval(text, &options, &holds, &diag);

	if ((r < 0) != (diag.domain != NULL))
		abort();
	return 0;
}

/* base/module.h: parts of the program that are loaded when first needed.
 *
 * libcurl, TLS and libarchive cost more start-up time than all of `show`; they are linked into modules that a worker opens
 * on first use.  A module is a shared object millrace-<name>.so with one table of functions.  It is looked for in
 *   $MILLRACE_MODULES, if set,
 *   the directory of the executable and its sub-directories of the build tree (../sources, ../remote, sources, remote),
 *   <directory of the executable>/../lib/millrace, and the directory given when Millrace was configured.
 * Modules stay open until the process ends.  Any process; one thread.
 */
#ifndef BASE_MODULE_H
#define BASE_MODULE_H

#include "base/diag.h"

/* The symbol `symbol` of module `name` ("archive", "curl").  NULL with diag set ("module") if it cannot be opened. */
const void *module_open(const char *name, const char *symbol, struct diag *diag);

#endif

/* Nodes of trees in memory, shared by tree.c and tree_out.c. */
#ifndef CAS_TREE_INTERNAL_H
#define CAS_TREE_INTERNAL_H

#include "cas/cas_internal.h"

struct cas_node {
	struct cas_entry *entries; /* sorted by name; heap */
	uint32_t count, cap;
	uint8_t read_only;         /* enum cas_read_only */
	bool valid;                /* digest is that of the content */
	bool stored;               /* ... and in the store, with all below; meaningful if valid */
	struct digest digest;
	struct cas_node *chain;    /* all nodes of the tree, for release */
};

struct cas_tree {
	struct cas *cas;
	struct cas_node *root, *nodes;
	struct arena arena;
};

/* The node of a directory entry, loaded if need be. */
int tree_node(struct cas_tree *tree, struct cas_entry *entry, struct cas_node **ret);
struct cas_entry *tree_find(struct cas_node *node, const char *name, size_t len);

#endif

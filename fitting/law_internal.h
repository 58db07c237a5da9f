// Laws, as fitting's own files see them.
#pragma once
#include "fitting/fitting.h"

// The index of a parameter, definition or derived quantity of that name, or -1.
int law_find_parameter(const struct law *law, const char *name);
int law_find_definition(const struct law *law, const char *name);

// The expression with definitions and tied parameters put in the place of their names (a new tree in the arena).
// Errors: recursion through more than 100000 nodes, a wrong number of arguments, an unknown function.
struct expression_node *law_expand(struct arena *arena, const struct law *law, const struct expression_node *node,
                                   struct error *error);
// A tree as an expression of its own, with its own list of names (copied; indexed names keep their index).
struct expression *expression_from_node(struct arena *arena, const struct expression_node *node);
// The condition with every call baseline(COLUMN) replaced by COLUMN == "CATEGORY", where the category is what
// `category_of` says (NULL is an error: nothing is pinned by that column).
struct expression *expand_baselines(struct arena *arena, const struct expression *condition,
                                    const char *(*category_of)(const void *context, const char *column),
                                    const void *context, struct error *error);

// law_linear.c: marks parameters in which the formula is linear, all of them together, the others held: of a product of
// two candidates the first that the law names. candidates, linear [parameter_count].
void law_linear(const struct law *law, const bool *candidates, bool *linear);

// law_positive.c: whether a derived quantity can never be negative, whatever values the law's parameters may have: made
// of positive parameters, counts and numbers without a difference. False where that cannot be seen.
bool law_derived_is_positive(const struct law *law, int derived);

// law_check.c: checks that the parts of a law fit together (names, indices, functions, bounds, starts) and fills
// law->columns.
void law_check(struct law *law, const struct node *root, struct diagnostics *diagnostics);

// The categories that columns have among the runs of a plan, for whatever speaks of one before there are runs.
#pragma once
#include "runner/plan/plan.h"

struct categories {
  const char *column;
  const char **names;
  size_t count;
  bool known;  // whether a plan tells them: of texts that are settings, and of what follows from the format
};
struct plan_categories {
  const struct plan *plan;  // NULL: nothing is known
  struct arena arena;
  struct categories *columns;
  size_t count;
};
// Of a column, by the names that the store will have.
const struct categories *plan_categories_of(struct plan_categories *all, const char *column);
bool plan_category_known(const struct categories *categories, const char *name);
// The category that is meant: another spelling of the same format, else the nearest; NULL: none is near.
const char *plan_category_nearest(struct plan_categories *all, const struct categories *categories, const char *name);
void plan_categories_free(struct plan_categories *all);

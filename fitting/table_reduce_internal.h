// Groups of equal rows, for the reductions of a table.
#pragma once
#include "fitting/table_internal.h"

struct grouping {
  struct table *table;
  int *keys;
  size_t key_count;
  size_t *order;  // rows that take part, equal ones together and in the table's order
  size_t count;
  int *axes;
  size_t axis_count;
};

// Finds axes and keys (see table_best_over; columns marked in outcome[] are none) and sorts the rows that are marked in
// takes[] (NULL: all) by key. `what` begins errors. grouping_free in either case.
bool grouping_make(struct grouping *grouping, struct table *table, const char *what, const bool *outcome,
                   const char *const *axes, size_t axis_count, const char *const *keys, size_t key_count,
                   const bool *takes, struct error *error);
void grouping_free(struct grouping *grouping);
// The place in order[] after the last row of the group that begins at `begin`.
size_t grouping_end(const struct grouping *grouping, size_t begin);
// Adds a warning, in the table's arena.
void reduction_warn(struct table *table, struct reduction *reduction, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Marks runs that ended badly or have not ended, by columns that say so (State = crashed, diverged = true): bad[rows].
// Returns how many; *words (in the table's arena) is "State is crashed or killed".
size_t table_find_failed(struct table *table, bool *bad, const char **words);

// How far from the place of the lowest value of a smooth curve the best of a grid's values is, configuration by
// configuration, see table_choice.c.
struct choice_points {
  size_t begin, count;  // of the configuration, in x and value
  size_t row;           // the one that is kept
  double best;          // its x
};
// x[] ascending within a configuration, value[] the lowest there. deviation[configuration] gets the standard deviation
// of (best - place of the minimum), NAN where the configuration has one value of x; offset[] what it is by the parabola
// through the values around the best, 0 where that has no minimum.
void choice_deviations(const double *x, const double *value, const struct choice_points *points, size_t count,
                       double *deviation, double *offset);

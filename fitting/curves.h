// Tables whose rows are points of loss curves, for laws that sum over a run's schedule of the learning rate: where the
// schedules come from, and fewer points. Part of the public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "fitting/fit_coefficient.h"
#include "fitting/law.h"
#include "fitting/table.h"

// The columns of the schedule and of the step that the law's first sum_over reads; false where it has none. *step is
// NULL where the step is computed.
bool law_schedule(const struct law *law, const char **schedule, const char **step);

// The column that says which run a row is of: run, run_id, id or name; -1 without one.
int table_run_column(const struct table *table);

enum { RUN_POINTS = 100 };  // kept of a run, by default
// Gives the table the law's column of schedules where it has none: from `schedules` (or NULL), a table with a row a run
// (columns run and schedule) or a row a step (run, step, train.lr), else from the table's own column train.lr (or lr)
// at its steps; rates between logged steps are taken for linear. Notes say what was made, and how far the schedules of
// few knots are off the logged rates. Every schedule is read: a mistake is an error that names the run. Rows of a run
// that is not in `schedules` have none.
bool curves_complete(struct table *table, const struct law *law, const struct table *schedules, struct error *error);
// The same from a table of runs, steps and rates for a table of any law.
bool curves_add_schedules(struct table *table, const char *schedule, const struct table *logged, struct error *error);
// Keeps at most `most` points of each run, evenly among its rows in order of step, the last one with them; the others
// go to left_out (table_free), which has the law's columns, the target and the run. A note says how many.
bool curves_thin(struct table *table, const struct law *law, size_t most, struct table *left_out, struct error *error);
// How far the sums over pieces are off sums over every step: the largest difference of the law's prediction, as a share
// of it, over some rows of the table (as many as 2 million steps allow, 64 at most).
bool curves_piece_error(const struct law *law, const struct coefficient *coefficients, size_t count,
                        const struct table *table, double *largest, struct error *error);
// The root mean square of ln(observed / predicted) over at most 20000 rows of a table, evenly taken; NAN without any.
double curves_residual(const struct law *law, const struct coefficient *coefficients, size_t count,
                       const struct table *table);

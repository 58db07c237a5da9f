// What a spec may give of task `smnn`, and what its runs report.
#define TASK "smnn"
#define SETTINGS struct smnn
#include "trainer/tasks/fields.h"

#include <inttypes.h>
#include <string.h>

#include "trainer/tasks/smnn/smnn.h"

enum { DENSE_UNKNOWNS = 4096 };

static const struct run_field fields[] = {
    {CHOICE(problem, "harmonic|oscillator|lorenz"), DEFAULT("harmonic"), COUNTS,
     HELP("y'' + y = 0, the same with damping, or Lorenz' system")},
    {CHOICE(solver, "banded|dense"), DEFAULT("banded"), COUNTS,
     HELP("of the normal equations: block by block, in time linear in the points, or as one matrix by LAPACK")},
    {INTEGER(points, 2, 1e7), DEFAULT("256"), UNIT("points"), COUNTS, HELP("T, points of the solution")},
    {NUMBER(step, 1e-6, 10), DEFAULT("0.05"), COUNTS, HELP("h, time from point to point")},
    {INTEGER(orders, 2, 4), DEFAULT("3"), COUNTS, HELP("derivatives kept at a point, the value included")},
    {INTEGER(repeats, 1, 1000), DEFAULT("3"), COUNTS, HELP("solutions that are timed, of which the fastest counts")},
    {NUMBER(noise, 0, 10), DEFAULT("0"), COUNTS,
     HELP("standard deviation of the observations that coefficients are learnt from")},
    {INTEGER(learn_steps, 0, 1e6), DEFAULT("0"), UNIT("steps"), COUNTS,
     HELP("steps of Adam on the coefficients, through the layer, from wrong ones; 0: none are learnt")},
    {NUMBER(lr, 0, 10), DEFAULT("0.05"), COUNTS,
     HELP("their learning rate, half a cosine to 0, relative to each coefficient's start")},
};

static const struct task_result results[] = {
    RESULT_MEASURED(seconds, "s",
                    "of the processor, for one solution, factorization included: the fastest of the repeats"),
    RESULT(operations, "", "block operations of one banded solution: factorizations, products, triangular solves"),
    RESULT(solution_error, "", "root mean squared distance of the solution from the exact one"),
    RESULT(difference, "", "dense: largest distance of the banded solution from it, over its largest magnitude"),
    RESULT(gradient_error, "",
           "largest distance of a coefficient's gradient from finite differences, over the largest gradient"),
    RESULT(first_error, "", "largest relative error of a coefficient before learning"),
    RESULT(coefficient_error, "", "the same at its end"),
};

static bool resolve(void *settings, struct error *error) {
  struct smnn *s = settings;
  bool lorenz = strcmp(s->problem, "lorenz") == 0;
  int64_t unknowns = s->points * s->orders * (lorenz ? 3 : 1);
  if (lorenz ? s->orders > 3 : s->orders < 3)
    return error_set(error, EXIT_USAGE_ERROR, "smnn.orders of %s are %s, not %" PRId64, s->problem,
                     lorenz ? "2 or 3" : "3 or 4", s->orders) ||
           error_about(error, "smnn.orders", "smnn.problem", NULL);
  if (strcmp(s->solver, "dense") == 0 && unknowns > DENSE_UNKNOWNS)
    return error_set(error, EXIT_USAGE_ERROR, "smnn.solver dense takes at most %d unknowns, not %" PRId64,
                     DENSE_UNKNOWNS, unknowns) ||
           error_about(error, "smnn.points", "smnn.solver", NULL);
  return true;
}

static void counts(const void *settings, struct task_numbers *counts) {
  const struct smnn *s = settings;
  counts->steps = s->learn_steps ? (double)s->learn_steps : 1;
}

static const struct task_word words[] = {
    {"loss", "mean squared error", "error", ""},
    {"train_loss", "mean squared error", "error", ""},
    {0},
};

const struct task task_smnn = {
    TASK_TABLES,      .help = "a layer that solves a differential equation by block-tridiagonal normal equations",
    .version = 1,     .resolve = resolve,
    .counts = counts, .words = words};

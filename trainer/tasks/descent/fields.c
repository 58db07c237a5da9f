// What a spec may give of task `descent`, what its runs report, and what follows from the former.
#define TASK "descent"
#define SETTINGS struct descent
#include "trainer/tasks/fields.h"

#include <math.h>
#include <string.h>

#include "trainer/tasks/descent/descent.h"

static const struct run_field fields[] = {
    {CHOICE(method, "gradient|momentum"), DEFAULT("gradient"), COUNTS,
     HELP("plain steps along the gradient, or Polyak's heavy ball")},
    {INTEGER(dimension, 1, 1e6), DEFAULT("64"), COUNTS, HELP("number of variables")},
    {NUMBER(condition, 1, 1e12), DEFAULT("100"), COUNTS, HELP("largest curvature over the smallest, which is 1")},
    {NUMBER(tolerance, 1e-12, 1), DEFAULT("1e-3"), COUNTS,
     HELP("ends where the gradient's norm is this share of the first")},
    {INTEGER(most_steps, 1, 1e9), DEFAULT("1e6"), UNIT("steps"), COUNTS, HELP("ends without having got there")},
    {NUMBER(rate, 0, 100), AUTO, COUNTS, HELP("step length; auto: the best for the method and the condition")},
};

static const struct task_result results[] = {
    RESULT(steps, "steps", "steps until the tolerance was reached"),
    RESULT(error, "", "norm of the last gradient over the first"),
};

// The rates that converge fastest (Polyak 1964).
static bool resolve(void *settings, struct error *error) {
  struct descent *d = settings;
  double root = sqrt(d->condition);
  if (d->rate == 0)
    return error_set(error, EXIT_USAGE_ERROR, "descent.rate 0 goes nowhere") ||
           error_about(error, "descent.rate", NULL);
  if (isnan(d->rate) && strcmp(d->method, "momentum") == 0)
    d->rate = 4 / ((1 + root) * (1 + root));
  else if (isnan(d->rate))
    d->rate = 2 / (1 + d->condition);
  return true;
}

// A quadratic of so many variables: N. There are no tokens, and steps are not known before.
static void counts(const void *settings, struct task_numbers *counts) {
  counts->parameters = (double)((const struct descent *)settings)->dimension;
}

static const struct task_word words[] = {
    {"parameters", "dimensions", "dimensions", ""},
    {"train_loss", "norm of the gradient over the first", "error", ""},
    {0},
};

const struct task task_descent = {TASK_TABLES,      .help = "gradient descent on a quadratic, as an example of a task",
                                  .version = 1,     .resolve = resolve,
                                  .counts = counts, .words = words};

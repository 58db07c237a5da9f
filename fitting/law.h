// Laws as data: what a law file says, and where one is loaded from. Part of the public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum law_residual { RESIDUAL_LOG, RESIDUAL_PLAIN };
enum law_objective {
  OBJECTIVE_HUBER,
  OBJECTIVE_LEAST_SQUARES,
  OBJECTIVE_LAD,
  OBJECTIVE_STUDENT_T,
  OBJECTIVE_ASYMMETRIC
};

// Sum over rows of: Huber_delta(r) = r^2/2 for |r| <= delta, delta (|r| - delta/2) beyond; r^2/2; |r|;
// n s^2 / 2 ln(1 + r^2 / (n s^2)) for Student's t with n degrees of freedom and scale s, which is r^2/2 near 0;
// Huber_delta(r) (r^2/2 without a delta), times `ratio` where the law predicts too much.
struct objective {
  enum law_objective kind;
  double delta;           // of Huber; of the asymmetric one infinite where it has none
  double degrees, scale;  // of Student's t; the scale is NAN where it is to be estimated
  double ratio;           // of the asymmetric one
};
enum { OBJECTIVE_TEXT = 80 };  // bytes of an objective's text
// Reads "huber:1e-3", "least-squares", "lad", "student-t:4", "student-t:4:0.01", "asymmetric:3", "asymmetric:3:1e-3";
// "log", "plain". False with an error that lists what there is.
bool objective_parse(const char *text, struct objective *objective, struct error *error);
bool residual_parse(const char *text, enum law_residual *residual, struct error *error);
// The loss of one residual, observed - predicted: below 0 the law predicts too much.
double objective_loss(struct objective objective, double residual);
// psi(r) / r over that of a residual near 0 on the same side: the share with which a row still counts. Of |r| it is 1.
double objective_influence(struct objective objective, double residual);
// psi and psi' of the loss, of a residual predicted - observed, not of |r|.
double objective_slope(struct objective objective, double difference);
double objective_curvature(struct objective objective, double difference);
// "huber:0.001"
void objective_text(struct objective objective, char out[OBJECTIVE_TEXT]);

struct law_parameter {
  const char *name, *about;
  const struct node *node;
  bool positive;         // fitted through its logarithm
  double low, high;      // bounds of the value; infinite where there are none
  const double *starts;  // values to start from
  int start_count;
  const char *by;          // column whose categories have a parameter each; NULL: one for all
  const char **baselines;  // categories pinned to `baseline_value`: the first that the table has
  int baseline_count;
  double baseline_value;
  bool fixed;  // held at `fixed_value` unless freed
  double fixed_value;
  const struct expression *tied;  // or follows from other parameters
};

struct law_definition {  // a name, or a function of arguments, that formulas may use
  const char *name;
  const char **arguments;
  int argument_count;
  const struct expression *expression;  // its source is the text as written
};

struct law_stage {
  const char *name;
  const char *where;  // condition on rows, NULL: all
  const char **free;  // parameters fitted here; the others keep what they have
  int free_count;
};

struct law_derived {
  const char *name, *about;
  const char *text;                     // as written
  const struct expression *expression;  // over parameters, earlier derived quantities and `at`
  const char *column;                   // it is a value of this column, so that the column's range tells of it; or NULL
  const char *at;                       // a column's name that gets the values below, or NULL
  const double *values;
  int value_count;
  bool of_data;  // the values are multiples of the largest `at` among the fitted rows
};

struct law {
  struct arena arena;
  const char *name, *path, *about, *source;
  const char *note;  // what each fit of it says, such as another law that had its name; or NULL
  const char *formula_text;
  const struct expression *formula;
  const char *target;  // the column it predicts: "loss"
  enum law_residual residual;
  struct objective objective;
  struct law_parameter *parameters;
  int parameter_count;
  struct law_definition *definitions;
  int definition_count;
  struct law_stage *stages;  // at least one
  int stage_count;
  struct law_derived *derived;
  int derived_count;
  const char **columns;  // that the formula needs, in order of appearance, with the columns of per-category parameters
  int column_count;
  const char **exponents;  // parameters and derived quantities next to which the parameter count is printed
  int exponent_count;
  const char **answers;  // parameters and derived quantities that the law is fitted for: what a fit says first
  int answer_count;
};

// Loads a law: the name of one that ships ("chinchilla"; from isoloss_data("laws")) or the path of a .yaml file. All
// mistakes go to `diagnostics` with their places; false with a summary in `error`. law_free in either case.
bool law_load(struct law *law, const char *name_or_path, struct diagnostics *diagnostics, struct error *error);
bool law_parse(struct law *law, const char *file, const char *bytes, size_t length, struct diagnostics *diagnostics,
               struct error *error);
void law_free(struct law *law);
// The column that is the law's N: parameters, else the only one of its columns that counts parameters by its name
// ("parameters_..."), else parameters, which it does not have.
const char *law_size_column(const struct law *law);
// Whether the formula compares the column with a text by ==, != or in, so that it holds texts.
bool law_compares_text(const struct law *law, const char *column);
// Whether an exponent is listed as one (`exponents`), and whether it is of the law's N: the exponent of a power with N
// in it, what is derived from such a one, or any exponent of a law that predicts N. How parameters are counted moves
// these.
bool law_is_exponent(const struct law *law, const char *name);
bool law_exponent_has_size(const struct law *law, const char *name);
// Names of the laws that ship, sorted, in the arena.
bool law_names(struct arena *arena, const char ***names, size_t *count, struct error *error);

// What a spec may give of task `boolean`, and what its runs report.
#define TASK "boolean"
#define SETTINGS struct boolean
#include "trainer/tasks/fields.h"

#include <inttypes.h>
#include <string.h>

#include "trainer/tasks/boolean/boolean.h"

static const struct run_field fields[] = {
    {INTEGER(clauses, 1, 4096), DEFAULT("8"), COUNTS, HELP("clauses of the formula, of which one has to hold")},
    {INTEGER(literals, 1, 64), DEFAULT("4"), COUNTS, HELP("literals of a clause, which all have to hold")},
    {INTEGER(variables, 1, MOST_VARIABLES), AUTO, COUNTS,
     HELP("inputs of the network; auto: clauses * literals, so that no two clauses share one")},
    {NUMBER(negated, 0, 1), DEFAULT("0"), COUNTS, HELP("share of the literals that are negated, at random")},
    {CHOICE(encoding, "plus_minus|zero_one"), DEFAULT("plus_minus"), COUNTS, HELP("inputs are -1 and 1, or 0 and 1")},
    {CHOICE(others, "broken|free"), DEFAULT("broken"), COUNTS,
     HELP("of a true example, the clauses besides the one that holds: broken, or as they come")},
    {INTEGER(hidden, 1, 65536), DEFAULT("8"), COUNTS, HELP("neurons of the dense network")},
    {CHOICE(expand, "none|random|clause|gram"), DEFAULT("none"), COUNTS,
     HELP("how inputs are shared out when each neuron is split in alpha, after the first half of the steps; none: it "
          "stays dense")},
    {INTEGER(alpha, 2, 64), DEFAULT("2"), COUNTS, HELP("children of a neuron that is split")},
    {CHOICE(control, "dense_same_nnz|dense_2x"), DEFAULT("dense_same_nnz"), COUNTS,
     HELP("with expand none: a dense network of as many weights, or one of twice the neurons")},
    {CHOICE(optimizer, OPTIMIZERS), DEFAULT("adamw"), COUNTS, HELP("as train.optimizer, with its defaults")},
    {NUMBER(lr, 0, 100), DEFAULT("1e-2"), COUNTS, HELP("peak learning rate of each half: half a cosine, to 0")},
    {NUMBER(weight_decay, 0, 10), DEFAULT("0"), COUNTS, HELP("decoupled decay of the hidden layer's weights")},
    {INTEGER(steps, 2, 1e9), DEFAULT("4000"), UNIT("steps"), COUNTS, HELP("optimizer steps of both halves together")},
    {INTEGER(batch, 2, 65536), DEFAULT("128"), UNIT("examples"), COUNTS,
     HELP("examples of a step, new ones each time")},
    {INTEGER(test_samples, 2, 1e7), DEFAULT("8192"), UNIT("examples"), COUNTS, HELP("examples that it is tested on")},
};

static const struct task_result results[] = {
    RESULT(accuracy, "", "share of test examples, half of which are true, that are classified right"),
    RESULT(nnz, "", "weights that are not held at 0, biases apart"),
    RESULT(feature_capacity, "",
           "mean share of its direction that an input's column of the hidden layer has for itself"),
    RESULT(neuron_cosine, "", "mean magnitude of the cosine of two neurons' weights"),
    RESULT(code_within, "", "mean cosine of two columns of the hidden layer whose inputs are of one clause"),
    RESULT(code_between, "", "the same of two clauses"),
    RESULT(sign_within, "", "as code_within, of the weights' signs alone"),
    RESULT(sign_between, "", "as code_between, of the weights' signs alone"),
    RESULT(
        sign_p, "",
        "permutation test of sign_within - sign_between: share of 999 shuffled formulas, and the planted one, with as large a "
        "difference"),
    RESULT(
        decoded_signs, "",
        "share of pairs of inputs of one clause of which the weights' signs say right whether both literals have one sign"),
    RESULT(decoded_pairs, "", "share of pairs of inputs of one clause that are read back as that, from the signs"),
    RESULT(decoded_clauses, "", "share of clauses that are read back whole, from the signs"),
};

int64_t boolean_variables(const struct boolean *b) {
  return b->variables == AUTO_INTEGER ? b->clauses * b->literals : b->variables;
}

// variables stays auto: networks that differ in their clauses alone are to be one setting but for these.
static bool resolve(void *settings, struct error *error) {
  const struct boolean *b = settings;
  int64_t all = b->clauses * b->literals, variables = boolean_variables(b);
  if (variables > MOST_VARIABLES)
    return error_set(error, EXIT_USAGE_ERROR,
                     "boolean.clauses %" PRId64 " of %" PRId64 " literals have %" PRId64
                     " variables, at most %d: give "
                     "boolean.variables",
                     b->clauses, b->literals, all, MOST_VARIABLES) ||
           error_about(error, "boolean.clauses", "boolean.literals", NULL);
  if (variables < b->literals)
    return error_set(error, EXIT_USAGE_ERROR, "boolean.variables %" PRId64 " are fewer than the literals of a clause",
                     variables) ||
           error_about(error, "boolean.variables", "boolean.literals", NULL);
  if (strcmp(b->expand, "none") != 0 && strcmp(b->control, "dense_2x") == 0)
    return error_set(error, EXIT_USAGE_ERROR, "boolean.control dense_2x is dense: it goes with boolean.expand none") ||
           error_about(error, "boolean.control", "boolean.expand", NULL);
  return true;
}

// N is the weights that are not held at 0 (biases apart), D the examples seen.
static void counts(const void *settings, struct task_numbers *counts) {
  const struct boolean *b = settings;
  double neurons = (double)b->hidden * (strcmp(b->control, "dense_2x") == 0 ? 2 : 1);
  counts->parameters = neurons * (double)(boolean_variables(b) + 1);
  counts->tokens = (double)b->steps * (double)b->batch;
  counts->steps = (double)b->steps;
}

static const struct task_word words[] = {
    {"parameters", "weights that are not 0", "weights", ""},
    {"tokens", "training examples", "examples", ""},
    {"loss", "test loss", "loss", "nats/example"},
    {"train_loss", "training loss", "training loss", "nats/example"},
    {0},
};

const struct task task_boolean = {
    TASK_TABLES,      .help = "a planted Boolean formula, a network that learns it, and the network read back",
    .version = 1,     .resolve = resolve,
    .counts = counts, .words = words};

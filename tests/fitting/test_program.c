// Tests of compiled laws: values against the expression evaluator, derivatives against finite differences, extremes.
#include <stdlib.h>
#include <time.h>

#include "fitting/program_internal.h"
#include "fitting/vector_math_internal.h"
#include "tests/fitting/fitting_test.h"

enum { ROWS = 37 };

// A table with every column that a law that ships may need, of plausible size.
static void make_table(struct table *table) {
  static const char *const formats[] = {"none", "w4a4", "w2a2"};
  static const struct made_column columns[] = {{"parameters", 1e5, 1e9},
                                               {"tokens", 1e6, 1e11},
                                               {"unique_tokens", 1e6, 1e10},
                                               {"num_experts", 1, 512},
                                               {"weight_bits", 1, 16},
                                               {"activation_bits", 1, 16},
                                               {"kv_bits", 2, 16},
                                               {"gmse_weights", 1e-5, 0.5},
                                               {"gmse_activations", 1e-5, 0.5},
                                               {"gmse_gradients", 1e-5, 0.5},
                                               {"sparsity", 0.01, 0.9},
                                               {"flops", 1e12, 1e21},
                                               {"lr", 1e-5, 1e-1},
                                               {"parameters_active_average", 1e5, 1e9},
                                               {"loss", 1.5, 5},
                                               {"parent_loss", 1.5, 5},
                                               {"output_error", 0.001, 1},
                                               {"predicted_increase", 0.001, 1},
                                               {"train.rank", 1, 512},
                                               {"state_bytes", 1e4, 1e10},
                                               {"data.fraction", 0.01, 1}};
  table_init(table, "made", ROWS);
  size_t made = make_columns_of(table, columns, sizeof columns / sizeof *columns, 0);
  make_columns_of(table, columns_of_tables, sizeof columns_of_tables / sizeof *columns_of_tables, made);
  make_schedules(table);
  static const char *const names[] = {"format", "forward", "backward", "tune.format", "compression", "train.optimizer"};
  for (size_t c = 0; c < sizeof names / sizeof *names; c++) {
    size_t column = table_add_category(table, names[c], ROLE_UNKNOWN);
    for (size_t row = 0; row < ROWS; row++) table_set_category(table, column, row, formats[(row + c) % 3]);
  }
}

// An element for every parameter, three for one with categories; its coefficient beside it.
static int make_elements(const struct law *law, struct element *elements, struct coefficient *coefficients, int start) {
  static const char *const formats[] = {"none", "w4a4", "w2a2"};
  int count = 0;
  for (int p = 0; p < law->parameter_count; p++) {
    const struct law_parameter *parameter = &law->parameters[p];
    if (parameter->tied) continue;
    for (int k = 0; k < (parameter->by ? 3 : 1); k++) {
      double value =
          parameter->start_count ? parameter->starts[(start + p + k) % parameter->start_count] : parameter->fixed_value;
      if (value == 0) value = 0.07;  // off the edge of the bounds
      elements[count] = (struct element){.name = parameter->name,
                                         .parameter = p,
                                         .category = parameter->by ? formats[k] : NULL,
                                         .logarithmic = parameter->positive,
                                         .value = parameter->positive ? log(value) : value};
      coefficients[count] = (struct coefficient){
          .name = parameter->name, .parameter = parameter->name, .category = elements[count].category, .value = value};
      count++;
    }
  }
  return count;
}

struct compiled {
  struct arena arena;
  struct program *program;
  struct program_state *state;
};

static bool compile(struct compiled *compiled, const struct law *law, const struct table *table,
                    const struct element *elements, int count, enum law_residual residual) {
  static size_t rows[ROWS];
  struct error error = {0};
  for (size_t row = 0; row < ROWS; row++) rows[row] = row;
  *compiled = (struct compiled){0};
  compiled->program =
      program_compile(&compiled->arena, law, table, (struct row_list){rows, ROWS}, elements, count, residual, &error);
  if (!compiled->program) {
    check_fail(__FILE__, __LINE__, error.text);
    return false;
  }
  compiled->state = program_state_new(&compiled->arena, compiled->program);
  return true;
}

// has[row]: whether what the program gives is defined there: a logarithm of a value above 0, or any value as it is.
static void check_values(const struct law *law, const struct table *table, const struct compiled *compiled,
                         const double *x, const struct coefficient *coefficients, int count, enum law_residual residual,
                         bool *has) {
  double expected[ROWS];
  struct error error = {0};
  if (!CHECK(law_predict(law, coefficients, (size_t)count, table, expected, &error))) return;
  program_begin(compiled->state, x);
  const double *got = program_forward(compiled->state, 0, compiled->program->padded);
  for (int row = 0; row < ROWS; row++) {
    double value = residual == RESIDUAL_LOG ? exp(got[row]) : got[row];
    has[row] = residual == RESIDUAL_PLAIN || expected[row] > 1e-300;
    if (!has[row]) continue;
    bool close = fabs(expected[row]) > 1e-300 ? fabs(value / expected[row] - 1) < 1e-11 : fabs(value) < 1e-300;
    if (isfinite(expected[row]) && !CHECK(close))
      printf("# law %s, row %d: %.15g instead of %.15g\n", law->name, row, value, expected[row]);
  }
}

static void check_derivatives(const struct law *law, const struct compiled *compiled, double *x,
                              const struct element *elements, const bool *has) {
  const struct program *program = compiled->program;
  const double *adjoint[PROGRAM_LEAVES];
  double copy[PROGRAM_LEAVES][PROGRAM_BLOCK], high[PROGRAM_BLOCK], low[PROGRAM_BLOCK];
  program_begin(compiled->state, x);
  program_forward(compiled->state, 0, program->padded);
  program_backward(compiled->state, 0, program->padded, adjoint);
  for (int l = 0; l < program->leaf_count; l++) memcpy(copy[l], adjoint[l], sizeof copy[l]);
  for (int e = 0; e < program->element_count; e++) {
    double at = x[e], h = 1e-5 * fmax(1, fabs(at));
    x[e] = at + h;
    program_begin(compiled->state, x);
    memcpy(high, program_forward(compiled->state, 0, program->padded), sizeof high);
    x[e] = at - h;
    program_begin(compiled->state, x);
    memcpy(low, program_forward(compiled->state, 0, program->padded), sizeof low);
    x[e] = at;
    for (int row = 0; row < ROWS; row++) {
      double sum = 0, difference = (high[row] - low[row]) / (2 * h);
      for (int l = 0; l < program->leaf_count; l++)
        if ((program->leaves[l].index ? program->leaves[l].index[row] : program->leaves[l].element) == e)
          sum += copy[l][row];
      double allowed = 2e-6 * fmax(1, fabs(difference)) + 1e-15 * fabs(high[row]) / h;  // the second is rounding
      if (has[row] && !CHECK(fabs(sum - difference) < allowed))
        printf("# law %s, d/d%s, row %d: %.10g, by differences %.10g\n", law->name, elements[e].name, row, sum,
               difference);
    }
  }
}

static void laws_against_definitions(void) {
  struct arena arena = {0};
  struct error error = {0};
  const char **names;
  size_t name_count;
  struct table table;
  make_table(&table);
  CHECK(law_names(&arena, &names, &name_count, &error) && name_count >= 13);
  for (size_t i = 0; i < name_count; i++)
    for (int start = 0; start < 4; start++)
      for (int residual = 0; residual < 2; residual++) {
        struct law law;
        struct element elements[40];
        struct coefficient coefficients[40];
        struct compiled compiled;
        double x[40];
        if (!load_law(&law, names[i])) continue;
        int count = make_elements(&law, elements, coefficients, start);
        for (int e = 0; e < count; e++) x[e] = elements[e].value;
        if (compile(&compiled, &law, &table, elements, count, (enum law_residual)residual)) {
          bool has[ROWS];
          check_values(&law, &table, &compiled, x, coefficients, count, (enum law_residual)residual, has);
          if (residual == RESIDUAL_LOG) check_derivatives(&law, &compiled, x, elements, has);
        }
        arena_free(&compiled.arena);
        law_free(&law);
      }
  table_free(&table);
  arena_free(&arena);
}

// Every function and operator of the language, over parameters.
static void every_operation(void) {
  static const char *const formulas[] = {
      // The branch that is not taken has no number.
      "(sparsity > 0.2 ? a * abs(log2(max(sparsity - 0.2, 0)))^b : c)",
      "(sparsity > 0.2 ? a / max(sparsity - 0.2, 0) : sqrt(c))",
      "a + b * N - c / N",
      "exp(-a) + log(a) + log2(b) + log10(c) + sqrt(a)",
      "tanh(a) + sin(b) * cos(c) + abs(a - 3)",
      "min(a, b, c) * max(a, b / 2) + mean(a, b, c) + sum(a, b)",
      "a ^ b + c ^ 2 + pow(a, 0.5) + (a - b) ^ 2",
      "logsumexp(a, b, log(c))",
      "N > 5 ? a * N : b + c",
      "a > 1 ? b : c",
      "-a + (b % 0.7) + floor(c) + ceil(c) + round(c) + a",
      "(format == 'none' ? a : b) * c",
      "(a < b and not (b == c)) + (a >= b or a != c) + a * b * c + (a in [1, 2]) + (a <= b)",
      "a * (b - 10)",
  };
  struct table table;
  make_table(&table);
  for (size_t i = 0; i < sizeof formulas / sizeof *formulas; i++) {
    struct text text = {0};
    text_format(&text,
                "law: t\nformula: \"%s + 0 * a + 0 * b + 0 * c\"\nparameters:\n  a: {positive: true, starts: 0.3}\n"
                "  b: {starts: 1.3}\n  c: {low: 0, starts: 2.2}\n",
                formulas[i]);
    struct law law;
    struct element elements[4];
    struct coefficient coefficients[4];
    struct compiled compiled;
    double x[4];
    bool has[ROWS];
    if (parse_law(&law, text_string(&text))) {
      int count = make_elements(&law, elements, coefficients, 0);
      for (int e = 0; e < count; e++) x[e] = elements[e].value;
      if (compile(&compiled, &law, &table, elements, count, RESIDUAL_PLAIN)) {
        check_values(&law, &table, &compiled, x, coefficients, count, RESIDUAL_PLAIN, has);
        check_derivatives(&law, &compiled, x, elements, has);
      }
      arena_free(&compiled.arena);
    }
    law_free(&law);
    text_free(&text);
  }
  table_free(&table);
}

// Starts of huge and tiny numbers neither overflow nor lose the small terms.
static void extremes(void) {
  struct law law;
  struct table table;
  struct compiled compiled;
  struct element elements[8];
  struct coefficient coefficients[8];
  make_table(&table);
  if (!load_law(&law, "chinchilla")) return;
  int count = make_elements(&law, elements, coefficients, 0);
  if (compile(&compiled, &law, &table, elements, count, RESIDUAL_LOG)) {
    // E, A, B, alpha, beta: A / N^alpha of e^-700 and e^+700
    double small[] = {0, -650, -650, 2, 2}, large[] = {-700, 700, 0, 0.1, 0};
    program_begin(compiled.state, small);
    const double *result = program_forward(compiled.state, 0, compiled.program->padded);
    for (int row = 0; row < ROWS; row++) CHECK_NEAR(result[row], 0, 1e-300);
    program_begin(compiled.state, large);
    result = program_forward(compiled.state, 0, compiled.program->padded);
    for (int row = 0; row < ROWS; row++) CHECK_NEAR(result[row], 700 - 0.1 * log(table.columns[0].numbers[row]), 1e-14);
  }
  arena_free(&compiled.arena);
  law_free(&law);
  table_free(&table);
}

static double processor_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Sums that are long: as many terms, each to its own power, in a formula whose value and slope are known.
static void long_sums(void) {
  static const struct {
    const char *name;
    int terms;
    double limit;  // seconds of processor to compile
  } sums[] = {{"a", 22, 0.01}, {"a", 100, 0.01}, {"c", 100, 0.01}, {"a", 1000, 0.2}};
  struct table table;
  make_table(&table);
  for (size_t s = 0; s < sizeof sums / sizeof *sums; s++) {
    struct text text = {0};
    struct law law;
    text_format(&text, "law: t\nparameters: {a: {positive: true, starts: 1}, c: {starts: -1}}\nformula: \"a + 0 * c");
    for (int k = 1; k <= sums[s].terms; k++) text_format(&text, " + %s / N^%g", sums[s].name, 0.01 * k);
    text_add(&text, "\"");
    if (!parse_law(&law, text_string(&text))) return;
    struct element elements[2];
    struct coefficient coefficients[2];
    int count = make_elements(&law, elements, coefficients, 0);
    double least = INFINITY;
    for (int repeat = 0; repeat < 5; repeat++) {
      struct compiled compiled;
      bool has[ROWS];
      double before = processor_seconds(), x[] = {elements[0].value, elements[1].value};
      if (!compile(&compiled, &law, &table, elements, count, RESIDUAL_PLAIN)) break;
      least = fmin(least, processor_seconds() - before);
      check_values(&law, &table, &compiled, x, coefficients, count, RESIDUAL_PLAIN, has);
      if (!repeat) check_derivatives(&law, &compiled, x, elements, has);
      arena_free(&compiled.arena);
    }
    printf("# %d terms: %.1f ms\n", sums[s].terms, 1e3 * least);
    CHECK(least < sums[s].limit);
    law_free(&law);
    text_free(&text);
  }
  table_free(&table);
}

static void vector_functions(void) {
  double worst_exp = 0, worst_log = 0;
  for (uint64_t i = 0; i < 200000; i++) {
    double x = 1400 * (random_uniform(1, 1, 1, i) - 0.5), y = exp(100 * (random_uniform(1, 1, 2, i) - 0.5));
    if (i % 2) y = 1 + 1e-3 * (random_uniform(1, 1, 3, i) - 0.5);
    worst_exp = fmax(worst_exp, (double)fabsl(exp_one(x) / expl(x) - 1));
    worst_log = fmax(worst_log, (double)fabsl((log_one(y) - logl(y)) / logl(y)));
  }
  CHECK(worst_exp < 4e-16);
  CHECK(worst_log < 5e-16);
  CHECK(exp_one(0) == 1 && log_one(1) == 0);
  CHECK(isnan(exp_one(NAN)) && isnan(log_one(NAN)) && isnan(log_one(-1)));
  CHECK(log_one(0) == -INFINITY && log_one(INFINITY) == INFINITY);
  CHECK(exp_one(-INFINITY) < 1e-307 && exp_one(INFINITY) > 1e307);
}

int main(void) {
  RUN(laws_against_definitions);
  RUN(every_operation);
  RUN(extremes);
  RUN(long_sums);
  RUN(vector_functions);
  return check_end();
}

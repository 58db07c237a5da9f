// Rollouts against fits of the same rows from all starts, their intervals against simulated noise, and their errors
// where the law breaks.
#include <stdlib.h>

#include "fitting/rollout.h"
#include "tests/fitting/fitting_test.h"

enum { SIZES = 8, DURATIONS = 8 };

// N from 1e6, D from 2e7, in steps of 2; beyond `breaks` the loss falls more slowly with N.
static void make_rows(struct table *table, double noise, double breaks, uint64_t seed) {
  struct text text = {0};
  text_add(&text, "N,D,loss\n");
  for (int i = 0; i < SIZES; i++)
    for (int j = 0; j < DURATIONS; j++) {
      double n = 1e6 * pow(2, i), d = 2e7 * pow(2, j), normal[2];
      double loss = 1.7 + 400 / pow(n, 0.34) + 900 / pow(d, 0.31);
      if (n > breaks) loss += 0.2 * log(n / breaks);
      random_normal_pair(seed, 1, 0, (uint64_t)(i * DURATIONS + j), normal);
      text_format(&text, "%.17g,%.17g,%.17g\n", n, d, loss * exp(noise * normal[0]));
    }
  CHECK(parse_table(table, text_string(&text)));
  text_free(&text);
}

static bool fit_rows(const struct law *law, const struct table *table, const char *where, struct fit_result *result) {
  return run_fit(law, table,
                 &(struct fit_options){.bootstrap = 0, .threads = 2, .objective = "least-squares", .where = where},
                 result);
}

// Every cut against a fit from the whole grid of starts that knows nothing of the other rows.
static void cuts(void) {
  struct law law;
  struct table table;
  struct fit_result whole;
  make_rows(&table, 0.003, INFINITY, 5);
  if (!load_law(&law, "chinchilla") || !fit_rows(&law, &table, NULL, &whole)) return;
  CHECK(whole.rollouts.cut_count >= 12 && !whole.rollouts.none);
  size_t checked = 0;
  for (size_t c = 0; c < whole.rollouts.cut_count; c++) {
    const struct rollout *cut = &whole.rollouts.cuts[c];
    struct fit_result part;
    char where[80];
    double sum = 0, signed_sum = 0, largest = 0;
    size_t left = 0, inside = 0;
    snprintf(where, sizeof where, "%s <= %.17g", strcmp(cut->column, "flops") == 0 ? "6 * N * D" : cut->column,
             cut->cut);
    if (cut->trouble || !fit_rows(&law, &table, where, &part)) continue;
    double predictions[SIZES * DURATIONS];
    struct error error = {0};
    CHECK(law_predict(&law, part.coefficients, part.coefficient_count, &table, predictions, &error));
    for (size_t row = 0; row < table.row_count; row++) {
      double n = table.columns[0].numbers[row], d = table.columns[1].numbers[row], loss = table.columns[2].numbers[row];
      double along = strcmp(cut->column, "flops") == 0 ? 6 * n * d : strcmp(cut->column, "tokens") == 0 ? d : n;
      inside += along <= cut->cut;
      if (along <= cut->cut) continue;
      double off = predictions[row] / loss - 1;
      left++;
      sum += fabs(off);
      signed_sum += off;
      if (fabs(off) > fabs(largest)) largest = off;
    }
    CHECK(cut->fitted_rows == inside && cut->predicted == left);
    CHECK_NEAR(cut->error, sum / (double)left, 1e-6);
    CHECK_NEAR(cut->bias, signed_sum / (double)left, 1e-6);
    CHECK_NEAR(cut->largest, largest, 1e-6);
    CHECK(cut->nearest > 1 && cut->farthest >= cut->nearest);
    checked++;
    fit_result_free(&part);
  }
  CHECK(checked >= 12);
  fit_result_free(&whole);
  table_free(&table);
  law_free(&law);
}

// How often the intervals hold rows that follow the law.
static void intervals(void) {
  struct law law;
  size_t judged = 0, held = 0;
  if (!load_law(&law, "chinchilla")) return;
  for (uint64_t seed = 0; seed < 24; seed++) {
    struct table table;
    struct fit_result result;
    make_rows(&table, 0.003, INFINITY, 100 + seed);
    if (!run_fit(&law, &table,
                 &(struct fit_options){.bootstrap = 0, .threads = 2, .starts = 30, .objective = "least-squares"},
                 &result))
      return;
    for (size_t i = 0; i < result.rollouts.error_count; i++) {
      judged += result.rollouts.errors[i].judged;
      held += result.rollouts.errors[i].held;
    }
    fit_result_free(&result);
    table_free(&table);
  }
  printf("# %zu of %zu intervals held\n", held, judged);
  CHECK(judged > 2000 && (double)held > 0.92 * (double)judged && (double)held < 0.98 * (double)judged);
  law_free(&law);
}

static const char two_stages[] =
    "law: two-stages\nformula: E + A / (N * eff[format])^alpha + B / D^beta\nresidual: log\nobjective: least-squares\n"
    "parameters:\n"
    "  E: {positive: true, starts: [1.5]}\n  A: {positive: true, starts: [300]}\n  B: {positive: true, starts: [800]}\n"
    "  alpha: {low: 0, high: 10, starts: [0.3]}\n  beta: {low: 0, high: 10, starts: [0.3]}\n"
    "  eff: {positive: true, by: format, baseline: [none], starts: [0.5]}\n"
    "stages:\n"
    "  - {name: dense, where: \"baseline(format)\", free: [E, A, B, alpha, beta]}\n"
    "  - {name: formats, where: \"not baseline(format)\", free: [eff]}\n";

// Rows of a law fitted in stages: a format of its own at every size and duration; with `runs`, each is a checkpoint of
// a run, and shares an offset with the others of it.
static bool staged_rows(struct table *table, bool runs, uint64_t seed) {
  struct text text = {0};
  text_add(&text, "N,D,format,run,loss\n");
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < 10; j++) {
      bool dense = j < 4;
      double n = 1e6 * pow(2.5, i), d = 2e7 * pow(4, j % 5), normal[2], eff = dense ? 1 : j % 2 ? 0.6 : 0.3;
      int copies = runs ? 4 : 1;
      for (int copy = 0; copy < copies; copy++) {
        double shared[2];
        random_normal_pair(300 + seed, 1, 0, (uint64_t)((i * 10 + j) * 4 + copy), normal);
        random_normal_pair(900 + seed, 1, 0, (uint64_t)(i * 10 + j), shared);
        double off = runs ? 0.003 * shared[0] + 0.0005 * normal[0] : 0.003 * normal[0];
        text_format(&text, "%.17g,%.17g,%s,r%d,%.17g\n", n, d * (1 + 0.1 * copy),
                    dense   ? "none"
                    : j % 2 ? "a"
                            : "b",
                    i * 10 + j, (1.7 + 400 / pow(n * eff, 0.34) + 900 / pow(d * (1 + 0.1 * copy), 0.31)) * exp(off));
      }
    }
  bool fine = CHECK(parse_table(table, text_string(&text)));
  text_free(&text);
  return fine;
}

// The same of a law fitted in stages: what the second stage holds has an error too. And where rows share runs.
static void stages(void) {
  struct law law;
  if (!parse_law(&law, two_stages)) return;
  for (int runs = 0; runs < 2; runs++) {
    size_t judged = 0, held = 0;
    for (uint64_t seed = 0; seed < (runs ? 24 : 40); seed++) {
      struct table table;
      struct fit_result result;
      if (!staged_rows(&table, runs, seed) ||
          !run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .threads = 2, .group = runs ? "run" : "none"},
                   &result))
        return;
      for (size_t i = 0; i < result.rollouts.error_count; i++) {
        judged += result.rollouts.errors[i].judged;
        held += result.rollouts.errors[i].held;
        CHECK(!result.rollouts.errors[i].judged == !!result.rollouts.errors[i].no_interval);
      }
      fit_result_free(&result);
      table_free(&table);
    }
    printf("# in stages%s %zu of %zu intervals held\n", runs ? ", of runs," : "", held, judged);
    CHECK(judged > 2000 && (double)held > (runs ? 0.9 : 0.92) * (double)judged && (double)held < 0.98 * (double)judged);
  }
  law_free(&law);
}

// Few groups leave no interval, and the reason is told with the errors.
static void few_groups(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  struct arena arena = {0};
  size_t told = 0;
  if (!load_law(&law, "chinchilla")) return;
  make_rows(&table, 0.003, INFINITY, 7);
  if (!run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .threads = 2, .starts = 30, .group = "N"}, &result))
    return;
  for (size_t i = 0; i < result.rollouts.error_count; i++) {
    const struct rollout_errors *errors = &result.rollouts.errors[i];
    if (errors->judged) continue;
    told++;
    CHECK(errors->no_interval &&
          strstr(rollout_errors_sentence(&arena, errors), "without intervals: too few groups of rows ("));
  }
  CHECK(told > 0);
  arena_free(&arena);
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
}

// A law that breaks along N: the error held back along N tells of it, at the distance that is asked; along D the
// factors stay small.
static void breaks(void) {
  struct law law;
  struct table sound, broken;
  struct fit_result a, b;
  struct arena arena = {0};
  bool there, farther;
  make_rows(&sound, 0.002, INFINITY, 5);
  make_rows(&broken, 0.002, 32e6, 5);
  if (!load_law(&law, "chinchilla") || !fit_rows(&law, &sound, NULL, &a) || !fit_rows(&law, &broken, NULL, &b)) return;
  const struct rollout_errors *fine = rollout_errors_at(&a.rollouts, "parameters", 3, &there);
  if (!CHECK(fine && there && fine->above == 2 && fine->to == 4)) return;
  const struct rollout_errors *off = rollout_errors_at(&b.rollouts, "parameters", 3, &there);
  if (!CHECK(off && there)) return;
  printf("# mean errors 2 to 4 times outside in N: %.3g, with a break %.3g\n", fine->error, off->error);
  CHECK(fine->error < 0.006 && off->error > 4 * fine->error && off->held < off->judged);
  CHECK(fine->held >= 0.8 * (double)fine->judged);
  const struct rollout_errors *last = rollout_errors_at(&b.rollouts, "parameters", 1000, &farther);
  CHECK(last && !farther && last->to >= off->to);
  CHECK(!rollout_errors_at(&b.rollouts, "train.lr", 2, &farther) && !farther);
  const char *text = held_back_sentence(&arena, &b.rollouts, &(struct outside){.column = "parameters", .factor = 3});
  CHECK(strstr(text, "along N") && strstr(text, "2 to 4 times outside: mean error"));
  text = held_back_sentence(&arena, &b.rollouts, &(struct outside){.column = "parameters", .factor = 1000});
  CHECK(strstr(text, "held back: none 1e+03 times outside in N, so the error there is not known") != NULL);
  arena_free(&arena);
  fit_result_free(&a);
  fit_result_free(&b);
  table_free(&sound);
  table_free(&broken);
  law_free(&law);
}

// Rows that do not allow it say so: one D in the lower part, too few values.
static void not_known(void) {
  struct law law;
  struct table table;
  struct fit_result result;
  struct arena arena = {0};
  struct text text = {0};
  text_add(&text, "N,D,loss\n");
  for (int i = 0; i < 9; i++)
    for (int j = 0; j < 2; j++) {
      double n = 1e6 * pow(2, i), d = 1e9 * (1 + 3 * j);
      text_format(&text, "%.17g,%.17g,%.17g\n", n, d,
                  (1.7 + 400 / pow(n, 0.34) + 900 / pow(d, 0.31)) * (1 + 0.002 * sin(12.9898 * (2 * i + j) * i)));
    }
  const struct fit_fix beta = {"beta", 0.31};
  if (!load_law(&law, "chinchilla") || !parse_table(&table, text_string(&text)) ||
      !run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .threads = 2, .fixes = &beta, .fix_count = 1},
               &result))
    return;
  for (size_t i = 0; i < result.rollouts.cut_count; i++)
    CHECK(strcmp(result.rollouts.cuts[i].column, "tokens") != 0);  // two values cannot be cut
  bool there;
  CHECK(rollout_errors_at(&result.rollouts, "parameters", 2, &there) && there);
  CHECK(!rollout_errors_at(&result.rollouts, "tokens", 2, &there));
  const char *words = held_back_sentence(&arena, &result.rollouts, &(struct outside){.column = "tokens", .factor = 2});
  CHECK(strstr(words, "error of extrapolation along D not known") != NULL);
  fit_result_free(&result);
  table_free(&table);
  // with beta free two values of D leave it open in every cut: no error is made up from where the whole fit stood
  text_clear(&text);
  text_add(&text, "N,D,loss\n");
  for (int i = 0; i < 12; i++) {
    double n = 1e6 * pow(2, i);
    text_format(&text, "%.17g,1e9,%.17g\n", n, (3.2 + 400 / pow(n, 0.34)) * (1 + 0.002 * sin(12.9898 * i * i)));
  }
  if (!parse_table(&table, text_string(&text)) ||
      !run_fit(&law, &table, &(struct fit_options){.bootstrap = 0, .threads = 2}, &result))
    return;
  CHECK(result.rollouts.cut_count > 0 && !result.rollouts.error_count && result.rollouts.none);
  for (size_t i = 0; i < result.rollouts.cut_count; i++)
    CHECK(result.rollouts.cuts[i].trouble && isnan(result.rollouts.cuts[i].error));
  fit_result_free(&result);
  table_free(&table);
  text_free(&text);
  law_free(&law);
  arena_free(&arena);
}

// The document gives back the same cuts and errors.
static void documents(void) {
  struct law law;
  struct table table;
  struct fit_result result, read;
  struct text document = {0};
  struct error error = {0};
  make_rows(&table, 0.003, INFINITY, 5);
  if (!load_law(&law, "chinchilla") || !fit_rows(&law, &table, NULL, &result)) return;
  struct json_writer writer = json_writer(&document, false);
  fit_result_json(&result, &writer);
  if (CHECK(fit_result_read(&read, text_string(&document), &error)) &&
      CHECK(read.rollouts.cut_count == result.rollouts.cut_count &&
            read.rollouts.error_count == result.rollouts.error_count)) {
    for (size_t i = 0; i < read.rollouts.cut_count; i++) {
      const struct rollout *a = &read.rollouts.cuts[i], *b = &result.rollouts.cuts[i];
      CHECK(strcmp(a->column, b->column) == 0 && a->cut == b->cut && a->error == b->error && a->held == b->held &&
            a->judged == b->judged && a->farthest == b->farthest && a->fitted_rows == b->fitted_rows);
    }
    for (size_t i = 0; i < read.rollouts.error_count; i++) {
      const struct rollout_errors *a = &read.rollouts.errors[i], *b = &result.rollouts.errors[i];
      CHECK(strcmp(a->column, b->column) == 0 && a->above == b->above && a->to == b->to && a->error == b->error);
    }
  }
  fit_result_free(&read);
  fit_result_free(&result);
  text_free(&document);
  table_free(&table);
  law_free(&law);
}

int main(void) {
  fitting_start();
  RUN(cuts);
  RUN(intervals);
  RUN(stages);
  RUN(few_groups);
  RUN(breaks);
  RUN(not_known);
  RUN(documents);
  return check_end();
}

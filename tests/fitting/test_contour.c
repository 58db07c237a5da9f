// Joint profiles of two coefficients: the ellipse of least squares in closed form, a thin bent region point by point
// against refits with both held, regions without an end, the document, mistakes.
#include <gsl/gsl_cdf.h>
#include <math.h>

#include "tests/fitting/fitting_test.h"

static const char line_law[] =
    "law: line\nformula: a + b * x\npredicts: y\nresidual: plain\nobjective: least-squares\n"
    "parameters: {a: {starts: [0, 5]}, b: {starts: [-1, 1]}}\n";

// Sizes times durations with losses of a chinchilla law.
static void make_grid(struct table *table, double noise) {
  table_init(table, "grid", 16);
  size_t n = table_add_number(table, "parameters", ROLE_UNKNOWN), d = table_add_number(table, "tokens", ROLE_UNKNOWN),
         loss = table_add_number(table, "loss", ROLE_UNKNOWN);
  for (size_t row = 0; row < 16; row++) {
    double size = 1e6 * pow(3, (double)(row / 4)), tokens = 2e7 * pow(4, (double)(row % 4)), pair[2];
    random_normal_pair(6, 1, 0, row, pair);
    table->columns[n].numbers[row] = size;
    table->columns[d].numbers[row] = tokens;
    table->columns[loss].numbers[row] =
        (1.7 + 400 * pow(size, -0.34) + 900 * pow(tokens, -0.31)) * exp(noise * pair[0]);
  }
}

static struct fit_options with_pairs(const char *const *pairs, size_t count) {
  return (struct fit_options){.bootstrap = 0,
                              .contours = pairs,
                              .contour_count = count,
                              .starts = 200,
                              .objective = "least-squares",
                              .bare = true};
}

// For a line the sum of squares rises by n (a - a0)^2 + 2 n x (a - a0)(b - b0) + sum x^2 (b - b0)^2, and the region of
// both ends where that is 2 s^2 F(2, n - 2).
static void ellipse_of_a_line(void) {
  enum { ROWS = 30 };
  static const char *const pairs[] = {"a,b"};
  struct law law;
  struct table table;
  struct fit_result result;
  make_line(&table, ROWS, 1);
  struct fit_options options = with_pairs(pairs, 1);
  options.group = "none";
  if (!parse_law(&law, line_law)) return;
  if (run_fit(&law, &table, &options, &result) && CHECK(result.contour_count == 1)) {
    const struct fit_contour *contour = &result.contours[0];
    double a = result.coefficients[contour->x].value, b = result.coefficients[contour->y].value, sum = 0, squares = 0;
    for (int i = 0; i < ROWS; i++) {
      sum += i;
      squares += i * i;
    }
    double variance = 2 * result.objective / (ROWS - 2), left = INFINITY, right = -INFINITY;
    CHECK_TEXT(result.coefficients[contour->x].name, "a");
    CHECK(contour->point_count >= 60);
    CHECK_NEAR(contour->levels[1], 0.95, 1e-12);
    for (int line = 0; line < FIT_CONTOUR_LINES; line++) {
      double edge = 2 * variance * gsl_cdf_fdist_Pinv(contour->levels[line], 2, ROWS - 2);
      for (size_t i = 0; i < contour->point_count; i++) {
        const struct fit_contour_point *point = &contour->lines[line][i];
        double da = point->x - a, db = point->y - b;
        CHECK(!point->open);
        CHECK_NEAR((ROWS * da * da + 2 * sum * da * db + squares * db * db) / edge, 1, 4e-3);
        left = fmin(left, point->x);
        right = fmax(right, point->x);
      }
    }
    // It reaches to where the profile of one coefficient would with that threshold.
    double sxx = squares - sum * sum / ROWS, se = sqrt(variance * (1.0 / ROWS + sum * sum / ROWS / ROWS / sxx)),
           reach = se * sqrt(2 * gsl_cdf_fdist_Pinv(0.95, 2, ROWS - 2));
    CHECK_NEAR(left, a - reach, 2e-3 * reach);
    CHECK_NEAR(right, a + reach, 2e-3 * reach);
    fit_result_free(&result);
  }
  table_free(&table);
  // Copies of a row in one group tell nothing new: nearly the region of the rows that are there once.
  double widths[2];
  for (int copies = 0; copies < 2; copies++) {
    make_line(&table, ROWS, copies ? 4 : 1);
    options.group = copies ? "run" : "none";
    widths[copies] = NAN;
    if (run_fit(&law, &table, &options, &result)) {
      const struct fit_contour *contour = &result.contours[0];
      widths[copies] = contour->lines[1][contour->point_count / 2].x - contour->lines[1][0].x;
    }
    fit_result_free(&result);
    table_free(&table);
  }
  CHECK(fabs(widths[1] / widths[0] - 1) < 0.25);
  law_free(&law);
}

// A and alpha together: a thin region that bends. Each point of it is where refits with both held say so.
static void bent_region(void) {
  static const char *const pairs[] = {"alpha,A", "A,alpha", "alpha,beta"};
  struct law law;
  struct table table;
  struct fit_result result;
  make_grid(&table, 0.01);
  struct fit_options options = with_pairs(pairs, 3);
  if (!load_law(&law, "chinchilla")) return;
  if (run_fit(&law, &table, &options, &result) && CHECK(result.contour_count == 3)) {
    double rise = 2 * result.objective / (16 - 5) * gsl_cdf_fdist_Pinv(0.95, 2, 16 - 5), low[3], high[3];
    for (int c = 0; c < 3; c++) {
      const struct fit_contour *contour = &result.contours[c];
      const char *names[] = {result.coefficients[contour->x].name, result.coefficients[contour->y].name};
      low[c] = INFINITY;
      high[c] = -INFINITY;
      for (size_t i = 0; i < contour->point_count; i++) {
        const struct fit_contour_point *point = &contour->lines[1][i];
        double alpha = c == 1 ? point->y : point->x;
        if (CHECK(!point->open)) {
          low[c] = fmin(low[c], alpha);
          high[c] = fmax(high[c], alpha);
        }
        if (i % 12 != 5) continue;
        struct fit_fix fixes[] = {{names[0], point->x}, {names[1], point->y}};
        struct fit_options held = {
            .bootstrap = 0, .starts = 200, .objective = "least-squares", .bare = true, .fixes = fixes, .fix_count = 2};
        struct fit_result refit;
        if (run_fit(&law, &table, &held, &refit)) CHECK_NEAR((refit.objective - result.objective) / rise, 1, 5e-3);
        fit_result_free(&refit);
      }
    }
    // Whichever coefficient is cut into slices, the region is the same.
    CHECK_NEAR(low[1], low[0], 0.01 * (high[0] - low[0]));
    CHECK_NEAR(high[1], high[0], 0.01 * (high[0] - low[0]));
    CHECK_NEAR(low[2], low[0], 0.01 * (high[0] - low[0]));
    CHECK_NEAR(high[2], high[0], 0.01 * (high[0] - low[0]));
  }
  fit_result_free(&result);
  law_free(&law);
  table_free(&table);
}

// Two coefficients that the rows know by their product alone: no end along it.
static void without_an_end(void) {
  static const char law_text[] =
      "law: product\nformula: p * q * x\npredicts: y\nresidual: log\nobjective: least-squares\n"
      "parameters: {p: {positive: true, starts: [1]}, q: {positive: true, starts: [1]}}\n";
  static const char *const pairs[] = {"p,q"};
  struct law law;
  struct table table;
  struct fit_result result;
  struct fit_options options = with_pairs(pairs, 1);
  make_line(&table, 30, 1);
  for (size_t row = 0; row < 30; row++) table.columns[0].numbers[row] += 1;
  if (!parse_law(&law, law_text)) return;
  options.group = "none";
  if (run_fit(&law, &table, &options, &result) && CHECK(result.contour_count == 1)) {
    const struct fit_contour *contour = &result.contours[0];
    struct arena arena = {0};
    size_t open = 0, closed = 0;
    for (size_t i = 0; i < contour->point_count; i++) {
      open += contour->lines[1][i].open;
      closed += !contour->lines[1][i].open;
    }
    CHECK(open >= 2 && closed >= 2);  // both ends; across the product there are limits
    CHECK(strstr(fit_contour_sentence(&arena, &result, contour), "it has no end") != NULL);
    arena_free(&arena);
  }
  fit_result_free(&result);
  law_free(&law);
  table_free(&table);
}

static void document_and_resamples(void) {
  static const char *const pairs[] = {"a,b"};
  struct law law;
  struct table table;
  struct fit_result result;
  struct fit_options options = with_pairs(pairs, 1);
  struct text text = {0};
  make_line(&table, 30, 1);
  options.bootstrap = 40;
  options.group = "none";
  if (!parse_law(&law, line_law)) return;
  if (run_fit(&law, &table, &options, &result)) {
    const struct fit_contour *contour = &result.contours[0];
    if (CHECK(contour->resample_count == 40))
      for (size_t b = 0; b < 40; b++)
        CHECK(contour->resamples[b].x == result.replicates[b * result.coefficient_count + contour->x] &&
              contour->resamples[b].y == result.replicates[b * result.coefficient_count + contour->y]);
    check_written_again(&result, &text);
    CHECK(strstr(text_string(&text), "\"contours\":[{\"x\":\"a\",\"y\":\"b\",\"lines\":[{\"level\":0.68") != NULL);
    // How many threads there are changes nothing.
    struct fit_result again;
    struct text second = {0};
    options.threads = 3;
    if (run_fit(&law, &table, &options, &again)) {
      again.seconds = result.seconds;
      check_written_again(&again, &second);
      CHECK_TEXT(text_string(&second), text_string(&text));
    }
    fit_result_free(&again);
    text_free(&second);
  }
  fit_result_free(&result);
  // A document in which a line's points are not pairs of numbers is damaged.
  static const char *const damaged[] = {
      "[{\"law\":\"m\",\"parameters\":{\"a\":{\"value\":1},\"b\":{\"value\":1}},\"contours\":[{\"x\":\"a\",\"y\":\"b\","
      "\"lines\":[{\"x\":[1],\"y\":[]},{\"x\":[],\"y\":[]}],\"resamples\":{\"x\":[],\"y\":[]}}]}]",
      "[{\"law\":\"m\",\"parameters\":{\"a\":{\"value\":1},\"b\":{\"value\":1}},\"contours\":[{\"x\":\"a\",\"y\":\"b\","
      "\"lines\":[{\"x\":[1],\"y\":[1]},{\"x\":[1],\"y\":[1],\"open\":[1]}],\"resamples\":{\"x\":[],\"y\":[]}}]}]",
      "[{\"law\":\"m\",\"parameters\":{\"a\":{\"value\":1},\"b\":{\"value\":1}},\"contours\":[{\"x\":\"a\",\"y\":\"c\"}]}]"};
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
    struct error error = {0};
    CHECK(!fit_result_read(&result, damaged[i], &error) && error.code == EXIT_ENVIRONMENT);
    fit_result_free(&result);
  }
  text_free(&text);
  law_free(&law);
  table_free(&table);
}

static void mistakes(void) {
  static const struct {
    const char *pair, *why;
  } wrong[] = {{"a", "is not of the form NAME,NAME"},
               {"a,", "is not of the form NAME,NAME"},
               {"a,c", "has no coefficient 'c'"},
               {"b,b", "needs two coefficients"}};
  struct law law;
  struct table table;
  struct error error = {0};
  make_line(&table, 30, 1);
  if (!parse_law(&law, line_law)) return;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct fit_options options = with_pairs(&wrong[i].pair, 1);
    refuse_fit(&law, &table, &options, wrong[i].why);
  }
  struct fit_fix fix = {"a", 3};
  struct fit_options held = with_pairs((const char *const[]){"a,b"}, 1);
  held.fixes = &fix;
  held.fix_count = 1;
  refuse_fit(&law, &table, &held, "a is held, it has no profile");
  CHECK(fit_setting_check(&law, "contour", "a,b", &error));
  CHECK(!fit_setting_check(&law, "contour", "a,d", &error));
  law_free(&law);
  table_free(&table);
}

int main(void) {
  RUN(ellipse_of_a_line);
  RUN(bent_region);
  RUN(without_an_end);
  RUN(document_and_resamples);
  RUN(mistakes);
  return check_end();
}

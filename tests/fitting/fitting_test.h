// What the tests of fitting share.
#pragma once
#include "fitting/fitting.h"
#include "tests/check.h"

// Loads a law; a failure is a failed check.
static inline bool load_law(struct law *law, const char *name) {
  struct diagnostics diagnostics = {0};
  struct error error = {0};
  bool fine = law_load(law, name, &diagnostics, &error);
  if (!fine) {
    diagnostics_print(&diagnostics, stdout, false);
    check_fail(__FILE__, __LINE__, error.text);
  }
  diagnostics_free(&diagnostics);
  return fine;
}

// A law from text.
static inline bool parse_law(struct law *law, const char *text) {
  struct diagnostics diagnostics = {0};
  struct error error = {0};
  bool fine = law_parse(law, "test.yaml", text, strlen(text), &diagnostics, &error);
  if (!fine) {
    diagnostics_print(&diagnostics, stdout, false);
    check_fail(__FILE__, __LINE__, error.text);
  }
  diagnostics_free(&diagnostics);
  return fine;
}

struct made_column {
  const char *name;
  double low, high;  // drawn evenly in the logarithm
};
// Columns of the laws that are for tables, or predict another thing than the loss.
static const struct made_column columns_of_tables[] = {{"group_size", 16, 1024},
                                                       {"parameters_total", 1e8, 1e11},
                                                       {"parameters_active", 1e7, 1e9},
                                                       {"parameters_vocabulary", 1e5, 1e9},
                                                       {"share", 0.01, 1},
                                                       {"train.lr", 1e-4, 1e-1},
                                                       {"train.batch_tokens", 1e3, 1e6},
                                                       {"tau", 0.01, 1},
                                                       {"accuracy", 0.01, 1}};

// Adds them to a table, columns numbered from `first` on, which keys the draws; returns the next number.
static inline size_t make_columns_of(struct table *table, const struct made_column *columns, size_t count,
                                     size_t first) {
  for (size_t c = 0; c < count; c++) {
    size_t column = table_add_number(table, columns[c].name, ROLE_UNKNOWN);
    for (size_t row = 0; row < table->row_count; row++)
      table->columns[column].numbers[row] =
          columns[c].low * pow(columns[c].high / columns[c].low, random_uniform(3, 1, first + c, row));
  }
  return first + count;
}

// Adds the columns of laws of loss curves: points along runs of three schedules.
static inline void make_schedules(struct table *table) {
  static const char *const schedules[] = {"0:0,500:1e-3,8000:1e-4:cosine", "0:0,500:2e-3,6000:2e-3,8000:1e-4",
                                          "0:0,300:5e-4,8000:5e-4"};
  size_t step = table_add_number(table, "step", ROLE_UNKNOWN),
         schedule = table_add_category(table, "schedule", ROLE_UNKNOWN);
  for (size_t row = 0; row < table->row_count; row++) {
    table->columns[step].numbers[row] = 600 + floor(7400 * random_uniform(3, 2, 0, row));
    table_set_category(table, schedule, row, schedules[row % 3]);
  }
}

static inline bool load_table(struct table *table, const char *path) {
  struct error error = {0};
  bool fine = table_read_csv(table, path, NULL, 0, &error);
  if (!fine) check_fail(__FILE__, __LINE__, error.text);
  return fine;
}

static inline bool parse_table(struct table *table, const char *text) {
  struct error error = {0};
  bool fine = table_parse_csv(table, "test.csv", text, strlen(text), NULL, 0, &error);
  if (!fine) check_fail(__FILE__, __LINE__, error.text);
  return fine;
}

static inline bool run_fit(const struct law *law, const struct table *table, const struct fit_options *options,
                           struct fit_result *result) {
  struct error error = {0};
  bool fine = fit_run(law, table, options, result, &error);
  if (!fine) check_fail(__FILE__, __LINE__, error.text);
  return fine;
}

// The options are refused with a message that has these words.
static inline void refuse_fit(const struct law *law, const struct table *table, const struct fit_options *options,
                              const char *with) {
  struct fit_result result;
  struct error error = {0};
  if (!CHECK(!fit_run(law, table, options, &result, &error) && strstr(error.text, with))) printf("# %s\n", error.text);
  fit_result_free(&result);
}

// A result's document, read, is written again to the byte. `text` gets the document.
static inline void check_written_again(const struct fit_result *result, struct text *text) {
  struct text again = {0};
  struct json_writer writer = json_writer(text, false), second = json_writer(&again, false);
  struct fit_result read;
  struct error error = {0};
  fit_result_json(result, &writer);
  if (CHECK(fit_result_read(&read, text_string(text), &error))) {
    fit_result_json(&read, &second);
    CHECK_TEXT(text_string(&again), text_string(text));
  }
  fit_result_free(&read);
  text_free(&again);
}

// A line by least squares.
static const char plain_line[] __attribute__((unused)) =
    "law: line\nformula: \"a + b * x\"\npredicts: y\nresidual: plain\nobjective: least-squares\n"
    "parameters: {a: {starts: [0]}, b: {starts: [0]}}\n";

// y = 2 + x / 2 + normal noise for x = 0, 1, ... points - 1, each `copies` times; the copies of a point share a `run`.
static inline void make_line(struct table *table, size_t points, size_t copies) {
  table_init(table, "line", points * copies);
  size_t x = table_add_number(table, "x", ROLE_UNKNOWN), y = table_add_number(table, "y", ROLE_UNKNOWN);
  size_t run = table_add_category(table, "run", ROLE_UNKNOWN);
  for (size_t row = 0; row < table->row_count; row++) {
    size_t point = row / copies;
    double normal[2];
    char name[32];
    random_normal_pair(11, 1, 0, point, normal);
    table->columns[x].numbers[row] = (double)point;
    table->columns[y].numbers[row] = 2 + 0.5 * (double)point + normal[0];
    snprintf(name, sizeof name, "run %zu", point);
    table_set_category(table, run, row, name);
  }
}

static inline const struct coefficient *find_coefficient(const struct fit_result *result, const char *name) {
  static const struct coefficient none = {.name = "", .value = NAN, .low = NAN, .high = NAN, .se = NAN};
  for (size_t i = 0; i < result->coefficient_count; i++)
    if (strcmp(result->coefficients[i].name, name) == 0) return &result->coefficients[i];
  check_fail(__FILE__, __LINE__, name);
  return &none;
}

static inline double value_of(const struct fit_result *result, const char *name) {
  return find_coefficient(result, name)->value;
}

static inline double derived_of(const struct fit_result *result, const char *name) {
  for (size_t i = 0; i < result->derived_count; i++)
    if (strcmp(result->derived[i].name, name) == 0) return result->derived[i].value;
  check_fail(__FILE__, __LINE__, name);
  return NAN;
}

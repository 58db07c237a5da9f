// export_cases FOLDER LAW...: for every law that ships, and the laws named, random coefficients and points. Writes
// FOLDER/NAME.c and NAME.py (the law exported), NAME.tex, and FOLDER/cases.json: for every law its columns and for
// every point the inputs and what law_predict says. test_predict.py compiles and runs the exports and compares.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fitting.h"

enum { POINTS = 40, CATEGORIES = 3 };

static uint64_t drawn;
static double uniform(double low, double high) {
  return low + (high - low) * random_uniform(3, RANDOM_STREAM_NOISE, 0, drawn++);
}

// A value within the bounds, of the size of the starts.
static double draw_value(const struct law_parameter *parameter) {
  if (parameter->fixed) return parameter->fixed_value;
  double value = parameter->starts[random_below(3, RANDOM_STREAM_NOISE, 1, drawn++, (uint64_t)parameter->start_count)];
  if (parameter->positive) value *= exp(uniform(-0.3, 0.3));
  return fmin(fmax(value, parameter->low), fmin(parameter->high, 1e12));
}

static const char *const categories[CATEGORIES] = {"none", "w4\"a\\4?", "2:4+int4"};

static double draw_number(const char *column) {
  static const struct {
    const char *column;
    double low, high;
  } ranges[] = {{"parameters", 1e6, 1e10},    {"parameters_active_average", 1e6, 1e10},
                {"tokens", 1e7, 1e12},        {"flops", 1e15, 1e22},
                {"unique_tokens", 1e7, 1e11}, {"num_experts", 1, 512}};
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (strcmp(ranges[i].column, column) == 0)
      return ranges[i].low * pow(ranges[i].high / ranges[i].low, uniform(0, 1));
  if (strncmp(column, "gmse_", 5) == 0) return uniform(0, 1) < 0.3 ? 0 : exp(uniform(-10, 0));
  if (strstr(column, "bits")) return floor(uniform(1, 17));
  if (strcmp(column, "sparsity") == 0) return uniform(0, 0.95);
  return uniform(-2, 3);
}

static bool categorical(const struct law *law, const char *column) {
  for (int p = 0; p < law->parameter_count; p++)
    if (law->parameters[p].by && strcmp(law->parameters[p].by, column) == 0) return true;
  return strcmp(column, "label") == 0;
}

static size_t draw_coefficients(struct arena *arena, const struct law *law, struct coefficient *all) {
  size_t count = 0;
  for (int p = 0; p < law->parameter_count; p++) {
    const struct law_parameter *parameter = &law->parameters[p];
    if (parameter->tied) continue;
    for (int k = 0; k < (parameter->by ? CATEGORIES : 1); k++) {
      struct coefficient *c = &all[count++];
      *c = (struct coefficient){
          .name = parameter->name, .parameter = parameter->name, .low = NAN, .high = NAN, .se = NAN};
      c->value = draw_value(parameter);
      if (parameter->by) c->category = categories[k];
      if (parameter->by) c->name = arena_format(arena, "%s[%s]", parameter->name, c->category);
    }
  }
  return count;
}

static void write_file(const char *folder, const char *name, const char *ending, const struct text *text) {
  struct arena arena = {0};
  struct error error = {0};
  const char *path = arena_format(&arena, "%s/%s.%s", folder, name, ending);
  if (!file_write_atomic(path, text->bytes, text->length, &error)) {
    fprintf(stderr, "%s\n", error.text);
    exit(1);
  }
  arena_free(&arena);
}

static void put_points(const struct law *law, const struct coefficient *coefficients, size_t count,
                       struct json_writer *json) {
  struct table table;
  struct error error = {0};
  double predictions[POINTS];
  table_init(&table, "points", POINTS);
  for (int c = 0; c < law->column_count; c++) {
    if (categorical(law, law->columns[c])) {
      size_t column = table_add_category(&table, law->columns[c], ROLE_SETTING);
      for (size_t row = 0; row < POINTS; row++) {
        size_t which = random_below(3, RANDOM_STREAM_NOISE, 2, drawn++, CATEGORIES + (row == 0));
        table_set_category(&table, column, row, which < CATEGORIES ? categories[which] : "unknown");
      }
    } else {
      size_t column = table_add_number(&table, law->columns[c], ROLE_SETTING);
      for (size_t row = 0; row < POINTS; row++) table.columns[column].numbers[row] = draw_number(law->columns[c]);
    }
  }
  if (!law_predict(law, coefficients, count, &table, predictions, &error)) {
    fprintf(stderr, "%s: %s\n", law->name, error.text);
    exit(1);
  }
  json_key(json, "points");
  json_array_begin(json);
  for (size_t row = 0; row < POINTS; row++) {
    json_array_begin(json);
    for (size_t c = 0; c < table.column_count; c++) {
      struct value value = table_value(&table, c, row);
      if (value.kind == VALUE_TEXT)
        json_put_string(json, value.text);
      else
        json_put_number(json, value.number);
    }
    json_put_number(json, predictions[row]);
    json_array_end(json);
  }
  json_array_end(json);
  table_free(&table);
}

static void export_law(const char *folder, const char *name, struct json_writer *json) {
  struct law law;
  struct diagnostics diagnostics = {0};
  struct error error = {0};
  struct arena arena = {0};
  if (!law_load(&law, name, &diagnostics, &error)) {
    diagnostics_print(&diagnostics, stderr, false);
    fprintf(stderr, "%s\n", error.text);
    exit(1);
  }
  struct coefficient *all = arena_array(&arena, (size_t)law.parameter_count * CATEGORIES + 1, sizeof *all);
  size_t count = draw_coefficients(&arena, &law, all);
  static const char *const endings[] = {"c", "py", "tex"};
  for (int language = 0; language < 3; language++) {
    struct text text = {0};
    if (!law_export(&law, &(struct exported){all, count, NULL, 0}, (enum export_language)language, law.name,
                    "a test\nof two lines */ \\", &text, &error)) {
      fprintf(stderr, "%s: %s\n", law.name, error.text);
      exit(1);
    }
    write_file(folder, law.name, endings[language], &text);
    text_free(&text);
  }
  json_object_begin(json);
  json_key_string(json, "law", law.name);
  json_key(json, "texts");
  json_array_begin(json);
  for (int c = 0; c < law.column_count; c++) json_put_boolean(json, categorical(&law, law.columns[c]));
  json_array_end(json);
  put_points(&law, all, count, json);
  json_object_end(json);
  diagnostics_free(&diagnostics);
  law_free(&law);
  arena_free(&arena);
}

// A law of loss curves, which is no function of numbers and words.
static bool sums_over_schedule(const char *name) {
  static const char *const laws[] = {"annealing", "multi-power"};
  for (size_t i = 0; i < sizeof laws / sizeof *laws; i++)
    if (strcmp(laws[i], name) == 0) return true;
  return false;
}

int main(int argc, char **argv) {
  fitting_start();
  struct arena arena = {0};
  struct error error = {0};
  const char **names;
  size_t count;
  if (argc < 2 || !law_names(&arena, &names, &count, &error)) return 1;
  struct text text = {0};
  struct json_writer json = json_writer(&text, false);
  json_array_begin(&json);
  for (size_t i = 0; i < count; i++)
    if (!sums_over_schedule(names[i])) export_law(argv[1], names[i], &json);
  for (int i = 2; i < argc; i++) export_law(argv[1], argv[i], &json);
  json_array_end(&json);
  write_file(argv[1], "cases", "json", &text);
  text_free(&text);
  arena_free(&arena);
  return 0;
}

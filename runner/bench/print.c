// The rows of `isoloss bench` as JSON and as tables. See bench.h.
#include <math.h>
#include <string.h>

#include "runner/bench/bench.h"
#include "runner/terminal/table.h"

// ---- JSON ----

static void put_known(struct json_writer *json, const char *key, double value) {
  if (!isnan(value)) json_key_number(json, key, value);
}

static void put_model(struct json_writer *json, const struct run_config *c) {
  json_key(json, "model");
  json_object_begin(json);
  json_key_integer(json, "layers", c->model.layers);
  json_key_integer(json, "width", c->model.width);
  json_key_integer(json, "vocabulary", c->model.vocabulary);
  json_key_integer(json, "context", c->model.context);
  json_key_integer(json, "batch", c->train.batch_tokens / c->model.context);
  json_object_end(json);
}

void bench_json(const struct bench *bench, struct text *out) {
  struct json_writer json = json_writer(out, false);
  json_array_begin(&json);
  for (size_t i = 0; i < bench->count; i++) {
    const struct bench_row *row = &bench->rows[i];
    json_object_begin(&json);
    json_key_string(&json, "name", row->name);
    if (row->shape) json_key_string(&json, "shape", row->shape);
    if (row->sizes) json_key_string(&json, "sizes", row->sizes);
    if (row->model) put_model(&json, row->model);
    if (row->model && bench->options.optimizer) json_key_string(&json, "optimizer", row->model->train.optimizer);
    if (row->format) json_key_string(&json, "format", row->format);
    put_known(&json, "time_ratio", row->time_ratio);
    json_key_string(&json, "dtype", dtype_name(row->dtype));
    if (row->library) json_key_string(&json, "library", row->library);
    if (row->level) json_key_string(&json, "level", row->level);
    json_key_number(&json, bench_unit_name(row->unit), row->rate);
    if (row->against) json_key_string(&json, "against", row->against);
    if (!row->format && !row->against) {
      json_key_number(&json, "floor_ratio", row->floor_ratio);
      json_key_number(&json, "peak_ratio", row->peak_ratio);
    }
    json_key_string(&json, "backend", "cpu");
    json_key_string(&json, "device", text_string(&bench->description));
    json_key_integer(&json, "threads", row->threads);
    json_key_integer(&json, "processes", row->processes);
    json_key_integer(&json, "repeats", row->repeats);
    json_key_string(&json, "clock", row->threads == 1 ? "processor" : "wall");
    put_known(&json, "seconds", row->seconds);
    put_known(&json, "peak_gflops", bench->peak[row->dtype].flops > 0 ? bench->peak[row->dtype].flops * 1e-9 : NAN);
    if (bench->peak[row->dtype].source) json_key_string(&json, "peak_source", bench->peak[row->dtype].source);
    put_known(&json, "products_ratio", row->products_ratio);
    put_known(&json, "floor_tokens_per_second", row->floor_rate);
    put_known(&json, "whole_step_floor_ratio", row->whole_step_floor_ratio);
    put_known(&json, "median_tokens_per_second", row->median_rate);
    put_known(&json, "wall_tokens_per_second", row->wall_rate);
    put_known(&json, "loss_by_sharing", row->loss_by_sharing);
    put_known(&json, "wall_loss_by_sharing", row->wall_loss_by_sharing);
    if (row->share_count) {
      json_key(&json, "shares");
      json_object_begin(&json);
      for (int s = 0; s < row->share_count; s++) json_key_number(&json, row->shares[s].name, row->shares[s].share);
      json_object_end(&json);
    }
    json_object_end(&json);
  }
  json_array_end(&json);
}

// ---- tables ----

static void add_columns(struct text_table *table, const struct text_column *columns, size_t count) {
  table->gap = 1;
  for (size_t i = 0; i < count; i++) text_table_column(table, columns[i]);
}

static void add_number(struct text_table *table, const char *format, double value) {
  char text[32] = "-";
  if (!isnan(value)) snprintf(text, sizeof text, format, value);
  text_table_cell(table, "%s", text);
}

static void add_model(struct text_table *table, const struct bench_row *row) {
  text_table_cell(table, "%lldx%lld", (long long)row->model->model.layers, (long long)row->model->model.width);
  text_table_cell(table, "%s", dtype_name(row->dtype));
}

static void add_losses(struct text_table *table, const struct bench_row *row) {
  struct text lines = {0};
  if (!isnan(row->loss_by_sharing))
    text_format(&lines, "  lost by sharing, against as many floors at once: %.1f %% (by the wall clock %.1f %%)\n",
                100 * row->loss_by_sharing, 100 * row->wall_loss_by_sharing);
  for (int s = 0; s < row->share_count && row->shares[s].share > 0.005; s++) {
    text_add(&lines, s == 0 ? "    " : s % 4 ? ", " : ",\n    ");
    text_format(&lines, "%s %.1f %%", row->shares[s].name, 100 * row->shares[s].share);
  }
  if (row->share_count) text_add(&lines, "\n");
  text_table_note(table, text_string(&lines));
  text_free(&lines);
}

static void table_of_steps(const struct bench *bench, struct text_table *table) {
  static const struct text_column columns[] = {
      {"", false, 20, 0},       {"model", true, 9, 0},   {"dtype", false, 9, 0}, {"threads", true, 7, 0},
      {"tokens/s", true, 9, 0}, {"median", true, 9, 0},  {"wall", true, 9, 0},   {"floor", true, 9, 0},
      {"ratio", true, 6, 0},    {"(whole)", true, 7, 0}, {"peak", true, 6, 0}};
  add_columns(table, columns, sizeof columns / sizeof *columns);
  for (size_t i = 0; i < bench->count; i++) {
    const struct bench_row *row = &bench->rows[i];
    text_table_cell(table, "%s", row->name);
    add_model(table, row);
    text_table_cell(table, "%lld", (long long)row->threads);
    add_number(table, "%.0f", row->rate);
    add_number(table, "%.0f", row->median_rate);
    add_number(table, "%.0f", row->wall_rate);
    add_number(table, "%.0f", row->floor_rate);
    add_number(table, "%.3f", row->floor_ratio);
    add_number(table, "%.3f", row->whole_step_floor_ratio);
    add_number(table, "%.3f", row->peak_ratio);
    add_losses(table, row);
  }
}

// Of formats next to none, of optimizers next to the first.
static void table_of_variants(const struct bench *bench, struct text_table *table) {
  char ratio[64];
  const char *against = bench->rows[0].against;
  snprintf(ratio, sizeof ratio, "time / %s", against ? against : "none");
  const struct text_column columns[] = {{"", false, 24, 0},       {"model", true, 9, 0},   {"dtype", false, 9, 0},
                                        {"tokens/s", true, 9, 0}, {"seconds", true, 9, 0}, {ratio, true, 12, 0}};
  add_columns(table, columns, sizeof columns / sizeof *columns);
  for (size_t i = 0; i < bench->count; i++) {
    const struct bench_row *row = &bench->rows[i];
    text_table_cell(table, "%s", row->format ? row->format : row->model->train.optimizer);
    add_model(table, row);
    text_table_cell(table, "%.0f", row->rate);
    text_table_cell(table, "%.4f", row->seconds);
    text_table_cell(table, against ? "%.3f" : "%.2f", row->time_ratio);
  }
}

static const char *unit_text(enum bench_unit unit) { return unit == BENCH_GFLOPS ? "GFLOP/s" : "GB/s"; }

static bool same_operation(const struct bench_row *a, const struct bench_row *b) {
  return strcmp(a->name, b->name) == 0 && strcmp(a->shape, b->shape) == 0;
}

static void table_of_parts(const struct bench *bench, struct text_table *table) {
  const char *last = bench->rows[0].library ? "library" : "products";
  const struct text_column columns[] = {{"", false, 24, 0},       {"shape", false, 17, 0}, {"dtype", false, 9, 0},
                                        {"rate", true, 9, 0},     {"", false, 8, 0},       {"of peak", true, 10, 0},
                                        {"roofline", true, 9, 0}, {last, true, 9, 0}};
  add_columns(table, columns, sizeof columns / sizeof *columns);
  for (size_t i = 0; i < bench->count; i++) {
    const struct bench_row *row = &bench->rows[i];
    text_table_cell(table, "%s", row->name);
    text_table_cell(table, "%s", row->shape);
    text_table_cell(table, "%s", dtype_name(row->dtype));
    text_table_cell(table, "%.1f", row->rate);
    text_table_cell(table, "%s", unit_text(row->unit));
    text_table_cell(table, "%.3f", row->peak_ratio);
    text_table_cell(table, "%.3f", row->floor_ratio);
    if (row->library)
      text_table_cell(table, "%s", row->library);
    else
      add_number(table, "%.3f", row->products_ratio);
  }
}

// Rates of each level next to each other: rows of the same operation follow each other, a level each.
static void table_of_levels(const struct bench *bench, struct text_table *table) {
  size_t levels = 1;
  const struct bench_row *first = &bench->rows[0];
  while (levels < bench->count && same_operation(&bench->rows[levels], first)) levels++;
  const struct text_column columns[] = {{"", false, 24, 0}, {"shape", false, 17, 0}, {"dtype", false, 9, 0}};
  add_columns(table, columns, sizeof columns / sizeof *columns);
  for (size_t i = 0; i < levels; i++) text_table_column(table, (struct text_column){first[i].level, true, 9, 0});
  text_table_column(table, (struct text_column){"", false, 8, 0});
  for (size_t i = 0; i < bench->count; i += levels) {
    const struct bench_row *row = &bench->rows[i];
    text_table_cell(table, "%s", row->name);
    text_table_cell(table, "%s", row->shape);
    text_table_cell(table, "%s", dtype_name(row->dtype));
    for (size_t level = 0; level < levels; level++) text_table_cell(table, "%.1f", row[level].rate);
    text_table_cell(table, "%s", unit_text(row->unit));
  }
}

void bench_table(const struct bench *bench, FILE *out) {
  fprintf(out, "%s\n", text_string(&bench->description));
  for (int d = 0; d < 2; d++)
    if (bench->peak[d].source)
      fprintf(out, "peak in %s: %.1f GFLOP/s (%s)\n", dtype_name((enum dtype)d), bench->peak[d].flops * 1e-9,
              bench->peak[d].source);
  if (!bench->count) return;
  struct text_table table = {0};
  if (bench->rows[0].format || bench->rows[0].against)
    table_of_variants(bench, &table);
  else if (bench->rows[0].model)
    table_of_steps(bench, &table);
  else if (bench->options.levels)
    table_of_levels(bench, &table);
  else
    table_of_parts(bench, &table);
  text_table_print(&table, out);
  text_table_free(&table);
}

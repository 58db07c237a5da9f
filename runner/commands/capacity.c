// isoloss capacity: the error that representing Gaussian (or other) data in a format makes, from the code that trains.
#include <limits.h>
#include <math.h>
#include <string.h>

#include "plots/plot_formats.h"
#include "runner/commands.h"
#include "runner/fits/format_capacity.h"
#include "runner/terminal/table.h"

// One line for each represented operand.
struct row {
  const char *name, *operand;
  const struct capacity *capacity;
  double bits;
};
static size_t rows_of(const struct format_capacity *capacities, size_t count, struct row *rows) {
  size_t lines = 0;
  for (size_t i = 0; i < count; i++)
    for (int operand = 0; operand < OPERANDS; operand++)
      if (capacities[i].represented[operand])
        rows[lines++] =
            (struct row){capacities[i].asked, operand_name((enum operand)operand), &capacities[i].capacities[operand],
                         representation_bits(&capacities[i].format->operands[operand])};
  return lines;
}

static void print_table(const struct row *rows, size_t count) {
  static const struct text_column columns[] = {{"format", .most = 48},
                                               {"operand", .least = 11},
                                               {"bits", .right = true, .least = 8},
                                               {"gmse", .least = 12},
                                               {"error", .least = 9},
                                               {"effective", .right = true},
                                               {"octave"},
                                               {0}};
  struct text_table table = {.gap = 2};
  text_table_columns(&table, columns);
  for (size_t i = 0; i < count; i++) {
    const struct capacity *c = rows[i].capacity;
    text_table_cell(&table, "%s", rows[i].name);
    text_table_cell(&table, "%s", rows[i].operand);
    text_table_cell(&table, "%.4g", rows[i].bits);
    text_table_cell(&table, "%.6g", c->gmse);
    if (c->closed_form)
      text_table_cell(&table, "exact");
    else
      text_table_cell(&table, "%.1e", c->standard_error);
    text_table_cell(&table, "%.4f", c->effective_bits);
    if (c->octave)
      text_table_cell(&table, "%.4e..%.4e", c->octave_low, c->octave_high);
    else
      text_table_cell(&table, "%s", "");
  }
  text_table_print(&table, stdout);
  text_table_free(&table);
}

static void print_csv(const struct row *rows, size_t count) {
  printf(
      "format,operand,bits_per_value,gmse,standard_error,effective_bits,misalignment,octave_low,octave_high,samples\n");
  for (size_t i = 0; i < count; i++) {
    const struct capacity *c = rows[i].capacity;
    double values[] = {rows[i].bits,
                       c->gmse,
                       c->standard_error,
                       c->effective_bits,
                       c->misalignment,
                       c->octave ? c->octave_low : NAN,
                       c->octave ? c->octave_high : NAN};
    printf("\"%s\",%s", rows[i].name, rows[i].operand);
    for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
      char number[32] = "";
      if (!isnan(values[k])) number_shortest(values[k], number);
      printf(",%s", number);
    }
    printf(",%lld\n", (long long)c->samples);
  }
}

// Error against stored bits.
static bool plot(const struct row *rows, size_t count, const char *folder, struct arena *arena, struct error *error) {
  struct plot_format *points = arena_array(arena, count, sizeof *points);
  for (size_t i = 0; i < count; i++) {
    bool weights = strcmp(rows[i].operand, "weights") == 0;
    points[i] =
        (struct plot_format){weights ? rows[i].name : arena_format(arena, "%s, %s", rows[i].name, rows[i].operand),
                             rows[i].bits, rows[i].capacity->gmse};
  }
  struct figure figure;
  plot_formats(arena, points, count, &figure);
  if (!folder_make(folder, error) || !figure_write(&figure, folder, error)) return false;
  fprintf(stderr, "wrote %s/%s.svg\n", folder, figure.name);
  return true;
}

struct capacity_arguments {
  struct option_list grids;
  const char *distribution, *folder;
  int64_t samples, columns, seed, threads;
  bool json, csv, measure, hadamard;
};

static bool read_options(const struct capacity_arguments *a, struct capacity_options *options, struct error *error) {
  *options = (struct capacity_options){.samples = a->samples,
                                       .columns = a->columns,
                                       .seed = (uint64_t)a->seed,
                                       .measure = a->measure,
                                       .hadamard = a->hadamard,
                                       .isa = isa_best()};
  options->threads = threads_wanted(a->threads > 256 ? 256 : (int)a->threads);
  if (a->samples < 0 || a->columns < 0)
    return error_set(error, EXIT_USAGE_ERROR, "--samples and --columns are positive numbers");
  if (a->json && a->csv) return error_set(error, EXIT_USAGE_ERROR, "--json and --csv exclude each other");
  return distribution_parse(a->distribution, &options->distribution, &options->degrees, error);
}

// The formats that are named and the grids of files; without any, the common formats.
static const char **read_names(const struct capacity_arguments *a, const char *const *names, size_t named,
                               struct arena *arena, size_t *count) {
  if (!named && !a->grids.count) return common_formats(arena, count);
  const char **all = arena_array(arena, named + a->grids.count, sizeof *all);
  *count = 0;
  for (size_t i = 0; i < named; i++) all[(*count)++] = names[i];
  for (size_t i = 0; i < a->grids.count; i++) all[(*count)++] = arena_format(arena, "grid(%s)", a->grids.items[i]);
  return all;
}

static void print_json(const struct format_capacity *capacities, size_t count, const char *distribution) {
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false);
  json_array_begin(&writer);
  for (size_t i = 0; i < count; i++) {
    json_object_begin(&writer);
    format_capacity_json(&capacities[i], &writer);
    json_key_string(&writer, "distribution", distribution);
    json_object_end(&writer);
  }
  json_array_end(&writer);
  printf("%s\n", text_string(&text));
  text_free(&text);
}

static bool capacity(const struct capacity_arguments *a, const char *const *named, size_t named_count,
                     struct arena *arena, struct error *error) {
  struct capacity_options options;
  size_t count;
  const char **names = read_names(a, named, named_count, arena, &count);
  struct format_capacity *capacities = arena_array(arena, count, sizeof *capacities);
  if (!read_options(a, &options, error) || !formats_measure(names, count, &options, capacities, arena, error))
    return false;
  struct row *rows = arena_array(arena, count * OPERANDS, sizeof *rows);
  size_t lines = rows_of(capacities, count, rows);
  if (a->json)
    print_json(capacities, count, a->distribution);
  else if (a->csv)
    print_csv(rows, lines);
  else
    print_table(rows, lines);
  return !a->folder || plot(rows, lines, a->folder, arena, error);
}

void command_capacity(struct command_line *line) {
  struct capacity_arguments a = {.distribution = "normal"};
  const struct option options[] = {
      {"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"},
      {"csv", 0, OPTION_FLAG, &a.csv, NULL, "a table of comma-separated values on standard output"},
      {"plot", 0, OPTION_TEXT, &a.folder, "FOLDER", "write FOLDER/capacity.svg: error against bits"},
      {"grid", 0, OPTION_LIST, &a.grids, "FILE", "a custom grid: its levels in a file (also as a format: grid(FILE))"},
      {"distribution", 0, OPTION_TEXT, &a.distribution, "NAME",
       "normal, laplace, logistic or student-t:NU, of unit variance",
       (const char *const[]){"normal", "laplace", "logistic", "student-t:5", NULL}},
      {"samples", 'n', OPTION_INTEGER, &a.samples, "N", "random values of a measurement (default 16 million)"},
      {"columns", 0, OPTION_INTEGER, &a.columns, "N", "length of a row, for scales per row (default 4096)"},
      {"measure", 0, OPTION_FLAG, &a.measure, NULL, "measure even where there is a closed form"},
      {"hadamard", 0, OPTION_FLAG, &a.hadamard, NULL,
       "include the format's transform, which makes all data nearly Gaussian"},
      {"seed", 0, OPTION_INTEGER, &a.seed, "N", "of the random values"},
      {"threads", 0, OPTION_INTEGER, &a.threads, "N", "default: all processors"},
      {0}};
  const struct command_usage usage = {
      "isoloss capacity [FORMAT...] [options]",
      "Prints the mean squared error of representing values of unit variance, relative to their own square (GMSE), and\n"
      "the bits that it is worth, log base 1/4 of it. Where there is a closed form the number is exact; otherwise it is\n"
      "measured with the code that trains, with its standard error. Formats whose scales are powers of two depend on the\n"
      "data's standard deviation: their error is averaged over an octave of it, whose ends are shown.\n"
      "Without a format: the common ones. isoloss formats explains how formats are written.",
      0, INT_MAX, "formats"};
  if (command_begin(line, &usage, options))
    capacity(&a, line->arguments, (size_t)line->count, &line->arena, &line->error);
}

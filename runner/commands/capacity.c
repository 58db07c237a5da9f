// isoloss capacity: the error that representing Gaussian (or other) data in a format makes, from the code that trains.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/plots.h"
#include "runner/commands.h"
#include "runner/fits/format_capacity.h"

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
  int width = 6;
  for (size_t i = 0; i < count; i++) width = (int)strlen(rows[i].name) > width ? (int)strlen(rows[i].name) : width;
  if (width > 48) width = 48;
  printf("%-*s  %-11s %8s  %-12s %-9s %9s  %s\n", width, "format", "operand", "bits", "gmse", "error", "effective",
         "octave");
  for (size_t i = 0; i < count; i++) {
    const struct capacity *c = rows[i].capacity;
    char error[32] = "exact", octave[64] = "";
    if (!c->closed_form) snprintf(error, sizeof error, "%.1e", c->standard_error);
    if (c->octave) snprintf(octave, sizeof octave, "%.4e..%.4e", c->octave_low, c->octave_high);
    printf("%-*s  %-11s %8.4g  %-12.6g %-9s %9.4f%s%s\n", width, rows[i].name, rows[i].operand, rows[i].bits, c->gmse,
           error, c->effective_bits, *octave ? "  " : "", octave);
  }
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

// Error against stored bits, with the bound 4^-bits that no representation beats.
static bool plot(const struct row *rows, size_t count, const char *folder, struct error *error) {
  struct arena arena = {0};
  struct figure_series *series = arena_array(&arena, count + 1, sizeof *series);
  double *x = arena_array(&arena, 2 * (count + 1), sizeof *x), most = 1, *y = x + count + 1;
  size_t points = 0;
  for (size_t i = 0; i < count; i++)
    if (rows[i].capacity->gmse > 0 && isfinite(rows[i].bits)) most = fmax(most, rows[i].bits);
  enum { BOUND = 33 };
  double *bound_x = arena_array(&arena, 2 * BOUND, sizeof *bound_x), *bound_y = bound_x + BOUND;
  for (int i = 0; i < BOUND; i++) {
    bound_x[i] = most * i / (BOUND - 1);
    bound_y[i] = exp2(-2 * bound_x[i]);
  }
  series[points++] = (struct figure_series){.mark = MARK_LINE,
                                            .label = "rate-distortion bound",
                                            .colour = {PALETTE_MUTED, 0, 0},
                                            .dashed = true,
                                            .count = BOUND,
                                            .x = bound_x,
                                            .y = bound_y};
  for (size_t i = 0; i < count; i++) {
    if (!(rows[i].capacity->gmse > 0)) continue;
    x[i] = rows[i].bits;
    y[i] = rows[i].capacity->gmse;
    bool alone = strcmp(rows[i].operand, "weights") == 0;
    series[points] = (struct figure_series){
        .mark = MARK_POINTS,
        .label = alone ? rows[i].name : arena_format(&arena, "%s, %s", rows[i].name, rows[i].operand),
        .colour = {PALETTE_CATEGORY, (int)(i % 7), 0},
        .shape = (int)(i / 7 % 6),
        .count = 1,
        .x = &x[i],
        .y = &y[i]};
    points++;
  }
  struct figure_panel panel = {.series = series, .count = points};
  struct figure figure = {.name = "capacity",
                          .title = "Error of formats on random data",
                          .caption = "Mean squared error relative to the data against stored bits per value.",
                          .x = figure_axis("stored bits per value", NULL, SCALE_LINEAR, TICKS_PLAIN),
                          .y = figure_axis("relative mean squared error", NULL, SCALE_LOG, TICKS_POWER),
                          .panels = &panel,
                          .panel_count = 1};
  bool fine = folder_make(folder, error) && figure_write(&figure, folder, error);
  if (fine) fprintf(stderr, "wrote %s/capacity.svg\n", folder);
  arena_free(&arena);
  return fine;
}

static bool measure_all(const char *const *names, size_t count, const struct capacity_options *options,
                        struct format_capacity *capacities, struct arena *arena, struct error *error) {
  // All names are read before the first is measured: a mistyped one should not cost a wait.
  for (size_t i = 0; i < count; i++) {
    capacities[i].format = format_parse(names[i], arena, error);
    if (!capacities[i].format) return false;
  }
  for (size_t i = 0; i < count; i++)
    if (!format_capacity(capacities[i].format, names[i], options, &capacities[i], error)) return false;
  return true;
}

int command_capacity(int argc, char **argv) {
  bool json = false, csv = false, measure = false, hadamard = false, done;
  const char *distribution = "normal", *folder = NULL;
  int64_t samples = 0, columns = 0, seed = 0, threads = 0;
  struct option_list grids = {0};
  const struct option options[] = {
      {"json", 0, OPTION_FLAG, &json, NULL, "one JSON document on standard output"},
      {"csv", 0, OPTION_FLAG, &csv, NULL, "a table of comma-separated values on standard output"},
      {"plot", 0, OPTION_TEXT, &folder, "FOLDER", "write FOLDER/capacity.svg: error against bits"},
      {"grid", 0, OPTION_LIST, &grids, "FILE",
       "a grid of your own: its levels in a file (also as a format: grid(FILE))"},
      {"distribution", 0, OPTION_TEXT, &distribution, "NAME",
       "normal, laplace, logistic or student-t:NU, of unit variance"},
      {"samples", 'n', OPTION_INTEGER, &samples, "N", "random values of a measurement (default 16 million)"},
      {"columns", 0, OPTION_INTEGER, &columns, "N", "length of a row, for scales per row (default 4096)"},
      {"measure", 0, OPTION_FLAG, &measure, NULL, "measure even where there is a closed form"},
      {"hadamard", 0, OPTION_FLAG, &hadamard, NULL,
       "include the format's transform, which makes all data nearly Gaussian"},
      {"seed", 0, OPTION_INTEGER, &seed, "N", "of the random values"},
      {"threads", 0, OPTION_INTEGER, &threads, "N", "default: all processors"},
      {NULL, 0, OPTION_FLAG, NULL, NULL, NULL}};
  const struct command command = {
      "capacity", "the error a format makes on random data", "isoloss capacity [FORMAT...] [options]",
      "Prints the mean squared error of representing values of unit variance, relative to their own square (GMSE), and\n"
      "the bits that it is worth, log base 1/4 of it. Where there is a closed form the number is exact; otherwise it is\n"
      "measured with the code that trains, with its standard error. Formats whose scales are powers of two depend on the\n"
      "data's standard deviation: their error is averaged over an octave of it, whose ends are shown.\n"
      "Without a format: the common ones. isoloss formats explains how formats are written.",
      options};
  struct error error = {0};
  struct arena arena = {0};
  const char **names = arena_array(&arena, (size_t)argc + 1, sizeof *names);
  int given;
  bool fine = options_parse(&command, argc, argv, names, &given, &done, &error);
  if (fine && !done) {
    struct capacity_options wanted = {.samples = samples,
                                      .columns = columns,
                                      .seed = (uint64_t)seed,
                                      .measure = measure,
                                      .hadamard = hadamard,
                                      .isa = isa_best()};
    wanted.threads = threads > 0 ? (int)(threads > 256 ? 256 : threads) : processors();
    size_t count = (size_t)given + grids.count;
    const char **all = arena_array(&arena, count + 64, sizeof *all);
    memcpy(all, names, (size_t)given * sizeof *all);
    for (size_t i = 0; i < grids.count; i++) all[(size_t)given + i] = arena_format(&arena, "grid(%s)", grids.items[i]);
    if (count == 0)
      while (common_formats[count]) all[count] = common_formats[count], count++;
    struct format_capacity *capacities = arena_array(&arena, count, sizeof *capacities);
    struct row *rows = arena_array(&arena, count * OPERANDS, sizeof *rows);
    if (samples < 0 || columns < 0)
      fine = error_set(&error, EXIT_USAGE_ERROR, "--samples and --columns are positive numbers");
    if (json && csv) fine = error_set(&error, EXIT_USAGE_ERROR, "--json and --csv exclude each other");
    fine = fine && distribution_parse(distribution, &wanted.distribution, &wanted.degrees, &error);
    fine = fine && measure_all(all, count, &wanted, capacities, &arena, &error);
    if (fine) {
      size_t lines = rows_of(capacities, count, rows);
      if (json) {
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
      } else if (csv) {
        print_csv(rows, lines);
      } else {
        print_table(rows, lines);
      }
      if (folder) fine = plot(rows, lines, folder, &error);
    }
  }
  option_list_free(&grids);
  arena_free(&arena);
  return fine ? EXIT_DONE : command_fail(&error);
}

// Grids from text: int4, fp4-e2m1, mxfp4, vq2-16, levels(...), noise(...), ... See docs/formats.md.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/grid.h"
#include "kernels/formats/parse.h"
#include "kernels/formats/vector_grid.h"

const char *const grid_names[] = {"int1",
                                  "int2",
                                  "int3",
                                  "int4",
                                  "int5",
                                  "int6",
                                  "int7",
                                  "int8",
                                  "ternary",
                                  "int4-tread",
                                  "int8-tread",
                                  "int4-twos",
                                  "int8-twos",
                                  "int4-g32",
                                  "fp4-e2m1",
                                  "fp4-e1m2",
                                  "fp4-e3m0",
                                  "fp6-e2m3",
                                  "fp6-e3m2",
                                  "fp8-e4m3",
                                  "fp8-e5m2",
                                  "mxfp4",
                                  "mxfp6-e2m3",
                                  "mxfp6-e3m2",
                                  "mxfp8",
                                  "mxfp8-e5m2",
                                  "mxint8",
                                  "nvfp4",
                                  "vq2-4",
                                  "vq2-16",
                                  "vq2-64",
                                  "vq2-256",
                                  "vq4-16",
                                  "vq4-256",
                                  "noise(0.01)",
                                  "sparse(0.5)",
                                  "2:4",
                                  "paired-4:8",
                                  "random-sparse(0.5)",
                                  "levels(-1 0 1)",
                                  "w4a4",
                                  "none",
                                  NULL};

static void by_group(struct representation *representation, int group, enum scale_type type) {
  representation->scale = (struct scale){SCALE_ABSMAX, SCALE_PER_GROUP, type, group, 1, false};
  representation->hadamard = (struct hadamard){HADAMARD_NONE, HADAMARD_LIMIT, false};
  representation->estimator = ESTIMATOR_STE;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Levels separated by spaces, commas or new lines; '#' begins a comment.
static bool parse_levels(struct piece term, struct piece list, struct grid *grid, struct arena *arena,
                         struct error *error) {
  double *levels = arena_array(arena, GRID_LEVEL_LIMIT, sizeof *levels);
  int count = 0;
  for (size_t i = 0; i < list.length;) {
    char c = list.start[i];
    if (c == '#') {
      while (i < list.length && list.start[i] != '\n') i++;
    } else if (isspace((unsigned char)c) || c == ',') {
      i++;
    } else {
      size_t end = i;
      while (end < list.length && !isspace((unsigned char)list.start[end]) && list.start[end] != ',') end++;
      struct piece number = {list.start + i, end - i};
      if (count == GRID_LEVEL_LIMIT) return piece_error(error, term, "a grid has at most 256 levels");
      if (!piece_number(number, &levels[count]))
        return piece_error(error, number, "is not a number (a level of a grid)");
      count++;
      i = end;
    }
  }
  if (count < 2) return piece_error(error, term, "a grid has at least two levels");
  qsort(levels, (size_t)count, sizeof *levels, compare_doubles);
  for (int i = 1; i < count; i++)
    if (levels[i] == levels[i - 1]) return piece_error(error, term, "a level stands twice");
  *grid = grid_levels(levels, count);
  return true;
}

bool grid_parse(struct piece term, enum recipe recipe, bool recipe_given, struct representation *representation,
                bool *known, struct arena *arena, struct error *error) {
  struct piece word, arguments;
  struct grid *grid = &representation->grid;
  *known = true;
  if (!piece_call(term, &word, &arguments)) return piece_error(error, term, "a bracket is missing");
  if (piece_is(word, "levels")) {
    if (!arguments.start || !parse_levels(term, arguments, grid, arena, error))
      return piece_error(error, term, "takes its levels, as levels(-1 0 1)");
    recipe_apply(representation, recipe);
    return true;
  }
  if (piece_is(word, "grid")) {
    char *path = arguments.start ? arena_copy(arena, arguments.start, arguments.length) : NULL;
    size_t length;
    char *bytes = path ? file_read(arena, path, &length, error) : NULL;
    if (!path) return piece_error(error, term, "takes the path of a file of levels");
    if (!bytes || !parse_levels(term, (struct piece){bytes, length}, grid, arena, error)) return false;
    recipe_apply(representation, recipe);
    return true;
  }
  if (piece_is(word, "noise")) {
    double variance;
    if (!arguments.start || !piece_number(arguments, &variance) || variance <= 0 || variance > 1)
      return piece_error(error, term, "takes the noise's variance over the data's, above 0 and at most 1");
    *grid = (struct grid){.kind = GRID_NOISE, .variance = variance, .dimension = 1};
    recipe_apply(representation, RECIPE_STE);
    return true;
  }
  if (arguments.start) {
    *known = false;
    return true;
  }
  if (piece_is(word, "ternary")) {
    *grid = grid_mid_tread(2);
    recipe_apply(representation, recipe);
    return true;
  }
  struct piece rest = word;
  int bits, first, second;
  if (piece_take(&rest, "int") && piece_take_number(&rest, &bits)) {
    if (bits < 1 || bits > 8) return piece_error(error, term, "integer grids have 1 to 8 bits");
    bool tread = piece_take(&rest, "-tread"), twos = !tread && piece_take(&rest, "-twos");
    if ((tread || twos) && bits < 2)
      return piece_error(error, term, "a grid with 0 among its levels has at least 2 bits");
    *grid = tread ? grid_mid_tread(bits) : twos ? grid_twos_complement(bits) : grid_mid_rise(bits);
    int group = 0;
    if (piece_take(&rest, "-g") && (!piece_take_number(&rest, &group) || group < 2))
      return piece_error(error, term, "a group has at least 2 values, as int4-g32");
    if (!rest.length) {
      recipe_apply(representation, recipe);
      if (group) {
        by_group(representation, group, SCALE_FLOAT);
        if (recipe_given) recipe_apply(representation, recipe);
      }
      return true;
    }
  }
  rest = word;
  if (piece_take(&rest, "vq") && piece_take_number(&rest, &first) && piece_take(&rest, "-") &&
      piece_take_number(&rest, &second) && !rest.length) {
    if (!vector_grid_find(first, second))
      return piece_error(error, term, "vector grids are vq2-4, vq2-16, vq2-64, vq2-256, vq4-16 and vq4-256");
    *grid = (struct grid){.kind = GRID_VECTOR, .count = second, .dimension = first};
    recipe_apply(representation, recipe);
    return true;
  }
  // Block formats: the bare name is the standard's, a recipe changes its scale rule.
  static const struct {
    const char *name;
    int exponent_bits, mantissa_bits, group;
    enum scale_type type;
  } blocks[] = {
      {"mxfp4", 2, 1, 32, SCALE_POWER_FLOOR},
      {"mxfp4-e2m1", 2, 1, 32, SCALE_POWER_FLOOR},
      {"mxfp6-e2m3", 2, 3, 32, SCALE_POWER_FLOOR},
      {"mxfp6-e3m2", 3, 2, 32, SCALE_POWER_FLOOR},
      {"mxfp8", 4, 3, 32, SCALE_POWER_FLOOR},
      {"mxfp8-e4m3", 4, 3, 32, SCALE_POWER_FLOOR},
      {"mxfp8-e5m2", 5, 2, 32, SCALE_POWER_FLOOR},
      {"mxint8", 0, 0, 32, SCALE_POWER_FLOOR},
      {"nvfp4", 2, 1, 16, SCALE_E4M3},
  };
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
    if (piece_is(word, blocks[i].name)) {
      *grid = blocks[i].exponent_bits ? grid_float(blocks[i].exponent_bits, blocks[i].mantissa_bits)
                                      : grid_twos_complement(8);
      by_group(representation, blocks[i].group, blocks[i].type);
      if (recipe_given) recipe_apply(representation, recipe);
      return true;
    }
  rest = word;
  bool named = piece_take(&rest, "fp") && piece_take_number(&rest, &bits) && piece_take(&rest, "-");
  if (!named) rest = word;
  if (piece_take(&rest, "e") && piece_take_number(&rest, &first) && piece_take(&rest, "m") &&
      piece_take_number(&rest, &second) && !rest.length) {
    if (first < 1 || first > 6 || first + second > 7)
      return piece_error(error, term, "small floats have 1 to 6 exponent bits and at most 8 bits in all");
    if (named && bits != 1 + first + second)
      return piece_error(error, term, "the bits do not add up: a sign, the exponent's and the mantissa's");
    *grid = grid_float(first, second);
    recipe_apply(representation, recipe);
    return true;
  }
  *known = false;
  return true;
}

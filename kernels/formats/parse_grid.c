// Grids from text: int4, fp4-e2m1, mxfp4, vq2-16, levels(...), noise(...), ... See docs/formats.md.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/codebook.h"
#include "kernels/formats/grid.h"
#include "kernels/formats/parse.h"
#include "kernels/formats/vector_grid.h"

const struct format_example format_examples[] = {{"int1", .listed = true},
                                                 {"int2", .listed = true},
                                                 {"int3", .listed = true},
                                                 {"int4", .listed = true},
                                                 {"int5", .listed = true},
                                                 {"int6", .listed = true},
                                                 {"int7", .listed = true},
                                                 {"int8", .listed = true},
                                                 {"ternary", .listed = true},
                                                 {"int4-tread", .listed = true},
                                                 {"int8-tread"},
                                                 {"int4-twos", .listed = true},
                                                 {"int8-twos"},
                                                 {"int4-g32", .listed = true},
                                                 {"int4-zero-g32", .listed = true},
                                                 {"fp4-e2m1", .listed = true},
                                                 {"fp4-e1m2"},
                                                 {"fp4-e3m0"},
                                                 {"fp6-e2m3", .listed = true},
                                                 {"fp6-e3m2", .listed = true},
                                                 {"fp8-e4m3", .listed = true},
                                                 {"fp8-e5m2", .listed = true},
                                                 {"mxfp4", .listed = true},
                                                 {"w(quest-mxfp4)", .listed = true},
                                                 {"mxfp6", .listed = true},
                                                 {"mxfp6-e2m3"},
                                                 {"mxfp6-e3m2"},
                                                 {"mxfp8", .listed = true},
                                                 {"mxfp8-e5m2"},
                                                 {"mxint8", .listed = true},
                                                 {"nvfp4", .listed = true},
                                                 {"nvfp4[four-over-six]", .listed = true},
                                                 {"nf4", .listed = true},
                                                 {"vq1-2"},
                                                 {"vq1-4"},
                                                 {"vq1-8"},
                                                 {"vq1-16", .listed = true},
                                                 {"vq2-4"},
                                                 {"vq2-16", .listed = true},
                                                 {"vq2-64", .listed = true},
                                                 {"vq2-256", .listed = true},
                                                 {"vq4-16"},
                                                 {"vq4-256", .listed = true},
                                                 {"sparse(0.5)", .listed = true},
                                                 {"2:4", .listed = true},
                                                 {"4:8", .listed = true},
                                                 {"2:4+int4", .listed = true},
                                                 {"paired-4:8+int4", .listed = true},
                                                 {"noise(0.01)", .listed = true},
                                                 {"paired-4:8"},
                                                 {"random-sparse(0.5)"},
                                                 {"levels(-1 0 1)"},
                                                 {"w4a4"},
                                                 {"none"},
                                                 {0}};

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// In a file: told by its line, since what is there may be anything.
static bool no_level(struct piece term, struct piece list, struct piece number, bool of_file, struct error *error) {
  if (!of_file) return piece_error(error, number, "is not a number (a level of a grid)");
  int line = 1;
  for (const char *c = list.start; c < number.start; c++) line += *c == '\n';
  char what[80];
  snprintf(what, sizeof what, "line %d of the file has what is not a number (a level of a grid)", line);
  return piece_error(error, term, what);
}

// Levels separated by spaces, commas or new lines; '#' begins a comment.
static bool parse_levels(struct piece term, struct piece list, bool of_file, struct grid *grid, struct arena *arena,
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
      if (!piece_number(number, &levels[count])) return no_level(term, list, number, of_file, error);
      count++;
      i = end;
    }
  }
  if (count < 2) return piece_error(error, term, "a grid has at least two levels");
  qsort(levels, (size_t)count, sizeof *levels, compare_doubles);
  for (int i = 1; i < count; i++)
    if (levels[i] == levels[i - 1]) return piece_error(error, term, "a level is there twice");
  *grid = grid_levels(levels, count);
  return true;
}

// ---- one reader for each family ----

// A term that may name a grid, and what it is read into.
struct grid_term {
  struct piece term, word, arguments;  // levels(-1 1): levels, -1 1
  const struct representation_reader *reader;
  struct representation *into;
};
enum outcome { NOT_MINE, READ, WRONG };

static enum outcome wrong(const struct grid_term *t, const char *what, struct error *error) {
  piece_error(error, t->term, what);
  return WRONG;
}

static enum outcome made(const struct grid_term *t, struct grid grid) {
  recipe_of_grid(t->into, grid, t->reader->recipe);
  return READ;
}

static enum outcome made_of_groups(const struct grid_term *t, struct grid grid, int group, enum scale_type type) {
  recipe_of_blocks(t->into, grid, group, type, t->reader->recipe_given ? &t->reader->recipe : NULL);
  return READ;
}

static enum outcome read_levels(const struct grid_term *t, struct error *error) {
  struct grid grid;
  if (!piece_is(t->word, "levels")) return NOT_MINE;
  if (!t->arguments.start) return wrong(t, "takes its levels, as levels(-1 0 1)", error);
  return parse_levels(t->term, t->arguments, false, &grid, t->reader->arena, error) ? made(t, grid) : WRONG;
}

static enum outcome read_file(const struct grid_term *t, struct error *error) {
  struct grid grid;
  if (!piece_is(t->word, "grid")) return NOT_MINE;
  if (!t->arguments.start) return wrong(t, "takes the path of a file of levels", error);
  size_t length;
  char *path = arena_copy(t->reader->arena, t->arguments.start, t->arguments.length);
  char *bytes = file_read(t->reader->arena, path, &length, error);
  if (!bytes) return WRONG;
  return parse_levels(t->term, (struct piece){bytes, length}, true, &grid, t->reader->arena, error) ? made(t, grid)
                                                                                                    : WRONG;
}

static enum outcome read_noise(const struct grid_term *t, struct error *error) {
  double variance;
  if (!piece_is(t->word, "noise")) return NOT_MINE;
  if (!t->arguments.start || !piece_number(t->arguments, &variance) || variance <= 0 || variance > 1)
    return wrong(t, "takes the noise's variance over the data's, above 0 and at most 1", error);
  return made(t, (struct grid){.kind = GRID_NOISE, .variance = variance, .dimension = 1});
}

static enum outcome read_ternary(const struct grid_term *t, struct error *error) {
  return piece_is(t->word, "ternary") ? made(t, grid_mid_tread(2)) : NOT_MINE;
}

// int4, int4-tread, int4-twos, int4-g32, int4-zero-g32.
static enum outcome read_integer(const struct grid_term *t, struct error *error) {
  struct piece rest = t->word;
  int bits, group = 0;
  if (!piece_take(&rest, "int") || !piece_take_number(&rest, &bits)) return NOT_MINE;
  if (bits < 1 || bits > 8) return wrong(t, "integer grids have 1 to 8 bits", error);
  bool tread = piece_take(&rest, "-tread"), twos = !tread && piece_take(&rest, "-twos");
  bool zero = !tread && !twos && piece_take(&rest, "-zero");
  if ((tread || twos || zero) && bits < 2) return wrong(t, "a grid with 0 among its levels has at least 2 bits", error);
  if (piece_take(&rest, "-g") && (!piece_take_number(&rest, &group) || group < 2))
    return wrong(t, "a group has at least 2 values, as int4-g32", error);
  if (rest.length) return NOT_MINE;
  if (zero && !group) return wrong(t, "is of groups with a scale each, as int4-zero-g32", error);
  if (zero) {
    recipe_of_zero_groups(t->into, bits, group, t->reader->recipe_given ? &t->reader->recipe : NULL);
    return READ;
  }
  struct grid grid = tread ? grid_mid_tread(bits) : twos ? grid_twos_complement(bits) : grid_mid_rise(bits);
  return group ? made_of_groups(t, grid, group, SCALE_FLOAT) : made(t, grid);
}

// nf4.
static enum outcome read_codebook(const struct grid_term *t, struct error *error) {
  for (const struct codebook *book = codebooks; book->name; book++)
    if (book->group && piece_is(t->word, book->name))
      return made_of_groups(t, grid_levels(book->levels, book->count), book->group, SCALE_FLOAT);
  return NOT_MINE;
}

// vq2-16; in one dimension, vq1-16, the points are levels.
static enum outcome read_vectors(const struct grid_term *t, struct error *error) {
  struct piece rest = t->word;
  int dimension, count;
  if (!piece_take(&rest, "vq") || !piece_take_number(&rest, &dimension) || !piece_take(&rest, "-") ||
      !piece_take_number(&rest, &count) || rest.length)
    return NOT_MINE;
  const double *levels = dimension == 1 ? gaussian_levels(count) : NULL;
  if (levels) return made(t, grid_levels(levels, count));
  if (dimension == 1 || !vector_grid_find(dimension, count))
    return wrong(t, "vector grids are vq1-2, vq1-4, vq1-8, vq1-16, vq2-4, vq2-16, vq2-64, vq2-256, vq4-16 and vq4-256",
                 error);
  return made(t, (struct grid){.kind = GRID_VECTOR, .count = count, .dimension = dimension});
}

const struct block_format block_formats[] = {{"mxfp4", 2, 1, 32, SCALE_POWER_FLOOR},
                                             {"mxfp4-e2m1", 2, 1, 32, SCALE_POWER_FLOOR},
                                             {"mxfp6-e2m3", 2, 3, 32, SCALE_POWER_FLOOR},
                                             {"mxfp6", 2, 3, 32, SCALE_POWER_FLOOR},
                                             {"mxfp6-e3m2", 3, 2, 32, SCALE_POWER_FLOOR},
                                             {"mxfp8", 4, 3, 32, SCALE_POWER_FLOOR},
                                             {"mxfp8-e4m3", 4, 3, 32, SCALE_POWER_FLOOR},
                                             {"mxfp8-e5m2", 5, 2, 32, SCALE_POWER_FLOOR},
                                             {"mxint8", 0, 0, 32, SCALE_POWER_FLOOR},
                                             {"nvfp4", 2, 1, 16, SCALE_E4M3},
                                             {0}};

struct grid block_grid(const struct block_format *block) {
  return block->exponent_bits ? grid_float(block->exponent_bits, block->mantissa_bits) : grid_twos_complement(8);
}

static enum outcome read_blocks(const struct grid_term *t, struct error *error) {
  for (const struct block_format *block = block_formats; block->name; block++)
    if (piece_is(t->word, block->name)) return made_of_groups(t, block_grid(block), block->group, block->type);
  return NOT_MINE;
}

// fp4-e2m1, or e2m1.
static enum outcome read_float(const struct grid_term *t, struct error *error) {
  struct piece rest = t->word;
  int bits, exponent, mantissa;
  bool named = piece_take(&rest, "fp") && piece_take_number(&rest, &bits) && piece_take(&rest, "-");
  if (!named) rest = t->word;
  if (!piece_take(&rest, "e") || !piece_take_number(&rest, &exponent) || !piece_take(&rest, "m") ||
      !piece_take_number(&rest, &mantissa) || rest.length)
    return NOT_MINE;
  if (exponent < 1 || exponent > 6 || exponent + mantissa > 7)
    return wrong(t, "small floats have 1 to 6 exponent bits and at most 8 bits in all", error);
  if (named && bits != 1 + exponent + mantissa)
    return wrong(t, "the bits do not add up: a sign, the exponent's and the mantissa's", error);
  return made(t, grid_float(exponent, mantissa));
}

bool grid_parse(struct piece term, const struct representation_reader *reader, bool *known, struct error *error) {
  static const struct {
    bool arguments;  // whether it takes any
    enum outcome (*read)(const struct grid_term *t, struct error *error);
  } families[] = {{true, read_levels},   {true, read_file},      {true, read_noise},
                  {false, read_ternary}, {false, read_codebook}, {false, read_integer},
                  {false, read_vectors}, {false, read_blocks},   {false, read_float}};
  struct grid_term t = {.term = term, .reader = reader, .into = reader->into};
  *known = true;
  if (!piece_call(term, &t.word, &t.arguments)) return piece_error(error, term, "a bracket is missing");
  for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
    if (t.arguments.start && !families[i].arguments) continue;
    enum outcome outcome = families[i].read(&t, error);
    if (outcome != NOT_MINE) return outcome == READ;
  }
  *known = false;
  return true;
}

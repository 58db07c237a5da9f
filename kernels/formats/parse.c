// Formats from text: the short forms. See format.h and docs/formats.md.
#include "kernels/formats/parse.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/grid.h"
#include "kernels/formats/vector_grid.h"

const char *const recipe_names[RECIPES] = {"quest", "lsq", "ste", "clip", "absmax"};

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

// A piece of the text: what is being read.
struct piece {
  const char *start;
  size_t length;
};

static struct piece trim(struct piece piece) {
  while (piece.length && isspace((unsigned char)piece.start[0])) piece.start++, piece.length--;
  while (piece.length && isspace((unsigned char)piece.start[piece.length - 1])) piece.length--;
  return piece;
}
static struct piece whole(const char *text) { return trim((struct piece){text, strlen(text)}); }

// Where `character` stands outside brackets; length when nowhere.
static size_t find_outside(struct piece piece, char character) {
  int depth = 0;
  for (size_t i = 0; i < piece.length; i++) {
    char c = piece.start[i];
    if (c == character && depth == 0) return i;
    if (c == '(' || c == '[') depth++;
    if (c == ')' || c == ']') depth--;
  }
  return piece.length;
}

// Cuts what stands before the first `separator` off `rest`; false when nothing is left.
static bool next_piece(struct piece *rest, char separator, struct piece *piece) {
  if (!rest->start) return false;
  size_t at = find_outside(*rest, separator);
  *piece = trim((struct piece){rest->start, at});
  if (at == rest->length)
    *rest = (struct piece){NULL, 0};
  else
    *rest = (struct piece){rest->start + at + 1, rest->length - at - 1};
  return true;
}

static bool is(struct piece piece, const char *word) {
  return piece.length == strlen(word) && memcmp(piece.start, word, piece.length) == 0;
}
static bool take_prefix(struct piece *piece, const char *prefix) {
  size_t length = strlen(prefix);
  if (piece->length < length || memcmp(piece->start, prefix, length) != 0) return false;
  piece->start += length;
  piece->length -= length;
  return true;
}
static bool take_number(struct piece *piece, int *value) {
  size_t digits = 0;
  long number = 0;
  while (digits < piece->length && isdigit((unsigned char)piece->start[digits]) && digits < 6)
    number = number * 10 + piece->start[digits++] - '0';
  if (!digits) return false;
  piece->start += digits;
  piece->length -= digits;
  *value = (int)number;
  return true;
}

// "word(arguments)" -> word and arguments (start NULL without brackets). False when the brackets do not match.
static bool split_call(struct piece piece, struct piece *word, struct piece *arguments) {
  *word = piece;
  *arguments = (struct piece){NULL, 0};
  const char *open = memchr(piece.start, '(', piece.length);
  if (!open) return true;
  if (piece.start[piece.length - 1] != ')') return false;
  *word = trim((struct piece){piece.start, (size_t)(open - piece.start)});
  *arguments = trim((struct piece){open + 1, (size_t)(piece.start + piece.length - 1 - (open + 1))});
  return true;
}

static bool parse_number(struct piece piece, double *value) {
  char text[64];
  if (piece.length == 0 || piece.length >= sizeof text) return false;
  memcpy(text, piece.start, piece.length);
  text[piece.length] = 0;
  return number_parse(text, value) && isfinite(*value);
}

static bool complain(struct error *error, struct piece piece, const char *what) {
  return error_set(error, EXIT_USAGE_ERROR, "'%.*s': %s", (int)(piece.length > 200 ? 200 : piece.length), piece.start,
                   what);
}

// --- sparsity --------------------------------------------------------------------------------------------------------

static bool sparsity_option(struct piece option, struct sparsity *sparsity, struct error *error) {
  struct piece word, arguments;
  if (!split_call(option, &word, &arguments)) return complain(error, option, "a bracket is missing");
  double value = NAN;
  bool number = arguments.start && parse_number(arguments, &value);
  if (is(word, "tensor"))
    sparsity->scope = SCOPE_TENSOR;
  else if (is(word, "row"))
    sparsity->scope = SCOPE_ROW;
  else if (is(word, "global"))
    sparsity->scope = SCOPE_GLOBAL;
  else if (is(word, "monotone"))
    sparsity->monotone = true;
  else if (is(word, "dynamic"))
    sparsity->monotone = false;
  else if (is(word, "forward"))
    sparsity->backward = SPARSE_FORWARD;
  else if (is(word, "pass"))
    sparsity->backward = SPARSE_PASS;
  else if (is(word, "trust"))
    sparsity->backward = SPARSE_TRUST;
  else if (is(word, "constant"))
    sparsity->schedule = SCHEDULE_CONSTANT;
  else if (is(word, "compute"))
    sparsity->of_steps = false;
  else if (is(word, "steps"))
    sparsity->of_steps = true;
  else if (is(word, "rms") || is(word, "b-rms")) {
    if (!number || value <= 0 || value >= 0.5) return complain(error, option, "takes a number between 0 and 0.5");
    sparsity->backward = is(word, "rms") ? SPARSE_RMS : SPARSE_BAND;
    sparsity->backward_parameter = value;
  } else if (is(word, "a-b-rms")) {
    if (!number || value < 0 || value > 1) return complain(error, option, "takes a number from 0 to 1");
    sparsity->backward = SPARSE_BAND_SHARE;
    sparsity->backward_parameter = value;
  } else if (is(word, "every")) {
    if (!number || value < 1 || value > 1e9 || value != floor(value))
      return complain(error, option, "takes a number of steps");
    sparsity->every = (int)value;
  } else if (is(word, "journey") || is(word, "cubic")) {
    sparsity->schedule = is(word, "journey") ? SCHEDULE_JOURNEY : SCHEDULE_CUBIC;
    if (sparsity->schedule == SCHEDULE_JOURNEY) {
      // As published: one threshold for all layers, and what is pruned stays so.
      sparsity->scope = SCOPE_GLOBAL;
      sparsity->monotone = true;
    } else {
      sparsity->of_steps = true;
    }
    if (arguments.start) {
      struct piece start = {0}, end = {0};
      next_piece(&arguments, ',', &start);
      if (!next_piece(&arguments, ',', &end) || arguments.start || !parse_number(start, &sparsity->start) ||
          !parse_number(end, &sparsity->end) || sparsity->start < 0 || sparsity->end > 1 ||
          sparsity->start > sparsity->end)
        return complain(error, option, "takes the fractions at which pruning begins and ends, as (0.25,0.75)");
    }
  } else {
    static const char *const known[] = {"tensor", "row",     "global",  "monotone", "dynamic", "forward",
                                        "rms",    "b-rms",   "a-b-rms", "pass",     "trust",   "constant",
                                        "cubic",  "journey", "every",   "compute",  "steps"};
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)word.length, word.start);
    const char *near = nearest_name(name, known, sizeof known / sizeof known[0]);
    return error_set(
        error, EXIT_USAGE_ERROR,
        "'%s' is no option of sparsity%s%s%s (there are: tensor, row, global; monotone, dynamic; forward, "
        "rms(P), b-rms(P), a-b-rms(A), pass, trust; constant, cubic(START,END), journey(START,END), every(N), "
        "compute, steps)",
        name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  }
  return true;
}

static bool sparsity_options(struct piece options, struct sparsity *sparsity, struct error *error) {
  struct piece option;
  while (next_piece(&options, ',', &option))
    if (!sparsity_option(option, sparsity, error)) return false;
  return true;
}

// *known tells whether the term is about sparsity at all.
static bool parse_sparsity(struct piece term, struct sparsity *sparsity, bool *known, struct error *error) {
  struct piece word, arguments;
  *known = false;
  if (!split_call(term, &word, &arguments)) return complain(error, term, "a bracket is missing");
  bool random = is(word, "random-sparse");
  if (random || is(word, "sparse")) {
    *known = true;
    struct piece amount = {0};
    *sparsity =
        (struct sparsity){.kind = random ? SPARSITY_RANDOM : SPARSITY_TOP, .start = 0.25, .end = 0.75, .every = 100};
    if (random) sparsity->monotone = true;
    if (!next_piece(&arguments, ',', &amount) || !parse_number(amount, &sparsity->amount))
      return complain(error, term, "takes the share of zeroes first, as sparse(0.5)");
    if (sparsity->amount < 0 || sparsity->amount >= 1)
      return complain(error, term, "the share of zeroes must be at least 0 and below 1");
    return sparsity_options(arguments, sparsity, error);
  }
  struct piece rest = word;
  bool paired = take_prefix(&rest, "paired-");
  int n, m;
  if (!take_number(&rest, &n) || !take_prefix(&rest, ":") || !take_number(&rest, &m) || rest.length) return true;
  *known = true;
  if (n < 1 || m < 2 || m > 64)
    return complain(error, term, "keeps N of every M values, N at least 1 and M from 2 to 64");
  if (n > m) return complain(error, term, "cannot keep more values than there are: N is at most M");
  if (paired && (n % 2 || m % 2)) return complain(error, term, "pairs need even numbers");
  *sparsity = (struct sparsity){.kind = paired ? SPARSITY_PAIRED : SPARSITY_N_M,
                                .n = n,
                                .m = m,
                                .scope = SCOPE_ROW,
                                .start = 0.25,
                                .end = 0.75,
                                .every = 100};
  if (paired) sparsity->backward = SPARSE_TRUST;
  if (!sparsity_options(arguments, sparsity, error)) return false;
  if (sparsity->schedule != SCHEDULE_CONSTANT || sparsity->scope != SCOPE_ROW)
    return complain(error, term, "a pattern of N:M has neither a schedule nor a scope");
  if (sparsity->backward != SPARSE_FORWARD && sparsity->backward != SPARSE_PASS && sparsity->backward != SPARSE_TRUST)
    return complain(error, term, "gradients of a pattern of N:M go by forward, pass or trust");
  return true;
}

// --- grids -----------------------------------------------------------------------------------------------------------

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
      if (count == GRID_LEVEL_LIMIT) return complain(error, term, "a grid has at most 256 levels");
      if (!parse_number(number, &levels[count])) return complain(error, number, "is not a number (a level of a grid)");
      count++;
      i = end;
    }
  }
  if (count < 2) return complain(error, term, "a grid has at least two levels");
  qsort(levels, (size_t)count, sizeof *levels, compare_doubles);
  for (int i = 1; i < count; i++)
    if (levels[i] == levels[i - 1]) return complain(error, term, "a level stands twice");
  *grid = grid_levels(levels, count);
  return true;
}

// *known tells whether the name is a grid's.
static bool parse_grid(struct piece term, enum recipe recipe, bool recipe_given, struct representation *representation,
                       bool *known, struct arena *arena, struct error *error) {
  struct piece word, arguments;
  struct grid *grid = &representation->grid;
  *known = true;
  if (!split_call(term, &word, &arguments)) return complain(error, term, "a bracket is missing");
  if (is(word, "levels")) {
    if (!arguments.start || !parse_levels(term, arguments, grid, arena, error))
      return complain(error, term, "takes its levels, as levels(-1 0 1)");
    recipe_apply(representation, recipe);
    return true;
  }
  if (is(word, "grid")) {
    char *path = arguments.start ? arena_copy(arena, arguments.start, arguments.length) : NULL;
    size_t length;
    char *bytes = path ? file_read(arena, path, &length, error) : NULL;
    if (!path) return complain(error, term, "takes the path of a file of levels");
    if (!bytes || !parse_levels(term, (struct piece){bytes, length}, grid, arena, error)) return false;
    recipe_apply(representation, recipe);
    return true;
  }
  if (is(word, "noise")) {
    double variance;
    if (!arguments.start || !parse_number(arguments, &variance) || variance <= 0 || variance > 1)
      return complain(error, term, "takes the noise's variance over the data's, above 0 and at most 1");
    *grid = (struct grid){.kind = GRID_NOISE, .variance = variance, .dimension = 1};
    recipe_apply(representation, RECIPE_STE);
    return true;
  }
  if (arguments.start) {
    *known = false;
    return true;
  }
  if (is(word, "ternary")) {
    *grid = grid_mid_tread(2);
    recipe_apply(representation, recipe);
    return true;
  }
  struct piece rest = word;
  int bits, first, second;
  if (take_prefix(&rest, "int") && take_number(&rest, &bits)) {
    if (bits < 1 || bits > 8) return complain(error, term, "integer grids have 1 to 8 bits");
    bool tread = take_prefix(&rest, "-tread"), twos = !tread && take_prefix(&rest, "-twos");
    if ((tread || twos) && bits < 2) return complain(error, term, "a grid with 0 among its levels has at least 2 bits");
    *grid = tread ? grid_mid_tread(bits) : twos ? grid_twos_complement(bits) : grid_mid_rise(bits);
    int group = 0;
    if (take_prefix(&rest, "-g") && (!take_number(&rest, &group) || group < 2))
      return complain(error, term, "a group has at least 2 values, as int4-g32");
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
  if (take_prefix(&rest, "vq") && take_number(&rest, &first) && take_prefix(&rest, "-") &&
      take_number(&rest, &second) && !rest.length) {
    if (!vector_grid_find(first, second))
      return complain(error, term, "vector grids are vq2-4, vq2-16, vq2-64, vq2-256, vq4-16 and vq4-256");
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
    if (is(word, blocks[i].name)) {
      *grid = blocks[i].exponent_bits ? grid_float(blocks[i].exponent_bits, blocks[i].mantissa_bits)
                                      : grid_twos_complement(8);
      by_group(representation, blocks[i].group, blocks[i].type);
      if (recipe_given) recipe_apply(representation, recipe);
      return true;
    }
  rest = word;
  bool named = take_prefix(&rest, "fp") && take_number(&rest, &bits) && take_prefix(&rest, "-");
  if (!named) rest = word;
  if (take_prefix(&rest, "e") && take_number(&rest, &first) && take_prefix(&rest, "m") && take_number(&rest, &second) &&
      !rest.length) {
    if (first < 1 || first > 6 || first + second > 7)
      return complain(error, term, "small floats have 1 to 6 exponent bits and at most 8 bits in all");
    if (named && bits != 1 + first + second)
      return complain(error, term, "the bits do not add up: a sign, the exponent's and the mantissa's");
    *grid = grid_float(first, second);
    recipe_apply(representation, recipe);
    return true;
  }
  *known = false;
  return true;
}

// --- options ---------------------------------------------------------------------------------------------------------

static bool hadamard_option(struct piece option, struct piece arguments, enum hadamard_kind kind, bool exact,
                            struct hadamard *hadamard, struct error *error) {
  *hadamard = (struct hadamard){kind, HADAMARD_LIMIT, false};
  if (!arguments.start) return true;
  double value;
  if (!parse_number(arguments, &value) || value < 2 || value > HADAMARD_LARGEST || exp2(floor(log2(value))) != value)
    return complain(error, option, "a Hadamard block is a power of two from 2 to 256");
  hadamard->block = (int)value;
  hadamard->exact = exact;
  return true;
}

// *known tells whether the word is an option of a representation.
static bool representation_option(struct piece option, struct representation *representation, bool *known,
                                  struct error *error) {
  struct piece word, arguments;
  if (!split_call(option, &word, &arguments)) return complain(error, option, "a bracket is missing");
  struct scale *scale = &representation->scale;
  double value = NAN;
  bool number = arguments.start && parse_number(arguments, &value);
  if (arguments.start && (!number || value <= 0)) return complain(error, option, "takes a number above 0");
  *known = true;
  static const struct {
    const char *name;
    enum scale_rule rule;
  } rules[] = {{"rms", SCALE_RMS}, {"absmax", SCALE_ABSMAX}, {"learned", SCALE_LEARNED}, {"static", SCALE_STATIC}};
  for (size_t i = 0; i < 4; i++)
    if (is(word, rules[i].name)) {
      scale->rule = rules[i].rule;
      scale->factor_given = number;
      scale->factor = number ? value : 0;
      if (scale->rule == SCALE_STATIC && !number) return complain(error, option, "takes the scale, as static(0.5)");
      if (scale->rule == SCALE_LEARNED) scale->unit = SCALE_PER_TENSOR;
      return true;
    }
  if (is(word, "group")) {
    if (!number || value < 2 || value > 65536 || value != floor(value))
      return complain(error, option, "takes a size, as group(32)");
    scale->unit = SCALE_PER_GROUP;
    scale->group = (int)value;
    return true;
  }
  if (is(word, "trust")) {
    representation->estimator = ESTIMATOR_TRUST;
    representation->outer = number ? value : 0;
    return true;
  }
  if (is(word, "hadamard"))
    return hadamard_option(option, arguments, HADAMARD_FIXED, true, &representation->hadamard, error);
  if (is(word, "hadamard-up-to"))
    return hadamard_option(option, arguments, HADAMARD_FIXED, false, &representation->hadamard, error);
  if (is(word, "random-hadamard"))
    return hadamard_option(option, arguments, HADAMARD_RANDOM, true, &representation->hadamard, error);
  if (is(word, "random-hadamard-up-to"))
    return hadamard_option(option, arguments, HADAMARD_RANDOM, false, &representation->hadamard, error);
  if (arguments.start) {
    *known = false;
    return true;
  }
  if (is(word, "no-hadamard"))
    representation->hadamard.kind = HADAMARD_NONE;
  else if (is(word, "tensor"))
    scale->unit = SCALE_PER_TENSOR;
  else if (is(word, "row") || is(word, "token"))
    scale->unit = SCALE_PER_ROW;
  else if (is(word, "float"))
    scale->type = SCALE_FLOAT;
  else if (is(word, "power-floor"))
    scale->type = SCALE_POWER_FLOOR;
  else if (is(word, "power-round"))
    scale->type = SCALE_POWER_ROUND;
  else if (is(word, "power-ceil"))
    scale->type = SCALE_POWER_CEIL;
  else if (is(word, "e4m3-scale"))
    scale->type = SCALE_E4M3;
  else if (is(word, "nearest"))
    representation->rounding = ROUND_NEAREST;
  else if (is(word, "stochastic"))
    representation->rounding = ROUND_STOCHASTIC;
  else if (is(word, "ste"))
    representation->estimator = ESTIMATOR_STE;
  else if (is(word, "clip"))
    representation->estimator = ESTIMATOR_CLIP;
  else if (is(word, "lsq"))
    representation->estimator = ESTIMATOR_LSQ;
  else
    *known = false;
  return true;
}

static bool unknown_option(struct piece option, struct error *error) {
  static const char *const known[] = {"rms",         "absmax",          "learned",  "static",         "tensor",
                                      "row",         "group",           "float",    "power-floor",    "power-round",
                                      "power-ceil",  "e4m3-scale",      "nearest",  "stochastic",     "hadamard",
                                      "no-hadamard", "random-hadamard", "ste",      "clip",           "trust",
                                      "lsq",         "requantize",      "original", "token-hadamard", "layers"};
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)option.length, option.start);
  const char *near = nearest_name(name, known, sizeof known / sizeof known[0]);
  return error_set(error, EXIT_USAGE_ERROR,
                   "'%s' is no option%s%s%s (there are: rms, absmax, learned, static(S); tensor, row, group(N); float, "
                   "power-floor, power-round, power-ceil, e4m3-scale; nearest, stochastic; hadamard, hadamard(N), "
                   "random-hadamard, no-hadamard; ste, clip, trust, lsq; of a format: requantize, original, "
                   "token-hadamard, layers(...))",
                   name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool layers_option(struct piece option, struct piece list, unsigned *layers, struct error *error) {
  static const struct {
    const char *name;
    unsigned layers;
  } known[] = {{"qkv", LAYER_QKV},
               {"output", LAYER_OUTPUT},
               {"gate_up", LAYER_GATE_UP},
               {"down", LAYER_DOWN},
               {"attention", LAYER_QKV | LAYER_OUTPUT},
               {"mlp", LAYER_GATE_UP | LAYER_DOWN}};
  *layers = 0;
  struct piece name;
  while (next_piece(&list, ',', &name)) {
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
      if (is(name, known[i].name)) {
        *layers |= known[i].layers;
        found = true;
      }
    if (!found) return complain(error, option, "layers are qkv, output, gate_up, down, attention and mlp");
  }
  return *layers ? true : complain(error, option, "names the layers, as layers(mlp)");
}

// Options in brackets: those of a representation go to every operand that has one, the others to the format (NULL: none
// allowed).
static bool parse_options(struct piece options, struct representation **operands, int count, struct format *format,
                          struct error *error) {
  struct piece option;
  while (next_piece(&options, ',', &option)) {
    struct piece word, arguments;
    if (!split_call(option, &word, &arguments)) return complain(error, option, "a bracket is missing");
    bool known = false;
    if (format) {
      known = true;
      if (is(word, "requantize"))
        format->backward = BACKWARD_REQUANTIZE;
      else if (is(word, "original"))
        format->backward = BACKWARD_ORIGINAL;
      else if (is(word, "token-hadamard"))
        format->gradient_token_hadamard = true;
      else if (is(word, "layers")) {
        if (!layers_option(option, arguments, &format->layers, error)) return false;
      } else
        known = false;
    }
    for (int i = 0; i < count && !(format && known && i == 0); i++) {
      bool here = false;
      if (!representation_option(option, operands[i], &here, error)) return false;
      known |= here;
      if (!here) break;
    }
    if (!known) return unknown_option(option, error);
  }
  return true;
}

// --- representations -------------------------------------------------------------------------------------------------

static bool take_recipe(struct piece *piece, enum recipe *recipe) {
  for (int i = 0; i < RECIPES; i++) {
    struct piece rest = *piece;
    if (!take_prefix(&rest, recipe_names[i]) || !take_prefix(&rest, "-")) continue;
    *piece = rest;
    *recipe = (enum recipe)i;
    return true;
  }
  return false;
}

static bool parse_representation(struct piece text, struct representation *representation, struct format *format,
                                 struct arena *arena, struct error *error) {
  *representation =
      (struct representation){.grid = {.dimension = 1}, .hadamard = {HADAMARD_NONE, HADAMARD_LIMIT, false}};
  enum recipe recipe = RECIPE_QUEST;
  bool recipe_given = take_recipe(&text, &recipe);
  struct piece terms = text, options = {NULL, 0}, term;
  size_t bracket = find_outside(text, '[');
  if (bracket < text.length) {
    if (text.start[text.length - 1] != ']') return complain(error, text, "a bracket is missing");
    terms.length = bracket;
    options = (struct piece){text.start + bracket + 1, text.length - bracket - 2};
  }
  terms = trim(terms);
  if (!terms.length) return complain(error, text, "names no grid and no sparsity");
  if (is(terms, "none")) return options.start ? complain(error, text, "none has no options") : true;
  while (next_piece(&terms, '+', &term)) {
    bool known = false;
    struct sparsity sparsity;
    if (!parse_sparsity(term, &sparsity, &known, error)) return false;
    if (known) {
      if (representation->sparsity.kind != SPARSITY_NONE) return complain(error, text, "has two kinds of sparsity");
      if (representation->grid.kind != GRID_NONE)
        return complain(error, text, "sparsity stands before the grid, as 2:4+int4");
      representation->sparsity = sparsity;
      continue;
    }
    if (representation->grid.kind != GRID_NONE) return complain(error, text, "has two grids");
    if (!parse_grid(term, recipe, recipe_given, representation, &known, arena, error)) return false;
    if (known) continue;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)term.length, term.start);
    size_t count = 0;
    const char *candidates[128];
    while (grid_names[count]) candidates[count] = grid_names[count], count++;
    for (const struct format_preset *preset = format_presets; preset->name; preset++)
      candidates[count++] = preset->name;
    const char *near = nearest_name(name, candidates, count);
    return error_set(error, EXIT_USAGE_ERROR, "'%s' is no format%s%s%s (isoloss formats lists them)", name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  }
  // Masks that stay, and a threshold for all layers, are taken where the weights are.
  const struct sparsity *pattern = &representation->sparsity;
  if (pattern->kind == SPARSITY_TOP && (pattern->monotone || pattern->scope == SCOPE_GLOBAL))
    representation->hadamard.kind = HADAMARD_NONE;
  return parse_options(options, &representation, 1, format, error);
}

bool representation_parse_into(const char *text, struct representation *representation, struct arena *arena,
                               struct error *error) {
  return parse_representation(whole(text), representation, NULL, arena, error) &&
         representation_finish(representation, OPERAND_WEIGHTS, error);
}

bool representation_parse(const char *text, struct representation *representation, struct arena *arena,
                          struct error *error) {
  if (!representation_parse_into(text, representation, arena, error)) return false;
  representation_scale(representation);
  return true;
}

// --- whole formats ---------------------------------------------------------------------------------------------------

// w4a4, w4, a8, w2a16g8: true when the text has that shape; bits of 16 stand for none.
static bool split_bits(struct piece piece, int bits[OPERANDS]) {
  const char *const letters = "wag";
  bool any = false;
  for (int i = 0; i < OPERANDS; i++) {
    bits[i] = 16;
    char letter[2] = {letters[i], 0};
    struct piece rest = piece;
    if (!take_prefix(&rest, letter)) continue;
    if (!take_number(&rest, &bits[i])) return false;
    piece = rest;
    any = true;
  }
  return any && piece.length == 0;
}

static bool parse_operands(struct piece piece, struct format *format, struct arena *arena, struct error *error) {
  const char *const openings[OPERANDS] = {"w(", "a(", "g("};
  struct piece text = piece;
  for (int i = 0; i < OPERANDS; i++) {
    struct piece rest = piece;
    if (!take_prefix(&rest, openings[i])) continue;
    size_t end = find_outside(rest, ')');  // depth 0 is inside this bracket
    if (end == rest.length) return complain(error, text, "a bracket is missing");
    if (!parse_representation(trim((struct piece){rest.start, end}), &format->operands[i], NULL, arena, error))
      return false;
    piece = (struct piece){rest.start + end + 1, rest.length - end - 1};
  }
  if (piece.length)
    return complain(error, piece, "is not expected here: operands are w(...), a(...), g(...), in this order");
  return true;
}

bool format_parse_into(const char *text, struct format *format, struct arena *arena, struct error *error) {
  struct piece piece = whole(text);
  *format = (struct format){.layers = LAYERS_DEFAULT};
  for (int i = 0; i < OPERANDS; i++)
    format->operands[i] =
        (struct representation){.grid = {.dimension = 1}, .hadamard = {HADAMARD_NONE, HADAMARD_LIMIT, false}};
  if (!piece.length) return error_set(error, EXIT_USAGE_ERROR, "an empty text is no format (none changes nothing)");
  if (piece.length > 8000) return error_set(error, EXIT_USAGE_ERROR, "a format has at most 8000 characters");
  for (const struct format_preset *preset = format_presets; preset->name; preset++)
    if (is(piece, preset->name)) return format_parse_into(preset->text, format, arena, error);

  struct piece body = piece, options = {NULL, 0};
  size_t bracket = find_outside(piece, '[');
  if (bracket < piece.length) {
    if (piece.start[piece.length - 1] != ']') return complain(error, piece, "a bracket is missing");
    body.length = bracket;
    options = (struct piece){piece.start + bracket + 1, piece.length - bracket - 2};
    body = trim(body);
  }
  struct piece unprefixed = body;
  enum recipe recipe = RECIPE_QUEST;
  take_recipe(&unprefixed, &recipe);
  int bits[OPERANDS];
  if (split_bits(unprefixed, bits)) {
    for (int i = 0; i < OPERANDS; i++) {
      if (bits[i] == 16) continue;
      if (bits[i] < 1 || bits[i] > 8)
        return complain(error, piece,
                        bits[i] == 0 ? "0 bits hold nothing: 1 to 8 bits, or 16 for full precision"
                                     : "1 to 8 bits, or 16 for full precision");
      struct representation *operand = &format->operands[i];
      operand->grid = grid_mid_rise(bits[i]);
      recipe_apply(operand, recipe);
    }
  } else if (body.length > 1 && strchr("wag", body.start[0]) && body.start[1] == '(') {
    if (!parse_operands(body, format, arena, error)) return false;
  } else {
    if (!parse_representation(piece, &format->operands[OPERAND_WEIGHTS], format, arena, error)) return false;
    options.start = NULL;  // done there
  }
  if (options.start) {
    struct representation *present[OPERANDS];
    int count = 0;
    for (int i = 0; i < OPERANDS; i++)
      if (!representation_is_none(&format->operands[i])) present[count++] = &format->operands[i];
    if (!parse_options(options, present, count, format, error)) return false;
  }
  for (int i = 0; i < OPERANDS; i++)
    if (!representation_finish(&format->operands[i], (enum operand)i, error)) return false;
  for (int i = 0; i < OPERAND_GRADIENTS && format->backward == BACKWARD_ORIGINAL; i++)
    if (format->operands[i].grid.kind != GRID_NONE && format->operands[i].estimator != ESTIMATOR_STE)
      return complain(error, piece, "original operands in the backward pass go with the estimator ste");
  if (format->gradient_token_hadamard && format->operands[OPERAND_GRADIENTS].grid.kind == GRID_NONE)
    return complain(error, piece, "token-hadamard needs gradients with a grid");
  return true;
}

const struct format *format_parse(const char *text, struct arena *arena, struct error *error) {
  struct piece piece = whole(text);
  if (piece.length && piece.start[0] == '{') {
    struct diagnostics diagnostics = {0};
    struct node *node = document_parse(arena, "format", text, strlen(text), &diagnostics);
    const struct format *format = node ? format_parse_node(node, arena, &diagnostics) : NULL;
    if (!format)
      error_set(error, EXIT_USAGE_ERROR, "format: %s",
                diagnostics.count ? diagnostics.items[0].message : "not a mapping");
    diagnostics_free(&diagnostics);
    return format;
  }
  struct format *format = arena_alloc(arena, sizeof *format);
  if (!format_parse_into(text, format, arena, error)) {
    error_context(error, "format");
    return NULL;
  }
  for (int i = 0; i < OPERANDS; i++) representation_scale(&format->operands[i]);
  format->name = format_short_name(format, arena);
  return format;
}

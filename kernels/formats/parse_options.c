// Options of representations and of formats, which stand in [ ]. See docs/formats.md.
#include <math.h>
#include <stdio.h>

#include "kernels/formats/parse.h"

static bool hadamard_option(struct piece option, struct piece arguments, enum hadamard_kind kind, bool exact,
                            struct hadamard *hadamard, struct error *error) {
  *hadamard = (struct hadamard){kind, HADAMARD_LIMIT, false};
  if (!arguments.start) return true;
  double value;
  if (!piece_number(arguments, &value) || value < 2 || value > HADAMARD_LARGEST || exp2(floor(log2(value))) != value)
    return piece_error(error, option, "a Hadamard block is a power of two from 2 to 256");
  hadamard->block = (int)value;
  hadamard->exact = exact;
  return true;
}

// Words without arguments. False when it is none of them.
static bool plain_option(struct piece word, struct representation *representation) {
  struct scale *scale = &representation->scale;
  int i;
  if ((i = piece_word(word, WORDS(scale_type_words))) >= 0)
    scale->type = (enum scale_type)i;
  else if (piece_is(word, "power-nearest"))  // another word for power-round
    scale->type = SCALE_POWER_ROUND;
  else if (piece_is(word, "four-over-six"))
    scale->four_over_six = true;
  else if ((i = piece_word(word, WORDS(rounding_words))) >= 0)
    representation->rounding = (enum rounding)i;
  else if ((i = piece_word(word, WORDS(estimator_words))) >= 0)
    representation->estimator = (enum estimator)i;
  else if (piece_is(word, "no-hadamard"))
    representation->hadamard.kind = HADAMARD_NONE;
  else if (piece_is(word, "tensor"))
    scale->unit = SCALE_PER_TENSOR;
  else if (piece_is(word, "row") || piece_is(word, "token"))
    scale->unit = SCALE_PER_ROW;
  else
    return false;
  return true;
}

static bool scale_rule_option(struct piece option, enum scale_rule rule, const double *value, struct scale *scale,
                              struct error *error) {
  scale->rule = rule;
  scale->factor_given = value != NULL;
  scale->factor = value ? *value : 0;
  if (rule == SCALE_STATIC && !value) return piece_error(error, option, "takes the scale, as static(0.5)");
  if (rule == SCALE_LEARNED) scale->unit = SCALE_PER_TENSOR;
  return true;
}

static bool group_option(struct piece option, const double *size, struct scale *scale, struct error *error) {
  if (!size || *size < 2 || *size > 65536 || *size != floor(*size))
    return piece_error(error, option, "takes a size, as group(32)");
  scale->unit = SCALE_PER_GROUP;
  scale->group = (int)*size;
  return true;
}

static bool square_option(struct piece option, const double *side, struct scale *scale, struct error *error) {
  if (!side || *side != SQUARE)
    return piece_error(error, option, "is of blocks of 16 by 16 values, which share a scale: square(16)");
  scale->unit = SCALE_PER_SQUARE;
  scale->group = SQUARE;
  return true;
}

static bool scale_most_option(struct piece option, const double *most, struct scale *scale, struct error *error) {
  if (!most || *most < 1 || *most > 448)
    return piece_error(error, option, "takes the largest FP8 scale of a tensor, 1 to 448, as scale-max(256)");
  scale->e4m3_most = *most;
  return true;
}

// *known says whether the word is an option of a representation.
static bool representation_option(struct piece option, struct representation *representation, bool *known,
                                  struct error *error) {
  static const struct {
    const char *word;
    enum hadamard_kind kind;
    bool exact;
  } transforms[] = {{"hadamard", HADAMARD_FIXED, true},         {"hadamard-up-to", HADAMARD_FIXED, false},
                    {"signed-hadamard", HADAMARD_SIGNED, true}, {"signed-hadamard-up-to", HADAMARD_SIGNED, false},
                    {"random-hadamard", HADAMARD_RANDOM, true}, {"random-hadamard-up-to", HADAMARD_RANDOM, false}};
  struct piece word, arguments;
  if (!piece_call(option, &word, &arguments)) return piece_error(error, option, "a bracket is missing");
  double number, *value = arguments.start ? &number : NULL;
  if (value && (!piece_number(arguments, value) || *value <= 0))
    return piece_error(error, option, "takes a number above 0");
  *known = true;
  int rule = piece_word(word, WORDS(scale_rule_words));
  if (rule >= 0) return scale_rule_option(option, (enum scale_rule)rule, value, &representation->scale, error);
  if (piece_is(word, "group")) return group_option(option, value, &representation->scale, error);
  if (piece_is(word, "square")) return square_option(option, value, &representation->scale, error);
  if (piece_is(word, "scale-max")) return scale_most_option(option, value, &representation->scale, error);
  for (size_t i = 0; i < sizeof transforms / sizeof transforms[0]; i++)
    if (piece_is(word, transforms[i].word))
      return hadamard_option(option, arguments, transforms[i].kind, transforms[i].exact, &representation->hadamard,
                             error);
  if (piece_is(word, "trust")) {
    representation->estimator = ESTIMATOR_TRUST;
    representation->outer = value ? *value : 0;
    return true;
  }
  *known = !value && plain_option(word, representation);
  return true;
}

static bool unknown_option(struct piece option, struct error *error) {
  static const char *const known[] = {"rms",
                                      "absmax",
                                      "learned",
                                      "static",
                                      "tensor",
                                      "row",
                                      "group",
                                      "square",
                                      "float",
                                      "power-floor",
                                      "power-even",
                                      "power-round",
                                      "power-ceil",
                                      "e4m3-scale",
                                      "e4m3-floor",
                                      "e4m3-ceil",
                                      "scale-max",
                                      "nearest",
                                      "four-over-six",
                                      "stochastic",
                                      "eden",
                                      "hadamard",
                                      "no-hadamard",
                                      "random-hadamard",
                                      "signed-hadamard",
                                      "ste",
                                      "clip",
                                      "trust",
                                      "lsq",
                                      "seq",
                                      "requantize",
                                      "tokens",
                                      "original",
                                      "token-hadamard",
                                      "layers",
                                      "high-precision"};
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)option.length, option.start);
  error_set(error, EXIT_USAGE_ERROR, "'%s' is no option", name);
  error_hint(error, nearest_name(name, known, sizeof known / sizeof known[0]), NULL);
  return error_add(
      error,
      " (there are: rms, absmax, learned, static(S); tensor, row, group(N), square(16); float, power-floor, "
      "power-even, power-round, power-ceil, e4m3-scale, e4m3-floor, e4m3-ceil; scale-max(S), four-over-six; "
      "nearest, stochastic, eden; hadamard, hadamard(N), random-hadamard, signed-hadamard, no-hadamard; ste, "
      "clip, trust, lsq, seq; of a format: requantize, tokens, original, token-hadamard, layers(...), "
      "high-precision(SHARE))");
}

static bool layers_option(struct piece option, struct piece list, unsigned *layers, struct error *error) {
  *layers = 0;
  struct piece name;
  while (piece_next(&list, ',', &name)) {
    unsigned found = layers_find(name);
    if (!found) return piece_error(error, option, "layers are qkv, output, gate_up, down, attention and mlp");
    *layers |= found;
  }
  return *layers ? true : piece_error(error, option, "names the layers, as layers(mlp)");
}

// An option of a format, not of its operands; *known says whether it is one.
static bool format_option(struct piece option, struct format *format, bool *known, struct error *error) {
  struct piece word, arguments;
  if (!piece_call(option, &word, &arguments)) return piece_error(error, option, "a bracket is missing");
  *known = format != NULL;
  if (!format) return true;
  if (piece_is(word, "layers")) return layers_option(option, arguments, &format->layers, error);
  if (piece_is(word, "high-precision")) {
    double share;
    if (!piece_number(arguments, &share) || !(share > 0 && share < 1))
      return piece_error(error, option,
                         "takes the share of the blocks that stay in full precision, as high-precision(0.16)");
    format->high_precision = share;
    return true;
  }
  if (piece_is(word, "requantize"))
    format->backward = BACKWARD_REQUANTIZE;
  else if (piece_is(word, "tokens"))
    format->backward = BACKWARD_TOKENS;
  else if (piece_is(word, "original"))
    format->backward = BACKWARD_ORIGINAL;
  else if (piece_is(word, "token-hadamard"))
    format->gradient_token_hadamard = true;
  else
    *known = false;
  return true;
}

bool format_options_parse(struct piece options, struct representation **operands, int count, struct format *format,
                          struct error *error) {
  struct piece option;
  while (piece_next(&options, ',', &option)) {
    bool of_format, known;
    if (!format_option(option, format, &of_format, error)) return false;
    known = of_format;
    for (int i = 0; i < count && !of_format; i++) {
      if (!representation_option(option, operands[i], &known, error)) return false;
      if (!known) break;
    }
    if (!known) return unknown_option(option, error);
  }
  return true;
}

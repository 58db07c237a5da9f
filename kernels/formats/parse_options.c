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

// *known tells whether the word is an option of a representation.
static bool representation_option(struct piece option, struct representation *representation, bool *known,
                                  struct error *error) {
  struct piece word, arguments;
  if (!piece_call(option, &word, &arguments)) return piece_error(error, option, "a bracket is missing");
  struct scale *scale = &representation->scale;
  double value = NAN;
  bool number = arguments.start && piece_number(arguments, &value);
  if (arguments.start && (!number || value <= 0)) return piece_error(error, option, "takes a number above 0");
  *known = true;
  static const struct {
    const char *name;
    enum scale_rule rule;
  } rules[] = {{"rms", SCALE_RMS}, {"absmax", SCALE_ABSMAX}, {"learned", SCALE_LEARNED}, {"static", SCALE_STATIC}};
  for (size_t i = 0; i < 4; i++)
    if (piece_is(word, rules[i].name)) {
      scale->rule = rules[i].rule;
      scale->factor_given = number;
      scale->factor = number ? value : 0;
      if (scale->rule == SCALE_STATIC && !number) return piece_error(error, option, "takes the scale, as static(0.5)");
      if (scale->rule == SCALE_LEARNED) scale->unit = SCALE_PER_TENSOR;
      return true;
    }
  if (piece_is(word, "group")) {
    if (!number || value < 2 || value > 65536 || value != floor(value))
      return piece_error(error, option, "takes a size, as group(32)");
    scale->unit = SCALE_PER_GROUP;
    scale->group = (int)value;
    return true;
  }
  if (piece_is(word, "trust")) {
    representation->estimator = ESTIMATOR_TRUST;
    representation->outer = number ? value : 0;
    return true;
  }
  if (piece_is(word, "hadamard"))
    return hadamard_option(option, arguments, HADAMARD_FIXED, true, &representation->hadamard, error);
  if (piece_is(word, "hadamard-up-to"))
    return hadamard_option(option, arguments, HADAMARD_FIXED, false, &representation->hadamard, error);
  if (piece_is(word, "random-hadamard"))
    return hadamard_option(option, arguments, HADAMARD_RANDOM, true, &representation->hadamard, error);
  if (piece_is(word, "random-hadamard-up-to"))
    return hadamard_option(option, arguments, HADAMARD_RANDOM, false, &representation->hadamard, error);
  if (arguments.start) {
    *known = false;
    return true;
  }
  if (piece_is(word, "no-hadamard"))
    representation->hadamard.kind = HADAMARD_NONE;
  else if (piece_is(word, "tensor"))
    scale->unit = SCALE_PER_TENSOR;
  else if (piece_is(word, "row") || piece_is(word, "token"))
    scale->unit = SCALE_PER_ROW;
  else if (piece_is(word, "float"))
    scale->type = SCALE_FLOAT;
  else if (piece_is(word, "power-floor"))
    scale->type = SCALE_POWER_FLOOR;
  else if (piece_is(word, "power-round"))
    scale->type = SCALE_POWER_ROUND;
  else if (piece_is(word, "power-ceil"))
    scale->type = SCALE_POWER_CEIL;
  else if (piece_is(word, "e4m3-scale"))
    scale->type = SCALE_E4M3;
  else if (piece_is(word, "nearest"))
    representation->rounding = ROUND_NEAREST;
  else if (piece_is(word, "stochastic"))
    representation->rounding = ROUND_STOCHASTIC;
  else if (piece_is(word, "ste"))
    representation->estimator = ESTIMATOR_STE;
  else if (piece_is(word, "clip"))
    representation->estimator = ESTIMATOR_CLIP;
  else if (piece_is(word, "lsq"))
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
  while (piece_next(&list, ',', &name)) {
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
      if (piece_is(name, known[i].name)) {
        *layers |= known[i].layers;
        found = true;
      }
    if (!found) return piece_error(error, option, "layers are qkv, output, gate_up, down, attention and mlp");
  }
  return *layers ? true : piece_error(error, option, "names the layers, as layers(mlp)");
}

bool format_options_parse(struct piece options, struct representation **operands, int count, struct format *format,
                          struct error *error) {
  struct piece option;
  while (piece_next(&options, ',', &option)) {
    struct piece word, arguments;
    if (!piece_call(option, &word, &arguments)) return piece_error(error, option, "a bracket is missing");
    bool known = false;
    if (format) {
      known = true;
      if (piece_is(word, "requantize"))
        format->backward = BACKWARD_REQUANTIZE;
      else if (piece_is(word, "original"))
        format->backward = BACKWARD_ORIGINAL;
      else if (piece_is(word, "token-hadamard"))
        format->gradient_token_hadamard = true;
      else if (piece_is(word, "layers")) {
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
